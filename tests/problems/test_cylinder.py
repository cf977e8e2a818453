"""The flow around a cylinder: its residuals, terms, settings, symmetry."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import sympy as sp

import psinn_fast as pf
from psinn_fast.flow_reference import reference_flow
from psinn_fast.kernels.errors import InputError
from psinn_fast.symmetries.problem_symmetry import HOLDS, problem_symmetries

X, Y = sp.symbols("x y")


class Value(float):
    """A field at a point, with its derivatives there."""

    def __new__(cls, field: sp.Expr, at: dict[sp.Symbol, float]) -> Value:
        made = super().__new__(cls, field.subs(at))
        made.x, made.y = float(field.diff(X).subs(at)), float(field.diff(Y).subs(at))
        made.lap = float((field.diff(X, 2) + field.diff(Y, 2)).subs(at))
        return made


def test_residuals_are_those_of_navier_stokes() -> None:
    pde = pf.get_problem("cylinder").pde
    # Kovasznay's flow (1948), exact for any Reynolds number.
    mu = 0.02
    decay = 1 / (2 * mu) - sp.sqrt(1 / (4 * mu**2) + 4 * sp.pi**2)
    u = 1 - sp.exp(decay * X) * sp.cos(2 * sp.pi * Y)
    v = decay / (2 * sp.pi) * sp.exp(decay * X) * sp.sin(2 * sp.pi * Y)
    p = (1 - sp.exp(2 * decay * X)) / 2
    at = {X: 0.05, Y: -0.17}
    residuals = pde.residual(*(Value(field, at) for field in (u, v, p)), mu)
    assert list(residuals) == ["momentum_x", "momentum_y", "continuity"]
    np.testing.assert_allclose(list(residuals.values()), 0, atol=1e-12)
    others = pde.residual(*(Value(field, at) for field in (u, v, p)), 2 * mu)
    assert min(map(abs, list(others.values())[:2])) > 1e-3
    assert pde.coefficients == {"mu": mu}


def test_terms_are_the_papers() -> None:
    problem = pf.get_problem("cylinder")
    assert {c.name: (c.weight, len(c.sites[0])) for c in problem.conditions} == {
        "residual": (1, 20125), "inlet": (2, 101), "cylinder": (2, 256), "walls": (2, 402), "outlet": (2, 101),
        "pressure": (2, 256),
    }  # fmt: skip
    given = {c.name: c for c in problem.conditions}
    y = given["inlet"].sites[0][:, 1]
    np.testing.assert_allclose(given["inlet"].columns["u"], 4 * (y + 0.2) * (0.2 - y) / 0.4**2, atol=1e-15)
    assert given["pressure"].columns["p"].max() == pytest.approx(3.9076, rel=1e-3)  # at its front


def test_the_reference_satisfies_the_conditions() -> None:
    problem = pf.get_problem("cylinder", {"developed": True})
    domain = problem.domain
    found = {part: problem.exact_at(domain.boundary(200, part)) for part in domain.parts}
    for part in ("walls", "cylinder"):
        assert np.abs(found[part][:, :2]).max() < 1e-7  # between the nodes of a parabola through three of the circle
    assert np.abs(found["outlet"][:, 1:]).max() < 1e-5
    assert np.isfinite(problem.exact_at(domain.unseen_grid(101))).all()
    assert np.isfinite(problem.exact_at(domain.unseen_boundary(101))).all()


def test_settings_choose_terms_and_points() -> None:
    def terms(**settings: float) -> set[str]:
        return set(pf.get_problem("cylinder", settings).term_names)

    assert terms() - terms(pressure=0) == {"pressure"}
    assert terms(developed=1) - terms() == {"developed"}
    nodes = pf.get_problem("cylinder", {"nodes": 1})
    np.testing.assert_array_equal(nodes.conditions[0].sites[0], reference_flow().nodes)
    assert nodes.term_names == pf.get_problem("cylinder").term_names
    for wrong in (2, 0.5, "yes", float("nan"), None):
        with pytest.raises(InputError, match="developed: expected"):
            pf.get_problem("cylinder", {"developed": wrong})  # type: ignore[dict-item]
    with pytest.raises(
        InputError, match=r"set: problem 'cylinder' has the settings \['pressure', 'developed', 'nodes'\]"
    ):
        pf.get_problem("cylinder", {"mu": 0.1})


def test_it_and_its_structure_are_even_odd_even() -> None:
    problem = pf.get_problem("cylinder")
    (row,) = (row for row in problem_symmetries(problem) if row.verdict == HOLDS)
    assert row.symmetry == problem.symmetries[0]
    net = pf.build_network(problem, pf.Network("psi", width=3, dtype="float64"), seed=1)
    points = problem.domain.random(50, 0)
    np.testing.assert_allclose(net.predict(points * [1, -1]), net.predict(points) * [1, -1, 1], atol=1e-12)


def test_it_is_copied_and_pickled() -> None:
    problem = pf.get_problem("cylinder", {"pressure": 0})
    points = problem.domain.random(9, 0)
    for other in (copy.deepcopy(problem), pickle.loads(pickle.dumps(problem))):
        assert other.term_names == problem.term_names
        np.testing.assert_array_equal(other.exact_at(points), problem.exact_at(points))
