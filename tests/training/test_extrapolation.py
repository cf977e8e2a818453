"""Who evaluates a solution outside of its domain is told so, once."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch

import psinn_fast as pf

BOX = pf.Box(t=(0, 1), x=(-1, 1))
ADVECTION = pf.Problem(
    "advection",
    pf.PDE("t x", "u", lambda u: u.t + u.x),
    BOX,
    [
        pf.Residual(BOX.grid(5)),
        pf.Dirichlet(BOX.boundary(20, "t_low"), u=lambda t, x: np.sin(np.pi * x)),
        pf.Dirichlet(BOX.boundary(20, ["x_low", "x_high"]), u=0.0),
    ],
)
FREE = pf.Problem("free", ADVECTION.pde, BOX, ADVECTION.conditions[:2])


def _solved(problem: pf.Problem | str = ADVECTION, **settings: object) -> pf.Solution:
    return pf.solve(problem, pf.Network(layers=[2, 4, 1], **settings), pf.Adam(1), seed=0)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def solution() -> pf.Solution:
    return _solved()


def _silent(evaluate: Callable[[], object]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate()


def test_points_and_coordinates_are_named_once(solution: pf.Solution) -> None:
    with pytest.warns(UserWarning, match="outside") as told:
        found = solution([[0.5, 30.0], [0.2, 0.3], [0.1, -7.0], [1.5, 0.0]])
    assert found.shape == (4, 1)
    (warning,) = told
    assert warning.filename == __file__
    assert str(warning.message).startswith(
        "points: 3 of 4 outside of the domain, as far as t = 1.5, where t is from 0 to 1; x = 30, where x is from "
        "-1 to 1: there the network extrapolates"
    )


@pytest.mark.parametrize(
    "evaluate",
    [
        lambda solution: solution(torch.tensor([0.5, 1.1])),
        lambda solution: solution.derivatives([0.5, 1.1], "u u_x"),
        lambda solution: solution.derivatives(torch.tensor([[1.1, 0.0]]), "u_t"),
    ],
)
def test_every_way_of_evaluating_warns(solution: pf.Solution, evaluate: Callable[[pf.Solution], object]) -> None:
    with pytest.warns(UserWarning, match="1 of 1 outside") as told:
        evaluate(solution)
    assert [warning.filename for warning in told] == [__file__]


def test_what_fit_gives_warns() -> None:
    result = pf.fit("laplace", pf.MLP([2, 4, 1], seed=0), pf.Adam(1))
    with pytest.warns(UserWarning, match="y = 2, where y is from -1 to 1"):
        result([0.0, 2.0])


def test_a_march_warns(solution: pf.Solution) -> None:
    window = pf.MarchedWindow(
        start=0.0, end=1.0, net=solution.net, residual=0.0, reference=1.0, steps=1, seconds=0.0, stopped_by="steps",
        held_out={}, history=solution.history,
    )  # fmt: skip
    marched = pf.Marched(ADVECTION, (window,), tolerance=None, ended="done")
    evaluations: list[Callable[[], object]] = [
        lambda: marched([0.1, 2.0]),
        lambda: marched.derivatives([0.1, 2.0], "u_x"),
    ]
    for evaluate in evaluations:
        with pytest.warns(UserWarning, match="x = 2, where x is from -1 to 1") as told:
            evaluate()
        assert [warning.filename for warning in told] == [__file__]
    _silent(lambda: marched(BOX.boundary(40)))
    _silent(marched.figure)


def test_edges_and_pictures_are_silent(solution: pf.Solution) -> None:
    edge = BOX.boundary(40)
    _silent(lambda: solution(edge))
    _silent(lambda: solution(np.asarray(edge * (1 + 2e-7), dtype=np.float32)))
    _silent(lambda: solution(np.empty((0, 2))))
    _silent(solution.show)


def test_rounding_is_that_of_the_coordinates_not_of_the_width() -> None:
    late = pf.Box(t=(1e6, 1e6 + 1))
    pde = pf.PDE("t", "u", lambda u: u.t)
    problem = pf.Problem("late", pde, late, [pf.Residual(late.grid(5)), pf.Dirichlet([[1e6]], u=1.0)])
    result = pf.solve(problem, pf.Network(layers=[1, 4, 1], dtype="float64"), pf.Adam(1))
    _silent(lambda: result(np.float32([[1e6 + 1.06]])))
    with pytest.warns(UserWarning, match="t = "):
        result([[1e6 + 2]])


def test_periodic_coordinates_are_inside_everywhere() -> None:
    periodic = _solved(FREE, embedding=pf.Embedding.periodic(x=2.0))
    _silent(lambda: periodic([[0.5, 30.25], [0.1, -1.7]]))
    with pytest.warns(
        UserWarning, match="points: 1 of 2 outside of the domain, as far as t = 2, where t is from 0 to 1:"
    ):
        periodic([[0.5, 30.25], [2.0, 7.0]])
    waves = _solved(FREE, embedding=pf.Embedding.fourier(4))
    with pytest.warns(UserWarning, match="x = 30.25"):
        waves([0.5, 30.25])


def test_a_parameter_has_its_range() -> None:
    box = pf.Box(x=(0, 1), k=(1, 2))
    pde = pf.PDE("x k", "u", lambda u, k: u.x + k * u, parameters="k")
    conditions = [pf.Residual(box.grid(4)), pf.Dirichlet(box.boundary(8, "x_low"), u=1.0)]
    decay = _solved(pf.Problem("decay", pde, box, conditions))
    with pytest.warns(UserWarning, match="k = 3, where k is from 1 to 2"):
        decay([0.5, 3.0])


def test_holes_are_outside() -> None:
    ring = pf.Disk() - pf.Disk(radius=0.5)
    pde = pf.PDE("x y", "u", lambda u: u.lap)
    conditions = [pf.Residual(ring.random(20, 0)), pf.Dirichlet(ring.boundary(20), u=1.0)]
    found = _solved(pf.Problem("ring", pde, ring, conditions))
    _silent(lambda: found(np.float32(ring.boundary(50))))
    with pytest.warns(
        UserWarning, match=r"2 of 3 outside .* y = 3, where y is from -1 to 1; \(0, 0\), which is not in"
    ):
        found([[0.0, 0.0], [0.0, 3.0], [0.0, 1.0]])


def test_the_domain_of_a_loss_of_ones_own_is_not_known() -> None:
    net = pf.MLP([1, 4, 1], seed=0)
    x = torch.linspace(0.1, 0.9, 20)[:, None]

    def loss(net: pf.MLP, x: torch.Tensor) -> torch.Tensor:
        return (pf.derivatives(net, x, "u_x", coords="x", fields="u").u_x - 1).square().mean()

    result = pf.fit(pf.fuse(loss, net, x, coords="x"), pf.Adam(1))
    _silent(lambda: result([[0.0], [1.0]]))
