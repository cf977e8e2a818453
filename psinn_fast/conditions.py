"""Conditions: what the solution must satisfy at which points. Each becomes one term of the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy as sp

from .domain import Region, region_of
from .kernels.errors import InputError
from .pde import PDE
from .tracing import Traced, column_symbol, parse_derivative, trace

Points = npt.NDArray[np.float64]
Target = float | npt.ArrayLike | Callable[..., npt.ArrayLike]

# The PDE itself, another residual, what holds exactly on a boundary, measurements.
EQUATION, RESIDUAL, BOUNDARY, DATA = "equation", "residual", "boundary", "data"


@dataclass(frozen=True)
class Condition:
    """One loss term: weight * mean over points of the sum of squared residuals.

    Not built directly; use `Residual`, `Dirichlet`, `Neumann`, `Periodic` or `Data`.

    Args:
        name: names the term in histories and messages; unique within a problem.
        sites: point sets (N, d); more than one where a residual compares several points.
        residual: from the PDE and the columns' symbols to SymPy expressions.
        columns: given numbers per point, by name.
        weight: factor in the total loss.
        kind: "equation", "residual" (another than the PDE's), "boundary" or "data".
        regions: of each site, what its points stand for; None: for themselves.
        targets: what the columns were made from, by name: numbers, one per point, or functions of the coordinates.
    """

    name: str
    sites: tuple[Points, ...]
    residual: Callable[[PDE, Mapping[str, sp.Symbol]], Any]
    columns: Mapping[str, Points] = field(default_factory=dict)
    weight: float = 1.0
    kind: str = RESIDUAL
    regions: tuple[Region | None, ...] = (None,)
    targets: Mapping[str, Target] = field(default_factory=dict)

    def traced(self, pde: PDE) -> Traced:
        """The program of this condition for a PDE's fields.

        Raises:
            InputError: the residual asks for what the PDE does not have.
        """
        d = len(pde.coords)
        for points in self.sites:
            if points.shape[1] != d:
                raise InputError(
                    f"{self.name}: points: expected {d} columns ({', '.join(pde.coords)}), got {points.shape[1]}"
                )
        symbols = {name: column_symbol(i) for i, name in enumerate(self.columns)}
        return trace(
            lambda: self.residual(pde, symbols),
            pde.fields,
            [pde.coordinate_symbols(site) for site in range(len(self.sites))],
            list(symbols.values()),
            pde.unknown_symbols(),
            f"term {self.name!r}",
        )

    def columns_at(self, sites: Sequence[Points]) -> Mapping[str, Points] | None:
        """The columns at other points; None where they are known at the given ones only."""
        if not all(callable(target) or np.ndim(target) == 0 for target in self.targets.values()):
            return None
        return _columns(sites[0], self.targets, self.name) if self.targets else {}

    def renamed(self, name: str) -> Condition:
        return replace(self, name=name)


def Residual(
    points: npt.ArrayLike, residual: Callable[..., Any] | None = None, *, weight: float = 1.0, name: str = "residual"
) -> Condition:
    """The PDE holds at ``points`` (N, d); or any other ``residual`` function, e.g. a Robin condition."""

    def build(pde: PDE, columns: Mapping[str, sp.Symbol]) -> Any:
        return pde.call(pde.residual if residual is None else residual)

    kind = EQUATION if residual is None else RESIDUAL
    return Condition(name, (_points(points, name),), build, {}, _weight(weight, name), kind, (region_of(points),))


def Dirichlet(points: npt.ArrayLike, *, weight: float = 1.0, name: str = "dirichlet", **targets: Target) -> Condition:
    """Fields take given values: ``u=0.0``, ``u=array`` of shape (N,), or ``u=function`` of the coordinates' columns."""
    sites = (_points(points, name),)
    columns = _columns(sites[0], targets, name)

    def build(pde: PDE, symbols: Mapping[str, sp.Symbol]) -> Any:
        return [pde.field_symbol(field) - symbols[field] for field in targets]

    return Condition(name, sites, build, columns, _weight(weight, name), BOUNDARY, (region_of(points),), targets)


def Data(points: npt.ArrayLike, *, weight: float = 1.0, name: str = "data", **values: Target) -> Condition:
    """Measurements of fields, in the domain or on its boundary. Unlike a `Dirichlet` condition they are never weighed
    anew by Gauss-Newton, since ``weight`` says how far they are trusted, and nothing is known between them."""
    return replace(Dirichlet(points, weight=weight, name=name, **values), kind=DATA)


def Neumann(
    points: npt.ArrayLike, normals: npt.ArrayLike, *, weight: float = 1.0, name: str = "neumann", **targets: Target
) -> Condition:
    """Normal derivatives n . grad u take given values; ``normals`` is one vector (d,) or one per point (N, d)."""
    sites = (_points(points, name),)
    n, d = sites[0].shape
    try:
        vectors = np.asarray(normals, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: normals: expected numbers ({error})") from None
    if vectors.shape not in ((d,), (n, d)) or not np.isfinite(vectors).all():
        raise InputError(f"{name}: normals: expected finite numbers of shape ({d},) or ({n}, {d}), got {vectors.shape}")
    _refuse_no_target(targets, name)
    # One for all, where they are equal. Field names hold no underscore, so these cannot clash with a target.
    vectors = vectors[0] if vectors.ndim == 2 and (vectors == vectors[0]).all() else vectors
    known = {**targets, **{f"n_{i}": vectors[..., i] for i in range(d)}}
    columns = _columns(sites[0], known, name)

    def build(pde: PDE, symbols: Mapping[str, sp.Symbol]) -> Any:
        return [
            sum(symbols[f"n_{i}"] * getattr(pde.field_symbol(field), coord) for i, coord in enumerate(pde.coords))
            - symbols[field]
            for field in targets
        ]

    return Condition(name, sites, build, columns, _weight(weight, name), BOUNDARY, (region_of(points),), known)


def Periodic(
    points: npt.ArrayLike,
    partners: npt.ArrayLike,
    quantities: str | Sequence[str],
    *,
    weight: float = 1.0,
    name: str = "periodic",
) -> Condition:
    """``quantities``, e.g. ``"u u_x"``, are equal at each point and at its partner (both (N, d))."""
    sites = (_points(points, name), _points(partners, name))
    if sites[0].shape != sites[1].shape:
        raise InputError(f"{name}: partners: expected shape {sites[0].shape} like points, got {sites[1].shape}")
    wanted = quantities.replace(",", " ").split() if isinstance(quantities, str) else list(quantities)
    if not wanted:
        raise InputError(f"{name}: quantities: expected at least one, e.g. 'u u_x'")

    def build(pde: PDE, symbols: Mapping[str, sp.Symbol]) -> Any:
        residuals = []
        for quantity in wanted:
            field, _, suffix = quantity.partition("_")
            if field not in pde.fields or parse_derivative(suffix, pde.coords, pde.time) is None:
                raise InputError(
                    f"{quantity!r} is no derivative of the fields {list(pde.fields)} by {list(pde.coords)}"
                )
            here, there = (pde.field_symbol(field, site) for site in (0, 1))
            residuals.append(getattr(here, suffix) - getattr(there, suffix) if suffix else here - there)
        return residuals

    regions = region_of(points), region_of(partners)
    return Condition(name, sites, build, {}, _weight(weight, name), BOUNDARY, regions)


def _points(points: npt.ArrayLike, name: str) -> Points:
    try:
        array = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: points: expected numbers of shape (N, d) ({error})") from None
    if array.ndim != 2 or array.shape[0] < 1:
        raise InputError(f"{name}: points: expected shape (N >= 1, d), got {array.shape}")
    _refuse_non_finite(array, f"{name}: points")
    return array


def _columns(points: Points, targets: Mapping[str, Target], name: str) -> dict[str, Points]:
    _refuse_no_target(targets, name)
    columns = {}
    for field_name, target in targets.items():
        value = target(*points.T) if callable(target) else target
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"{name}: target {field_name}: expected numbers ({error})") from None
        if array.shape not in ((), (len(points),)):
            raise InputError(
                f"{name}: target {field_name}: expected shape ({len(points)},) or a number, got {array.shape}"
            )
        _refuse_non_finite(array, f"{name}: target {field_name}")
        columns[field_name] = np.broadcast_to(array, (len(points),))
    return columns


def _refuse_no_target(targets: Mapping[str, Target], name: str) -> None:
    if not targets:
        raise InputError(f"{name}: expected a target for at least one field, e.g. u=0.0")


def _refuse_non_finite(array: Points, what: str) -> None:
    bad = ~np.isfinite(array)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InputError(
            f"{what}: {int(bad.sum())} of {array.size} numbers are NaN or infinite, first at index {where}"
        )


def _weight(weight: object, name: str) -> float:
    if isinstance(weight, bool) or not isinstance(weight, Real) or not 0 <= float(weight) < np.inf:
        raise InputError(f"{name}: weight: expected a finite number >= 0, got {weight!r}")
    return float(weight)
