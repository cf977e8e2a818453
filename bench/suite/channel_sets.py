"""Sets of derivatives that a network may have to carry, each as an equation whose residual reads it all.

All derivatives of an order are there, in 1 to 4 inputs, and what equations and nested autograd ask for; the last ones
have no code of their own in the kernels. What a step of one costs is divided by its channels, those below included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement
from typing import Any

from .equations import Equation

LAPLACIAN = "u x y lap"
_INPUTS = {1: "x", 2: "xy", 3: "xyz", 4: "txyz"}


def _all(coordinates: str, order: int) -> tuple[str, ...]:
    return tuple(map("".join, combinations_with_replacement(coordinates, order)))


# Coordinates, and the derivatives whose closure the set is.
_SETS: dict[str, tuple[str, tuple[str, ...]]] = {
    LAPLACIAN: ("xy", ("lap",)),
    "u": ("xy", ()),
    **{f"order {order}, {d} inputs": (xs, _all(xs, order)) for d, xs in _INPUTS.items() for order in range(1, 5)},
    "u t x xx": ("tx", ("t", "xx")),
    "u t x xx xxx": ("tx", ("t", "xxx")),
    "u t x xx xxx xxxx": ("tx", ("t", "xxxx")),
    "u x y xx yy": ("xy", ("xx", "yy")),
    "xxxx xxyy yyyy": ("xy", ("xxxx", "xxyy", "yyyy")),
    "u x y z lap": ("xyz", ("lap",)),
    "u t x y lap": ("txy", ("t", "lap")),
    "u t x y xx yy": ("txy", ("t", "xx", "yy")),
    "u x y z xx yy zz": ("xyz", ("xx", "yy", "zz")),
    "u t x y z lap": ("txyz", ("t", "lap")),
    "u t x xx xt": ("tx", ("tx", "xx")),
    "u t x xx xxt": ("tx", ("txx",)),
    "u x y xy xx yy xxy": ("xy", ("xxy", "yy")),
    "u x y xx lap": ("xy", ("xx", "lap")),
    "u x y z xx xy yy": ("xyz", ("xx", "xy", "yy", "z")),
    "u t x y z xx yy zz": ("txyz", ("t", "xx", "yy", "zz")),
}


def weighted(needs: Sequence[str], d: Mapping[str, Any]) -> Any:
    """u + 1 d_1 + 2 d_2 + ...: of unequal weights, since equal ones would make a Laplacian of second derivatives."""
    return sum((number * d[need] for number, need in enumerate(needs, 1)), start=d["u"])


def _equation(name: str, coordinates: str, needs: tuple[str, ...]) -> Equation:
    return Equation(
        name, coordinates, ((-1.0, 1.0),) * len(coordinates), needs, lambda xp, x, d: weighted(needs, d),
        ((0, 0),), lambda *x: 0 * x[0],
    )  # fmt: skip


CHANNEL_SETS = {name: _equation(name, *found) for name, found in _SETS.items()}
