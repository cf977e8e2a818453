"""Marching in time: which problems, which windows, and that nothing of it is lost on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from psinn_fast import (
    PDE,
    Box,
    CheckpointError,
    Data,
    Dirichlet,
    GaussNewton,
    Neumann,
    Periodic,
    Problem,
    Residual,
    TanhMLP,
    fit,
    solve,
)
from psinn_fast.conditions import Condition
from psinn_fast.training import marching
from psinn_fast.training.marching import is_initial_value_problem, until
from psinn_fast.training.result import FitResult

box = Box(t=(1, 3), x=(0, 1))
heat = PDE("t x", "u", lambda u: u.t - 0.1 * u.xx)


def sine(t: Any, x: Any) -> Any:
    return np.sin(np.pi * x) * np.exp(-0.1 * np.pi**2 * (t - 1))


INITIAL = Dirichlet(box.face("t", "low", 9), u=sine, name="initial")
WALLS = [Dirichlet(box.face("x", end, 9), u=0.0, name=end) for end in ("low", "high")]


def problem(*more: Condition, pde: PDE = heat, domain: Box = box) -> Problem:
    return Problem("heat", pde, domain, [Residual(box.grid(9)), *more], exact=lambda x: sine(x[:, 0], x[:, 1]))


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([INITIAL, *WALLS], True),
        ([INITIAL], True),
        ([INITIAL, Periodic(box.face("x", "low", 9), box.face("x", "high", 9), "u u_x")], True),
        ([Dirichlet(np.array(box.face("t", "low", 9)), u=np.zeros(9)), *WALLS], True),
        (WALLS, False),  # from nowhere
        ([Dirichlet(box.face("t", "high", 9), u=sine), *WALLS], False),
        ([INITIAL, Dirichlet(box.face("t", "high", 9), u=sine)], False),
        ([Dirichlet(box.boundary(9), u=sine)], False),
        ([Periodic(box.face("t", "low", 9), box.face("t", "high", 9), "u"), *WALLS], False),
        ([INITIAL, *WALLS, Data(box.random(5, 0), u=np.zeros(5))], False),
        ([Dirichlet(box.face("t", "low", 9), u=sine, weight=0), *WALLS], False),
    ],
)
def test_initial_value_problems(conditions: list[Condition], expected: bool) -> None:
    assert is_initial_value_problem(problem(*conditions)) == expected


def test_no_time_and_unknown_coefficients_are_no_initial_value_problems() -> None:
    other = PDE("t x", "u", lambda u: u.t - 0.1 * u.xx, time=None)
    assert not is_initial_value_problem(problem(INITIAL, *WALLS, pde=other))
    inverse = PDE("t x", "u", lambda u, a: u.t - a * u.xx, unknown={"a": 0.1})
    assert not is_initial_value_problem(problem(INITIAL, *WALLS, pde=inverse))


def test_windows_hold_the_beginning_of_everything() -> None:
    array = np.random.default_rng(0).uniform([1, 0], [3, 1], (400, 2))
    numbers = Dirichlet(np.stack([np.linspace(1, 3, 101), np.ones(101)], 1), u=np.arange(101.0), name="numbers")
    flux = Neumann(box.face("x", "high", 9), [0.0, 1.0], u=lambda t, x: t, name="flux")
    whole = problem(INITIAL, WALLS[0], flux, numbers, Residual(array, name="array"))
    window = until(whole, 0.25)
    assert window.domain.low.tolist() == [1, 0]
    assert window.domain.high.tolist() == [1.5, 1]
    residual, initial, wall, flow, cut, some = window.conditions
    assert residual.sites[0][:, 0].max() == residual.regions[0].high[0, 0] == 1.5  # type: ignore[union-attr]
    assert len(residual.sites[0]) == 81
    assert np.array_equal(initial.sites[0], INITIAL.sites[0])
    assert wall.sites[0][:, 0].max() == 1.5
    assert np.array_equal(flow.columns["u"], flow.sites[0][:, 0])
    assert cut.columns["u"].tolist() == list(range(26))
    assert cut.regions == some.regions == (None,)
    assert np.array_equal(some.sites[0], array[array[:, 0] <= 1.5])
    early = until(whole, 1e-6)
    assert [len(condition.sites[0]) for condition in early.conditions[-2:]] == [10, 10]
    assert set(early.conditions[-1].sites[0][:, 0]) == set(np.sort(array[:, 0])[:10])
    for term in (*window.terms(torch.float64), *early.terms(torch.float64)):
        assert bool(torch.isfinite(term.columns).all())


@pytest.fixture
def marches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short windows, whatever the problem."""
    monkeypatch.setattr(marching, "TRIALS", ((4, 1e9), (6, 0.0)))
    monkeypatch.setattr(marching, "_FIRST", 0.1)
    monkeypatch.setattr(marching, "_LOOK", 2)
    monkeypatch.setattr(marching, "_MOST", 8)
    monkeypatch.setattr(marching, "_LONGEST", 8)
    monkeypatch.setattr(marching, "_FAIR", 1e-4)


def trained(iterations: int = 60, path: Path | None = None, resume: bool = False) -> tuple[FitResult, TanhMLP]:
    net = TanhMLP([2, 8, 1], seed=3, dtype=torch.float64)
    return fit(problem(INITIAL, *WALLS), net, GaussNewton(iterations), checkpoint=path, resume=resume), net


@pytest.mark.trajectory
@pytest.mark.usefixtures("marches")
def test_a_run_that_stops_anywhere_resumes_to_the_same_weights(tmp_path: Path) -> None:
    whole, net = trained()
    assert whole.history["step"] == sorted(set(whole.history["step"]))
    for stop in (3, 6, 7, 11, 14, 30, 59):
        path = tmp_path / f"{stop}.safetensors"
        part, _ = trained(stop, path)
        assert part.steps == stop
        resumed, again = trained(60, path, resume=True)
        assert torch.equal(again.theta, net.theta)
        assert resumed.losses == whole.losses


@pytest.mark.trajectory
@pytest.mark.usefixtures("marches")
def test_a_run_that_stops_in_a_window_says_so_and_returns_the_better_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _ = trained(9)
    assert any("training came up to t = 1.2 of 3" in warning for warning in result.warnings)
    monkeypatch.setattr(marching, "TRIALS", ())
    before, _ = trained(6)
    assert result.loss <= before.loss * (1 + 1e-9)
    assert not any("training came" in warning for warning in before.warnings)


@pytest.mark.trajectory
@pytest.mark.usefixtures("marches")
def test_a_checkpoint_with_numbers_of_no_march_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.safetensors"
    with monkeypatch.context() as patch:
        saved = marching.March.saved
        patch.setattr(marching.March, "saved", lambda self: (saved(self)[0], {**saved(self)[1], "march": [2.0] * 6}))
        trained(9, path)
    with pytest.raises(CheckpointError, match="march: no run has these"):
        trained(20, path, resume=True)


@pytest.mark.trajectory
def test_a_logistic_curve_from_its_initial_value_alone() -> None:
    """Over all times at once most of these end up at u = 0 or u = 1, with small residuals."""
    times = Box(t=(0, 1))
    curve = Problem(
        "logistic",
        PDE("t", "u", lambda u: u.t - 12 * u * (1 - u)),
        times,
        [Residual(times.grid(101)), Dirichlet([[0.0]], u=0.01)],
        exact=lambda x: 0.01 / (0.01 + 0.99 * np.exp(-12 * x[:, 0])),
    )
    solution = solve(curve, layers=[1, 12, 12, 1], optimizer="gauss-newton", steps=700, seed=0)
    error = solution.metrics["relative_l2"]
    assert isinstance(error, float)
    assert error < 1e-4
    assert solution.warnings == ()
    alone = solve(
        curve, layers=[1, 12, 12, 1], optimizer=GaussNewton(march=False), steps=100, seed=0
    )  # fmt: skip
    error = alone.metrics["relative_l2"]
    assert isinstance(error, float)
    assert error < alone.possible_errors["u"]
