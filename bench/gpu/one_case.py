"""Each named kernel once, for tools that watch a process: ``python -m bench.gpu.one_case loss train``."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence

import torch

from psinn_fast.kernels.triton.backend import TritonBackend

from .accuracy import KERNELS, outcome
from .cases import case_of, structures
from .laplace.case import Case
from .settings import Settings


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu.one_case", description=__doc__)
    parser.add_argument("kernels", nargs="*", choices=KERNELS)
    parser.add_argument("--networks", nargs="+", choices=structures(quick=False), default=["psi-32"])
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--precision", choices=("ieee", "tf32x3"), default="ieee")
    parser.add_argument(
        "--residual", type=int, nargs="+", default=[], metavar="N",
        help="also the residual term alone, on each of these numbers of points, loss and gradient",
    )  # fmt: skip
    parser.add_argument("--limit", type=int, default=300, help="seconds; then it ends itself, whatever its parent does")
    parser.add_argument("--interpret", action="store_true")
    options = parser.parse_args(arguments)
    signal.alarm(options.limit)
    settings = Settings(interpret=options.interpret)
    for network in options.networks:
        case = case_of(network, options.points, settings)
        backend = TritonBackend(options.precision)
        for kernel in options.kernels:
            outcome(kernel, backend, case, torch.float32, steps=1)  # one step needs no CUDA graph
        for points in options.residual:
            residual(backend, case_of(network, points, settings))


def residual(backend: TritonBackend, case: Case) -> None:
    net, term = case.network(), case.terms()[0]
    theta = net.theta.detach()
    backend.loss_and_gradient(net.plan, theta, theta.new_empty(0), [term], theta.new_ones(1))


if __name__ == "__main__":
    main()
