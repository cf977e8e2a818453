"""Gradient, divergence and Laplacian of expressions in a residual function, over the spatial coordinates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp

from ..kernels.errors import InputError
from .cartesian import use
from .fields import SymbolicField
from .names import Names, normal, split_names
from .scope import current_scope

Axes = Names | Sequence[sp.Symbol] | None


def grad(expression: Any, coords: Axes = None) -> sp.Matrix:
    """(d expression / dx_1, ..., d expression / dx_n) as a SymPy column, which numbers and matrices multiply.

    Args:
        expression: of fields and coordinates, e.g. ``u`` or ``k * u.x``.
        coords: names (or symbols) of the x_i, e.g. ``"x y"``; default: the PDE's coordinates but time.

    Raises:
        InputError: a list instead of one expression, unknown coordinates, outside of a residual function.
    """
    expression = _scalar(expression, "grad")
    return sp.Matrix([sp.diff(expression, x) for x in _axes(coords, "grad")])


def div(vector: Any, coords: Axes = None) -> Any:
    """sum_i d vector_i / dx_i, e.g. ``div(k * grad(u))``; of a matrix the column of its rows' divergences.

    Args:
        vector: as many expressions as there are coordinates; or a matrix with that many columns.
        coords: as for `grad`.

    Raises:
        InputError: as `grad`; another number of components than of coordinates.
    """
    if isinstance(vector, sp.MatrixBase) and min(vector.shape) > 1:
        return sp.Matrix([div(list(vector.row(i)), coords) for i in range(vector.rows)])
    if not isinstance(vector, (list, tuple, sp.Tuple, sp.MatrixBase)):
        raise InputError(f"div: expected a list of expressions, one for each coordinate, got {type(vector).__name__}")
    parts = [_scalar(part, "div") for part in vector]
    axes = _axes(coords, "div")
    if len(parts) != len(axes):
        names = ", ".join(map(str, axes))
        raise InputError(f"div: expected {len(axes)} components, one for each of {names}, got {len(parts)}")
    return sp.Add(*(sp.diff(part, x) for part, x in zip(parts, axes, strict=True)))


def lap(expression: Any, coords: Axes = None) -> sp.Expr:
    """sum_i d^2 expression / dx_i^2. Arguments and errors as for `grad`."""
    expression = _scalar(expression, "lap")
    axes = _axes(coords, "lap")
    if isinstance(expression, SymbolicField):
        return expression._laplacian([expression.coords.index(normal(x.name)) for x in axes])
    return sp.Add(*(sp.diff(expression, x, 2) for x in axes))


def _scalar(expression: Any, what: str) -> sp.Expr:
    try:
        expression = sp.sympify(expression, strict=True)
    except (sp.SympifyError, TypeError, ValueError):
        raise InputError(f"{what}: expected an expression of fields and coordinates, got {expression!r}") from None
    if not isinstance(expression, sp.Expr) or expression.is_Matrix:
        raise InputError(f"{what}: expected one expression, got {type(expression).__name__}; take {what} of each part")
    return expression


def _axes(coords: Axes, what: str) -> tuple[sp.Symbol, ...]:
    scope = current_scope()
    if scope is None:
        raise InputError(f"{what}: the coordinates are only known inside a residual function")
    symbols = scope.symbols
    if coords is None:
        if not scope.spatial:
            raise InputError(f"{what}: there is no spatial coordinate, only {scope.coords[0]}")
        use(what)
        return tuple(symbols[axis] for axis in scope.spatial)
    is_list = not isinstance(coords, (str, set, frozenset, Mapping))
    names = split_names([str(name) for name in coords] if is_list else coords, f"{what}: coords")
    for name in names:
        if name not in scope.coords:
            raise InputError(f"{what}: coords: expected some of {list(scope.coords)}, got {name!r}")
    return tuple(symbols[scope.coords.index(name)] for name in names)
