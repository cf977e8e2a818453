"""Points that are denser towards a part: their density, what they stand for, what is refused."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from domains.shapes import Ball, LShape

import psinn_fast as pf
from psinn_fast import PDE, Box, Dirichlet, Disk, Domain, InputError, Problem, Residual
from psinn_fast.domains import region_of
from psinn_fast.training.optimisers.marching import until
from psinn_fast.training.points.held_out import HeldOut
from psinn_fast.training.points.redraw import Redraw
from psinn_fast.training.points.sampling import Sampler

CHANNEL = Box(x=(0, 1.1), y=(-0.2, 0.2)) - Disk((0.2, 0), 0.05)
LAPLACE = PDE("x y", "u", lambda u: u.lap)


def from_cylinder(points: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(points - np.array([0.2, 0]), axis=1) - 0.05)


SHAPES: dict[str, tuple[Domain, str, Callable[[np.ndarray], np.ndarray]]] = {
    "channel": (CHANNEL, "rim", from_cylinder),
    "box": (Box(x=(0, 2), y=(0, 1)), "x_high", lambda p: 2 - p[:, 0]),
    "interval": (Box(x=(0, 2)), "x_low", lambda p: p[:, 0]),
    "own": (LShape(), "left", lambda p: np.hypot(p[:, 0] + 1, 0)),
    "ball": (Ball(), "sphere", lambda p: 1 - np.linalg.norm(p, axis=1)),
    "heated disk": (Box(t=(0, 1)) * Disk(), "t_low", lambda p: p[:, 0]),
}


@pytest.mark.parametrize("name", SHAPES)
def test_density(name: str) -> None:
    """Shares of points within three distances, against those of even points that are weighted by the density."""
    domain, part, distance = SHAPES[name]
    points = domain.graded(8192, 3, part, ratio=8, reach=0.1)
    assert points.shape == (8192, len(domain.coords))
    assert domain.inside(points).all()
    assert len(np.unique(points, axis=0)) == 8192
    even = distance(domain.random(1 << 15, seed=1))
    weights = 1 + 7 * np.exp(-even / 0.1)
    for near in (0.02, 0.1, 0.3):
        assert (distance(points) < near).mean() == pytest.approx(weights[even < near].sum() / weights.sum(), abs=0.01)


def test_repeatable() -> None:
    points = CHANNEL.graded(100, 5, "rim")
    assert (points == CHANNEL.graded(100, 5, "rim", 10.0, 0.11)).all()
    assert (points != CHANNEL.graded(100, 6, "rim")).any()
    even = from_cylinder(CHANNEL.graded(4000, 0, "rim", ratio=1))
    assert (even < 0.05).mean() == pytest.approx(0.0075 * np.pi / CHANNEL.measure(), abs=0.005)
    again = pickle.loads(pickle.dumps(points))
    assert region_of(again).towards == "rim"
    assert region_of(points[:50]) is None


def test_training_draws_points_of_that_density() -> None:
    """Redraws, Gauss-Newton's draws and held-out points: a third within 0.05 of the cylinder, where a tenth is."""
    given = CHANNEL.graded(2000, 0, "rim", ratio=20, reach=0.05)
    problem = Problem("p", LAPLACE, CHANNEL, [Residual(given), Dirichlet(CHANNEL.boundary(200), u=0.0)])
    assert "2000 points of the interior, denser towards rim, may be drawn anew" in str(problem)
    terms = problem.terms(torch.float64)
    redrawn = Redraw(problem, terms)
    redrawn.draw(0)
    for own in (redrawn.terms[0], HeldOut(problem, 512).terms[0], Sampler(problem, terms, 500, 0).draw(0)[0]):
        assert own is not None
        assert not torch.equal(own.points, terms[0].points[:, : own.n_points])
        share = (from_cylinder(own.points[0].numpy()) < 0.05).mean()
        assert share == pytest.approx((from_cylinder(given) < 0.05).mean(), abs=0.05)


def test_windows_of_time_keep_the_density() -> None:
    rod = Box(t=(0, 1)) * Disk()
    heat = PDE("t x y", "u", lambda u: u.t - u.lap)
    conditions = [Residual(rod.graded(500, 0, "rim", reach=0.2)), Dirichlet(rod.boundary(99), u=0.0)]
    window = until(Problem("heat", heat, rod, conditions), 0.25)
    region = window.conditions[0].regions[0]
    assert (region.towards, region.ratio, region.reach) == ("rim", 10.0, 0.2)
    assert region.domain.high[0] == 0.25


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CHANNEL.graded(9, 0, "cylinder"), "part: expected one of .*'rim'.*, got 'cylinder'"),
        (lambda: CHANNEL.graded(9, 0, ["rim"]), "part: expected one of"),
        (lambda: CHANNEL.graded(9, 0, None), "part: expected one of"),
        (lambda: CHANNEL.graded(0, 0, "rim"), "n: expected an integer >= 1"),
        (lambda: CHANNEL.graded(9, -1, "rim"), "seed: expected an integer"),
        (lambda: CHANNEL.graded(9, 0, "rim", 0.5), "ratio: expected a finite number >= 1 and < 10000, got 0.5"),
        (lambda: CHANNEL.graded(9, 0, "rim", np.nan), "ratio: expected a finite number"),
        (lambda: CHANNEL.graded(9, 0, "rim", reach=0), "reach: expected a finite number > 0, got 0"),
        (lambda: pf.Residual(CHANNEL.graded(9, 0)), "missing 1 required positional argument: 'part'"),
    ],
)
def test_bad_input(make: Callable[[], object], message: str) -> None:
    with pytest.raises((InputError, TypeError), match=message):
        make()
