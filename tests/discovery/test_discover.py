"""Discovery end to end on small students, and what it says when it cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small import small_laplace

from psinn_fast import (
    MLP,
    Adam,
    DiscoveryError,
    InputError,
    Options,
    PsiMLP,
    Regularizer,
    StudentSettings,
    published_structure,
    run_pipeline,
)
from psinn_fast.discovery.distillation import distil as discover
from psinn_fast.discovery.distillation import matching_width
from psinn_fast.discovery.student import imitation
from psinn_fast.report import output

QUICK = StudentSettings((4, 4), Regularizer("l2", 1e-2), grid=13, starts=2)


@pytest.fixture(scope="module")
def teacher() -> PsiMLP:
    """Even in y by construction: what discovery should find."""
    return PsiMLP(published_structure("laplace"), 4, seed=3, dtype=torch.float64, init="xavier")


@pytest.mark.trajectory
@pytest.mark.parametrize("kind", ["l1", "growl"])
def test_other_regularizers(teacher: PsiMLP, kind: str) -> None:
    settings = StudentSettings((3,), Regularizer(kind, 1e-3), grid=7, steps=50, starts=1)
    assert discover(small_laplace(), teacher, settings=settings).structure.layer_sizes[0] == 2


@pytest.mark.trajectory
def test_a_collapsed_student_is_reported(teacher: PsiMLP) -> None:
    settings = StudentSettings((3,), Regularizer("l2", 10.0), grid=7, starts=1)
    with pytest.raises(DiscoveryError, match=r"no student shows .* \(seed 0: hidden layer 1: no neuron is left"):
        discover(small_laplace(), teacher, settings=settings)


def test_bad_input(teacher: PsiMLP) -> None:
    with pytest.raises(InputError, match=r"teacher: problem .* has 2 inputs and 1 outputs, the network 3 and 1"):
        discover(small_laplace(), MLP([3, 2, 1]))
    with pytest.raises(InputError, match="threshold: expected 'auto' or a finite number > 0"):
        StudentSettings(threshold=-1.0)
    with pytest.raises(InputError, match="hidden: expected the sizes"):
        StudentSettings(())
    with pytest.raises(InputError, match="starts: expected an integer >= 1"):
        StudentSettings(starts=0)
    constant = MLP([2, 2, 1], dtype=torch.float64)
    with torch.no_grad():
        constant.theta.zero_()
    with pytest.raises(InputError, match="nothing to imitate"):
        discover(small_laplace(), constant)


def test_imitation_targets_have_unit_variance() -> None:
    task, scales = imitation(small_laplace(), lambda points: 1e-3 * points[:, :1], 9)
    assert np.std(task.conditions[0].columns["u"]) == pytest.approx(1.0)
    assert scales == pytest.approx(1e-3 * np.std(task.conditions[0].sites[0][:, 0]))


def test_matching_width() -> None:
    structure = published_structure("laplace")
    counts = {width: structure.with_width(width).n_parameters for width in range(1, 12)}
    for width, count in counts.items():
        assert matching_width(structure, count) == width
    assert matching_width(structure, 1) == 1


@pytest.mark.trajectory
@pytest.mark.pictures
def test_pipeline_compares_all_methods_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The pictures would take longer than everything else: one is drawn.
    draw = output.save_figure
    monkeypatch.setattr(
        output, "save_figure", lambda figure, path: draw(figure, path) if path.name == "comparison.png" else None
    )
    said: list[str] = []
    settings = replace(QUICK, starts=1)
    options = {"discovery": {"settings": settings, "steps": 5}, "teacher_steps": 50, "out": tmp_path}
    optimizer = Adam(60, milestones=(48,))
    result = run_pipeline(small_laplace(), optimizer, **options, say=said.append)
    labels = [label for label, _ in result.rows]
    assert labels == ["PINN", "PINN-post", "Psi-NN, discovered R", "Psi-NN, published R"]
    assert {solution.steps for _, solution in result.rows} == {60}
    assert all(label in result.table() for label in labels)
    assert {"comparison.json", "comparison.txt", "comparison.png", "discovery"} <= {p.name for p in tmp_path.iterdir()}
    assert (tmp_path / "discovery" / "structure.json").exists()
    again = run_pipeline(small_laplace(), optimizer, **options, options=Options(resume=True))
    for (_, first), (_, second) in zip(result.rows, again.rows, strict=True):
        assert torch.equal(first.net.theta, second.net.theta)
        assert second.steps == 60
