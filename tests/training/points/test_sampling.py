"""Which points Gauss-Newton sees: repeatable draws, where they fall, when they come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import sympy
import torch
from small import small_laplace
from torch import Tensor

from psinn_fast import (
    PDE,
    Box,
    Data,
    Dirichlet,
    GaussNewton,
    Neumann,
    Periodic,
    Problem,
    Residual,
    TanhMLP,
    error_metrics,
    fit,
    get_problem,
)
from psinn_fast.kernels import get_backend
from psinn_fast.kernels.contract import Term
from psinn_fast.training.optimisers.marquardt import Marquardt
from psinn_fast.training.points import sampling as module
from psinn_fast.training.points.sampling import Sampler, is_boundary_term

FLOAT64 = torch.float64


def draws(
    net: TanhMLP, options: GaussNewton, monkeypatch: pytest.MonkeyPatch, *adapted_at: int, hidden: float = 1.0
) -> list[int]:
    """Steps at which points are drawn, ``hidden`` of the first loss hiding at some; focused draws count double."""
    drawn, draw = [], Sampler.draw

    def watched(sampler: Sampler, number: int) -> list[Term]:
        drawn.append(number)
        return draw(sampler, number)

    def focused(sampler: Sampler, number: int, residual: object, focus: float) -> list[Term]:
        return [*sampler.draw(number), *sampler.draw(number)][:2]

    with monkeypatch.context() as patch:
        patch.setattr(Sampler, "draw", watched)
        patch.setattr(Sampler, "focused", focused)
        patch.setattr(Marquardt, "watch", lambda run: hidden * run.first_loss * (run.step in adapted_at))
        fit(small_laplace(21), net, options)
    return drawn


@pytest.mark.trajectory
def test_draws_come_at_doubling_distances_and_more_often_once_the_network_has_adapted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = GaussNewton(46, points=60, resample=5)
    net = TanhMLP([2, 8, 8, 1], seed=1, dtype=FLOAT64)
    assert draws(net, options, monkeypatch) == [0, 5, 10, 20, 40]
    assert draws(net, options, monkeypatch, 10) == [0, 5, *sorted(2 * [10, 15, 20, 25, 31, 38])]
    # At once, not when it is time for the next draw.
    assert draws(net, options, monkeypatch, 30) == [0, 5, 10, 20, *sorted(2 * [30, 37])]
    assert draws(net, options, monkeypatch, 30, 40) == [0, 5, 10, 20, *sorted(2 * [30, 37, 40])]
    # Little waits for its time.
    assert draws(net, options, monkeypatch, 30, 40, hidden=0.9e-6) == [0, 5, 10, 20, 40, 40]
    assert draws(net, options, monkeypatch, 30, hidden=1.1e-6) == [0, 5, 10, 20, *sorted(2 * [30, 37])]
    assert draws(net, replace(options, focus=0), monkeypatch, 30) == [0, 5, 10, 20, 30]
    assert draws(net, replace(options, focus=1), monkeypatch)[:5] == [0, 5, 5, 10, 10]


def test_boundary_terms_are_balanced_and_measurements_are_not() -> None:
    net = TanhMLP([2, 8, 8, 1], seed=1, dtype=FLOAT64)
    run = Marquardt(small_laplace(), net, GaussNewton(), get_backend("cpu"))
    run.linearise()
    traces = run.residuals.traces(run.x)
    assert run.residuals.weights[0] == 1.0
    assert run.residuals.weights[1] * traces[1] == pytest.approx(traces[0])
    # Measurements keep their weights.
    run = Marquardt(get_problem("burgers-inverse"), net, GaussNewton(), get_backend("cpu"))
    run.linearise()
    assert run.residuals.weights == [1.0, 1.0]


@pytest.mark.parametrize(("inside", "edge"), [(1e-9, 1e-9), (1e-9, 1e3), (1e3, 1e-9)])
def test_terms_are_balanced_whatever_their_size(inside: float, edge: float) -> None:
    box = Box(x=(-1, 1), y=(0, 2))
    conditions = [Residual(box.grid(9)), Residual(box.face("x", "low", 9), lambda u: edge * u, weight=7)]
    problem = Problem("sizes", PDE("x y", "u", lambda u: inside * u.lap), box, conditions)
    run = Marquardt(problem, TanhMLP([2, 8, 1], seed=1, dtype=FLOAT64), GaussNewton(), get_backend("cpu"))
    run.linearise()
    traces = run.residuals.traces(run.x)
    assert run.residuals.weights[0] == 1
    assert run.residuals.weights[1] * traces[1] == pytest.approx(7 * traces[0])


def test_draws_are_repeatable_differ_and_leave_data_alone() -> None:
    box = Box(x=(-1, 1), y=(0, 2))
    problem = Problem(
        "sampled",
        PDE("x y", "u", lambda u, x: u.xx + u.yy - sympy.sin(x)),
        box,
        [
            Residual(box.grid(30)),
            Dirichlet(box.face("x", "low", 200), u=0.0, name="edge"),
            Data(box.random(300, seed=0), u=1.0),
            Residual(np.array(box.random(300, seed=1)), name="scattered"),
        ],
    )
    sampler = Sampler(problem, problem.terms(FLOAT64), 100, 0)
    inside, edge, data, scattered = sampler.draw(0)
    assert [term.n_points for term in (inside, edge, data, scattered)] == [100, 50, 300, 300]
    assert torch.equal(scattered.points, sampler.full[3].points)
    assert box.contains(inside.points[0].numpy()).all()
    assert torch.allclose(inside.columns[:, 0].abs(), inside.points[0, :, 0].sin().abs())
    assert bool((edge.points[0, :, 0] == -1).all())
    assert set(edge.points[0, :, 1].tolist()) < set(sampler.full[1].points[0, :, 1].tolist())
    assert torch.equal(data.points, sampler.full[2].points)
    assert torch.equal(Sampler(problem, problem.terms(FLOAT64), 100, 0).draw(0)[0].points, inside.points)
    assert not torch.equal(sampler.draw(1)[0].points, inside.points)
    everything = Sampler(problem, problem.terms(FLOAT64), None, 0, fills=True)
    assert not any(everything.redraws + everything.can_refine)
    assert [term.n_points for term in everything.draw(0)] == [900, 200, 300, 300]


def test_more_points_than_a_grid_has_are_drawn_from_what_it_stands_for_if_they_are_asked_for() -> None:
    """Those of arrays and measurements are all that there are, and "auto" takes small grids as they are."""
    box = Box(x=(-1, 1), y=(0, 2))
    problem = Problem(
        "small",
        PDE("x y", "u", lambda u, x: u.xx + u.yy - sympy.sin(x)),
        box,
        [
            Residual(box.grid(11)),
            Dirichlet(box.face("x", "low", 9), u=lambda x, y: y**2, name="edge"),
            Dirichlet(box.face("x", "high", 9), u=np.zeros(9), name="numbers"),
            Periodic(box.face("y", "low", 7), box.face("y", "high", 7), "u"),
            Data(box.random(30, seed=0), u=1.0),
            Residual(np.array(box.random(30, seed=1)), name="scattered"),
        ],
    )
    own = [121, 9, 9, 7, 30, 30]

    def drawn(points: int | str) -> list[Term]:
        run = Marquardt(problem, TanhMLP([2, 4, 1], seed=1, dtype=FLOAT64), GaussNewton(points=points), get_backend())
        run.linearise()
        return list(run.residuals.terms)

    inside, edge, *_, scattered = found = drawn(3_000)
    assert [term.n_points for term in found] == [3_000, 500, 9, 500, 30, 30]
    assert box.contains(inside.points[0].numpy()).all()
    assert torch.allclose(inside.columns[:, 0].abs(), inside.points[0, :, 0].sin().abs())
    assert bool((edge.points[0, :, 0] == -1).all())
    assert torch.allclose(edge.columns[:, 0], edge.points[0, :, 1].square())
    assert torch.equal(scattered.points, problem.terms(FLOAT64)[5].points)
    assert [term.n_points for term in drawn(40)] == [40, 6, 6, 6, 30, 30]
    assert [term.n_points for term in drawn("auto")] == own
    assert [term.n_points for term in drawn("all")] == own


@pytest.mark.parametrize(("points", "inside", "around"), [(300, 150, 50), (5, 2, 1), (1, 1, 1)])
def test_terms_share_the_points(points: int, inside: int, around: int) -> None:
    """As many for all boxes as asked, half as many for all boundaries; one at least for each."""
    box = Box(x=(-1, 1), y=(0, 2))
    boxes = [Residual(box.grid(30)), Residual(box.grid(20), lambda u: u.x)]
    edges = [Dirichlet(box.face(name, "low", 99), u=0.0) for name in "xyx"]
    problem = Problem("shared", PDE("x y", "u", lambda u: u.lap), box, boxes + edges)
    sampler = Sampler(problem, problem.terms(FLOAT64), points, 0)
    assert [term.n_points for term in sampler.draw(0)] == 2 * [inside] + 3 * [around]


def _grid(*n: int) -> np.ndarray:
    return np.array(Box(t=(0, 1), x=(-1, 1)).grid(n))


_LINE = np.linspace(0, 1, 401)[:, None]
_SQUARE = _grid(30, 30)


@pytest.mark.parametrize(
    "points",
    [
        _LINE,
        np.sort(np.random.default_rng(0).random(500))[:, None],
        _SQUARE,  # an array is an array, even where it looks like a grid
        _SQUARE[~((_SQUARE[:, 0] > 0.4) & (_SQUARE[:, 0] < 0.6))],  # a slab is missing
        _SQUARE[(_SQUARE[:, 0] < 0.5) | (_SQUARE[:, 1] < 0)],  # an L
        Box(t=(0, 1), x=(-1, 1)).grid(30)[::2],
        Box(t=(0, 1), x=(-1, 1)).grid(30) * 0.5,
        np.random.default_rng(1).random((600, 2)),
        np.stack([np.linspace(0, 1, 300), np.linspace(0, 1, 300) ** 2], 1),  # a curve
    ],
)
@pytest.mark.parametrize("of_equation", [True, False])
def test_arrays_are_used_as_they_are_given(points: np.ndarray, of_equation: bool) -> None:
    names = ["t", "x"][: points.shape[1]]
    box = Box(**dict.fromkeys(names, (-1, 1)))
    residual = Residual(points) if of_equation else Residual(points, lambda u: u - 1)
    problem = Problem("given", PDE(names, "u", lambda u: u.t - u), box, [residual])
    sampler = Sampler(problem, problem.terms(FLOAT64), 120, 0)
    assert not any(sampler.redraws + sampler.can_refine)
    sampler.refine()
    for number in (0, 10, 20):
        assert torch.equal(sampler.draw(number)[0].points[0], torch.from_numpy(points))
        assert torch.equal(sampler.focused(number, _corner(1.0), 1.0)[0].points[0], torch.from_numpy(points))


def test_a_box_says_that_its_points_stand_for_it() -> None:
    box, part = Box(t=(0, 1), x=(-1, 1)), Box(t=(0.2, 0.3), x=(-1, 0))
    equation = PDE("t x", "u", lambda u: u.t - u)
    for points in (box.grid(30), box.random(900, seed=0), part.grid(30)):
        problem = Problem("box", equation, box, [Residual(points)])
        drawn = Sampler(problem, problem.terms(FLOAT64), 120, 0).draw(0)[0].points[0].numpy()
        assert drawn.shape == (120, 2)
        assert not {tuple(x) for x in drawn.tolist()} & {tuple(x) for x in points.tolist()}
        np.testing.assert_allclose(drawn.mean(0), points.mean(0), atol=0.02)
        assert (drawn >= points.min(0) - 1e-3).all()
        assert (drawn <= points.max(0) + 1e-3).all()


def test_arrays_of_very_many_points_are_thinned_so_that_all_count_over_time() -> None:
    points = np.random.default_rng(0).random((2_000, 2))
    box = Box(x=(0, 1), y=(0, 1))
    conditions = [Residual(points), Data(points, u=0.0), Dirichlet(points, u=0.0)]
    problem = Problem("many", PDE("x y", "u", lambda u: u.lap), box, conditions)
    sampler = Sampler(problem, problem.terms(FLOAT64), 100, 0)
    assert [term.n_points for term in sampler.draw(0)] == [800, 2_000, 50]
    given = {tuple(x) for x in points.tolist()}
    seen = [{tuple(x) for x in sampler.draw(number)[0].points[0].tolist()} for number in range(10)]
    assert all(len(drawn) > 700 for drawn in seen)  # neighbouring runs may share a point, and pick it twice
    assert set.union(*seen) <= given
    assert len(set.union(*seen)) > 1_950


def test_thinned_points_are_one_of_each_run() -> None:
    """Of 90 points ten, each run's all in turn."""
    points = np.arange(90.0)[:, None]
    condition = Data(points, u=2 * points[:, 0])
    (term,) = Problem("line", PDE("x", "u", lambda u: u.x), Box(x=(0, 90)), [condition]).terms(FLOAT64)
    rng, seen = np.random.default_rng(0), set[float]()
    for _ in range(100):
        thinned = module.thinned(term, 10, rng)
        x = thinned.points[0, :, 0]
        assert (x // 9).tolist() == list(range(10))
        assert torch.equal(thinned.columns[:, 0], 2 * x)
        seen |= set(x.tolist())
    assert seen == set(range(90))


def test_which_terms_are_boundary_terms() -> None:
    """Boundary conditions, wherever they are; other residuals on the faces; never measurements."""
    box = Box(x=(-1, 1), y=(-1, 1))
    edge, inside = box.face("x", "low", 5), np.array([[0.0, -0.5], [0.0, 0.5]])
    conditions = [
        Residual(inside), Dirichlet(inside, u=0.0), Neumann(inside, [1, 0], u=0.0), Periodic(inside, -inside, "u"),
        Residual(edge), Residual(edge, lambda u: u.x), Dirichlet(edge, u=0.0), Data(edge, u=0.0), Data(inside, u=0.0),
    ]  # fmt: skip
    known = Problem("p", PDE("x y", "u", lambda u: u.lap), box, conditions)
    unknown = Problem("p", PDE("x y", "u", lambda u, a: a * u.lap, unknown={"a": 1.0}), box, conditions)
    boundary = [[is_boundary_term(problem, c) for c in problem.conditions] for problem in (known, unknown)]
    assert boundary[0] == [False, True, True, True, True, True, True, False, False]
    assert boundary[1] == [False, False, False, False, True, True, True, False, False]


@pytest.mark.parametrize("end", ["low", "high"])
def test_points_lie_on_a_face_to_nine_digits(end: str) -> None:
    """Of the box's width, 50, whatever its centre."""
    box = Box(x=(100, 150), y=(-10, 0))
    inwards = np.array([50.0 if end == "low" else -50.0, 0])
    near, far = (Residual(box.face("x", end, 5) + inwards * size) for size in (0.9e-9, 1.1e-9))
    problem = Problem("p", PDE("x y", "u", lambda u: u.lap), box, [near, far])
    assert [is_boundary_term(problem, condition) for condition in problem.conditions] == [True, False]


def small_sampler(points: int = 100) -> Sampler:
    problem = small_laplace(41)
    return Sampler(problem, problem.terms(FLOAT64), points, 0)


def _corner(scale: float) -> Callable[[Term], Tensor]:
    """A residual that a corner of 1/16 of the square has all of."""
    return lambda term: scale * (term.points[0] > 0.5).all(1).double()[:, None]


def _in_corner(term: Term) -> int:
    return int((term.points[0] > 0.5).all(1).sum())


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_focused_draws_go_where_the_residual_is(scale: float) -> None:
    """Weights are 17 in the corner and 1 elsewhere, whatever the residual's size."""
    sampler = small_sampler()
    focused, uniform = sampler.focused(7, _corner(scale), 1.0)[0], sampler.draw(7)[0]
    assert focused.n_points == uniform.n_points == 100
    assert len(torch.unique(focused.points[0], dim=0)) == 100
    # 50 of 800 candidates lie in the corner. With replacement 53 of 100 draws would fall there; most of the 50 do.
    assert 3 <= _in_corner(uniform) <= 10
    assert 30 <= _in_corner(focused) <= 50
    assert torch.equal(sampler.focused(7, _corner(scale), 1.0)[0].points, focused.points)
    # Boundaries are not focused.
    both = sampler.focused(7, _corner(scale), 1.0)[1:], sampler.draw(7)[1:]
    assert all(torch.equal(a.points, b.points) for a, b in zip(*both, strict=True))


@pytest.mark.parametrize("focus", [1.0, 2.0, 0.5])
def test_draws_are_focused_by_a_power_of_the_residual(focus: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """|r|^focus, with |r| = 5 of several equations."""
    seen, weighted = [], module._weighted
    monkeypatch.setattr(module, "_weighted", lambda sizes, *rest: seen.append(sizes) or weighted(sizes, *rest))
    small_sampler().focused(0, lambda term: torch.tensor([[3.0, -4.0]], dtype=FLOAT64).expand(term.n_points, 2), focus)
    assert seen[0].tolist() == pytest.approx([5.0**focus] * 800)


def test_a_higher_power_focuses_more() -> None:
    sampler = small_sampler(200)
    means = [
        float(sampler.focused(7, lambda term: 1 + term.points[0, :, :1], focus)[0].points[0, :, 0].mean())
        for focus in (0.0, 1.0, 3.0)
    ]
    assert abs(means[0]) < 0.1 < means[1] < means[2]


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_residuals_of_no_use_give_uniform_draws(value: float) -> None:
    sampler = small_sampler()
    inside = sampler.focused(3, lambda term: torch.full((term.n_points, 1), value, dtype=FLOAT64), 1.0)[0]
    quarters = [int((inside.points[0] * sign > 0).all(1).sum()) for sign in (1, -1)]
    assert all(10 <= quarter <= 45 for quarter in quarters), quarters


def test_candidates_are_drawn_in_proportion_to_their_weights() -> None:
    """11 of one and 1 of each of nine others; 0.016 is the standard deviation of what is counted."""
    sizes, rng = np.array([0.0] * 4 + [10.0] + [0.0] * 5), np.random.default_rng(0)
    first = [module._weighted(sizes, 1, rng)[0] for _ in range(1000)]
    assert np.mean(np.array(first) == 4) == pytest.approx(11 / 20, abs=0.05)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_where_the_residual_is_not_finite_it_counts_as_zero(value: float) -> None:
    """Weights of 1 and 3, so that a quarter of the points lies there, whatever the residual's size elsewhere."""
    inside = small_sampler().focused(3, lambda term: torch.where(term.points[0, :, :1] > 0, 1e-9, value), 1.0)[0]
    assert 15 <= int((inside.points[0, :, 0] <= 0).sum()) <= 35


def test_refined_draws_replace_all_points_that_stand_for_a_region_and_double_twice() -> None:
    box = Box(x=(-1, 1), y=(0, 2))
    low, high = box.face("x", "low", 40), box.face("x", "high", 40)
    problem = Problem(
        "refined",
        PDE("x y", "u", lambda u: u.lap),
        box,
        [
            Residual(box.grid(5)),
            Dirichlet(low, u=lambda x, y: y**2, name="function"),
            Dirichlet(low, u=low[:, 1] ** 2, name="array"),
            Dirichlet(np.array(low), u=0.0, name="points"),
            Periodic(low, high, "u"),
            Data(box.grid(5), u=1.0),
        ],
    )
    sampler = Sampler(problem, problem.terms(FLOAT64), 240, 0)
    assert sampler.can_refine == [True, True, True, True, True, False]
    around = 240 // 8
    assert [term.n_points for term in sampler.draw(0)] == [25, around, around, around, around, 25]
    counts = []
    for _ in range(5):
        sampler.refine()
        counts.append([term.n_points for term in sampler.draw(0)])
    assert counts[0] == [240, around, around, around, around, 25]
    assert counts[1] == [480, 2 * around, around, around, 2 * around, 25]
    assert counts[2] == counts[4] == [960, 4 * around, around, around, 4 * around, 25]
    _, function, array, points, periodic, _ = sampler.draw(1)
    assert torch.equal(function.columns[:, 0], function.points[0, :, 1] ** 2)
    assert bool((function.points[0, :, 0] == -1).all())
    assert len(torch.unique(function.points[0, :, 1])) == 4 * around
    given = set(low[:, 1].tolist())
    assert not given & set(function.points[0, :, 1].tolist())
    assert set(array.points[0, :, 1].tolist()) < given
    assert set(points.points[0, :, 1].tolist()) < given
    assert torch.equal(periodic.points[0, :, 1], periodic.points[1, :, 1])
    assert bool((periodic.points[1, :, 0] == 1).all())


@pytest.mark.trajectory
def test_a_front_that_hides_between_the_points_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Burgers at 0.01 / pi with dense networks: without a look between the points the front is in the wrong place."""
    errors = []
    for looks in (False, True):
        problem, net = get_problem("burgers"), TanhMLP([2, 10, 10, 20, 1], seed=2, dtype=FLOAT64)
        with monkeypatch.context() as patch:
            if not looks:
                patch.setattr(Marquardt, "watch", lambda run: 0.0)
            fit(problem, net, GaussNewton(80, seed=2))
        errors.append(error_metrics(net, problem)["relative_l2"])
    assert errors[1] < 0.3 * errors[0]


def test_only_problems_without_unknowns_are_focused() -> None:
    """With them the equation is weighed against measurements, and a biased mean would move the coefficients."""
    net = TanhMLP([2, 4, 1], seed=0, dtype=FLOAT64)
    for name, focus in (("burgers", 1.0), ("burgers-inverse", 0.0)):
        assert Marquardt(get_problem(name), net, GaussNewton(), get_backend("cpu"))._focus == focus
        assert Marquardt(get_problem(name), net, GaussNewton(focus=2), get_backend("cpu"))._focus == 2


@pytest.mark.trajectory
def test_focused_draws_survive_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted after the network has adapted: the same weights as without interruption."""
    monkeypatch.setattr("psinn_fast.training.optimisers.marquardt._WATCH", 1)
    monkeypatch.setattr(Marquardt, "watch", lambda run: float(run.step == 2))
    problem, engine, options = small_laplace(41), get_backend("cpu"), GaussNewton(points=100, resample=2)
    runs = []
    for stop in (None, 5):
        run = Marquardt(problem, TanhMLP([2, 6, 1], seed=0, dtype=FLOAT64), options, engine)
        for _ in range(9):
            if run.step == stop:
                tensors, numbers = run.saved()
                run = Marquardt(problem, TanhMLP([2, 6, 1], seed=3, dtype=FLOAT64), options, engine)
                run.restore(tensors, numbers)
            run.advance(run.linearise())
        runs.append(run)
    assert runs[0]._is_focused
    assert runs[1]._sampler.refinement == 1
    assert torch.equal(runs[0].x, runs[1].x)
    assert torch.equal(runs[0].residuals.terms[0].points, runs[1].residuals.terms[0].points)
