"""Settings by another library's names: the error says what they are called here."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch

import psinn_fast as pf


@pytest.mark.parametrize(
    ("make", "given", "advice"),
    [
        (pf.Adam, "epochs", "write steps=..."),
        (pf.Adam, "learning_rate", "write lr=..."),
        (pf.Adam, "milestone", "write milestones=..."),  # a slip
        (pf.Adam, "nothing", "there are steps, lr, milestones, gamma, betas, eps"),
        (pf.GaussNewton, "iterations", "write steps=..."),
        (pf.GaussNewton, "learning_rate", "there are steps, "),  # it has none
        (pf.LBFGS, "max_iter", "write steps=..."),
        (pf.LBFGS, "history_size", "write memory=..."),
        (pf.SSBroyden, "maxiter", "write steps=..."),
    ],
)
def test_the_name_here_is_said(make: Any, given: str, advice: str) -> None:
    with pytest.raises(pf.InputError) as told:
        make(**{given: 3})
    assert str(told.value).startswith(f"{make.__name__}: it has no setting {given!r}; {advice}")


def test_options_of_torch_are_torchs() -> None:
    assert pf.TorchOptimizer(torch.optim.LBFGS, 3, max_iter=5).options == {"max_iter": 5}


@pytest.mark.parametrize("one", [pf.Adam(3, 1e-2), pf.GaussNewton(3, seed=1), pf.LBFGS(steps=2)])
def test_copies_are_made_without_names(one: Any) -> None:
    assert copy.copy(one) == copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one
