"""Steep exponentials: SymPy splits off factors that are beyond float64, the residual is what was written."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from helpers import relative_error
from truth import Truth, check, residuals

import psinn_fast as pf
from psinn_fast.kernels.language.program import Adjoint


def layer(x: Any, exp: Callable[[Any], Any], steepness: float = 1e4) -> Any:
    """Of order 1 where x is near 0.995."""
    return exp(steepness * (x - 0.995))


CASES: dict[str, tuple[Callable[..., Any], Callable[[Truth], Any]]] = {
    "a source": (lambda u, x: u.x - layer(x, sp.exp), lambda d: d("u", "x") - layer(d.x, torch.exp)),
    "a falling one": (lambda u, x: u - layer(x, sp.exp, -1e4), lambda d: d("u") - layer(d.x, torch.exp, -1e4)),
    # exp(-796) is no more than 0 in float64, exp(-720) has lost its digits.
    "a factor that underflows": (
        lambda u, x: u - layer(x, sp.exp, 800.0),
        lambda d: d("u") - layer(d.x, torch.exp, 800.0),
    ),
    "a factor that is denormal": (
        lambda u, x: layer(x, sp.exp, 723.0) * u,
        lambda d: layer(d.x, torch.exp, 723.0) * d("u"),
    ),
    "a coefficient": (
        lambda u, x: -layer(x, sp.exp) * u.x - 3 * x * u,
        lambda d: -layer(d.x, torch.exp) * d("u", "x") - 3 * d.x * d("u"),
    ),
    "its derivative": (
        lambda u, x: sp.diff(layer(x, sp.exp) * u, x),
        lambda d: 1e4 * layer(d.x, torch.exp) * d("u") + layer(d.x, torch.exp) * d("u", "x"),
    ),
    "within": (
        lambda u, x: u - 1 / (1 + layer(x, sp.exp)),
        lambda d: d("u") - 1 / (1 + layer(d.x, torch.exp)),
    ),
    "a product": (
        lambda u, x: u - (1 + x) * layer(x, sp.exp) * sp.sin(x),
        lambda d: d("u") - (1 + d.x) * layer(d.x, torch.exp) * d.x.sin(),
    ),
    "a root": (
        lambda u, x: u - sp.sqrt(layer(x, sp.exp)),
        lambda d: d("u") - layer(d.x, torch.exp).sqrt(),
    ),
    "of a field": (
        lambda u, x: u.x - sp.exp(900 * (u / 900 - 1.0) + 901 * x),
        lambda d: d("u", "x") - torch.exp(d("u") - 900 + 901 * d.x),
    ),
    "of an expression of fields": (
        lambda u, x: x * sp.exp(-1000.0 + 1000 * x + 1e-3 * u**2) * u + u,
        lambda d: d.x * torch.exp(-1000.0 + 1000 * d.x + 1e-3 * d("u") ** 2) * d("u") + d("u"),
    ),
}


@pytest.mark.filterwarnings("ignore:.* points miss the peak")  # it is meant
@pytest.mark.parametrize("name", CASES)
def test_values(name: str) -> None:
    check("x", "u", *CASES[name], low=0.99)


def test_the_gradient_of_a_steep_function_of_a_field() -> None:
    """exp(1000 (u - 1)) with u near 1, by the program's adjoint at numbers."""
    program = pf.PDE("x", "u", lambda u: sp.exp(1000.0 * (u - 1))).traced().program
    values: list[Any] = [1.0 if isinstance(part, Adjoint) else 1.001 for part in program.inputs]
    operations = {"add": np.add, "mul": np.multiply, "sub": np.subtract}
    for op, a, b, value in program.instructions:
        match op:
            case "const":
                values.append(value)
            case "exp" | "neg":
                values.append({"exp": np.exp, "neg": np.negative}[op](values[a]))
            case _:
                values.append(operations[op](values[a], values[b]))
    ((_, gradient),) = program.gradients
    assert values[program.residuals[0]] == pytest.approx(np.e, rel=1e-12)
    assert values[gradient] == pytest.approx(1000 * np.e, rel=1e-12)


@pytest.mark.filterwarnings("ignore:.* points miss the peak")
def test_an_overflow_that_is_one_is_found() -> None:
    """exp(5000) at x = 1 is beyond float64 however it is written."""
    line = pf.Box(x=(0, 1))
    pde = pf.PDE("x", "u", lambda u, x: u.x - sp.exp(1e4 * (x - 0.5)))
    with pytest.raises(pf.InputError, match=r"source term .* is NaN or infinite at 5 of 11 points"):
        pf.Problem("p", pde, line, [pf.Residual(line.grid(11))]).terms()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda u: u.x - sp.Float("1e400") * u, "too large; write it into the exponential"),
        (lambda u: u.x - sp.Float("1e-400") * u, "too small, and would be 0"),
        (lambda u: u.x - sp.Rational(1, 10**400) * sp.sin(u), "too small, and would be 0"),
    ],
)
def test_numbers_beyond_float64(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(pf.InputError, match=message):
        pf.PDE("x", "u", function).traced()


def test_ordinary_numbers_stay_where_they_are() -> None:
    truth = Truth("x", "u")
    found = residuals(pf.PDE("x", "u", lambda u, x: u - 0.5 * sp.exp(x)), truth)
    assert relative_error(found[:, 0], truth("u") - 0.5 * truth.x.exp()) < 1e-14


def test_it_is_shown_and_copied_as_it_is_trained() -> None:
    pde = pf.PDE("x", "u", lambda u, x: u.x - sp.exp(-1e4 * (x - 1)) * u)
    assert "exp(10000.0 - 10000*x)" in str(pde)
    traced = pde.traced()
    copied = pickle.loads(pickle.dumps(traced))
    assert copied.program == traced.program
    assert copied.columns([np.array([[1.0]])]) == traced.columns([np.array([[1.0]])]) == 1.0
