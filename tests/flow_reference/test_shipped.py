"""The shipped reference flow: what it satisfies, what is read between its nodes, and files that are damaged."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from psinn_fast.flow_reference import PAPER, load_flow, reference_flow
from psinn_fast.flow_reference.data import SHIPPED, save_flow
from psinn_fast.flow_reference.interpolation import Interpolation
from psinn_fast.flow_reference.mesh import meshes, mirrored
from psinn_fast.kernels.errors import CheckpointError, InputError

FLOW = reference_flow()


def test_it_is_the_papers_channel_in_a_file_below_2_mb() -> None:
    assert FLOW.channel == PAPER
    assert SHIPPED.stat().st_size < 2_000_000
    assert len(FLOW.nodes) == pytest.approx(20_486, rel=0.01)


def test_nodes_and_fields_are_mirror_images() -> None:
    order = np.lexsort(FLOW.nodes.T)
    image = np.lexsort((FLOW.nodes * [1, -1]).T)
    np.testing.assert_array_equal(FLOW.nodes[order], (FLOW.nodes * [1, -1])[image])
    np.testing.assert_array_equal(FLOW.velocity[order], (FLOW.velocity * [1, -1])[image])
    np.testing.assert_array_equal(FLOW.pressure[order], FLOW.pressure[image])


def test_boundary_values_are_those_of_the_problem() -> None:
    at = {part: (FLOW.boundary & bit) > 0 for part, bit in (("inlet", 1), ("outlet", 2), ("walls", 4), ("cylinder", 8))}
    y = FLOW.nodes[at["inlet"], 1]
    np.testing.assert_allclose(FLOW.velocity[at["inlet"], 0], 4 * (y + 0.2) * (0.2 - y) / 0.4**2, atol=1e-14)
    assert not FLOW.velocity[at["inlet"], 1].any()
    assert not FLOW.velocity[at["walls"] | at["cylinder"]].any()
    assert np.abs(FLOW.velocity[at["outlet"], 1]).max() < 1e-5
    assert np.abs(FLOW.pressure[at["outlet"]]).max() < 5e-6  # of 4
    np.testing.assert_allclose(np.hypot(*(FLOW.on("cylinder") - [0.2, 0]).T), 0.05, rtol=1e-14)
    assert (np.abs(FLOW.on("walls")[:, 1]) == 0.2).all()
    assert (FLOW.on("outlet")[:, 0] == 1.1).all()


@pytest.mark.parametrize(("x", "bar"), [(0.0, 1e-14), (0.1, 1e-5), (0.2, 1e-5), (0.5, 1e-5), (1.1, 1e-6)])
def test_the_same_flows_through_every_section(x: float, bar: float) -> None:
    nodes, weights = np.polynomial.legendre.leggauss(8)
    ends = np.linspace(0.05 if x == 0.2 else 0.0, 0.2, 101)
    y = (ends[:-1, None] + np.diff(ends)[:, None] * (nodes + 1) / 2).ravel()
    u = FLOW(np.stack([np.full_like(y, x), y], 1))[:, 0]
    flux = 2 * (u * np.tile(weights, 100)).sum() * (ends[1] - ends[0]) / 2
    assert flux == pytest.approx(2 / 3 * 0.4, rel=bar)


def test_its_figures_are_those_of_the_convergence_study() -> None:
    file = Path(__file__).parents[2] / "bench" / "results" / "cylinder_reference.json"
    study = json.loads(file.read_text(encoding="utf-8"))
    assert FLOW.quantities == study["cylinder"]["quantities"][-1]
    assert study["cylinder"]["changes"][-1]["u"] < 1e-4
    assert study["cylinder"]["changes"][-1]["v"] < 1e-4
    assert study["cylinder"]["changes"][-1]["p"] < 1e-3
    benchmark = study["schaefer_turek_2d1"]["quantities"][-1]
    assert benchmark["drag"] == pytest.approx(5.5795, rel=1e-4)
    assert benchmark["pressure_difference"] == pytest.approx(0.1175, rel=1e-3)


def test_there_is_nothing_outside_of_the_channel_or_in_the_cylinder() -> None:
    angles = np.linspace(0, 2 * np.pi, 1000)
    circle = np.stack([np.cos(angles), np.sin(angles)], 1)
    assert np.isnan(FLOW([0.2, 0] + 0.0499 * circle)).all()
    assert np.isfinite(FLOW([0.2, 0] + 0.05 * circle)).all()
    assert np.isfinite(FLOW(([0.2, 0] + 0.05 * circle).astype(np.float32))).all()
    assert np.isnan(FLOW([[-0.001, 0], [1.101, 0], [0.5, 0.201], [np.nan, 0], [0, np.inf]])).all()
    assert np.isfinite(FLOW([[0, 0.2], [0, -0.2], [1.1, 0.2], [1.1, -0.2]])).all()
    assert FLOW(np.empty((0, 2))).shape == (0, 3)
    with pytest.raises(InputError, match=r"points: expected x and y of each point, \(..., 2\), got the shape \(3,\)"):
        FLOW([0.5, 0.1, 0.0])
    with pytest.raises(InputError, match="part: expected one of"):
        FLOW.on("axis")


def test_interpolation_has_quadratic_polynomials_and_the_curved_map_itself() -> None:
    mesh = meshes(PAPER.half, 4, 1)[0]
    nodes, triangles, _ = mirrored(mesh.nodes, mesh.triangles)

    def values(points: np.ndarray) -> np.ndarray:
        x, y = points.T
        return np.stack([x, y, 3 * x**2 - x * y + 2 * y**2 - 1], 1)

    between = Interpolation(nodes, triangles, values(nodes))
    points = np.random.default_rng(0).uniform([0, -0.2], [1.1, 0.2], (4000, 2))
    points = points[np.hypot(points[:, 0] - 0.2, points[:, 1]) > 0.05]
    found = between(points)
    np.testing.assert_allclose(found[:, :2], points, atol=1e-10)  # in curved triangles too
    away = np.hypot(points[:, 0] - 0.2, points[:, 1]) > 0.09
    np.testing.assert_allclose(found[away], values(points[away]), atol=1e-13)
    np.testing.assert_allclose(between(nodes), values(nodes), atol=1e-13)


def test_points_have_any_shape() -> None:
    grid = np.array([[[0.4, 0.1], [0.5, 0.0]]] * 3)
    np.testing.assert_array_equal(FLOW(grid), FLOW(grid.reshape(-1, 2)).reshape(3, 2, 3))
    np.testing.assert_array_equal(FLOW([0.4, 0.1]), FLOW([[0.4, 0.1]])[0])
    assert FLOW(np.zeros((0, 2))).shape == (0, 3)


def test_it_is_saved_loaded_and_pickled_unchanged(tmp_path: Path) -> None:
    save_flow(FLOW, tmp_path / "flow.npz")
    for other in (load_flow(tmp_path / "flow.npz"), pickle.loads(pickle.dumps(FLOW))):
        np.testing.assert_array_equal(other([[0.4, 0.1], [0.16, -0.05]]), FLOW([[0.4, 0.1], [0.16, -0.05]]))
        assert other.quantities == FLOW.quantities
    with pytest.raises(ValueError, match="read-only"):
        FLOW.velocity[0] = 1.0


def _altered(**entries: object) -> bytes:
    with np.load(SHIPPED, allow_pickle=False) as file:
        kept = {name: file[name] for name in file.files} | entries
    contents = io.BytesIO()
    np.savez(contents, **{name: value for name, value in kept.items() if value is not None})  # type: ignore[arg-type]
    return contents.getvalue()


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (lambda: SHIPPED.read_bytes()[:1000], "is no flow, or damaged"),
        (lambda: b"", "is no flow, or damaged"),
        (lambda: b"x,y,u\n0,0,1\n", r"damaged \(it is no NumPy archive, \.npz\)"),
        (lambda: b"\x00" * 3_000_000, "more than 2000000 bytes"),
        (lambda: SHIPPED.read_bytes()[:90_000] + b"\x07" + SHIPPED.read_bytes()[90_001:], "is no flow, or damaged"),
        (lambda: _altered(pressure=FLOW.pressure + 1e-9), "its SHA-256 is another than it says"),
        (lambda: _altered(about=np.array("{}")), "its SHA-256 is another than it says"),
        (lambda: _altered(velocity=None), "expected the entries"),
        (lambda: _altered(triangles=FLOW.triangles.astype(np.int64)), "triangles: expected numbers of type <i4"),
        (lambda: _altered(nodes=np.array([{}], dtype=object)), "is no flow, or damaged"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, contents: object, message: str) -> None:
    (tmp_path / "flow.npz").write_bytes(contents())  # type: ignore[operator]
    with pytest.raises(CheckpointError, match=message) as refused:
        load_flow(tmp_path / "flow.npz")
    assert "python -m psinn_fast.flow_reference --out FILE" in str(refused.value)


def test_a_file_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.npz: cannot be read \(No such file"):
        load_flow(tmp_path / "none.npz")
    assert zipfile.is_zipfile(SHIPPED)
