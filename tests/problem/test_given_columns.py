"""Data, normals and weights at each point of a condition."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from domains.shapes import Ball, Ring
from helpers import random_points
from truth import of_everything

import psinn_fast as pf
from psinn_fast import PDE, Box, Data, Dirichlet, InputError, Neumann, Problem, Residual
from psinn_fast.domains import Domain
from psinn_fast.problem.conditions import Condition
from psinn_fast.scaling.natural_scales import given_middles, natural_scales
from psinn_fast.scaling.natural_units import in_natural_units
from psinn_fast.symmetries.problem_symmetry import problem_symmetries
from psinn_fast.training.points.held_out import HeldOut
from psinn_fast.training.points.redraw import Redraw
from psinn_fast.training.points.sampling import Sampler

SQUARE = Box(x=(-1, 1), y=(-1, 1))


def _lap(u: Any) -> Any:
    return u.lap


LAPLACE = PDE("x y", "u", _lap)
RING = Ring()
POINTS = random_points(7, 2).numpy()
NET = pf.MLP([2, 6, 1], seed=0, dtype=torch.float64)


def problem(condition: Condition, domain: Domain = SQUARE, pde: PDE = LAPLACE) -> Problem:
    inside = POINTS if domain is SQUARE else np.array(domain.random(7, 0))
    return Problem("p", pde, domain, [condition, *of_everything(pde, torch.from_numpy(inside))])


def residuals(condition: Condition, domain: Domain = SQUARE, pde: PDE = LAPLACE) -> np.ndarray:
    """(N, m) of one network."""
    term = problem(condition, domain, pde).terms(torch.float64)[0]
    none = torch.zeros(0, dtype=torch.float64)
    return pf.get_backend("reference").residual_jacobian(NET.plan, NET.theta.detach(), none, term)[0].numpy()


def field(points: np.ndarray, derivative: str = "u") -> np.ndarray:
    own = Residual(np.array(points), lambda u: {"u": u, "x": u.x, "y": u.y, "lap": u.lap}[derivative], outside=True)
    return residuals(own)[:, 0]


def slope(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    return field(points, "x") * normals[:, 0] + field(points, "y") * normals[:, 1]


SIDES = SQUARE.boundary(5)
RIM = RING.boundary(12)
T = np.linspace(1, 2, 7)


@pytest.mark.parametrize(
    ("condition", "domain", "expected"),
    [
        (Neumann(SIDES, u=0.5), SQUARE, lambda: slope(SIDES, SIDES.normals) - 0.5),
        (Neumann(SQUARE.face("x", "low", 5), u=0.5), SQUARE, lambda: -field(SQUARE.face("x", "low", 5), "x") - 0.5),
        (Neumann(RIM, u=0.5), RING, lambda: slope(RIM, RIM.normals) - 0.5),
        (Neumann(POINTS, [0, 1], u=0.5), SQUARE, lambda: field(POINTS, "y") - 0.5),
        (
            Residual(RIM, lambda u, n_x, n_y: u.x * n_x + u.y * n_y + 2 * u),
            RING,
            lambda: slope(RIM, RIM.normals) + 2 * field(RIM),
        ),
        (Residual(RIM, lambda n_y, u: u.y * n_y), RING, lambda: field(RIM, "y") * RIM.normals[:, 1]),
        (Residual(POINTS, lambda u, n_x: n_x * u.x, n_x=T), SQUARE, lambda: T * field(POINTS, "x")),
        (Residual(RIM, lambda u, n_x: n_x * u.x, n_x=3.0), RING, lambda: 3 * field(RIM, "x")),
        (Residual(POINTS, lambda u, T_ext: u.x + 2 * (u - T_ext), T_ext=T), SQUARE,
         lambda: field(POINTS, "x") + 2 * (field(POINTS) - T)),
        (Residual(POINTS, lambda u, a, b: a * u - b, a=lambda x, y: x + y, b=2), SQUARE,
         lambda: POINTS.sum(1) * field(POINTS) - 2),
        (Residual(POINTS, weight=T), SQUARE, lambda: np.sqrt(T) * field(POINTS, "lap")),
        (Dirichlet(POINTS, weight=T.tolist(), u=0.5), SQUARE, lambda: np.sqrt(T) * (field(POINTS) - 0.5)),
        (Data(POINTS, weight=lambda x, y: x**2, u=T), SQUARE, lambda: abs(POINTS[:, 0]) * (field(POINTS) - T)),
        (Neumann(RIM, u=0.5, weight=np.arange(12)), RING,
         lambda: np.sqrt(np.arange(12)) * (slope(RIM, RIM.normals) - 0.5)),
    ],
)  # fmt: skip
def test_residuals(condition: Condition, domain: Domain, expected: Callable[[], np.ndarray]) -> None:
    np.testing.assert_allclose(residuals(condition, domain)[:, 0], expected(), rtol=1e-12, atol=1e-13)
    again = copy.deepcopy(condition)
    np.testing.assert_array_equal(residuals(again, domain), residuals(condition, domain))


def test_a_laplacian_stays_one_under_weights() -> None:
    traced = Residual(SQUARE.grid(5), weight=lambda x, y: 1 + x**2).traced(LAPLACE)
    assert len(traced.program.channels) == len(LAPLACE.traced().program.channels)


def test_what_is_known_everywhere_is_drawn_anew() -> None:
    """With normals and weights of the new points; arrays keep theirs."""
    conditions = [
        Neumann(RING.boundary(40), u=0.0, weight=lambda x, y: 2 + x),
        Residual(RING.boundary(40), lambda u, n_x, n_y, g: n_x * u.x + n_y * u.y - g, g=lambda x, y: y),
        Residual(RING.grid(21), weight=lambda x, y: 2 + x),
        Residual(RING.boundary(40), lambda u, n_x, g: n_x * u.x - g, g=np.ones(40)),
        Residual(RING.grid(21), weight=np.ones(len(RING.grid(21)))),
    ]
    own = Problem("p", LAPLACE, RING, conditions)
    terms = own.terms(torch.float64)
    draws = Redraw(own, terms)
    draws.draw(1)
    sampler = Sampler(own, terms, 60, 0)
    for refined in (False, True):
        drawn = sampler.draw(3)
        for new in (draws.terms, HeldOut(own, 256).terms, *([drawn] if refined else [])):
            for i in (0, 1, 2):
                term, names = new[i], list(conditions[i].columns)
                x, y = term.points[0].T.numpy()
                assert len(x) != len(terms[i].points[0]) or not torch.equal(term.points, terms[i].points)
                columns = dict(zip(names, term.columns.T.numpy(), strict=False))
                if "sqrt(weight)" in columns:
                    np.testing.assert_allclose(columns["sqrt(weight)"] ** 2, 2 + x)
                if "normal 0" in columns:
                    assert RING.on_boundary(term.points[0]).all()
                    outwards = np.where(np.hypot(x, y) > 0.75, 1, -1) / np.hypot(x, y)
                    np.testing.assert_allclose(columns["normal 0"], x * outwards, atol=1e-12)
                    np.testing.assert_allclose(columns["normal 1"], y * outwards, atol=1e-12)
                if "g" in columns:
                    np.testing.assert_allclose(columns["g"], y)
        sampler.refine()
    assert draws.terms[3] is terms[3]
    assert draws.terms[4] is terms[4]
    assert [HeldOut(own, 64).terms[i] for i in (3, 4)] == [None, None]
    text = own.describe()
    assert "neumann: weights by point, 40 points of inner, outer, may be drawn anew" in text
    assert "residual3: weight 1, 40 points of inner, outer, as given" in text
    assert "residual4: weights by point" in text
    assert "sqrt_weight_given" not in text
    assert "sqrt_weight*" in text


def test_weights_by_point_are_a_part_of_the_mean() -> None:
    weights = np.linspace(0, 3, 7)
    own = problem(Data(POINTS, weight=weights, u=T))
    engine, none = pf.get_backend("reference"), torch.zeros(0, dtype=torch.float64)
    (r,) = engine.residual_jacobian(NET.plan, NET.theta.detach(), none, own.terms(torch.float64)[0])[0].T
    assert float((r**2).mean()) == pytest.approx(float((weights * (field(POINTS) - T) ** 2).mean()), rel=1e-12)
    assert own.conditions[0].weight == 1


@pytest.mark.parametrize("weight", [1e-4, 1e4])
def test_a_weight_of_all_points_is_a_weight_of_the_term(weight: float) -> None:
    """Also where residuals are divided by their sizes: losses are the same functions of the network."""

    def trained(own: Any) -> list[float]:
        conditions = [Residual(SQUARE.grid(5)), Dirichlet(POINTS, u=T, weight=own)]
        made = Problem("p", LAPLACE, SQUARE, conditions)
        made = in_natural_units(made, natural_scales(made))
        terms, none = made.terms(torch.float64), torch.zeros(0, dtype=torch.float64)
        engine, theta = pf.get_backend("reference"), NET.theta.detach()
        squares = [float(engine.residual_jacobian(NET.plan, theta, none, term)[0].square().mean()) for term in terms]
        return [c.weight * square for c, square in zip(made.conditions, squares, strict=True)]

    assert trained(np.full(7, weight)) == pytest.approx(trained(weight), rel=1e-12)


@pytest.mark.trajectory
def test_gauss_newton_takes_a_weight_of_all_points_for_one_of_the_term() -> None:
    """Balanced terms keep both."""

    def theta(own: Any) -> np.ndarray:
        conditions = [Residual(SQUARE.grid(9)), Dirichlet(SQUARE.boundary(9), u=lambda x, y: x * y, weight=own)]
        found = pf.solve(
            Problem("p", LAPLACE, SQUARE, conditions), pf.Network(layers=[2, 4, 1]), pf.GaussNewton(steps=4), seed=0
        )
        return found.net.theta.detach().numpy()

    np.testing.assert_allclose(theta(np.full(36, 9.0)), theta(9.0), rtol=1e-6, atol=1e-8)


def test_weights_change_no_sizes() -> None:
    """Values are what is given for a field, whatever they weigh."""
    for weight in (1.0, np.linspace(1e-7, 1e-6, 7)):
        own = Problem("p", LAPLACE, SQUARE, [Residual(SQUARE.grid(5)), Dirichlet(POINTS, u=1e6 * T, weight=weight)])
        assert natural_scales(own).sizes.tolist() == [1e6]
        assert given_middles(own)[0] == pytest.approx(1.5e6)


def test_weights_change_no_symmetries() -> None:
    plain = [Residual(SQUARE.grid(9)), Dirichlet(SQUARE.boundary(9), u=0.0)]
    weighted = [
        Residual(SQUARE.grid(9), weight=lambda x, y: 2 + x),
        Dirichlet(SQUARE.boundary(9), u=0.0, weight=np.linspace(1, 2, 36)),
    ]
    problems = [Problem("p", LAPLACE, SQUARE, own) for own in (plain, weighted)]
    verdicts = [[symmetry.verdict for symmetry in problem_symmetries(own)] for own in problems]
    assert verdicts[0] == verdicts[1]
    assert "holds" in verdicts[0]


def _g(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(1 + x**2)


def _robin(u: Any, n_x: Any, g: Any) -> Any:
    return u.x * n_x - g


def test_pickles() -> None:
    own = problem(Residual(RIM, _robin, g=_g, weight=_g), RING)
    again = pickle.loads(pickle.dumps(own))
    for one, other in zip(own.terms(), again.terms(), strict=True):
        assert torch.equal(one.columns, other.columns)
    with pytest.raises(pickle.PicklingError, match=r"weight is .*lambda"):
        pickle.dumps(problem(Residual(RIM, weight=lambda x, y: x * 0 + 1), RING))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Neumann(POINTS, u=0.0), r"neumann: normals: these points bring none along: an array, .*\(7, 2\)"),
        (
            lambda: Neumann(SIDES[:3], u=0.0),
            "these points bring none along: an array, or a set that was sliced",
        ),
        (lambda: Neumann(RING.random(9, 0), u=0.0), "bring none along: they lie inside Ring"),
        (lambda: Neumann(Ball().boundary(9), u=0.0), "bring none along: Ball gives no normals of 'sphere'"),
        (lambda: Residual(POINTS, lambda u, n_x: u.x * n_x), "'n_x' is neither .*component of the normals.* n_x=..."),
        (lambda: Residual(POINTS, lambda u, T: u - T), "its parameter 'T' is neither"),
        (lambda: Residual(POINTS, lambda u: u, T=1.0), r"residual: T: the residual function has no such parameter"),
        (lambda: Residual(POINTS, T=1.0), "residual: T: data are for a residual function of the condition"),
        (lambda: Residual(POINTS, lambda u, x: u - x, x=1.0), "'x' is data of the condition, and a name of the PDE's"),
        (lambda: Residual(POINTS, lambda u, T: u - T, T=np.ones(6)), r"target T: expected shape \(7,\) or a number"),
        (lambda: Residual(POINTS, lambda u, T: u - T, T=lambda x: x), "target T: the function failed"),
        (lambda: Residual(POINTS, lambda u, T: u - T, T=lambda y, x: x), "target T: .* its parameters are"),
        (lambda: Residual(POINTS, weight=np.ones(6)), r"weight: expected a number or shape \(7,\), got \(6,\)"),
        (lambda: Residual(POINTS, weight=-T), "residual: weight: expected weights >= 0, the smallest is -2"),
        (lambda: Residual(POINTS, weight=lambda x, y: x - 9), "residual: weight: expected weights >= 0"),
        (lambda: Residual(POINTS, weight=lambda x: x), "residual: weight: the function failed"),
        (lambda: Residual(POINTS, weight=lambda y, x: x**2), r"residual: weight: it is called with the coordinates"),
        (lambda: Residual(POINTS, weight=0 * T), "weight: expected a positive weight at some point, all are 0"),
        (lambda: Residual(POINTS, weight=T * np.nan), "weight: 7 of 7 numbers are NaN"),
        (lambda: Residual(POINTS, weight=[[1.0], [1.0, 2.0]]), "weight: expected numbers"),
        (lambda: Residual(POINTS, weight=np.ones((7, 1))), r"weight: expected a number or shape \(7,\), got \(7, 1\)"),
        (lambda: Residual(POINTS, weight=None), "weight: expected a finite number >= 0, got None"),
        (lambda: Residual(POINTS, weight="much"), "weight: expected a finite number >= 0"),
    ],
)
def test_bad_input(make: Callable[[], Condition], message: str) -> None:
    with pytest.raises(InputError, match=message):
        problem(make())
