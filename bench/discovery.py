"""Does discovery find the symmetry that is there, and no other: ``python -m bench.discovery``.

Parts: ``discover`` (all tests and the verdict), ``distil`` (the paper's method alone, automatic threshold),
``distil-0.1`` (the paper's threshold), ``problem`` (the test on the problem alone, with its seconds), ``accuracy``
(Psi-NN of the discovered against that of the published R). Writes bench/results/discovery.json after every part.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

import psinn_fast as pf
from psinn_fast.discovery.distillation import distil, matching_width
from psinn_fast.discovery.options import TESTS

from .discovery_problems import BY_NAME, CASES, Case
from .environment import environment
from .section import Row, attempt

# Networks of one group are compared at about this many parameters.
EQUAL_PARAMETERS = 500
PARTS = ("problem", "discover", "distil", "distil-0.1", "accuracy")
# Seconds: of one `discover`, of the problem test; share of the seeds that `distil` must get right.
DISCOVER_SECONDS, PROBLEM_SECONDS, DISTIL_SHARE = 180.0, 1.0, 0.8


def named(symmetry: pf.Symmetry, case: Case) -> str:
    """E.g. ``x -> -x (odd)``, from the centre; one word per output where they differ."""
    coords = case.make().pde.coords
    words = ["even" if sign > 0 else "odd" for sign in symmetry.character]
    return f"{symmetry.map.describe(coords)} ({words[0] if len(set(words)) == 1 else ', '.join(words)})"


def compared(case: Case, found: Iterable[pf.Symmetry]) -> Row:
    """What was found beside what is there."""
    expected, got = case.group, frozenset(found)

    def names(group: Iterable[pf.Symmetry]) -> list[str]:
        return sorted(named(symmetry, case) for symmetry in group)

    return {
        "recovered": names(expected & got), "missed": names(expected - got), "false": names(got - expected),
        "right": got == expected,
    }  # fmt: skip


class Bench:
    """All runs of one call; ``found`` keeps what `discover` returned for the parts ``distil`` and ``accuracy``."""

    def __init__(self, iterations: int, seconds: float, quick: bool, tests: Sequence[str]) -> None:
        self.iterations, self.seconds, self.quick, self.tests = iterations, seconds, quick, tuple(tests)
        self.found: dict[tuple[str, int], pf.Discovery] = {}

    @property
    def settings(self) -> pf.StudentSettings | None:
        return pf.StudentSettings((4, 4), grid=9, starts=1, steps=20) if self.quick else None

    def part(self, name: str) -> Callable[[Case, int], Row]:
        parts: dict[str, Callable[[Case, int], Row]] = {
            "problem": self.problem,
            "distil": partial(self.distil, threshold="auto"),
            "distil-0.1": partial(self.distil, threshold=0.1),
            "discover": self.discover,
            "accuracy": self.accuracy,
        }
        return parts[name]

    def problem(self, case: Case, seed: int) -> Row:
        problem = case.make()
        started = time.perf_counter()
        tested = pf.problem_symmetries(problem)
        seconds = time.perf_counter() - started
        undecided = [named(test.symmetry, case) for test in tested if test.verdict == "undecided"]
        holding = (test.symmetry for test in tested if test.verdict == "holds")
        return {"seconds": seconds, "undecided": undecided, **compared(case, holding)}

    def distil(self, case: Case, seed: int, threshold: str | float) -> Row:
        """Without the problem's or the teachers' word; of the teachers that `discover` had, if it ran before."""
        problem, before = case.make(), self.found.get((case.name, seed))
        if before is not None and before.distillation is not None:
            seconds, nets = before.seconds["teachers"], [trained.net for trained in before.teachers]
        else:
            network = case.network or "pinn"
            trained = pf.solve(problem, network, pf.GaussNewton(self.iterations, seed=seed), seed=seed)
            seconds, nets = trained.seconds, [trained.net]
        started = time.perf_counter()
        if before is not None and before.distillation is not None and threshold == "auto":
            found = before.distillation
            seconds += before.seconds["students"]
        else:
            settings = self.settings or pf.StudentSettings(problem.recipe.student_layers, seed=seed)
            found = distil(problem, nets, settings=replace(settings, threshold=threshold))
            seconds += time.perf_counter() - started
        return {
            "seconds": seconds,
            "teacher_errors": [pf.error_metrics(net, problem)["relative_l2"] for net in nets],
            "parameters": found.structure.n_parameters,
            **compared(case, (match.symmetry for match in found.symmetries)),
        }

    def discover(self, case: Case, seed: int) -> Row:
        problem = case.make()
        started = time.perf_counter()
        tiny: dict[str, Any] = {}
        if self.quick and "student" in self.tests:
            tiny |= {"settings": self.settings}
        if {"teacher", "student"} & set(self.tests):
            tiny |= {"steps": self.iterations} if self.quick else {}
            tiny["seed"] = seed
        found = pf.discover(problem, case.network, tests=self.tests, **tiny)
        self.found[case.name, seed] = found
        return {
            "seconds": time.perf_counter() - started,
            "dense": found.structure.is_dense,
            "notes": list(found.notes),
            "rejected": [row.to_dict() for row in found.evidence if not row.accepted],
            "parameters": found.structure.n_parameters,
            **compared(case, (match.symmetry for match in found.group)),
        }

    def accuracy(self, case: Case, seed: int) -> Row:
        """Relative L2 error, same optimiser, iterations and (as near as widths allow) parameters."""
        problem = case.make()
        if problem.recipe.structure is None:
            return {"absent": "no published structure"}
        if (case.name, seed) not in self.found:
            self.discover(case, seed)
        published = problem.recipe.structure.with_width(matching_width(problem.recipe.structure, EQUAL_PARAMETERS))
        found = self.found[case.name, seed].structure
        found = found.with_width(matching_width(found, published.n_parameters))
        row: Row = {}
        for label, structure in (("published", published), ("discovered", found)):
            network, optimizer = (
                pf.Network("psi", structure=structure, width=1),
                pf.GaussNewton(self.iterations, seed=seed),
            )
            solution = pf.solve(problem, network, optimizer, seconds=self.seconds, seed=seed)
            errors = {key: value / problem.true_coefficients[key] - 1 for key, value in solution.coefficients.items()}
            row[label] = {
                "parameters": structure.n_parameters, "relative_l2": solution.metrics["relative_l2"],
                "iterations": solution.steps, "coefficient_errors": errors,
            }  # fmt: skip
        return row


def _error(run: Row, name: str) -> float:
    """``"relative_l2"``: of the field; else of that coefficient."""
    return float(run["relative_l2"] if name == "relative_l2" else abs(run["coefficient_errors"][name]))


def ratio_interval(errors: Sequence[float], others: Sequence[float], draws: int = 10_000) -> list[float]:
    """90 % interval of median(errors) / median(others), by bootstrap: what the seeds that were drawn leave open."""
    rng = np.random.default_rng(0)
    medians = (np.median(rng.choice(np.asarray(sample), (draws, len(sample))), axis=1) for sample in (errors, others))
    return [float(value) for value in np.quantile(np.divide(*medians), [0.05, 0.95])]


def summary(part: str, case: Case, runs: Sequence[Row]) -> Row:
    """Over the seeds: counts, median seconds, and whether the bar is met. Failed runs count against it."""
    good = [run for run in runs if "failure" not in run]
    row: Row = {"failed": len(runs) - len(good)}
    if part == "accuracy":
        pairs = [run for run in good if "published" in run]
        for label in ("published", "discovered"):
            row[label] = median([run[label]["relative_l2"] for run in pairs] or [math.nan])
            row[f"{label}_coefficients"] = {
                name: median(_error(run[label], name) for run in pairs)
                for name in (pairs[0][label]["coefficient_errors"] if pairs else ())
            }
        # A row without published structure has nothing to meet. An inverse problem asks for its coefficients.
        names = row["published_coefficients"]
        no_worse = (
            all(row["discovered_coefficients"][name] <= names[name] for name in names)
            if names
            else row["discovered"] <= row["published"]
        )
        row["met"] = (len(pairs) == len(runs) and no_worse) if pairs or not good else None
        row["ratio_interval"] = {
            name: ratio_interval(
                [_error(run["discovered"], name) for run in pairs], [_error(run["published"], name) for run in pairs]
            )
            for name in (*names, "relative_l2")
            if pairs
        }
        return row
    row["right"] = sum(run["right"] for run in good)
    row["with_missed"] = sum(bool(run["missed"]) for run in good)
    row["with_false"] = sum(bool(run["false"]) for run in good)
    row["seconds"] = median([run["seconds"] for run in good] or [math.nan])
    row["most_seconds"] = max([run["seconds"] for run in good] or [math.nan])
    share = DISTIL_SHARE if part == "distil" else 1.0
    limit = PROBLEM_SECONDS if part == "problem" else DISCOVER_SECONDS
    no_worse = row["with_false"] == 0 if case.kind == "control" else True
    row["met"] = row["right"] >= share * len(runs) and no_worse and row["most_seconds"] <= limit
    return row


def line(row: Row) -> str:
    """One row of the table."""
    start = f"{row['case']:21}{row['kind']:9}{row['part']:12}"
    verdict = "meets" if row["met"] else "MISSES"
    failed = f"  {row['failed']} FAILED" if row["failed"] else ""
    if row["part"] == "accuracy" and row["met"] is None:
        return f"{start}no published structure to compare with"
    if row["part"] == "accuracy":
        errors = {label: f"{row[label]:.1e}" for label in ("published", "discovered")}
        for label in errors:
            errors[label] += "".join(f", {name} {error:.1e}" for name, error in row[f"{label}_coefficients"].items())
        ratio = ", ".join(f"{name} {low:.2g} to {high:.2g}" for name, (low, high) in row["ratio_interval"].items())
        return (
            f"{start}published {errors['published']}; discovered {errors['discovered']}  {verdict}{failed}"
            f" (90 % intervals of the ratio: {ratio})"
        )
    return (
        f"{start}{row['right']} of {len(row['runs'])} right, {row['with_missed']} miss, {row['with_false']} false, "
        f"{row['seconds']:.1f} s (most {row['most_seconds']:.1f})  {verdict}{failed}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    seeds = 1 if options.quick else options.seeds
    bench = Bench(3 if options.quick else options.iterations, options.seconds, options.quick, options.tests)
    result: Row = {
        "command": "python -m bench.discovery",
        "quick": options.quick,
        "tests": options.tests,
        "iterations": bench.iterations,
        "seconds": bench.seconds,
        **environment(),
        "rows": [],
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for name in options.problems:
        case = BY_NAME[name]
        for part in PARTS:
            if part not in options.only:
                continue
            measure = bench.part(part)
            runs = []
            for seed in range(seeds):
                runs.append(attempt({"seed": seed}, partial(measure, case, seed)))
            row = {"case": name, "kind": case.kind, "part": part, "runs": runs, **summary(part, case, runs)}
            result["rows"].append(row)
            print(line(row), flush=True)
            options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return int(any("failure" in run for row in result["rows"] for run in row["runs"]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.discovery", description=__doc__)
    names = [case.name for case in CASES]
    parser.add_argument("--problems", nargs="+", choices=names, default=names)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="the parts to run")
    parser.add_argument("--tests", nargs="+", choices=TESTS, default=list(TESTS), help="of discover")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=150, help="of Gauss-Newton, for teachers and for accuracy")
    parser.add_argument("--seconds", type=float, default=60.0, help="limit of each training for accuracy")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one seed: does it run at all")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "discovery.json")
    return parser


if __name__ == "__main__":
    sys.exit(main())
