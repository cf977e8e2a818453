"""Which problems have an initial value, and what windows of time hold of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from heat import INITIAL, WALLS, box, problem, sine

from psinn_fast import (
    PDE,
    Data,
    Dirichlet,
    Neumann,
    Periodic,
    Residual,
)
from psinn_fast.problem.conditions import Condition
from psinn_fast.training.optimisers.marching import is_initial_value_problem, until


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([INITIAL, *WALLS], True),
        ([INITIAL], True),
        ([INITIAL, Periodic(box.face("x", "low", 9), box.face("x", "high", 9), "u u_x")], True),
        ([Dirichlet(np.array(box.face("t", "low", 9)), u=np.zeros(9)), *WALLS], True),
        (WALLS, False),  # from nowhere
        ([Dirichlet(box.face("t", "high", 9), u=sine), *WALLS], False),
        ([INITIAL, Dirichlet(box.face("t", "high", 9), u=sine)], False),
        ([Dirichlet(box.boundary(9), u=sine)], False),
        ([Periodic(box.face("t", "low", 9), box.face("t", "high", 9), "u"), *WALLS], False),
        ([INITIAL, *WALLS, Data(box.random(5, 0), u=np.zeros(5))], False),
        ([Dirichlet(box.face("t", "low", 9), u=sine, weight=0), *WALLS], False),
    ],
)
def test_initial_value_problems(conditions: list[Condition], expected: bool) -> None:
    assert is_initial_value_problem(problem(*conditions)) == expected


def test_no_time_and_unknown_coefficients_are_no_initial_value_problems() -> None:
    other = PDE("t x", "u", lambda u: u.t - 0.1 * u.xx, time=None)
    assert not is_initial_value_problem(problem(INITIAL, *WALLS, pde=other))
    inverse = PDE("t x", "u", lambda u, a: u.t - a * u.xx, unknown={"a": 0.1})
    assert not is_initial_value_problem(problem(INITIAL, *WALLS, pde=inverse))


def test_windows_hold_the_beginning_of_everything() -> None:
    array = np.random.default_rng(0).uniform([1, 0], [3, 1], (400, 2))
    numbers = Dirichlet(np.stack([np.linspace(1, 3, 101), np.ones(101)], 1), u=np.arange(101.0), name="numbers")
    flux = Neumann(box.face("x", "high", 9), [0.0, 1.0], u=lambda t, x: t, name="flux")
    whole = problem(INITIAL, WALLS[0], flux, numbers, Residual(array, name="array"))
    window = until(whole, 0.25)
    assert window.domain.low.tolist() == [1, 0]
    assert window.domain.high.tolist() == [1.5, 1]
    residual, initial, wall, flow, cut, some = window.conditions
    assert residual.regions[0] is not None
    assert residual.sites[0][:, 0].max() == residual.regions[0].domain.high[0] == 1.5
    assert len(residual.sites[0]) == 81
    assert np.array_equal(initial.sites[0], INITIAL.sites[0])
    assert wall.sites[0][:, 0].max() == 1.5
    assert np.array_equal(flow.columns["u"], flow.sites[0][:, 0])
    assert cut.columns["u"].tolist() == list(range(26))
    assert cut.regions == some.regions == (None,)
    assert np.array_equal(some.sites[0], array[array[:, 0] <= 1.5])
    early = until(whole, 1e-6)
    assert [len(condition.sites[0]) for condition in early.conditions[-2:]] == [10, 10]
    assert set(early.conditions[-1].sites[0][:, 0]) == set(np.sort(array[:, 0])[:10])
    for term in (*window.terms(torch.float64), *early.terms(torch.float64)):
        assert bool(torch.isfinite(term.columns).all())
