"""Marching in time: which problems, which windows, and that nothing of it is lost on the way."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from heat import INITIAL, WALLS, box, problem, sine

from psinn_fast import (
    MLP,
    PDE,
    Box,
    CheckpointError,
    Dirichlet,
    GaussNewton,
    Network,
    Options,
    Problem,
    Residual,
    TrainingInterrupted,
    fit,
    solve,
)
from psinn_fast.training import factorisations, least_squares, residuals, stability
from psinn_fast.training.abort import look_up
from psinn_fast.training.optimisers import marching
from psinn_fast.training.optimisers.marching import until
from psinn_fast.training.optimisers.marquardt import Failure, Marquardt
from psinn_fast.training.result import FitResult

pytestmark = pytest.mark.verdict


@pytest.fixture
def marches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short windows, whatever the problem, and nothing about the end of the run, which is judged at each of many."""
    for name in ("CHANGED_BESIDE", "CHANGED", "MOST_UNKNOWNS"):
        monkeypatch.setattr(stability, name, 40)
    monkeypatch.setattr(marching, "TRIALS", ((4, 1e9), (6, 0.0)))
    monkeypatch.setattr(marching, "_FIRST", 0.1)
    monkeypatch.setattr(marching, "_LOOK", 2)
    monkeypatch.setattr(marching, "_MOST", 8)
    monkeypatch.setattr(marching, "_LONGEST", 8)
    monkeypatch.setattr(marching, "_FAIR", 1e-4)


def trained(iterations: int = 60, path: Path | None = None, resume: bool = False) -> tuple[FitResult, MLP]:
    net = MLP([2, 8, 1], seed=3, dtype=torch.float64)
    return fit(
        problem(INITIAL, *WALLS), net, GaussNewton(iterations), checkpoint=path, options=Options(resume=resume)
    ), net


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
@pytest.mark.usefixtures("marches")
def test_a_window_whose_residuals_become_infinite_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    linearise, ends = Marquardt.linearise, list[float]()

    def failing(run: Marquardt) -> Any:
        end = float(run.problem.domain.high[0])
        if end < 3 and end not in ends:
            ends.append(end)
            if len(ends) in (3, 4):
                raise Failure("term 'residual'", run.step)
        return linearise(run)

    monkeypatch.setattr(Marquardt, "linearise", failing)
    result, _ = trained(120)
    assert ends[2] > ends[3] > ends[4]
    assert result.ended == "done"
    assert not any("training came" in warning for warning in result.warnings)


@pytest.mark.trajectory
@pytest.mark.usefixtures("marches")
@pytest.mark.parametrize(("hopeless", "begins"), [(1e9, 4), (0.0, 6)])
def test_a_run_whose_loss_has_hardly_fallen_is_looked_at_later(
    hopeless: float, begins: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, steps = marching.March._run, list[int]()

    def run(march: marching.March, x: torch.Tensor) -> Marquardt:
        steps.append(march.before)
        return window(march, x)

    monkeypatch.setattr(marching, "TRIALS", ((4, -1.0), (6, -1.0)))
    monkeypatch.setattr(marching, "_HOPELESS", hopeless)
    monkeypatch.setattr(marching.March, "_run", run)
    trained(10)
    assert steps[0] == begins


@pytest.mark.trajectory
@pytest.mark.usefixtures("marches")
@pytest.mark.parametrize("hopeless", [True, False])
def test_a_first_window_that_is_hopeless_is_tried_from_other_weights(
    hopeless: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, starts = marching.March._run, list[torch.Tensor]()

    def run(march: marching.March, x: torch.Tensor) -> Marquardt:
        starts.append(x.clone())
        return window(march, x)

    monkeypatch.setattr(marching, "TRIALS", ((4, -1.0), (6, -1.0)))
    monkeypatch.setattr(marching.March, "_run", run)
    monkeypatch.setattr(marching.March, "_is_hopeless", lambda *_: hopeless)
    monkeypatch.setattr(marching.March, "_is_determined", lambda *_: False)
    for level in ("_SOLVED", "_FAIR"):
        monkeypatch.setattr(marching, level, 0.0)
    trained(30)
    assert len(starts) > 2
    assert torch.equal(starts[0], MLP([2, 8, 1], seed=3, dtype=torch.float64).theta.detach())
    assert torch.equal(starts[1], starts[0]) != hopeless
    assert not torch.equal(starts[2], starts[1])


def parts_of_windows(monkeypatch: pytest.MonkeyPatch, allowed: Callable[[float], float]) -> list[float]:
    """The parts of all times that are trained on, where no loss is small and ``allowed`` errors are those of a part."""
    begin, parts, asked = marching.March._run, list[float](), list[float]()

    def errors(problem: Problem, *_: Any) -> dict[str, float]:
        end = float(problem.domain.high[0])
        asked.append(1e10 if not parts else allowed((end - 1) / 2))
        return {"u": asked[-1]}

    def run(march: marching.March, x: torch.Tensor) -> Marquardt:
        parts.append(march.part)
        march.level = 0.0  # of the window before, which would do for this one, too
        return begin(march, x)

    for level, value in (("_SOLVED", 0.0), ("_FAIR", 0.0), ("_HOPELESS", 1e9)):
        monkeypatch.setattr(marching, level, value)
    monkeypatch.setattr(marching, "possible_errors", errors)
    monkeypatch.setattr(marching.March, "_run", run)
    result, _ = trained(150)
    assert not any("training came" in warning for warning in result.warnings)
    return parts


@pytest.mark.trajectory
@pytest.mark.usefixtures("marches")
def test_a_window_whose_residuals_allow_no_large_errors_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parts_of_windows(monkeypatch, lambda part: 0.09)[:3] == pytest.approx([0.1, 0.2, 0.4])


@pytest.mark.trajectory
@pytest.mark.usefixtures("marches")
def test_a_window_whose_residuals_allow_large_errors_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = parts_of_windows(monkeypatch, lambda part: 0.11 if 0.19 < part < 0.21 else 0.09)
    assert parts[:3] == pytest.approx([0.1, 0.2, 0.15])


@pytest.mark.trajectory
@pytest.mark.usefixtures("marches")
def test_all_times_are_a_window_like_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a step onto all times is too long, windows go on from where they were."""
    tried = list[float]()

    def allowed(part: float) -> float:
        tried.append(part)
        return 0.2 if part == 1 and tried.count(1.0) == 1 else 0.05

    parts = parts_of_windows(monkeypatch, allowed)
    first = parts.index(1.0)
    assert parts[first - 1] < parts[first + 1] < 1
    assert parts[first + 2 :] == [1.0]


@pytest.mark.trajectory
@pytest.mark.usefixtures("marches")
def test_windows_that_never_help_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for level in ("_SOLVED", "_FAIR", "_HOPELESS"):
        monkeypatch.setattr(marching, level, 0.0)
    monkeypatch.setattr(marching, "_SMALLEST", 1e-3)
    monkeypatch.setattr(marching, "_LONGEST", 10)
    after, steps = marching.March.after, list[int]()

    def counted(march: marching.March, run: Marquardt | None) -> Marquardt:
        steps.append(run.step if run is not None else 0)
        return after(march, run)

    monkeypatch.setattr(marching.March, "after", counted)
    result, _ = trained(120)
    assert steps == [10] * len(steps)  # nothing is hopeless before the initial state is learnt
    assert result.losses["residual"] < 1e-3  # over all times
    assert not any("training came" in warning for warning in result.warnings)


@pytest.mark.trajectory
@pytest.mark.usefixtures("marches")
def test_weights_of_a_window_that_are_nothing_later_are_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    full_losses, looked_at = Marquardt.full_losses, list[Marquardt]()

    def infinite_once(run: Marquardt) -> list[float]:
        looked_at.append(run)
        if len(looked_at) == 1:
            raise Failure("term 'residual'", run.step)
        return full_losses(run)

    monkeypatch.setattr(Marquardt, "full_losses", infinite_once)
    result, net = trained(9)
    assert np.isfinite(result.loss)
    monkeypatch.setattr(marching, "TRIALS", ())
    monkeypatch.setattr(Marquardt, "full_losses", full_losses)
    _, plain = trained(6)
    assert torch.equal(net.theta, plain.theta)


@pytest.mark.trajectory
@pytest.mark.usefixtures("marches")
def test_a_target_that_knows_no_other_points_is_cut() -> None:
    at, wall = (set(points.tolist()) for points in (box.face("t", "low", 9)[:, 1], WALLS[0].sites[0][:, 0]))

    def only_there(t: Any, x: Any) -> Any:
        if not at.issuperset(x.tolist()):
            raise ValueError("nobody knows")
        return sine(t, x)

    def only_on_the_wall(t: Any, x: Any) -> Any:
        if not wall.issuperset(t.tolist()):
            raise ValueError("nobody knows")
        return 0 * t

    known = Dirichlet(box.face("x", "low", 9), u=only_on_the_wall, name="known")
    result = fit(
        problem(Dirichlet(box.face("t", "low", 9), u=only_there), known, WALLS[1]),
        MLP([2, 8, 1], seed=3, dtype=torch.float64),
        GaussNewton(20),
    )
    assert result.steps == 20


@pytest.mark.trajectory
@pytest.mark.usefixtures("marches")
@pytest.mark.parametrize("points", ["auto", "all"])
def test_ctrl_c_at_any_look_of_a_march_leaves_the_iteration_before(
    points: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(path: Path | None, resume: bool = False) -> torch.Tensor:
        net, options = MLP([2, 8, 1], seed=3, dtype=torch.float64), GaussNewton(40, points=points)
        fit(problem(INITIAL, *WALLS), net, options, checkpoint=path, options=Options(resume=resume))
        return net.theta.detach()

    looks = [0, -1]  # those of a run, and at which Ctrl-C comes

    def look() -> None:
        looks[0] += 1
        if looks[0] == looks[1]:
            os.kill(os.getpid(), signal.SIGINT)
        look_up()

    for module in (residuals, factorisations, least_squares):
        monkeypatch.setattr(module, "look_up", look)
    expected, made = run(None), looks[0]
    for share in (0.15, 0.3, 0.5, 0.7, 0.9):
        looks[:], path = [0, round(share * made) or 1], tmp_path / f"{share}.safetensors"
        with pytest.raises(TrainingInterrupted):
            run(path)
        looks[1] = -1
        assert torch.equal(run(path, resume=True), expected)


@pytest.mark.trajectory
@pytest.mark.usefixtures("marches")
def test_ctrl_c_while_a_window_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, made, make = tmp_path / "run.safetensors", [0], until

    def interrupted(whole: Problem, part: float) -> Problem:
        made[0] += 1
        if made[0] == 3:
            os.kill(os.getpid(), signal.SIGINT)
            look_up()
        return make(whole, part)

    expected, _ = trained()
    with monkeypatch.context() as patch:
        patch.setattr(marching, "until", interrupted)
        with pytest.raises(TrainingInterrupted):
            trained(path=path)
    assert made == [3]
    result, _ = trained(path=path, resume=True)
    assert result.history["step"] == expected.history["step"]
    assert result.history["loss"] == expected.history["loss"]


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
    solution = solve(curve, Network(layers=[1, 12, 12, 1]), GaussNewton(700), seed=0)
    error = solution.metrics["relative_l2"]
    assert isinstance(error, float)
    assert error < 1e-4
    assert solution.warnings == ()
    alone = solve(curve, Network(layers=[1, 12, 12, 1]), GaussNewton(100, march=False), seed=0)
    error = alone.metrics["relative_l2"]
    assert isinstance(error, float)
    assert error < alone.possible_errors["u"]
