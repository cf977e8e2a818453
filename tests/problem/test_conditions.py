"""Conditions and problems: the residuals they stand for, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from helpers import mlp, nested_autograd, random_points, random_theta, relative_error
from torch import Tensor
from truth import of_everything

from psinn_fast.domains import Box
from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.networks.structure import Structure
from psinn_fast.problem.conditions import Condition, Data, Dirichlet, Neumann, Periodic, Residual
from psinn_fast.problem.integrals import Mean
from psinn_fast.problem.pde import PDE
from psinn_fast.problem.problem import Problem

BOX = Box(x=(-1, 1), y=(-1, 1))
PDE_ = PDE("x y", "u v", lambda u, v: [u.x + v.y])
POINTS = random_points(6, 2).numpy()
OTHERS = random_points(6, 2, 1).numpy()
STRUCTURE = Structure.dense([2, 5, 4, 2])
Values = Callable[..., Tensor]


def residuals(condition: Condition, pde: PDE = PDE_) -> Tensor:
    """(N, m), by the reference backend."""
    term = Problem("p", pde, BOX, [condition, *of_everything(pde, torch.from_numpy(POINTS))]).terms(torch.float64)[0]
    coefficients = torch.tensor([0.5] * len(pde.unknown), dtype=torch.float64)
    theta = random_theta(STRUCTURE, 0)
    return ReferenceBackend().residual_jacobian(lower(STRUCTURE.layers), theta, coefficients, term)[0]


def d(field: int, *index: int, at: np.ndarray = POINTS) -> Tensor:
    x = torch.from_numpy(at).clone().requires_grad_()
    return nested_autograd(mlp(STRUCTURE, random_theta(STRUCTURE, 0), x)[:, field], x, index).detach()


X, Y = torch.from_numpy(POINTS).unbind(1)
NORMALS = torch.nn.functional.normalize(random_points(6, 2, 2))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Residual(POINTS), lambda: [d(0, 1, 0) + d(1, 0, 1)]),
        (Residual(POINTS, lambda u, x, v: [u.xy * x - v, v.yy]), lambda: [d(0, 1, 1) * X - d(1, 0, 0), d(1, 0, 2)]),
        # Robin: u + 2 u_x = sin y.
        (Residual(POINTS, lambda u, y: u + 2 * u.x - sp.sin(y)), lambda: [d(0, 0, 0) + 2 * d(0, 1, 0) - Y.sin()]),
        (Dirichlet(POINTS, u=0.5), lambda: [d(0, 0, 0) - 0.5]),
        (Dirichlet(POINTS, u=lambda x, y: x * y), lambda: [d(0, 0, 0) - X * Y]),
        (Dirichlet(POINTS, v=POINTS[:, 0], u=0), lambda: [d(1, 0, 0) - X, d(0, 0, 0)]),
        (Dirichlet(POINTS, u=lambda x, y: 3.0), lambda: [d(0, 0, 0) - 3]),
        (Data(POINTS, v=POINTS[:, 1].tolist()), lambda: [d(1, 0, 0) - Y]),
        (Neumann(POINTS, [0.6, -0.8], u=1.5), lambda: [0.6 * d(0, 1, 0) - 0.8 * d(0, 0, 1) - 1.5]),
        (
            Neumann(POINTS, NORMALS.numpy(), u=lambda x, y: x, v=0.0),
            lambda: [NORMALS[:, 0] * d(k, 1, 0) + NORMALS[:, 1] * d(k, 0, 1) - (X if k == 0 else 0) for k in (0, 1)],
        ),
        (
            Periodic(POINTS, OTHERS, "u, v_xx u_lap"),
            lambda: [
                d(0, 0, 0) - d(0, 0, 0, at=OTHERS),
                d(1, 2, 0) - d(1, 2, 0, at=OTHERS),
                d(0, 2, 0) + d(0, 0, 2) - d(0, 2, 0, at=OTHERS) - d(0, 0, 2, at=OTHERS),
            ],
        ),
    ],
)
def test_residuals(condition: Condition, expected: Callable[[], Sequence[Tensor]]) -> None:
    assert relative_error(residuals(condition), torch.stack([*expected()], 1)) < 1e-12


def test_columns_given_and_columns_of_sources() -> None:
    """Both in one residual, two of each."""

    def residual(pde: PDE, given: Mapping[str, sp.Symbol]) -> list[sp.Expr]:
        x, y = sp.symbols("x y")
        u, v = map(pde.field_symbol, "uv")
        return [u * sp.sin(x) - given["u"], v.x * sp.exp(y) - given["v"] * u]

    condition = replace(Dirichlet(POINTS, u=POINTS[:, 1], v=lambda x, y: x * y), residual=residual)
    expected = [d(0, 0, 0) * X.sin() - Y, d(1, 1, 0) * Y.exp() - X * Y * d(0, 0, 0)]
    assert relative_error(residuals(condition), torch.stack(expected, 1)) < 1e-12


def test_unknown_coefficients_in_a_robin_condition() -> None:
    pde = PDE("x y", "u v", lambda u, v, k: [u.x + k * v.y], unknown={"k": 0.5})
    found = residuals(Residual(POINTS, lambda u, k: u.x - k * u), pde)
    assert relative_error(found[:, 0], d(0, 1, 0) - 0.5 * d(0, 0, 0)) < 1e-12


def test_names_weights_and_shapes() -> None:
    conditions = [Residual(POINTS), Dirichlet(POINTS, u=0), Dirichlet(POINTS, v=0, weight=2), Data(POINTS, u=1)]
    problem = Problem("p", PDE_, BOX, [*conditions, Neumann(POINTS, [1, 0], u=0), Periodic(POINTS, OTHERS, "u")])
    assert problem.term_names == ("residual", "dirichlet1", "dirichlet2", "data", "neumann", "periodic")
    terms = problem.terms()
    assert problem.weights().tolist() == [1, 1, 2, 1, 1, 1]
    assert [tuple(term.points.shape) for term in terms] == [(1, 6, 2)] * 5 + [(2, 6, 2)]
    assert [term.columns.shape[1] for term in terms] == [0, 1, 1, 1, 3, 0]
    assert {term.points.dtype for term in terms} == {torch.float32}
    assert Problem("p", PDE_, BOX, [Residual(POINTS, name="inside")]).term_names == ("inside",)
    assert problem.default_layers == (2, 32, 32, 2)


def test_columns_are_computed_in_float64() -> None:
    """The source term at the true point, rounded once; not at the rounded point."""
    points = np.array([[1 / 3, 0.0]])
    problem = Problem("p", PDE("x y", "u", lambda u, x: u.x - sp.exp(50 * x)), BOX, [Residual(points)])
    (term,) = problem.terms(torch.float32)
    assert abs(float(term.columns[0, 0])) == float(np.float32(np.exp(50 / 3)))


def test_initial_coefficients() -> None:
    pde = PDE("x y", "u", lambda u, a, b: u.x + u * a + b, unknown={"b": 2.0, "a": -1.0})
    problem = Problem("p", pde, BOX, [Residual(POINTS)])
    assert problem.initial_coefficients(torch.float64).tolist() == [2.0, -1.0]


def test_columns_at_other_points() -> None:
    """Functions, numbers and one normal for all are known there; arrays, and normals that differ, are not."""
    x, y = OTHERS.T
    one, several = np.tile([0.6, -0.8], (6, 1)), NORMALS.numpy()
    for normals in (one, one[0], one[:1]):
        points = POINTS[: len(normals)] if normals.ndim == 2 else POINTS
        columns = Neumann(points, normals, u=lambda x, y: x * y, v=2).columns_at([OTHERS])
        assert columns is not None
        assert {name: column.tolist() for name, column in columns.items()} == {
            "u": (x * y).tolist(), "v": [2.0] * 6, "normal 0": [0.6] * 6, "normal 1": [-0.8] * 6,
        }  # fmt: skip
    assert Dirichlet(POINTS, u=0, v=np.ones(6)).columns_at([OTHERS]) is None
    assert Neumann(POINTS, several, u=0).columns_at([OTHERS]) is None
    assert Neumann(POINTS, several * [1, 0] / np.abs(several[:, :1]), u=0).columns_at([OTHERS]) is None


BAD = np.array([[0.0, 1.0], [np.nan, np.inf]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Residual(BAD), r"residual: points: 2 of 4 numbers are NaN or infinite, first at index \(1, 0\)"),
        (lambda: Residual(POINTS[:, 0]), r"residual: points: expected shape \(N >= 1, d\), got \(6,\)"),
        (lambda: Residual(POINTS[:0], name="r"), r"r: points: expected shape \(N >= 1, d\), got \(0, 2\)"),
        (lambda: Residual([["a", "b"]]), "residual: points: expected real numbers, got texts"),
        (lambda: Residual([[1.0], [1.0, 2.0]]), r"residual: points: expected numbers \(.*inhomogeneous shape"),
        (lambda: Residual(POINTS, weight=-1), "residual: weight: expected a finite number >= 0, got -1"),
        (lambda: Residual(POINTS, weight=np.nan), "residual: weight: expected a finite number >= 0, got nan"),
        (lambda: Residual(POINTS, weight=True), "residual: weight: expected a finite number >= 0, got True"),
        (lambda: Dirichlet(POINTS), "dirichlet: expected a target for at least one field, e.g. u=0.0"),
        (lambda: Dirichlet(POINTS, u=np.nan), "dirichlet: target u: 1 of 1 numbers are NaN or infinite"),
        (lambda: Data(POINTS, u=[0, 0, np.inf, 0, 0, 0]), r"data: target u: 1 of 6 .* first at index \(2,\)"),
        (
            lambda: Dirichlet(POINTS, u=np.zeros(5)),
            r"dirichlet: target u: expected shape \(6,\) or a number, got \(5,\)",
        ),
        (lambda: Dirichlet(POINTS, u=np.zeros((6, 1))), r"target u: expected shape \(6,\) or a number, got \(6, 1\)"),
        (lambda: Dirichlet(POINTS, u="high"), "dirichlet: target u: expected real numbers, got texts"),
        (lambda: Neumann(POINTS, [1.0], u=0), r"neumann: normals: expected shape \(2,\) or \(6, 2\), got \(1,\)"),
        (lambda: Neumann(POINTS, [np.nan, 1.0], u=0), "neumann: normals: 1 of 2 numbers are NaN or infinite"),
        (lambda: Neumann(POINTS, [1.0, 0.0]), "neumann: expected a target for at least one field"),
        (
            lambda: Periodic(POINTS, OTHERS[:3], "u"),
            r"periodic: partners: expected shape \(6, 2\) like points, got \(3",
        ),
        (
            lambda: Periodic(POINTS, POINTS, "u"),
            "periodic: partners: 6 of 6 are the points themselves.* number 0; give",
        ),
        (lambda: Periodic(POINTS, POINTS.copy() + 0.0, "u_x", name="p"), "p: partners: 6 of 6 are"),
        (
            lambda: Periodic([[0, 1], [0.5, -0.0]], [[1, 1], [0.5, 0]], "u"),
            r"periodic: partners: 1 of 2 are .* the first is \(0.5, -?0\), number 1",
        ),
        (lambda: Periodic(POINTS, OTHERS), "periodic: quantities: expected fields and deriv.* 'u u_x', got none"),
        (lambda: Periodic(POINTS, OTHERS, "u u_x u"), "periodic: quantities: 'u' is given twice"),
        (lambda: Periodic(POINTS, OTHERS, " "), "periodic: quantities: expected fields and deriv.* 'u u_x', got ' '"),
    ],
)
def test_bad_conditions(make: Callable[[], Condition], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (Dirichlet(POINTS, w=0.0), r"term 'dirichlet': field 'w' is not declared; the PDE's fields are \['u', 'v'\]"),
        (Neumann(POINTS, [1, 0], w=0.0), "term 'neumann': field 'w' is not declared"),
        (Periodic(POINTS, OTHERS, "u_z"), "term 'periodic': 'u_z' is no derivative of the fields"),
        (Periodic(POINTS, OTHERS, "w"), "term 'periodic': 'w' is no derivative of the fields"),
        (Periodic(POINTS, OTHERS, "u_xy v u_yx"), "term 'periodic': 'u_yx' is 'u_xy', and would count twice"),
        (Periodic(POINTS, OTHERS, "u_xxxxx"), "term 'periodic': .*derivative orders go up to 4"),
        (Residual(POINTS, lambda w: w), "term 'residual': residual: its parameter 'w' is neither a coordinate"),
        (Residual(np.zeros((3, 1))), r"residual: points: expected 2 columns \(x, y\), got 1"),
    ],
)
def test_conditions_that_do_not_fit_the_pde(condition: Condition, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Problem("p", PDE_, BOX, [condition])


def test_a_condition_is_shown_in_a_line() -> None:
    points = BOX.grid(200)
    assert repr(Dirichlet(points, u=0.0, weight=2.5)) == "Condition('dirichlet', boundary, 40000 points, weight 2.5)"
    assert repr(Residual(points, weight=lambda x, y: 1 + x**2)) == "Condition('residual', equation, 40000 points)"
    assert repr(Mean(points, lambda u: u, 0.0)) == "IntegralCondition('mean', integral, 40000 points)"


def test_bad_problems() -> None:
    with pytest.raises(
        InputError, match=r"domain: expected the coordinates \('x', 'y'\) in this order, got \('y', 'x'\)"
    ):
        Problem("p", PDE_, Box(y=(0, 1), x=(0, 1)), [Residual(POINTS)])
    with pytest.raises(InputError, match="conditions: expected at least one"):
        Problem("p", PDE_, BOX, [])
    problem = Problem("p", PDE("x y", "u", lambda u, x: u.x - 1 / x), BOX, [Residual(np.zeros((2, 2)))])
    with (
        np.errstate(divide="ignore"),
        pytest.raises(InputError, match=r"term 'residual': its source term -1/x is NaN or infinite at 2 of 2 points"),
    ):
        problem.terms()


def test_infinite_targets_of_functions() -> None:
    def target(x: Any, y: Any) -> Any:
        return np.where(x > 0, np.inf, 0.0)

    with pytest.raises(InputError, match=r"dirichlet: target u: .* numbers are NaN or infinite"):
        Dirichlet(POINTS, u=target)


def test_numbered_names_do_not_meet_given_ones() -> None:
    problem = Problem("p", PDE_, BOX, [Residual(POINTS, name=name) for name in ("a", "a", "a1")])
    assert len(set(problem.term_names)) == 3


@pytest.mark.parametrize("function", [lambda u: [u.x, sp.Rational(1, 10)], lambda x: x, lambda u: u - u, lambda u: 0])
def test_a_residual_that_nothing_changes(function: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match=r"term 'residual': the residual .* holds no field and no unknown coefficient"):
        residuals(Residual(POINTS, function))


def test_a_residual_of_an_unknown_coefficient_alone() -> None:
    pde = PDE("x y", "u v", lambda u, v, k: [u.x + k * v.y], unknown={"k": 0.5})
    found = residuals(Residual(POINTS, lambda k: k - sp.Rational(1, 10)), pde)
    assert found[:, 0].tolist() == [0.4] * 6


LINE = np.array([[0.0, -0.5], [0.0, 0.25], [0.0, 0.7]])


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (Residual(LINE, lambda u, x: x * u.x), r"term 'residual': the residual x\*u_x changes with no .* its 3 points"),
        (Residual(POINTS, lambda u, x: sp.Heaviside(x - 3) * u, name="far"), "term 'far': the residual .* no field"),
        (Residual(POINTS, lambda u, x: sp.Piecewise((u, x > 3), (1, True))), "changes with no field"),
        (Residual(POINTS, lambda u, v: [u.x + v, sp.sin(u) ** 2 + sp.cos(u) ** 2 - 1]), r"residual sin\(u\)\*\*2"),
        (Residual(POINTS, lambda u: (u + 1) ** 2 - u**2 - 2 * u), "changes with no field"),
        (Residual(POINTS, lambda u: sp.sign(u.x) - 1), r"the residual sign\(u_x\) - 1"),
        (Residual(POINTS, lambda u, v, k: (k + u - v) - u + v - k + sp.Max(k, u) - sp.Max(u, k)), "no field"),
        (Periodic(LINE[:1], LINE[1:2], "u", weight=2), None),
        (Residual(POINTS, lambda u: sp.Max(u - 100, 0)), None),
        (Residual(POINTS, lambda u: sp.Max(-u - 1e6, 0) ** 2), None),
        (Residual(POINTS, lambda u: sp.exp(-(u**2))), None),
        (Residual(POINTS, lambda u, x: 1e-30 * x * u), None),
        (Residual(POINTS, lambda k: k**2 - 2), None),
        (Residual(np.concatenate([LINE] * 40 + [POINTS]), lambda u, x: x**4 * u), None),
        (Residual(LINE, lambda u, x: x * u, weight=0), None),
    ],
)  # fmt: skip
def test_residuals_that_change_with_nothing(condition: Condition, message: str | None) -> None:
    """They look like conditions, and train nothing."""
    pde = PDE("x y", "u v", lambda u, v, k: [u.x + k * v.y], unknown={"k": 0.5})
    others = of_everything(pde, torch.from_numpy(POINTS))
    if message is None:
        Problem("p", pde, BOX, [condition, *others])
    else:
        with pytest.raises(InputError, match=message):
            Problem("p", pde, BOX, [condition, *others])
