"""Marches through time: windows fit together exactly, and what is refused."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from waves import BOX, START, WAVES, advection, first, travelling

import psinn_fast as pf
from psinn_fast.marching.initial import initial_state
from psinn_fast.marching.judge import Judge
from psinn_fast.marching.lengths import Lengths
from psinn_fast.marching.windows import Windows
from psinn_fast.networks.continuation import Continuation

Points = npt.NDArray[np.float64]


def decaying(points: Points) -> Points:
    u = np.exp(-(np.pi**2) * points[:, 0]) * np.sin(np.pi * points[:, 1])
    return np.stack([u, -(np.pi**2) * u], 1)


@pytest.fixture(scope="module")
def marched() -> pf.Marched:
    return pf.march(advection(), WAVES, pf.GaussNewton(40), windows=[0, 0.3, 1], tolerance=3e-3)


@pytest.mark.trajectory
def test_a_march_solves_the_problem_at_all_times(marched: pf.Marched) -> None:
    assert marched.ended == "done"
    assert marched.edges == (0.0, 0.3, 1.0)
    assert marched.metrics["relative_l2"] < 3e-3
    points = BOX.random(300, 1)
    assert np.abs(marched(points)[:, 0] - travelling(points)).max() < 1e-2
    found = marched.derivatives(points, "u_t u_xx")
    assert np.abs(found.u_t + np.pi * np.cos(np.pi * (points[:, 1] - points[:, 0]))).max() < 0.05
    tensor = marched(torch.from_numpy(np.array(points)).view(3, 100, 2))
    assert tensor.shape == (3, 100, 1)
    assert torch.equal(tensor.view(-1, 1), torch.from_numpy(marched(points)))


@pytest.mark.trajectory
def test_a_steady_state_stays() -> None:
    """Its own change, to which residuals are compared, is zero: that of states as large stands for it."""
    box = pf.Box(t=(0, 1), x=(0, 1))
    conditions = [
        pf.Residual(box.random(200, seed=0)),
        pf.Dirichlet(box.face("t", "low", 21), u=lambda t, x: x, name="initial"),
        pf.Dirichlet(box.face("x", "low", 11), u=0.0, name="left"),
        pf.Dirichlet(box.face("x", "high", 11), u=1.0, name="right"),
    ]
    problem = pf.Problem("steady", pf.PDE("t x", "u", lambda u: u.t - u.xx), box, conditions)
    found = pf.march(problem, pf.Network("pinn", layers=[2, 6, 1]), pf.GaussNewton(40), windows=2, tolerance=1e-2)
    assert found.ended == "done"
    assert all(window.residual < 1e-2 and window.steps < 40 for window in found.windows)
    points = box.random(50, 1)
    assert np.abs(found(points)[:, 0] - points[:, 1]).max() < 1e-4


def test_each_window_begins_exactly_where_the_one_before_it_ended(marched: pf.Marched) -> None:
    x = np.linspace(-1, 1, 33)
    points = np.stack([np.zeros(33), x], 1)
    np.testing.assert_allclose(marched(points)[:, 0], np.sin(np.pi * x), atol=1e-15)
    points[:, 0] = 0.3
    before, after = (window.net.predict(points)[:, 0] for window in marched.windows)
    np.testing.assert_allclose(after, before, atol=1e-15)
    wanted = "u_x u_xx u_xxx"
    pair = [
        pf.derivatives(own.net, torch.from_numpy(points), wanted, coords="t x", fields="u") for own in marched.windows
    ]
    for name in wanted.split():
        torch.testing.assert_close(pair[1][name], pair[0][name], atol=1e-12, rtol=1e-12)


def test_networks_of_a_march_are_periodic_and_keep_their_weights(marched: pf.Marched) -> None:
    ends = np.array([[0.7, -1.0], [0.7, 1.0]])
    found = marched.derivatives(ends, "u u_x u_xx")
    for values in found.values():
        assert abs(values[0] - values[1]) < 1e-12
    here = marched(ends)
    with torch.no_grad():
        kept = marched.windows[0].net.theta.clone()
        marched.windows[0].net.theta.zero_()
    np.testing.assert_array_equal(marched(ends), here)  # the second window has a copy of the first
    with torch.no_grad():
        marched.windows[0].net.theta.copy_(kept)


@pytest.mark.trajectory
def test_a_wave_goes_on_with_its_velocity() -> None:
    pde = pf.PDE("t x", "u", lambda u: u.tt - u.xx)
    conditions = [
        pf.Residual(BOX.random(200, 0)),
        pf.Dirichlet(START, u=first, name="initial"),
        pf.Residual(START, lambda u, v: 2 * (u.t - v), v=lambda t, x: -np.pi * np.cos(np.pi * x), name="velocity"),
    ]
    problem = pf.Problem("wave", pde, BOX, conditions, exact=travelling)
    found = pf.march(problem, WAVES, pf.GaussNewton(40), windows=2, tolerance=3e-2)
    assert found.metrics["relative_l2"] < 0.05
    x = np.linspace(-1, 1, 17)
    for edge, pair in zip(found.edges[1:], pairwise(found.windows), strict=False):
        points = torch.from_numpy(np.stack([np.full(17, edge), x], 1))
        both = [pf.derivatives(own.net, points, "u u_t u_tx", coords="t x", fields="u") for own in pair]
        for name in both[0]:
            torch.testing.assert_close(both[1][name], both[0][name], atol=1e-11, rtol=1e-11)
    np.testing.assert_allclose(
        found.derivatives(np.stack([0 * x, x], 1), "u_t").u_t, -np.pi * np.cos(np.pi * x), atol=1e-13
    )


@pytest.mark.trajectory
def test_fields_without_a_derivative_in_time_and_conditions_of_an_ansatz_hold() -> None:
    pde = pf.PDE("t x", "u p", lambda u, p: [u.t - p, p - u.xx])
    box = pf.Box(t=(0, 0.1), x=(-1, 1))
    start, walls = box.face("t", "low", 21), [box.face("x", end, 11) for end in ("low", "high")]
    conditions = [pf.Residual(box.random(200, 0)), pf.Dirichlet(start, u=first, name="initial")]
    conditions += [pf.Dirichlet(wall, u=0.0, name="wall") for wall in walls]
    problem = pf.Problem("heat", pde, box, conditions, exact=decaying)
    network = pf.Network("pinn", layers=[2, 8, 2], ansatz=pf.Ansatz(u=lambda u, x: (1 - x**2) * u))
    found = pf.march(problem, network, pf.GaussNewton(40), windows=2, tolerance=1e-2)
    assert found.metrics["relative_l2"]["u"] < 1e-2
    points = np.stack([np.linspace(0, 0.1, 9), np.ones(9)], 1)
    assert np.abs(found(points)[:, 0]).max() < 1e-15


def test_lengths_follow_how_hard_windows_are() -> None:
    lengths = Lengths(0.0, 2.0, None, 1e-3)
    assert lengths.end(0.0) == 0.1
    assert lengths.will_do(1e-3)
    lengths.solved(0.0, 0.1, 1e-3, part=0.1)
    assert lengths.end(0.1) == pytest.approx(0.25)
    lengths.solved(0.1, 0.25, 1e-3, part=0.9)
    assert lengths.end(0.25) == pytest.approx(0.4)
    assert not lengths.will_do(3e-3)
    assert lengths.failed(0.25, 0.4, 3e-3)
    assert lengths.end(0.25) == pytest.approx(0.325)
    assert lengths.will_do(1e-3)
    lengths.solved(0.25, 0.325, 1e-3, part=0.9)
    assert lengths.end(0.325) == pytest.approx(0.4)
    assert lengths.end(1.94) == 2.0
    assert lengths.end(1.87) == pytest.approx(1.935)  # two equal ones
    while lengths.failed(0.4, lengths.end(0.4), 1.0):
        pass
    assert lengths.end(0.4) - 0.4 == pytest.approx(2 / 4096, rel=0.6)


def test_shorter_windows_that_do_not_help_are_not_tried_again() -> None:
    lengths = Lengths(0.0, 2.0, None, 1e-3)
    assert lengths.failed(0.0, 0.1, 4e-3)
    assert not lengths.will_do(1.5e-3)  # half as long is better: go on
    assert lengths.will_do(3e-3)
    lengths.solved(0.0, 0.05, 3e-3, part=1.0)
    assert lengths.end(0.05) == pytest.approx(0.15)
    assert lengths.will_do(4e-3)
    assert not lengths.will_do(6e-3)
    assert lengths.failed(0.05, 0.15, 0.05)
    assert not lengths.will_do(0.04)  # as bad, but too bad


def test_a_window_that_is_not_solved_ends_a_march() -> None:
    with pytest.raises(pf.TrainingError, match=r"is not solved: its residual is .*, and should be 0.3") as caught:
        pf.march(advection(), WAVES, pf.GaussNewton(0), windows=1)
    assert caught.value.result.ended == "failed"
    assert caught.value.result.windows == ()
    assert "came to t = 0" in caught.value.result.status


@pytest.mark.parametrize("good", [2, 3, 9])
def test_a_given_window_is_tried_again_from_new_weights(good: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the weights of the window before lead nowhere; only once."""
    nets = list[torch.Tensor]()

    def residual(judge: Judge, result: pf.FitResult) -> float:
        nets.append(result.net.theta.detach())
        return 0.1 if len(nets) == 1 or len(nets) >= good else 0.5

    monkeypatch.setattr(Judge, "residual", residual)
    if good > 3:
        with pytest.raises(pf.TrainingError, match=r"is not solved: its residual is 5\.0e-01"):
            pf.march(advection(), WAVES, pf.GaussNewton(0), windows=2)
    else:
        assert pf.march(advection(), WAVES, pf.GaussNewton(0), windows=2).ended == "done"
    assert len(nets) == min(good, 3)
    torch.testing.assert_close(nets[0], nets[1])  # of one length
    assert good == 2 or not torch.equal(nets[1], nets[2])


def test_states_in_no_closed_form_are_learned() -> None:
    short = pf.Box(t=(0, 0.2), x=(-1, 1))
    start = short.face("t", "low", 21)
    table = pf.Dirichlet(start, u=np.sin(np.pi * start[:, 1]), name="initial")
    found = pf.march(advection(table, box=short), WAVES, pf.GaussNewton(20), windows=2, tolerance=3e-2)
    assert found.metrics["relative_l2"] < 0.05
    assert "learns the initial condition, since u is not given as one function" in found.status


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (lambda t, x: x**2, "another one at the one end of x"),
        (lambda t, x: np.where(x > 0, 1.0, 0.0), "is not given as one function"),
        (lambda t, x: np.sqrt(abs(np.sin(np.pi * x))) * 0 + np.ones(len(x)), "is not given as one function"),
        (lambda t, x: np.asarray(np.cos(np.pi * np.asarray(x)) + 0.5), None),
        (lambda t, x: np.exp(-(np.maximum(np.sin(np.pi * x), -0.5) ** 2)) + 3 * t, None),
        (2.5, None),
    ],
)
def test_which_states_are_exact(target: Any, reason: str | None) -> None:
    problem = advection(pf.Dirichlet(START, u=target, name="initial"))
    found = Windows(problem, initial_state(problem, (1,)), None, {"x": 2.0}).learned
    assert set(found) == ({"u"} if reason else set())
    assert reason is None or reason in found["u"]


def test_a_march_ends_by_seconds_and_by_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    found = pf.march(advection(), WAVES, pf.GaussNewton(60), seconds=1e-9)
    assert found.ended == "time limit"
    assert "came to t = 0 of 1" in found.status

    def stopped(*given: Any, **named: Any) -> Any:
        raise pf.TrainingInterrupted(pf.solve(advection(), "pinn", pf.Adam(0)), None, 15)  # type: ignore[arg-type]

    monkeypatch.setattr("psinn_fast.marching.march.trained", stopped)
    with pytest.raises(pf.MarchInterrupted, match="at t = 0") as caught:
        pf.march(advection(), WAVES)
    assert caught.value.result.ended == "interrupted"
    assert caught.value.signal == 15


@pytest.mark.parametrize(
    ("network", "order", "warning"),
    [
        (WAVES, 1, None),
        (WAVES, 2, None),
        (pf.Network(layers=[2, 4, 1]), 1, "of order 1 in x, with no condition at its ends"),
        (pf.Network(layers=[2, 4, 1], embedding=pf.Embedding.fourier(4)), 2, "of order 2 in x, with no condition"),
        (pf.Network(layers=[2, 4, 1], ansatz=pf.Ansatz(u=lambda u, x: (1 + x) * u)), 1, None),
        (pf.Network(layers=[2, 4, 1], ansatz=pf.Ansatz(u=lambda u, x: (1 + x) * u)), 2, "with only 1 condition"),
        (pf.Network(layers=[2, 4, 1], ansatz=pf.Ansatz(u=lambda u, x: (1 - x**2) * u)), 2, None),
    ],
)
def test_missing_boundary_conditions_are_said(network: pf.Network, order: int, warning: str | None) -> None:
    """As `solve` says it: no residual does. Of all times, by the network's ansatz and embedding."""
    pde = pf.PDE("t x", "u", lambda u: u.t - u.xx) if order == 2 else pf.PDE("t x", "u", lambda u: u.t + u.x)
    problem = pf.Problem("open", pde, BOX, [pf.Residual(BOX.random(60, 0)), INITIAL])
    with pytest.raises(pf.TrainingError) as caught:
        pf.march(problem, network, pf.GaussNewton(0), windows=1)
    result = caught.value.result
    found = [text for text in result.warnings if "at its ends" in text]
    assert len(found) == (warning is not None)
    assert warning is None or (warning in found[0] and found[0] in result.status and found[0] in str(caught.value))


def test_points_may_be_none(marched: pf.Marched) -> None:
    assert marched(np.zeros((0, 2))).shape == (0, 1)
    assert marched(np.zeros((3, 0, 2))).shape == (3, 0, 1)
    assert marched(torch.zeros(0, 2)).shape == (0, 1)
    assert marched.derivatives(np.zeros((0, 2)), "u_t u_xx").u_xx.shape == (0,)
    nothing = pf.march(advection(), WAVES, pf.GaussNewton(60), seconds=1e-9)
    assert nothing.metrics["relative_l2"] is None
    for points in ([0.0, 0.0], np.zeros((0, 2))):
        with pytest.raises(pf.InputError, match="no window is done"):
            nothing(points)


MEASURED = pf.Data([[0.5, 0.0]], u=0.1)
LATER = pf.Dirichlet([[0.5, -1.0], [0.5, 1.0]], u=0.1)
WALL = pf.Dirichlet(BOX.face("x", "low", 5), u=0.0)
INITIAL = pf.Dirichlet(START, u=first)


@pytest.mark.parametrize(
    ("make", "named", "message"),
    [
        (lambda: advection(time=None), {}, "it has no time"),
        (lambda: advection(INITIAL, MEASURED), {}, "is of measurements"),
        (lambda: advection(INITIAL, LATER), {}, "holds at a single time, 0.5"),
        (lambda: advection(WALL), {}, "no condition at its first time, t = 0"),
        (
            lambda: advection(pf.Residual(START, lambda u: u.x)),
            {},
            r"nothing says what u is at its first time.*Dirichlet",
        ),
        (
            lambda: advection(pf.Dirichlet(BOX.boundary(9, ["t_low", "x_low"]), u=first)),
            {},
            "at the first time and at later ones; make it two",
        ),
        (advection, {"windows": 0}, "windows: expected 'auto', edges, or an integer"),
        (advection, {"windows": True}, "windows: expected 'auto', edges, or an integer"),
        (advection, {"windows": "auto "}, "windows: expected a number of windows"),
        (advection, {"windows": [0, 0.5]}, "expected edges from 0 to 1, the problem's times, got 0 to 0.5"),
        (advection, {"windows": [0, 0.7, 0.3, 1]}, "increasing"),
        (advection, {"windows": [0, math.nan, 1]}, "windows"),
        (advection, {"tolerance": 0}, "tolerance"),
        (advection, {"tolerance": None}, "tolerance: windows='auto' needs one"),
        (advection, {"network": pf.Network("pinn", dtype="float32")}, "float64, since errors of its windows add up"),
        (advection, {"network": pf.MLP([2, 4, 1])}, "a march makes one for each window"),
        (advection, {"seconds": -1}, "seconds"),
        (advection, {"warm": 1}, "warm: expected True or False"),
        (advection, {"options": pf.Options(resume=True)}, "resume"),
    ],
)
def test_what_cannot_be_marched_is_refused(make: Callable[[], pf.Problem], named: dict[str, Any], message: str) -> None:
    with pytest.raises(pf.InputError, match=message):
        pf.march(make(), **{"network": WAVES, **named})


def test_equations_without_time_and_of_third_order_are_refused() -> None:
    still = pf.Problem("still", pf.PDE("t x", "u", lambda u: u.x), BOX, [pf.Residual(BOX.random(20, 0)), INITIAL])
    with pytest.raises(pf.InputError, match="no derivative in time"):
        pf.march(still)
    third = pf.Problem("third", pf.PDE("t x", "u", lambda u: u.ttt), BOX, [pf.Residual(BOX.random(20, 0)), INITIAL])
    with pytest.raises(pf.InputError, match="order 3 in t"):
        pf.march(third)
    unknown = pf.PDE("t x", "u", lambda u, c: u.t + c * u.x, unknown={"c": 1.0})
    with pytest.raises(pf.InputError, match="coefficient 'c' is unknown"):
        pf.march(pf.Problem("unknown", unknown, BOX, [pf.Residual(BOX.random(20, 0)), INITIAL]))


def test_points_beyond_the_windows_are_refused(marched: pf.Marched) -> None:
    with pytest.raises(pf.InputError, match="expected t from 0 to 1"):
        marched([1.1, 0.0])
    with pytest.raises(pf.InputError, match=r"shape \(\.\.\., 2\)"):
        marched([0.1, 0.2, 0.3])
    with pytest.raises(pf.InputError, match="require grad"):
        marched(torch.zeros(1, 2, requires_grad=True))


def test_continuations_are_equal_by_what_they_are(marched: pf.Marched) -> None:
    ansatz = marched.windows[1].net.structure.ansatz
    assert ansatz is not None
    own = ansatz.offset
    assert isinstance(own, Continuation)
    assert own == Continuation(own.windows, own.axis, own.orders, own.offset)
    with pytest.raises(pf.InputError, match="each from where the one before it ends"):
        Continuation((), 0, (1,), own.offset)


@pytest.mark.parametrize("n", [3, 300])
def test_gradients_go_through_what_a_window_continues(marched: pf.Marched, n: int) -> None:
    """Nested, by torch's transforms, and of derivatives: all see where the window before it ended."""
    net = marched.windows[1].net
    points = torch.from_numpy(np.array(BOX.random(n, 5))).requires_grad_()
    wanted = pf.derivatives(net, points.detach(), "u_t u_x u_xx u_tx", coords="t x", fields="u")
    (slope,) = torch.autograd.grad(net(points).sum(), points, create_graph=True)
    (second,) = torch.autograd.grad(slope[:, 1].sum(), points)
    (of_derivative,) = torch.autograd.grad(
        pf.derivatives(net, points, "u_x", coords="t x", fields="u").u_x.sum(), points
    )
    rows = torch.func.vmap(torch.func.jacrev(net))(points.detach())
    close = {"rtol": 1e-10, "atol": 1e-11}
    torch.testing.assert_close(slope, torch.stack([wanted.u_t, wanted.u_x], 1), **close)
    torch.testing.assert_close(second, torch.stack([wanted.u_tx, wanted.u_xx], 1), **close)
    torch.testing.assert_close(of_derivative, second, **close)
    torch.testing.assert_close(rows[:, 0], slope.detach(), **close)


def test_marches_are_copied_and_pickled(marched: pf.Marched) -> None:
    own = marched.windows[1].net
    for net in (copy.deepcopy(own), pickle.loads(pickle.dumps(own))):
        np.testing.assert_array_equal(net.predict([0.5, 0.2]), own.predict([0.5, 0.2]))
        assert net.structure == own.structure
