"""Weights of quadrature rules at the points of a domain: sums of weights times values are integrals over it.

Even points of a line are summed by the trapezoidal rule (ends included) or the midpoint rule, corrected at both ends
(Gregory's formula): exact for polynomials up to degree 5, with an error of order h^7 for smooth functions. Around a
smooth closed curve the rule needs no correction. Scrambled Sobol points weigh the same, or less where they are denser.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, reduce
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import sympy as sp

from .angles import shares_inside
from .unit import even

if TYPE_CHECKING:  # domains make point sets, which ask for their weights
    from .domain import Domain
    from .pointset import Region

Points = npt.NDArray[np.float64]
# How points are laid: as densely as their region says; even along a part's parameters (`even`); those of a grid that
# lie inside; on a grid of all of the bounds, or of faces of a box, of so many points along each axis.
Layout = str | tuple[int, ...]
UNIFORM, EVEN, GRID = "uniform", "even", "grid"
# Points corrected at each end of a line.
_CORRECTED = 6
# By which boundaries are differentiated along their parameters, at five points; where tangents at both ends of a part
# are equal to this part, it is a smooth closed curve.
_STEP, _CLOSED = 1e-3, 1e-6
_STENCIL = np.arange(-2.0, 3.0)


def quadrature_weights(region: Region, points: Points, layout: Layout) -> Points:
    """(n,): of the points (n, d) of a region; they add up to its length, area or volume."""
    domain = region.domain
    if region.is_solid:
        if isinstance(layout, tuple):
            return _of_mesh(layout) * float(np.prod(domain.high - domain.low))
        shares = _of_cells(domain, points) if layout == GRID else 1 / region.density(points)
        return np.asarray(domain.measure() / shares.sum() * shares)
    if isinstance(layout, tuple):
        faces = [high - low for low, high in region.extents]
        return np.concatenate([_of_mesh(layout) * float(np.prod(widths[widths > 0])) for widths in faces])
    return domain.weights_on(region.parts, len(points))


def weights_on(domain: Domain, parts: Sequence[str], n: int) -> Points:
    """(n,): of even points of parts, each by its share. Those of parts without points stand for these as well."""
    shares = domain.shares(parts, n)
    weights = np.concatenate([_on_part(domain, part, own) for part, own in zip(parts, shares, strict=True)])
    if all(shares):
        return weights
    return np.asarray(weights * sum(map(domain.measure, parts)) / weights.sum())


def apportioned(lengths: Sequence[float], n: int) -> list[int]:
    """How many of n points each of some lines gets: by its length, but one at least if there are as many as lines."""
    total = np.cumsum(lengths)
    counts = np.diff(np.round(total / total[-1] * n).astype(int), prepend=0)
    if n >= len(counts):
        for empty in np.flatnonzero(counts == 0):
            counts[np.argmax(counts)] -= 1
            counts[empty] = 1
    return [int(count) for count in counts]


def weights_of_lines(lengths: Sequence[float], are_closed: Sequence[bool], n: int) -> Points:
    """(n,): at the middles of as many equal parts of each line as it has points (`apportioned`). Fewer points than
    lines stand for all of them alike."""
    if n < len(lengths):
        return np.full(n, sum(lengths) / n)
    lines = zip(lengths, are_closed, apportioned(lengths, n), strict=True)
    return np.concatenate([length * _middles(own, is_closed) for length, is_closed, own in lines])


def _middles(n: int, is_closed: bool) -> Points:
    """(n,): of the middles of n equal parts of a line of length 1, which may be a smooth closed one."""
    return np.full(n, 1 / max(n, 1)) if is_closed or not n else _along(n, 0.5)


def _on_part(domain: Domain, part: str, count: int) -> Points:
    """At ``count`` even points of a part."""
    n_parameters = len(domain.coords) - 1
    is_line = n_parameters == 1 and count > 0
    rule = _middles(count, not is_line or _is_closed(domain, part))
    return rule * domain.elements(part, even(count, n_parameters))


def elements(domain: Domain, part: str, unit: Points) -> Points:
    """(N,): the length or area of a part's points for that of their parameters (N, p), by differences."""
    tangents = _tangents(domain, part, unit)
    return np.asarray(np.sqrt(np.linalg.det(tangents @ tangents.swapaxes(1, 2)).clip(0)))


def _is_closed(domain: Domain, part: str) -> bool:
    ends = np.array([[0.0], [1.0]])
    points, tangents = domain.surface(part, ends)[0], _tangents(domain, part, ends)[:, 0]
    gaps = abs(points[1] - points[0]).max(), abs(tangents[1] - tangents[0]).max()
    return bool(max(gaps) <= _CLOSED * abs(tangents).max())


def _tangents(domain: Domain, part: str, unit: Points) -> Points:
    """(N, p, d): derivatives of a part's points by its p parameters, from five points within [0, 1]."""
    found = []
    for axis in range(unit.shape[1]):
        middle = unit[:, axis].clip(2 * _STEP, 1 - 2 * _STEP)
        z = (unit[:, axis] - middle) / _STEP
        powers = np.stack([k * z ** max(k - 1, 0) for k in range(len(_STENCIL))], 1)
        slopes = powers @ np.linalg.inv(np.vander(_STENCIL, increasing=True)) / _STEP
        at = []
        for shift in _STENCIL:
            moved = unit.copy()
            moved[:, axis] = middle + shift * _STEP
            at.append(domain.surface(part, moved)[0])
        found.append(np.einsum("nk,knd->nd", slopes, np.stack(at)))
    return np.stack(found, 1) if found else np.empty((len(unit), 0, len(domain.coords)))


def _of_cells(domain: Domain, points: Points) -> Points:
    """(n,): of points of a grid the share of what is around them that lies inside."""
    shares, on = np.ones(len(points)), domain.on_boundary(points)
    shares[on] = shares_inside(domain, points[on])
    return shares


def _of_mesh(counts: Sequence[int]) -> Points:
    """Of a grid of the unit cube, ends included, the first axis varies slowest."""
    return reduce(lambda rule, n: np.outer(rule, _along(n, 0.0)).ravel(), counts, np.ones(1))


def _along(n: int, first: float) -> Points:
    """(n,): of even points of [0, 1], the first one ``first`` = 0 or 1/2 of their distance away from its end."""
    corrections = _corrections(min(n, _CORRECTED), first)
    weights = np.ones(n)
    weights[: len(corrections)] += corrections
    weights[::-1][: len(corrections)] += corrections
    return np.asarray(weights / (n - 1 + 2 * first))


@cache
def _corrections(count: int, first: float) -> Points:
    """c, by which sum_j c_j f(j + first) is the difference of integral and sum at one end, for polynomials of degree
    below ``count``: sum_j c_j (j + first)^k = B_{k+1}(first) / (k + 1), B_k Bernoulli's (Euler and Maclaurin)."""
    right = [float(sp.bernoulli(k + 1, sp.Rational(first))) / (k + 1) for k in range(count)]
    corrections = np.linalg.solve(np.vander(np.arange(count) + first, count, increasing=True).T, right)
    corrections.flags.writeable = False
    return corrections
