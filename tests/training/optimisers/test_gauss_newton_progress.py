"""What is shown and kept while Gauss-Newton goes on: title, iterations, notes; the checkpoint of a diverged run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small import decay, network, small_laplace

from psinn_fast import MLP, PDE, Box, Dirichlet, DivergedError, GaussNewton, Problem, Residual, Tuning, fit
from psinn_fast.training import factorisations, history, parts, residuals, trainer
from psinn_fast.training.least_squares import Equations
from psinn_fast.training.optimisers import gauss_newton, marching
from psinn_fast.training.optimisers.marquardt import Failure, Marquardt
from psinn_fast.training.progress import TrainingProgress

FLOAT64 = torch.float64


class Shown(TrainingProgress):
    """Keeps what it is given, and shows nothing."""

    def __init__(self, title: str, steps: int, shown: bool, under_way: Callable[[], str], first: int) -> None:
        super().__init__(title, steps, shown=False)
        self.under_way = under_way
        self.title, self.most, self.rows = title, steps, list[tuple[int, str]]()
        made.append(self)

    def update(self, step: int, note: str) -> None:
        self.rows.append((step, note))


made = list[Shown]()


@pytest.fixture(autouse=True)
def _kept(monkeypatch: pytest.MonkeyPatch) -> None:
    made.clear()
    monkeypatch.setattr(trainer, "TrainingProgress", Shown)


def test_title_iterations_and_losses_are_shown() -> None:
    result = fit(small_laplace(), network(), GaussNewton(3))
    (shown,) = made
    assert shown.title == small_laplace().name
    assert shown.most == 3
    *rows, again = shown.rows
    assert again == rows[-1]  # when nothing is compiled any more
    assert [step for step, _ in rows] == [1, 2, 3]
    assert [note.split("  ")[0] for _, note in rows] == [f"loss {loss:.2e}" for loss in result.history["loss"][:3]]


@pytest.mark.parametrize("module", [residuals, factorisations], ids=["rows of J", "Cholesky"])
def test_what_a_long_step_is_at_is_shown(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that draws asks while a step is under way: part, share of it, seconds of the step."""
    seen = list[str]()
    monkeypatch.setattr(module, "look_up", lambda: seen.append(made[0].under_way()))
    monkeypatch.setattr(parts, "_LONG", 0.0)
    monkeypatch.setattr(factorisations, "AT_ONCE", 1.0)
    monkeypatch.setattr(factorisations, "_PANEL", 8)
    fit(small_laplace(), network(), GaussNewton(1))
    assert any(re.fullmatch(r"solution \d+%, \d+ s", text) for text in seen), seen
    assert made[0].under_way() == ""


def test_other_starts_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauss_newton, "COMPARED_AFTER", 2)
    net = MLP([1, 6, 1], seed=0, dtype=FLOAT64)
    with torch.no_grad():
        net.theta.mul_(30.0)
    fit(decay(), net, GaussNewton(4, tuning=Tuning(starts=3)))
    assert (2, "trying other starts") in made[0].rows


@pytest.mark.trajectory
def test_windows_of_time_are_shown_and_their_iterations_counted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TRIALS": ((4, 1e9), (6, 0.0)), "_FIRST": 0.1, "_LOOK": 2, "_MOST": 8, "_LONGEST": 8}.items():
        monkeypatch.setattr(marching, name, value)
    monkeypatch.setattr(history, "HISTORY_ROWS", 4)
    box = Box(t=(1, 3), x=(0, 1))
    start = Dirichlet(box.face("t", "low", 9), u=lambda t, x: np.sin(np.pi * x), name="start")
    walls = [Dirichlet(box.face("x", end, 9), u=0.0, name=end) for end in ("low", "high")]
    heat = Problem("heat", PDE("t x", "u", lambda u: u.t - 0.1 * u.xx), box, [Residual(box.grid(9)), start, *walls])
    result = fit(heat, MLP([2, 8, 1], seed=3, dtype=FLOAT64), GaussNewton(20))
    steps = [step for step, _ in made[0].rows]
    assert steps == sorted(steps)
    assert steps[-1] == 20
    in_windows = [note for step, note in made[0].rows if step > 12]
    assert in_windows
    assert all(note.startswith("up to t = 1.") and "loss " in note for note in in_windows)
    assert {step % 5 for step in result.history["step"]} == {0}


def test_a_diverged_run_leaves_its_last_good_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    linearise = Marquardt.linearise

    def failing(run: Marquardt) -> Equations:
        if run.step == 3:
            raise Failure("the Jacobian", 3)
        return linearise(run)

    net, path = network(), tmp_path / "c.safetensors"
    with monkeypatch.context() as patch:
        patch.setattr(Marquardt, "linearise", failing)
        with pytest.raises(DivergedError, match="Jacobian"):
            fit(small_laplace(), net, GaussNewton(6), checkpoint=path)
    kept = load_file(path)["x"]
    assert torch.equal(kept, net.theta)
    assert not torch.equal(kept, network().theta)
