"""Problems that a mean or an integral determines, by every optimiser."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
import torch
from small import small_laplace

from psinn_fast import (
    LBFGS,
    PDE,
    Adam,
    Box,
    Condition,
    Dirichlet,
    FitResult,
    GaussNewton,
    InputError,
    Integral,
    Mean,
    Network,
    Neumann,
    Objective,
    Options,
    Problem,
    Residual,
    SelfAdaptive,
    SSBroyden,
    TorchOptimizer,
    Weigher,
    Weighting,
    build_network,
    fit,
    get_backend,
    problem_symmetries,
    solve,
)
from psinn_fast.building import Network as Settings
from psinn_fast.training.optimisers.marching import is_initial_value_problem
from psinn_fast.training.points.point_orbits import one_point_per_orbit
from psinn_fast.training.residuals import Residuals
from psinn_fast.training.stability import possible_errors

pytestmark = pytest.mark.verdict

SQUARE = Box(x=(0, 1), y=(0, 1))
LINE = Box(y=(0, 1))
DENSE = Network("pinn", layers=[2, 12, 12, 1])


def neumann(*conditions: Condition) -> Problem:
    """Only a mean says which of the solutions is meant, one of which is cos(pi x) cos(pi y)."""
    pde = PDE("x y", "u", lambda u, x, y: u.lap + 2 * sp.pi**2 * sp.cos(sp.pi * x) * sp.cos(sp.pi * y))
    return Problem(
        "neumann", pde, SQUARE, [Residual(SQUARE.grid(40)), Neumann(SQUARE.boundary(40), u=0.0), *conditions],
        exact=lambda points: np.cos(np.pi * points[:, 0]) * np.cos(np.pi * points[:, 1]) + 3,
    )  # fmt: skip


MEAN = Mean(SQUARE.grid(20), lambda u: u, 3.0)


def channel(*conditions: Condition) -> Problem:
    """u'' = -G, u = 0 at the walls; the flux G / 12 says what G is."""
    pde = PDE("y", "u", lambda u, G: u.yy + G, unknown={"G": 1.0})
    walls = Dirichlet(LINE.boundary(2), u=0.0)
    flux = Integral(LINE.grid(9), lambda u: u, 0.5)
    return Problem("channel", pde, LINE, [Residual(LINE.grid(40)), walls, flux, *conditions])


@pytest.mark.trajectory
def test_a_mean_determines_what_fluxes_do_not() -> None:
    network = Network("pinn", layers=[2, 16, 16, 1])
    found = solve(neumann(MEAN), network, GaussNewton(100))
    assert found.metrics["relative_l2"] < 1e-6
    assert found.possible_errors["u"] < 1e-4


@pytest.mark.trajectory
def test_a_flux_determines_a_pressure_gradient() -> None:
    found = solve(channel(), Network("pinn", layers=[1, 8, 8, 1]), GaussNewton(40))
    assert found.coefficients["G"] == pytest.approx(6.0, rel=1e-5)


def test_without_a_mean_nothing_determines_the_level() -> None:
    made = build_network(neumann(MEAN), Settings("pinn", layers=[2, 8, 1], dtype="float64"))
    x, engine = made.theta.detach(), get_backend("auto")
    with_mean, without = neumann(MEAN), neumann()
    own = [possible_errors(p, engine, made.plan, x, p.terms(torch.float64)) for p in (with_mean, without)]
    assert own[0] is not None
    assert own[1] is not None
    # The mean's row has that of a network, whose level nothing else sees.
    rows = Residuals(engine, made.plan, with_mean.terms(torch.float64), [1.0] * 3)
    assert rows.rows == 40**2 + 4 * 40 + 1
    r = rows.vector(x)
    (*_, (last, jacobian)) = rows.chunks(x)
    assert torch.allclose(r[-1:], last)
    s = torch.zeros_like(r)
    s[-1] = 1.0
    assert torch.allclose(rows.pull_back(x, s), jacobian[0])
    assert rows.losses(r)[2] == pytest.approx(float(r[-1]) ** 2)


@pytest.mark.parametrize(
    "optimizer",
    [Adam(3, lr=1e-3), LBFGS(3), SSBroyden(3), TorchOptimizer(torch.optim.SGD, 3, lr=1e-4), GaussNewton(2)],
    ids=lambda optimizer: optimizer.name,
)
def test_every_optimiser_sees_the_same_loss(optimizer: object) -> None:
    problem = neumann(MEAN)
    net = build_network(problem, Settings("pinn", layers=[2, 8, 1], dtype="float64"))
    start = net.theta.detach().clone()
    found = fit(problem, net, optimizer, options=Options(scaling=None))
    mean = problem.terms(torch.float64)[2]
    engine, none = get_backend("reference"), torch.empty(0, dtype=torch.float64)

    def loss(theta: torch.Tensor) -> float:
        u = engine.residuals(net.plan, theta, none, mean.pointwise)[:, 0]
        assert mean.quadrature is not None
        return float(mean.quadrature @ u) ** 2

    assert found.history["mean"][0] == pytest.approx(loss(start), rel=1e-9)
    assert found.losses["mean"] == pytest.approx(loss(net.theta.detach()), rel=1e-6)
    assert found.losses["mean"] < found.history["mean"][0]


@pytest.mark.parametrize("weighting", ["self-adaptive", "ntk", "gradient-norms", "trace-balance", "residual-attention"])
def test_weightings(weighting: str) -> None:
    found = solve(neumann(MEAN), DENSE, Adam(12), weighting=weighting)
    assert math.isfinite(found.loss)
    weights = found.history["weight_mean"]
    assert all(weight > 0 for weight in weights)
    is_kept = weighting in ("self-adaptive", "residual-attention")
    assert (set(weights) == {1.0}) == is_kept


def test_points_of_an_integral_have_no_weights() -> None:
    class Every(Weighting):
        name = "every"
        every = 10

        def start(self, objective: Objective) -> Weigher:
            made = Constant(objective)
            made.pointwise = [2]
            return made

    class Constant(Weigher):
        def update(self, step: int) -> torch.Tensor:
            return self.objective.own

    with pytest.raises(InputError, match="term 'mean' is an integral, one row for all"):
        solve(neumann(MEAN), DENSE, Adam(2), weighting=Every())
    alone = Problem("p", PDE("x y", "u", lambda u: u), SQUARE, [MEAN])
    with pytest.raises(InputError, match="self-adaptive does not weigh measurements and integrals"):
        solve(alone, DENSE, Adam(2), weighting=SelfAdaptive())


@pytest.mark.parametrize("optimizer", [Adam, GaussNewton])
def test_resumed(tmp_path: Path, optimizer: type[Adam] | type[GaussNewton]) -> None:
    problem, file = neumann(MEAN), tmp_path / "checkpoint.safetensors"

    def run(steps: int, resume: bool = False, problem: Problem = problem) -> FitResult:
        net = build_network(problem, Settings("pinn", layers=[2, 12, 1], dtype="float64"))
        return fit(problem, net, optimizer(steps), checkpoint=file, options=Options(resume=resume))

    whole = run(6)
    file.unlink()
    run(3)
    assert torch.equal(run(6, resume=True).net.theta, whole.net.theta)
    other = neumann(Mean(SQUARE.grid(20), lambda u: u, 3.0, weights=1 + SQUARE.grid(20)[:, 0]))
    with pytest.raises(Exception, match="mean"):
        run(6, resume=True, problem=other)


def test_natural_units() -> None:
    """Pascals: the row is scaled like a residual, the loss is given in the units of the problem."""
    pde = PDE("x y", "p", lambda p: p.lap)
    conditions = [
        Residual(SQUARE.grid(15)),
        Neumann(SQUARE.face("y", "low", 15), p=0.0), Neumann(SQUARE.face("y", "high", 15), p=0.0),
        Neumann(SQUARE.face("x", "low", 15), p=-4e6), Neumann(SQUARE.face("x", "high", 15), p=4e6),
        Mean(SQUARE.face("x", "high", 15), lambda p: p, 3e6),
    ]  # fmt: skip
    found = solve(Problem("pressure", pde, SQUARE, conditions), DENSE, GaussNewton(25))
    assert found([1.0, 0.5]) == pytest.approx(3e6, rel=1e-3)
    assert found([0.0, 0.5]) == pytest.approx(-1e6, rel=1e-2)
    assert found.losses["mean"] < (3e3) ** 2
    flux = channel()
    assert solve(flux, Network("pinn", layers=[1, 6, 1]), Adam(2)).losses["integral"] > 0


def test_an_integral_of_points_in_time_allows_no_windows() -> None:
    box = Box(t=(0, 1), x=(0, 1))
    pde = PDE("t x", "u", lambda u: u.t - u.xx)

    def is_marched(*conditions: Condition) -> bool:
        start = Dirichlet(box.face("t", "low", 9), u=1.0)
        return is_initial_value_problem(Problem("heat", pde, box, [Residual(box.grid(9)), start, *conditions]))

    assert is_marched()
    assert is_marched(Mean(box.face("t", "low", 9), lambda u: u, 1.0))
    assert not is_marched(Mean(box.face("t", "high", 9), lambda u: u, 1.0))
    assert not is_marched(Mean(box.grid(9), lambda u: u, 1.0))


def test_orbits_leave_integrals_alone() -> None:
    problem = small_laplace()
    box = problem.domain
    mean = Mean(box.grid(11), lambda u, y: u * (1 + y**2), 0.0)
    problem = Problem("p", problem.pde, box, [*problem.conditions, mean], symmetries=problem.symmetries)
    net = build_network(problem, Settings("pinn-post", layers=[2, 6, 1], dtype="float64"))
    terms = problem.terms(torch.float64)
    folded = one_point_per_orbit(problem, net, terms, get_backend("auto"))
    assert folded[0].n_points < terms[0].n_points
    assert folded[2] is terms[2]
    assert any(one.verdict == "holds" and one.text == "y -> -y" for one in problem_symmetries(problem))


def test_a_coarse_sum_is_seen() -> None:
    """Three points of a face cannot say what the mean of a wave is: the held-out check does."""
    wave = Dirichlet(SQUARE.boundary(40), u=lambda x, y: np.sin(7 * x) * np.cosh(7 * y) / 100)
    pde = PDE("x y", "u", lambda u: u.lap)
    mean = Mean(SQUARE.face("y", "high", 3), lambda u, x: u * x, 0.0, weight=1e-12)
    found = solve(Problem("p", pde, SQUARE, [Residual(SQUARE.grid(20)), wave, mean]), DENSE, GaussNewton(20))
    assert found.held_out["mean"] is not None
    assert found.held_out["mean"] != pytest.approx(found.losses["mean"], rel=0.1)
