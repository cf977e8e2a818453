"""Normals on the boundary of a problem's domain point out of it, or the problem is refused."""

from __future__ import annotations

import numpy as np
import pytest

import psinn_fast as pf

HOLE = pf.Disk((0, 0), 0.5)
RING = pf.Disk((0, 0), 1) - HOLE
TIME = pf.Box(t=(0, 1))
CUBE = pf.Box(x=(-1, 1), y=(-1, 1), z=(-1, 1))
BALL = pf.Ball((0, 0, 0), 0.5)
BOX = pf.Box(x=(0, 1), y=(0, 1))


def problem_on(domain: pf.Domain, *conditions: pf.Condition) -> pf.Problem:
    pde = pf.PDE(domain.coords, "u", lambda u: u.lap + 1)
    return pf.Problem("p", pde, domain, [pf.Residual(domain.random(20, seed=0)), *conditions])


RIM = HOLE.boundary(60)
ROBIN = lambda u, n_x, n_y: u.x * n_x + u.y * n_y + u - 1  # noqa: E731


@pytest.mark.parametrize(
    ("domain", "condition", "message"),
    [
        (RING, pf.Neumann(RIM, u=-2.0), r"60 of 60 point into .* at \(.*domain.boundary\(n, 'rim2'\).*-normals"),
        (RING, pf.Neumann(np.array(RIM), np.array(RIM) / 0.5, u=-2.0), "60 of 60 point into"),
        (RING, pf.Neumann(np.float32(RIM), np.array(RIM) / 0.5, u=lambda x, y: x), "60 of 60 point into"),
        (RING, pf.Residual(RIM, ROBIN), "60 of 60 point into"),
        (RING, pf.Residual(np.array(RIM), ROBIN, n_x=RIM.normals[:, 0], n_y=RIM.normals[:, 1]), "60 of 60 point into"),
        (RING, pf.Integral(RIM, lambda u, n_x, n_y: u.x * n_x + u.y * n_y, 1.0), "60 of 60 point into"),
        (TIME * RING, pf.Neumann((TIME * HOLE).boundary(40, "rim"), u=1.0), "40 of 40 point into .*'rim2'"),
        (CUBE - BALL, pf.Neumann(BALL.boundary(30), u=1.0), "30 of 30 .*'sphere'"),
        (BOX, pf.Neumann(BOX.boundary(5, "x_low"), [1, 0], u=1.0), "3 of 5 point into .*'x_low'"),
        (pf.Box(x=(0, 1)), pf.Neumann([[0.0], [1.0]], [[1.0], [1.0]], u=1.0), "1 of 2 point into .*'x_low'"),
    ],
)  # fmt: skip
def test_inward_normals_are_refused(domain: pf.Domain, condition: pf.Condition, message: str) -> None:
    with pytest.raises(pf.InputError, match=rf"^{condition.name}2?: normals: {message}"):
        problem_on(domain, condition)


def test_outward_normals_and_those_within_are_not() -> None:
    own = RING.boundary(60, "rim2")
    inner = pf.Disk((0, 0), 0.75).boundary(30)
    problem = problem_on(
        RING,
        pf.Neumann(own, u=-2.0),
        pf.Neumann(np.array(RIM), -RIM.normals, u=-2.0),
        pf.Neumann(RIM, u=0.0),  # no flux, whichever way it is counted
        pf.Neumann(inner, u=1.0, name="interface"),
        pf.Residual(inner, ROBIN),
        pf.Residual(RIM, lambda u, n_x, n_y: u - n_x * n_y, n_x=3.0, n_y=RIM.normals[:, 1]),  # no normals
    )
    text = problem.describe()
    assert "neumann1: weight 1, 60 points of rim2, may be drawn anew" in text
    assert "neumann3: weight 1, 60 points of rim of another Disk, may be drawn anew" in text
    assert "interface: weight 1, 30 points of rim of another Disk, may be drawn anew" in text
    again = pf.Disk((0, 0), 1) - pf.Disk((0, 0), 0.5)
    assert (
        "points of rim2, may be drawn anew" in problem_on(RING, pf.Neumann(again.boundary(9, "rim2"), u=1.0)).describe()
    )


def test_corners_are_no_inward_normals() -> None:
    notched = BOX - pf.Box(x=(0.5, 1), y=(0.5, 1))
    for domain in (BOX, notched):
        for part in domain.parts:
            corners = domain.surface(part, np.linspace(0, 1, 5)[:, None])
            problem_on(domain, pf.Neumann(*corners, u=1.0))
        for side, along in (("x_low", [0, 1]), ("y_low", [1, 0])):  # tangential, whose ends are normals at corners
            problem_on(domain, pf.Neumann(BOX.boundary(3, side), along, u=1.0))
    for part in CUBE.parts:
        problem_on(CUBE, pf.Neumann(CUBE.boundary(3, part), u=1.0))
