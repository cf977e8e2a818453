"""Domains from mesh files, which the tests write by meshio."""

from __future__ import annotations

import copy
import pickle
import sys
from pathlib import Path
from typing import Any

import meshio
import numpy as np
import pytest

import psinn_fast as pf
from psinn_fast import PDE, Dirichlet, InputError, MeshDomain, Neumann, Problem, Residual, read_mesh
from psinn_fast.pictures.canvas import Canvas

TRIANGLES = np.array([[0, 1, 3], [1, 4, 3], [1, 2, 4], [2, 5, 4]])  # of [0, 2] x [0, 1]
NODES = np.array([[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]], dtype=float)
LINES = {"bottom": [[0, 1], [1, 2]], "right": [[2, 5]], "top": [[4, 5], [3, 4]], "left": [[3, 0]]}


def grid(n: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Nodes, triangles and edges of the unit square."""
    x = np.linspace(0, 1, n + 1)
    nodes = np.stack(np.meshgrid(x, x, indexing="ij"), -1).reshape(-1, 2)
    number = np.arange((n + 1) ** 2).reshape(n + 1, n + 1)
    a, b, c, d = (part.ravel() for part in (number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]))
    lines = {"left": number[0], "right": number[-1], "low": number[:, 0], "high": number[:, -1]}
    edges = {name: np.stack([own[:-1], own[1:]], 1) for name, own in lines.items()}
    return nodes, np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]), edges


def written(folder: Path, nodes: Any, cells: Any, suffix: str = ".msh", **data: Any) -> Path:
    path = folder / f"mesh{suffix}"
    options = {"file_format": "gmsh22", "binary": False} if suffix == ".msh" else {}
    meshio.Mesh(np.asarray(nodes, dtype=float), cells, **data).write(path, **options)
    return path


def tagged(folder: Path, nodes: Any, triangles: Any, lines: Any) -> Path:
    """A gmsh file with physical groups."""
    nodes = np.column_stack([nodes, np.zeros(len(nodes))]) if np.shape(nodes)[1] == 2 else nodes
    every = np.concatenate([np.reshape(own, (-1, 2)) for own in lines.values()])
    tags = np.repeat(np.arange(1, 1 + len(lines)), [len(own) for own in lines.values()])
    tags = [tags, np.full(len(triangles), 9)]
    groups = {name: np.array([number, 1]) for number, name in enumerate(lines, start=1)} | {"all": np.array([9, 2])}
    cells = [("line", every), ("triangle", np.asarray(triangles))]
    return written(
        folder, nodes, cells, field_data=groups, cell_data=dict.fromkeys(("gmsh:physical", "gmsh:geometrical"), tags)
    )


@pytest.fixture
def square(tmp_path: Path) -> MeshDomain:
    return read_mesh(tagged(tmp_path, *grid(8)))


def test_square(square: MeshDomain) -> None:
    square.check()
    assert (square.coords, square.parts) == (("x", "y"), ("left", "right", "low", "high"))
    assert square.measure() == pytest.approx(1, rel=1e-14)
    for part, outwards in zip(square.parts, ([-1, 0], [1, 0], [0, -1], [0, 1]), strict=True):
        points = square.boundary(40, part)
        assert square.measure(part) == pytest.approx(1)
        np.testing.assert_allclose(points.normals, np.tile(outwards, (40, 1)), atol=1e-14)
        assert square.on_boundary(points).all()
        along = np.sort(points[:, int(outwards[0] != 0)])  # even in arc length
        np.testing.assert_allclose(along, (np.arange(40) + 0.5) / 40, atol=1e-12)
    anywhere = np.random.default_rng(0).uniform(-0.2, 1.2, (5000, 2))
    np.testing.assert_array_equal(square.inside(anywhere), ((anywhere >= 0) & (anywhere <= 1)).all(1))
    inside = square.random(4096, 0)
    counts, *_ = np.histogram2d(*inside.T, 8, ((0, 1), (0, 1)))
    np.testing.assert_allclose(counts, 64, atol=3)
    assert len(square.symmetries()) == 7
    assert len(square.nodes) == 81
    assert square.grid(9).shape == (81, 2)
    for again in (copy.deepcopy(square), pickle.loads(pickle.dumps(square))):
        np.testing.assert_array_equal(again.boundary(50), square.boundary(50))
        np.testing.assert_array_equal(again.inside(anywhere), square.inside(anywhere))


def test_disk_with_a_hole(tmp_path: Path) -> None:
    """A ring of triangles, clockwise ones among them, in a file without names."""
    n, angle = 64, 2 * np.pi * np.arange(64) / 64
    rim = np.stack([np.cos(angle), np.sin(angle)], 1)
    i = np.arange(n)
    j = (i + 1) % n
    triangles = np.concatenate([np.stack([i, j, n + i], 1), np.stack([j, n + i, n + j], 1)])
    ring = read_mesh(written(tmp_path, np.concatenate([rim, 0.5 * rim]), [("triangle", triangles)], ".vtk"), "r s")
    polygon = n / 2 * np.sin(2 * np.pi / n)
    assert (ring.coords, ring.parts) == (("r", "s"), ("boundary",))
    assert ring.measure() == pytest.approx(0.75 * polygon)
    points = ring.boundary(3000)
    assert points.weights @ (points * points.normals).sum(1) == pytest.approx(2 * ring.measure(), rel=1e-3)
    away = np.linalg.norm(points, axis=1)
    assert (np.sign((points * points.normals).sum(1)) == np.where(away > 0.7, 1, -1)).all()
    assert len(ring.symmetries()) == 7
    canvas = Canvas(ring, 41)
    assert len(canvas.points) == pytest.approx(ring.measure() / 4 * 40**2, rel=0.05)
    assert len(ring.outline()) > 0


@pytest.mark.parametrize("kind", ["tetra", "tetra10"])
def test_tetrahedra(tmp_path: Path, kind: str) -> None:
    """A cuboid of five tetrahedra, with a group of triangles; of second order, whose middles of edges do not count."""
    nodes = np.stack(np.meshgrid([0, 1], [0, 1], [0, 2], indexing="ij"), -1).reshape(-1, 3).astype(float)
    cells = np.array([[0, 1, 2, 4], [3, 1, 2, 7], [5, 1, 4, 7], [6, 2, 4, 7], [1, 2, 4, 7]])
    floor = np.array([[0, 2, 4], [2, 4, 6]])
    if kind == "tetra10":
        middles = [nodes[cells[:, [a, b]]].mean(1) for a, b in ((0, 1), (1, 2), (0, 2), (0, 3), (1, 3), (2, 3))]
        own = len(nodes) + np.arange(30).reshape(6, 5).T
        nodes, cells = np.concatenate([nodes, *middles]), np.concatenate([cells, own], axis=1)
    tags = {"medit:ref": [np.array([3, 3]), np.zeros(5, int)]}
    path = written(tmp_path, nodes, [("triangle", floor), (kind, cells)], ".vtu", cell_data=tags)
    cube = read_mesh(path)
    cube.check()
    assert (cube.parts, len(cube.nodes)) == (("3", "untagged"), 8)
    assert (cube.measure(), cube.measure("3"), cube.measure("untagged")) == pytest.approx((2, 1, 9))
    np.testing.assert_allclose(cube.boundary(50, "3").normals, np.tile([0, 0, -1], (50, 1)), atol=1e-14)
    points = cube.boundary(3000)
    assert points.weights @ (points * points.normals).sum(1) == pytest.approx(6, rel=1e-2)
    anywhere = np.random.default_rng(0).uniform(-0.5, 2.5, (5000, 3))
    np.testing.assert_array_equal(cube.inside(anywhere), ((anywhere >= 0) & (anywhere <= [1, 1, 2])).all(1))
    np.testing.assert_allclose(cube.random(4096, 0).mean(0), [0.5, 0.5, 1], atol=0.01)


def test_sets_of_cells(tmp_path: Path) -> None:
    path = tmp_path / "mesh.inp"
    cells = [("line", np.concatenate([LINES["left"], LINES["top"]])), ("triangle", TRIANGLES)]
    sets = {"inlet": [np.array([0]), np.array([], int)], "roof": [np.array([1, 2]), np.array([], int)]}
    mesh = meshio.Mesh(np.column_stack([NODES, np.zeros(6)]), cells, cell_sets=sets)
    mesh.write(path)
    domain = read_mesh(path)
    assert domain.parts == ("inlet", "roof", "untagged")
    assert [domain.measure(part) for part in domain.parts] == pytest.approx([1, 2, 3])


GMSH = """$MeshFormat
4.1 0 8
$EndMeshFormat
$PhysicalNames
2
1 5 "inlet"
2 6 "fluid"
$EndPhysicalNames
$Entities
0 2 1 0
1 0 0 0 0 1 0 1 5 0
2 0 0 0 1 1 0 1 7 0
1 0 0 0 1 1 0 1 6 0
$EndEntities
$Nodes
1 4 1 4
2 1 0 4
1
2
3
4
0 0 0
1 0 0
1 1 0
0 1 0
$EndNodes
$Elements
3 6 1 6
1 1 1 1
1 1 4
1 2 1 3
2 1 2
3 2 3
4 3 4
2 1 2 2
5 1 2 3
6 1 3 4
$EndElements
"""


def test_a_file_as_gmsh_writes_it(tmp_path: Path) -> None:
    (tmp_path / "mesh.msh").write_text(GMSH)
    domain = read_mesh(tmp_path / "mesh.msh")
    assert domain.parts == ("inlet", "7")
    assert [domain.measure(part) for part in (None, *domain.parts)] == pytest.approx([1, 1, 3])
    np.testing.assert_allclose(domain.boundary(5, "inlet")[:, 0], 0, atol=1e-15)


def test_orphans_and_lines_inside(tmp_path: Path) -> None:
    nodes = np.concatenate([NODES, [[9, 9]]])
    domain = read_mesh(tagged(tmp_path, nodes, TRIANGLES, {**LINES, "middle": [[1, 4]]}))
    assert domain.parts == tuple(LINES)
    np.testing.assert_array_equal(domain.high, [2, 1])


@pytest.mark.parametrize(
    ("nodes", "cells", "message"),
    [
        (NODES, [("quad", [[0, 1, 4, 3]])], "1 cells of type 'quad'; expected triangles or tetrahedra"),
        (NODES, [("line", [[0, 1]])], "expected cells that are triangles or tetrahedra, it has 1 of type 'line'"),
        (np.column_stack([NODES, NODES[:, 0]]), [("triangle", TRIANGLES)], "surface in space.* from 0 to 2"),
        (NODES, [("triangle", [*TRIANGLES, [0, 1, 2]])], "1 cells have no area"),
        (NODES, [("triangle", [*TRIANGLES, [0, 1, 4]])], "belong to more than two cells"),
        (NODES, [("triangle", [[0, 1, 3], [0, 1, 4]])], "cells lie over each other: together they have 1, within"),
        (
            np.concatenate([NODES, [[0, 0]]]),
            [("triangle", [*TRIANGLES, [6, 1, 3]])],
            "1 pairs of nodes are at one place",
        ),
        (np.where(NODES == 2, np.nan, NODES), [("triangle", TRIANGLES)], r"node 2 is \[nan, 0.0"),
    ],
)
def test_refused_meshes(tmp_path: Path, nodes: np.ndarray, cells: Any, message: str) -> None:
    path = written(tmp_path, nodes, [(kind, np.array(own)) for kind, own in cells], ".vtk")
    with pytest.raises(InputError, match=message):
        read_mesh(path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ({**LINES, "other": [[1, 2]]}, "1 facets are in two groups, 'bottom' and 'other'"),
        ({**LINES, "across": [[0, 4]]}, "1 cells of the group 'across' are no facets"),
        ({**LINES, "left": [[3, 0], [1, 4]]}, "of the group 'left' 1 of 2 cells are within the domain"),
        ({"untagged": LINES["left"]}, "a group is called 'untagged', as are the 5 facets of the boundary"),
    ],
)
def test_refused_groups(tmp_path: Path, lines: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_mesh(tagged(tmp_path, NODES, TRIANGLES, lines))


@pytest.mark.parametrize("gap", [0.0, 1e-10, 1e-9, 1e-7, -1e-9])
@pytest.mark.parametrize("place", [0.0, 1e3])
def test_seams_are_no_boundary(tmp_path: Path, gap: float, place: float) -> None:
    """A hanging node, without and with a gap beside it; a wider gap is one."""
    nodes = np.array([[0, 0], [2, 0], [0, 1], [1, -gap], [0, -1], [2, -1]])
    nodes = nodes if gap == 0 else np.concatenate([nodes, [[0, -gap], [2, -gap]]])
    left, right = (0, 1) if gap == 0 else (6, 7)
    triangles = [[0, 1, 2], [left, 3, 4], [3, right, 5], [3, 5, 4]]
    path = written(tmp_path, nodes + place, [("triangle", np.array(triangles))], ".vtk")
    with pytest.raises(InputError, match=r"3 facets of the boundary have cells on both sides, the first at \("):
        read_mesh(path)


def test_seams_of_tetrahedra(tmp_path: Path) -> None:
    nodes = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, -1.0]])
    cells = np.array([[0, 1, 2, 3], [5, 6, 7, 4]])
    apart = np.concatenate([nodes, nodes[:3] - [0, 0, 1e-8]])
    with pytest.raises(InputError, match="2 facets of the boundary have cells on both sides"):
        read_mesh(written(tmp_path, apart, [("tetra", cells)], ".vtk"))
    apart[5:, 2] = -1e-3
    assert read_mesh(written(tmp_path, apart, [("tetra", cells)], ".vtk")).measure() == pytest.approx(1 / 3, rel=1e-2)


def test_refused_files(tmp_path: Path, square: MeshDomain, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mesh.msh"
    with pytest.raises(InputError, match="coords: expected 2 names"):
        read_mesh(path, "x y z")
    with pytest.raises(InputError, match="expected one of"):
        square.boundary(9, "inlet")
    contents = path.read_bytes()
    for damaged in (b"", contents[:40], contents[: len(contents) // 2], b"\0" * 99, contents.replace(b"81", b"x1")):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"mesh\.msh: "):
            read_mesh(path)
    for name in ("mesh.none", "other.msh"):
        with pytest.raises(InputError, match=name):
            read_mesh(tmp_path / name)
    (tmp_path / "mesh.none").write_text("x")
    with pytest.raises(InputError, match="meshio cannot read it"):
        read_mesh(tmp_path / "mesh.none")
    monkeypatch.setitem(sys.modules, "meshio", None)
    with pytest.raises(InputError, match=r"pip install \"psinn_fast\[mesh\]\""):
        read_mesh(path)


@pytest.mark.trajectory
def test_poisson_on_a_mesh(square: MeshDomain) -> None:
    def exact(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(x) * np.sin(y))

    sides = [Dirichlet(square.boundary(40, part), u=exact) for part in ("left", "low", "high")]
    flux = Neumann(square.boundary(40, "right"), u=exact)  # of which u_x = u
    conditions = [Residual(square.nodes), *sides, flux]
    own = Problem("mesh", PDE("x y", "u", lambda u: u.lap), square, conditions, exact=lambda p: exact(*p.T))
    found = pf.solve(own, pf.Network("pinn", layers=[2, 10, 10, 1]), pf.GaussNewton(steps=25), seed=0)
    assert found.metrics["relative_l2"] < 1e-3


def test_moved_and_renamed(square: MeshDomain) -> None:
    moved = square.translated(1, 2).rotated(np.pi / 2, (0, 0)).renamed({"left": "wall", "right": "wall", "low": "in"})
    assert isinstance(moved, MeshDomain)
    moved.check()
    assert moved.parts == ("wall", "in", "high")
    assert [moved.measure(part) for part in moved.parts] == pytest.approx([2, 1, 1])
    np.testing.assert_allclose([moved.low, moved.high], [[-3, 1], [-2, 2]], atol=1e-14)
    np.testing.assert_allclose(moved.boundary(9, "in").normals, np.tile([1, 0], (9, 1)), atol=1e-14)
    over_time = (pf.Box(t=(0, 1)) * square).translated(0, 1, 0).renamed({"low": "in"})
    assert over_time.parts == ("t_low", "t_high", "left", "right", "in", "high")
    np.testing.assert_array_equal(over_time.low, [0, 1, 0])
    for make in (
        lambda: square - pf.Disk((0.5, 0.5), 0.1),
        lambda: pf.Box(x=(0, 2), y=(0, 1)) | square,
        lambda: pf.Box(z=(0, 1)) * square - pf.Ball((0.5, 0.5, 0.5), 0.1, "z x y"),
    ):
        with pytest.raises(InputError, match="meshes are not combined with other domains; let the mesher"):
            make()


def test_moved_tetrahedra(tmp_path: Path) -> None:
    nodes = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
    whole = read_mesh(written(tmp_path, nodes, [("tetra", np.array([[0, 1, 2, 3]]))], ".vtk"))
    turned = whole.rotated(1.0, (0, 0, 0), (1, 2, 3)).translated(1, 0, 0).renamed({"boundary": "wall"})
    turned.check()
    assert turned.measure() == pytest.approx(1 / 6, rel=1e-14)
    assert turned.measure("wall") == pytest.approx(1.5 + 3**0.5 / 2, rel=1e-14)


def along(points: np.ndarray) -> np.ndarray:
    return np.exp(points[:, 0]) * np.cos(3 * points[:, 1])


def on_sides(*parts: str) -> float:
    """The integral of `along` over sides of the unit square."""
    nodes, weights = np.polynomial.legendre.leggauss(20)
    x, one = (nodes + 1) / 2, np.ones(20)
    places = {"left": (0 * x, x), "right": (one, x), "low": (x, 0 * x), "high": (x, one)}
    return sum(float(weights / 2 @ along(np.stack(places[part], 1))) for part in parts)


@pytest.mark.parametrize("how", ["all", "one part", "opposite sides", "parts joined"])
def test_pieces_of_a_part_have_rules_of_their_own(tmp_path: Path, how: str) -> None:
    """Corners within a part, and gaps, take nothing from the order."""
    nodes, cells, lines = grid(8)
    if how == "all":
        domain, sides, part = read_mesh(tagged(tmp_path, nodes, cells, lines)), tuple(lines), None
    elif how == "one part":
        domain, sides, part = read_mesh(written(tmp_path, nodes, [("triangle", cells)], ".vtk")), tuple(lines), None
        assert domain.parts == ("boundary",)
    elif how == "opposite sides":
        ends = np.concatenate([lines["left"], lines["right"]])
        domain, sides, part = read_mesh(tagged(tmp_path, nodes, cells, {"ends": ends})), ("left", "right"), "ends"
    else:
        square = read_mesh(tagged(tmp_path, nodes, cells, lines))
        domain, sides, part = square.renamed({"left": "ends", "low": "ends"}), ("left", "low"), "ends"
    assert domain.measure() == pytest.approx(1)
    errors = []
    for n in (20, 40):
        points = domain.boundary(n * len(sides), part)
        assert points.weights.sum() == pytest.approx(len(sides), rel=1e-13)
        assert domain.on_boundary(points).all()
        errors.append(abs(points.weights @ along(points) - on_sides(*sides)))
    assert errors[0] < 1e-6
    assert errors[1] < errors[0] / 2**6
    for n in (1, 3):
        assert domain.boundary(n, part).weights.sum() == pytest.approx(len(sides), rel=1e-13)


def test_edges_that_turn_a_little_stand_for_a_curve(tmp_path: Path) -> None:
    """Half a disk: the arc is one piece, and its diameter another; around a whole one points weigh the same."""
    angle = np.pi * np.arange(33) / 32
    nodes = np.concatenate([[[0.0, 0.0]], np.stack([np.cos(angle), np.sin(angle)], 1)])
    cells = np.stack([np.zeros(32, int), np.arange(1, 33), np.arange(2, 34)], 1)
    half = read_mesh(written(tmp_path, nodes, [("triangle", cells)], ".vtk"))
    points = half.boundary(400)
    assert points.weights.sum() == pytest.approx(half.measure("boundary"), rel=1e-13)
    is_flat = abs(points[:, 1]) < 1e-12
    assert points.weights[is_flat].sum() == pytest.approx(2, rel=1e-13)
    assert points.weights @ points[:, 1] ** 2 == pytest.approx(np.pi / 2, rel=5e-3)
    cells = np.concatenate([cells, [[0, i, i % 64 + 1] for i in range(33, 65)]])
    angle = np.pi * np.arange(64) / 32
    nodes = np.concatenate([[[0.0, 0.0]], np.stack([np.cos(angle), np.sin(angle)], 1)])
    whole = read_mesh(written(tmp_path, nodes, [("triangle", cells)], ".vtk"))
    assert np.ptp(whole.boundary(100).weights) < 1e-12
