"""Parts of a boundary on which there are fewer conditions than the equation needs: no residual says so.

An equation that is elliptic in space, at any one time, needs a condition for every two of its orders on the whole
boundary (Agmon, Douglis & Nirenberg 1964): one for u_xx + u_yy, two for the biharmonic operator, two for Stokes'
equations. Its symbol tells: the part of highest degree in s of det A(s xi), where A(xi) has a product of components of
the direction xi in place of every derivative. It is elliptic if that is never zero; a part of the boundary needs its
conditions if that has the same sign along the normals, which are directions in space and time. Along the end of a time
it is zero or of the other sign, along what moves faster than waves, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from ...domains import Domain
from ...domains.unit import even
from ...kernels.language.channels import Channel, Laplacian, channel_order
from ..conditions import EQUATION, INTEGRAL, Condition
from .coverage import coverage
from .linearised import Slopes, linearised

if TYPE_CHECKING:  # it is described, not made, here
    from ..problem import Problem

Points = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# Points inside, and on each part, where the symbol is looked at; directions in space.
_INSIDE, _ON_A_PART, _DIRECTIONS = 64, 16, 32
# A symbol of a smaller part of its largest is zero; coefficients of a polynomial are taken at this large radius, which
# tells those of a small viscosity from rounding errors.
_ZERO, _RADIUS, _ROUNDING = 1e-9, 1e4, 1e-12
# Samples of a part, by the number of its parameters: points as near to one as samples to each other lie on the part, if
# the way to them is across its normal, as the cosine of the angle says.
_SAMPLES, _REACH, _POINT, _ACROSS = {0: 1, 1: 2048, 2: 4096, **dict.fromkeys(range(3, 8), 16384)}, 1.5, 1e-6, 0.25
# Parts that share no more of their samples meet at an edge, whose points belong to neither.
_EDGE = 0.1


def bare_parts(problem: Problem, is_symmetric: bool) -> tuple[str, ...]:
    """One text for all parts of the boundary with equally few conditions; () where nothing can be said.

    Nothing is said of equations that are not elliptic in space; where several points inside the domain have conditions,
    which may stand for anything; where some part has as many as the equation's order, which may be enough for all;
    along a line, where an integral is as good as a condition.

    Args:
        is_symmetric: whether the network is, about the centre, so that a condition may count on a part's images.
    """
    counted = [(c, traced) for c, traced in zip(problem.conditions, problem.traced, strict=True) if c.weight > 0]
    if len(problem.pde.coords) == 1 and any(c.kind == INTEGRAL for c, _ in counted):
        return ()
    if all(c.kind != EQUATION for c, _ in counted) or not problem.domain.parts or coverage(problem):
        return ()
    needing, order, needed = _needing(problem)
    if not needing:
        return ()
    parts = _Parts(problem.domain, is_symmetric)
    counts = dict.fromkeys(problem.domain.parts, 0.0)
    for condition, traced in counted:
        if condition.kind in (EQUATION, INTEGRAL):  # an integral is one number, and a part needs a function
            continue
        on, inside = parts.of(condition)
        if inside > 1:
            return ()
        for part in on:
            counts[part] += traced.program.n_residuals / len(condition.sites)
    if max(counts.values()) >= order:
        return ()
    texts = []
    for count in sorted({counts[part] for part in needing if counts[part] < needed}):
        own = [repr(part) for part in needing if counts[part] == count]
        where = f"part{'s' if len(own) > 1 else ''} {' and '.join(own)} of the boundary"
        given = f"only {count:g} condition{'' if count == 1 else 's'}" if count else "no condition"
        what = "equation is" if len(problem.pde.fields) == 1 else "equations are together"
        texts.append(f"the {what} of order {order} in space, with {given} on {where}")
    return tuple(texts)


def _needing(problem: Problem) -> tuple[list[str], int, int]:
    """The parts that need conditions, the order of the equations in space, all fields together, and how many conditions
    that are at least: where some field has no second derivatives, as a pressure has none, one is asked for."""
    pde, domain = problem.pde, problem.domain
    d, space = len(pde.coords), list(pde.spatial)
    rng, units = np.random.default_rng(0), even(_ON_A_PART, len(pde.coords) - 1)
    surfaces = {part: domain.surface(part, units) for part in domain.parts}
    points = np.concatenate([domain.random(_INSIDE, 0), *(own for own, _ in surfaces.values())])
    found = linearised(problem, points, rng)
    if not found or not space or found[0].values.shape[1] != len(pde.fields):
        return [], 0, 0
    orders = [
        max((_order_in(space, c) for own, c, _ in found if own == field), default=0) for field in range(len(pde.fields))
    ]
    directions = np.zeros((_DIRECTIONS, d))
    directions[:, space] = rng.standard_normal((_DIRECTIONS, len(space)))
    directions[: len(space)] = np.eye(d)[space]
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    if len(space) == 1:  # two waves along a line may both run to one end
        directions = directions[:1]
    symbols = _coefficients(found, np.repeat(directions[None], len(points), 0))
    sizes = abs(symbols) * _RADIUS ** np.arange(symbols.shape[-1])
    if not np.isfinite(sizes).all() or not sizes.any():
        return [], 0, 0
    order = int(np.flatnonzero((sizes > _ROUNDING * sizes.max()).any((0, 1)))[-1])
    highest = symbols[..., order]
    sign, least = np.sign(highest[0, 0]), _ZERO * abs(highest).max()
    is_elliptic = order % 2 == 0 and order > 0 and bool((sign * highest > least).all())
    if not is_elliptic or (len(space) == 1 and min(orders) < 2):
        return [], 0, 0
    needing = []
    for number, (part, (own, normals)) in enumerate(surfaces.items()):
        if normals is None:
            low, high = domain.extent(part)
            time = [axis for axis in range(d) if axis not in space]
            needs = bool((low[time] < high[time]).all()) and bool(domain.on_boundary(own, _POINT).all())
        else:
            first = _INSIDE + number * _ON_A_PART
            there = [Slopes(f, c, values[first : first + len(own)]) for f, c, values in found]
            along = _coefficients(there, normals[:, None])
            needs = bool((sign * along[..., order] > least).all())
        needing += [part] if needs else []
    return needing, order, order // 2 if min(orders) >= 2 else 1


def _coefficients(found: Sequence[Slopes], directions: Points) -> Points:
    """(N, K, degrees): those of det A(s xi), by powers of s, at N points along K directions xi (N, K, d)."""
    n_fields = found[0].values.shape[1]
    highest = sum(max(channel_order(c) for own, c, _ in found if own == field) for field in range(n_fields))
    s = _RADIUS * np.exp(2j * np.pi * np.arange(highest + 1) / (highest + 1))
    matrix = np.zeros((*directions.shape[:2], len(s), n_fields, n_fields), dtype=np.complex128)
    for field, channel, values in found:
        powers = _along(channel, directions)[..., None] * s ** channel_order(channel)
        matrix[..., field] += powers[..., None] * values[:, None, None, :]
    with np.errstate(all="ignore"):
        determinants = np.fft.fft(np.linalg.det(matrix), axis=-1).real / len(s)
        return np.asarray(determinants / _RADIUS ** np.arange(len(s)))


def _order_in(space: Sequence[int], channel: Channel) -> int:
    """Of a derivative in space alone; 0 of one in time, too."""
    if isinstance(channel, Laplacian):
        return 2 if set(channel.axes) <= set(space) else 0
    along = sum(channel[axis] for axis in space)
    return along if along == channel_order(channel) else 0


def _along(channel: Channel, directions: Points) -> Points:
    """What stands for a derivative in the symbol."""
    if isinstance(channel, Laplacian):
        return np.asarray((directions[..., list(channel.axes)] ** 2).sum(-1))
    return np.asarray(np.prod(directions ** np.array(channel), axis=-1))


class _Parts:
    """Which points lie on which parts of a domain's boundary."""

    def __init__(self, domain: Domain, is_symmetric: bool) -> None:
        self.domain, self.widths = domain, domain.high - domain.low
        self.maps = domain.symmetries() if is_symmetric else ()
        d = len(domain.coords) - 1
        surfaces = {part: domain.surface(part, even(_SAMPLES[d], d)) for part in domain.parts}
        samples = {part: own / self.widths for part, (own, _) in surfaces.items()}
        self.normals = {part: _scaled(normals, self.widths) for part, (_, normals) in surfaces.items()}
        self.trees = {part: cKDTree(own) for part, own in samples.items()}
        self.reach = {part: _REACH * _distance_between(own) for part, own in samples.items()}
        self.edges = [
            (part, other)
            for part in samples
            for other, own in samples.items()
            if part != other and self._near(part, own).mean() < _EDGE
        ]

    def of(self, condition: Condition) -> tuple[set[str], int]:
        """On which parts a condition is given, and how many of its points lie on none."""
        found, inside = set[str](), 0
        for site, region in zip(condition.sites, condition.regions, strict=True):
            points = site[condition.counts]
            if region is not None and region.domain is self.domain and region.parts and len(points) == len(site):
                found.update(region.parts)
            else:
                near = np.logical_or.reduce([self._near(part, points / self.widths) for part in self.trees])
                inside = max(inside, int((~self.domain.on_boundary(points[~near], _POINT)).sum()))
            images = [points, *(self.domain.centre + g(points - self.domain.centre) for g in self.maps)]
            for image in images:
                found.update(self._with_points(image / self.widths))
        return found, inside

    def _with_points(self, points: Points) -> list[str]:
        on = {part: self._near(part, points) for part in self.trees}
        own = {part: mask.copy() for part, mask in on.items()}
        for part, other in self.edges:
            own[part] &= ~on[other]
        least = 1 if points.shape[1] == 1 else 2  # one point is a gauge
        return [part for part, mask in own.items() if mask.sum() >= least]

    def _near(self, part: str, points: Points) -> Mask:
        distances, nearest = self.trees[part].query(points)
        is_near, normals = distances <= self.reach[part], self.normals[part]
        if normals is not None:
            ways = points - self.trees[part].data[nearest]
            is_near &= abs((normals[nearest] * ways).sum(1)) <= _ACROSS * distances + _POINT
        return np.asarray(is_near)


def _scaled(normals: Points | None, widths: Points) -> Points | None:
    """Unit normals where lengths are measured in ``widths``."""
    if normals is None:
        return None
    scaled = normals * widths
    return np.asarray(scaled / np.linalg.norm(scaled, axis=1, keepdims=True))


def _distance_between(points: Points) -> float:
    """The largest from a point to the next; of a single one, what float32 makes of it."""
    return float(cKDTree(points).query(points, 2)[0][:, 1].max()) if len(points) > 1 else _POINT
