"""Tensors that require grad are no constants: they would not be trained, and nobody would say so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from safetensors import safe_open

from psinn_fast import (
    MLP,
    PDE,
    Adam,
    Box,
    Data,
    Dirichlet,
    InputError,
    Neumann,
    Problem,
    Recipe,
    Residual,
    fit,
    save_network,
)

K = torch.tensor(3.0, requires_grad=True)
ON_X = np.array([[0.2], [0.7]])


@pytest.mark.parametrize(
    "make",
    [
        lambda: PDE("x", "u", lambda u, k: u.x - k, coefficients={"k": K}),
        lambda: PDE("x", "u", lambda u, k: u.x - k, unknown={"k": K}),
        lambda: PDE("x", "u", lambda u, k: u.x - k, coefficients={"k": torch.nn.Parameter(torch.ones(()))}),
        lambda: Residual(ON_X, weight=2 * K),
        lambda: Dirichlet(ON_X, u=K),
        lambda: Dirichlet(ON_X, u=[0.0, K]),
        lambda: Data(ON_X, u=torch.ones(2) * K),
        lambda: Dirichlet(ON_X, u=lambda x: torch.from_numpy(x) * K),
        lambda: Neumann(ON_X, torch.ones(1) * K / 3, u=0.0),
        lambda: Box(x=(0, K)),
        lambda: line_problem(bounds={"k": (0, K)}),
        lambda: line_problem(guess={"k": K}),
        lambda: Recipe(lr=K),
        lambda: fit(line_problem(), MLP([1, 3, 1], seed=0), Adam(1, lr=K)),
        lambda: fit(line_problem(), MLP([1, 3, 1], seed=0), Adam(1), coefficients={"k": K}),
        lambda: sp.Symbol("x") * sp.sympify(K),
    ],
)  # fmt: skip
def test_what_requires_grad_is_no_constant(make: Callable[[], object]) -> None:
    with pytest.raises(InputError, match=r"requires?.grad|no torch tensors"):
        make()


def test_detached_tensors_are_numbers_and_points_may_require_grad() -> None:
    k = K.detach()
    assert PDE("x", "u", lambda u, k: u.x - k, coefficients={"k": k}).coefficients == {"k": 3.0}
    points = torch.tensor(ON_X, requires_grad=True)
    condition = Dirichlet(points, u=points.detach()[:, 0] * k)
    assert condition.columns["u"].tolist() == (3 * ON_X[:, 0]).tolist()
    assert condition.sites[0].tolist() == ON_X.tolist()


def test_a_coefficient_that_another_loop_trained_is_saved(tmp_path: Path) -> None:
    save_network(tmp_path / "net.safetensors", MLP([1, 3, 1], seed=0), {"k": K})
    with safe_open(tmp_path / "net.safetensors", "pt") as file:
        assert '"k":3.0' in "".join(file.metadata().values()).replace(" ", "")


def line_problem(**others: Any) -> Problem:
    pde = PDE("x", "u", lambda u, k: u.x - k, unknown={"k": 1.0})
    return Problem("line", pde, Box(x=(0, 1)), [Residual(ON_X), Dirichlet([[0.0]], u=0)], **others)
