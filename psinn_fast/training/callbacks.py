"""Callbacks: what a user's own code is told while training goes on, and how it may end it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..kernels.errors import PsinnFastError
from ..networks.mlp import PsiMLP
from ..problem.problem import Problem
from .history import History
from .result import FitResult


class CallbackError(PsinnFastError, RuntimeError):
    """A callback raised an exception, its cause; weights and checkpoint are those reached."""


@dataclass(frozen=True)
class Progress:
    """Where training is.

    Attributes:
        row: the history's newest row, by column: ``step``, ``seconds``, ``loss``, every term, ...
        net: the network with that row's weights; what is changed in it is overwritten.
        problem: as it is trained.
        history: all rows so far.
    """

    row: Mapping[str, float]
    net: PsiMLP
    problem: Problem
    history: History

    @property
    def step(self) -> int:
        return int(self.row["step"])


class Callback:
    """The base of callbacks: any method may be left out. A function of a `Progress` is one, too: its `on_row`."""

    def on_row(self, progress: Progress) -> bool | None:
        """The history has a new row, about 400 times in a run; True ends training."""

    def on_checkpoint(self, path: Path) -> None:
        """The checkpoint was written to ``path``."""

    def on_end(self, result: FitResult) -> None:
        """Training ended, by itself, by a limit, a callback or a signal."""


class Callbacks:
    """Several of them, in order; what one raises ends training with a `CallbackError` that names it."""

    def __init__(self, given: tuple[Callback | Callable[[Progress], bool | None], ...]) -> None:
        self._given = given

    def on_row(self, progress: Progress) -> str | None:
        """The name of the first that wants to end training; all are told."""
        stops = [
            name
            for one in self._given
            if self._told(name := _name(one), "on_row", progress.step, partial(_row, one, progress))
        ]
        return stops[0] if stops else None

    def on_checkpoint(self, path: Path, step: int) -> None:
        for one in self._given:
            if isinstance(one, Callback):
                self._told(_name(one), "on_checkpoint", step, partial(one.on_checkpoint, path))

    def on_end(self, result: FitResult) -> None:
        for one in self._given:
            if isinstance(one, Callback):
                self._told(_name(one), "on_end", result.steps, partial(one.on_end, result))

    def _told(self, name: str, method: str, step: int, call: Callable[[], object]) -> bool:
        try:
            return call() is True
        except Exception as error:  # of a user's own code, which may raise anything
            raise CallbackError(
                f"callback {name}: its {method} failed at step {step} ({type(error).__name__}: {error}); the weights "
                "reached are kept in the network, and in the checkpoint, if there is one"
            ) from error


def _row(one: Callback | Callable[[Progress], bool | None], progress: Progress) -> bool | None:
    return one.on_row(progress) if isinstance(one, Callback) else one(progress)


def _name(one: object) -> str:
    return getattr(one, "__name__", type(one).__name__)
