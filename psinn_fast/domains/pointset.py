"""Point sets that know the domain, or the part of its boundary, that they are spread over: there are others of it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..frozen import frozen
from .quadrature import UNIFORM, Layout, quadrature_weights

if TYPE_CHECKING:  # domains make point sets
    from .domain import Domain

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Region:
    """The interior of a domain, or those of its boundary's ``parts`` that are named."""

    domain: Domain
    parts: tuple[str, ...] = ()

    @property
    def coords(self) -> tuple[str, ...]:
        return self.domain.coords

    @property
    def is_solid(self) -> bool:
        """Whether it is the interior."""
        return not self.parts

    @property
    def text(self) -> str:
        return ", ".join(self.parts) or "the interior"

    def density(self, points: Points) -> Points:
        """(N,): how densely points of the interior are drawn at ``points`` (N, d), up to a factor."""
        return np.ones(len(points))

    @property
    def is_point(self) -> bool:
        """Whether it has no extent at all: the ends of an interval."""
        return bool(self.parts) and len(self.coords) == 1

    @property
    def parts_without_normals(self) -> list[str]:
        one = np.full((1, len(self.coords) - 1), 0.5)
        return [part for part in self.parts if self.domain.surface(part, one)[1] is None]

    @property
    def extents(self) -> list[tuple[Points, Points]]:
        """Lower and upper bounds (d,) of the interior, or of each part."""
        if self.is_solid:
            return [(self.domain.low, self.domain.high)]
        return [self.domain.extent(part) for part in self.parts]

    def drawn(self, count: int, unit: Callable[[int], Points]) -> PointSet:
        """``count`` points of the region, as even as those of [0, 1]^d that ``unit(n)`` gives, (n, d) at each call."""
        if not self.is_solid:
            return self._on_parts(unit(count))
        return PointSet.of(self.domain.interior(count, unit), self, layout=UNIFORM)

    def spread(self, count: int) -> PointSet:
        """About ``count`` even points or more, whose `PointSet.weights` are known."""
        domain, d = self.domain, len(self.coords)
        along = max(2, math.ceil(count ** (1 / max(1, d - (not self.is_solid)))))
        if self.is_solid:
            return domain.grid(along) if domain.fills_bounds else domain.random(count, 0)
        some = None if self.parts == tuple(domain.parts) else self.parts
        part = self.parts[0] if len(self.parts) == 1 else some
        return domain.boundary(along if domain.is_box else count, part)

    def _on_parts(self, unit: Points) -> PointSet:
        domain = self.domain
        ends = np.cumsum(domain.shares(self.parts, len(unit)))[:-1]
        pairs = zip(self.parts, np.split(unit, ends), strict=True)
        return self.joined([domain.surface(part, domain.unit_on(part, own)) for part, own in pairs])

    def joined(self, pieces: Sequence[tuple[Points, Points | None]], layout: Layout | None = None) -> PointSet:
        """The points of all parts, with their normals if all have them."""
        points, normals = zip(*pieces, strict=True)
        known = [vectors for vectors in normals if vectors is not None]
        vectors = np.concatenate(known) if len(known) == len(normals) else None
        return PointSet.of(np.concatenate(points), self, vectors, layout)


class PointSet(np.ndarray[Any, np.dtype[np.float64]]):
    """Points (N, d) that know the region they are spread over, and on a boundary their outward normals.

    Only an untouched set, copied and pickled ones too, stands for its region. What is sliced, joined or computed from
    it does not, nor does a set that was changed in place: such points are taken as they are, as ``np.array(points)``.
    """

    _origin: tuple[Region, Points | None, Layout | None, bytes] | None

    @classmethod
    def of(
        cls, points: Points, region: Region, normals: Points | None = None, layout: Layout | None = None
    ) -> PointSet:
        """A copy of the ``points`` (N, d), with unit ``normals`` (N, d) where there are any.

        ``layout``: how they are laid (quadrature.py), which says their `weights`; None: nobody knows.
        """
        made = np.array(points).view(cls)
        made._origin = region, frozen(None if normals is None else np.array(normals)), layout, made._digest()
        return made

    @property
    def region(self) -> Region | None:
        """None where the set is no longer what it was when it was made."""
        return None if self._own is None else self._own[0]

    @property
    def normals(self) -> Points | None:
        """Outward unit normals (N, d) of points on a boundary; None inside, where the domain has none, or where the set
        is no longer what it was when it was made."""
        return None if self._own is None else self._own[1]

    @property
    def weights(self) -> Points | None:
        """(N,) weights of a quadrature rule: ``points.weights @ f(points)`` is the integral of f over the region.

        They add up to its length, area or volume. Along a smooth part of a plane's boundary, on grids of a box and its
        faces, and of what fills its bounds as a box does, the error is of order 7 in the distance of the points, and
        less around a smooth closed curve. Points of other grids weigh by what is inside around them: order 2 where
        edges lie on lines of the grid. Others weigh by area, about 1 / N off; those of `Domain.graded` about
        1 / sqrt(N). None where points are not laid evenly, or no longer what they were.
        """
        own = self._own
        return None if own is None or own[2] is None else frozen(quadrature_weights(own[0], np.asarray(self), own[2]))

    @property
    def _own(self) -> tuple[Region, Points | None, Layout | None] | None:
        """Region, normals and layout, as long as the numbers are those that they were given for."""
        if self._origin is None or self._origin[3] != self._digest():
            return None
        return self._origin[:3]

    def _digest(self) -> bytes:
        return hashlib.blake2b(repr(self.shape).encode() + self.tobytes(), digest_size=16).digest()

    def __array_finalize__(self, source: object) -> None:
        self._origin = None

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        plain = np.asarray(array)
        return plain[()] if return_scalar or not plain.ndim else plain

    def __getitem__(self, key: Any) -> Any:
        return np.asarray(self)[key]

    def copy(self, order: Any = "C") -> Any:
        """With region, normals and weights, until the copy is changed; ``order`` is always that of rows."""
        make, arguments = self.__reduce__()
        return make(*arguments)

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any] | None, /) -> Any:
        return self.copy()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        own = self._own
        return (np.array, (np.array(self),)) if own is None else (PointSet.of, (np.array(self), *own))


def region_of(points: object) -> Region | None:
    """The region that points stand for; None if they are just points."""
    return points.region if isinstance(points, PointSet) else None


def normals_of(points: object) -> Points | None:
    """The outward unit normals (N, d) that points bring along; None if they bring none."""
    return points.normals if isinstance(points, PointSet) else None
