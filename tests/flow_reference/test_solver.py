"""The finite elements that made the reference flow, on coarse meshes."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from psinn_fast.flow_reference.__main__ import convergence, main, reference, table
from psinn_fast.flow_reference.channel import PAPER, SCHAEFER_TUREK, Channel
from psinn_fast.flow_reference.mesh import Mesh, cut_cells, meshes, quadratic
from psinn_fast.flow_reference.quantities import quantities
from psinn_fast.flow_reference.solver import solve_flow
from psinn_fast.kernels.errors import InputError

pytest.importorskip("skfem")


def test_developed_flow_in_an_empty_channel_is_exact() -> None:
    channel = Channel(centre=-9.0)  # the cylinder is elsewhere
    grid = np.stack(np.meshgrid(np.linspace(0, 1.1, 6), np.linspace(-0.2, 0.2, 5), indexing="ij"), -1)
    mesh = quadratic(channel, *cut_cells(grid))
    flow = solve_flow(channel, mesh)
    x, y = mesh.nodes.T
    np.testing.assert_allclose(flow.velocity[:, 0], 1 - (y / 0.2) ** 2, atol=1e-12)
    np.testing.assert_allclose(flow.velocity[:, 1], 0, atol=1e-12)
    gradient = 2 * channel.mu / 0.2**2  # -p_x = -mu u_yy
    np.testing.assert_allclose(flow.pressure, gradient * (1.1 - x[: mesh.n_corners]), atol=1e-12)


@pytest.mark.parametrize("channel", [PAPER.half, SCHAEFER_TUREK])
def test_triangles_fill_the_channel(channel: Channel) -> None:
    coarse, fine = meshes(channel, 4, 2)
    np.testing.assert_array_equal(coarse.nodes, fine.nodes[: fine.n_corners])
    height, disk = channel.above + channel.below, np.pi * channel.radius**2 / (2 if channel.is_half else 1)
    for mesh, bar in ((coarse, 2e-6), (fine, 1e-7)):
        assert _area(mesh) == pytest.approx(channel.length * height - disk, rel=bar)
        tags = channel.tags(mesh.nodes)
        on = np.abs(np.hypot(mesh.nodes[:, 0] - channel.centre, mesh.nodes[:, 1]) - channel.radius) < 1e-12
        np.testing.assert_array_equal(on, (tags & 8) > 0)


def _area(mesh: Mesh) -> float:
    """By the boundary of each quadratic triangle: Simpson's rule is exact for x dy of a parabola's arc."""
    total = 0.0
    for nodes in mesh.nodes[mesh.triangles[:, [0, 3, 1, 4, 2, 5]]]:
        ring = np.concatenate([nodes, nodes[:1]])
        part = 0.0
        for a, b, c in (ring[0:3], ring[2:5], ring[4:7]):
            slopes = (-3 * a + 4 * b - c, c - a, a - 4 * b + 3 * c)
            cross = [p[0] * s[1] - p[1] * s[0] for p, s in zip((a, b, c), slopes, strict=True)]
            part += (cross[0] + 4 * cross[1] + cross[2]) / 12
        total += abs(part)
    return total


def test_a_coarse_flow_converges_to_the_shipped_one() -> None:
    flows = []
    for mesh in meshes(PAPER.half, 4, 3):
        flows.append(solve_flow(PAPER.half, mesh, flows[-1] if flows else None))
    found = quantities(flows[-1])
    case = convergence(flows)
    assert found["drag"] == pytest.approx(20.570461, rel=1e-4)
    assert found["pressure_difference"] == pytest.approx(3.4905, rel=3e-3)
    assert found["drag_by_stress"] == pytest.approx(found["drag"], rel=2e-3)
    assert found["flux_out"] == pytest.approx(found["flux_in"], rel=1e-12)
    assert case["changes"][-1]["u"] < 2e-4
    assert case["orders"]["u"] > 2.5
    assert case["orders"]["p"] > 1.7
    assert table(case).count("\n") == 4
    shipped = reference(flows)
    np.testing.assert_array_equal(np.sort(shipped.velocity[:, 1]), np.sort(-shipped.velocity[:, 1]))


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "skfem", None)
    channel = replace(PAPER, below=0.0)
    with pytest.raises(InputError, match=r'scikit-fem: pip install "psinn_fast\[cfd\]"'):
        solve_flow(channel, meshes(channel, 4, 1)[0])
    assert main([]) == 2
    assert 'pip install "psinn_fast[cfd]"' in capsys.readouterr().err
