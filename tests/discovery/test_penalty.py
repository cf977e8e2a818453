"""The penalty of a small network that stands for a larger student."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from helpers import random_structure

from psinn_fast import MLP, Regularizer, Structure
from psinn_fast.discovery.penalty import Penalty

FloatArray = npt.NDArray[np.float64]
KINDS = ("l2", "l1", "growl")


def written_out(
    layers: list[tuple[FloatArray, FloatArray]], copies: list[npt.NDArray[np.int64]]
) -> list[tuple[FloatArray, FloatArray]]:
    """Every hidden neuron as often as it counts; copies share the outgoing weights."""
    full = []
    before = np.ones(layers[0][0].shape[1], dtype=np.int64)
    for (weight, bias), after in zip(layers, [*copies, np.ones(len(layers[-1][1]), dtype=np.int64)], strict=True):
        shared = np.repeat(weight / before, before, axis=1)
        full.append((np.repeat(shared, after, axis=0), np.repeat(bias, after)))
        before = after
    return full


@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_penalty_of_the_student_written_out(kind: str) -> None:
    rng = np.random.default_rng(1)
    structure = random_structure(7, n_outputs=2)
    theta = torch.from_numpy(rng.standard_normal(structure.n_parameters))
    copies = [rng.integers(1, 4, n) for n in structure.layer_sizes[1:-1]]
    layers = [(w.numpy(), b.numpy()) for w, b in structure.expand(theta)]
    full = written_out(layers, copies)
    net = MLP((2, *(int(m.sum()) for m in copies), 2), dtype=torch.float64)
    dense = net.structure.expand_adjoint([(torch.from_numpy(w), torch.from_numpy(b)) for w, b in full])
    regularizer = Regularizer(kind, 0.3)
    expected = float(regularizer.value_and_gradient(net.plan, dense)[0])
    penalty = Penalty(regularizer, structure, [m.astype(float) for m in copies])
    # Norms are smoothed: each by at most 1e-4.
    assert penalty.value_and_gradient(theta)[0] == pytest.approx(expected, rel=1e-3 if kind != "l2" else 1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives(kind: str) -> None:
    rng = np.random.default_rng(2)
    structure = random_structure(8)
    penalty = Penalty(Regularizer(kind, 0.7), structure, [rng.uniform(1, 3, n) for n in structure.layer_sizes[1:-1]])
    theta = torch.from_numpy(rng.standard_normal(structure.n_parameters))
    hessian = penalty.hessian(theta, convex=False)
    assert float(torch.linalg.eigvalsh(hessian)[0]) > -1e-12
    for i in range(len(theta)):
        step = torch.zeros_like(theta)
        step[i] = 1e-6
        (up, slope_up), (down, slope_down) = (penalty.value_and_gradient(theta + s) for s in (step, -step))
        assert float(penalty.value_and_gradient(theta)[1][i]) == pytest.approx((up - down) / 2e-6, abs=1e-8)
        torch.testing.assert_close(hessian[i], (slope_up - slope_down) / 2e-6, rtol=1e-6, atol=1e-7)
    # The quadratic of iteratively reweighted least squares lies above.
    above = penalty.hessian(theta, convex=True) - hessian
    assert float(torch.linalg.eigvalsh(above)[0]) > -1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_finite_where_everything_is_zero(kind: str) -> None:
    structure = Structure.dense((2, 3, 1))
    penalty = Penalty(Regularizer(kind, 1.0), structure, [np.ones(3)])
    theta = torch.zeros(structure.n_parameters, dtype=torch.float64)
    value, gradient = penalty.value_and_gradient(theta)
    assert value == 0
    assert not gradient.any()
    assert bool(torch.isfinite(penalty.hessian(theta, convex=True)).all())
