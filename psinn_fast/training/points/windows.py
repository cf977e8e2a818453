"""Problems cut to a part of their time, and which problems can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ...domains import Domain, Region, shrunk
from ...problem.conditions import DATA, Condition
from ...problem.problem import Problem
from .regions import columns_at

Points = npt.NDArray[np.float64]
# Times are one if they differ by less than this part of all times.
SAME = 1e-9


def times_of(problem: Problem) -> tuple[int, float, float]:
    """Which coordinate is time, its first and its last value."""
    time = problem.pde.time
    assert time is not None
    axis = problem.domain.coords.index(time)
    return axis, float(problem.domain.low[axis]), float(problem.domain.high[axis])


def obstacle(problem: Problem) -> str | None:
    """Why a problem cannot be solved window by window of time; None if it can.

    Something has to hold at the first time, nothing at a single later one; coefficients have to be known, and the
    domain can be cut off at any time (`Domain.shrunk`).
    """
    if problem.pde.time is None:
        return 'it has no time; PDE(..., time="t") says which coordinate is'
    if problem.pde.unknown:
        return f"its coefficient {next(iter(problem.pde.unknown))!r} is unknown, and all times say what it is"
    axis, low, high = times_of(problem)
    if shrunk(problem.domain, problem.pde.time, low, 1.0) is None:
        return f"its domain, {problem.domain}, cannot be cut off at a time; Domain.shrunk says how"
    starts = False
    for condition in problem.conditions:
        if not condition.weight:
            continue
        if (reason := _obstacle(condition, axis, low, high)) is not None:
            return reason
        starts = starts or is_initial(condition, axis, low, high)
    if not starts:
        return f"it has no condition at its first time, {problem.pde.time} = {low:g}"
    return None


def _obstacle(condition: Condition, axis: int, low: float, high: float) -> str | None:
    slack = SAME * (high - low)
    times = [site[:, axis] for site in condition.sites]
    if condition.quadrature is not None and times[0].max() - low > slack:  # it is not known of a part of its points
        return f"condition {condition.name!r} is of a sum over several times"
    if condition.kind == DATA:
        return f"condition {condition.name!r} is of measurements, which say something of earlier times, too"
    if any(np.abs(own - times[0]).max() > slack for own in times):
        return f"condition {condition.name!r} compares different times"
    for first, last in _spans(condition, axis):
        if last - first <= slack and first - low > slack:
            return f"condition {condition.name!r} holds at a single time, {first:g}, that is not the first one"
    return None


def is_initial(condition: Condition, axis: int, low: float, high: float) -> bool:
    """Whether a part of it holds at the first time alone."""
    slack = SAME * (high - low)
    return any(last - first <= slack and first - low <= slack for first, last in _spans(condition, axis))


def _spans(condition: Condition, axis: int) -> list[tuple[float, float]]:
    times = condition.sites[0][:, axis]
    return [
        (float(first[axis]), float(last[axis]))
        for region in condition.regions
        if region is not None
        for first, last in region.extents
    ] or [(float(times.min()), float(times.max()))]


def cut(problem: Problem, low: float, high: float, earliest: int = 0) -> Problem:
    """The problem on its times from ``low`` to ``high``.

    Points that stand for a region are moved, others at other times are left out, and with them a condition that has
    none; of each condition at least so many of the ``earliest`` points are kept.
    """
    axis, first, last = times_of(problem)
    if (low, high) == (first, last):
        return problem
    window = _Cut(problem.pde.time or "", axis, first, last, low, high)
    domain = window.domain(problem.domain)
    found = [window.condition(condition, earliest) for condition in problem.conditions]
    kept = [number for number, condition in enumerate(found) if condition is not None]
    entries = {name: tuple(getattr(problem, name)[number] for number in kept) for name in ("traced", "loss_units")}
    conditions = tuple(condition for condition in found if condition is not None)
    return problem.altered(domain=domain, conditions=conditions, **(entries if len(kept) < len(found) else {}))


class _Cut:
    """Times from ``first`` to ``last`` moved to those from ``low`` to ``high``."""

    def __init__(self, time: str, axis: int, first: float, last: float, low: float, high: float) -> None:
        self._axis, self._first, self._low, self._high = axis, first, low, high
        self._factor = factor = (high - low) / (last - first)
        origin = first if low == first else (low - factor * first) / (1 - factor)
        self._shrunk: Callable[[Domain], Domain | None] = lambda domain: shrunk(domain, time, origin, factor)

    def domain(self, domain: Domain) -> Domain:
        found = self._shrunk(domain)
        assert found is not None
        return found

    def condition(self, condition: Condition, earliest: int) -> Condition | None:
        sites = tuple(map(self._moved, condition.sites))
        regions = [self._region(region) for region in condition.regions]
        columns = columns_at(condition, sites) if None not in regions else None
        if columns is not None:
            return replace(condition, sites=sites, columns=columns, regions=tuple(regions))
        times = condition.sites[0][:, self._axis]
        slack = SAME * abs(self._high - self._low)
        latest = max(self._high + slack, np.sort(times)[:earliest][-1] if earliest else -np.inf)
        kept = (times >= self._low - slack) & (times <= latest)
        if not kept.any():
            return None
        return replace(
            condition,
            sites=tuple(site[kept] for site in condition.sites),
            columns={name: column[kept] for name, column in condition.columns.items()},
            regions=(None,) * len(condition.sites),
        )

    def _moved(self, points: Points) -> Points:
        result = np.array(points)
        result[:, self._axis] = self._low + self._factor * (result[:, self._axis] - self._first)
        return result

    def _region(self, region: Region | None) -> Region | None:
        domain = None if region is None else self._shrunk(region.domain)
        return None if region is None or domain is None else replace(region, domain=domain)
