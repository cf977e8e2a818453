"""The paper's problems, built in (Liu et al. 2025, doi 10.1038/s41467-025-64624-3)."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping

from ..kernels import checks
from ..kernels.errors import InputError
from ..problem.problem import Problem
from .burgers import burgers, burgers_inverse
from .cylinder import cylinder
from .laplace import laplace
from .poisson import poisson

__all__ = ["PROBLEMS", "as_problem", "get_problem", "parse_number"]

PROBLEMS: dict[str, Callable[..., Problem]] = {
    "laplace": laplace,
    "poisson": poisson,
    "burgers": burgers,
    "burgers-inverse": burgers_inverse,
    "cylinder": cylinder,
}
_SETTABLE = {
    "laplace": (),
    "poisson": (),
    "burgers": ("nu",),
    "burgers-inverse": ("nu",),
    "cylinder": ("pressure", "developed", "nodes"),
}


def get_problem(name: str, settings: Mapping[str, float] | None = None) -> Problem:
    """A built-in problem by name, e.g. ``get_problem("burgers", {"nu": 0.01})``.

    Raises:
        InputError: no such problem, or a setting it does not have.
    """
    checks.choice("problem", name, list(PROBLEMS))
    settings = {} if settings is None else settings
    if not isinstance(settings, Mapping):
        raise InputError(f"settings: expected a mapping from name to number, got {type(settings).__name__}")
    for key in settings:
        if key not in _SETTABLE[name]:
            raise InputError(f"set: problem {name!r} has the settings {list(_SETTABLE[name])}, got {key!r}")
    return PROBLEMS[name](**settings)


def as_problem(problem: Problem | str) -> Problem:
    """The problem itself, or the built-in one of that name.

    Raises:
        InputError: anything else.
    """
    if isinstance(problem, Problem):
        return problem
    return get_problem(checks.choice("problem", problem, list(PROBLEMS), "a Problem or "))


def parse_number(name: str, text: str) -> float:
    """The number that an option was given, as people write it: ``0.04/pi``, ``1e-3``, ``-2*(1+0.5)``.

    Raises:
        InputError: anything else.
    """

    def value(node: ast.expr) -> float:
        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return float(number)
            case ast.Name(id="pi"):
                return math.pi
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -value(operand)
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() as op, right=right):
                a, b = value(left), value(right)
                match op:
                    case ast.Add():
                        return a + b
                    case ast.Sub():
                        return a - b
                    case ast.Mult():
                        return a * b
                return a / b
        raise ValueError

    try:
        number = value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{name}: expected a number such as 0.01 or 0.04/pi, got {text!r}")
    return number
