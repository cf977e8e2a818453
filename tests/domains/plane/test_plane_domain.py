"""What follows from exact boundaries: symmetries, points, pictures; a problem that is solved on a combined domain."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import psinn_fast as pf
from psinn_fast import Box, Dirichlet, Disk, Domain, Ellipse, InputError, Neumann, Polygon, Problem, Residual
from psinn_fast.pictures.canvas import Canvas
from psinn_fast.training.identity import differences, run_identity
from psinn_fast.training.metrics import ErrorMeter

CHANNEL = Box(x=(0, 1.1), y=(-0.2, 0.2)) - Disk((0.2, 0), 0.05)
RING = Disk((1, 2)) - Disk((1, 2), 0.5)


def maps(domain: Domain) -> set[str]:
    return {g.describe(domain.coords) for g in domain.symmetries()}


def holes(*places: tuple[float, float]) -> Domain:
    domain: Domain = Box(x=(-1, 1), y=(-1, 1))
    for place in places:
        domain = domain - Disk(place, 0.2)
    return domain


ALL = {
    "x -> -x", "y -> -y", "x -> -x, y -> -y",
    "x -> y, y -> x", "x -> -y, y -> -x", "x -> y, y -> -x", "x -> -y, y -> x",
}  # fmt: skip
SYMMETRIES = {
    "annulus": (RING, ALL),
    "its hole moved along x": (Disk() - Disk((0.2, 0), 0.5), {"y -> -y"}),
    "its hole moved along a diagonal": (Disk() - Disk((0.2, 0.2), 0.5), {"x -> y, y -> x"}),
    "its hole moved elsewhere": (Disk() - Disk((0.2, 0.1), 0.5), set()),
    "its hole moved by very little": (Disk() - Disk((0, 1e-7), 0.5), {"x -> -x"}),
    "an L": (Polygon([(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)]).translated(5, -3), {"x -> y, y -> x"}),
    "four holes": (holes((0.5, 0.5), (-0.5, 0.5), (0.5, -0.5), (-0.5, -0.5)), ALL),
    "three holes": (holes((0.5, 0.5), (-0.5, 0.5), (0.5, -0.5)), {"x -> y, y -> x"}),
    "two holes": (holes((0.5, 0), (-0.5, 0)), {"x -> -x", "y -> -y", "x -> -x, y -> -y"}),
    "an S": (holes((0.5, 0.2), (-0.5, -0.2)), {"x -> -x, y -> -y"}),
    "a propeller": (holes((0.6, 0.2), (-0.2, 0.6), (-0.6, -0.2), (0.2, -0.6)), {
        "x -> -x, y -> -y", "x -> y, y -> -x", "x -> -y, y -> x",
    }),
    "an ellipse along a diagonal": (Ellipse((1, 0), (2, 1)).rotated(math.pi / 4), {
        "x -> -x, y -> -y", "x -> y, y -> x", "x -> -y, y -> -x",
    }),
    "an arrow": (Polygon([(0, 0), (1, 1), (0, 2), (0.3, 1)]), {"y -> -y"}),
    "the channel": (CHANNEL, {"y -> -y"}),
    "its cylinder off the axis": (Box(x=(0, 1.1), y=(-0.2, 0.2)) - Disk((0.2, 0.01), 0.05), set()),
    "time": (Box(t=(0, 1)) * (Disk() - Disk((0.2, 0), 0.5)), {"t -> -t", "y -> -y", "t -> -t, y -> -y"}),
}  # fmt: skip


@pytest.mark.parametrize("name", SYMMETRIES)
def test_symmetries(name: str) -> None:
    domain, expected = SYMMETRIES[name]
    assert maps(domain) == expected
    for g in domain.symmetries():  # about its centre
        points = domain.random(200, 0)
        assert not domain.outside(domain.centre + g(points - domain.centre)).any()


def test_problems_have_the_domain_s_symmetries() -> None:
    """The flow's channel is even in y, and not if the cylinder is off the axis."""
    pde = pf.PDE("x y", "u", lambda u: u.lap + 1)
    for domain, expected in ((CHANNEL, ["y -> -y"]), (SYMMETRIES["its cylinder off the axis"][0], [])):
        problem = Problem("p", pde, domain, [Residual(domain.random(500, 0)), Dirichlet(domain.boundary(300), u=0.0)])
        found = pf.problem_symmetries(problem)
        assert [own.text for own in found if own.verdict == "holds" and own.symmetry.character == (1,)] == expected


def test_bounds_are_tight() -> None:
    turned = Ellipse((1, 2), (2, 0.5)).rotated(0.4)
    reach = math.hypot(2 * math.cos(0.4), 0.5 * math.sin(0.4))
    assert turned.high[0] == pytest.approx(1 + reach, rel=1e-14)
    cut = Disk() & Box(x=(0.5, 3), y=(-3, 3))
    np.testing.assert_allclose([cut.low, cut.high], [[0.5, -math.sqrt(0.75)], [1, math.sqrt(0.75)]], rtol=1e-14)
    low, high = cut.extent("x_low")
    np.testing.assert_allclose([low, high], [[0.5, -math.sqrt(0.75)], [0.5, math.sqrt(0.75)]], rtol=1e-14)


def test_points() -> None:
    assert len(CHANNEL.random(500, 0)) == 500
    assert np.linalg.norm(CHANNEL.random(5000, 0) - [0.2, 0], axis=1).min() >= 0.05
    edge = CHANNEL.boundary(300)
    assert (np.linalg.norm(edge - [0.2, 0], axis=1) < 0.0501).sum() == round(300 * 0.1 * math.pi / (3 + 0.1 * math.pi))
    assert CHANNEL.on_boundary(edge).all()
    assert not CHANNEL.outside(edge.astype(np.float32)).any()
    assert CHANNEL.outside([[0.2, 0], [0.2, 0.3], [np.nan, 0]]).all()
    far = CHANNEL.translated(1e6, -1e6)
    assert far.on_boundary(far.boundary(50)).all()
    assert far.measure("rim") == pytest.approx(0.1 * math.pi, rel=1e-9)
    wide = Box(t=(0, 1e4), x=(0, 1e-3)) - Ellipse((5e3, 5e-4), (1e3, 1e-4), coords="t x")
    assert wide.outside([[5e3, 5e-4], [5e3, 5.9e-4], [5e3, 6.1e-4], [1, 1e-4]]).tolist() == [True, True, False, False]


def test_a_subclass_has_the_shape_s_boundary() -> None:
    class Wheel(Disk):
        def __init__(self) -> None:
            super().__init__((0, 0), 0.3)
            self.spokes = 5

    assert (Disk() - Wheel()).measure() == pytest.approx(0.91 * math.pi)
    for name in ("contains", "boundary_at", "parts"):
        with pytest.raises(InputError, match=f"Half: Disk knows its boundary, its own {name} would not count"):
            type("Half", (Disk,), {name: None})


def test_checkpoints_tell_shapes_apart() -> None:
    net = pf.MLP([2, 4, 1], seed=0)
    points = [Residual(np.array(Disk((1.7, 2), 0.1).grid(5)))]
    pde = pf.PDE("x y", "u", lambda u: u.lap)
    domains = (RING, Disk((1, 2)) - Disk((1, 2), 0.5), Disk((1, 2)) - Disk((1, 2), 0.4))
    same, again, other = (run_identity(Problem("p", pde, own, points), net, {}) for own in domains)
    assert list(differences(same, again)) == []
    assert list(differences(same, other)) == ["domain.points inside and on its parts: other numbers"]


def logarithm(p: np.ndarray) -> np.ndarray:
    distance = np.linalg.norm(p - np.array([1.0, 2.0]), axis=1)
    if (abs(distance - 0.75) > 0.25 + 1e-6).any():
        raise ValueError("a point out of the annulus")
    return np.log(distance)


@pytest.mark.trajectory
def test_laplace_on_an_annulus() -> None:
    """Errors and pictures are of the annulus alone, where there is an exact solution."""
    pde = pf.PDE("x y", "u", lambda u: u.lap)
    problem = Problem("annulus", pde, RING, [
        Residual(RING.graded(1000, 0, "rim2")),
        Dirichlet(RING.boundary(80, "rim1"), u=0.0, name="outer"),
        Neumann(RING.boundary(80, "rim2"), u=-2.0, name="inner"),
    ], exact=logarithm)  # fmt: skip
    solution = pf.solve(problem, pf.Network("pinn", layers=[2, 16, 16, 1]), pf.GaussNewton(steps=50), seed=0)
    assert solution.metrics["relative_l2"] < 1e-2
    assert solution.metrics["boundary_rmse"] < 1e-2
    assert ErrorMeter(problem)(solution.net)["relative_l2"] == pytest.approx(solution.metrics["relative_l2"], rel=1e-3)
    canvas = Canvas(RING, 61)
    assert np.isfinite(canvas.image(np.ones(len(canvas.points)))).mean() == pytest.approx(0.75 * math.pi / 4, abs=0.03)
    figure = pf.solution_figure(problem, solution.net)
    assert len(figure.axes[0].lines) == 2
    assert solution([1.7, 2.0])[0] == pytest.approx(math.log(0.7), abs=1e-2)
    assert torch.isfinite(solution.net.theta).all()
