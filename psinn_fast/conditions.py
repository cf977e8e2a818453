"""Conditions: what the solution must satisfy at which points. Each becomes one term of the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy as sp
import torch

from .bounds import Unknowns
from .domains import Region, region_of
from .fields import parse_derivative
from .frozen import frozen
from .kernels import checks
from .kernels.errors import InputError, short
from .meaning import Meaning, same_numbers
from .names import by_normal_names, normal, split_words
from .pde import PDE
from .portable import Portable
from .reads import Reads
from .tracing import Traced, called, column_symbol, lowered

Points = npt.NDArray[np.float64]
# How far from 1 the length of a normal may be: rounding errors of float32.
_UNIT = 1e-6
Target = float | npt.ArrayLike | Callable[..., npt.ArrayLike]

# The PDE itself, another residual, what holds exactly on a boundary, measurements.
EQUATION, RESIDUAL, BOUNDARY, DATA = "equation", "residual", "boundary", "data"


@dataclass(frozen=True)
class Condition(Portable):
    """One loss term: weight * mean over points of the sum of squared residuals.

    Not built directly; use `Residual`, `Dirichlet`, `Neumann`, `Periodic` or `Data`.

    Args:
        name: names the term in histories and messages; unique within a problem.
        sites: point sets (N, d); more than one where a residual compares several points.
        residual: from the PDE and the columns' symbols to SymPy expressions; the PDE's own is called by the PDE.
        columns: given numbers per point, by name.
        weight: factor in the total loss.
        kind: "equation", "residual" (another than the PDE's), "boundary" or "data".
        regions: of each site, what its points stand for; None: for themselves.
        targets: what the columns were made from, by name: numbers, one per point, or functions of the coordinates.
        outside: whether points may lie outside the problem's domain.
    """

    name: str
    sites: tuple[Points, ...]
    residual: Callable[[PDE, Mapping[str, sp.Symbol]], Any]
    columns: Mapping[str, Points]
    weight: float
    kind: str
    regions: tuple[Region | None, ...]
    targets: Mapping[str, Target]
    outside: bool
    _records = ("_meaning",)

    def traced(self, pde: PDE, unknowns: Unknowns | None = None) -> Traced:
        """The program of this condition for a PDE's fields, and for the free numbers behind its unknown coefficients.

        Raises:
            InputError: the residual asks for what the PDE does not have, or is another one than at the first time.
        """
        d = len(pde.coords)
        for points in self.sites:
            if points.shape[1] != d:
                raise InputError(
                    f"{self.name}: points: expected {d} columns ({', '.join(pde.coords)}), got {points.shape[1]}"
                )
        symbols = {name: column_symbol(i) for i, name in enumerate(self.columns)}
        where = f"term {self.name!r}"
        own = self.kind != EQUATION
        traced = lowered(
            called(lambda: self.residual(pde, symbols), pde.scope, where) if own else pde.given,
            pde.fields,
            pde.scope,
            len(self.sites),
            list(symbols.values()),
            pde.unknown_symbols(),
            where,
            unknowns.substitution(pde.unknown_symbols()) if unknowns is not None else None,
        )
        # Other PDEs and bounds may make it something else.
        bounds = unknowns.bounds if unknowns is not None else {}
        meaning = Meaning.of(traced, self.sites)
        known, between, earlier = self.__dict__.get("_meaning", (None, None, None))
        if known is pde and between == bounds and meaning.differs(earlier):
            raise InputError(
                f"term {self.name!r}: its residual reads something that has changed since the problem was made "
                f"(a global?), and is now {short(', '.join(traced.texts()))}; pass it as a coefficient, or make the "
                "PDE and its conditions anew"
            )
        self.__dict__["_meaning"] = pde, bounds, meaning
        return traced

    def own_function(self) -> Callable[..., Any] | None:
        """The user's function that gives this condition another residual than the PDE's, if there is one."""
        return self.residual.function if isinstance(self.residual, _Own) else None

    def columns_at(self, sites: Sequence[Points]) -> Mapping[str, Points] | None:
        """The columns at other points; None where they are known at the given ones only."""
        if not all(callable(target) or np.ndim(target) == 0 for target in self.targets.values()):
            return None
        return _columns(sites[0], self.targets, self.name)

    def refuse_other_targets(self) -> None:
        """
        Raises:
            InputError: a target's function gives other values at the condition's points than when it was made: so it
                would at points that training draws.
        """
        functions = {name: target for name, target in self.targets.items() if callable(target)}
        for name, column in _columns(self.sites[0], functions, self.name).items():
            if not same_numbers(column, self.columns[name]):
                raise InputError(
                    f"{self.name}: target {name}: the function gives other values now than when the condition was "
                    "made; it reads something that has changed (a global?) or random numbers: make the condition "
                    "anew, or give the values as an array"
                )

    def renamed(self, name: str) -> Condition:
        return replace(self, name=name)

    def _functions(self) -> dict[str, object]:
        targets = {f"term {self.name!r}: target {name}": target for name, target in self.targets.items()}
        return {f"term {self.name!r}: its residual": self.own_function() or self.residual, **targets}


def Residual(
    points: npt.ArrayLike,
    residual: Callable[..., Any] | None = None,
    *,
    weight: float = 1.0,
    name: str = "residual",
    outside: bool = False,
) -> Condition:
    """The PDE holds at ``points`` (N, d); or any other ``residual`` function, e.g. a Robin condition.

    Args, for all conditions:
        points: NumPy array, torch tensor or nested sequences of real numbers; they are copied.
        weight: factor of the term in the total loss, >= 0.
        name: of the term; equal names are numbered.
        outside: allow points outside the problem's domain, which are refused otherwise.
    """
    sites = (_points(points, name),)
    kind = EQUATION if residual is None else RESIDUAL
    build = _equation if residual is None else _Own(residual, Reads.of(residual))
    return _condition(name, sites, build, {}, kind, (region_of(points),), weight, outside)


def Dirichlet(
    points: npt.ArrayLike, *, weight: float = 1.0, name: str = "dirichlet", outside: bool = False, **targets: Target
) -> Condition:
    """Fields take given values: ``u=0.0``, ``u=array`` of shape (N,), or ``u=function`` of the coordinates' columns.

    Functions are called with one array (N,) per coordinate, by position, in the PDE's order.
    """
    sites = (_points(points, name),)
    targets = _targets(targets, name)
    return _condition(
        name, sites, partial(_value_residuals, tuple(targets)), targets, BOUNDARY, (region_of(points),), weight, outside
    )


def Data(
    points: npt.ArrayLike, *, weight: float = 1.0, name: str = "data", outside: bool = False, **values: Target
) -> Condition:
    """Measurements of fields, in the domain or on its boundary. Unlike a `Dirichlet` condition they are never weighed
    anew by Gauss-Newton, since ``weight`` says how far they are trusted, and nothing is known between them."""
    return replace(Dirichlet(points, weight=weight, name=name, outside=outside, **values), kind=DATA)


def Neumann(
    points: npt.ArrayLike,
    normals: npt.ArrayLike,
    *,
    weight: float = 1.0,
    name: str = "neumann",
    outside: bool = False,
    **targets: Target,
) -> Condition:
    """Normal derivatives n . grad u take given values; ``normals``: one unit vector (d,) or one per point (N, d)."""
    sites = (_points(points, name),)
    n, d = sites[0].shape
    vectors = checks.numbers(f"{name}: normals", normals)
    if vectors.shape not in ((d,), (n, d)):
        raise InputError(f"{name}: normals: expected shape ({d},) or ({n}, {d}), got {vectors.shape}")
    _refuse_other_lengths(vectors, name)
    targets = _targets(targets, name)
    # One for all, where they are equal. Field names hold no underscore, so these cannot clash with a target.
    vectors = vectors[0] if vectors.ndim == 2 and (vectors == vectors[0]).all() else vectors
    known = {**targets, **{f"n_{i}": vectors[..., i] for i in range(d)}}
    return _condition(
        name, sites, partial(_flux_residuals, tuple(targets)), known, BOUNDARY, (region_of(points),), weight, outside
    )


def Periodic(
    points: npt.ArrayLike,
    partners: npt.ArrayLike,
    quantities: str | Sequence[str],
    *,
    weight: float = 1.0,
    name: str = "periodic",
    outside: bool = False,
) -> Condition:
    """``quantities``, e.g. ``"u u_x"``, are equal at each point and at its partner, another point (both (N, d))."""
    sites = (_points(points, name), _points(partners, name, "partners"))
    if sites[0].shape != sites[1].shape:
        raise InputError(f"{name}: partners: expected shape {sites[0].shape} like points, got {sites[1].shape}")
    wanted = tuple(map(normal, split_words(quantities, f"{name}: quantities")))
    if not wanted:
        raise InputError(f"{name}: quantities: expected at least one, e.g. 'u u_x', got {quantities!r}")
    own = (sites[0] == sites[1]).all(axis=1)
    if own.any():
        first = int(np.argmax(own))
        place = ", ".join(f"{x:.10g}" for x in sites[0][first])
        raise InputError(
            f"{name}: partners: {int(own.sum())} of {len(own)} are the points themselves, where the condition always "
            f"holds, the first is ({place}), number {first}; give each point's image "
            "on the other side, and leave out points that are their own"
        )
    regions = region_of(points), region_of(partners)
    return _condition(name, sites, partial(_jump_residuals, wanted), {}, BOUNDARY, regions, weight, outside)


# Residuals of conditions, at the top level, so that a condition can be pickled.


def _equation(pde: PDE, symbols: Mapping[str, sp.Symbol]) -> Any:
    return pde.call(pde.residual)


@dataclass(frozen=True)
class _Own:
    """A residual function of the condition's own, and what it would have read when the condition was made."""

    function: Callable[..., Any]
    reads: Reads

    def __call__(self, pde: PDE, symbols: Mapping[str, sp.Symbol]) -> Any:
        before = Reads.of(self.function)
        returned = pde.call(self.function)
        changes = list(before.changes(self.reads))
        # What it changes itself, a counter, is its own affair.
        own = {place for place, *_ in Reads.of(self.function).changes(before)} if changes else set()
        for place, was, now in changes:
            if place not in own:
                raise InputError(
                    f"its residual function reads {place}, which has changed since the condition was made, from {was} "
                    f"to {now}: make the problem before it changes, or pass it as a coefficient or a default argument "
                    "(lambda u, k=k: ...)"
                )
        return returned


def _value_residuals(fields: Sequence[str], pde: PDE, symbols: Mapping[str, sp.Symbol]) -> Any:
    return [pde.field_symbol(field) - symbols[field] for field in fields]


def _flux_residuals(fields: Sequence[str], pde: PDE, symbols: Mapping[str, sp.Symbol]) -> Any:
    return [
        sum(symbols[f"n_{i}"] * getattr(pde.field_symbol(field), coord) for i, coord in enumerate(pde.coords))
        - symbols[field]
        for field in fields
    ]


def _jump_residuals(quantities: Sequence[str], pde: PDE, symbols: Mapping[str, sp.Symbol]) -> Any:
    residuals = []
    for quantity in quantities:
        field, _, suffix = normal(quantity).partition("_")
        if field not in pde.fields or parse_derivative(suffix, pde.coords, pde.spatial) is None:
            raise InputError(f"{quantity!r} is no derivative of the fields {list(pde.fields)} by {list(pde.coords)}")
        here, there = (pde.field_symbol(field, site) for site in (0, 1))
        residuals.append(getattr(here, suffix) - getattr(there, suffix) if suffix else here - there)
    return residuals


def _condition(
    name: str,
    sites: tuple[Points, ...],
    build: Callable[[PDE, Mapping[str, sp.Symbol]], Any],
    targets: Mapping[str, Target],
    kind: str,
    regions: tuple[Region | None, ...],
    weight: object,
    outside: object,
) -> Condition:
    """With checked arguments, and copies of what could change."""
    factor = checks.number(f"{name}: weight", weight, least=0)
    may_be_outside = checks.flag(f"{name}: outside", outside)
    kept = {
        field: target if callable(target) else checks.numbers(f"{name}: target {field}", target)
        for field, target in targets.items()
    }
    columns = _columns(sites[0], kept, name)
    return Condition(name, sites, build, frozen(columns), factor, kind, regions, frozen(kept), may_be_outside)


def _points(points: npt.ArrayLike, name: object, argument: str = "points") -> Points:
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"name: expected a text, got {name!r}")
    # Derivatives by the coordinates need no graph here, but whoever is used to them has points that require grad.
    array = checks.numbers(f"{name}: {argument}", points.detach() if isinstance(points, torch.Tensor) else points)
    if array.ndim != 2 or array.shape[0] < 1:
        advice = "; of one coordinate, write points[:, None]" if array.ndim == 1 else ""
        raise InputError(f"{name}: {argument}: expected shape (N >= 1, d), got {array.shape}{advice}")
    return array


def _columns(points: Points, targets: Mapping[str, Target], name: str) -> dict[str, Points]:
    columns = {}
    for field_name, target in targets.items():
        what = f"{name}: target {field_name}"
        array = checks.numbers(what, _values(target, points, what) if callable(target) else target)
        if array.shape not in ((), (len(points),)):
            raise InputError(f"{what}: expected shape ({len(points)},) or a number, got {array.shape}")
        columns[field_name] = np.broadcast_to(array, (len(points),))
    return columns


def _targets(targets: Mapping[str, Target], name: str) -> dict[str, Target]:
    if not targets:
        raise InputError(f"{name}: expected a target for at least one field, e.g. u=0.0")
    return by_normal_names(targets, f"{name}: targets")


def _values(function: Callable[..., Any], points: Points, what: str) -> Any:
    """What a target's function returns for copies of the coordinates' columns."""
    try:
        return function(*points.T.copy())
    except Exception as error:  # the function is the user's: it may raise anything
        raise InputError(
            f"{what}: the function failed on arrays of {len(points)} numbers, one for each coordinate "
            f"({type(error).__name__}: {error})"
        ) from error


def _refuse_other_lengths(normals: Points, name: str) -> None:
    lengths = np.linalg.norm(np.atleast_2d(normals), axis=1)
    wrong = np.abs(lengths - 1) > _UNIT
    if wrong.any():
        first = int(np.argmax(wrong))
        advice = "" if lengths[first] == 0 else "; divide each by its length"
        raise InputError(
            f"{name}: normals: expected unit vectors, {int(wrong.sum())} of {len(lengths)} have another length, "
            f"the first {lengths[first]:g} (number {first}){advice}"
        )
