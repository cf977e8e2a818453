"""Callbacks: what a user's own code is told while training goes on, and how it may end it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from ..kernels.errors import InputError, TrainingError, short
from ..networks.mlp import PsiMLP
from ..problem.problem import Problem
from .history import History
from .result import FitResult


class CallbackError(TrainingError):
    """A callback raised an exception, its cause, or returned what it must not; what was reached is kept.

    ``name``: the callback's.
    """

    name: str = ""


class Progress:
    """Where training is. It may be kept: none of it changes as training goes on.

    Attributes:
        row: the history's newest row, by column: ``step``, ``seconds``, ``loss``, every term, ...
        problem: as it is trained.
    """

    def __init__(self, row: Mapping[str, float], net: PsiMLP, problem: Problem, history: History) -> None:
        self.row, self.problem = row, problem
        # What is copied for every row is little; the rest is, once it is asked for.
        self._theta, self._trained, self._history = net.theta.detach().clone(), net, History(history.columns)
        self._history.rows = history.rows

    @property
    def step(self) -> int:
        return int(self.row["step"])

    @cached_property
    def net(self) -> PsiMLP:
        """The network with the row's weights: a copy, frozen (``requires_grad`` is False), to be kept or changed."""
        trained = self._trained
        weights = nn.Parameter(self._theta, requires_grad=False)
        return copy.deepcopy(trained, {id(trained.theta): weights, id(trained.structure): trained.structure})

    @cached_property
    def history(self) -> History:
        """All rows so far, the newest one included: a copy."""
        return History(self._history.columns, self._history.rows)


class Callback:
    """The base of callbacks: any method may be left out, but not all. A function of a `Progress` is one, too: its
    `on_row`.

    What it keeps in itself is its own: it is neither saved nor reset, which `on_start` is for.
    """

    def on_start(self) -> None:
        """A training begins, or goes on where it was resumed: once, however many optimisers it has."""

    def on_row(self, progress: Progress) -> bool | None:
        """The history has a new row, about 400 times in a run; True ends training, also NumPy's or a tensor's."""

    def on_checkpoint(self, path: Path) -> None:
        """The checkpoint was written to ``path``."""

    def on_end(self, result: FitResult) -> None:
        """Training ended, by itself, by a limit, a callback or a signal, but not by an error."""


_METHODS = ("on_start", "on_row", "on_checkpoint", "on_end")


def check_callback(one: object) -> None:
    """
    Raises:
        InputError: neither a `Callback` nor a function; one with a method ``on_...`` that nothing calls, or with none.
    """
    if isinstance(one, type) or not (isinstance(one, Callback) or callable(one)):
        raise InputError(f"callbacks: expected a Callback or a function of a Progress, got {short(one)}")
    if not isinstance(one, Callback):
        return
    kind = type(one)
    for name in dir(kind):
        if name.startswith("on_") and name not in _METHODS and callable(getattr(kind, name)):
            raise InputError(f"callbacks: {kind.__name__}.{name} is never called; methods are {list(_METHODS)}")
    if all(getattr(getattr(one, name), "__func__", None) is getattr(Callback, name) for name in _METHODS):
        raise InputError(f"callbacks: {kind.__name__} has none of the methods {list(_METHODS)}, so it does nothing")


class Callbacks:
    """Several of them, in order; what one raises ends training with a `CallbackError` that names it."""

    def __init__(self, given: tuple[Callback | Callable[[Progress], bool | None], ...]) -> None:
        self._given = given

    def on_start(self, step: int) -> None:
        """``step``: where training is resumed, or 0."""
        for one in self._given:
            if isinstance(one, Callback):
                self._told(_name(one), "on_start", step, one.on_start)

    def on_row(self, progress: Progress) -> str | None:
        """The name of the first that wants to end training; all are told."""
        stops = list[str]()
        for one in self._given:
            name = _name(one)
            answer = self._told(name, "on_row", progress.step, partial(_row, one, progress))
            if _is_yes(name, progress.step, answer):
                stops.append(name)
        return stops[0] if stops else None

    def on_checkpoint(self, path: Path, step: int) -> None:
        for one in self._given:
            if isinstance(one, Callback):
                self._told(_name(one), "on_checkpoint", step, partial(one.on_checkpoint, path))

    def on_end(self, result: FitResult) -> None:
        for one in self._given:
            if isinstance(one, Callback):
                self._told(_name(one), "on_end", result.steps, partial(one.on_end, result))

    def _told(self, name: str, method: str, step: int, call: Callable[[], object]) -> object:
        try:
            return call()
        except Exception as error:  # of a user's own code, which may raise anything
            raise _callback_error(
                name, f"its {method} failed at step {step} ({type(error).__name__}: {error})"
            ) from error


def _callback_error(name: str, what: str) -> CallbackError:
    error = CallbackError(
        f"callback {name}: {what}; the weights reached are kept in the network, and in the checkpoint, if there is one"
    )
    error.name = name
    return error


def _is_yes(name: str, step: int, answer: object) -> bool:
    if answer is None:
        return False
    if isinstance(answer, (Tensor, np.ndarray)) and answer.ndim == 0:
        answer = answer.item()
    if isinstance(answer, (bool, np.bool_)):
        return bool(answer)
    raise _callback_error(
        name, f"at step {step} it returned {short(answer)}, and not True (end training), False or None (go on)"
    )


def _row(one: Callback | Callable[[Progress], bool | None], progress: Progress) -> bool | None:
    return one.on_row(progress) if isinstance(one, Callback) else one(progress)


def _name(one: object) -> str:
    return getattr(one, "__name__", type(one).__name__)
