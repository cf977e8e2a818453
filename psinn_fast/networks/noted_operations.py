"""The operations of torch that are noted, and what they are in a residual program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

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


class Reduction(NamedTuple):
    """To one number, or to one per point.

    Attributes:
        whole: the operation that reduces one column, and takes the first ``n_kept`` arguments behind the operands.
        is_mean: of several columns, the mean of theirs.
        dims: from the arguments behind the operands and the number of dimensions to the dimensions that go, and whether
            they are kept as 1; None: another reduction.
    """

    whole: Any
    is_mean: bool
    dims: Callable[[tuple[Any, ...], int], tuple[tuple[int, ...], bool] | None]
    n_kept: int = 0


class Operation(NamedTuple):
    """``rule``: what it is in a program; of a reduction, what it is the sum of over the points.

    ``n_operands``: of how many arguments, where others follow that say how it is reduced; None: of all.
    ``is_single``: of one column only.
    """

    rule: Rule
    reduction: Reduction | None = None
    n_operands: int | None = None
    is_single: bool = False


def _unary(op: str) -> Rule:
    return lambda to, a: to.add(op, to.of(a))


def _add(to: Emitter, a: Any, b: Any, alpha: float = 1) -> int:
    second = to.of(b) if alpha == 1 else to.add("mul", to.number(alpha), to.of(b))
    return to.add("add", to.of(a), second)


def _sub(to: Emitter, a: Any, b: Any, alpha: float = 1) -> int:
    return _add(to, a, b, -alpha) if alpha != 1 else to.add("add", to.of(a), to.add("neg", to.of(b)))


def _mul(to: Emitter, a: Any, b: Any) -> int:
    own = to.of(a)
    # The derivative of a square: a sum needs no constant.
    twice = isinstance(b, (int, float)) and b == 2
    return to.add("add", own, own) if twice else to.add("mul", own, to.of(b))


def _div(to: Emitter, a: Any, b: Any) -> int:
    return to.add("div", to.of(a), to.of(b))


def _pow(to: Emitter, base: Any, exponent: float) -> int:
    own = to.of(base)
    if exponent in (0, 1):
        return own if exponent else to.number(1.0)
    if exponent == 0.5:
        return to.add("sqrt", own)
    if abs(exponent) <= _MOST and exponent == int(exponent):
        product = _product(to, own, int(abs(exponent)))
        return product if exponent > 0 else to.add("reciprocal", product)
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


def _sum(to: Emitter, a: Any, *_: Any) -> int:
    return to.of(a)


def _mean(to: Emitter, a: Any, *_: Any) -> int:
    return to.add("mul", to.number(1.0 / to.n_points), to.of(a))


def _mse_loss(to: Emitter, a: Any, b: Any, reduction: int = _MEAN) -> int:
    difference = _sub(to, a, b)
    square = to.add("mul", difference, difference)
    return to.add("mul", to.number(1.0 / to.n_points), square) if reduction == _MEAN else square


def _dims(rest: tuple[Any, ...], n_dims: int) -> tuple[tuple[int, ...], bool] | None:
    """Of sums and means: () or (dimensions, whether they are kept)."""
    dims, keeps = (*rest, *(None, False)[len(rest) :])[:2]
    every = tuple(range(n_dims))
    return (tuple(sorted(d % n_dims for d in dims)) if dims and n_dims else every), bool(keeps)


def _is_reduced(rest: tuple[Any, ...], n_dims: int) -> tuple[tuple[int, ...], bool] | None:
    return (tuple(range(n_dims)), False) if rest in ((), (_MEAN,), (_SUM,)) else None


_UNARY = (
    "neg", "reciprocal", "sqrt", "exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "atan", "abs", "sign",
)  # fmt: skip
NOTED = {
    # From numbers per point, numbers that all points share, and plain numbers, to one number per point.
    **{getattr(_ATEN, op).default: Operation(_unary(op)) for op in _UNARY},
    _ATEN.sgn.default: Operation(_unary("sign")),
    _ATEN.add.Tensor: Operation(_add),
    _ATEN.add.Scalar: Operation(_add),
    _ATEN.sub.Tensor: Operation(_sub),
    _ATEN.sub.Scalar: Operation(_sub),
    _ATEN.rsub.Scalar: Operation(lambda to, a, b, alpha=1: _sub(to, b, a, alpha)),
    _ATEN.mul.Tensor: Operation(_mul),
    _ATEN.mul.Scalar: Operation(_mul),
    _ATEN.div.Tensor: Operation(_div),
    _ATEN.div.Scalar: Operation(_div),
    _ATEN.pow.Tensor_Scalar: Operation(_pow),
    _ATEN.tanh_backward.default: Operation(_tanh_backward),
    _ATEN.mse_loss_backward.default: Operation(_mse_loss_backward, None, 3, is_single=True),
    _ATEN.sum.default: Operation(_sum, Reduction(_ATEN.sum.default, False, _dims), 1),
    _ATEN.sum.dim_IntList: Operation(_sum, Reduction(_ATEN.sum.default, False, _dims), 1),
    _ATEN.mean.default: Operation(_mean, Reduction(_ATEN.mean.default, True, _dims), 1),
    _ATEN.mean.dim: Operation(_mean, Reduction(_ATEN.mean.default, True, _dims), 1),
    _ATEN.mse_loss.default: Operation(
        _mse_loss, Reduction(_ATEN.mse_loss.default, False, _is_reduced, n_kept=1), 2, is_single=True
    ),
}
ADD, MUL = _ATEN.add.Tensor, _ATEN.mul.Tensor
# Zero where the first operand is; products also where the second one is.
VANISHING = {MUL, _ATEN.mul.Scalar, _ATEN.neg.default, _ATEN.div.Tensor, _ATEN.div.Scalar}


# These need the shape of a tensor, and none of its numbers.
LIKE = {
    getattr(_ATEN, name).default
    for name in (
        "ones_like", "zeros_like", "empty_like", "full_like", "rand_like", "randn_like",
        "new_empty", "new_zeros", "new_ones", "new_full",
    )
}  # fmt: skip
