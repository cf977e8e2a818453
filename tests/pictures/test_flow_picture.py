"""Pictures of plane flows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import psinn_fast as pf
from psinn_fast.kernels.errors import InputError
from psinn_fast.pictures.canvas import Canvas, panel_height
from psinn_fast.pictures.figures import save_figure
from psinn_fast.pictures.flow import flow_figure, is_flow

pytestmark = pytest.mark.pictures


def test_a_flow_is_drawn_in_its_proportions(tmp_path: Path) -> None:
    problem = pf.get_problem("cylinder")
    net = pf.build_network(problem, pf.Network("psi", width=2))
    figure = flow_figure(problem, net, "a title of $")
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles == ["speed and streamlines", "pressure", "pressure along cylinder"]
    network, reference = (line.get_xydata() for line in figure.axes[-1].lines)
    angle, pressure = np.radians(network[:, 0]), network[:, 1]
    points = np.array([0.2, 0.0]) + 0.05 * np.stack([np.cos(angle), np.sin(angle)], 1)
    np.testing.assert_allclose(pressure, net.predict(points)[:, 2], rtol=1e-4, atol=1e-5)
    assert reference[np.abs(reference[:, 0]).argmax(), 1] == pytest.approx(3.9, rel=0.01)  # at the front
    assert figure.axes[0].get_aspect() == 1
    save_figure(figure, tmp_path / "flow.png")
    assert (tmp_path / "flow.png").stat().st_size > 10_000
    canvas = Canvas(problem.domain, 111)
    assert canvas.mesh[0].shape == (111, 40)
    assert panel_height(problem.domain, 4.2) < panel_height(pf.Box(x=(0, 1), y=(0, 1)), 4.2)


def test_other_problems_are_none() -> None:
    assert not is_flow(pf.get_problem("laplace"))
    with pytest.raises(InputError, match="problem: expected a plane flow"):
        flow_figure("laplace", pf.MLP([2, 3, 1]))
