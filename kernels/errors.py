"""Errors of the library. Every message names the thing that is wrong, what came and what was expected."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any


class PsinnFastError(Exception):
    """Base of every error that psinn_fast raises on purpose.

    Where it ended a training, ``result`` is the `FitResult` of the weights that are kept, from which ``Options(resume=
    error.result)`` goes on without any file, and ``net`` is the network with these weights. Otherwise both are None.
    """

    result: Any = None

    @property
    def net(self) -> Any:
        return None if self.result is None else self.result.net


class InputError(PsinnFastError, ValueError):
    """An argument has the wrong shape, type, name or value."""


class BackendUnavailable(PsinnFastError, RuntimeError):
    """A backend was asked for by name and cannot run here; the message says why."""


class BackendLimit(InputError):
    """More than a backend can take, layers too wide for instance. ``"auto"`` then goes on with another one."""


class GradientError(PsinnFastError, RuntimeError):
    """Autograd was asked for a derivative that is not there; the message says how to get it."""


class CheckpointError(PsinnFastError):
    """A saved file cannot be read, or belongs to something else."""


class TrainingError(PsinnFastError, RuntimeError):
    """An exception of another kind, the cause, ended training: in an optimiser, weighting or backend of the user's own,
    or for lack of memory. What was reached is kept: network, checkpoint, ``result``."""


class DivergedError(PsinnFastError, ArithmeticError):
    """Training met NaN or infinity. The last good weights are kept; the message says where it happened."""


class OutputWarning(UserWarning):
    """Results could not be written, on a full disk for instance; what was computed is returned all the same."""


class CheckpointWarning(OutputWarning):
    """A checkpoint could not be written; training goes on, and the next one may succeed. Or that of an earlier run was
    in the place of a new one, and is kept beside it."""


def short(value: object, most: int = 80) -> str:
    """``repr(value)`` on one line, cut to what fits into a message, whatever it is."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python prints no integers of thousands of digits
        text = f"a {type(value).__name__} too long to print"
    return text if len(text) <= most else text[: most - 3] + "..."


def one_line(error: BaseException, most: int = 300) -> str:
    """What another library's error says, cut to what fits into a message."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= most else text[: most - 3] + "..."


@cache
def say_once(message: str) -> None:
    """A RuntimeWarning, the first time that there is cause for it."""
    warnings.warn(message, RuntimeWarning, stacklevel=3)
