"""The studies run, and what they say about the physics holds at small sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.discovery_problems import BY_NAME, laplace_asymmetric
from examples import equal_weights, gradient_conflict, threshold_sweep, transfer
from examples.common import angle, conflict
from psinn_fast import MLP, GaussNewton, Problem, Regularizer, Structure, fit, get_problem, structure_from_group
from psinn_fast.discovery.student import imitation
from psinn_fast.training import trainer
from psinn_fast.training.metrics import coarse_relative_l2
from psinn_fast.training.stability import Allowed


@pytest.fixture(autouse=True)
def _same_threads_afterwards() -> object:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.trajectory
@pytest.mark.parametrize("study", [gradient_conflict, equal_weights, threshold_sweep, transfer])
def test_it_runs_and_draws(
    study: object, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # No study reads which errors residuals allow.
    monkeypatch.setattr(trainer, "errors_allowed", lambda *_: Allowed({}, {}))
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


@pytest.mark.trajectory
def test_a_penalty_raises_the_physics_loss() -> None:
    task = gradient_conflict.problem(9)
    free, run = (gradient_conflict.train(task, *of, 0, 1_000, 3_000) for of in (("none", 0.0), ("l2", 1e-2)))
    assert run.converged > 10 * free.converged
    assert run.error > free.error


@pytest.mark.trajectory
def test_at_a_minimum_of_the_sum_the_gradients_of_loss_and_penalty_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small network imitates values: that converges, from wherever it starts."""
    monkeypatch.setattr(gradient_conflict, "LAYERS", (2, 4, 4, 1))
    task, _ = imitation(gradient_conflict.problem(9), lambda x: x[:, :1] ** 3 - 3 * x[:, :1] * x[:, 1:] ** 2, 9)
    free, run = (gradient_conflict.train(task, *of, 0, 300, 6_000) for of in (("none", 0.0), ("l2", 3e-3)))
    assert run.converged > 10 * free.converged
    assert (
        conflict(
            run.net,
            run.net.theta.detach(),
            task.terms(torch.float64),
            task.weights(torch.float64),
            Regularizer("l2", 3e-3),
        )
        > 179
    )


@pytest.mark.trajectory
def test_weights_in_one_role_approach_as_theory_says() -> None:
    decay = equal_weights.inputs_in_known_roles(3e-2, 0, 2_000)
    np.testing.assert_allclose(decay.equal, decay.theory, rtol=1e-11)
    # Opposite roles go along: |w_p + w_r| shrinks by the same factor.
    np.testing.assert_allclose(decay.opposite / decay.opposite[0], decay.equal / decay.equal[0], rtol=1e-11)
    assert decay.equal[-1] < 0.1 * decay.equal[0]


@pytest.mark.trajectory
def test_without_penalty_nothing_makes_weights_equal() -> None:
    decay = equal_weights.inputs_in_known_roles(0.0, 0, 500)
    np.testing.assert_allclose(decay.equal, decay.equal[0], rtol=1e-11)


@pytest.mark.trajectory
def test_mirror_images_approach_only_under_the_penalty() -> None:
    free, penalised = (equal_weights.neurons_in_known_roles(strength, 0, 3_000) for strength in (0.0, 1e-2))
    assert free.mirror[-1] > 0.05
    assert penalised.mirror[-1] < 0.2 * free.mirror[-1]


@pytest.mark.trajectory
@pytest.mark.parametrize("make", [transfer.cubic, transfer.reaction])
def test_the_manufactured_problems_have_the_solutions_they_say(make: Callable[[], Problem]) -> None:
    problem = make()
    net = MLP((2, 10, 10, 1), seed=0, dtype=torch.float64)
    fit(problem, net, GaussNewton(steps=60))
    assert coarse_relative_l2(problem)(net) < 1e-2


@pytest.mark.trajectory
def test_a_structure_helps_where_its_symmetry_holds_and_only_there() -> None:
    structure = structure_from_group(BY_NAME["laplace"].generators, hidden=(1, 1, 1))
    with_it = transfer.compare("cubic", transfer.cubic(), "laplace", structure, 1, 30)
    assert with_it.tied[0] < with_it.dense[0]
    without = transfer.compare("asymmetric", laplace_asymmetric(), "laplace", structure, 1, 15)
    assert without.tied[0] > 0.3 > 10 * without.dense[0]


def test_a_sweep_counts_symbols_and_symmetries() -> None:
    laplace = get_problem("laplace")
    tied, dense = structure_from_group(BY_NAME["laplace"].generators), Structure.dense((2, 4, 4, 1))
    full, none = (threshold_sweep.described("laplace", laplace, 0.1, structure, 0.5) for structure in (tied, dense))
    assert (len(full.symmetries), full.false, full.symbols) == (3, (), tied.n_parameters)
    assert (none.symmetries, none.relations, none.symbols) == ((), 0, dense.n_parameters)
    wrong = threshold_sweep.described("quadratic", laplace, 0.1, tied, 0.5)
    assert wrong.symmetries == ("x -> -x",) or wrong.false
    assert "FALSE" in threshold_sweep.table([wrong])
