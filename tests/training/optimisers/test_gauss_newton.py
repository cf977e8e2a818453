"""Gauss-Newton: convergence, comforts, and every kind of bad input."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import sympy
import torch
from small import decay, network, newton, small_laplace

from psinn_fast import (
    MLP,
    PDE,
    Box,
    Dirichlet,
    DivergedError,
    GaussNewton,
    InputError,
    Options,
    Problem,
    PsiMLP,
    Regularizer,
    Residual,
    Tuning,
    error_metrics,
    fit,
)
from psinn_fast.kernels import get_backend
from psinn_fast.training.optimisers.marquardt import Marquardt
from psinn_fast.training.residuals import Residuals

pytestmark = pytest.mark.usefixtures("one_thread")

FLOAT64, CPU = torch.float64, torch.device("cpu")


@pytest.mark.trajectory
def test_far_more_accurate_than_first_order_in_a_hundred_iterations() -> None:
    net, problem = network(), small_laplace(21)
    result = fit(problem, net, GaussNewton(120))
    error = error_metrics(net, problem)["relative_l2"]
    assert isinstance(error, float)
    assert error < 1e-4
    history = result.history
    assert history.columns == (
        "step",
        "seconds",
        "damping",
        "loss",
        "held_out",
        "residual",
        "dirichlet",
        "penalty",
        "relative_l2",
    )
    assert history["step"] == list(range(121))
    assert result.steps == 120
    seconds = [0.0, *history["seconds"], result.seconds, 600.0]
    assert seconds == sorted(seconds)
    assert set(history["penalty"]) == {0.0}
    assert (result.ended, result.stopped_by, result.solver) == ("done", "steps", "cholesky")
    assert result.losses.keys() == {"residual", "dirichlet"}


def test_jacobian_rows_and_pull_back_agree_with_autograd_of_the_residuals() -> None:
    problem = replace(decay(), bounds={"k": (0.0, 2.0)})
    net = MLP([1, 5, 1], seed=0, dtype=FLOAT64)
    terms = problem.terms(FLOAT64)
    residuals = Residuals(get_backend("cpu"), net.plan, terms, [2.0, 3.0])
    x = torch.cat([net.theta.detach(), problem.initial_coefficients(FLOAT64)])
    chunks = list(residuals.chunks(x))
    r, jacobian = torch.cat([chunk[0] for chunk in chunks]), torch.cat([chunk[1] for chunk in chunks])
    assert torch.allclose(r, residuals.vector(x), rtol=1e-12)
    difference = torch.stack(
        [
            (residuals.vector(x + 1e-6 * e) - residuals.vector(x - 1e-6 * e)) / 2e-6
            for e in torch.eye(len(x), dtype=FLOAT64)
        ],
        1,
    )
    assert torch.allclose(jacobian, difference, atol=1e-8)
    s = torch.linspace(-1, 1, len(r), dtype=FLOAT64)
    assert torch.allclose(residuals.pull_back(x, s), jacobian.T @ s, rtol=1e-10, atol=1e-12)
    losses = residuals.losses(r)
    assert 2.0 * losses[0] + 3.0 * losses[1] == pytest.approx(float(r @ r))
    assert residuals.traces(x)[0] == pytest.approx(float(jacobian[:21].square().sum()) / 2.0)


@pytest.mark.trajectory
@pytest.mark.parametrize("bounds", [{}, {"k": (0.0, None)}, {"k": (0.0, 3.0)}, {"k": (-math.inf, 1.0)}])
def test_unknown_coefficients_with_and_without_bounds(bounds: dict[str, tuple[float | None, float | None]]) -> None:
    net = MLP([1, 8, 1], seed=0, dtype=FLOAT64)
    result = fit(replace(decay(), bounds=bounds), net, GaussNewton(100, tuning=Tuning(starts=1)))
    assert result.coefficients["k"] == pytest.approx(math.log(2), rel=1e-4)
    assert result.history["k"][0] == pytest.approx(0.5)


def test_coefficients_start_where_asked() -> None:
    net = MLP([1, 8, 1], seed=0, dtype=FLOAT64)
    assert fit(decay(), net, GaussNewton(0), coefficients={"k": 0.75}).coefficients["k"] == 0.75


def test_guess_is_where_it_starts_and_must_be_known() -> None:
    net = MLP([1, 8, 1], seed=0, dtype=FLOAT64)
    assert fit(replace(decay(), guess={"k": 2.0}), net, GaussNewton(0)).coefficients["k"] == 2.0
    with pytest.raises(InputError, match=r"guess: the unknown coefficients are \['k'\], got 'nu'"):
        replace(decay(), guess={"nu": 1.0})


@pytest.mark.trajectory
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (GaussNewton(200, tuning=Tuning(loss_target=1e-3)), "loss target"),
        (GaussNewton(200, tuning=Tuning(gradient_tolerance=1.0)), "gradient"),
        (GaussNewton(200, tuning=Tuning(step_tolerance=1.0)), "step"),
        (GaussNewton(3), "steps"),
    ],
)
def test_why_it_stops(options: GaussNewton, reason: str) -> None:
    assert fit(small_laplace(), network(), options).stopped_by == reason


@pytest.mark.trajectory
def test_duplicate_points_zero_weights_and_dead_parameters() -> None:
    box = Box(x=(-1, 1), y=(-1, 1))
    grid = box.grid(8)
    problem = Problem(
        "doubled",
        PDE("x y", "u", lambda u: u.xx + u.yy),
        box,
        [
            Residual(np.concatenate([grid, grid])),
            # Not x y: its means against x and y vanish, and weights of zero would be a saddle, left by rounding errors.
            Dirichlet(box.boundary(8), u=lambda x, y: (x + 0.5) * (y - 0.3)),
            Residual(grid, lambda u: u - 100, weight=0.0, name="ignored"),
        ],
    )
    net = network()
    with torch.no_grad():
        net.theta[:16] = 0  # symmetric neurons: equal columns of J
    result = fit(problem, net, GaussNewton(30))
    assert sum(result.losses[name] for name in ("residual", "dirichlet")) < 1e-3
    assert result.losses["ignored"] > 1e3
    assert math.isnan(result.history["ignored"][-1])


def test_residual_that_no_weight_moves() -> None:
    box = Box(x=(0, 1))
    problem = Problem("flat", PDE("x", "u", lambda u: u.x), box, [Residual(box.grid(5), lambda u: u.xx + 1)])
    net = MLP([1, 1], dtype=FLOAT64)  # a straight line: its second derivative is zero, whatever its weights
    before = net.theta.detach().clone()
    result = fit(problem, net, GaussNewton())
    assert (result.ended, result.stopped_by, result.steps) == ("done", "gradient", 0)
    assert torch.equal(net.theta, before)
    assert result.losses["residual"] == 1.0


def root_problem(level: float) -> tuple[Problem, MLP]:
    """sqrt(u - level) is NaN below the level, and its slope infinite at it."""
    box = Box(x=(0, 1))
    residual = Residual(box.grid(5), name="root")
    problem = Problem("root", PDE("x", "u", lambda u: sympy.sqrt(u - level)), box, [residual])
    net = MLP([1, 4, 1], seed=3, dtype=FLOAT64)
    with torch.no_grad():
        net.theta[-1] = 2.0
    return problem, net


@pytest.mark.trajectory
def test_nan_at_a_trial_point_is_a_refused_step() -> None:
    problem, net = root_problem(0.2)
    result = fit(problem, net, GaussNewton(30))
    assert result.ended == "done"
    assert math.isfinite(result.losses["root"])
    assert bool(torch.isfinite(net.theta).all())


def test_nan_from_the_start_names_the_term_and_keeps_the_weights(tmp_path: Path) -> None:
    problem, net = root_problem(50.0)
    before = net.theta.detach().clone()
    path = tmp_path / "c.safetensors"
    with pytest.raises(DivergedError, match=r"term 'root' became NaN or infinite at step 0; the weights of step 0"):
        fit(problem, net, GaussNewton(30), checkpoint=path)
    assert torch.equal(net.theta, before)
    assert path.exists()


@pytest.mark.trajectory
def test_nan_midway_goes_back_to_the_last_good_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    chunks, kept = Residuals.chunks, []

    def failing(residuals: Residuals, x: torch.Tensor):
        kept.append(x.clone())
        for r, jacobian in chunks(residuals, x):
            yield r, jacobian if len(kept) < 6 else jacobian * math.nan

    monkeypatch.setattr(Residuals, "chunks", failing)
    net = network()
    with pytest.raises(DivergedError, match="the Jacobian became NaN or infinite at step 5; the weights of step 4"):
        fit(small_laplace(), net, GaussNewton(30))
    assert torch.equal(net.theta, kept[4][: net.theta.numel()])


@pytest.mark.trajectory
def test_float32_network_and_float32_jacobian() -> None:
    problem = small_laplace(21)
    for dtype, options in (
        (torch.float32, GaussNewton(60)),
        (FLOAT64, GaussNewton(60, tuning=Tuning(precision="float32"))),
    ):
        net = MLP([2, 8, 8, 1], seed=1, dtype=dtype)
        fit(problem, net, options)
        assert net.theta.dtype == dtype
        error = error_metrics(net, problem)["relative_l2"]
        assert isinstance(error, float)
        assert error < 1e-3


@pytest.mark.trajectory
def test_more_unknowns_than_rows_and_neither_small(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = small_laplace(5)
    assert fit(problem, network(), GaussNewton(10, points="all")).solver == "dual"
    monkeypatch.setattr("psinn_fast.training.least_squares.LARGEST_FACTORED", 5)
    # One draw and the problem's own weights: the loss that history shows is the one that every step makes smaller.
    options = GaussNewton(30, points="all", resample=None, balance=False)
    found = fit(problem, network(), options)
    assert found.solver == "cg"
    losses = found.history["loss"]
    assert all(after < before for before, after in pairwise(losses))
    assert losses[-1] < 1e-4 * losses[0]


def test_conjugate_gradients_solve_the_damped_equations(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first step of a network against dense algebra in float64."""
    monkeypatch.setattr("psinn_fast.training.least_squares.LARGEST_FACTORED", 5)
    run = Marquardt(small_laplace(5), network(), GaussNewton(points="all", balance=False), get_backend("auto"))
    equations = run.linearise()
    jacobian = torch.cat([jacobian for _, jacobian in run.residuals.chunks(run.x)])
    gram, damping, scale = jacobian.T @ jacobian, 1e-3, equations.diagonal
    assert equations.name == "cg"
    assert torch.allclose(scale, gram.diagonal(), rtol=1e-12)
    equations.damp(damping, scale)
    damped, inverse = gram + damping * torch.diag(scale), 1 / ((1 + damping) * scale)

    def size(vector: torch.Tensor) -> float:
        """The norm that the tolerance is in."""
        return float((vector * inverse) @ vector) ** 0.5

    # Rounding errors add less than a thousandth to the tolerance.
    assert size(damped @ equations.step() + equations.gradient) <= 1.001e-3 * size(equations.gradient)
    monkeypatch.setattr("psinn_fast.training.conjugate_gradients._TOLERANCE", 1e-12)
    exact = -torch.linalg.solve(damped, equations.gradient)
    assert float((equations.step() - exact).norm()) <= 1e-8 * float(exact.norm())


@pytest.mark.trajectory
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_backends_take_the_same_path(backend: str) -> None:
    net = network()
    result = fit(small_laplace(), net, GaussNewton(5), options=Options(backend=backend))
    other = fit(small_laplace(), network(), GaussNewton(5), options=Options(backend="reference"))
    assert list(result.losses.values()) == pytest.approx(list(other.losses.values()), rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": -1}, "steps: expected an integer >= 0, got -1"),
        ({"starts": 0}, "starts: expected 'auto' or an integer >= 1, got 0"),
        ({"points": "few"}, "points: expected 'auto', 'all' or an integer >= 1, got 'few'"),
        ({"resample": 0}, "resample: expected None or an integer >= 1, got 0"),
        ({"focus": -1.0}, "focus: expected 'auto' or a finite number >= 0, got -1.0"),
        ({"damping": 0.0}, "damping: expected a finite number > 0, got 0.0"),
        ({"precision": "tf32"}, "precision: expected one of"),
        ({"loss_target": math.nan}, "loss_target: expected a finite number >= 0, got nan"),
        ({"seed": True}, "seed: expected an integer from 0 to 4294967295, got True"),
    ],
)
def test_bad_settings(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        newton(**arguments)


def test_bad_regularizer_and_network() -> None:
    net = MLP([1, 4, 1], dtype=FLOAT64)
    with pytest.raises(InputError, match="regularizer: gauss-newton takes none"):
        fit(decay(), net, GaussNewton(), options=Options(regularizer=Regularizer("l2", 1e-3)))
    with pytest.raises(InputError, match="2 inputs and 1 outputs, the network 1 and 1"):
        fit(small_laplace(), net, GaussNewton())
    with pytest.raises(InputError, match="seconds"):
        fit(decay(), net, GaussNewton(), seconds=-1)


@pytest.mark.trajectory
def test_tied_network_keeps_its_relations() -> None:
    problem = small_laplace(15)
    assert problem.recipe.structure is not None
    net = PsiMLP(problem.recipe.structure, 4, seed=0, dtype=FLOAT64)
    fit(problem, net, GaussNewton(40))
    points = torch.rand(50, 2, dtype=FLOAT64)
    mirrored = points * torch.tensor([1.0, -1.0], dtype=FLOAT64)
    assert torch.allclose(net(points), net(mirrored), rtol=1e-12)
