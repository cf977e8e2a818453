"""What a network of one's own costs on a chip: ``python -m bench.static.own laplace --method psi --chips 89``.

Problem and network as `psinn-fast solve` takes them; compiled and emulated, nothing is timed. The residual term alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from psinn_fast.building import build_network
from psinn_fast.cli.chosen import chosen_network, chosen_problem
from psinn_fast.cli.options import network_options, precision_option, problem_options
from psinn_fast.kernels.contract import Term
from psinn_fast.kernels.errors import PsinnFastError
from psinn_fast.problem.problem import Problem

from .cases import CHIPS, StaticCase
from .rows import measured
from .table import line, resources


@dataclass(frozen=True, kw_only=True)
class OwnCase(StaticCase):
    own: Problem

    def term(self) -> Term:
        return self.own.terms(self.dtype)[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 2 for bad input."""
    options = _parser().parse_args(arguments)
    try:
        problem = chosen_problem(options)
        if problem.pde.unknown:
            print("problem: kernels with unknown coefficients are not counted here", file=sys.stderr)
            return 2
        net = build_network(problem, chosen_network(problem, options))
    except PsinnFastError as error:
        print(error, file=sys.stderr)
        return 2
    name = "-".join(map(str, net.structure.layer_sizes))
    case = OwnCase(name, lambda: net.structure, problem.name, net.theta.dtype, options.precision or "ieee", own=problem)
    for chip in options.chips:
        row = {"case": case.name, "precision": case.kind, "chip": f"sm_{chip}"} | measured(case, chip)
        print(line(row), resources(row), sep="\n", flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.static.own", description=__doc__.splitlines()[0])
    problem_options(parser)
    network_options(parser)
    parser.add_argument("--dtype", help="float32 or float64")
    precision_option(parser)
    parser.add_argument("--chips", type=int, nargs="+", choices=CHIPS, default=[89])
    parser.set_defaults(device="cpu")
    return parser


if __name__ == "__main__":
    sys.exit(main())
