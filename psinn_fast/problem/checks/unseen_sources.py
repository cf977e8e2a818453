"""Sources that no point meets: a heater of 2 cm in a room is zero at all of 4,000 points, and nothing is heated.

Sources, and coefficients that vary in space, are known functions of the coordinates. So their peaks are looked for
(`peaks`) without any network, and each is compared with the points that see it: those of all terms that have the
source, and as many others of their regions as training looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import sympy as sp
from scipy.spatial import cKDTree

from ...domains import Region
from ...language.fields import SymbolicField
from ...language.jets import SymbolicJet
from ...language.steps import readable
from ...language.tracing import Traced, deeper
from ..conditions import DATA, EQUATION, Condition
from .guides import Guide, compiled, guides
from .peaks import Function, Peak, least, peaks

if TYPE_CHECKING:  # it imports this module
    from ..problem import Problem

Points = npt.NDArray[np.float64]
# A peak is seen by so many points, each with at least this part of its height, no more than so many of its widths away.
_FEW, _PART, _NEAR = 5, 0.1, 4.0
# A part of this share of the region or more is no peak, however few points there are.
_NARROW = 0.005
# One with less than this part of what the rest of the source has does not matter.
_SHARE = 0.05
# Other points of the interior, of a line, and of parts of the boundary, that training looks at; those that the rest of
# the source is known from.
_WATCHED, _WATCHED_ON_A_LINE, _WATCHED_ON_PARTS, _SAMPLES = 2_048, 8_192, 256, 8_192
# What is left at some distance of a peak, and of one of a coefficient: 1/r is no peak, and r^-2 multiplies what
# vanishes at r = 0.
_TAIL, _TAIL_OF_COEFFICIENT = 1e-2, 1e-6
# Guides that are followed for each source, and operations at each place for all of them.
_GUIDES, _OPERATIONS = 12, 1_000
# There is none of a region that is known by points where the next one is so many distances of theirs away.
_BETWEEN = 2.0
_DIGITS = 12


class _Source(NamedTuple):
    """A function of the coordinates in some conditions' residuals; ``tail``: that of a peak."""

    expression: sp.Expr
    symbols: tuple[sp.Symbol, ...]
    tail: float


class _Place(NamedTuple):
    """Where a condition asks for its source: from [0, 1]^d to points, which of these lie inside, and which of those
    near to points of an array."""

    points: Callable[[Points], Points]
    inside: Callable[[Points], npt.NDArray[np.bool_]]
    near: Callable[[Points], npt.NDArray[np.bool_]]


def unseen_sources(problem: Problem) -> tuple[str, ...]:
    """What speaks against a problem's points: one text for each source with a part that they do not see.

    A part that has 5 % of the integral of a source's magnitude or more, and at most four points. Points that stand for
    a region count with 2,048 others of it; arrays alone, and between them nothing is known beyond twice their distance.
    """
    found: dict[_Source, list[Condition]] = {}
    for condition, traced in zip(problem.conditions, problem.traced, strict=True):
        if condition.weight and condition.kind != DATA and len(condition.sites) == 1:
            for source in _sources(problem, traced):
                found.setdefault(source, []).append(condition)
    texts = (_unseen(problem, source, conditions) for source, conditions in found.items())
    return tuple(text for text in texts if text)


def _sources(problem: Problem, traced: Traced) -> Iterator[_Source]:
    """What is left of the residuals without fields, and coefficients that vary."""
    symbols = traced.columns.symbols
    with deeper:
        # Very large residuals are not rewritten in jets: of them, what depends on the coordinates alone must do.
        plain = [_without_fields(problem, r) for r in traced.residuals if not r.has(SymbolicField)]
        sources = [source for source in plain if source.free_symbols and source.free_symbols <= {*symbols}]
        for source in sources:
            yield _Source(source, symbols, _TAIL)
        terms = {term for source in sources for term in (source, -source, *sp.Add.make_args(source))}
        for column in traced.columns.expressions:
            if column not in terms:
                yield _Source(column, symbols, _TAIL_OF_COEFFICIENT)


def _without_fields(problem: Problem, residual: sp.Expr) -> sp.Expr:
    fields = residual.atoms(SymbolicJet)
    starts = problem.unknowns.values(problem.unknowns.start(guessed=True))
    given = {s: sp.Float(starts[s.name] or 1.0) for s in residual.free_symbols - fields if s.name in starts}
    return residual.xreplace({**dict.fromkeys(fields, sp.Integer(0)), **given})


def _unseen(problem: Problem, source: _Source, conditions: Sequence[Condition]) -> str | None:
    with deeper:
        found = guides(source.expression, source.symbols)
        if not found:
            return None
        kept = max(1, min(_GUIDES, _OPERATIONS // int(sp.count_ops(source.expression))))
        try:
            value = compiled(source.expression, source.symbols)
            followed = [
                (guide, compiled(guide.expression, source.symbols)) for guide in found[:: -(-len(found) // kept)]
            ]
            for tried in (value, *(function for _, function in followed)):
                tried(conditions[0].sites[0][:1])
        except Exception:  # of any function that SymPy can name
            return None
    axes = [i for i, symbol in enumerate(source.symbols) if symbol in source.expression.free_symbols]
    seeing = np.concatenate([points for condition in conditions for points in _seen_by(condition)])
    magnitude = partial(_magnitude, value)
    for condition in conditions:
        for place in _places(problem, condition):
            functions = [function for pair in followed if (function := _narrow(place, *pair, len(source.symbols)))]
            worst = _worst(place, magnitude, functions, axes, seeing, source.tail) if functions else None
            if worst is not None:
                return _message(problem, condition, source, worst)
    return None


def _magnitude(value: Function, points: Points) -> Points:
    """0 where there is none."""
    return np.nan_to_num(np.abs(value(points)), nan=0.0, posinf=0.0)


def _narrow(place: _Place, guide: Guide, function: Function, d: int) -> Function | None:
    """The guide as a function on [0, 1]^d, unless enough of the points that training looks at see what it leads to."""

    def at(unit: Points) -> Points:
        return function(place.points(unit))

    if guide.margin or guide.times > 1:
        lowest = least(at, d)
        near = at(np.random.default_rng(3).random((_WATCHED_ON_PARTS, d))) <= guide.times * lowest + guide.margin
        if np.count_nonzero(near) >= _FEW:
            return None
    return at


def _worst(
    place: _Place, magnitude: Function, functions: Sequence[Function], axes: Sequence[int], seeing: Points, tail: float
) -> tuple[Points, float] | None:
    """The place of the largest peak that is not seen, and its part of the source."""

    def values(unit: Points) -> Points:
        points = place.points(unit)
        found = magnitude(points)
        asked = found > 0
        asked[asked] = place.inside(points[asked])
        return np.where(asked, found, 0.0)

    d = seeing.shape[1]
    unit = np.random.default_rng(1).random((_SAMPLES, d))
    points, seen = place.points(unit), magnitude(seeing)
    sampled = np.where(place.near(points), values(unit), 0.0)
    found = [
        peak
        for peak in peaks(values, [lambda x: -values(x), *functions], axes, d)
        if peak.tail <= tail and peak.integral < _NARROW * peak.height
    ]
    largest = max((peak.integral for peak in found), default=0.0)
    for peak in sorted(found, key=lambda peak: -peak.integral):
        at, is_local = place.points(peak.place[None])[0], np.count_nonzero(peak.widths) == len(axes)
        if not place.near(at[None])[0]:
            continue
        reach = _reach(place, peak, axes) if is_local else np.full(len(at), np.inf)
        hits = (seen >= _PART * peak.height) & (np.abs(seeing - at) <= reach).all(1)
        # Points of a grid one above the other are one for what is the same there.
        if len(np.unique(np.round(seeing[hits][:, axes], _DIGITS), axis=0)) >= _FEW:
            continue
        own = (np.abs(points - at) <= reach / _NEAR).all(1) & (is_local | (sampled >= _PART * peak.height))
        rest = max(float(sampled[~own].sum()) / len(sampled), largest - peak.integral)
        if peak.integral > _SHARE * (peak.integral + rest):
            return at, peak.integral / (peak.integral + rest)
    return None


def _reach(place: _Place, peak: Peak, axes: Sequence[int]) -> Points:
    """How far along each coordinate a peak's neighbourhood goes; everywhere along those that the source has not."""
    sides = np.clip(peak.place + np.concatenate([np.diag(peak.widths), -np.diag(peak.widths)]), 0, 1)
    away = np.abs(place.points(sides) - place.points(peak.place[None])).max(0)
    return np.where(np.isin(np.arange(len(away)), axes), _NEAR * away, np.inf)


def _seen_by(condition: Condition) -> Iterator[Points]:
    """The points of an array; of a region as many as were given, and those that training looks at, all of them random:
    a grid may lie on a line by chance."""
    region, points = condition.regions[0], np.asarray(condition.sites[0])
    if region is None or region.is_point:
        yield points
    else:
        rng = np.random.default_rng(2)
        d = points.shape[1]
        others = (_WATCHED if d > 1 else _WATCHED_ON_A_LINE) if region.is_solid else _WATCHED_ON_PARTS
        yield region.drawn(len(points) + others, lambda n: rng.random((n, d)))


def _places(problem: Problem, condition: Condition) -> Iterator[_Place]:
    region = condition.regions[0]
    if region is None:
        if condition.kind == EQUATION and len(condition.sites[0]) > 2:
            domain = problem.domain
            yield _Place(domain.from_unit, domain.inside, _around(condition.sites[0]))
    elif region.is_solid:
        yield _Place(region.domain.from_unit, region.domain.inside, _everywhere)
    elif not region.is_point:
        for part in region.parts:
            yield _Place(partial(_on, region, part), _everywhere, _everywhere)


def _on(region: Region, part: str, unit: Points) -> Points:
    return region.domain.surface(part, region.domain.unit_on(part, unit))[0]


def _everywhere(points: Points) -> npt.NDArray[np.bool_]:
    return np.ones(len(points), dtype=bool)


def _around(points: Points) -> Callable[[Points], npt.NDArray[np.bool_]]:
    """Whether there are points of an array nearby."""
    extent = np.ptp(points, axis=0)
    units = np.where(extent > 0, extent, 1.0)
    tree = cKDTree(points / units)
    usual = float(np.quantile(tree.query(points / units, 2)[0][:, 1], 0.99))
    return lambda places: tree.query(places / units)[0] <= _BETWEEN * usual


def _message(problem: Problem, condition: Condition, source: _Source, worst: tuple[Points, float]) -> str:
    at, share = worst
    where = ", ".join(f"{name} = {x:.6g}" for name, x in zip(problem.pde.coords, at, strict=True))
    return (
        f"term {condition.name!r}: its points miss the peak of {readable(source.expression, 80)} at {where}, "
        f"{100 * share:.0f} % of its integral: add a term with points around it, e.g. Residual(Box(...).random(...))"
    )
