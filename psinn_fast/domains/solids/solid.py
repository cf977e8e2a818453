"""Solids: domains in space that were combined, moved or renamed, with exact points and normals."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ...frozen import frozen
from ...kernels.errors import InputError
from ..domain import Domain, Mask
from ..measured import Measured
from ..part_names import Label, names_of, refuse_clashes
from .body import Body
from .face import Face, extent_of

Points = npt.NDArray[np.float64]

# Bounds are found to so many times the distance at which sides are told: at edges of all but very small angles.
_SAME = 100.0


class Solid(Domain):
    """What boxes, balls, cylinders and other domains of three coordinates are combined to by ``|``, ``&`` and ``-``,
    moved to, and renamed to.

    Points on the boundary are those of the pieces' surfaces that are left, with the normals of these. Even parameters
    of a part give even points, to the size of cells. Of these a surface has 128 x 128, or as many in each of the
    rectangles into which it is cut (`tiles`): up to 8 along a surface that is longer than wide, and one around the
    bounds of another piece that spans less than 1/8 of it. What is smaller than 1/512 of a rectangle, each way, may not
    be found.
    """

    _body: Body
    _faces: tuple[Face, ...]
    _labels: tuple[Label, ...]
    _names: dict[Label, str]

    def __init__(self, what: str, coords: Sequence[str], faces: Sequence[Face], labels: Sequence[Label]) -> None:
        names, body = names_of(labels), faces[0].body
        refuse_clashes(what, names.values())
        left = [label for label in dict.fromkeys(labels) if any(face.label == label for face in faces)]
        ends = zip(*(end.tolist() for end in _tight(faces)), strict=True)
        super().__init__(**dict(zip(coords, ends, strict=True)))
        self._have(_body=body, _faces=tuple(faces), _labels=tuple(labels), _names=names)
        self._have(parts=tuple(names[label] for label in left))

    def contains(self, points: npt.ArrayLike) -> Mask:
        with np.errstate(over="ignore", invalid="ignore"):  # of infinite points, which are outside
            return self._body.inside(self._points(points))

    def boundary_at(self, part: str, unit: Points) -> tuple[Points, Points]:
        faces = self._faces_of(part)
        ends = np.cumsum([face.area for face in faces])
        along = unit[:, 0] * ends[-1]
        which = np.minimum(np.searchsorted(ends, along, "right"), len(faces) - 1)
        points, normals = np.empty((2, len(unit), len(self.coords)))
        for number, face in enumerate(faces):
            rows = which == number
            first = 1 + (along[rows] - ends[number]) / face.area
            points[rows], normals[rows] = face.at(np.column_stack([first.clip(0, 1), unit[rows, 1:]]))
        return points, normals

    def elements(self, part: str, unit: Points) -> Points:
        return np.full(len(unit), self.measure(part))

    def measure(self, part: str | None = None) -> float:
        """The volume of the solid, or the area of a part: exactly where nothing was cut; where it was, by the midpoint
        rule in cells (`EvenMap.nodes`), to about 1e-4 of the whole surface's area, or of the volume."""
        if part is not None:
            self._some_parts(part)
            return sum(face.area for face in self._faces_of(part))
        if len(self._body.pieces) == 1:
            return self._body.pieces[0].domain.measure()
        return sum(face.moment for face in self._faces) / len(self.coords)

    @cached_property
    def _measured(self) -> dict[str, Measured]:
        return {part: Measured(self.measure(part), *frozen(_tight(self._faces_of(part)))) for part in self.parts}

    def _anchors(self, part: str) -> Points:
        """Those of the pieces' surfaces, as they were before they were cut and moved."""
        surfaces = dict.fromkeys((face.number, face.part) for face in self._faces_of(part))
        pieces = [(self._body.pieces[number], own) for number, own in surfaces]
        return np.concatenate([piece.placed(piece.domain._anchors(own)) for piece, own in pieces])

    def _faces_of(self, part: str) -> list[Face]:
        return [face for face in self._faces if self._names[face.label] == part]

    def _some_parts(self, part: object) -> tuple[str, ...]:
        if isinstance(part, str) and part not in self.parts and part in self._names.values():
            raise InputError(
                f"part: nothing is left of {part!r} on the boundary of {self}: it lies out of the domain, or within; "
                f"what is left are {list(self.parts)}"
            )
        return super()._some_parts(part)


def _tight(faces: Sequence[Face]) -> tuple[Points, Points]:
    """Lower and upper bounds (d,) of faces: those of pieces where they are the same, else a little more than found."""
    body, (low, high) = faces[0].body, extent_of(faces)
    slack = _SAME * body.beside
    known = np.stack([end for piece in body.pieces for end in (piece.corners.min(0), piece.corners.max(0))])
    ends = []
    for found, sign in ((low, -1.0), (high, 1.0)):
        nearest = np.take_along_axis(known, abs(known - found).argmin(0)[None], 0)[0]
        ends.append(np.where(abs(nearest - found) <= slack, nearest, found + sign * slack))
    return ends[0], ends[1]
