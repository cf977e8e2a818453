"""Domains that are meshes of triangles in the plane, or of tetrahedra in space."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ...frozen import frozen
from ...kernels import checks
from ..domain import ON_BOUNDARY, Domain, Mask
from ..measured import Measured
from ..pointset import PointSet, Region
from ..quadrature import EVEN, UNIFORM, apportioned, weights_of_lines
from ..unit import even, refuse_too_many, sobol
from .pieces import Piece, pieces_of
from .simplices import Search, along_a_curve, inside_of, measures, normals

Points = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class MeshDomain(Domain):
    """All points of a mesh of triangles or tetrahedra, made by `read_mesh`.

    Its parts are named by the file, and are made of edges or triangles with the normals of these. Points inside and on
    parts are spread by area, length or volume, cell by cell along a curve that goes through all of them.

    Attributes:
        nodes: (N, d), the corners of the cells, read-only: points to train on, as an array.
        cells: (M, d + 1), the numbers of each cell's corners.
    """

    nodes: Points
    cells: Integers
    _facets: Mapping[str, Integers]
    _opposite: Mapping[str, Integers]

    def __init__(
        self,
        coords: Sequence[str],
        nodes: Points,
        cells: Integers,
        facets: Mapping[str, Integers],
        opposite: Mapping[str, Integers],
    ) -> None:
        low, high = nodes.min(0).tolist(), nodes.max(0).tolist()
        super().__init__(**{name: (a, b) for name, a, b in zip(coords, low, high, strict=True)})
        order = along_a_curve(nodes[cells].mean(1))
        self._have(nodes=frozen(nodes), cells=frozen(cells[order]), parts=tuple(facets))
        self._have(_facets=dict(facets), _opposite=dict(opposite))

    def contains(self, points: npt.ArrayLike) -> Mask:
        return self._search.contains(self._points(points))

    def on_boundary(self, points: npt.ArrayLike, slack: float = ON_BOUNDARY) -> Mask:
        return self._search.on_boundary(self._points(points), slack * float((self.high - self.low).max()))

    def boundary_at(self, part: str, unit: Points) -> tuple[Points, Points]:
        facets = self._facets[part]
        which, first = _chosen(self._sizes[part], unit[:, 0])
        points = inside_of(self.nodes[facets[which]], np.column_stack([first, unit[:, 1:]]))
        return points, self._normals[part][which]

    def interior_at(self, unit: Points) -> Points:
        which, first = _chosen(self._volumes, unit[:, 0])
        return inside_of(self.nodes[self.cells[which]], np.column_stack([first, unit[:, 1:]]))

    def interior(self, count: int, unit: Callable[[int], Points]) -> Points:
        return self.interior_at(unit(count))

    def random(self, n: int, seed: int) -> PointSet:
        """``n`` points, by scrambled Sobol points for the cells and the places in them, repeatable from the seed."""
        n, seed = checks.integer("n", n, 1), checks.seed("seed", seed)
        refuse_too_many(n)
        points = self.interior_at(sobol(len(self.coords), np.random.default_rng(seed))(n))
        return PointSet.of(points, Region(self), layout=UNIFORM)

    def boundary(self, n: int, part: str | Sequence[str] | None = None) -> PointSet:
        """``n`` points spread evenly over one part, several (a list) or all, by length or area; in the plane each piece
        between corners gets one at least, if n allows."""
        if len(self.coords) != 2:
            return super().boundary(n, part)
        n = checks.integer("n", n, 1)
        refuse_too_many(n)
        parts = self._chosen_parts(part)
        pieces = self._pieces_of(parts)
        places = []
        for piece, own in zip(pieces, apportioned([piece.length for piece in pieces], n), strict=True):
            unit = (piece.start + piece.length * even(own, 1)) / self.measure(piece.part)
            places.append(self.boundary_at(piece.part, unit))
        return Region(self, parts).joined(places, EVEN)

    def weights_on(self, parts: Sequence[str], n: int) -> Points:
        if len(self.coords) != 2:
            return super().weights_on(parts, n)
        pieces = self._pieces_of(parts)
        return weights_of_lines([piece.length for piece in pieces], [piece.is_closed for piece in pieces], n)

    def measure(self, part: str | None = None) -> float:
        """The area or volume of all cells, the length or area of a part: exactly, of the mesh."""
        if part is None:
            return float(self._volumes.sum())
        self._some_parts(part)
        return float(self._sizes[part].sum())

    def elements(self, part: str, unit: Points) -> Points:
        return np.full(len(unit), self.measure(part))

    def outline(self) -> list[Points]:
        if len(self.coords) != 2:
            return []
        ends = np.concatenate(list(self._facets.values()))
        gaps = np.full((len(ends), 1, 2), np.nan)
        return [np.concatenate([self.nodes[ends], gaps], axis=1).reshape(-1, 2)]

    @cached_property
    def _search(self) -> Search:
        return Search(self.nodes, self.cells)

    @property
    def _has_exact_sizes(self) -> bool:
        return True

    def _pieces_of(self, parts: Sequence[str]) -> list[Piece]:
        return [piece for part in parts for piece in self._pieces[part]]

    @cached_property
    def _pieces(self) -> dict[str, list[Piece]]:
        return {part: pieces_of(part, self.nodes, edges) for part, edges in self._facets.items()}

    @cached_property
    def _volumes(self) -> Points:
        return measures(self.nodes, self.cells)

    @cached_property
    def _sizes(self) -> dict[str, Points]:
        return {part: measures(self.nodes, facets) for part, facets in self._facets.items()}

    @cached_property
    def _normals(self) -> dict[str, Points]:
        return {part: normals(self.nodes, facets, self._opposite[part]) for part, facets in self._facets.items()}

    @cached_property
    def _measured(self) -> dict[str, Measured]:
        found = {}
        for part, facets in self._facets.items():
            corners = self.nodes[np.unique(facets)]
            found[part] = Measured(self.measure(part), *frozen((corners.min(0), corners.max(0))))
        return found


def _chosen(sizes: Points, unit: Points) -> tuple[Integers, Points]:
    """Which of some pieces of these sizes numbers (N,) of [0, 1] stand for, and where in it, from 0 to 1."""
    ends = np.cumsum(sizes)
    along = unit * ends[-1]
    which = np.minimum(np.searchsorted(ends, along, "right"), len(sizes) - 1)
    return which, (1 + (along - ends[which]) / sizes[which]).clip(0, 1)
