"""Where in its domain a problem asks for its equation: a network that solves it elsewhere only is no solution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from ...domains import Domain
from ..conditions import EQUATION, INSIDE, RESIDUAL, Condition
from ..given_columns import ROOT

if TYPE_CHECKING:  # it is described, not made, here
    from ..problem import Problem

Points = npt.NDArray[np.float64]
# Parts of an axis without the equation that are worth a word: beside regions, which are known exactly; beyond the first
# and last of other points, which may keep away from a boundary; between these, where they are usually much closer.
_BESIDE, _BEYOND, _BETWEEN = 0.025, 0.15, 0.25
_MUCH = 4.0
# Random points of a domain that is no box at which the equation's regions are looked for.
_PROBES = 1024
# Points so near to each other or to a face, relative to the domain, are one or lie on it.
_SAME = 1e-6


def coverage(problem: Problem) -> tuple[str, ...]:
    """Where the equation is not asked for; () where it is asked for everywhere.

    In a box one text per axis, along which it is looked for: points of a part of it, such as an L or a disc, leave no
    gap. So it is in a product along the coordinates that run over an interval. In another domain a text if the regions
    that points stand for leave out a part of it. Points of weight 0 ask for nothing. Residuals of a condition's own
    count as the equation, since different parts may have different ones; a PDE without derivatives, for fits of data,
    is none. Where terms ask for some of its equations alone, each equation is looked for.
    """
    counted = [c for c in problem.conditions if c.weight > 0 and c.kind in (EQUATION, RESIDUAL, INSIDE)]
    if not any(condition.equations for condition in counted):
        return _missed(problem, counted)
    others = [condition for condition in counted if condition.kind == RESIDUAL]
    found = {}
    for name in problem.pde.equations:
        asking = [c for c in counted if c.kind == EQUATION and (not c.equations or name in c.equations)]
        regions, points = _places(problem, asking)
        found[name] = _missed(problem, [*asking, *others] if regions or len(points) else asking)
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return tuple(
        text.replace("the equation", f"the equation {name!r}", 1) for name, texts in found.items() for text in texts
    )


class _Asked(NamedTuple):
    """A region where the equation is asked for, or where it is nearest to those of its points that weigh anything."""

    domain: Domain
    points: Points
    counts: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, condition: Condition, domain: Domain) -> _Asked:
        """At the condition's points; where its weights are known at others, and some are 0, at more."""
        if not condition.counts.all():
            more = domain.random(_PROBES, 0)
            columns = condition.columns_at([more])
            if columns is not None:
                return cls(domain, np.asarray(more), columns[ROOT] > 0)
        return cls(domain, condition.sites[0], condition.counts)

    def holds(self, places: Points) -> npt.NDArray[np.bool_]:
        widths = self.domain.high - self.domain.low
        nearest = cKDTree(self.points / widths).query(places / widths)[1]
        return np.asarray(~self.domain.outside(places) & self.counts[nearest])


def _missed(problem: Problem, conditions: Sequence[Condition]) -> tuple[str, ...]:
    """What is said of the equation that these conditions ask for."""
    domain = problem.domain
    regions, points = _places(problem, conditions)
    if not regions and not len(points):
        if any(condition.kind == EQUATION for condition in conditions):
            return ("the equation is asked for at no point inside the domain",)
        is_equation = problem.pde.traced().program.channels.order > 0
        return ("no term asks for the equation",) if is_equation else ()
    parts = [own.points[own.counts] for own in regions if not own.counts.all()]
    whole = [own.domain for own in regions if own.counts.all()]
    axes = [axis for axis in domain.interval_axes if all(axis in own.interval_axes for own in whole)]
    gaps = tuple(_gaps_along_axes(domain, axes, whole, np.concatenate([points, *parts])))
    are_boxes = all(own.is_box for own in (domain, *(region.domain for region in regions)))
    return gaps if gaps or are_boxes or len(points) else _part_without(domain, regions)


def _places(problem: Problem, conditions: Sequence[Condition]) -> tuple[list[_Asked], Points]:
    """The regions that conditions' points stand for, and points that stand for themselves, inside the domain."""
    domain = problem.domain
    regions, arrays = [], [np.zeros((0, len(domain.coords)))]
    for condition in conditions:
        region, points = condition.regions[0], condition.sites[0][condition.counts]
        if region is None or not (region.domain.is_box or region.is_solid):
            own = points[~domain.outside(points)]
            arrays += [own] if (~domain.on_boundary(own, _SAME)).any() else []
        elif region.is_solid and _overlap(region.domain, domain):
            regions.append(_Asked.of(condition, region.domain))
    return regions, np.concatenate(arrays)


def _gaps_along_axes(domain: Domain, axes: Sequence[int], regions: Sequence[Domain], points: Points) -> Iterator[str]:
    for axis in axes:
        name, low, high = domain.coords[axis], domain.low[axis], domain.high[axis]
        ends = [(max(own.low[axis], low), min(own.high[axis], high)) for own in regions]
        spans = [((a - low) / (high - low), (b - low) / (high - low)) for a, b in ends]
        pieces = list(_pieces(spans, (points[:, axis] - low) / (high - low)))
        if pieces != [(0.0, 1.0)]:
            texts = [_interval(low + a * (high - low), low + b * (high - low)) for a, b in pieces]
            yield f"the equation holds on {name} in {' and '.join(texts)} only, of {_interval(low, high)}"


def _part_without(domain: Domain, regions: Sequence[_Asked]) -> tuple[str, ...]:
    """Of a domain, or of regions in it, that is no box."""
    if any(own.domain is domain and own.counts.all() for own in regions):
        return ()
    points = domain.random(_PROBES, 0)
    part = float(np.logical_or.reduce([own.holds(points) for own in regions]).mean())
    return (f"the equation holds in {part:.0%} of {domain} only",) if 1 - part > _BESIDE else ()


def _overlap(first: Domain, second: Domain) -> bool:
    """Whether their bounds do, by more than a face."""
    return bool((np.maximum(first.low, second.low) < np.minimum(first.high, second.high)).all())


def _pieces(spans: list[tuple[float, float]], given: Points) -> Iterator[tuple[float, float]]:
    """What of [0, 1] is covered by spans and points, but for gaps that are not worth a word."""
    own = np.unique(np.round(given / _SAME)) * _SAME
    usual = float(np.median(np.diff(own))) if len(own) > 2 else 0.0
    # (start, end, whether it is a point); the ends of the axis are none.
    parts = [*sorted([*((a, b, False) for a, b in spans), *((x, x, True) for x in own.tolist())]), (1.0, 1.0, False)]
    start, end, is_point = 0.0, 0.0, False
    for a, b, other_is_point in parts:
        is_end = (end == 0.0 and not is_point) or (a == 1.0 and not other_is_point)
        if is_point or other_is_point:
            is_gap = a - end > (_BEYOND if is_end else _BETWEEN) and a - end > _MUCH * usual
        else:
            is_gap = a - end > _BESIDE
        if is_gap:
            if end > start or is_point:
                yield start, end
            start = a
        if b >= end:
            end, is_point = b, other_is_point
    if end > start:
        yield start, end


def _interval(low: float, high: float) -> str:
    return f"[{low:.4g}, {high:.4g}]"
