"""What is differentiated and changes between a term's points is refused: jumps however they are written, thin layers.

SymPy differentiates (x - 1)/abs(x - 1) to 0 wherever that has a derivative, and tanh(1e9 (x - 1)) to a peak that no
point meets. So the values of what is differentiated are looked at, along lines in the direction of the derivative; and
along each field in it, since u/abs(u) jumps wherever u passes through 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import sympy as sp

from ...kernels.errors import InputError
from ...language.fields import SymbolicField
from ...language.steps import in_steps, readable
from ...language.tracing import deeper
from ..conditions import Condition
from .line_jumps import Jump, jumps_within, line_jumps, offsets

if TYPE_CHECKING:  # it imports this module
    from ..problem import Problem

Points = npt.NDArray[np.float64]

# Lines, by the number of other variables that what is differentiated depends on.
_LINES = {0: 1, 1: 64}
_MOST_LINES = 256
# The multiples of the powers 1/s, ..., 1/s^n, up to integers, are spread evenly in n dimensions: s^(n + 1) = s + 1.
_SPREAD = (1.0, 1.618033988749895, 1.324717957244746, 1.2207440846057596)
# Fields on every other line, in units of one over the line's length: they make no layer themselves.
_SMALL = 1e-3
# How far points are beside a jump and before and behind it, in mean distances between points.
_BESIDE, _ALONG = 0.6, 4.0
# Digits of the last look, which rounding errors cannot deceive.
_DIGITS = 40
# Of finite numbers.
_SMOOTH_FUNCTIONS = (sp.sin, sp.cos, sp.exp, sp.sinh, sp.cosh, sp.tanh, sp.erf, sp.atan)
# Of a line: the width of a smooth step that is advised.
_SMOOTH = 1 / 50
# Lines along a field u = sinh(s), |s| <= the range, so that all magnitudes up to 1e5 are seen alike; decades of the
# other fields.
_FIELD_LINES, _FIELD_RANGE, _FIELD_DECADES = 16, 12.0, (-2.0, 1.0)


def refuse_unseen_jumps(problem: Problem) -> None:
    """
    Raises:
        InputError: a residual differentiates by a coordinate what jumps along it between the term's points, or changes
            there within less than a few times the distance of the points held out; or what jumps as a function of a
            field.
    """
    seen = set[tuple[object, ...]]()
    looked_at = set[sp.Expr]()
    for condition, traced in zip(problem.conditions, problem.traced, strict=True):
        boxes = [(low.tobytes(), high.tobytes()) for low, high in _boxes(condition)]
        with deeper:
            for differentiated, variables in traced.derivatives:
                for expression, variable in _by_steps(differentiated, variables):
                    if expression not in looked_at:
                        _refuse_field_jumps(problem, condition, expression, variable)
                    looked_at.add(expression)
                    if _without_fields(expression).is_polynomial(*problem.pde.coordinate_symbols()):
                        continue
                    for (low, high), key in zip(_boxes(condition), boxes, strict=True):
                        if (expression, variable, key) not in seen:
                            _Derivative(problem, condition, expression, variable, low, high).refuse_jumps()
                        seen.add((expression, variable, key))


def _boxes(condition: Condition) -> list[tuple[Points, Points]]:
    """Around the parts of the region that its points stand for; otherwise around the points."""
    region, points = condition.regions[0], condition.sites[0]
    return [(points.min(0), points.max(0))] if region is None else region.extents


def _by_steps(expression: sp.Expr, variables: Sequence[sp.Symbol]) -> Iterator[tuple[sp.Expr, sp.Symbol]]:
    """What is differentiated, and by what, one after the other, as long as it is no polynomial."""
    for i, variable in enumerate(variables):
        if i:
            expression = expression.diff(variables[i - 1])
        if _without_fields(expression).is_polynomial():
            return
        yield expression, variable


def _definitions(expression: sp.Expr) -> tuple[list[tuple[sp.Symbol, sp.Expr]], sp.Expr]:
    """What is nested deeper than Python reads is written in steps."""
    steps, (last,) = in_steps([expression], ())
    return steps, last


def _without_fields(expression: sp.Expr) -> sp.Expr:
    return expression.xreplace({field: sp.Dummy(real=True) for field in expression.atoms(SymbolicField)})


def _jumps_along(
    expression: sp.Expr, variable: sp.Symbol, others: Mapping[sp.Symbol, Points], low: float, high: float
) -> Iterator[tuple[Jump, dict[sp.Symbol, float]]]:
    """Where an expression jumps along a variable, and what the other symbols are there.

    Args:
        others: of each of them one number for each line.
    """

    def values(x: Points, line: npt.NDArray[np.intp]) -> Points:
        with np.errstate(all="ignore"):
            found = np.real(compiled(x, *(constant[line] for constant in others.values())))
        return np.array(np.broadcast_to(found, x.shape), dtype=np.float64)

    try:
        compiled = sp.lambdify((variable, *others), expression, ["scipy", "numpy"], cse=_definitions)
        jumps = line_jumps(values, len(next(iter(others.values()), (0,))), low, high)
    except Exception:  # of any function that SymPy can name; columns say what cannot be computed
        return
    for jump in jumps:
        yield jump, {symbol: float(constant[jump.line]) for symbol, constant in others.items()}


def _is_exact(expression: sp.Expr, variable: sp.Symbol, jump: Jump, fixed: Mapping[sp.Symbol, float]) -> bool:
    """Whether it is there without rounding errors, too."""
    at = expression.xreplace({symbol: sp.Float(number, _DIGITS) for symbol, number in fixed.items()})
    distances = offsets(jump.distance)
    try:
        values = [
            float(at.xreplace({variable: sp.Float(jump.place, _DIGITS) + sp.Float(d, _DIGITS)}).evalf(_DIGITS))
            for d in distances.ravel()
        ]
    except (TypeError, ValueError, OverflowError):
        return True
    return bool(jumps_within(np.array(values).reshape(1, *distances.shape))[0])


def _refuse_field_jumps(problem: Problem, condition: Condition, expression: sp.Expr, variable: sp.Symbol) -> None:
    """Jumps along a field u = sinh(s). The angle of two fields jumps, too, but not what its derivative means."""
    known = {field: sp.Dummy(real=True) for field in expression.atoms(SymbolicField)}
    plain, s, rng = expression.xreplace(known), sp.Dummy(real=True), np.random.default_rng(0)
    coords = set(problem.pde.coordinate_symbols())
    if plain.has(sp.atan2, sp.arg):
        return
    for field, symbol in sorted(known.items(), key=lambda item: str(item[0])):
        if _is_smooth(plain, symbol):
            continue
        along = plain.as_independent(symbol)[1].xreplace({symbol: sp.sinh(s)})
        others = {
            other: _constants_beside_fields(problem, condition, other, rng)
            for other in sorted(along.free_symbols - {s}, key=lambda other: other.sort_key())
        }
        for jump, fixed in _jumps_along(along, s, others, -_FIELD_RANGE, _FIELD_RANGE):
            if jump.sharp and _is_exact(along, s, jump, fixed):
                places = {field: np.sinh(jump.place), **{x: fixed[x] for x in sorted(coords & fixed.keys(), key=str)}}
                where = ", ".join(f"{name} = {round(float(place), 6) + 0.0:.6g}" for name, place in places.items())
                raise InputError(
                    f"term {condition.name!r}: derivative by {variable} of {readable(expression, 200)}, which jumps at "
                    f"{where}: the derivative of that is not seen at points; smooth it, e.g. u/abs(u) by tanh(u/0.01)"
                )


def _is_smooth(expression: sp.Expr, symbol: sp.Symbol) -> bool:
    """Whether it is made of operations without jumps, as far as the symbol goes."""
    return all(
        isinstance(node, (sp.Add, sp.Mul, *_SMOOTH_FUNCTIONS))
        or node == symbol
        or (isinstance(node, sp.Pow) and node.exp.is_Integer and node.exp.is_positive)
        for node in sp.preorder_traversal(expression)
        if node.has(symbol)
    )


def _constants_beside_fields(
    problem: Problem, condition: Condition, symbol: sp.Symbol, rng: np.random.Generator
) -> Points:
    """One number for each line: places in the box, coefficients around their start, other fields of all sizes."""
    coords, starts = problem.pde.coordinate_symbols(), problem.unknowns.values(problem.unknowns.start(guessed=True))
    if symbol in coords:
        points = condition.sites[0][:, coords.index(symbol)]
        return rng.uniform(points.min(), points.max(), _FIELD_LINES)
    if symbol.name in starts:
        return np.full(_FIELD_LINES, starts[symbol.name])
    return np.asarray(10 ** rng.uniform(*_FIELD_DECADES, _FIELD_LINES) * rng.choice([-1.0, 1.0], _FIELD_LINES))


@dataclass
class _Derivative:
    """Of an expression in a condition's residual, by a coordinate, in a box."""

    problem: Problem
    condition: Condition
    expression: sp.Expr
    variable: sp.Symbol
    low: Points
    high: Points

    def __post_init__(self) -> None:
        self.coords = self.problem.pde.coordinate_symbols()
        self.axis = self.coords.index(self.variable)
        # Factors and terms that do not depend on the coordinates do not matter.
        self.changing = _without_fields(self.expression).as_independent(*self.coords)[1]
        self.others = sorted(self.changing.free_symbols - {self.variable}, key=lambda s: s.sort_key())

    def refuse_jumps(self) -> None:
        low, high = self.low[self.axis], self.high[self.axis]
        if low == high or not self.changing.has(self.variable):
            return
        constants = dict(zip(self.others, self._constants(), strict=True))
        for jump, fixed in _jumps_along(self.changing, self.variable, constants, low, high):
            # On odd lines coefficients and fields may have made a layer that there is not.
            may_be_none = not jump.sharp and jump.line % 2 and not fixed.keys() <= set(self.coords)
            place = self._place(jump, fixed)
            if may_be_none or not self._has_points_around(place):
                continue
            if _is_exact(self.changing, self.variable, jump, fixed):
                raise InputError(self._message(jump, place))

    def _constants(self) -> list[Points]:
        """Of the other symbols, one number for each line: places spread evenly, coefficients, values of fields."""
        n_lines = _LINES.get(len(self.others), _MOST_LINES)
        rng, lines = np.random.default_rng(0), np.arange(n_lines)
        unknowns = self.problem.unknowns
        starts = unknowns.values(unknowns.start(guessed=True))
        size = self.high[self.axis] - self.low[self.axis]
        places = [symbol for symbol in self.others if symbol in self.coords]
        root = _SPREAD[len(places)]
        constants = []
        for symbol in self.others:
            if symbol in self.coords:
                axis = self.coords.index(symbol)
                part = (lines + 0.5) * root ** -(1 + places.index(symbol)) % 1
                constant = self.low[axis] + (self.high[axis] - self.low[axis]) * part
            elif symbol.name in starts:
                # A coefficient may be a place.
                low, high = (
                    end if np.isfinite(end) else other
                    for end, other in zip(
                        unknowns.interval(symbol.name), (self.low[self.axis], self.high[self.axis]), strict=True
                    )
                )
                constant = np.where(
                    lines % 2, rng.uniform(min(low, high), max(low, high), n_lines), starts[symbol.name]
                )
            else:
                # More often positive: of a negative one there may be no logarithm.
                constant = rng.uniform(0.1, 2, n_lines) * np.where(lines % 8 < 6, 1, -1)
                constant = np.where(lines % 2, constant, constant * _SMALL / max(size, 1.0))
            constants.append(constant)
        return constants

    def _place(self, jump: Jump, fixed: dict[sp.Symbol, float]) -> Points:
        place = np.asarray((self.low + self.high) / 2)
        for axis, symbol in enumerate(self.coords):
            place[axis] = jump.place if axis == self.axis else fixed.get(symbol, place[axis])
        return place

    def _has_points_around(self, place: Points) -> bool:
        """Whether the condition is asked for there: in its region, or between its points."""
        region = self.condition.regions[0]
        if region is not None and region.domain.is_box:
            return True
        # What the expression does not depend on, may be anything.
        axes = [
            i for i, s in enumerate(self.coords) if i != self.axis and s in self.others and self.low[i] < self.high[i]
        ]
        extent = self.high - self.low
        spacing = len(self.condition.sites[0]) ** (-1 / np.count_nonzero(extent))
        away = self.condition.sites[0] - place
        near = (np.abs(away[:, axes]) <= _BESIDE * spacing * extent[axes]).all(1)
        along = away[near, self.axis] / (_ALONG * spacing * extent[self.axis])
        return bool(((along > 0) & (along <= 1)).any() and ((along < 0) & (along >= -1)).any())

    def _message(self, jump: Jump, place: Points) -> str:
        name, x = self.variable, jump.place
        change = "jumps at" if jump.sharp else f"changes within {2 * jump.distance:.2g} of"
        where = ", ".join(
            f"{s} = {p:.6g}" for s, p in zip(self.coords, place, strict=True) if s == name or s in self.others
        )
        wide = (self.high[self.axis] - self.low[self.axis]) * _SMOOTH
        shifted = f"({name} {'-' if x > 0 else '+'} {abs(x):.6g})" if x else str(name)
        return (
            f"term {self.condition.name!r}: derivative by {name} of {readable(self.expression, 200)}, which {change} "
            f"{where}: the derivative of that is not seen at points; give each side an equation of its own, with two "
            f"fields and conditions between them, or smooth it over many points, e.g. with tanh({shifted}/{wide:.2g})"
        )
