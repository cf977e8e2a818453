"""What a problem is refused for as it is made: settings, names, points and exact solutions that do not fit."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...domains import Domain, check_shrunk, how_far
from ...kernels.errors import InputError, short
from ...kernels.language.program import Coefficient, Jet
from ...language.names import normal, numbers_by_name
from ...language.own_symbols import symbols_in
from ...networks.groups import SignedPermutation, Symmetry
from ..bounds import Interval, checked_bounds
from ..conditions import DATA, Condition
from ..given_columns import ROOT, described
from ..pde import PDE, parameters_of
from ..pointwise import refuse_not_pointwise
from ..recipe import Recipe

if TYPE_CHECKING:
    from ..problem import Problem

Points = npt.NDArray[np.float64]
# Points at which an exact solution is tried before it is taken for unknown everywhere.
_TRIED = 10_000
# Columns of histories that are no terms and no coefficients.
HISTORY_COLUMNS = ("step", "seconds", "lr", "damping", "loss", "held_out", "penalty", "relative_l2")


def checked_settings(problem: Problem) -> dict[str, Any]:
    """What a problem was given, as plain numbers and tuples; the conditions are not numbered yet."""
    pde, domain = problem.pde, problem.domain
    for name, kind in (("name", str), ("pde", PDE), ("domain", Domain), ("recipe", Recipe)):
        if not isinstance(getattr(problem, name), kind):
            raise InputError(f"{name}: expected a {kind.__name__}, got {short(getattr(problem, name))}")
    domain.check()
    if domain.coords != pde.coords:
        raise InputError(f"domain: expected the coordinates {pde.coords} in this order, got {domain.coords}")
    check_shrunk(domain, pde.time)
    if problem.exact is not None and not callable(problem.exact):
        raise InputError(f"exact: expected a function of points (N, d), got {type(problem.exact).__name__}")
    ends = len(pde.coords), len(pde.fields)

    problem.recipe.check(*ends)
    return {
        "conditions": _conditions(problem.conditions),
        "guess": _coefficients("guess", problem.guess, pde),
        "true_coefficients": _coefficients("true_coefficients", problem.true_coefficients, pde),
        "bounds": _bounds(problem),
        "symmetries": _symmetries(problem.symmetries, ends, domain),
    }


def check_parameters(problem: Problem) -> None:
    """
    Raises:
        InputError: conditions on ends of a parameter, where a solution knows none.
    """
    ends = {f"{name}_{end}" for name in problem.pde.parameters for end in ("low", "high")}
    for condition in problem.conditions:
        for region in condition.regions:
            own = () if region is None or condition.kind == DATA else region.parts
            if found := sorted(ends.intersection(own)):
                others = [part for part in problem.domain.parts if part not in ends]
                raise InputError(
                    f"{condition.name}: points: they lie on {found[0]!r}, an end of a parameter, where nothing is "
                    f"given; name the parts: domain.boundary(n, {others})"
                )


def check_names(problem: Problem) -> None:
    """Histories have a column for each term and each unknown coefficient beside their own."""
    for what, names in (("conditions", problem.term_names), ("pde: unknown", tuple(problem.pde.unknown))):
        for name in names:
            if name in HISTORY_COLUMNS or (what == "conditions" and name in problem.pde.unknown):
                raise InputError(f"{what}: the name {name!r} has another meaning in histories; choose another one")


def check_targets(problem: Problem) -> None:
    """Functions take the coordinates in the PDE's order, by position; one whose names say another order is a slip."""
    coords = problem.pde.coords
    for condition in problem.conditions:
        for column, target in condition.targets.items():
            names = (
                _parameters(target.args[0] if column == ROOT and isinstance(target, partial) else target)
                if callable(target)
                else ()
            )
            if any(name in coords and name != coord for name, coord in zip(names, coords, strict=False)):
                raise InputError(
                    f"{condition.name}: {described(column)}: it is called with the coordinates {list(coords)} in this "
                    f"order, its parameters are {list(names)}"
                )


def check_use(problem: Problem) -> None:
    """Every field and every unknown coefficient is read by a term that counts: otherwise it would stay at random."""
    read = [
        part
        for condition, traced in zip(problem.conditions, problem.traced, strict=True)
        if condition.weight > 0
        for part in traced.program.inputs
    ]
    used_fields = {part.field for part in read if isinstance(part, Jet)}
    used_coefficients = {part.number for part in read if isinstance(part, Coefficient)}
    for what, names, used in (
        ("fields", problem.pde.fields, used_fields),
        ("unknown", tuple(problem.pde.unknown), used_coefficients),
    ):
        unused = [repr(name) for i, name in enumerate(names) if i not in used]
        if unused:
            raise InputError(
                f"pde: {what}: no term of positive weight depends on {' and '.join(unused)}, so nothing determines it; "
                "leave it out of the PDE, or give the residual or condition that it is in"
            )


def check_known(problem: Problem) -> None:
    """Every known coefficient is in some residual: one that is in none is another name than that which was meant."""
    pde = problem.pde
    symbols = {*pde.given.symbols, *(symbol for traced in problem.traced for symbol in traced.symbols)}
    own = [function for c in problem.conditions if (function := c.own_function()) is not None]
    functions = [pde.residual, *own]
    read = {normal(symbol.name) for symbol in symbols.union(*map(symbols_in, functions))}
    read = read.union(*(parameters_of(function) or () for function in functions))
    unused = [repr(name) for name in pde.coefficients if name not in read]
    if unused:
        raise InputError(
            f"pde: coefficients: no residual has {' or '.join(unused)} as a parameter; leave it out of the PDE, or "
            "give the residual function that reads it a parameter of that name"
        )


def check_points(problem: Problem) -> None:
    """Points are of the PDE's coordinates and lie in the domain, but those of conditions that may be outside."""
    coords = problem.pde.coords
    for condition in problem.conditions:
        for region in condition.regions:
            if region is not None and region.coords != coords:
                what = "order" if sorted(region.coords) == sorted(coords) else "names"
                raise InputError(
                    f"{condition.name}: points of a {type(region.domain).__name__} with the coordinates "
                    f"{list(region.coords)}, the PDE has {list(coords)}: give it the PDE's {what}, else columns would "
                    "be mistaken for each other"
                )
        for points in () if condition.outside else condition.sites:
            beyond = problem.domain.outside(points)
            if beyond.any():
                first = ", ".join(f"{x:.10g}" for x in points[int(np.argmax(beyond))])
                raise InputError(
                    f"{condition.name}: points: {int(beyond.sum())} of {len(points)} lie outside the domain "
                    f"{problem.domain}, the first is ({first}); {how_far(problem.domain, points[beyond])}; if that is "
                    "meant, say outside=True"
                )


def check_exact(problem: Problem) -> tuple[Points, Points]:
    """The exact solution at a few points of a condition, where it should be known: the box may be larger.

    Returns:
        The points, and its values there.
    """
    own = max((c.sites[0] for c in problem.conditions if not c.outside), key=len, default=problem.domain.unseen_grid(3))
    # As many points as fields would hide a transposed result.
    n = 4 if len(problem.pde.fields) == 3 else 3
    points = own[np.linspace(0, len(own) - 1, n + 2)[1:-1].round().astype(np.int64)]
    values = problem.exact_at(points)
    advice = "errors are measured at other points"
    refuse_not_pointwise("exact", problem.exact_at, points, values, advice)
    if not np.isnan(values).all():
        return points, values
    # It may be known in a small part.
    per_axis = round(_TRIED ** (1 / len(problem.pde.coords)))
    points = np.concatenate([own[:_TRIED], problem.domain.unseen_grid(per_axis)])
    values = problem.exact_at(points)
    known = ~np.isnan(values).all(axis=1)
    if not known.any():
        raise InputError(f"exact: it is NaN at all of the {len(points):,} points tried")
    return points[known][:4], values[known][:4]


def check_coefficients(what: str, given: object, unknown: Sequence[str]) -> dict[str, float]:
    """Numbers for some of the unknown coefficients, by name."""
    numbers = numbers_by_name(given, what)
    for name in numbers:
        if name not in unknown:
            raise InputError(f"{what}: the unknown coefficients are {list(unknown)}, got {name!r}")
    return numbers


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names, as far as the function tells them."""
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return ()


def _coefficients(what: str, given: object, pde: PDE) -> dict[str, float]:
    return check_coefficients(what, given, tuple(pde.unknown))


def _bounds(problem: Problem) -> dict[str, Interval]:
    bounds = checked_bounds(problem.bounds, tuple(problem.pde.unknown))
    for name, true in _coefficients("true_coefficients", problem.true_coefficients, problem.pde).items():
        low, high = bounds.get(name, (true, true))
        if not low <= true <= high:
            raise InputError(f"bounds: {name}: its true value {true:g} lies outside ({low:g}, {high:g})")
    return bounds


def _conditions(given: object) -> list[Condition]:
    conditions = _items("conditions", given)
    if not conditions:
        raise InputError("conditions: expected at least one")
    for condition in conditions:
        if not isinstance(condition, Condition):
            raise InputError(f"conditions: expected Residual(...), Dirichlet(...), ..., got {short(condition)}")
    if all(condition.weight == 0 for condition in conditions):
        raise InputError("conditions: expected a positive weight for at least one, all are 0")
    return conditions


def _symmetries(given: object, ends: tuple[int, int], domain: Domain) -> tuple[Symmetry, ...]:
    symmetries = _items("symmetries", given)
    own_maps = {SignedPermutation.identity(ends[0]), *(domain.symmetries() if symmetries else ())}
    sides = domain.high - domain.low
    for symmetry in symmetries:
        if not isinstance(symmetry, Symmetry) or (symmetry.map.size, len(symmetry.character)) != ends:
            raise InputError(
                f"symmetries: expected Symmetry(map of {ends[0]} inputs, signs of {ends[1]} outputs), "
                f"got {short(symmetry)}"
            )
        # Of many coordinates a box's exchanges are not listed.
        is_exchange = domain.is_box and np.allclose(sides[list(symmetry.map.permutation)], sides)
        if symmetry.map not in own_maps and not is_exchange:
            raise InputError(
                f"symmetries: {symmetry.map.describe(domain.coords)} about its centre does not take {domain} to itself"
            )
    return tuple(symmetries)


def _items(what: str, given: object) -> list[Any]:
    if isinstance(given, (str, bytes, Mapping)) or not hasattr(given, "__iter__"):
        raise InputError(f"{what}: expected a list, got {type(given).__name__}")
    if isinstance(given, (set, frozenset)):
        raise InputError(f"{what}: expected a list, got a {type(given).__name__}, which has no order")
    return list(given)
