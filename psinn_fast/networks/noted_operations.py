"""The operations of torch that are noted, and what they are in a residual program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch

_ATEN = torch.ops.aten
_MEAN, _SUM = 1, 2  # what torch calls the reductions of a loss
# Powers that are products; others take the power function.
_MOST = 8


class Emitter(Protocol):
    """Takes notes, tensors, numbers and registers; gives registers."""

    n_points: int

    def of(self, item: Any) -> int: ...
    def number(self, value: float) -> int: ...
    def add(self, op: str, *operands: int) -> int: ...


Rule = Callable[..., int]


def _unary(op: str) -> Rule:
    return lambda to, a: to.add(op, to.of(a))


def _add(to: Emitter, a: Any, b: Any, alpha: float = 1) -> int:
    second = to.of(b) if alpha == 1 else to.add("mul", to.number(alpha), to.of(b))
    return to.add("add", to.of(a), second)


def _sub(to: Emitter, a: Any, b: Any, alpha: float = 1) -> int:
    return _add(to, a, b, -alpha) if alpha != 1 else to.add("add", to.of(a), to.add("neg", to.of(b)))


def _mul(to: Emitter, a: Any, b: Any) -> int:
    return to.add("mul", to.of(a), to.of(b))


def _div(to: Emitter, a: Any, b: Any) -> int:
    return to.add("div", to.of(a), to.of(b))


def _pow(to: Emitter, base: Any, exponent: float) -> int:
    own = to.of(base)
    if exponent in (0, 1):
        return own if exponent else to.number(1.0)
    if exponent == 0.5:
        return to.add("sqrt", own)
    if exponent < 0 and exponent == int(exponent) >= -_MOST:
        return to.add("reciprocal", _product(to, own, int(-exponent)))
    if exponent == int(exponent) <= _MOST:
        return _product(to, own, int(exponent))
    return to.add("pow", own, to.number(exponent))


def _product(to: Emitter, base: int, exponent: int) -> int:
    if exponent == 1:
        return base
    half = _product(to, base, exponent // 2)
    square = to.add("mul", half, half)
    return square if exponent % 2 == 0 else to.add("mul", square, base)


def _tanh_backward(to: Emitter, grad: Any, result: Any) -> int:
    own = to.of(result)
    slope = to.add("add", to.number(1.0), to.add("neg", to.add("mul", own, own)))
    return to.add("mul", to.of(grad), slope)


def _mse_loss_backward(to: Emitter, grad: Any, a: Any, b: Any, reduction: int) -> int:
    factor = to.number(2.0 / to.n_points if reduction == _MEAN else 2.0)
    return to.add("mul", to.add("mul", factor, to.of(grad)), _sub(to, a, b))


# From numbers per point, numbers that all points share, and plain numbers, to one number per point.
POINTWISE: dict[Any, Rule] = {
    _ATEN.add.Tensor: _add,
    _ATEN.add.Scalar: _add,
    _ATEN.sub.Tensor: _sub,
    _ATEN.sub.Scalar: _sub,
    _ATEN.rsub.Scalar: lambda to, a, b, alpha=1: _sub(to, b, a, alpha),
    _ATEN.mul.Tensor: _mul,
    _ATEN.mul.Scalar: _mul,
    _ATEN.div.Tensor: _div,
    _ATEN.div.Scalar: _div,
    _ATEN.pow.Tensor_Scalar: _pow,
    _ATEN.sgn.default: _unary("sign"),
    _ATEN.tanh_backward.default: _tanh_backward,
    _ATEN.mse_loss_backward.default: _mse_loss_backward,
    **{
        getattr(_ATEN, op).default: _unary(op)
        for op in (
            "neg", "reciprocal", "sqrt", "exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "atan", "abs",
            "sign",
        )
    },
}  # fmt: skip

# From numbers per point to one number, over all points or along an axis, which is the only one.
_REDUCTIONS = {
    _ATEN.mean.default: _MEAN, _ATEN.mean.dim: _MEAN, _ATEN.sum.default: _SUM, _ATEN.sum.dim_IntList: _SUM,
}  # fmt: skip
_MSE_LOSS = _ATEN.mse_loss.default

# What is noted, and whether it is a reduction.
NOTED = {**dict.fromkeys(POINTWISE, False), **dict.fromkeys((*_REDUCTIONS, _MSE_LOSS), True)}
# Of how many arguments, where others follow that say how it is reduced.
OPERANDS = {**dict.fromkeys(_REDUCTIONS, 1), _MSE_LOSS: 2, _ATEN.mse_loss_backward.default: 3}


def is_whole(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether a reduction of vectors gives a number, their mean or sum."""
    if func is _MSE_LOSS:
        return args[2:] in ((), (_MEAN,), (_SUM,))
    return len(args) == 1 or (len(args) == 2 and list(args[1]) in ([0], [-1]))


def summand(to: Emitter, func: Any, args: tuple[Any, ...]) -> int:
    """What a reduction is the sum of over the points."""
    if func is _MSE_LOSS:
        difference = _sub(to, *args[:2])
        own, reduction = to.add("mul", difference, difference), args[2] if len(args) > 2 else _MEAN
    else:
        own, reduction = to.of(args[0]), _REDUCTIONS[func]
    return to.add("mul", to.number(1.0 / to.n_points), own) if reduction == _MEAN else own


# These need the shape of a tensor, and none of its numbers.
LIKE = {
    getattr(_ATEN, name).default
    for name in (
        "ones_like", "zeros_like", "empty_like", "full_like", "rand_like", "randn_like",
        "new_empty", "new_zeros", "new_ones", "new_full",
    )
}  # fmt: skip
_SHAPED = {_ATEN.expand.default, _ATEN.view.default}
_UNSHAPED = {_ATEN.detach.default, _ATEN.alias.default}


def is_alias(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether it gives the whole tensor again, in the same memory and the same shape."""
    if func in _SHAPED and len(args) == 2:
        shape, wanted = tuple(args[0].shape), tuple(args[1])
        return wanted == shape or (wanted == (-1,) and len(shape) == 1)
    return (func in _UNSHAPED or (func is _ATEN.squeeze.default and 1 not in args[0].shape)) and len(args) == 1
