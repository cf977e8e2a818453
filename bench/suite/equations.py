"""Equations that every contestant solves, written once for any array library.

A residual takes the array library ``xp`` (torch or jax.numpy), the columns of coordinates ``x`` and derivatives ``d``
by name: ``d["u"]``, ``d["xx"]``; ``d["lap"]`` stands for the sum of all second derivatives in space. `ours` has its
own, symbolic form; that both say the same is checked in float64 before anything is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Residual = Callable[[Any, Sequence[Any], Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Equation:
    """``needs``: derivatives beside u, each a string of coordinates or "lap". ``sides``: (axis, end) of the box's
    faces where u is given, 0 for the lower end; ``values`` are those of u there, from columns of coordinates."""

    name: str
    coordinates: str
    box: tuple[tuple[float, float], ...]
    needs: tuple[str, ...]
    residual: Residual
    sides: tuple[tuple[int, int], ...]
    values: Callable[..., Any]

    @property
    def order(self) -> int:
        return max((2 if need == "lap" else len(need) for need in self.needs), default=0)

    @property
    def space(self) -> tuple[int, ...]:
        """Axes that are not time."""
        return tuple(i for i, name in enumerate(self.coordinates) if name != "t")


def _all_sides(n: int) -> tuple[tuple[int, int], ...]:
    return tuple((axis, end) for axis in range(n) for end in (0, 1))


_UNIT = (-1.0, 1.0)
_VISCOSITY = 0.01 / np.pi
_WAVE = 2 * np.pi
# u = 0 at the walls, u = -sin(pi x) at first.
_IN_TIME = ((0, 0), (1, 0), (1, 1))


def _wave(xp: Any, columns: Sequence[Any], axis: int) -> Any:
    return xp.sin(_WAVE * columns[axis])


EQUATIONS = {
    equation.name: equation
    for equation in (
        Equation(
            "laplace", "xy", (_UNIT, _UNIT), ("lap",), lambda xp, x, d: d["lap"],
            _all_sides(2), lambda x, y: x**3 - 3 * x * y**2,
        ),
        Equation(
            "poisson", "xy", (_UNIT, _UNIT), ("lap",),
            lambda xp, x, d: d["lap"] + 2 * np.pi**2 * xp.sin(np.pi * x[0]) * xp.sin(np.pi * x[1]),
            _all_sides(2), lambda x, y: 0 * x,
        ),
        Equation(
            "helmholtz", "xy", ((0.0, 1.0), (0.0, 1.0)), ("lap",),
            lambda xp, x, d: d["lap"] + _WAVE**2 * d["u"] + _WAVE**2 * _wave(xp, x, 0) * _wave(xp, x, 1),
            _all_sides(2), lambda x, y: 0 * x,
        ),
        Equation(
            "burgers", "tx", ((0.0, 1.0), _UNIT), ("t", "x", "xx"),
            lambda xp, x, d: d["t"] + d["u"] * d["x"] - _VISCOSITY * d["xx"],
            _IN_TIME, lambda t, x: np.where(t == 0, -np.sin(np.pi * x), 0 * x),
        ),
        Equation(
            "korteweg-de vries", "tx", ((0.0, 1.0), _UNIT), ("t", "x", "xxx"),
            lambda xp, x, d: d["t"] + d["u"] * d["x"] + 0.0025 * d["xxx"],
            ((0, 0),), lambda t, x: np.cos(np.pi * x),
        ),
        Equation(
            "biharmonic", "xy", (_UNIT, _UNIT), ("xxxx", "xxyy", "yyyy"),
            lambda xp, x, d: d["xxxx"] + 2 * d["xxyy"] + d["yyyy"] - 1,
            _all_sides(2), lambda x, y: 0 * x,
        ),
        # For growth in the number of inputs and the order: no time, or one axis.
        Equation("transport", "xy", (_UNIT, _UNIT), ("x", "y"), lambda xp, x, d: d["x"] + d["y"],
                 ((0, 0), (1, 0)), lambda x, y: x - y),
        Equation("laplace 1d", "x", (_UNIT,), ("xx",), lambda xp, x, d: d["xx"], _all_sides(1), lambda x: x),
        Equation("laplace 3d", "xyz", (_UNIT,) * 3, ("lap",), lambda xp, x, d: d["lap"],
                 _all_sides(3), lambda x, y, z: x * y * z),
        Equation("heat 3d", "txyz", ((0.0, 1.0), *(_UNIT,) * 3), ("t", "lap"), lambda xp, x, d: d["t"] - d["lap"],
                 ((0, 0), *((axis, end) for axis in (1, 2, 3) for end in (0, 1))), lambda t, x, y, z: x + y + z),
    )
}  # fmt: skip
