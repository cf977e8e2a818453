"""Other starts: given up for one are those that end up in a poor minimum, or where nothing moves."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sympy
import torch
from small import decay, newton, small_laplace

from psinn_fast import (
    MLP,
    PDE,
    Box,
    Dirichlet,
    GaussNewton,
    Options,
    Problem,
    PsiMLP,
    Residual,
    SignedPermutation,
    Symmetry,
    TrainingInterrupted,
    Tuning,
    fit,
    structure_from_group,
)
from psinn_fast.kernels import get_backend
from psinn_fast.training.least_squares import Equations
from psinn_fast.training.optimisers import gauss_newton
from psinn_fast.training.optimisers.marching import March
from psinn_fast.training.optimisers.marquardt import Failure, Marquardt
from psinn_fast.training.optimisers.multi_start import better_start


def saturated(scale: float = 30.0) -> MLP:
    net = MLP([1, 6, 1], seed=0, dtype=torch.float64)
    with torch.no_grad():
        net.theta.mul_(scale)
    return net


@pytest.mark.trajectory
def test_a_poor_start_is_given_up_and_resume_repeats_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psinn_fast.training.optimisers.gauss_newton.COMPARED_AFTER", 8)
    options, path = GaussNewton(20, tuning=Tuning(starts=3)), tmp_path / "c.safetensors"
    net = saturated()
    result = fit(decay(), net, options, checkpoint=path)
    alone = fit(decay(), saturated(), replace(options, tuning=Tuning(starts=1)))
    assert result.steps == alone.steps == 20
    assert sum(result.losses.values()) < 0.01 * sum(alone.losses.values())
    # The loss that the history shows falls where the other start takes over.
    losses = result.history["loss"]
    assert losses[8] < 0.01 * losses[7]
    # Halted among the other starts, it tries them again; afterwards it does not.
    again, other = saturated(), tmp_path / "d.safetensors"
    with monkeypatch.context() as patch:
        patch.setattr(
            "psinn_fast.training.optimisers.gauss_newton.better_start", lambda *_: os.kill(os.getpid(), signal.SIGINT)
        )
        with pytest.raises(TrainingInterrupted):
            fit(decay(), again, options, checkpoint=other)
    fit(decay(), again, options, checkpoint=other, options=Options(resume=True))
    assert torch.equal(again.theta, net.theta)
    fit(decay(), again, options, checkpoint=path, options=Options(resume=True))
    assert torch.equal(again.theta, net.theta)


@pytest.mark.parametrize(
    ("problem", "options", "coefficients", "compare_at", "starts"),
    [
        (small_laplace(), {}, None, None, 1),
        # Unknown coefficients, unless it is said where they start; or where starts are asked for.
        (decay(), {}, None, 2, 1),
        (decay(), {}, {"k": 0.7}, None, 1),
        (decay(), {"starts": 3}, {"k": 0.7}, 2, 2),
        (small_laplace(), {"starts": 2}, None, 2, 1),
        (small_laplace(), {"starts": 1}, None, 2, 0),
    ],
)
def test_which_other_starts_are_tried_and_when(
    problem: Problem,
    options: dict[str, int],
    coefficients: dict[str, float] | None,
    compare_at: int | None,
    starts: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []

    def better(run: Marquardt, others: list[Callable[[], Marquardt]], iterations: int, _: object) -> Marquardt:
        made = [other() for other in others]
        assert all(torch.equal(a.x, run.x) is False for a in made)
        assert [a.coefficients for a in made] == starts * [run.coefficients]
        seen.append((iterations, len(made)))
        return run

    monkeypatch.setattr(gauss_newton, "wants_another_start", lambda *args: seen.append(args[-1]) or True)
    monkeypatch.setattr(gauss_newton, "better_start", better)
    net = MLP([len(problem.pde.coords), 4, 1], seed=0, dtype=torch.float64)
    fit(problem, net, newton(steps=2, **options), coefficients=coefficients)
    assert seen == ([compare_at, (2, starts)] if starts else [])


def test_another_start_is_one_unit_where_the_guess_is_far_off(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, seen = replace(decay(), guess={"k": -1e4}), []
    problem.__dict__["unknowns"] = replace(problem.unknowns, units={"k": 2.0})  # as in natural units
    monkeypatch.setattr(gauss_newton, "wants_another_start", lambda *_: True)
    monkeypatch.setattr(gauss_newton, "better_start", lambda run, others, *_: seen.append(others[0]()) or run)
    result = fit(problem, MLP([1, 4, 1], seed=0, dtype=torch.float64), GaussNewton(1))
    assert result.history["k"][0] == -1e4
    assert seen[0].coefficients == {"k": -2.0}


@pytest.mark.parametrize("taken", [True, False])
@pytest.mark.parametrize("by", ["another start", "marching"])
def test_what_takes_over_from_a_dead_end_goes_on(by: str, taken: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """And where nothing does, the run ends for the reason that it had."""
    problem, runs = decay(), list[Marquardt]()
    advance = Marquardt.advance

    def stuck(run: Marquardt, equations: Equations) -> str | None:
        runs[:] = runs or [run]
        return "no descent" if run is runs[0] else advance(run, equations)

    def found(run: Marquardt) -> Marquardt:
        net = MLP([1, 6, 1], seed=5, dtype=torch.float64)
        return Marquardt(problem, net, options, get_backend("cpu")) if taken else run

    seen = list[str | None]()

    def asked(reason: str | None) -> bool:
        seen.append(reason)
        return seen.count("no descent") == 1 and reason is not None

    if by == "marching":
        monkeypatch.setattr(gauss_newton, "wants_another_start", lambda *_: False)
        monkeypatch.setattr(March, "is_due", lambda march, run, reason: asked(reason))
        monkeypatch.setattr(March, "begin", lambda march, run, *_: found(run))
    else:
        monkeypatch.setattr(gauss_newton, "wants_another_start", lambda run, reason, *_: asked(reason))
        monkeypatch.setattr(gauss_newton, "better_start", lambda run, *_: found(run))
        monkeypatch.setattr(March, "is_due", lambda *_: False)
    monkeypatch.setattr(Marquardt, "advance", stuck)
    options = GaussNewton(3)
    result = fit(problem, MLP([1, 6, 1], seed=0, dtype=torch.float64), options)
    assert (result.steps, result.stopped_by) == ((3, "steps") if taken else (0, "no descent"))
    assert seen.count("no descent") == (1 if taken or by == "another start" else 2)


class Racer:
    """A run whose loss after some steps is known."""

    def __init__(self, loss: float, failing: bool = False) -> None:
        self.loss, self.step, self.failing = loss, 0, failing

    def linearise(self) -> None:
        if self.failing:
            raise Failure("term", self.step)

    def advance(self, equations: None) -> None:
        self.step += 1


@pytest.mark.parametrize(
    ("losses", "kept"), [((99.0, 1.0), 0), ((101.0, 1.0), 1), ((1.0, 2.0, 0.5), 0), ((500.0, 3.0, 2.0), 2)]
)
def test_only_a_clearly_worse_start_is_given_up(losses: tuple[float, ...], kept: int) -> None:
    runs = [Racer(loss) for loss in losses]
    others = [lambda run=run: run for run in (*runs[1:], Racer(0.0, failing=True))]
    assert better_start(runs[0], others, 5, lambda: False) is runs[kept]
    assert [run.step for run in runs[1:]] == [5] * (len(runs) - 1)
    assert better_start(runs[0], [lambda: Racer(0.0)], 5, lambda: True) is None


@pytest.mark.trajectory
@pytest.mark.parametrize("starts", [1, "auto"])
def test_a_start_without_gradient_is_given_up(starts: int | str) -> None:
    """An odd network is zero, with all of its derivatives, where its neurons are zero or saturated."""
    odd = structure_from_group([Symmetry(SignedPermutation.flip(1, 0), (-1,))], (4,))
    box = Box(x=(-1, 1))
    pde = PDE("x", "u", lambda u, x: u.x - sympy.cos(x))
    problem = Problem("sine", pde, box, [Residual(box.grid(21)), Dirichlet([[0.0]], u=0.0)])
    net = PsiMLP(odd, dtype=torch.float64)
    with torch.no_grad():
        net.theta.zero_()
    result = fit(problem, net, GaussNewton(30, tuning=Tuning(starts=starts)))
    if starts == 1:
        assert (result.stopped_by, result.steps) == ("gradient", 0)
    else:
        assert 0 < result.steps <= 30
        assert result.losses["residual"] < 1e-4
