"""The scripts of docs/training.md and docs/extending/optimiser.md run as they stand."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from small import small_laplace

import psinn_fast as pf

pytestmark = pytest.mark.verdict

DOCS = Path(__file__).parents[2] / "docs"
TEXT, EXTENDING = ((DOCS / page).read_text(encoding="utf-8") for page in ("training.md", "extending/optimiser.md"))
CALLS, EVERYTHING, PATIENCE, SCHEDULE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
OPTIMIZER, MOMENTUM = re.findall(r"```python\n(.*?)```", EXTENDING, re.DOTALL)


def run(text: str, **scope: Any) -> dict[str, Any]:
    exec(compile(text, "training.md", "exec"), scope)
    return scope


@pytest.mark.trajectory
def test_the_two_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = run(CALLS)
    assert (found["solution"].steps, found["result"].steps) == (200, 10)
    assert {path.name for path in tmp_path.iterdir()} == {"results", "run.safetensors"}


@pytest.mark.trajectory
def test_a_domain_a_callback_two_optimisers_and_a_resumed_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(EVERYTHING.strip().splitlines()) <= 50
    monkeypatch.chdir(tmp_path)
    found = run(EVERYTHING)
    first, second = found["first"], found["second"]
    assert (first.ended, first.stopped_by, first.steps) == ("stopped", "callback stop_at_night", 151)
    assert (second.ended, second.steps) == ("done", 300)
    assert second.metrics["relative_l2"] < 1e-4
    assert second.warnings == ()
    assert second.setup.optimizer == "adamw+gauss-newton"


def test_patience(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    patience = run(PATIENCE, pf=pf)["Patience"](looks=1)
    options = pf.Options(callbacks=patience)
    net = pf.MLP([2, 4, 1], seed=0, dtype="float64")
    result = pf.fit(
        small_laplace(5), net, pf.Adam(2_000, lr=0.3), checkpoint=tmp_path / "c.safetensors", options=options
    )
    assert result.stopped_by == "callback Patience"
    looks = [loss for loss in result.history["held_out"] if not math.isnan(loss)]
    assert all(b < a for a, b in pairwise(looks[:-1]))
    assert looks[-1] >= looks[-2]
    printed = capsys.readouterr().out
    assert "written" in printed
    assert printed.rstrip().endswith(result.status)
    assert result.history["held_out"].index(patience.best) < len(result.history) - 1
    assert not torch.equal(patience.net.theta, result.net.theta)
    again = pf.MLP([2, 4, 1], seed=0, dtype="float64")
    pf.fit(small_laplace(5), again, pf.Adam(2_000, lr=0.3), options=options)
    assert torch.equal(again.theta, result.net.theta)  # not ended earlier by what was kept


@pytest.mark.trajectory
def test_a_schedule_of_torch_in_a_resumed_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = run(SCHEDULE)
    assert (found["first"].ended, found["first"].steps) == ("stopped", 100)
    lr = found["second"].history["lr"]
    assert (lr[0], max(lr), lr[50]) == (pytest.approx(1e-4), pytest.approx(1e-2), max(lr))
    assert lr[-1] < 1e-6
    assert lr[100:] == sorted(lr[100:], reverse=True)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.trajectory
def test_an_optimiser_of_ones_own(tmp_path: Path) -> None:
    SignDescent = run(OPTIMIZER)["SignDescent"]
    whole, path = pf.MLP([2, 6, 1], seed=0, dtype="float64"), tmp_path / "c.safetensors"
    result = pf.fit(small_laplace(5), whole, SignDescent(200, 1e-3))
    assert result.losses["residual"] + result.losses["dirichlet"] < 0.9 * result.history["loss"][0]
    pf.fit(small_laplace(5), pf.MLP([2, 6, 1], seed=0, dtype="float64"), SignDescent(80, 1e-3), checkpoint=path)
    again = pf.MLP([2, 6, 1], seed=4, dtype="float64")
    pf.fit(small_laplace(5), again, SignDescent(200, 1e-3), checkpoint=path, options=pf.Options(resume=True))
    assert torch.equal(again.theta, whole.theta)
    sequence = pf.solve(small_laplace(5), pf.Network(layers=[2, 6, 1]), [SignDescent(5), pf.GaussNewton(3)])
    assert (sequence.steps, sequence.setup.optimizer) == (8, "sign-descent+gauss-newton")


@pytest.mark.usefixtures("one_thread")
@pytest.mark.trajectory
def test_a_run_with_a_state_of_its_own_is_resumed(tmp_path: Path) -> None:
    scope = run(OPTIMIZER)
    MomentumRun = run(MOMENTUM, SignRun=scope["SignRun"])["MomentumRun"]

    class Momentum(scope["SignDescent"]):  # type: ignore[misc, name-defined]  # of the docs
        def start(self, task: Any) -> Any:
            return MomentumRun(task, self)

    nets = [pf.MLP([2, 6, 1], seed=seed, dtype="float64") for seed in (0, 0, 4)]
    pf.fit(small_laplace(5), nets[0], Momentum(60, 1e-3))
    first = pf.fit(small_laplace(5), nets[1], Momentum(25, 1e-3))
    pf.fit(small_laplace(5), nets[2], Momentum(60, 1e-3), options=pf.Options(resume=first))
    assert torch.equal(nets[2].theta, nets[0].theta)


def test_columns_and_metrics_are_those_that_it_names() -> None:
    solution = pf.solve(small_laplace(5), pf.Network(layers=[2, 4, 1]), pf.Adam(1))
    section = TEXT[TEXT.index("## What comes back") : TEXT.index("## Going on")]
    named = set(re.findall(r"`(\w+)`", section))
    assert {*solution.metrics} <= named
    assert {*solution.history.columns} - {"residual", "dirichlet"} <= named


def test_errors_that_it_names_carry_what_was_reached() -> None:
    section = TEXT[TEXT.index("## Going on") :]
    named = re.findall(r"^\| `(\w+(?:Error|Interrupted))`", section, re.MULTILINE)
    assert len(named) == 5
    for name in named:
        error = getattr(pf, name)
        assert error is pf.TrainingInterrupted or (error("").net, error("").result) == (None, None)
