"""Conditions at later times that say other than the initial state where both begin, as walls do in a corner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import sympy as sp

from ..kernels.language.channels import Laplacian
from ..language.jets import SymbolicJet, jets_of
from ..language.tracing import column_symbol
from ..problem.conditions import BOUNDARY, RESIDUAL, Condition
from ..problem.problem import Problem
from ..training.doubts import ALLOWED
from ..training.points.windows import SAME, is_initial, times_of
from .given import Given
from .initial import Part, columns_of, constant_normals, orders_in_time

Points = npt.NDArray[np.float64]
# Places at which the sizes of fields are looked at; of what cancels, so much is rounding.
_PLACES, _ROUNDING = 256, 1e-6


class _Jump(NamedTuple):
    """A residual r of a condition, or its change in time, that the initial state leaves at a point."""

    r: float
    point: Points
    is_rate: bool


def corner_jumps(problem: Problem, state: Mapping[Part, Given]) -> tuple[str, ...]:
    """Of each condition the largest jump from the initial state, where its points are at the first time: the residual
    there, and of second order in time the residual's change, by derivatives of the initial state. A window
    starts exactly with the one and is to end with the other, which no smooth function does."""
    axis, low, high = times_of(problem)
    time, names = problem.pde.coordinate_symbols()[axis], problem.pde.coords
    known = _continued(problem, state)
    found = []
    for number, condition in enumerate(problem.conditions):
        if not condition.weight or condition.kind not in (BOUNDARY, RESIDUAL) or condition.quadrature is not None:
            continue
        begins = np.all([sites[:, axis] - low <= SAME * (high - low) for sites in condition.sites], 0)
        if is_initial(condition, axis, low, high) or not begins.any():
            continue
        jumps = list(_jumps(problem, number, begins, known))
        if not jumps:
            continue
        worst = max(jumps, key=lambda jump: abs(jump.r))
        place = ", ".join(f"{name} = {value:.6g}" for name, value in zip(names, worst.point, strict=True))
        what = f"the change in {time} of {condition.name!r}" if worst.is_rate else f"{condition.name!r}"
        found.append(
            f"{what} does not hold for the initial state at {place}: it is off by {abs(worst.r):.4g}, and no window is "
            "both (let one go over into the other, e.g. within a short time, or begin the condition later)"
        )
    return tuple(found)


def _continued(problem: Problem, state: Mapping[Part, Given]) -> dict[str, sp.Expr]:
    """By field what is known of it at first: its state, and its change in time if that is given."""
    axis, low, _ = times_of(problem)
    time, found = problem.pde.coordinate_symbols()[axis], {}
    for field, order in zip(problem.pde.fields, orders_in_time(problem), strict=True):
        values = [state[Part(field, k)].value for k in range(order)]
        if values and all(value is not None for value in values):
            found[field] = sum((time - sp.Float(low, 17)) ** k * value for k, value in enumerate(values))
    return found


def _jumps(
    problem: Problem, number: int, begins: npt.NDArray[np.bool_], known: Mapping[str, sp.Expr]
) -> Iterator[_Jump]:
    condition, traced = problem.conditions[number], problem.traced[number]
    axis, _, _ = times_of(problem)
    orders = dict(zip(problem.pde.fields, orders_in_time(problem), strict=True))
    coords = problem.pde.coordinate_symbols()
    normals = constant_normals(condition)
    for residual in (own.xreplace(normals) for own in traced.residuals):
        jets = jets_of([residual])
        left = min((orders[jet.field] - _order_in_time(jet, axis) for jet in jets), default=0)
        if left < 1 or any(jet.field not in known for jet in jets):
            continue
        values = {jet: _derivative(known[jet.field], jet, coords) for jet in jets}
        yield from _beyond(problem, condition, begins, residual, values, is_rate=False)
        columns = columns_of(condition, problem) if left > 1 else {}
        if left > 1 and all(columns[symbol] is not None for symbol in residual.free_symbols & columns.keys()):
            time = coords[axis]
            rates = {jet: value.diff(time) for jet, value in values.items()}
            closed = residual.xreplace({symbol: value for symbol, value in columns.items() if value is not None})
            slopes = [closed.diff(jet) for jet in jets]
            if not any(part.has(*jets) for part in (closed.diff(time), *slopes)):  # linear, and not by factors of time
                rate = closed.diff(time) + sum(slope * jet for slope, jet in zip(slopes, jets, strict=True))
                yield from _beyond(problem, condition, begins, rate, rates, is_rate=True)


def _order_in_time(jet: SymbolicJet, axis: int) -> int:
    return 2 * (axis in jet.channel.axes) if isinstance(jet.channel, Laplacian) else jet.channel[axis]


def _derivative(value: sp.Expr, jet: SymbolicJet, coords: tuple[sp.Symbol, ...]) -> sp.Expr:
    if isinstance(jet.channel, Laplacian):
        return sum(value.diff(coords[axis], 2) for axis in jet.channel.axes)
    for symbol, order in zip(coords, jet.channel, strict=True):
        value = value.diff(symbol, order) if order else value
    return value


def _beyond(
    problem: Problem,
    condition: Condition,
    begins: npt.NDArray[np.bool_],
    residual: sp.Expr,
    values: Mapping[SymbolicJet, sp.Expr],
    is_rate: bool,
) -> Iterator[_Jump]:
    """The largest residual of the points, if it is more than fields of this size leave."""
    coords, jets = problem.pde.coordinate_symbols(), list(values)
    axis, low, _ = times_of(problem)
    everywhere = problem.domain.random(_PLACES, 0).copy()
    everywhere[:, axis] = low
    own, sizes = [], []
    for jet in jets:
        own.append(_numbers(values[jet], coords, condition.sites[jet.site][begins].T))
        over = _numbers(values[jet], coords, everywhere.T)
        is_value = not isinstance(jet.channel, Laplacian) and not any(jet.channel)
        sizes.append(np.ptp(over) if is_value else np.abs(over).max())
    symbols = [*jets, *(column_symbol(i) for i in range(len(condition.columns))), *coords]
    given = [*own, *(column[begins] for column in condition.columns.values()), *condition.sites[0][begins].T]
    slopes = [np.abs(_numbers(residual.diff(jet), symbols, given)) for jet in jets]
    r = _numbers(residual, symbols, given)
    scale = sum((slope * size for slope, size in zip(slopes, sizes, strict=True)), start=np.zeros(len(r)))
    rounding = sum((slope * np.abs(value) for slope, value in zip(slopes, own, strict=True)), start=np.zeros(len(r)))
    beyond = np.where(np.abs(r) > np.maximum(ALLOWED * scale, _ROUNDING * rounding), np.abs(r), 0.0)
    if np.isfinite(beyond).all() and beyond.any():
        worst = int(np.argmax(beyond))
        yield _Jump(float(r[worst]), condition.sites[0][begins][worst], is_rate)


def _numbers(expression: sp.Expr, symbols: Sequence[sp.Symbol], given: Sequence[Points] | Points) -> Points:
    """(N,), NaN, of which nothing is said, where NumPy and SciPy have none: of a jump's derivative, for instance."""
    n = len(given[0])
    try:
        with np.errstate(all="ignore"):
            found = sp.lambdify(symbols, expression, ["scipy", "numpy"])(*given)
        return np.broadcast_to(np.asarray(found, dtype=np.float64), n)
    except (NameError, TypeError):
        return np.full(n, np.nan)
