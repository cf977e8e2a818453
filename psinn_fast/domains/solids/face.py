"""What is left of a part of a domain on the boundary of the body that it was made a piece of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..even_map import EvenMap, even_map
from ..part_names import Label
from ..unit import mesh
from .body import Body, all_corners

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
    """The places of ``part`` of the body's piece ``number`` that are on the body's boundary; its name is ``label``.

    ``kept``: the parameters of these places.
    """

    body: Body
    number: int
    part: str
    label: Label
    kept: EvenMap

    @classmethod
    def found(cls, body: Body, number: int, part: str, label: Label) -> Face | None:
        """None where nothing is left."""
        k = len(body.pieces[number].step) - 1
        kept = even_map(k, lambda unit: _sides(body, number, part, unit)[2] != 0)
        return None if kept is None else cls(body, number, part, label, kept)

    def of(self, body: Body) -> Face | None:
        """The same part as one of another body's."""
        return Face.found(body, self.number, self.part, self.label)

    def counted_from(self, pieces: int, sources: int) -> Face:
        """With another number of its piece, and of the shape that its label comes from."""
        label = Label(self.label.name, self.label.source + sources)
        return replace(self, number=self.number + pieces, label=label)

    def at(self, unit: Points) -> tuple[Points, Points]:
        """Points and outward normals of the body, both (N, d), for parameters (N, d - 1): even ones for even ones."""
        points, normals, sides = _sides(self.body, self.number, self.part, self.kept(unit, self._holds))
        return points, normals * sides[:, None]

    @cached_property
    def _measured(self) -> tuple[float, float]:
        """Its area, and the part of the body's volume, times d, of cones from the middle of the bounds to it."""
        places, weights = self.kept.nodes(self._holds)
        points, normals, sides = _sides(self.body, self.number, self.part, places)
        middle = np.add(*self.body.bounds) / 2
        area = self.body.pieces[self.number].domain.measure(self.part)
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
        if piece.domain.is_box and len(self.kept.cells) == len(self.kept.starts[-1]) - 1:
            corners = piece.placed(all_corners(*piece.domain.extent(self.part)))
            exact = np.stack([corners.max(0), -corners.min(0)])
            return Reaches(exact, exact, np.zeros((*exact.shape, k)))
        middles = self.kept.low + (self.kept.cells + 0.5) * self.kept.step
        points = piece.surface(self.part, middles)[0]
        least = np.stack([points.max(0), -points.min(0)])
        starts = middles[np.stack([points.argmax(0), points.argmin(0)])]
        beside = (starts[..., None, :] + self.kept.step * mesh([np.array([-0.5, 0.5])] * k)).clip(0, 1)
        around = piece.surface(self.part, beside.reshape(-1, k))[0].reshape(*beside.shape[:3], -1)
        cell = 2 * np.ptp(around, axis=2).max(-1)
        return Reaches(least, np.minimum(bounds, least + cell), starts)

    def farthest(self, row: int, axis: int) -> float:
        """How far it reaches along an axis, up (0) or down (1), to `Body.beside`."""
        reaches, sign = self.reaches, 1.0 - 2.0 * row
        best, step = reaches.starts[row, axis], self.kept.step
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
        return np.asarray(_sides(self.body, self.number, self.part, unit)[2] != 0)


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


def _sides(body: Body, number: int, part: str, unit: Points) -> tuple[Points, Points, Points]:
    """Points, normals of the piece, and `Body.sides`."""
    points, normals = body.pieces[number].surface(part, unit)
    return points, normals, body.sides(number, points, normals)
