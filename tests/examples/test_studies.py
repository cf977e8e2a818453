"""The studies run, and what they say about the physics holds at small sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from examples import equal_weights, gradient_conflict
from examples.common import angle, conflict
from psinn_fast import Regularizer


@pytest.fixture(autouse=True)
def _same_threads_afterwards() -> object:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("study", [gradient_conflict, equal_weights])
def test_it_runs_and_draws(study: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "nested" / "picture.png"
    assert study.main(["--quick", "--threads", "1", "--out", str(out)]) == 0  # type: ignore[attr-defined]
    assert out.read_bytes()[:4] == b"\x89PNG"
    assert "nan" not in capsys.readouterr().out.split("The student's loss")[0]


def test_angles() -> None:
    a = torch.tensor([1.0, 0.0])
    assert angle(a, 3 * a) == pytest.approx(0)
    assert angle(a, -a) == pytest.approx(180)
    assert angle(a, torch.tensor([0.0, 2.0])) == pytest.approx(90)
    assert angle(a, 0 * a) == 90


def test_a_penalty_raises_the_physics_loss_and_opposes_its_gradient() -> None:
    task = gradient_conflict.problem(11)
    free = gradient_conflict.train(task, "none", 0.0, 0, 1_000, 1_000)
    for kind, strength in (("l2", 1e-2), ("l1", 1e-3), ("growl", 1e-2)):
        run = gradient_conflict.train(task, kind, strength, 0, 1_000, 1_000)
        assert run.converged > 10 * free.converged
        assert run.error > free.error
        if kind != "l2":  # those have kinks, at which L-BFGS stalls
            continue
        # At a minimum of the sum the two gradients cancel; here they are on the way there.
        opposed = conflict(run.net, run.net.theta.detach(), task.terms(torch.float64), Regularizer(kind, strength))
        assert opposed > 150


def test_weights_in_one_role_approach_as_theory_says() -> None:
    decay = equal_weights.inputs_in_known_roles(3e-2, 0, 2_000)
    np.testing.assert_allclose(decay.equal, decay.theory, rtol=1e-11)
    # Opposite roles go along: |w_p + w_r| shrinks by the same factor.
    np.testing.assert_allclose(decay.opposite / decay.opposite[0], decay.equal / decay.equal[0], rtol=1e-11)
    assert decay.equal[-1] < 0.1 * decay.equal[0]


def test_without_penalty_nothing_makes_weights_equal() -> None:
    decay = equal_weights.inputs_in_known_roles(0.0, 0, 500)
    np.testing.assert_allclose(decay.equal, decay.equal[0], rtol=1e-11)


def test_mirror_images_approach_only_under_the_penalty() -> None:
    free, penalised = (equal_weights.neurons_in_known_roles(strength, 0, 4_000) for strength in (0.0, 1e-2))
    assert free.mirror[-1] > 0.05
    assert penalised.mirror[-1] < 0.2 * free.mirror[-1]
