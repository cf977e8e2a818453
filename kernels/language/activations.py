"""Activations as data: what hidden layers apply, with its derivatives, once for all backends.

A description says how the value and five derivatives follow from the pre-activation z (where a loss has derivatives of
order 4, the way back reads the fifth). Every backend evaluates or prints the same lines: torch here, C++ by
kernels/cpu/src/make_activations.py, Triton by kernels/triton/activation_source.py.

To add one, write its description into `ACTIVATIONS`. What its lines call and a backend does not have yet, that backend
gets in one place: `_TORCH` here, kernels/triton/functions.py, kernels/cpu/src/functions.h. Until then it says that it
has no such activation, and another one computes it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError, short

HIGHEST = 5


@dataclass(frozen=True)
class Activation:
    """One activation a(z).

    Attributes:
        name: what structures and files call it.
        is_odd: a(-z) = -a(z): neurons with opposite weights are then opposite numbers.
        zero: a(0).
        steps: (name, expression) of what the forms share, in z and steps before.
        forms: a, a', ..., a^(5), in z, steps, and the forms before as f0, f1, ...
        kept: z, or the step from which all forms follow: what is kept for the way back.
        far: |z| beyond which a neuron of the first layer hardly trains: it is straight there, or turns too often.
        far_out: in a word, what such neurons are.
        others: what else it is called, lower case.

    Expressions have numbers, names, + - *, and functions of one argument.
    """

    name: str
    is_odd: bool
    zero: float
    steps: tuple[tuple[str, str], ...]
    forms: tuple[str, ...]
    kept: str = "z"
    far: float = 16.0
    far_out: str = "straight"
    others: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.forms) != HIGHEST + 1:
            raise InputError(f"forms: {self.name!r} needs {HIGHEST + 1}, the value and {HIGHEST} derivatives")

    @cached_property
    def _lines(self) -> dict[str, str]:
        return dict(self.steps) | {f"f{k}": form for k, form in enumerate(self.forms)}

    @cached_property
    def functions(self) -> frozenset[str]:
        """Which ones its lines call."""
        trees = (ast.parse(line) for line in self._lines.values())
        return frozenset(node.func.id for tree in trees for node in ast.walk(tree)
                         if isinstance(node, ast.Call) and isinstance(node.func, ast.Name))  # fmt: skip

    @cached_property
    def results(self) -> tuple[str, ...]:
        """z and what calls functions, as far as a', ..., a^(5) need them: they follow from these without a call."""
        calls = {name for name, line in self._lines.items() if _names(line) & _TORCH.keys()}
        forms = {f"f{order}" for order in range(1, HIGHEST + 1)}
        read = forms.union(*(_names(line) for _, line in self._needed(forms, calls)))
        return tuple(name for name in ("z", *self._lines) if name in read & {"z", *calls})

    def to_keep(self) -> list[tuple[str, str]]:
        """(name, expression) of what leads from z to what is kept; none if that is z."""
        return self._needed({self.kept}, {"z"})

    def from_kept(self, orders: Collection[int]) -> list[tuple[str, str]]:
        """(name, expression) of what leads from what is kept to the forms of these orders, f0, f1, ..."""
        return self._needed({f"f{order}" for order in orders}, {self.kept})

    def to_results(self) -> list[tuple[str, str]]:
        """(name, expression) of what leads from z to ``results``."""
        return self._needed(set(self.results), {"z"})

    def from_results(self, orders: Collection[int]) -> list[tuple[str, str]]:
        """(name, expression) of what leads from ``results`` to the forms of these orders."""
        return self._needed({f"f{order}" for order in orders}, set(self.results))

    def _needed(self, wanted: set[str], given: set[str]) -> list[tuple[str, str]]:
        needed, waiting = set[str](), list(wanted - given)
        while waiting:
            name = waiting.pop()
            needed.add(name)
            waiting += _names(self._lines[name]) & self._lines.keys() - needed - given
        return [(name, line) for name, line in self._lines.items() if name in needed]

    def keep(self, z: Tensor) -> Tensor:
        """Of a tensor: what is kept."""
        kept: Tensor = _function(self, "keep", ())(z)
        return kept

    def derivatives(self, kept: Tensor, order: int) -> tuple[Tensor, ...]:
        """a, a', ..., a^(order) from what is kept; order <= 5."""
        found: tuple[Tensor, ...] = _function(self, "derivatives", tuple(range(order + 1)))(kept)
        return found

    def value(self, z: Tensor) -> Tensor:
        return self.derivatives(self.keep(z), 0)[0]


def _names(line: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(line)) if isinstance(node, ast.Name)}


def _softplus(z: Tensor) -> Tensor:
    """log(1 + e^z), exact also for large z (torch's own softplus is z from 20 on)."""
    return torch.logaddexp(z, torch.zeros_like(z))


_TORCH: dict[str, Any] = {
    "tanh": torch.tanh,
    "sin": torch.sin,
    "cos": torch.cos,
    "exp": torch.exp,
    "erf": torch.erf,
    "sigmoid": torch.sigmoid,
    "softplus": _softplus,
}


@lru_cache(maxsize=64)
def _function(activation: Activation, name: str, orders: tuple[int, ...]) -> Callable[[Tensor], Any]:
    is_keep = name == "keep"
    argument = "z" if is_keep else activation.kept
    lines = activation.to_keep() if is_keep else activation.from_kept(orders)
    result = activation.kept if is_keep else f"({', '.join(f'f{order}' for order in orders)},)"
    source = [f"def {name}({argument}):", *(f"    {own} = {line}" for own, line in lines), f"    return {result}"]
    namespace = dict(_TORCH)
    exec(compile("\n".join(source), f"<{activation.name}>", "exec"), namespace)
    found: Callable[[Tensor], Any] = namespace[name]
    return found


# The logistic function g and its derivatives.
_LOGISTIC = (
    ("g", "sigmoid(z)"),
    ("g1", "g * (1 - g)"),
    ("g2", "g1 * (1 - 2 * g)"),
    ("g3", "g1 * (1 - 6 * g1)"),
    ("g4", "g2 * (1 - 12 * g1)"),
    ("g5", "g1 * (1 - g1 * (30 - 120 * g1))"),
)

ACTIVATIONS = {
    own.name: own
    for own in (
        Activation(
            "tanh",
            is_odd=True,
            zero=0.0,
            steps=(("t", "tanh(z)"),),
            forms=(
                "t",
                "1 - t * t",
                "-2 * t * f1",
                "f1 * (4 - 6 * f1)",
                "t * (f1 * (24 * f1 - 8))",
                "f1 * (16 + (t * t) * (120 * (t * t) - 120))",
            ),
            kept="t",
            far_out="saturated",
        ),
        Activation(
            "sin",
            is_odd=True,
            zero=0.0,
            steps=(("s", "sin(z)"), ("c", "cos(z)")),
            forms=("s", "c", "-s", "-c", "s", "c"),
            far=1000.0,
            far_out="in their hundredth wave or later",
            others=("sine",),
        ),
        Activation(
            "silu",
            is_odd=False,
            zero=0.0,
            steps=_LOGISTIC,
            forms=("z * g", "g + z * g1", "2 * g1 + z * g2", "3 * g2 + z * g3", "4 * g3 + z * g4", "5 * g4 + z * g5"),
            others=("swish",),
        ),
        # The normal distribution's density p and q = its integral: x q(x), whose derivatives have Hermite polynomials.
        Activation(
            "gelu",
            is_odd=False,
            zero=0.0,
            steps=(
                ("y", "z * z"),
                ("p", "0.3989422804014327 * exp(-0.5 * y)"),
                ("q", "0.5 + 0.5 * erf(0.7071067811865476 * z)"),
                # Powers of z times p in this order: where p is 0 they are, too, however large z.
                ("p1", "p * z"),
                ("p2", "p1 * z"),
                ("p3", "p2 * z"),
            ),
            forms=(
                "z * q",
                "q + p1",
                "2 * p - p2",
                "p3 - 4 * p1",
                "7 * p2 - p3 * z - 4 * p",
                "p3 * z * z - 11 * p3 + 18 * p1",
            ),
        ),
        Activation(
            "softplus",
            is_odd=False,
            zero=0.6931471805599453,
            steps=_LOGISTIC,
            forms=("softplus(z)", "g", "g1", "g2", "g3", "g4"),
        ),
    )
}
TANH = ACTIVATIONS["tanh"]


def activation_of(name: object) -> Activation:
    """
    Raises:
        InputError: none of that name; the message says which there are, and which one may be meant.
    """
    found = ACTIVATIONS.get(name) if isinstance(name, str) else None
    if found is None:
        advice = f"; write activation={meant!r}" if (meant := _meant(name)) else ""
        raise InputError(f"activation: expected one of {list(ACTIVATIONS)}, got {short(name)}{advice}")
    return found


def _meant(given: object) -> str | None:
    """Which one a name of others, a function, a module or its class stands for."""
    text = given if isinstance(given, str) else getattr(given, "__name__", type(given).__name__)
    word = str(text).strip().lower()
    return next((own.name for own in ACTIVATIONS.values() if word in (own.name, *own.others)), None)
