"""Meshes from files, by meshio: what can be misread is refused."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...kernels.errors import InputError, one_line
from ...language.names import Names, split_names
from ...storage.files import as_path, open_regular
from .mesh_domain import MeshDomain
from .simplices import along_a_curve, chained, facets_of, measures, normals

Points = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Cells by the names of their types without the number of nodes, with how many corners come first among these.
_CORNERS = {"vertex": 1, "line": 2, "triangle": 3, "tetra": 4}
# Parts of a boundary that has no names, and of which some have.
_BOUNDARY, _REST = "boundary", "untagged"
# As parts of the bounds: nodes at one place, a plane, cells that are nothing, volumes that are one.
_SAME, _FLAT, _NOTHING, _EQUAL = 1e-12, 1e-12, 1e-14, 1e-9
# Other cells are so near to a boundary, as a part of the size of its facets, and of the largest number places have.
_SEAM, _DIGITS = 1e-6, 1e-15
# Data that hold a number for each cell's group, in formats that have no sets of cells.
_TAGS = ("gmsh:physical", "medit:ref", "cell_tags", "tags", "CellEntityIds")


def read_mesh(path: str | Path, coords: Names | None = None) -> MeshDomain:
    """The domain that a mesh of triangles (in the plane) or tetrahedra (in space) fills, from a file that meshio reads:
    gmsh (.msh), VTK (.vtu, .vtk), XDMF, Abaqus, MED and others.

    Parts of the boundary are the physical groups of lines (in space: triangles), or the sets of such cells, by their
    names, or by their numbers as text. What is in no group is "untagged"; all is "boundary" where there are no groups.
    Groups of lines within the domain, and of cells that fill it, are no parts. Of cells of higher order the corners
    count: curved edges become straight. Nodes that no cell has are left out. Nodes of a mesh of the plane may have a
    third coordinate that is the same for all.

    Args:
        coords: names of the coordinates, in the PDE's order; None: "x y" or "x y z".

    Raises:
        InputError: meshio is not installed (extra ``psinn_fast[mesh]``); the file cannot be read, or has other
            cells (quadrilaterals, hexahedra), no cells that fill a domain, cells without volume or over each other,
            nodes that are NaN or at one place, or on an edge of another cell (hanging nodes), pieces that touch and do
            not share their nodes, an edge in two groups, a group of edges on the boundary and others within, or called
            "untagged" where others are in no group.
    """
    where = as_path("path", path)
    mesh = opened(where, "read_mesh")
    blocks = list(_blocks(where, mesh))
    n_corners = max((corners.shape[1] for _, corners in blocks), default=0)
    if n_corners < 3:
        kinds = ", ".join(f"{len(block)} of type {str(block.type)!r}" for block in mesh.cells) or "none"
        raise InputError(f"{where}: expected cells that are triangles or tetrahedra, it has {kinds}")
    d = n_corners - 1
    nodes = _nodes(where, mesh, d)
    names = split_names("x y z"[: 2 * d - 1] if coords is None else coords, "coords")
    if len(names) != d:
        raise InputError(f"coords: expected {d} names for a mesh of dimension {d}, got {list(names)}")
    cells = np.concatenate([corners for _, corners in blocks if corners.shape[1] == n_corners])
    tagged = _tagged(where, mesh, [(number, corners) for number, corners in blocks if corners.shape[1] == d])
    used, numbers = np.unique(cells, return_inverse=True)
    nodes, cells = nodes[used], numbers.reshape(cells.shape)
    _check_cells(where, nodes, cells)
    new = np.full(len(mesh.points), -1)
    new[used] = np.arange(len(used))
    facets, opposite = _boundary(where, nodes, cells, {name: new[own] for name, own in tagged.items()})
    domain = MeshDomain(names, nodes, cells, facets, opposite)
    _refuse_seams(where, domain)
    return domain


def opened(where: Path, what: str) -> Any:
    """What meshio makes of a file, for the function ``what``.

    Raises:
        InputError: meshio is missing, or cannot read the file.
    """
    try:
        import meshio
    except ImportError:
        raise InputError(
            f'{what}: it needs the package meshio; pip install meshio, or pip install "psinn_fast[mesh]"'
        ) from None
    try:
        os.close(open_regular(where))
    except OSError as error:
        raise InputError(f"{where}: it cannot be read ({one_line(error)})") from None
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            return meshio.read(where)
    except (Exception, SystemExit) as error:  # of damaged files it raises anything, and ends the process for some
        reason = one_line(error) if not isinstance(error, SystemExit) else " ".join(said.getvalue().split())[:300]
        raise InputError(f"{where}: meshio cannot read it as a mesh ({type(error).__name__}: {reason})") from None


def _blocks(where: Path, mesh: Any) -> Iterator[tuple[int, Integers]]:
    """The corners of each block of cells, with its number."""
    for number, block in enumerate(mesh.cells):
        kind = str(block.type).rstrip("0123456789")
        if kind not in _CORNERS:
            raise InputError(
                f"{where}: it has {len(block)} cells of type {str(block.type)!r}; expected triangles or tetrahedra: "
                "let the mesher split others (gmsh: no recombination)"
            )
        data = np.asarray(block.data)
        if len(data) == 0:
            continue
        if data.ndim != 2 or data.dtype.kind not in "iu" or data.min() < 0 or data.max() >= len(mesh.points):
            raise InputError(f"{where}: cells of type {str(block.type)!r} have numbers of nodes that are not there")
        yield number, data[:, : _CORNERS[kind]].astype(np.int64)


def _nodes(where: Path, mesh: Any, d: int) -> Points:
    points = np.asarray(mesh.points)
    if points.ndim != 2 or points.dtype.kind not in "iuf" or points.shape[1] not in (2, 3):
        raise InputError(f"{where}: expected nodes of two or three coordinates, got shape {points.shape}")
    nodes = points.astype(np.float64)
    if not np.isfinite(nodes).all():
        first = int(np.argmin(np.isfinite(nodes).all(1)))
        raise InputError(f"{where}: node {first} is {nodes[first].tolist()}, not finite")
    if d == 3 and nodes.shape[1] == 2:
        raise InputError(f"{where}: its tetrahedra have nodes of two coordinates")
    if d == 2 and nodes.shape[1] == 3:
        if np.ptp(nodes[:, 2]) > _FLAT * np.ptp(nodes, axis=0).max():
            raise InputError(
                f"{where}: it is a surface in space: triangles whose third coordinate goes from "
                f"{nodes[:, 2].min():g} to {nodes[:, 2].max():g}; expected a mesh of the plane, or tetrahedra that "
                "fill the body"
            )
        nodes = nodes[:, :2]
    return nodes


def _tagged(where: Path, mesh: Any, blocks: list[tuple[int, Integers]]) -> dict[str, Integers]:
    """The facets (K, d) of each group, by its name."""
    found: dict[str, list[Integers]] = {}
    for name, own in (mesh.cell_sets or {}).items():
        for number, corners in blocks if not str(name).startswith("gmsh:") else ():
            if number < len(own) and own[number] is not None and len(own[number]):
                found.setdefault(str(name), []).append(corners[np.asarray(own[number], dtype=np.int64)])
    key = next((key for key in _TAGS if key in mesh.cell_data), None)
    if key is not None:
        known, called = set(found), _called(mesh, blocks[0][1].shape[1] - 1 if blocks else 0)
        for number, corners in blocks:
            tags = np.asarray(mesh.cell_data[key][number]).ravel()
            for tag in np.unique(tags[tags != 0]).tolist():
                if (name := called.get(tag, f"{tag:g}")) not in known:  # as a set of cells
                    found.setdefault(name, []).append(corners[tags == tag])
    return {name: np.concatenate(own) for name, own in found.items()}


def _called(mesh: Any, dimension: int) -> dict[int, str]:
    """Names of groups by their numbers: of gmsh for each dimension, of MED for all."""
    names = {}
    for name, data in (mesh.field_data or {}).items():
        if np.size(data) == 2 and int(data[1]) == dimension:
            names[int(data[0])] = str(name)
    for tag, own in getattr(mesh, "cell_tags", {}).items():
        names[int(tag)] = "+".join(map(str, own))
    return names


def _check_cells(where: Path, nodes: Points, cells: Integers) -> None:
    from scipy.spatial import cKDTree  # takes a while to import, and few need it

    size = float(np.ptp(nodes, axis=0).max())
    if pairs := cKDTree(nodes).query_pairs(_SAME * size):
        raise InputError(
            f"{where}: {len(pairs)} pairs of nodes are at one place, the first at {_place(nodes[min(pairs)[0]])}: let "
            "the mesher merge them, or the edges between would be a boundary"
        )
    volumes = measures(nodes, cells)
    if (flat := volumes <= _NOTHING * size ** nodes.shape[1]).any():
        first = int(np.argmax(flat))
        size_of = "area" if nodes.shape[1] == 2 else "volume"
        corners = nodes[cells[first]].tolist()
        raise InputError(f"{where}: {int(flat.sum())} cells have no {size_of}, the first has the corners {corners}")


def _boundary(
    where: Path, nodes: Points, cells: Integers, tagged: Mapping[str, Integers]
) -> tuple[dict[str, Integers], dict[str, Integers]]:
    """The facets (K, d) of each part of the boundary, and the nodes (K,) opposite to them.

    Raises:
        InputError: a facet of more than two cells or in two groups, cells over each other, groups of what is no facet.
    """
    every, opposite = facets_of(cells)
    facets, first, count = np.unique(every, axis=0, return_index=True, return_counts=True)
    if count.max() > 2:
        many = int((count > 2).sum())
        raise InputError(f"{where}: {many} facets belong to more than two cells, which lie over each other")
    outer, behind = np.flatnonzero(count == 1), opposite[first]
    _refuse_overlaps(where, nodes, cells, facets[outer], behind[outer])
    labels, numbers = _labelled(where, facets, count == 1, tagged)
    parts, opposites = {}, {}
    for number, label in enumerate(labels):
        own = outer[numbers[outer] == number]
        if not len(own):
            continue
        if nodes.shape[1] == 2:
            order, parts[label] = chained(facets[own])
        else:
            order = along_a_curve(nodes[facets[own]].mean(1))
            parts[label] = facets[own[order]]
        opposites[label] = behind[own[order]]
    return parts, opposites


def _refuse_overlaps(where: Path, nodes: Points, cells: Integers, outer: Integers, behind: Integers) -> None:
    """
    Raises:
        InputError: the cells together have another volume than there is within their boundary (divergence theorem).
    """
    d, sizes = nodes.shape[1], measures(nodes, outer)
    heights = np.einsum("kd,kd->k", nodes[outer[:, 0]] - nodes.mean(0), normals(nodes, outer, behind))
    within, together = float(heights @ sizes) / d, float(measures(nodes, cells).sum())
    if abs(within - together) > _EQUAL * float(np.ptp(nodes, axis=0).max()) ** d:
        raise InputError(
            f"{where}: cells lie over each other: together they have {together:.6g}, within their boundary there is "
            f"{within:.6g}; are some inverted?"
        )


def _refuse_seams(where: Path, domain: MeshDomain) -> None:
    """
    Raises:
        InputError: beyond some facets of the boundary there are other cells: the facet is within the domain.
    """
    d = len(domain.coords)
    facets = np.concatenate(list(domain._facets.values()))
    sizes = np.concatenate(list(domain._sizes.values())) ** (1 / (d - 1))
    beyond = np.maximum(_SEAM * sizes, _DIGITS * abs(domain.nodes).max())[:, None]
    outwards = beyond * np.concatenate([domain._normals[part] for part in domain._facets])
    shares = (np.ones((d, d)) + d * np.eye(d)) / (2 * d)  # a point halfway from the middle to each corner
    found = np.zeros(len(facets), bool)
    for share in [np.full(d, 1 / d), *shares]:
        found |= domain._search.contains(share @ domain.nodes[facets] + outwards)
    if found.any():
        raise InputError(
            f"{where}: {int(found.sum())} facets of the boundary have cells on both sides, the first at "
            f"{_place(domain.nodes[facets[found.argmax()]].mean(0))}: hanging nodes, or pieces whose nodes are not "
            "merged; let the mesher make the mesh conforming, or these would be boundaries within the domain"
        )


def _place(point: Points) -> str:
    return f"({', '.join(f'{x:.6g}' for x in point)})"


def _labelled(
    where: Path, facets: Integers, is_outer: npt.NDArray[np.bool_], tagged: Mapping[str, Integers]
) -> tuple[list[str], Integers]:
    """Names of parts, and which of them each facet has, by number."""
    labels, numbers = list(tagged), np.full(len(facets), -1)
    for number, (name, own) in enumerate(tagged.items()):
        rows = _rows(facets, np.sort(own, axis=1))
        if lost := int((rows < 0).sum()):
            raise InputError(
                f"{where}: {lost} cells of the group {name!r} are no facets of the cells that fill the domain"
            )
        within = int((~is_outer[rows]).sum())
        if 0 < within < len(rows):
            raise InputError(
                f"{where}: of the group {name!r} {within} of {len(rows)} cells are within the domain, the others on "
                "its boundary; give those within a group of their own"
            )
        taken = rows[(numbers[rows] >= 0) & (numbers[rows] != number) & is_outer[rows]]
        if len(taken):
            other = labels[int(numbers[taken[0]])]
            raise InputError(f"{where}: {len(taken)} facets are in two groups, {other!r} and {name!r}; give them one")
        numbers[rows] = number
    if _REST in labels and (rest := int((is_outer & (numbers < 0)).sum())):
        raise InputError(
            f"{where}: a group is called {_REST!r}, as are the {rest} facets of the boundary that are in no group; "
            "give it another name"
        )
    numbers[numbers < 0] = len(labels)
    return [*labels, _REST if labels else _BOUNDARY], numbers


def _rows(facets: Integers, wanted: Integers) -> Integers:
    """Where each of the wanted is among the facets, which are in lexicographic order; -1 where it is not."""
    known = np.concatenate([facets, wanted])
    _, numbers = np.unique(known, axis=0, return_inverse=True)
    place = np.full(int(numbers.max()) + 1, -1)
    place[numbers[: len(facets)]] = np.arange(len(facets))
    found: Integers = place[numbers[len(facets) :]]
    return found
