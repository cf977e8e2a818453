"""Residual programs' operations as Triton expressions. Functions are in functions.py."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InputError

_FORMS = {
    "neg": "-{0}",
    "add": "{0} + {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "reciprocal": "1.0 / {0}",
    "abs": "tl.abs({0})",
    "exp": "tl.exp({0})",
    "log": "tl.log({0})",
    "sin": "tl.sin({0})",
    "cos": "tl.cos({0})",
    "tan": "tl.sin({0}) / tl.cos({0})",
    "sqrt": "sqrt({0})",
    "tanh": "tanh({0})",
    "sinh": "sinh({0})",
    "cosh": "cosh({0})",
    "atan": "atan({0})",
    "sign": "sign({0})",
    "pow": "power({0}, {1})",
    "max": "tl.maximum({0}, {1}, propagate_nan=tl.PropagateNan.ALL)",
    "min": "tl.minimum({0}, {1}, propagate_nan=tl.PropagateNan.ALL)",
    "gt": "({0} > {1}).to({0}.dtype)",
}


def expression(op: str, arguments: Sequence[str], value: float, like: str) -> str:
    """``like``: a tensor with the shape and type that a constant takes."""
    if op == "const":
        return f"tl.full({like}.shape, {literal(value)}, {like}.dtype)" if value != 0 else f"tl.zeros_like({like})"
    if op not in _FORMS:
        raise InputError(f"residual: backend 'triton' has no operation {op!r}")
    return _FORMS[op].format(*arguments)


def literal(value: float) -> str:
    return repr(value) if abs(value) < float("inf") else f'float("{value}")'
