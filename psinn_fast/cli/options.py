"""What the command line takes: commands, options, help."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

from ..building import DTYPES, METHODS
from ..discovery.options import SEEDS, STEPS, TESTS
from ..discovery.student import StudentSettings
from ..kernels.contract.precision import OFFERED
from ..kernels.language.activations import ACTIVATIONS
from ..kernels.language.regularizer import KINDS
from ..pipeline import TEACHER_STEPS
from ..problems import PROBLEMS
from ..reproduction.plan import N_SEEDS, SETTINGS
from ..training.optimisers.named import AUTO, OPTIMIZERS, WARMUP
from ..training.weighting import WEIGHTINGS


class _Unabbreviated(argparse.ArgumentParser):
    """An option that is cut short may be another one in the next version. Commands get parsers of this class, too."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)


def parser(commands: Mapping[str, Callable[[argparse.Namespace], int]]) -> argparse.ArgumentParser:
    """The parser; ``commands``: what does each of them."""
    made = _Unabbreviated(
        prog="psinn-fast", description="Train small networks on PDEs: PINNs, and Psi-NNs with tied weights."
    )
    made.add_argument("--version", action="version", version=f"%(prog)s {metadata.version('psinn_fast')}")
    parsers = made.add_subparsers(required=True, metavar="COMMAND")

    doctor = parsers.add_parser("doctor", help="what this machine offers: versions, backends, threads")
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    doctor.add_argument("--self-test", action="store_true", help="compare all kernels with autograd: a few seconds")
    doctor.set_defaults(command=commands["doctor"])

    one = parsers.add_parser("solve", help="train one network on a problem")
    _common(one)
    network_options(one)
    one.add_argument("--optimizer", choices=(AUTO, *OPTIMIZERS), default=AUTO, help="default: %(default)s")
    one.add_argument("--warmup", type=int, metavar="N", help=f"Adam's part of adam+gauss-newton (default: {WARMUP})")
    one.add_argument("--milestones", metavar="N,N", help="steps at which the learning rate drops to a tenth")
    one.add_argument(
        "--weighting", choices=WEIGHTINGS, help="what the terms of the loss weigh (default: what the problem says)"
    )
    one.add_argument("--dtype", choices=DTYPES, help="default: float32 for adam, else float64; auto takes what it says")
    one.add_argument("--seconds", type=float, metavar="S", help="stop after this time")
    one.set_defaults(command=commands["solve"])

    ahead = parsers.add_parser("compile", help="compile a problem's kernels for a GPU, before it is trained there")
    _which_problem(ahead)
    network_options(ahead)
    ahead.add_argument("--device", metavar="D", help="cuda or e.g. cuda:1, for which they are compiled (default: cuda)")
    ahead.add_argument("--chip", metavar="sm_89", help="instead of --device: for a GPU that is not here, Adam's kernel")
    _numbers(ahead)
    ahead.add_argument("--optimizer", choices=OPTIMIZERS, default="adam", help="default: %(default)s")
    ahead.add_argument("--dtype", choices=DTYPES, help="default: float32 for adam, else float64")
    ahead.add_argument("--json", action="store_true", help="print one JSON object")
    ahead.set_defaults(command=commands["compile"], steps=2, lr=None, milestones=None, seed=None)

    find = parsers.add_parser("discover", help="find the relation matrix R, and what speaks for it")
    _any_problem(find)
    find.add_argument("--teacher", metavar="FILE", help="a weights.safetensors to distil, beside the networks trained")
    find.add_argument("--seeds", type=int, metavar="N", help=f"dense networks (default: {SEEDS})")
    find.add_argument("--seconds", type=float, metavar="S", help="limit for each network's training")
    _discovery_options(find, "--steps")
    find.set_defaults(command=commands["discover"])

    pipeline = parsers.add_parser("run", help="the whole pipeline, then PINN, PINN-post and Psi-NN side by side")
    _common(pipeline)
    _discovery_options(pipeline, "--discovery-steps")
    pipeline.add_argument(
        "--teacher-steps",
        type=int,
        metavar="N",
        help=f"L-BFGS steps that go on with Adam's teacher (default: {TEACHER_STEPS})",
    )
    pipeline.add_argument("--optimizer", choices=("adam", "gauss-newton"), default="adam", help="default: %(default)s")
    pipeline.add_argument("--dtype", choices=DTYPES, help="default: float32 for adam, else float64")
    pipeline.add_argument("--seconds", type=float, metavar="S", help="limit for each network's training")
    pipeline.add_argument("--paper", action="store_true", help="the paper's full step counts and learning rate")
    pipeline.set_defaults(command=commands["run"])

    again = parsers.add_parser("reproduce", help="the paper's problems and networks, all of them, and a report")
    _reproduction_options(again)
    again.set_defaults(command=commands["reproduce"], continued="run the same command again to go on")

    where = parsers.add_parser("profile", help="where a network's time goes, by operation and by kernel")
    problem_options(where)
    network_options(where)
    _device(where, "where it is timed")
    where.add_argument("--dtype", choices=DTYPES, help="default: float32")
    precision_option(where)
    where.add_argument("--steps", type=int, default=200, metavar="N", help="of Adam, in a call (default: %(default)s)")
    where.add_argument("--picture", metavar="FILE.png", help="where a step's time goes, as bars on top of each other")
    where.add_argument("--trace", metavar="FILE", help="the timeline as JSON, for ui.perfetto.dev")
    where.set_defaults(command=commands["profile"])
    return made


def problem_options(parser: argparse.ArgumentParser) -> None:
    """What `chosen_problem` reads, and where and how it is computed."""
    _which_problem(parser)
    parser.add_argument("--backend", default="auto", help="auto, or one that doctor names (default: %(default)s)")
    parser.add_argument("--seed", type=int, metavar="S", help="of the initial weights (default: 0)")
    parser.add_argument("--threads", type=int, metavar="T", help="CPU threads (default: torch's)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _which_problem(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("problem", metavar="PROBLEM", help=", ".join(PROBLEMS))
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="e.g. nu=0.04/pi")


def _any_problem(parser: argparse.ArgumentParser) -> None:
    problem_options(parser)
    parser.add_argument("--out", metavar="DIR", help="folder for results, weights, history and pictures")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def network_options(parser: argparse.ArgumentParser) -> None:
    """What `chosen_network` reads, but for type and device."""
    parser.add_argument("--method", choices=METHODS, default="pinn", help="default: %(default)s")
    parser.add_argument(
        "--structure", metavar="paper|FILE", help="for psi: the published structure or a structure.json"
    )
    parser.add_argument("--width", type=int, metavar="N", help="for psi: scales the structure's blocks; 1: as they are")
    parser.add_argument("--layers", metavar="2,8,8,16,1", help="for pinn and pinn-post: layer sizes")
    parser.add_argument(
        "--activation", choices=list(ACTIVATIONS), help="of hidden layers (default: tanh, or --structure's)"
    )


def _device(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--device", default="cpu", metavar="D", help=f"cpu, cuda or e.g. cuda:1, {what} (default: %(default)s)"
    )


def _numbers(parser: argparse.ArgumentParser) -> None:
    """In which numbers it is computed."""
    parser.add_argument(
        "--no-scaling", action="store_true", help="networks see coordinates, fields and residuals as they are"
    )
    precision_option(parser)


def precision_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--precision", choices=OFFERED, help="of products in float32, where the GPU knows another (default: ieee)"
    )


def _common(parser: argparse.ArgumentParser) -> None:
    _any_problem(parser)
    parser.add_argument("--steps", type=int, metavar="N", help="steps of each network (default: the problem's)")
    parser.add_argument("--lr", type=float, metavar="R", help="learning rate (default: the problem's)")
    _device(parser, "where networks are trained")
    _numbers(parser)
    parser.set_defaults(continued="continue with --resume")
    parser.add_argument("--resume", action="store_true", help="continue the run whose checkpoint is in --out")


def _reproduction_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="DIR", default="results/reproduction", help="folder (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a few steps of one seed, to see that everything works")
    parser.add_argument("--problems", metavar="P,P", help="default: all of the paper's")
    parser.add_argument("--seeds", type=int, metavar="N", help=f"runs of each network (default: {N_SEEDS})")
    parser.add_argument("--only", choices=SETTINGS, help="the paper's setting (Adam), or ours (Gauss-Newton)")
    parser.add_argument(
        "--steps",
        action="append",
        default=[],
        metavar="PROBLEM=N",
        help="of Adam, e.g. cylinder=60000 (default: the paper's)",
    )
    parser.add_argument("--seconds", type=float, metavar="S", help="limit for each training by Gauss-Newton")
    parser.add_argument("--report-only", action="store_true", help="train nothing: the report of what is in --out")
    parser.add_argument("--backend", default="auto", help="auto, or one that doctor names (default: %(default)s)")
    parser.add_argument("--threads", type=int, metavar="T", help="CPU threads (default: torch's)")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def _discovery_options(parser: argparse.ArgumentParser, steps: str) -> None:
    defaults = StudentSettings()
    parser.add_argument(
        "--tests", default=",".join(TESTS), metavar="T,T", help="what discovery looks at (default: %(default)s)"
    )
    parser.add_argument(
        steps, dest="discovery_steps", type=int, metavar="N",
        help=f"of Gauss-Newton, for each network that discovery trains (default: {STEPS})",
    )  # fmt: skip
    parser.add_argument(
        "--threshold", metavar="D", help="clustering distance of the students, in the paper 0.1 (default: auto)"
    )
    parser.add_argument("--student", metavar="8,8,8", help="hidden layer sizes of the student (default: the problem's)")
    penalty = defaults.regularizer
    parser.add_argument("--regularizer", choices=KINDS, help=f"of the student (default: {penalty.kind})")
    parser.add_argument("--strength", type=float, metavar="B", help=f"default: {penalty.strength:g}")
    parser.add_argument("--starts", type=int, metavar="N", help=f"students (default: {defaults.starts})")
    parser.add_argument("--student-steps", type=int, metavar="N", help=f"default: {defaults.steps}")
