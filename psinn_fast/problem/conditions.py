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

from ..domains import Region, normals_of, region_of
from ..frozen import frozen
from ..kernels import checks
from ..kernels.errors import InputError, short
from ..language.names import Names, equation_names, normal, split_words
from ..language.reads import Reads
from ..language.tracing import Traced, called, column_symbol, lowered
from ..portable import Portable
from .bounds import Unknowns
from .condition_residuals import OwnResidual, equation_residuals, flux_residuals, jump_residuals, value_residuals
from .given_columns import (
    ROOT,
    Given,
    PointNormals,
    Target,
    checked_normals,
    checked_targets,
    columns_of,
    described,
    known_anywhere,
    normal_columns,
    weight_columns,
)
from .meaning import Meaning, same_numbers
from .pairs import paired
from .pde import PDE, parameters_of
from .pointwise import refuse_not_pointwise

Points = npt.NDArray[np.float64]

# The PDE itself, another residual, what holds exactly on a boundary, measurements; a residual that is no PDE's, inside;
# what holds of a sum over all points.
EQUATION, RESIDUAL, BOUNDARY, DATA, INSIDE, INTEGRAL = "equation", "residual", "boundary", "data", "inside", "integral"
_AS_ARRAY = "else give the values as an array"


@dataclass(frozen=True)
class Condition(Portable):
    """One loss term: weight * mean over points of the sum of squared residuals.

    Where each point has a weight w of its own, ``weight`` is 1 and residuals are multiplied by a column sqrt(w).

    Not built directly; use `Residual`, `Dirichlet`, `Neumann`, `Periodic`, `Data`, `Mean` or `Integral`.

    Args:
        name: names the term in histories and messages; unique within a problem.
        sites: point sets (N, d); more than one where a residual compares several points.
        residual: from the PDE and the columns' symbols to SymPy expressions; the PDE's own is called by the PDE.
        columns: given numbers per point, by name: targets, data, normals, roots of weights.
        weight: factor in the total loss.
        kind: "equation", "residual" (another than the PDE's), "boundary", "data", "inside" (of a fused loss) or
            "integral".
        regions: of each site, what its points stand for; None: for themselves.
        targets: what the columns were made from, by name: numbers, one per point, or functions of the coordinates.
        outside: whether points may lie outside the problem's domain.
        equations: names of those equations of the PDE that hold here; (): all of them.
    """

    name: str
    sites: tuple[Points, ...]
    residual: Callable[[PDE, Mapping[str, sp.Symbol]], Any]
    columns: Mapping[str, Points]
    weight: float
    kind: str
    regions: tuple[Region | None, ...]
    targets: Mapping[str, Given]
    outside: bool
    equations: tuple[str, ...] = ()
    _records = ("_meaning",)

    def __repr__(self) -> str:
        weight = "" if self.weight == 1 else f", weight {self.weight:g}"
        return f"{type(self).__name__}({self.name!r}, {self.kind}, {len(self.sites[0])} points{weight})"

    @property
    def point_weight(self) -> float:
        """The mean of the points' own weights; 1 where they have none."""
        return float(np.mean(self.columns[ROOT] ** 2)) if ROOT in self.columns else 1.0

    @property
    def quadrature(self) -> Points | None:
        """(N,): what each point weighs in a sum over all of them, which vanishes; None where each does so by itself."""
        return None

    @property
    def counts(self) -> npt.NDArray[np.bool_]:
        """(N,): which points weigh anything."""
        roots = self.columns.get(ROOT)
        return np.full(len(self.sites[0]), True) if roots is None else np.asarray(roots > 0)

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
        given = called(lambda: self.residual(pde, symbols), pde.scope, where) if own else pde.given
        if self.equations:
            given = given.only(self.equations, where)
        given = replace(given, expressions=tuple(self._vanishing(given.expressions)))
        if ROOT in symbols:
            given = replace(given, expressions=tuple(symbols[ROOT] * r for r in given.expressions))
        traced = lowered(
            given,
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

    def _vanishing(self, expressions: Sequence[sp.Expr]) -> Sequence[sp.Expr]:
        """What vanishes, of what the residual function gives."""
        return expressions

    def own_function(self) -> Callable[..., Any] | None:
        """The user's function that gives this condition another residual than the PDE's, if there is one."""
        return self.residual.function if isinstance(self.residual, OwnResidual) else None

    def columns_at(self, sites: Sequence[Points]) -> Mapping[str, Points] | None:
        """The columns at other points; None where they are known at the given ones only."""
        normals = normals_of(sites[0])
        return columns_of(sites[0], normals, self.targets, self.name) if known_anywhere(self.targets, normals) else None

    def refuse_other_targets(self) -> None:
        """
        Raises:
            InputError: a target's function gives other values at the condition's points than when it was made: so it
                would at points that training draws.
        """
        functions = {name: target for name, target in self.targets.items() if callable(target)}
        for name, column in columns_of(self.sites[0], None, functions, self.name).items():
            if not same_numbers(column, self.columns[name]):
                raise InputError(
                    f"{self.name}: {described(name)}: the function gives other values now than when the condition was "
                    "made; it reads something that has changed (a global?) or random numbers: make the condition "
                    "anew, or give the values as an array"
                )

    def renamed(self, name: str) -> Condition:
        return replace(self, name=name)

    def _functions(self) -> dict[str, object]:
        targets = {f"term {self.name!r}: {described(name)}": target for name, target in self.targets.items()}
        return {f"term {self.name!r}: its residual": self.own_function() or self.residual, **targets}


def Residual(
    points: npt.ArrayLike,
    residual: Callable[..., Any] | None = None,
    *,
    equations: Names | None = None,
    weight: Target = 1.0,
    name: str | None = None,
    outside: bool = False,
    **data: Target,
) -> Condition:
    """The PDE holds at ``points`` (N, d), or some of its equations; or any other ``residual`` function does, e.g. a
    Robin condition.

    Parameters of that function are fields, coordinates and coefficients, as in a PDE; names of ``data``; and ``n_x``,
    ``n_y``, ...: the components of the outward normals of points that are a domain's boundary or a part of it.

        Residual(disk.boundary(200), lambda u, n_x, n_y, T: u.x * n_x + u.y * n_y + h * (u - T), T=measured)

    A term of some equations has a weight, points and a loss of its own, and computes derivatives for itself:

        Residual(points, equations="momentum energy"), Residual(points, equations="continuity", weight=10.0)

    There is no mapping from equations to weights within one term: its one loss would not say which equation is
    missed, and natural units, which scale every residual, could undo it. Where terms of their own cost too much,
    multiply an expression by the root of its weight in the residual function.

    Args:
        equations: names of those that hold here, for a PDE that gives its equations names; None: all, as one term.

    Args, for all conditions:
        points: NumPy array, torch tensor or nested sequences of real numbers; they are copied.
        weight: factor of the term in the total loss, >= 0; or a factor of each point's squared residual in the term's
            mean: (N,) numbers, or a function like those of targets, where other points are to be drawn.
        name: of the term; equal names are numbered. None: "residual", or the names of the equations.
        outside: allow points outside the problem's domain, which are refused otherwise.
        data: numbers that the residual function reads, by name: one, one per point, or functions of the coordinates.
    """
    if isinstance(equations, Mapping):
        raise InputError(
            f"{name or 'residual'}: equations: expected their names, got a mapping, whose values would be dropped; a "
            "weight belongs to a term of its own: Residual(points, equations='continuity', weight=10.0)"
        )
    wanted = () if equations is None else equation_names(split_words(equations, "equations"), "equations")
    name = ("+".join(wanted) or "residual") if name is None else name
    site = _points(points, name)
    if wanted and residual is not None:
        raise InputError(
            f"{name}: equations: they are those of the PDE, and this condition has a residual function of its own: let "
            "it return the wanted ones alone"
        )
    if residual is None:
        if data:
            raise InputError(
                f"{name}: {next(iter(data))}: data are for a residual function of the condition, and there is none"
            )
        return replace(
            _condition(name, points, (site,), equation_residuals, {}, EQUATION, weight, outside), equations=wanted
        )
    asked = parameters_of(residual)
    for what in data:
        if asked is not None and what not in asked:
            raise InputError(f"{name}: {what}: the residual function has no such parameter, but {list(asked)}")
    given: dict[str, Given] = dict(data)
    normals = normals_of(points)
    if normals is not None and any(what.startswith("n_") and what not in data for what in asked or ()):
        given |= normal_columns(normals, _are_of_points(points))
    own = OwnResidual(residual, Reads.of(residual))
    return _condition(name, points, (site,), own, given, RESIDUAL, weight, outside)


def Dirichlet(
    points: npt.ArrayLike, *, weight: Target = 1.0, name: str = "dirichlet", outside: bool = False, **targets: Target
) -> Condition:
    """Fields take given values: ``u=0.0``, ``u=array`` of shape (N,), or ``u=function`` of the coordinates' columns.

    Functions are called with one array (N,) per coordinate, by position, in the PDE's order.
    """
    site, targets = _points(points, name), checked_targets(targets, name)
    build = partial(value_residuals, tuple(targets))
    return _condition(name, points, (site,), build, targets, BOUNDARY, weight, outside)


def Data(
    points: npt.ArrayLike, *, weight: Target = 1.0, name: str = "data", outside: bool = False, **values: Target
) -> Condition:
    """Measurements of fields, in the domain or on its boundary. Unlike a `Dirichlet` condition they are never weighed
    anew by Gauss-Newton, since ``weight`` says how far they are trusted, and nothing is known between them."""
    return replace(Dirichlet(points, weight=weight, name=name, outside=outside, **values), kind=DATA)


def Neumann(
    points: npt.ArrayLike,
    normals: npt.ArrayLike | None = None,
    *,
    weight: Target = 1.0,
    name: str = "neumann",
    outside: bool = False,
    **targets: Target,
) -> Condition:
    """Normal derivatives n . grad u take given values.

    Args:
        normals: one unit vector (d,) or one per point (N, d). None: those that the points bring along, if they are a
            domain's boundary or a part of it.
    """
    site = _points(points, name)
    own = normals_of(points)
    if normals is None and own is None:
        raise InputError(
            f"{name}: normals: these points bring none along: {_why_without(points)}; give one unit vector "
            f"({site.shape[1]},) or one per point {site.shape}"
        )
    vectors = checked_normals(own if normals is None else normals, site.shape, name)  # type: ignore[arg-type]  # not both are None
    targets = checked_targets(targets, name)
    given = {**targets, **normal_columns(vectors, normals is None and _are_of_points(points))}
    return _condition(name, points, (site,), partial(flux_residuals, tuple(targets)), given, BOUNDARY, weight, outside)


def _are_of_points(points: npt.ArrayLike) -> bool:
    """Whether normals that points bring along may differ from point to point: but on one face of a box."""
    region = region_of(points)
    return region is not None and not (region.domain.is_box and len(region.parts) == 1)


def _why_without(points: npt.ArrayLike) -> str:
    region = region_of(points)
    if region is None:
        return "an array, or a set that was sliced or changed, has no normals (of points[rows]: points.normals[rows])"
    if region.is_solid:
        return f"they lie inside {region.domain}"
    return f"{type(region.domain).__name__} gives no normals of {', '.join(map(repr, region.parts_without_normals))}"


def Periodic(
    points: npt.ArrayLike,
    partners: npt.ArrayLike,
    quantities: str | Sequence[str] = (),
    *,
    weight: Target = 1.0,
    name: str = "periodic",
    outside: bool = False,
) -> Condition:
    """``quantities``, e.g. ``"u u_x"``, are equal at each point and at its partner, another point (both (N, d)).

    Partners of a point set of a part of a boundary are those of another part if one step takes the one to the other:
    then each partner is its point, moved by this step. Of arrays, a point's partner is in the same row.
    """
    sites = (_points(points, name), _points(partners, name, "partners"))
    if sites[0].shape != sites[1].shape:
        raise InputError(f"{name}: partners: expected shape {sites[0].shape} like points, got {sites[1].shape}")
    sites = sites[0], paired(points, partners, sites, name)
    wanted = tuple(map(normal, split_words(quantities, f"{name}: quantities")))
    if not wanted:
        raise InputError(
            f"{name}: quantities: expected fields and derivatives that are equal at a point and its partner, e.g. "
            f"'u u_x', got {'none' if quantities == () else repr(quantities)}"
        )
    if twice := [one for one in wanted if wanted.count(one) > 1]:
        raise InputError(f"{name}: quantities: {twice[0]!r} is given twice, and would count twice; give it once")
    own = (sites[0] == sites[1]).all(axis=1)
    if own.any():
        first = int(np.argmax(own))
        place = ", ".join(f"{x:.10g}" for x in sites[0][first])
        raise InputError(
            f"{name}: partners: {int(own.sum())} of {len(own)} are the points themselves, where the condition always "
            f"holds, the first is ({place}), number {first}; give each point's image "
            "on the other side, and leave out points that are their own"
        )
    made = _condition(name, points, sites, partial(jump_residuals, wanted), {}, BOUNDARY, weight, outside)
    return replace(made, regions=(region_of(points), region_of(partners)))


def _condition(
    name: str,
    points: npt.ArrayLike,
    sites: tuple[Points, ...],
    build: Callable[[PDE, Mapping[str, sp.Symbol]], Any],
    given: Mapping[str, Given],
    kind: str,
    weight: Target,
    outside: object,
) -> Condition:
    """With checked arguments, and copies of what could change. ``points``: as they were given, with their region."""
    factor, roots = weight_columns(weight, sites[0], name)
    may_be_outside = checks.flag(f"{name}: outside", outside)
    kept = {
        what: value
        if callable(value) or isinstance(value, PointNormals)
        else checks.numbers(f"{name}: {described(what)}", value)
        for what, value in {**given, **roots}.items()
    }
    columns = columns_of(sites[0], normals_of(points), kept, name)
    if ROOT in columns and not columns[ROOT].any():
        raise InputError(f"{name}: weight: expected a positive weight at some point, all are 0")
    for what in (what for what, value in kept.items() if callable(value)):
        where = f"{name}: {described(what)}"
        refuse_not_pointwise(where, partial(_column_at, what, kept[what], name), sites[0], columns[what], _AS_ARRAY)
    regions = (region_of(points),) * len(sites)
    return Condition(name, sites, build, frozen(columns), factor, kind, regions, frozen(kept), may_be_outside)


def _column_at(what: str, given: Given, name: str, points: Points) -> Points:
    return columns_of(points, None, {what: given}, name)[what]


def _points(points: npt.ArrayLike, name: object, argument: str = "points") -> Points:
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"name: expected a text, got {name!r}")
    # Derivatives by the coordinates need no graph here, but whoever is used to them has points that require grad.
    array = checks.numbers(f"{name}: {argument}", points.detach() if isinstance(points, torch.Tensor) else points)
    if array.ndim != 2 or array.shape[0] < 1:
        advice = "; of one coordinate, write points[:, None]" if array.ndim == 1 else ""
        raise InputError(f"{name}: {argument}: expected shape (N >= 1, d), got {array.shape}{advice}")
    return array
