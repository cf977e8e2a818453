"""Terms that relations make hold, such as periodicity of what is even: no weighting divides by their Jacobian."""

from __future__ import annotations

import numpy as np
import pytest

import psinn_fast as pf
from psinn_fast.networks.published import burgers_odd


def hump() -> pf.Problem:
    """u_t = u (1 - u), even about x = 0, so that u agrees at the ends without any weights' doing."""
    box = pf.Box(t=(0, 1), x=(-1, 1))
    conditions = [
        pf.Residual(box.random(60, seed=0)),
        pf.Dirichlet(box.face("t", "low", 21), u=lambda t, x: np.exp(-4 * x**2), name="initial"),
        pf.Periodic(box.face("x", "low", 11), box.face("x", "high", 11), "u", name="ends"),
    ]
    return pf.Problem("hump", pf.PDE("t x", "u", lambda u: u.t - u * (1 - u)), box, conditions)


def even(problem: pf.Problem) -> pf.PsiMLP:
    found = pf.discover(problem, tests="problem")
    return pf.build_network(problem, pf.Network("psi", structure=found.structure, width=4), seed=0)


@pytest.mark.parametrize(
    ("optimizer", "weighting"),
    [(pf.GaussNewton(4), None), (pf.LBFGS(4), "fixed"), (pf.Adam(4), "trace-balance"), (pf.Adam(4), "ntk"),
     (pf.Adam(4), "gradient-norms")],
    ids=lambda own: getattr(own, "name", own),
)  # fmt: skip
def test_what_is_even_is_periodic(optimizer: object, weighting: str | None) -> None:
    problem = hump()
    net = even(problem)
    result = pf.fit(problem, net, optimizer, weighting=weighting)
    assert result.steps == 4
    assert set(result.losses) == {"residual", "initial"}
    assert result.loss < result.history["loss"][0]
    assert "exact by construction: ends" in result.verdict.notes


def test_dense_networks_have_all_terms() -> None:
    result = pf.fit(hump(), pf.MLP([2, 4, 1], seed=0), pf.Adam(2))
    assert set(result.losses) == {"residual", "initial", "ends"}


def test_what_relations_contradict_is_left_to_training() -> None:
    """An odd network cannot be 1 at x = 0."""
    box = pf.Box(t=(0, 1), x=(-1, 1))
    conditions = [pf.Residual(box.random(30, seed=0)), pf.Dirichlet([[0.0, 0.0]], u=1.0, name="middle")]
    problem = pf.Problem("odd", pf.PDE("t x", "u", lambda u: u.t - u.xx), box, conditions)
    assert pf.fit(problem, pf.PsiMLP(burgers_odd(), width=4, seed=0), pf.Adam(2)).losses["middle"] == pytest.approx(1)
