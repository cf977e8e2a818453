"""Residuals at unseen points: where they are, and that no loss hides them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy
import torch
from small import small_laplace

from psinn_fast import (
    MLP,
    PDE,
    Adam,
    Box,
    Data,
    Dirichlet,
    GaussNewton,
    Network,
    Neumann,
    Periodic,
    Problem,
    Residual,
    Tuning,
    fit,
    get_backend,
    solve,
)
from psinn_fast.training.doubts import between_points
from psinn_fast.training.metrics import evaluate
from psinn_fast.training.optimisers import gauss_newton
from psinn_fast.training.optimisers.marquardt import Marquardt
from psinn_fast.training.points.held_out import HeldOut, residual_of
from psinn_fast.training.progress import progress_note

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.verdict]

FLOAT64 = torch.float64
BOX = Box(x=(-1, 1), y=(0, 2))
EDGE = BOX.face("x", "low", 20)


def _knows_its_points_only(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    table = {float(value): 1.0 for value in EDGE[:, 1]}
    return np.array([table[value] for value in y])


def _terms(*conditions: object) -> list:
    problem = Problem("p", PDE("x y", "u", lambda u, y: u.lap + sympy.sin(y)), BOX, conditions)
    return HeldOut(problem, 1_000).terms


def test_points_of_a_region_are_other_points_of_that_region() -> None:
    inside, edge, edges, periodic = _terms(
        Residual(BOX.grid(20)),
        Dirichlet(EDGE, u=lambda x, y: y),
        Neumann(BOX.boundary(20), [1, 0], u=0.0),
        Periodic(EDGE, BOX.face("x", "high", 20), "u"),
    )
    points = inside.points[0].numpy()
    assert points.shape == (1_000, 2)
    assert BOX.contains(points).all()
    np.testing.assert_allclose(points.mean(0), BOX.centre, atol=1e-2)
    np.testing.assert_allclose(inside.columns[:, 0].abs().numpy(), np.sin(points[:, 1]))
    assert not {tuple(x) for x in points.tolist()} & {tuple(x) for x in BOX.grid(20).tolist()}
    assert bool((edge.points[0, :, 0] == -1).all())
    assert torch.equal(edge.columns[:, 0], edge.points[0, :, 1])
    assert not set(edge.points[0, :, 1].tolist()) & set(EDGE[:, 1].tolist())
    ends = (edges.points[0].numpy() == BOX.low) | (edges.points[0].numpy() == BOX.high)
    assert ends.sum(0).tolist() == pytest.approx([len(ends) / 2] * 2, abs=2)
    assert torch.equal(periodic.points[0, :, 1], periodic.points[1, :, 1])
    assert bool((periodic.points[1, :, 0] == 1).all())


def test_points_between_those_of_an_array() -> None:
    masked = np.array(BOX.grid(21))
    masked = masked[(masked[:, 0] < 0) | (masked[:, 1] < 1)]
    inside, edge, periodic = _terms(
        Residual(masked), Dirichlet(np.array(EDGE), u=0.0), Periodic(np.array(EDGE), EDGE + np.array([2.0, 0.0]), "u")
    )
    points = inside.points[0].numpy()
    assert points.shape == (1_000, 2)
    assert not ((points[:, 0] > -0.05) & (points[:, 1] > 0.95)).any()
    assert not {tuple(x) for x in points.tolist()} & {tuple(x) for x in masked.tolist()}
    # Anywhere between two of them, not in the middle only.
    part = np.where(np.isclose(points[:, 0] * 10 % 1, 0), points[:, 1] * 10 % 1, points[:, 0] * 10 % 1)
    assert np.histogram(part, 4, (0, 1))[0].min() > 200
    assert bool((edge.points[0, :, 0] == -1).all())
    assert torch.equal(periodic.points[0, :, 1], periodic.points[1, :, 1])


def test_terms_that_are_known_at_their_points_only() -> None:
    circle = np.stack([np.cos(np.arange(50)), 1 + np.sin(np.arange(50))], 1)
    found = _terms(
        Data(BOX.grid(5), u=0.0),
        Dirichlet(EDGE, u=EDGE[:, 1]),
        Dirichlet(EDGE, u=_knows_its_points_only),
        Dirichlet(circle, u=0.0),
        Residual(circle, lambda u, x, y: u.x * x + u.y * (y - 1)),
        Neumann(circle, circle - [0, 1], u=0.0),
        Periodic(EDGE, np.array(EDGE)[::-1] * [-1, 1], "u"),
        Residual(BOX.random(2, seed=0)[:2]),
    )
    assert found[:-2] == [None] * 6
    # Partners that run the other way stay partners.
    assert torch.allclose(found[-2].points[0, :, 1], 2 - found[-2].points[1, :, 1]) or found[-2] is None
    assert found[-1] is None


def test_ends_of_a_line_and_poles() -> None:
    line = Box(x=(0, 1))
    end = Dirichlet(line.face("x", "low", 2), u=0.0)
    pole = Residual(np.linspace(0, 1, 11)[:, None], lambda u, x: u.x - 1 / (sympy.Max(x, 0.5) - 0.5))
    problem = Problem("p", PDE("x", "u", lambda u: u.x), line, [end])
    assert set(HeldOut(problem, 100).terms[0].points.flatten().tolist()) == {0.0}
    with pytest.raises(Exception, match=r"its source term .* is NaN or infinite at 6 of 11 points"):
        Problem("p", PDE("x", "u", lambda u: u.x), line, [pole]).terms()
    (term,) = HeldOut(Problem("p", PDE("x", "u", lambda u: u.x), line, [pole]), 1_000).terms
    assert bool(torch.isfinite(term.columns).all())
    assert 0 < term.n_points < 1_000


def test_losses_and_total() -> None:
    """Of a network that is 3 everywhere: u - y has the mean square of 3 - y over [0, 2]."""
    net = MLP([2, 4, 1], dtype=FLOAT64)
    with torch.no_grad():
        net.theta.zero_()
        net.theta[-1] = 3.0
    conditions = [
        Residual(BOX.grid(20), lambda u, y: u - y, weight=2.0),
        Data(BOX.grid(5), u=0.0, weight=0.5),
        Dirichlet(EDGE, u=1.0, weight=0.0),
    ]
    held_out = HeldOut(Problem("p", PDE("x y", "u", lambda u: u), BOX, conditions), 4_096)
    losses = held_out.losses(residual_of(get_backend(), net.plan, net.theta.detach(), torch.empty(0)))
    assert losses[0] == pytest.approx(13 / 3, rel=1e-3)
    assert losses[1:] == [None, 4.0]
    assert held_out.total(losses, [7.0, 9.0, math.nan]) == pytest.approx(2 * 13 / 3 + 4.5, rel=1e-3)


def aliased(points: np.ndarray) -> Problem:
    """u' = sin(40 pi x) at points where that is zero: a constant fits them, and nothing between them."""
    line = Box(x=(0, 1))
    pde = PDE("x", "u", lambda u, x: u.x - sympy.sin(40 * sympy.pi * x))
    return Problem("aliased", pde, line, [Residual(points), Dirichlet(line.face("x", "low", 2), u=1.0)])


@pytest.mark.trajectory
@pytest.mark.parametrize("optimizer", ["adam", "gauss-newton", "adam+gauss-newton"])
def test_a_loss_that_is_small_at_the_points_only_is_no_success(optimizer: str) -> None:
    points = np.linspace(0, 1, 41)[:, None]
    training = {
        "adam": Adam(600, lr=1e-2),
        "gauss-newton": GaussNewton(60),
        "adam+gauss-newton": [Adam(1_000), GaussNewton(60)],
    }[optimizer]
    solution = solve(aliased(points), Network(layers=[1, 8, 1]), training)
    assert sum(solution.losses.values()) < 1e-3
    assert solution.held_out["residual"] == pytest.approx(0.5, rel=0.1)
    assert solution.held_out["dirichlet"] == pytest.approx(solution.losses["dirichlet"], rel=0.01, abs=1e-6)
    assert "the residual between" in solution.warnings[0]
    assert "times larger" in solution.status
    assert solution.status.startswith("done, but ")
    assert solution.ended == "done"
    assert solution.status in repr(solution)
    assert solution.to_dict()["warnings"] == list(solution.warnings)
    assert solution.to_dict()["held_out"] == solution.held_out
    seen = [row for row in solution.history if not math.isnan(row["held_out"])]
    assert len(seen) >= 5
    assert seen[-1]["held_out"] > 100 * seen[-1]["loss"]


@pytest.mark.trajectory
def test_gauss_newton_takes_other_points_of_a_region_to_which_it_has_adapted() -> None:
    """The same on a grid of a box: the loss it reports is that of the interval."""
    line = Box(x=(0, 1))
    net = MLP([1, 8, 1], seed=0, dtype=FLOAT64)
    result = fit(aliased(line.grid(41)), net, GaussNewton(60))
    assert result.held_out["residual"] > 0.1
    assert result.history["loss"][-1] > 0.1
    assert "this is no solution" in result.status


def boundary_layer(as_array: bool) -> Problem:
    """-1e-3 u'' + u' = 1, u = 0 at the ends, at 401 points, more than twice the layer's width apart."""
    line = Box(x=(0, 1))
    ends = [Dirichlet(line.face("x", end, 2), u=0.0, name=end) for end in ("low", "high")]
    points = np.array(line.grid(401)) if as_array else line.grid(401)
    return Problem("layer", PDE("x", "u", lambda u: -1e-3 * u.xx + u.x - 1), line, [Residual(points), *ends])


@pytest.mark.trajectory
def test_a_jump_between_the_points_is_reported_and_not_returned() -> None:
    net = MLP([1, 20, 20, 1], seed=0, dtype=FLOAT64)
    result = fit(boundary_layer(True), net, GaussNewton(120))
    last = list(result.history)[-1]
    assert last["held_out"] > 100 * last["loss"]
    assert "are returned: the network adapted to its points, between which the residual is" in result.status
    assert "this is no solution" in result.status
    assert result.held_out["residual"] == pytest.approx(result.losses["residual"], rel=0.5)
    assert result.losses["residual"] > 0.1


@pytest.mark.trajectory
def test_smooth_problems_have_no_warnings_and_the_draws_they_had(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, draw = [], Marquardt._draw

    def watched(run: Marquardt, hidden: float = 0.0) -> None:
        drawn.append((run.step, hidden))
        draw(run, hidden)

    monkeypatch.setattr(Marquardt, "_draw", watched)
    for seed in range(2):
        drawn.clear()
        result = fit(small_laplace(41), MLP([2, 8, 8, 1], seed=seed, dtype=FLOAT64), GaussNewton(100))
        assert drawn == [(step, 0.0) for step in (0, 10, 20, 40, 80)]
        assert result.warnings == ()
        assert result.status == "done"


@pytest.mark.trajectory
@pytest.mark.parametrize(("last", "returned"), [(3.1, 20), (2.9, 30), (math.nan, 20), (math.inf, 20)])
def test_weights_returned_are_the_best_by_held_out_loss(
    monkeypatch: pytest.MonkeyPatch, last: float, returned: int
) -> None:
    """Here the loss at unseen points is said to be least after 20 iterations; up to 3 times more is its scatter."""
    totals = {0: 5.0, 10: 4.0, 20: 1.0, 30: last}
    run_of: list[Marquardt] = []
    watch = Marquardt.watch

    def watched(run: Marquardt) -> float:
        run_of[:] = [run]
        return watch(run)

    net, again = (MLP([2, 8, 8, 1], seed=1, dtype=FLOAT64) for _ in range(2))
    with torch.no_grad():
        again.theta.copy_(net.theta)
    with monkeypatch.context() as patch:
        patch.setattr(Marquardt, "watch", watched)
        patch.setattr(HeldOut, "total", lambda *_: totals[run_of[0].step] if run_of else 1.0)
        result = fit(small_laplace(21), net, GaussNewton(30, points="all"))
    assert ("the weights of step 20 are returned: " in result.status) == (returned == 20)
    run = Marquardt(small_laplace(21), again, GaussNewton(points="all"), get_backend())
    while run.step < returned:
        run.advance(run.linearise())
    assert torch.equal(net.theta, run.theta)


@pytest.mark.trajectory
def test_unknown_coefficients_keep_their_draws_and_last_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """They go on converging while the residual grows between the points, and fresh draws would slow them."""
    t = Box(t=(0, 1)).grid(21)
    decay = PDE("t", "u", lambda u, k: u.t + k * u, unknown={"k": 0.5})
    problem = Problem("decay", decay, Box(t=(0, 1)), [Residual(t), Data(t, u=lambda t: 2 ** (-t))])
    steps = iter(range(100))
    monkeypatch.setattr(HeldOut, "losses", lambda held_out, residual: [1.0 + next(steps), None])
    net = MLP([1, 8, 1], seed=0, dtype=FLOAT64)
    result = fit(problem, net, GaussNewton(30, tuning=Tuning(starts=1)))
    assert result.coefficients["k"] == pytest.approx(math.log(2), rel=1e-3)
    assert result.coefficients["k"] == result.history["k"][-1]
    assert "the residual between the points is" in result.status


def test_an_adapted_run_without_a_step_to_take_draws_anew_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(Marquardt, "renew", lambda run, takes_more: asked.append(run.step) or len(asked) < 3)
    result = fit(
        small_laplace(),
        MLP([2, 6, 1], seed=0, dtype=FLOAT64),
        GaussNewton(20, tuning=Tuning(gradient_tolerance=1.0)),
    )
    assert asked == [0, 0, 0]
    assert result.stopped_by == "gradient"


def test_progress_says_what_hides_between_the_points() -> None:
    assert progress_note(1e-3, math.nan, None) == "loss 1.00e-03"
    assert (
        progress_note(1e-3, 0.5, "99 times larger")
        == "loss 1.00e-03  error 5.00e-01  between the points 99 times larger"
    )


def test_interrupted_and_timed_out_runs_have_their_check_too() -> None:
    for schedule in (Adam(1000), GaussNewton()):
        net = MLP([2, 6, 1], seed=0, dtype=FLOAT64)
        result = fit(small_laplace(), net, schedule, seconds=0)
        assert result.ended == "time limit"
        assert "no step was taken" in result.status
        assert result.held_out.keys() == result.losses.keys()
        assert all(isinstance(loss, float) and loss > 0 for loss in result.held_out.values())


@pytest.mark.trajectory
def test_a_loss_at_the_problems_own_points_that_allows_no_error_is_no_warning() -> None:
    """A layer of width 1e-3 at a wall: the grid's first points lie in it, and the network is right."""
    line = Box(x=(0, 1))
    conditions = [Residual(line.grid(201)), Dirichlet([[0.0]], u=0.0), Dirichlet([[1.0]], u=1.0)]
    layer = Problem("layer", PDE("x", "u", lambda u: 1e-3 * u.xx + u.x), line, conditions)
    solution = solve(layer, Network(layers=[1, 12, 12, 1]), GaussNewton(400))
    x = np.linspace(0, 1, 1001)[:, None]
    assert np.abs(evaluate(solution.net, x) - (1 - np.exp(-1e3 * x))).max() < 1e-4
    assert solution.loss > 10 * solution.history["loss"][-1]
    assert not any("own points" in warning for warning in solution.warnings)


@pytest.mark.parametrize(("allowed", "is_told"), [(1e-6, False), (1e-3, True), (None, True)])
def test_what_the_loss_at_the_problems_own_points_allows(allowed: float | None, is_told: bool) -> None:
    class Run:
        loss, first_loss = 1e-8, 1.0

    errors = {} if allowed is None else {"u": allowed}
    found, _ = gauss_newton.doubts_of(Run(), 1e-4, 1e-8, errors)  # type: ignore[arg-type]  # all it reads
    assert any("own points is 1e4 times larger" in text for text in found) == is_told


@pytest.mark.parametrize(
    ("allowed", "times", "first", "is_warned"),
    [
        (1e-4, 1e3, 1.0, False),
        (0.03, 1e3, 1.0, True),
        (math.nan, 1e3, 1.0, True),
        (None, 1e3, 1.0, True),
        (1e-8, 0.9e6, 1.0, False),
        (1e-8, 1.1e6, 1.0, True),  # no bound is believed
        (1e-8, 1.1e6, 1e7, False),  # 1e-7 of the first loss
    ],
)
def test_what_is_larger_between_the_points_is_a_note_where_it_allows_no_error(
    allowed: float | None, times: float, first: float, is_warned: bool
) -> None:
    warnings, notes = between_points(times * 1e-6, 1e-6, first, {} if allowed is None else {"u": allowed})
    (text,) = warnings + notes
    assert text.startswith("the residual between the points is ")
    assert text.endswith("times larger")
    assert bool(warnings) == is_warned


def test_what_is_not_larger_between_the_points_is_nothing() -> None:
    assert between_points(9e-6, 1e-6, 1.0, {"u": 1.0}) == ((), ())
