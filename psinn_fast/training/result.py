"""What training returns, whatever the optimiser, and what it checks before it starts."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

from ..kernels.errors import InputError
from ..networks import PsiMLP
from ..problem import Problem
from .history import History
from .interrupt import Interrupted


@dataclass(frozen=True)
class FitResult:
    """``status``: "done", "time limit" or "interrupted". ``losses`` by term (unweighted), at the final weights.

    ``stopped_by``: "steps", "seconds", "interrupt", or what Gauss-Newton found (see `GaussNewton`); ``solver``: how it
    solved its equations, in order of first use.
    """

    status: str
    steps: int
    seconds: float
    losses: dict[str, float]
    coefficients: dict[str, float]
    history: History
    stopped_by: str = "steps"
    solver: str | None = None


class TrainingInterrupted(Interrupted):
    """Ctrl-C, SIGTERM or SIGHUP during training; the checkpoint is written. ``result`` says how far it came."""

    def __init__(self, result: FitResult, number: int = signal.SIGINT) -> None:
        super().__init__(f"training interrupted at step {result.steps}", number)
        self.result = result


def check_fit(problem: Problem, net: PsiMLP, seconds: float | None) -> None:
    """The network has the problem's inputs and outputs, the time limit is a number."""
    expected = (len(problem.pde.coords), len(problem.pde.fields))
    if (net.structure.n_inputs, net.structure.n_outputs) != expected:
        raise InputError(
            f"net: problem {problem.name!r} has {expected[0]} inputs and {expected[1]} outputs, "
            f"the network {net.structure.n_inputs} and {net.structure.n_outputs}"
        )
    if seconds is not None and not seconds >= 0:
        raise InputError(f"seconds: expected a number >= 0, got {seconds!r}")


def divergence(what: str, failed_at: int, kept: int, path: Path | None, advice: str) -> str:
    """The message of a `DivergedError`."""
    where = f" and in {path}" if path is not None else ""
    return (
        f"training diverged: {what} became NaN or infinite at step {failed_at}; "
        f"the weights of step {kept} are kept in the network{where}. {advice}"
    )
