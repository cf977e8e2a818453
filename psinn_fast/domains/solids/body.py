"""What solids are made of: domains where they were moved to, and how they are combined."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ...kernels.errors import InputError
from ..domain import Domain
from ..unit import mesh
from .ball import Ball
from .cylinder import Cylinder

Points = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
# The number of a domain, or an operation, "|", "&" or "-", on two of these.
Tree: TypeAlias = "int | tuple[str, Tree, Tree]"

# A boundary is so thick, as a part of the largest number that places have, or, where it is not known by a formula, of
# the bounds. Points so much farther beside it say which side is inside.
_THICK, _ON, _BESIDE = 2e-14, 1e-11, 1e3
# ... if that is more than this part of the bounds, where a class of a user's own may have rounded to float32.
_ROUNDED = 1e-6


@dataclass(frozen=True)
class Placed:
    """A domain moved by x -> matrix x + step, a rotation and a translation."""

    domain: Domain
    matrix: tuple[tuple[float, ...], ...]
    step: tuple[float, ...]

    @classmethod
    def of(cls, domain: Domain) -> Placed:
        """Where it is."""
        d = len(domain.coords)
        return cls(domain, tuple(map(tuple, np.eye(d).tolist())), (0.0,) * d)

    @property
    def is_known(self) -> bool:
        """Whether its level is a formula: that of a class derived from these need not be theirs."""
        return type(self.domain) in (Ball, Cylinder) or self.domain.is_box

    def moved(self, matrix: Points, step: Points) -> Placed:
        rows = (matrix @ np.array(self.matrix)).tolist()
        return Placed(self.domain, tuple(map(tuple, rows)), tuple((matrix @ np.array(self.step) + step).tolist()))

    def surface(self, part: str, unit: Points) -> tuple[Points, Points]:
        """Points and outward unit normals of one of its parts.

        Raises:
            InputError: it has no normals there.
        """
        domain = self.domain  # the library's own need no checks
        points, normals = domain.boundary_at(part, unit) if self.is_known else domain.surface(part, unit)
        if normals is None:
            raise InputError(
                f"{type(domain).__name__}: its boundary_at({part!r}, ...) gives no normals; domains are combined "
                "and moved by those of all parts"
            )
        return self.placed(points), np.asarray(normals @ np.array(self.matrix).T)

    def level(self, points: Points) -> Points:
        """(N,): negative inside, zero on the boundary, positive outside; of boxes, balls and cylinders a distance."""
        own, domain = (points - self.step) @ np.array(self.matrix), self.domain
        if self.is_known and isinstance(domain, (Ball, Cylinder)):
            return domain.signed_distance(own)
        if self.is_known:
            beyond = abs(own - domain.centre) - (domain.high - domain.low) / 2
            return reduce(np.maximum, beyond.T)  # several times faster than beyond.max(1)
        size = float((domain.high - domain.low).max())
        return np.where(domain.on_boundary(own, _ON), 0.0, np.where(domain.inside(own), -size, size))

    def placed(self, points: Points) -> Points:
        """Where points (N, d) of the domain have come to."""
        return np.asarray(points @ np.array(self.matrix).T + self.step)

    @cached_property
    def corners(self) -> Points:
        """(2^d, d): those of its bounds."""
        return self.placed(all_corners(self.domain.low, self.domain.high))


def all_corners(low: Points, high: Points) -> Points:
    """(2^d, d): those of a box."""
    return mesh(list(np.stack([low, high], axis=1)))


@dataclass(frozen=True)
class Body:
    """Domains combined: a point lies in it where the combination of their levels is not positive, by the minimum for
    "|", the maximum for "&", and the maximum of the one and of minus the other for "-"."""

    pieces: tuple[Placed, ...]
    tree: Tree

    @classmethod
    def of(cls, domain: Domain) -> Body:
        return cls((Placed.of(domain),), 0)

    def combined(self, operation: str, other: Body) -> Body:
        return Body((*self.pieces, *other.pieces), (operation, self.tree, _counted_from(len(self.pieces), other.tree)))

    def moved(self, matrix: Points, step: Points) -> Body:
        return Body(tuple(piece.moved(matrix, step) for piece in self.pieces), self.tree)

    @cached_property
    def thickness(self) -> float:
        return _THICK * max(float(abs(piece.corners).max()) for piece in self.pieces)

    @cached_property
    def beside(self) -> float:
        """How far beside its boundary points say which side is inside."""
        low, high = self.bounds
        known = all(piece.is_known for piece in self.pieces)
        return max(_BESIDE * self.thickness, 0.0 if known else _ROUNDED * float((high - low).max()))

    @cached_property
    def bounds(self) -> tuple[Points, Points]:
        """Lower and upper ones (d,), which need not be tight."""
        return _bounds(self.tree, [(piece.corners.min(0), piece.corners.max(0)) for piece in self.pieces])

    def level(self, points: Points) -> Points:
        return _level(self.tree, [piece.level(points) for piece in self.pieces])

    def inside(self, points: Points) -> Mask:
        return np.asarray(self.level(points) <= self.thickness)

    def sides(self, number: int, points: Points, normals: Points) -> Points:
        """(N,): of points (N, d) on the boundary of a piece, with its normals, whether they are on that of the body: 1
        if the normal is the same, -1 if the opposite, 0 if they are not, or are on an earlier piece's, too."""
        known = np.zeros(len(points))
        levels = [known if i == number else piece.level(points) for i, piece in enumerate(self.pieces)]
        found = np.zeros(len(points))
        on = abs(_level(self.tree, levels)) <= self.thickness
        for earlier in levels[:number]:
            on &= abs(earlier) > self.thickness
        rows = np.flatnonzero(on)
        beside = self.beside * normals[rows]
        out, back = (self.inside(points[rows] + sign * beside) for sign in (1.0, -1.0))
        found[rows] = np.where(back & ~out, 1.0, np.where(out & ~back, -1.0, 0.0))
        return found


def _counted_from(first: int, tree: Tree) -> Tree:
    if isinstance(tree, int):
        return tree + first
    operation, one, other = tree
    return operation, _counted_from(first, one), _counted_from(first, other)


def _level(tree: Tree, levels: list[Points]) -> Points:
    if isinstance(tree, int):
        return levels[tree]
    operation, one, other = tree[0], _level(tree[1], levels), _level(tree[2], levels)
    return np.minimum(one, other) if operation == "|" else np.maximum(one, other if operation == "&" else -other)


def _bounds(tree: Tree, bounds: list[tuple[Points, Points]]) -> tuple[Points, Points]:
    if isinstance(tree, int):
        return bounds[tree]
    operation, one, other = tree[0], _bounds(tree[1], bounds), _bounds(tree[2], bounds)
    if operation == "-":
        return one
    if operation == "|":
        return np.minimum(one[0], other[0]), np.maximum(one[1], other[1])
    return np.maximum(one[0], other[0]), np.minimum(one[1], other[1])
