"""Where the loss is, against what is known of residuals in closed form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sympy as sp
import torch

from psinn_fast import MLP, PDE, Box, Data, Dirichlet, Disk, Domain, Problem, Residual, get_problem, loss_map_figure
from psinn_fast.kernels.errors import InputError
from psinn_fast.pictures.figures import save_figure
from psinn_fast.pictures.loss_map import loss_map

SQUARE = Box(x=(-1, 1), y=(0, 1))
POISSON = PDE("x y", "u", lambda u, x: u.lap - x)


def zero(problem: Problem) -> MLP:
    """A network that is 0, so that all residuals are what the equations have without u."""
    net = MLP([len(problem.pde.coords), 3, len(problem.pde.fields)])
    torch.nn.init.zeros_(net.theta)
    return net


def test_residuals_are_where_the_source_is() -> None:
    """-x: half of x^2 is beyond |x| = 0.5^(1/3); its mean is 1/3, that of the condition's residuals is 1/4."""
    walls = Dirichlet(SQUARE.boundary(80), u=0.5, name="walls", weight=2.0)
    unused = Dirichlet(SQUARE.boundary(80), u=0.5, name="unused", weight=0.0)
    problem = Problem("p", POISSON, SQUARE, [Residual(SQUARE.grid(9)), walls, unused])
    found = loss_map(problem, zero(problem))
    assert len(found.points) == 16_384
    np.testing.assert_allclose(found.shares, found.points[:, 0] ** 2 / (found.points[:, 0] ** 2).sum(), rtol=1e-9)
    assert found.half == pytest.approx(1 - 0.5 ** (1 / 3), abs=1e-3)
    assert found.terms == pytest.approx({"residual": 0.4, "walls": 0.6}, rel=1e-3)


def test_equations_are_told_apart_and_points_as_given_are_taken() -> None:
    pde = PDE("x y", "u v", lambda u, v, x: {"first": [u.lap - 1, v.x], "second": v.lap - 2 * x})
    rng = np.random.default_rng(0)
    measured = Data(rng.uniform(0.1, 0.9, (7, 2)), u=1.0, name="measured")
    problem = Problem("p", pde, SQUARE, [Residual(SQUARE.grid(9)), measured])
    found = loss_map(problem, zero(problem))
    sizes = {"residual: first": 1, "residual: second": 4 / 3, "measured": 1}
    assert found.terms == pytest.approx({name: size / (10 / 3) for name, size in sizes.items()}, rel=1e-3)
    assert found.shares.sum() == pytest.approx(1)


def test_unknown_coefficients_are_those_found() -> None:
    pde = PDE("x y", "u", lambda u, k: u.lap + u.x * k - k, unknown={"k": 1.0})
    known = Data(SQUARE.random(5, 0), u=1.0)
    problem = Problem("p", pde, SQUARE, [Residual(SQUARE.grid(9)), known], bounds={"k": (0, None)})
    net = zero(problem)
    assert loss_map(problem, net, {"k": 3.0}).terms == pytest.approx({"residual": 0.9, "data": 0.1}, rel=1e-6)
    with pytest.raises(InputError, match="coefficients: the unknown coefficients are"):
        loss_map(problem, net, {"c": 3.0})


def test_nothing_is_left() -> None:
    """A loss of 0, and one without an equation."""
    problem = Problem("p", PDE("x y", "u", lambda u: u.lap), SQUARE, [Residual(SQUARE.grid(9))])
    found = loss_map(problem, zero(problem))
    assert np.isnan(found.half)
    assert found.terms == {"residual": 0.0}
    other = Problem("p", POISSON, SQUARE, [Data(SQUARE.random(5, 0), u=1.0)])
    found = loss_map(other, zero(other))
    assert (len(found.points), found.terms) == (0, {"data": 1.0})
    for own in (problem, other):
        loss_map_figure(own, zero(own))


CASES: dict[str, tuple[PDE, Domain, int]] = {
    "line": (PDE("x", "u", lambda u: u.xx - 1), Box(x=(0, 1)), 2),
    "plane": (POISSON, SQUARE, 2),
    "shape": (POISSON, Disk((0, 0), 1) - Disk((0, 0), 0.3), 2),
    "shape in time": (PDE("t x y", "u", lambda u, t: u.t - u.lap - t), Box(t=(0, 1)) * Disk((0, 0), 1), 3),
    "five": (PDE("a b c d e", "u", lambda u, c: u.lap - c), Box(**dict.fromkeys("abcde", (0, 1))), 3),
}


@pytest.mark.pictures
@pytest.mark.parametrize("name", CASES)
def test_maps(name: str, tmp_path: Path) -> None:
    pde, domain, panels = CASES[name]
    problem = Problem("p", pde, domain, [Residual(domain.random(30, 0))])
    figure = loss_map_figure(problem, zero(problem), title="5 $ per $x^_$")
    save_figure(figure, tmp_path / "m.png")
    drawn = [axis for axis in figure.axes if axis.get_label() != "<colorbar>"]
    assert len(drawn) == panels
    assert drawn[-1].get_title() == "by term"
    if name == "plane":
        image = np.asarray(drawn[0].images[0].get_array())
        middle = -1 + (np.arange(image.shape[1]) + 0.5) * 2 / image.shape[1]
        np.testing.assert_allclose(image.mean(0), np.maximum(3 * middle**2, 0.01), rtol=0.02, atol=0.01)
    if name == "shape":
        image = np.ma.filled(drawn[0].images[0].get_array(), np.nan)
        assert np.isnan(image[0, 0])
        assert np.isnan(image[image.shape[0] // 2, image.shape[1] // 2])


def test_residuals_that_are_no_numbers() -> None:
    """sqrt(x) where x is negative, on one half of the domain."""
    pde = PDE("x y", "u", lambda u, x: u.lap - sp.sqrt(x + u))
    problem = Problem("p", pde, SQUARE, [Residual(SQUARE.grid(9)), Dirichlet(SQUARE.boundary(8), u=1.0)])
    net = zero(problem)
    found = loss_map(problem, net)
    assert (np.isnan(found.shares) == (found.points[:, 0] < 0)).all()
    assert np.nansum(found.shares) == pytest.approx(1)
    assert np.isnan(found.terms["residual"])
    assert found.terms["dirichlet"] == 1
    figure = loss_map_figure(problem, net)
    assert [text.get_text() for text in figure.axes[1].texts] == [" no number", " 100 %"]
    torch.nn.init.constant_(net.theta, float("nan"))
    loss_map_figure(problem, net)


def test_large_networks_have_fewer_points() -> None:
    problem = Problem("p", POISSON, SQUARE, [Residual(SQUARE.grid(9))])
    assert len(loss_map(problem, MLP([2, 150, 150, 1])).points) == 4_096


def test_of_the_problems_of_the_library() -> None:
    problem = get_problem("burgers-inverse")
    net = MLP([2, 4, 1])
    assert list(loss_map(problem, net).terms) == ["residual", "data"]
