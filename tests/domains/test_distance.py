"""Distances of parts of boundaries in closed form: zero on them, positive inside, smooth where they can be."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pytest
import sympy as sp
import torch

import psinn_fast as pf
from psinn_fast.domains.plane.outline import Outline
from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.language.channels import ChannelSet
from psinn_fast.language.closed_forms import closed_form

SQUARE = pf.Polygon([(-1, -1), (1, -1), (1, 1), (-1, 1)])
NOTCHED = pf.Polygon([(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)])
DOMAINS: dict[str, pf.Domain] = {
    "box": pf.Box(t=(0, 1), x=(-1, 3), y=(2, 5)),
    "square with a hole": SQUARE - pf.Disk((0.3, 0.2), 0.3),
    "notched": NOTCHED,
    "notched, in time": NOTCHED * pf.Box(t=(0, 1)),
    "half a disk": pf.Disk((0, 0), 1.0) & pf.Polygon([(-2, 0), (2, 0), (2, 2), (-2, 2)]),
    "two disks": pf.Disk((0, 0), 1.0) | pf.Disk((1.2, 0), 0.8),
    "two disks apart": pf.Disk((0, 0), 1.0) | pf.Disk((5, 0), 1.0),
    "square hole": SQUARE - pf.Polygon([(-0.3, -0.2), (0.2, -0.2), (0.2, 0.3), (-0.3, 0.3)]).rotated(0.3),
    "step on the floor": pf.Box(x=(0, 3), y=(0, 1)) - pf.Box(x=(1, 1.5), y=(0, 0.3)),
    "half a disk as a hole": SQUARE - (pf.Disk((0, 0), 0.5) & pf.Box(x=(-1, 1), y=(0, 1))),
    "floor in three parts": pf.Polygon([(0, 0), (1, 0), (2, 0), (3, 0), (3, 1), (0, 1)]),
    "comb": pf.Polygon([(0, 0), (3, 0), (3, 2), (2, 2), (2, 1), (1, 1), (1, 2), (0, 2)]),
    "tilted ellipse": pf.Ellipse((0.5, 0.1), (2, 1)).rotated(0.4),
    "ball": pf.Ball((1, 0, 0), 2),
}


def _at(domain: pf.Domain, expression: sp.Expr, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    values = sp.lambdify(sp.symbols(domain.coords, real=True), expression, "numpy")(*np.array(points).T)
    return np.asarray(np.broadcast_to(values, len(points)))


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)
def test_distances(domain: pf.Domain) -> None:
    whole = pf.distance(domain)
    inside = np.array(domain.random(2000, 1))
    assert _at(domain, whole, inside).min() > 0
    assert 0.8 < _at(domain, whole, inside).max() < 1.2
    for part in domain.parts:
        own, on_part = pf.distance(domain, part), np.array(domain.boundary(40, part))
        assert abs(_at(domain, whole, on_part)).max() < 1e-13
        assert abs(_at(domain, own, on_part)).max() < 1e-13
        # To first order: a step of h inwards makes it about h times something.
        normals = domain.boundary(40, part).normals
        assert normals is not None
        steps = [_at(domain, own, on_part - h * np.array(normals)) for h in (1e-4, 2e-4)]
        middle = slice(8, 32)
        assert (abs(steps[1] / steps[0] - 2)[middle] < 0.02).mean() > 0.9
        for other in set(domain.parts) - {part}:
            elsewhere = np.array(domain.boundary(41, other))
            assert np.median(_at(domain, own, elsewhere)) > 1e-4


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)
def test_derivatives_on_walls_and_at_corners_are_finite(domain: pf.Domain) -> None:
    """Of each part's, as kernels compute them; along a wall they are 0, across it they are not."""
    n = len(domain.coords)
    channels = ChannelSet.closure(
        n, [tuple(int(i == j) + int(i == k) for i in range(n)) for j in range(n) for k in range(n)]
    )
    corners = [end for curve in getattr(domain, "_outline", Outline((), ())).curves for end in (curve.start, curve.end)]
    for part in (None, *domain.parts):
        made = pf.distance(domain, *([] if part is None else [part]))
        walls = domain.boundary(60, part)
        points = np.concatenate([np.array(walls), np.reshape(corners, (-1, n))])
        jets = closed_form([made], domain.coords, "distance").jets(torch.from_numpy(points), channels)[:, :, 0].numpy()
        assert np.isfinite(jets).all()
        if part is None:
            continue
        gradient = np.stack([jets[channels.position(tuple(int(i == j) for i in range(n)))] for j in range(n)], 1)[
            : len(walls)
        ]
        inwards = -(gradient * np.array(walls.normals)).sum(1)
        assert inwards.min() >= -1e-13
        assert (inwards > 1e-4).mean() > 0.9
        assert np.linalg.norm(gradient + inwards[:, None] * np.array(walls.normals), axis=1).max() < 1e-12


def test_parts_of_one_line_or_corner() -> None:
    """What lies on one line counts once, and not the rest of it; a corner that looks inside grows like the distance."""
    floor = DOMAINS["floor in three parts"]
    middle = _at(floor, pf.distance(floor, "edge2"), np.array(floor.boundary(9, ["edge1", "edge3"])))
    assert middle.min() > 0.01
    assert sp.degree(pf.distance(floor, "edge1", "edge2", "edge3"), sp.Symbol("y", real=True)) == 1
    corner, steps = np.array([1.0, 1.0]), np.array([[1e-3], [2e-3]])
    one, two = _at(NOTCHED, pf.distance(NOTCHED), corner - steps)
    assert abs(two / one - 2) < 0.01


def test_many_corners_cost_little() -> None:
    """Of a hole with 30 edges an expression that grows with their number, not with its square."""
    angles = 2 * np.pi * np.arange(30) / 30
    hole = SQUARE - pf.Polygon(np.stack([np.cos(angles), np.sin(angles)], 1) / 2, ["hole"] * 30)
    made = pf.distance(hole, "hole")
    assert len(closed_form([made], ("x", "y"), "distance").instructions) < 30 * 15
    assert abs(_at(hole, made, np.array(hole.boundary(100, "hole")))).max() < 1e-13


def test_no_room_behind() -> None:
    slit = pf.Polygon([(0, 0), (1, 0), (1, 1), (0.5, 1), (0.5, 0.2), (0.5 - 1e-6, 1), (0, 1)])
    assert _at(slit, pf.distance(slit), np.array(slit.random(500, 2))).min() > 0


def test_smooth_where_it_can_be() -> None:
    """Lines and circles whose continuation does not enter are polynomials."""
    x, y = sp.symbols("x y", real=True)
    hole = SQUARE - pf.Disk((0.0, 0.0), 0.5)
    assert pf.distance(hole).is_polynomial(x, y)
    assert not pf.distance(NOTCHED).is_polynomial(x, y)
    assert pf.distance(NOTCHED, "edge1").is_polynomial(x, y)


def test_in_an_ansatz() -> None:
    """Dirichlet conditions hold to rounding before training, and are left out of it."""
    domain = SQUARE - pf.Disk((0.3, 0.2), 0.3)
    problem = pf.Problem(
        "hole", pf.PDE("x y", "u", lambda u: u.lap + 1), domain,
        [pf.Residual(domain.random(200, 0)), pf.Dirichlet(domain.boundary(100), u=0.0)],
    )  # fmt: skip
    network = pf.Network("pinn", layers=[2, 8, 1], ansatz=pf.Ansatz(u=lambda u: pf.distance(domain) * u))
    net = pf.build_network(problem, network)
    assert abs(net.predict(np.array(domain.boundary(300)))).max() < 1e-6
    result = pf.fit(problem, net, pf.Adam(3), options=pf.Options(progress=False))
    assert "exact by construction: dirichlet" in result.notes
    assert list(result.losses) == ["residual"]


def test_refusals() -> None:
    with pytest.raises(InputError, match="part: expected one of"):
        pf.distance(SQUARE, "rim")
    with pytest.raises(InputError, match="domain: distances of Cylinder have no closed form"):
        pf.distance(pf.Cylinder((0, 0, 0), (0, 0, 1), 1.0))
    with pytest.raises(InputError, match="domain: expected a Domain"):
        pf.distance("square")  # type: ignore[arg-type]


def test_factors_are_not_called_with_coordinates() -> None:
    """They are expressions; errors say how these are written."""
    edge, said = pf.distance(SQUARE), re.escape("pf.distance(domain) * u, not pf.distance(domain)(x, y) * u")
    called = pf.Ansatz(u=lambda u, x, y: edge(x, y) * u)  # type: ignore[operator]  # the mistake
    with pytest.raises(InputError, match=f"ansatz: u: .*{said}$"):
        called.parts(("x", "y"), ("u",))
    with pytest.raises(InputError, match=f"residual: .*{said}$"):
        pf.PDE("x y", "u", lambda u, x, y: u.lap + edge(x, y))  # type: ignore[operator]  # the mistake
    with pytest.raises(InputError, match=r"Ansatz: u: expected a function .*write u=lambda u: d \* u"):
        pf.Ansatz(u=edge)  # type: ignore[arg-type]  # no function
