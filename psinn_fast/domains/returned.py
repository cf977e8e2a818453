"""What methods of a user's class return, with errors that name them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..kernels import checks
from ..kernels.errors import InputError

Points = npt.NDArray[np.float64]


def called(what: str, function: Callable[[], Any], where: str = "") -> Any:
    """What the function returns; ``what`` names it, and ``where`` says what it was asked for, if that does not."""
    try:
        return function()
    except InputError:
        raise
    except Exception as error:  # the method is the user's: it may raise anything
        raise InputError(f"{what}: it failed{where and ' ' + where} ({type(error).__name__}: {error})") from error


def vectors(what: str, returned: object, shape: tuple[int, int]) -> Points:
    """As finite float64 numbers (N, d)."""
    given = checks.numbers(what, returned)
    if given.shape != shape:
        raise InputError(f"{what}: expected shape {shape}, got {given.shape}")
    return given
