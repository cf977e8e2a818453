"""Points that are asked about, however they are written: what cannot be meant is refused in words of the library's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import meshio
import numpy as np
import pytest
import torch

from psinn_fast import (
    PDE,
    Ball,
    Box,
    Cylinder,
    Dirichlet,
    Disk,
    Domain,
    Ellipse,
    InputError,
    Polygon,
    Problem,
    Residual,
    read_mesh,
)
from psinn_fast.domains import how_far

SHAPES = {
    "box": Box(x=(-1, 1), y=(-1, 1)),
    "disk": Disk(),
    "ellipse": Ellipse((0, 0), (1, 1)),
    "polygon": Polygon([(-1, -1), (1, -1), (1, 1), (-1, 1)]),
    "less": Disk() - Disk((1, 0), 0.5),
    "ball": Ball(),
    "cylinder": Cylinder((0, 0, -1), (0, 0, 1), 1),
    "solid": Ball() - Ball((1, 0, 0), 0.5),
    "product": Box(t=(-1, 1)) * Disk(),
}
QUESTIONS = ("contains", "inside", "outside", "on_boundary")


@pytest.fixture(params=[*SHAPES, "mesh"])
def shape(request: pytest.FixtureRequest, tmp_path: Path) -> Domain:
    if request.param != "mesh":
        return SHAPES[request.param]
    corners = [[-1, -1], [1, -1], [1, 1], [-1, 1]]
    meshio.Mesh(corners, [("triangle", [[0, 1, 2], [0, 2, 3]])]).write(tmp_path / "square.vtk")
    return read_mesh(tmp_path / "square.vtk")


@pytest.mark.parametrize("ask", QUESTIONS)
def test_points_of_another_shape_are_refused(shape: Domain, ask: str) -> None:
    d = len(shape.coords)
    question = getattr(shape, ask)
    given: list[Any] = [np.zeros((1, d + 1)), np.zeros((1, d - 1)), np.zeros(d), 0.0, [], np.zeros((2, d, 1))]
    for points in given:
        got = r"\(" + ", ".join(map(str, np.shape(points))) + r",?\)"
        with pytest.raises(
            InputError, match=rf"points: expected shape \(N, {d}\), got {got}; each of .*{shape.coords[0]}"
        ):
            question(points)
    with pytest.raises(InputError, match=r"a single point is a row, \[\[...\]\]"):
        question(np.zeros(d))
    for points in ([[None] * d], [["0"] * d], np.zeros((1, d), complex), np.zeros((1, d), bool), [[0.0], [0.0, 0.0]]):
        with pytest.raises(InputError, match="points: expected"):
            question(points)


@pytest.mark.parametrize("ask", QUESTIONS)
def test_numbers_of_every_kind_are_points(shape: Domain, ask: str) -> None:
    d = len(shape.coords)
    question = getattr(shape, ask)
    rows = [[0] * d, [3] * d]
    wanted = {"outside": [False, True], "on_boundary": [False, False]}.get(ask, [True, False])
    for points in (
        rows,
        np.array(rows, np.int8),
        np.array(rows, np.float32),
        torch.tensor(rows),
        np.array(rows, ">f8"),
    ):
        assert question(points).tolist() == wanted
    assert question(np.empty((0, d))).tolist() == []
    nowhere = np.array([[np.nan] * d, [np.inf] * d, [-np.inf] * d, [1e300] * d])
    assert question(nowhere).tolist() == [ask == "outside"] * 4


@pytest.mark.parametrize(
    "domain",
    [
        Disk((100.3, 7), 1),
        Ball((100, 0, 0)),
        Box(t=(0, 1)) * Disk((300, 0), 1),
        Box(x=(100, 101), y=(0, 1)) - Disk((100, 0), 0.5),
    ],
)
def test_points_beyond_a_rounded_rim_are_told_by_how_much(domain: Domain) -> None:
    part = domain.parts[-1]
    points = np.asarray(domain.boundary(500, part), np.float32)
    pde = PDE(" ".join(domain.coords), "u", lambda u: u.x)
    with pytest.raises(InputError, match=r"lie outside .* the farthest is about \de-0[5-6] away from it, float32"):
        Problem("p", pde, domain, [Residual(domain.random(50, 0)), Dirichlet(points, u=0.0)])


def test_how_far_points_are_out_of_a_domain() -> None:
    """To a factor of two, or as far as they are from the bounds; float32 is not blamed for what it does not do."""
    hole = Disk() - Disk((0, 0), 0.5)
    for domain, point, least, most in (
        (Box(x=(0, 1), y=(0, 1)), [1.75, 1.5], 0.9, 0.9),  # sqrt(0.75^2 + 0.5^2) = 0.901
        (Disk(), [1.001, 0], 0.001, 0.002),
        (Disk(), [0.9, 0.9], 0.27, 0.55),
        (Disk(), [0, -9], 8, 8),
        (hole, [0.0, 0.3], 0.2, 0.4),
        (Ball(), [0, 0, 4], 3, 3),
    ):
        text = how_far(domain, np.array([point]))
        assert "float32" not in text
        assert least <= float(text.split()[4]) <= most
    both = np.array([[0.0, 0.4999], [0.0, 0.2]])
    assert how_far(hole, both) == how_far(hole, both[::-1]) == how_far(hole, both[1:])
