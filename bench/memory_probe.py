"""The part of `bench.cpu_memory` that needs a fresh process: prints one JSON object."""

from __future__ import annotations

import argparse
import json
import resource
from functools import partial
from pathlib import Path
from typing import Any

import torch

from psinn_fast.kernels.contract import Term
from psinn_fast.kernels.cpu.extension import native
from psinn_fast.networks.mlp import MLP
from psinn_fast.problems import get_problem

from .peers import TrainStep
from .timing import alternate

STATUS = Path("/proc/self/status")
FORGET_PEAK = Path("/proc/self/clear_refs")


def _kibibytes(field: str) -> int:
    (line,) = (line for line in STATUS.read_text(encoding="utf-8").splitlines() if line.startswith(field + ":"))
    return int(line.split()[1])


def memory(step: TrainStep) -> dict[str, Any]:
    """MiB of resident memory at the peak of the call beyond those before it.

    ``ru_maxrss`` starts at the parent's size at the fork and remembers the imports. Linux can forget the peak; where
    it may not be told to, the growth of ``ru_maxrss`` is what is left, a lower bound.
    """
    try:
        FORGET_PEAK.write_text("5", encoding="utf-8")
        how = "VmHWM, reset before the call"
    except OSError:
        how = "growth of ru_maxrss, a lower bound"
    resident, maximum = _kibibytes("VmRSS"), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step.loss_and_gradient()
    if how.startswith("VmHWM"):
        extra = _kibibytes("VmHWM") - resident
    else:
        extra = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - max(resident, maximum)
    return {"extra_mebibytes": max(extra, 0) / 1024, "measured_by": how}


def nanoseconds(steps: dict[int, TrainStep], rounds: int) -> list[dict[int, float]]:
    """Per point, round by round; the small sizes as many times as makes the same number of points."""
    repeats = {n: max(steps) // n for n in steps}

    def evaluate(n: int, times: int) -> None:
        for _ in range(times):
            steps[n].loss_and_gradient()

    seconds = alternate(
        {str(n): partial(evaluate, n, repeats[n]) for n in steps},
        rounds,
        {str(n): partial(evaluate, min(steps), 1) for n in steps},
    )
    return [{n: seconds[str(n)][k] / (n * repeats[n]) * 1e9 for n in steps} for k in range(rounds)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.memory_probe", description=__doc__)
    parser.add_argument("what", choices=("memory", "time"))
    parser.add_argument("--points", type=int, nargs="+", required=True)
    parser.add_argument("--layers", type=int, nargs="+", required=True)
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    native()  # the library itself is not the call's memory
    net = MLP(options.layers, seed=0)
    program = get_problem("laplace").terms()[0].program
    points = torch.rand(1, max(options.points), 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    columns = points.new_empty(points.shape[1], program.n_columns)
    steps = {
        n: TrainStep(net.plan, net.theta, [Term("residual", program, points[:, :n], columns[:n])], options.backend)
        for n in options.points
    }
    if options.what == "memory":
        print(json.dumps(memory(steps[options.points[0]])))
    else:
        print(json.dumps({"nanoseconds_per_point": nanoseconds(steps, options.rounds)}))


if __name__ == "__main__":
    main()
