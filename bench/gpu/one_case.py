"""Each named kernel once, for tools that watch a process: ``python -m bench.gpu.one_case loss train``."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence

import torch

from psinn_fast.kernels.triton.backend import TritonBackend

from .accuracy import KERNELS, outcome
from .cases import case_of, structures
from .ours import ours
from .settings import Settings


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu.one_case", description=__doc__)
    parser.add_argument("kernels", nargs="*", choices=KERNELS)
    parser.add_argument("--networks", nargs="+", choices=structures(quick=False), default=["psi-32"])
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--evaluations", type=int, default=0, help="also so many losses with gradients")
    parser.add_argument("--limit", type=int, default=300, help="seconds; then it ends itself, whatever its parent does")
    parser.add_argument("--interpret", action="store_true")
    options = parser.parse_args(arguments)
    signal.alarm(options.limit)
    settings = Settings(interpret=options.interpret)
    for network in options.networks:
        case = case_of(network, options.points, settings)
        for kernel in options.kernels:
            outcome(kernel, TritonBackend(), case, torch.float32, steps=1)  # one step needs no CUDA graph
        for _ in range(options.evaluations):
            ours(case).loss_and_gradient()


if __name__ == "__main__":
    main()
