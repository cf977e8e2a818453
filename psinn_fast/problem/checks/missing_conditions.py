"""Whether a problem has as many conditions as its equation needs: where it has fewer, no residual says so.

Along a line in one coordinate, an equation whose highest derivative in it can be solved for is an ordinary differential
equation with sources: it has as many free constants as its order, and a problem gives them at the two ends of the line:
in a box along all coordinates, in a product along those that run over an interval, such as the time. A network that was
trained without one of them has small residuals and is any of the solutions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...domains import Domain
from ...domains.unit import mesh
from ...kernels.language.channels import Channel, Laplacian
from ..conditions import EQUATION, INTEGRAL, Condition
from .bare_parts import bare_parts
from .coverage import coverage
from .linearised import linearised

if TYPE_CHECKING:  # it is described, not made, here
    from ..problem import Problem

Points = npt.NDArray[np.float64]
Lines = npt.NDArray[np.bool_]
# Points inside and on each of the two faces where the equation is looked at, with random fields.
_INSIDE, _ON_A_FACE = 64, 16
# A determinant of a smaller part of its largest is zero.
_ZERO = 1e-9
# Lines along each of the other coordinates, by their number; a smaller part of all lines is not worth a word.
_LINES, _PART = {0: 1, 1: 64, 2: 16, 3: 8, 4: 5, 5: 4, 6: 3, 7: 3}, 0.05
# Relative to the domain: points so near to a face lie on it.
_SAME = 1e-6


# At points of a face across an axis, (n, d): how many conditions a network meets there, all fields together.
Met = Callable[[int, Points], npt.NDArray[np.int64]]


def missing_conditions(
    problem: Problem, is_symmetric: bool = False, met: Met | None = None, held: Sequence[str] = ()
) -> tuple[str, ...]:
    """One text for each coordinate in which the equation is of higher order than there are conditions at its ends.

    Of a domain that is no box, one for the parts of its boundary on which there are fewer than needed (`bare_parts`).

    Only where that can be said: the equation holds on the whole domain, as many equations as fields; everything
    else is given on its boundary, no coefficient is unknown; the highest derivatives in the coordinate are not mixed,
    and their matrix is regular for all values of fields, on the faces too, where it may have singularities.

    Args:
        is_symmetric: whether the network is, about the centre, so that a condition may count at both ends.
        met: conditions that the network meets whatever its weights.
        held: names of the problem's conditions that are among these.
    """
    counted = [(i, condition) for i, condition in enumerate(problem.conditions) if condition.weight > 0]
    others = [
        (i, condition)
        for i, condition in counted
        if condition.kind not in (EQUATION, INTEGRAL) and condition.name not in held
    ]
    # Along a line an integral is one condition; of several it is none for each of them.
    integrals = [problem.traced[i].program.n_residuals for i, c in counted if c.kind == INTEGRAL]
    equations = [condition for _, condition in counted if condition.kind == EQUATION]
    domain = problem.domain
    bare = () if domain.is_box else bare_parts(problem, is_symmetric)
    on_boundary = all(domain.on_boundary(site, _SAME).all() for _, condition in others for site in condition.sites)
    on_regions = len(domain.coords) == 1 or all(condition.regions[0] is not None for condition in equations)
    if not equations or not on_boundary or not on_regions or problem.pde.unknown or coverage(problem):
        return bare
    found = []
    for axis in domain.interval_axes:
        order = _order(problem, axis)
        if not order:
            continue
        lines, count = _lines(domain, axis)
        counts = np.zeros(len(lines), dtype=np.int64)
        for i, condition in others:
            low, high = (_covered(condition, domain, axis, end, lines) for end in ("low", "high"))
            ends = (low | high) if len(condition.sites) > 1 else low.astype(np.int64) + high
            counts += ends * problem.traced[i].program.n_residuals
        if met is not None:
            for end in (0.0, 1.0):
                counts += met(axis, domain.from_unit(np.insert(lines, axis, end, axis=1)))
        counts += sum(integrals) if len(domain.coords) == 1 else 0
        counts *= 2 if is_symmetric else 1
        few = counts < order
        if few.any() and few.mean() > _PART:
            most = int(counts[few].max())
            given = f"only {most} condition{'' if most == 1 else 's'}" if most else "no condition"
            what = "equation is" if len(problem.pde.fields) == 1 else "equations are together"
            where = "" if few.all() else _where(lines[few], 0.5 / count, domain, axis)
            found.append(f"the {what} of order {order} in {domain.coords[axis]}, with {given} at its ends{where}")
    return (*found, *bare)


def _order(problem: Problem, axis: int) -> int:
    """Of the equations along an axis, all fields together; 0 where it cannot be said."""
    rng = np.random.default_rng(0)
    found = linearised(problem, _points(problem.domain, axis, rng), rng)
    n_fields = len(problem.pde.fields)
    orders = [max((_along(c, axis) for own, c, _ in found if own == field), default=0) for field in range(n_fields)]
    highest = [part for part in found if _along(part.channel, axis) == orders[part.field]]
    is_mixed = any(orders[part.field] and not _is_pure(part.channel, axis) for part in highest)
    if not found or found[0].values.shape[1] != n_fields or is_mixed:
        return 0
    matrix = np.zeros((len(found[0].values), n_fields, n_fields))
    for field, channel, values in highest:
        if _is_pure(channel, axis):
            matrix[:, :, field] += values
    if not np.isfinite(matrix).all():
        return 0
    sizes = np.linalg.det(matrix)
    is_regular = abs(sizes).min() > _ZERO * abs(sizes).max() and (np.sign(sizes) == np.sign(sizes[0])).all()
    return sum(orders) if is_regular else 0


def _along(channel: Channel, axis: int) -> int:
    return 2 * (axis in channel.axes) if isinstance(channel, Laplacian) else channel[axis]


def _is_pure(channel: Channel, axis: int) -> bool:
    return isinstance(channel, Laplacian) or sum(channel) == channel[axis]


def _points(domain: Domain, axis: int, rng: np.random.Generator) -> Points:
    """Of the domain, and on both of an axis's faces."""
    inside = domain.interior(_INSIDE, lambda n: rng.random((n, len(domain.coords))))
    low, high = inside[:_ON_A_FACE].copy(), inside[_ON_A_FACE : 2 * _ON_A_FACE].copy()
    low[:, axis], high[:, axis] = domain.low[axis], domain.high[axis]
    return np.concatenate([inside, low, high])


def _lines(domain: Domain, axis: int) -> tuple[Points, int]:
    """Where lines along an axis meet the other coordinates, as parts of these, (n, d - 1), and how many there are along
    each, before those beyond the domain were left out."""
    d = len(domain.coords)
    count = _LINES[d - 1]
    lines = mesh([(np.arange(count) + 0.5) / count] * (d - 1)) if d > 1 else np.zeros((1, 0))
    return lines[domain.inside(domain.from_unit(np.insert(lines, axis, 0.5, axis=1)))], count


def _covered(condition: Condition, domain: Domain, axis: int, end: str, lines: Points) -> Lines:
    """At the end of which lines along an axis a condition is given."""
    rest = np.arange(len(domain.coords)) != axis
    covered = np.zeros(len(lines), dtype=bool)
    for low, high in _pieces(condition, domain):
        at = (low[axis], high[axis])
        if all(abs(x - float(end == "high")) < _SAME for x in at):
            covered |= ((lines >= low[rest] - _SAME) & (lines <= high[rest] + _SAME)).all(1)
    return covered


def _pieces(condition: Condition, domain: Domain) -> Iterator[tuple[Points, Points]]:
    """Corners of boxes on the faces where a condition is given, as parts of the domain.

    Of an array they are its extent, and so they are where some points weigh nothing, of those that do.
    """
    extent = domain.high - domain.low
    for site, region in zip(condition.sites, condition.regions, strict=True):
        if region is not None and region.domain.interval_axes and condition.counts.all():
            yield from (((low - domain.low) / extent, (high - domain.low) / extent) for low, high in region.extents)
            continue
        unit = (site[condition.counts] - domain.low) / extent
        for axis, value in [(axis, value) for axis in range(unit.shape[1]) for value in (0.0, 1.0)]:
            own = unit[abs(unit[:, axis] - value) < _SAME]
            if len(own):
                margin = _spacing(own)
                margin[axis] = 0.0
                yield own.min(0) - margin, own.max(0) + margin


def _spacing(points: Points) -> Points:
    """Along each axis, the usual distance between neighbours; points at an even distance from the ends reach them."""
    gaps = [np.diff(np.unique(np.round(column / _SAME) * _SAME)) for column in points.T]
    return np.array([float(np.median(gap)) if len(gap) else 0.0 for gap in gaps])


def _where(few: Points, half: float, domain: Domain, axis: int) -> str:
    """The part of the lines with few conditions, as text; ``half`` of the distance between lines."""
    rest = [i for i in range(len(domain.coords)) if i != axis]
    parts = []
    for column, i in zip(few.T, rest, strict=True):
        low, high = column.min() - half, column.max() + half
        if high - low < 1:
            extent = domain.high[i] - domain.low[i]
            ends = f"[{domain.low[i] + low * extent:.4g}, {domain.low[i] + high * extent:.4g}]"
            parts.append(f"{domain.coords[i]} is in {ends}")
    return f" where {' and '.join(parts)}" if parts else " in places"
