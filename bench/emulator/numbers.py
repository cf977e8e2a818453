"""PTX's types as NumPy's, and its constants."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .faults import NotModelled

# One number for each thread, or one for all of them.
Values: TypeAlias = npt.NDArray[Any]

TYPES: dict[str, np.dtype[Any]] = {
    "pred": np.dtype(np.bool_),
    **{f"{kind}{bits}": np.dtype(f"uint{bits}") for kind in "bu" for bits in (8, 16, 32, 64)},
    **{f"s{bits}": np.dtype(f"int{bits}") for bits in (8, 16, 32, 64)},
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
    "tf32": np.dtype(np.uint32),
}


def type_of(kind: str) -> np.dtype[Any]:
    if kind not in TYPES:
        raise NotModelled(f"type {kind}")
    return TYPES[kind]


def width(kind: str) -> int:
    """In bytes."""
    return type_of(kind).itemsize


def constant(text: str, kind: str) -> Values:
    """``0f3F800000``, ``0d...``: the bits of a float; an integer, of which the type takes the lowest bits."""
    dtype = type_of(kind)
    if kind == "pred":
        return np.array(int(text.rstrip("U"), 0) != 0)
    if text[:2] in ("0f", "0F"):
        return _of_bits(int(text[2:], 16), np.dtype(np.uint32), dtype)
    if text[:2] in ("0d", "0D"):
        return _of_bits(int(text[2:], 16), np.dtype(np.uint64), dtype)
    return _of_bits(int(text.rstrip("U"), 0), np.dtype(f"uint{8 * dtype.itemsize}"), dtype)


def _of_bits(bits: int, unsigned: np.dtype[Any], dtype: np.dtype[Any]) -> Values:
    found = np.array(bits & (1 << 8 * unsigned.itemsize) - 1, unsigned)
    return found.view(dtype) if dtype.itemsize == unsigned.itemsize else found.astype(dtype)


def is_constant(text: str) -> bool:
    return text[:1].isdigit() or (text[:1] == "-" and text[1:2].isdigit())
