"""Which points Gauss-Newton sees: repeatable draws, where they fall, when they come."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy
import torch
from small import small_laplace

from psinn_fast import (
    MLP,
    PDE,
    Box,
    Data,
    Dirichlet,
    GaussNewton,
    Neumann,
    Periodic,
    Problem,
    Residual,
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
    net: MLP, options: GaussNewton, monkeypatch: pytest.MonkeyPatch, *adapted_at: int, hidden: float = 1.0
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
    net = MLP([2, 8, 8, 1], seed=1, dtype=FLOAT64)
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
    net = MLP([2, 8, 8, 1], seed=1, dtype=FLOAT64)
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
    run = Marquardt(problem, MLP([2, 8, 1], seed=1, dtype=FLOAT64), GaussNewton(), get_backend("cpu"))
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
        run = Marquardt(problem, MLP([2, 4, 1], seed=1, dtype=FLOAT64), GaussNewton(points=points), get_backend())
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
        assert torch.equal(
            sampler.focused(number, lambda term: (term.points[0] > 0.5).all(1).double()[:, None], 1.0)[0].points[0],
            torch.from_numpy(points),
        )


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
    unknown = Problem("p", PDE("x y", "u", lambda u, a: u.lap - a, unknown={"a": 1.0}), box, conditions)
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
