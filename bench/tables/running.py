"""Runs, each in a process of its own, and the file of results, which is whole after each of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

import psinn_fast as pf

from ..environment import environment
from ..section import Row
from .case import Case, finite

# A run is given up where it takes this many times its limit and a minute: references, verdicts and scores take time.
_PATIENCE, _MINUTE = 2.0, 60.0
# Points of a curve that lie closer show nothing.
_LATER = 1.05
_TOP = Path(__file__).parents[2]


@dataclass(frozen=True)
class Run:
    """One training: case and network by name, its seed, seconds and threads."""

    problem: str
    network: str
    seed: int
    seconds: float
    threads: int


def trained(case: Case, run: Run) -> Row:
    """What a run gives: error, when it was below what is wanted for good, and the curve on the way."""
    torch.set_num_threads(run.threads)
    problem = case.problem()
    made = case.networks[run.network]
    started = time.monotonic()
    network = made if isinstance(made, pf.Network) else made(problem)
    before = time.monotonic() - started
    solution = case.train(problem, network, case.optimizer, run.seed, run.seconds - before, case.enough)
    curve = [(row["seconds"] + before, row["relative_l2"]) for row in getattr(solution, "history", ())]
    error, spent = finite(case.error(solution)), round(solution.seconds + before, 2)
    if not curve and error is not None:  # a march has no error until it is at its end
        curve = [(spent, error)]
    above = [i for i, (_, own) in enumerate(curve) if not own <= case.wanted]
    reached = above[-1] + 1 if above else 0
    return {
        "relative_l2": error,
        "seconds": spent,
        "seconds_to_wanted": curve[reached][0] if reached < len(curve) else None,
        "parameters": _parameters(solution),
        "steps": solution.steps,
        "ended": solution.ended,
        "warnings": list(getattr(solution, "warnings", ())),
        "curve": [(round(seconds, 3), finite(own)) for seconds, own in thinned(curve)],
    }


def thinned(curve: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Its ends, and what is a twentieth later than the last one kept."""
    kept = list(curve[:1])
    for point in curve[1:]:
        if point[0] >= _LATER * kept[-1][0] or point == curve[-1]:
            kept.append(point)
    return kept


def _parameters(solution: Any) -> int:
    """Of the network, or of those of all windows of time."""
    windows = getattr(solution, "windows", None)
    nets = [solution.net] if windows is None else [window.net for window in windows]
    return sum(net.theta.numel() for net in nets)


def attempted(run: Run) -> Row:
    """The row of a run in a process of its own; a process that fails or hangs makes a row that says so."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "row.json"
        command = [sys.executable, "-m", "bench.tables.one", json.dumps(asdict(run)), str(out)]
        process = subprocess.Popen(command, cwd=_TOP, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            _, said = process.communicate(timeout=_PATIENCE * run.seconds + _MINUTE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return {"failure": f"not done after {_PATIENCE:g} times its limit and a minute"}
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
        if out.exists():
            found: Row = json.loads(out.read_text(encoding="utf-8"))
            return found
        last = (said.strip().splitlines() or ["no message"])[-1][:300]
        return {"failure": f"exit status {process.returncode}: {last}"}


class Results:
    """The rows of a file, one a problem and network, with a run for each seed."""

    def __init__(self, path: Path, threads: int) -> None:
        self.path, self.about = path, environment(threads)
        self.rows: list[Row] = []
        if path.exists():
            self.rows = json.loads(path.read_text(encoding="utf-8"))["rows"]

    def done(self, case: Case, run: Run) -> bool:
        """Whether it is there, with these settings, and did not fail."""
        row = self._row(case, run.network)
        return any(
            found["seed"] == run.seed and found["limit"] == run.seconds and "failure" not in found
            for found in row["runs"]
        )

    def add(self, case: Case, run: Run, found: Row) -> Row:
        """The row with the run, saved."""
        row = self._row(case, run.network)
        kept = [other for other in row["runs"] if other["seed"] != run.seed and other["limit"] == run.seconds]
        about = {"seed": run.seed, "limit": run.seconds, "threads": run.threads, "commit": self.about["commit"]}
        row["runs"] = sorted([*kept, {**about, **found}], key=lambda one: one["seed"])
        row.update(summary(case, row["runs"]))
        if row not in self.rows:
            self.rows.append(row)
        self.save()
        return row

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"command": "python -m bench.tables", **self.about, "rows": self.rows}, indent=1)
        partial = self.path.with_name(self.path.name + ".partial")
        partial.write_text(text + "\n", encoding="utf-8")
        os.replace(partial, self.path)

    def describe(self, cases: Sequence[Case]) -> None:
        """Rows as the cases are now, and in their order; runs with other settings are dropped."""
        known = {(row["problem"], row["network"]): row for row in self.rows}
        places = [(case, network) for case in cases for network in case.networks]
        rows = [self._row(case, name) for case, name in places if (case.name, name) in known]
        self.rows = [row for row in rows if row["runs"]]

    def _row(self, case: Case, network: str) -> Row:
        said = {
            "problem": case.name, "network": network, "settings": case.settings(network), "statement": case.statement,
            "source": case.source, "published": asdict(case.published), "wanted": case.wanted, "within": case.seconds,
            "lines": case.lines, "described": case.described(network),
        }  # fmt: skip
        for row in self.rows:
            if (row["problem"], row["network"]) == (case.name, network):
                kept = row["runs"] if row["settings"] == said["settings"] else []
                row.update(said, runs=kept)
                return row
        return {**said, "runs": []}


def summary(case: Case, runs: Sequence[Row]) -> dict[str, Any]:
    """Median and worst over seeds, and how they stand to what is wanted and to what is published."""
    errors = [run["relative_l2"] for run in runs if run.get("relative_l2") is not None]
    whole = len(errors) == len(runs)
    worst = max(errors) if errors and whole else None
    return {
        "floor": case.floor(),
        "median": median(errors) if errors else None,
        "worst": worst,
        "meets": worst is not None and worst <= case.wanted,
        "beats": None if case.published.error is None else worst is not None and worst <= case.published.error,
    }
