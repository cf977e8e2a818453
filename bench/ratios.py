"""Our step against its peers in alternating rounds of one process: ``python -m bench.ratios``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from .cases import CASES, Case
from .check import WrongPeer, check
from .environment import environment
from .peers import PEERS, OursStep, Step
from .timing import cell, spread, time_steps

COMPARED = (
    "ours: train of the backend; taylor: forward Laplacian written by hand in eager torch; nested: "
    "torch.autograd.grad twice. Float32, the same weights and data, one Adam step each. A ratio is taken within one "
    "round: below 1, ours is faster."
)


def measure(case: Case, backend: str, rounds: int, block: int) -> dict[str, Any]:
    """Check the peers, then time them in alternating rounds of ``block`` steps.

    Returns:
        A row with times and ratios; or, if a peer is wrong, a row with ``failure``.
    """
    row: dict[str, Any] = {
        "case": case.name,
        "layers": list(case.layers),
        "points": case.points,
        "edge_points": 4 * case.edge_points,
    }
    steps: dict[str, Step] = {}
    errors: dict[str, float] = {}
    for name, peer in PEERS.items():
        step = OursStep(case, backend) if peer is OursStep else peer(case)
        try:
            errors[name] = check(step, case)
        except WrongPeer as wrong:
            return row | {"failure": f"{name}: {wrong}"}
        steps[name] = step
    times = time_steps(steps, rounds, block)
    ours = times["ours"]
    return row | {
        "gradient_error": errors,
        "milliseconds_per_step": {name: spread(values * 1e3) for name, values in times.items()},
        "ratio": {f"ours/{name}": spread(ours / values) for name, values in times.items() if name != "ours"},
    }


def conditions(backend: str, rounds: int, block: int) -> dict[str, Any]:
    """What was compared with what, how, and where."""
    threads = torch.get_num_threads()
    return {
        "compared": COMPARED,
        "command": f"python -m bench.ratios --backend {backend} --rounds {rounds} --block {block} --threads {threads}",
        "backend": backend,
        "rounds": rounds,
        "steps_per_round": block,
        **environment(),
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Medians with the 10th to 90th percentile."""
    lines = [f"{'case':18}{'peer':8}{'ms per step':>24}{'ours / peer':>24}{'gradient error':>16}"]
    for row in rows:
        if "failure" in row:
            lines.append(f"{row['case']:18}FAILED  {row['failure']}")
            continue
        for name, times in row["milliseconds_per_step"].items():
            ratio = cell(row["ratio"][f"ours/{name}"]) if name != "ours" else ""
            error = row["gradient_error"][name]
            lines.append(f"{row['case']:18}{name:8}{cell(times):>24}{ratio:>24}{error:>16.1e}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None, cases: Sequence[Case] = CASES) -> int:
    """Command line; 1 if a peer was wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench.ratios", description=__doc__)
    parser.add_argument("--backend", default="reference")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--block", type=int, default=20, help="steps per round")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="JSON file (default: bench/results/BACKEND_step.json)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    settings = options.backend, options.rounds, options.block
    rows = [measure(case, *settings) for case in cases]
    print(table(rows))
    out = options.out or Path(__file__).parent / "results" / f"{options.backend}_step.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(conditions(*settings) | {"rows": rows}, indent=2) + "\n", encoding="utf-8")
    return int(any("failure" in row for row in rows))


if __name__ == "__main__":
    sys.exit(main())
