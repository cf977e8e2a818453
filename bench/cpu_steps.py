"""The Laplace step: ours against each peer at its best."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .cases import CASES, Case
from .check import check
from .compiled import compiled_candidates, eager_candidates
from .jax_peer import jax_candidates, why_no_jax
from .peers import NestedAutogradStep, OursStep, Step, TaylorStep
from .section import Row, Settings, attempt, reason
from .timing import at_least, cell, spread, time_steps

Candidates = dict[str, Callable[[], Step]]

# Speed-up over the fastest peer, and over nested autograd.
BARS = {"laplace-8-8-16": (8.0, 45.0), "laplace-32-32-32": (3.5, 20.0)}
TRIAL_ROUNDS = 5
LEFT_OUT = "left out by --quick"


def run(settings: Settings) -> list[Row]:
    cases: Sequence[Case] = CASES
    if settings.quick:
        cases = tuple(replace(case, points=settings.points(case.points), edge_points=5) for case in CASES[:1])
    return [attempt(_description(case), lambda case=case: _measure(case, settings)) for case in cases]


def _description(case: Case) -> Row:
    return {
        "case": case.name,
        "layers": list(case.layers),
        "points": case.points,
        "edge_points": 4 * case.edge_points,
    }


def _measure(case: Case, settings: Settings) -> Row:
    ours = OursStep(case, settings.backend)
    error = check(ours, case)
    peers: dict[str, Row] = {}
    steps: dict[str, Step] = {}
    for name, family in _families(case, settings).items():
        chosen, peers[name] = _fastest(case, family, settings.block)
        if chosen is not None:
            steps[name] = chosen
    times = time_steps({"ours": ours, **steps}, settings.rounds, settings.block)
    speedup = {name: times[name] / times["ours"] for name in steps}
    for name in steps:
        peers[name] |= {
            "milliseconds_per_step": spread(times[name] * 1e3),
            "ours/peer": spread(times["ours"] / times[name]),
        }
    row: Row = {
        "ours": {"gradient_error": error, "milliseconds_per_step": spread(times["ours"] * 1e3)},
        "peers": peers,
    }
    bar_fastest, bar_nested = BARS[case.name]
    fast = [name for name in steps if name != "nested"]
    if fast:
        row["fastest_peer"] = min(fast, key=lambda name: spread(times[name])["median"])
        row["speedup_over_fastest"] = at_least(speedup[row["fastest_peer"]], bar_fastest)
    if "nested" in steps:
        row["speedup_over_nested"] = at_least(speedup["nested"], bar_nested)
    return row


def _families(case: Case, settings: Settings) -> dict[str, Callable[[], Candidates | str]]:
    """Peers, each with the ways to write it; or why there is none."""
    return {
        "taylor": lambda: {"by hand, features first": lambda: TaylorStep(case), **eager_candidates(case)},
        "compiled": lambda: LEFT_OUT if settings.quick else compiled_candidates(case),
        "jax": lambda: LEFT_OUT if settings.quick else why_no_jax() or jax_candidates(case),
        "nested": lambda: {"usual": lambda: NestedAutogradStep(case)},
    }


def _fastest(case: Case, family: Callable[[], Candidates | str], block: int) -> tuple[Step | None, Row]:
    """The fastest candidate that computes the right thing, with the trial times and failures of all."""
    try:
        candidates = family()
    except Exception as error:  # an installation of JAX or a compiler that is broken
        return None, {"failure": reason(error)}
    if isinstance(candidates, str):
        return None, {"absent": candidates}
    right: dict[str, Step] = {}
    errors: dict[str, float] = {}
    failures: dict[str, str] = {}
    for name, make in candidates.items():
        print(f"{case.name}: checking {name}", file=sys.stderr, flush=True)  # compiling takes minutes
        try:
            step = make()
            errors[name] = check(step, case)
            right[name] = step
        except Exception as error:  # whatever a compiler throws: a candidate that fails is out
            failures[name] = reason(error)
    row: Row = {"failures": failures} if failures else {}
    if not right:
        return None, row | {"failure": f"no candidate works: {failures}"}
    best = next(iter(right))
    if len(right) > 1:
        trial = {name: spread(times)["median"] for name, times in time_steps(right, TRIAL_ROUNDS, block).items()}
        best = min(trial, key=lambda name: trial[name])
        row["trial_milliseconds"] = {name: seconds * 1e3 for name, seconds in trial.items()}
    return right[best], row | {"chosen": best, "gradient_error": errors[best]}


def table(rows: list[Row]) -> str:
    lines = [f"{'case':18}{'step':10}{'ms per step':>24}{'ours / peer':>24}{'error':>9}  fastest way"]
    for row in rows:
        start = f"{row['case']:18}"
        if "failure" in row:
            lines.append(f"{start}FAILED  {row['failure']}")
            continue
        for name, peer in [("ours", row["ours"]), *row["peers"].items()]:
            lines.append(f"{start}{name:10}{_peer_cells(peer)}")
        for what in ("fastest", "nested"):
            if (found := row.get(f"speedup_over_{what}")) is not None:
                peer_name = row["fastest_peer"] if what == "fastest" else "nested"
                lines.append(f"{start}speed-up over {what} ({peer_name}): {cell(found, digits=2)}")
    return "\n".join(lines)


def _peer_cells(peer: Mapping[str, Any]) -> str:
    if "milliseconds_per_step" not in peer:
        return "FAILED  " + peer["failure"] if "failure" in peer else "absent  " + peer["absent"]
    ratio = cell(peer["ours/peer"]) if "ours/peer" in peer else ""
    text = f"{cell(peer['milliseconds_per_step']):>24}{ratio:>24}{peer['gradient_error']:>9.0e}"
    return f"{text}  {peer.get('chosen', '')}".rstrip()
