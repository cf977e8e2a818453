"""Numbers as users give them: Python's, NumPy's or torch's. What is none, or might mean something else, is refused."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .errors import InputError, short

LARGEST_SEED = 2**32 - 1


def integer(name: str, value: object, least: int | None, *, most: int | None = None, other: str = "") -> int:
    """An integer from ``least`` to ``most``; ``other`` says what else the argument may be, e.g. ``"'auto' or "``.

    None is no limit; ``most`` needs a ``least``.

    Raises:
        InputError: anything else, also a bool, a float or an array of several numbers.
    """
    given = _scalar(value)
    try:
        number = None if given is None or isinstance(given, (float, np.floating)) else operator.index(given)
    except TypeError:
        number = None
    if number is None or (least is not None and number < least) or (most is not None and number > most):
        raise InputError(f"{name}: expected {other}an integer{_range(least, most)}, got {short(value)}")
    return number


def seed(name: str, value: object, *, derived: bool = False) -> int:
    """An integer from 0 to 2^32 - 1; to half of that where other seeds are ``derived`` from it by counting on."""
    return integer(name, value, 0, most=LARGEST_SEED // 2 if derived else LARGEST_SEED)


CONSTANT = (
    "a tensor that requires grad would be taken for a constant; write .detach() if its present value is meant, and "
    "PDE(..., unknown={...}) for a number to be found"
)


def number(
    name: str,
    value: object,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
    other: str = "",
    infinite: bool = False,
) -> float:
    """A real number, >= ``least``, > ``above`` and < ``below``; finite, unless ``infinite``.

    Raises:
        InputError: anything else, also a bool, a text or a complex number; a tensor that requires grad.
    """
    if _requires_grad(value):
        raise InputError(f"{name}: {CONSTANT}")
    given = _scalar(value)
    try:
        found = math.nan if given is None else float(given)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    in_range = found >= least and (found > above or above == -math.inf) and (found < below or below == math.inf)
    if not in_range or not (infinite or math.isfinite(found)):
        limits = ((">=", least), (">", above), ("<", below))
        range_ = " and ".join(f"{sign} {limit:g}" for sign, limit in limits if math.isfinite(limit))
        kind = "number" if infinite else "finite number"
        raise InputError(f"{name}: expected {other}a {kind}{range_ and ' ' + range_}, got {short(value)}")
    return found


def interval(name: str, value: object) -> tuple[float, float]:
    """Two finite numbers (low, high), low < high, whose difference is finite, too."""
    try:
        low, high = (number(name, end) for end in value)  # type: ignore[attr-defined]  # what is no pair is caught
        fits = low < high and math.isfinite(high - low)
    except (TypeError, ValueError):  # InputError, too
        fits = False
    if not fits:
        raise InputError(f"{name}: expected a finite interval (low, high) with low < high, got {short(value)}")
    return low, high


def flag(name: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise InputError(f"{name}: expected True or False, got {short(value)}")
    return bool(value)


def choice(name: str, value: object, allowed: Sequence[str], other: str = "") -> str:
    """One of some words."""
    if not isinstance(value, str) or value not in allowed:
        raise InputError(f"{name}: expected {other}one of {list(allowed)}, got {short(value)}")
    return value


def integers(name: str, value: object, least: int | None) -> tuple[int, ...]:
    """A sequence of integers >= ``least``, or of any where that is None, as a tuple."""
    try:
        items = list(value)  # type: ignore[call-overload]  # what cannot be listed is caught
    except TypeError:
        items = None
    if isinstance(value, (set, frozenset)):
        raise InputError(f"{name}: expected a sequence of integers, got a {type(value).__name__}, which has no order")
    if items is None or isinstance(value, (str, bytes, dict)):
        raise InputError(f"{name}: expected a sequence of integers{_range(least)}, got {short(value)}")
    if all(type(item) is int and (least is None or item >= least) for item in items):
        return tuple(items)
    return tuple(integer(f"{name}[{i}]", item, least) for i, item in enumerate(items))


def numbers(name: str, value: Any) -> npt.NDArray[np.float64]:
    """A read-only float64 copy of numbers in an array, a tensor on any device, or nested sequences.

    Raises:
        InputError: texts, bools, dates, objects, complex numbers, masked arrays (whose masked numbers NumPy would take
            for valid ones), sequences of unequal lengths; NaN or infinite numbers; tensors that require grad.
    """
    if _requires_grad(value):
        raise InputError(f"{name}: {CONSTANT}")
    array = real_array(name, value)
    bad = ~np.isfinite(array)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InputError(
            f"{name}: {int(bad.sum())} of {array.size} numbers are NaN or infinite, first at index {where}"
        )
    array.setflags(write=False)
    return array


def real_array(name: str, value: Any) -> npt.NDArray[np.float64]:
    """As `numbers`, but writable, and NaN, infinity and a tensor that requires grad pass."""
    if _holds(value, np.ma.MaskedArray):
        raise InputError(f"{name}: expected numbers, got a masked array; give its valid entries alone")
    try:
        if isinstance(value, torch.Tensor):
            if value.is_complex() or value.dtype == torch.bool:
                raise InputError(f"{name}: expected real numbers, got a tensor of {value.dtype}")
            # float64 before NumPy, which has no bfloat16.
            return np.array(value.detach().to("cpu", torch.float64).resolve_neg().numpy(), dtype=np.float64)
        array = np.asarray(value)
        # NumPy takes bools beside numbers for 0 and 1.
        if array.dtype.kind in "iuf" and isinstance(value, (list, tuple)) and _holds_bools(value):
            array = np.zeros(1, dtype=bool)
        if array.dtype.kind in "iuf":
            return np.array(array, dtype=np.float64, subok=False)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name}: expected numbers ({error})") from None
    kind = {"c": "complex numbers", "b": "bools", "U": "texts", "S": "bytes", "M": "dates", "m": "time spans"}
    advice = {"c": "; take its .real part", "b": "; write .astype(float) if 0 and 1 are meant"}.get(
        array.dtype.kind, ""
    )
    found = kind.get(array.dtype.kind) or f"objects such as {_first(array)}"
    raise InputError(f"{name}: expected real numbers, got {found}{advice}")


def floating_dtype(name: str, value: object) -> torch.dtype:
    """torch.float32 or torch.float64 from themselves, their names, or NumPy's types.

    Raises:
        InputError: anything else.
    """
    if isinstance(value, torch.dtype):
        text = str(value).removeprefix("torch.")
    elif isinstance(value, str):
        text = value.removeprefix("torch.")
    else:
        try:
            text = "" if value is None else np.dtype(value).name  # type: ignore[call-overload]  # may raise: caught
        except TypeError:
            text = ""
    known = {"float32": torch.float32, "float64": torch.float64}
    if text not in known or value is float:  # np.dtype(float) is float64, a Python float means "some number"
        raise InputError(f"{name}: expected one of {list(known)}, got {short(value)}")
    return known[text]


def _range(least: int | None, most: int | None = None) -> str:
    if least is None:
        return ""
    return f" >= {least}" if most is None else f" from {least} to {most}"


def _scalar(value: object) -> Any:
    """The one number that a value holds, or None for what is no number or several."""
    if isinstance(value, torch.Tensor):
        if value.dim() or value.dtype == torch.bool or value.is_complex():
            return None
        return value.detach().item()
    if isinstance(value, np.ndarray):
        if value.ndim or isinstance(value, np.ma.MaskedArray):
            return None
        value = value[()]
    if isinstance(value, (bool, str, bytes, complex)):
        return None
    if isinstance(value, np.generic) and not isinstance(value, (np.integer, np.floating)):
        return None
    return value


def _requires_grad(value: object) -> bool:
    """Whether it is a tensor that does, or a part of nested sequences is."""
    if isinstance(value, (list, tuple)):
        return any(map(_requires_grad, value))
    return isinstance(value, torch.Tensor) and value.requires_grad


def _holds(value: object, kind: type) -> bool:
    """Whether it is of a kind, or a part of nested sequences is."""
    if isinstance(value, (list, tuple)):
        return any(_holds(item, kind) for item in value)
    return isinstance(value, kind)


def _holds_bools(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_holds_bools, value))
    return isinstance(value, bool) or str(getattr(value, "dtype", "")) in ("bool", "torch.bool")


def _first(array: npt.NDArray[Any]) -> str:
    """A short word on the first entry."""
    if not array.size:
        return array.dtype.name
    item = array.ravel()[0]
    return f"{short(item)} ({type(item).__name__})"
