"""Random expressions of fields and coordinates, written in four styles, against nested autograd in float64."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
import torch
from helpers import mlp, nested_autograd, random_points, random_theta, relative_error
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from truth import residuals_at

import psinn_fast as pf
from psinn_fast.language.fields import SymbolicField
from psinn_fast.networks.structure import Structure

N = 5
MAX_ORDER = 4
COORDS, FIELDS = "xyt", "uv"


class Node(NamedTuple):
    """An expression: "field" (name, steps), "coordinate" (name), "number" (value), "d" and "lap" of one part by the
    coordinate ``name``, or an operation on ``parts``."""

    kind: str
    parts: tuple[Node, ...] = ()
    name: str = ""
    steps: str = ""
    value: float = 0.0


def add(*parts: Node) -> Node:
    return Node("add", parts)


def mul(*parts: Node) -> Node:
    return Node("mul", parts)


def number(value: float) -> Node:
    return Node("number", value=value)


def random_node(rng: np.random.Generator, coords: str, fields: str, order: int, size: int) -> Node:
    """At most ``order`` derivatives on top of each other, about ``size`` operations."""
    space = coords.replace("t", "")
    if size <= 1:
        kind = rng.choice(["field", "field", "field", "coordinate", "number"])
        if kind == "field":
            steps = "".join(rng.choice(list(coords), rng.integers(0, order + 1)))
            return Node("field", name=str(rng.choice(list(fields))), steps=steps)
        if kind == "coordinate":
            return Node("coordinate", name=str(rng.choice(list(coords))))
        return number(float(rng.integers(-8, 9)) / 4)
    choices = ["add", "mul", "mul", "sin", "exp", "tanh", "square", "cube", "over"]
    choices += ["d"] * 4 if order >= 1 else []
    choices += ["lap"] * 3 if order >= 2 and space else []
    kind = str(rng.choice(choices))
    if kind in ("add", "mul"):
        return Node(kind, tuple(random_node(rng, coords, fields, order, size // 2) for _ in range(2)))
    below = order - {"d": 1, "lap": 2}.get(kind, 0)
    return Node(kind, (random_node(rng, coords, fields, below, size - 1),), str(rng.choice(list(coords))))


def derivative(node: Node, x: str) -> Node:
    """By the rules of calculus, worked out here, for the styles that write out what SymPy differentiates."""
    match node:
        case Node("field"):
            return node._replace(steps=node.steps + x)
        case Node("coordinate"):
            return number(float(node.name == x))
        case Node("number"):
            return number(0.0)
        case Node("add"):
            return add(*(derivative(part, x) for part in node.parts))
        case Node("mul", (a, b)):
            return add(mul(derivative(a, x), b), mul(a, derivative(b, x)))
        case Node(kind, (inner,)):
            outer = {
                "sin": Node("cos", (inner,)),
                "cos": mul(number(-1.0), Node("sin", (inner,))),
                "exp": mul(node, mul(number(-2.0), inner)),
                "tanh": add(number(1.0), mul(number(-1.0), Node("square", (node,)))),
                "square": mul(number(2.0), inner),
                "cube": mul(number(3.0), Node("square", (inner,))),
                "over": mul(number(-2.0), mul(inner, Node("square", (node,)))),
            }[kind]
            return mul(outer, derivative(inner, x))
    raise AssertionError(node)


def written_out(node: Node, coords: str) -> Node:
    """Without "d" and "lap": derivatives of fields only."""
    parts = tuple(written_out(part, coords) for part in node.parts)
    if node.kind == "d":
        return derivative(parts[0], node.name)
    if node.kind == "lap":
        return add(*(derivative(derivative(parts[0], x), x) for x in coords if x != "t"))
    return node._replace(parts=parts)


# exp and over are bounded: e^(-a^2) and 1 / (1 + a^2).
OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": lambda f, *parts: reduce(lambda a, b: a + b, parts),
    "mul": lambda f, a, b: a * b,
    "sin": lambda f, a: f.sin(a),
    "cos": lambda f, a: f.cos(a),
    "exp": lambda f, a: f.exp(-(a**2)),
    "tanh": lambda f, a: f.tanh(a),
    "square": lambda f, a: a**2,
    "cube": lambda f, a: a**3,
    "over": lambda f, a: 1 / (1 + a**2),
}


def evaluated(node: Node, leaf: Callable[[Node], Any], differentiate: Callable[..., Any], functions: Any) -> Any:
    if node.kind in ("field", "coordinate", "number"):
        return leaf(node)
    parts = [evaluated(part, leaf, differentiate, functions) for part in node.parts]
    if node.kind in ("d", "lap"):
        return differentiate(node.kind, parts[0], node.name)
    return OPERATIONS[node.kind](functions, *parts)


def truth(node: Node, coords: str, fields: str, structure: Structure, points: Tensor) -> Tensor:
    x = points.clone().requires_grad_()
    values = mlp(structure, random_theta(structure, 0), x)

    def leaf(node: Node) -> Tensor:
        if node.kind == "field":
            return nested_autograd(values[:, fields.index(node.name)], x, [node.steps.count(c) for c in coords])
        return x[:, coords.index(node.name)] if node.kind == "coordinate" else torch.full_like(x[:, 0], node.value)

    def differentiate(kind: str, value: Tensor, name: str) -> Tensor:
        if kind == "d":
            return nested_autograd(value, x, [int(c == name) for c in coords])
        return sum(
            (nested_autograd(value, x, [2 * int(c == s) for c in coords]) for s in coords if s != "t"), 0 * value
        )

    return evaluated(node, leaf, differentiate, torch).detach()


def attributes(field: Any, steps: str, rng: np.random.Generator) -> Any:
    return getattr(field, steps) if steps else field


def chained(field: Any, steps: str, rng: np.random.Generator) -> Any:
    while steps:
        cut = int(rng.integers(1, len(steps) + 1))
        field, steps = getattr(field, steps[:cut]), steps[cut:]
    return field


def by_sympy(field: Any, steps: str, rng: np.random.Generator) -> Any:
    # A user's own symbols, with any assumptions.
    own = [sp.Symbol(s, **({}, {"real": True}, {"finite": True})[rng.integers(3)]) for s in steps]
    return sp.diff(field, *own) if own and rng.random() < 0.7 else reduce(sp.Derivative, own, field)


def helpers(field: Any, steps: str, rng: np.random.Generator) -> Any:
    for s in steps:
        field = pf.grad(field, s)[0] if rng.random() < 0.5 else pf.div([field], s)
    return field


STYLES: dict[str, Callable[[Any, str, np.random.Generator], Any]] = {
    "attributes": attributes, "chained": chained, "SymPy": by_sympy, "helpers": helpers,
}  # fmt: skip


def residual_in(style: str, node: Node, coords: str, seed: int) -> Callable[..., Any]:
    """A residual function that writes an expression in one of the styles."""
    rng = np.random.default_rng(seed)

    def residual(**given: Any) -> Any:
        def leaf(node: Node) -> Any:
            if node.kind == "field":
                return STYLES[style](given[node.name], node.steps, rng)
            return given[node.name] if node.kind == "coordinate" else sp.Float(node.value)

        def differentiate(kind: str, expression: Any, name: str) -> Any:
            x = given[name]
            if style == "helpers":
                return pf.grad(expression, name)[0] if kind == "d" else pf.lap(expression)
            if style == "chained" and isinstance(expression, SymbolicField):
                return getattr(expression, name if kind == "d" else "lap")
            return (
                sp.diff(expression, x)
                if kind == "d"
                else sum(sp.diff(expression, given[c], 2) for c in coords if c != "t")
            )

        # Attributes are those of fields: everything else is differentiated by hand.
        form = written_out(node, coords) if style == "attributes" else node
        return evaluated(form, leaf, differentiate, sp)

    parameters = (inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in (*coords, *FIELDS))
    residual.__signature__ = inspect.Signature(list(parameters))  # type: ignore[attr-defined]  # of every function
    return residual


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), d=st.integers(1, 3), size=st.integers(1, 8))
def test_four_styles_agree_with_nested_autograd(seed: int, d: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    coords = COORDS[:d]
    node = random_node(rng, coords, FIELDS, MAX_ORDER, size)
    # So that no residual is without a field: no sum of others is the opposite of this.
    node = add(node, mul(number(0.43), Node("field", name="u")))
    structure = Structure.dense([d, 4, 2])
    points = random_points(N, d, seed % 97)
    expected = truth(node, coords, FIELDS, structure, points)
    for style in STYLES:
        pde = pf.PDE(" ".join(coords), " ".join(FIELDS), residual_in(style, node, coords, seed))
        found = residuals_at(points, pde, structure)
        # Sums of large terms may cancel: relative to 1 at least.
        assert relative_error(found[:, 0], expected, floor=1.0) < 1e-10, (style, str(pde))
