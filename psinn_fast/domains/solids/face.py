"""What is left of a part of a domain on the boundary of the body that it was made a piece of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..even_map import EvenMap, even_map
from ..part_names import Label
from ..unit import mesh
from .body import Body, all_corners
from .tiles import tiles

Points = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# Farthest points are looked for on a mesh of so many points along each parameter, then on smaller and smaller ones,
# until these are so small.
_AROUND, _SMALL = 17, 1e-10
# So many times the distance at which sides are told, points keep away from edges of surfaces.
_OFF_EDGES = 10.0


class Reaches(NamedTuple):
    """How far a face reaches along each coordinate, (2, d), up by the first row and down by the second: at least, and
    hardly farther than; and parameters (2, d, d - 1) near where it does."""

    least: Points
    most: Points
    starts: Points


@dataclass(frozen=True)
class Face:
    """The places of ``part`` of the body's piece ``number`` that are on the body's boundary, of those whose parameters
    are between ``low`` and ``high``; its name is ``label``.

    ``kept``: the parameters of these places, from 0 to 1 between the two.
    """

    body: Body
    number: int
    part: str
    label: Label
    low: tuple[float, ...]
    high: tuple[float, ...]
    kept: EvenMap

    @classmethod
    def found(cls, body: Body, number: int, part: str, label: Label) -> list[Face]:
        """One for each of the part's tiles of which something is left."""
        faces = []
        for low, high in tiles(body, number, part):
            kept = even_map(len(low), partial(_is_left, body, number, part, low, high))
            if kept is not None:
                faces.append(cls(body, number, part, label, tuple(low.tolist()), tuple(high.tolist()), kept))
        return faces

    def is_on(self, body: Body) -> bool:
        """Whether all of it is on the boundary of another body, too."""
        return bool((_sides(body, self.number, self.part, self._middles)[2] != 0).all())

    def counted_from(self, pieces: int, sources: int) -> Face:
        """With another number of its piece, and of the shape that its label comes from."""
        label = Label(self.label.name, self.label.source + sources)
        return replace(self, number=self.number + pieces, label=label)

    def at(self, unit: Points) -> tuple[Points, Points]:
        """Points and outward normals of the body, both (N, d), for parameters (N, d - 1): even ones for even ones."""
        points, normals, sides = _sides(self.body, self.number, self.part, self._places(self.kept(unit, self._holds)))
        return points, normals * sides[:, None]

    @cached_property
    def _measured(self) -> tuple[float, float]:
        """Its area, and the part of the body's volume, times d, of cones from the middle of the bounds to it."""
        places, weights = self.kept.nodes(self._holds)
        points, normals, sides = _sides(self.body, self.number, self.part, self._places(places))
        middle = np.add(*self.body.bounds) / 2
        area = self.body.pieces[self.number].domain.measure(self.part) * float(np.prod(self._widths))
        outwards = ((points - middle) * normals).sum(1) * sides
        return area * float(weights.sum()), area * float(weights @ outwards)

    @property
    def area(self) -> float:
        return self._measured[0]

    @property
    def moment(self) -> float:
        return self._measured[1]

    @cached_property
    def reaches(self) -> Reaches:
        """Along every axis, of a box's face that is whole exactly."""
        piece, k = self.body.pieces[self.number], len(self.kept.step)
        bounds = np.stack([piece.corners.max(0), -piece.corners.min(0)])
        is_whole = len(self.kept.cells) == len(self.kept.starts[-1]) - 1 and (self._widths == 1).all()
        if piece.domain.is_box and is_whole:
            corners = piece.placed(all_corners(*piece.domain.extent(self.part)))
            exact = np.stack([corners.max(0), -corners.min(0)])
            return Reaches(exact, exact, np.zeros((*exact.shape, k)))
        middles, step = self._middles, self._widths * self.kept.step
        points = piece.surface(self.part, middles)[0]
        least = np.stack([points.max(0), -points.min(0)])
        starts = middles[np.stack([points.argmax(0), points.argmin(0)])]
        beside = (starts[..., None, :] + step * mesh([np.array([-0.5, 0.5])] * k)).clip(0, 1)
        around = piece.surface(self.part, beside.reshape(-1, k))[0].reshape(*beside.shape[:3], -1)
        cell = 2 * np.ptp(around, axis=2).max(-1)
        return Reaches(least, np.minimum(bounds, least + cell), starts)

    def farthest(self, row: int, axis: int) -> float:
        """How far it reaches along an axis, up (0) or down (1), to `Body.beside`."""
        reaches, sign = self.reaches, 1.0 - 2.0 * row
        best, step = reaches.starts[row, axis], self._widths * self.kept.step
        if reaches.least[row, axis] == reaches.most[row, axis]:
            return float(reaches.least[row, axis])
        pattern, reach = mesh([np.linspace(-1, 1, _AROUND)] * len(step)), -np.inf
        # On edges a plane sheet on which two surfaces are one would seem to be inside.
        domain = self.body.pieces[self.number].domain
        edge = _OFF_EDGES * self.body.beside / float((domain.high - domain.low).min())
        while step.max() > _SMALL:
            tried = np.concatenate([(best + step * pattern).clip(edge, 1 - edge), best[None]])
            points, _, sides = _sides(self.body, self.number, self.part, tried)
            found = np.where(sides != 0, sign * points[:, axis], -np.inf)
            first = int(np.argmax(found))
            best, reach = tried[first], max(reach, float(found[first]))
            step = step * 2 / (_AROUND - 1)
        return reach

    def _holds(self, unit: Points) -> Mask:
        return _is_left(self.body, self.number, self.part, np.array(self.low), np.array(self.high), unit)

    @property
    def _widths(self) -> Points:
        return np.array(self.high) - self.low

    @property
    def _middles(self) -> Points:
        """(K, d - 1): the part's parameters in the middles of the cells that are kept."""
        return self._places(self.kept.low + (self.kept.cells + 0.5) * self.kept.step)

    def _places(self, unit: Points) -> Points:
        """The part's parameters."""
        return np.asarray(self.low + self._widths * unit)


def extent_of(faces: Sequence[Face]) -> tuple[Points, Points]:
    """Lower and upper bounds (d,) of some faces."""
    d = len(faces[0].kept.step) + 1
    high, low = ([_farthest(faces, row, axis) for axis in range(d)] for row in (0, 1))
    return -np.array(low), np.array(high)


def _farthest(faces: Sequence[Face], row: int, axis: int) -> float:
    best = -np.inf
    for face in sorted(faces, key=lambda face: -float(face.reaches.least[row, axis])):
        if face.reaches.most[row, axis] > best + face.body.thickness:
            best = max(best, face.farthest(row, axis))
    return float(best)


def _is_left(body: Body, number: int, part: str, low: Points, high: Points, unit: Points) -> Mask:
    return np.asarray(_sides(body, number, part, low + (high - low) * unit)[2] != 0)


def _sides(body: Body, number: int, part: str, unit: Points) -> tuple[Points, Points, Points]:
    """Points, normals of the piece, and `Body.sides`."""
    points, normals = body.pieces[number].surface(part, unit)
    return points, normals, body.sides(number, points, normals)
