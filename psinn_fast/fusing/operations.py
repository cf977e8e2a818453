"""torch's operations on the numbers of one point each, as SymPy has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy as sp
import torch
from torch import Tensor

from ..kernels.errors import InputError, short
from ..language.fields import SymbolicField
from ..language.names import split_words
from .recorded import Expressions, Recorded, aligned, number
from .symbols import Symbols, Trained

_LN10, _LN2 = sp.Float(np.log(10.0), 17), sp.Float(np.log(2.0), 17)


def words(text: str) -> frozenset[str]:
    return frozenset(split_words(text, "names"))


@dataclass(frozen=True)
class Operation:
    """``function`` of the operands' numbers, in the order of their names, and of the options."""

    function: Callable[..., sp.Expr]
    operands: tuple[str, ...] = ("input",)
    options: Mapping[str, Any] = field(default_factory=dict)


def _binary(function: Callable[..., sp.Expr], *names: str, **options: Any) -> Operation:
    return Operation(function, names or ("input", "other"), options)


def _case(condition: Any) -> sp.Expr:
    """1 where it holds, else 0."""
    return sp.Piecewise((sp.S.One, condition), (sp.S.Zero, True))


def _divided(a: sp.Expr, b: sp.Expr, rounding_mode: Any = None) -> sp.Expr:
    if rounding_mode is not None:
        raise InputError("rounding_mode has no derivative")
    if b == 0:
        raise InputError("it divides by 0")
    return a / b


def _sigmoid(a: sp.Expr) -> sp.Expr:
    """In a form that no argument makes overflow."""
    return (1 + sp.tanh(a / 2)) / 2


def _softplus(a: sp.Expr, beta: Any = 1, threshold: Any = 20) -> sp.Expr:
    if threshold != 20:
        raise InputError("threshold is not known; softplus is itself for all arguments")
    return (sp.Max(beta * a, 0) + sp.log(1 + sp.exp(-sp.Abs(beta * a)))) / beta


def _relu(a: sp.Expr) -> sp.Expr:
    """With torch's derivative at the kink, 0, where given numbers may be exactly."""
    return sp.Max(a, 0) if a.has(SymbolicField, Trained) else sp.Piecewise((a, a > 0), (sp.S.Zero, True))


def _clamped(a: sp.Expr, low: sp.Expr | None, high: sp.Expr | None) -> sp.Expr:
    """min(max(a, low), high), with torch's derivative at the kinks, 1, where numbers may lie on them."""
    if a.has(SymbolicField):
        a = a if low is None else sp.Max(a, low)
        return a if high is None else sp.Min(a, high)
    if a.has(Trained):
        a = a if low is None else a + (low - a) * sp.Heaviside(low - a)
        return a if high is None else a + (high - a) * sp.Heaviside(a - high)
    cases = [] if low is None or high is None else [(high, low > high)]
    cases += [] if low is None else [(low, a < low)]
    cases += [] if high is None else [(high, a > high)]
    return sp.Piecewise(*cases, (a, True))


def _largest(a: sp.Expr, b: sp.Expr) -> sp.Expr:
    """With torch's derivative where both are equal, one half each."""
    return (a + b + sp.Abs(a - b)) / 2 if _may_be_equal(a, b) else sp.Max(a, b)


def _least(a: sp.Expr, b: sp.Expr) -> sp.Expr:
    return (a + b - sp.Abs(a - b)) / 2 if _may_be_equal(a, b) else sp.Min(a, b)


def _may_be_equal(a: sp.Expr, b: sp.Expr) -> bool:
    """Trained numbers may lie on a bound; what the network gives hardly does."""
    both = sp.Tuple(a, b)
    return bool(both.has(Trained) and not both.has(SymbolicField))


def _chosen(condition: sp.Expr, a: sp.Expr, b: sp.Expr) -> sp.Expr:
    """``torch.where`` by given numbers."""
    if a == b:
        return a
    if a.has(SymbolicField, Trained) or b.has(SymbolicField, Trained):
        return condition * a + (1 - condition) * b
    return sp.Piecewise((a, sp.Eq(condition, 1)), (b, True))


# By torch's name.
POINTWISE: dict[str, Operation] = {
    "add": _binary(lambda a, b, alpha: a + alpha * b, alpha=1),
    "sub": _binary(lambda a, b, alpha: a - alpha * b, alpha=1),
    "rsub": _binary(lambda a, b, alpha: b - alpha * a, alpha=1),
    "mul": _binary(lambda a, b: a * b),
    "div": _binary(_divided, rounding_mode=None),
    "rdiv": _binary(lambda a, b: _divided(b, a)),
    "pow": _binary(lambda a, b: a**b, "input", "exponent"),
    "rpow": _binary(lambda a, b: b**a),
    "neg": Operation(lambda a: -a),
    "positive": Operation(lambda a: a),
    "square": Operation(lambda a: a**2),
    "sqrt": Operation(sp.sqrt),
    "rsqrt": Operation(lambda a: 1 / sp.sqrt(a)),
    "reciprocal": Operation(lambda a: 1 / a),
    "exp": Operation(sp.exp),
    "exp2": Operation(lambda a: sp.exp(a * _LN2)),
    "expm1": Operation(lambda a: 2 * sp.exp(a / 2) * sp.sinh(a / 2)),
    "log": Operation(sp.log),
    "log2": Operation(lambda a: sp.log(a) / _LN2),
    "log10": Operation(lambda a: sp.log(a) / _LN10),
    "log1p": Operation(lambda a: sp.log(1 + a) if a.has(SymbolicField, Trained) else 2 * sp.atanh(a / (2 + a))),
    "sin": Operation(sp.sin),
    "cos": Operation(sp.cos),
    "tan": Operation(sp.tan),
    "sinh": Operation(sp.sinh),
    "cosh": Operation(sp.cosh),
    "tanh": Operation(sp.tanh),
    "atan": Operation(sp.atan),
    "asin": Operation(sp.asin),
    "acos": Operation(sp.acos),
    "asinh": Operation(lambda a: sp.log(a + sp.sqrt(a**2 + 1))),
    "atan2": _binary(sp.atan2),
    "abs": Operation(sp.Abs),
    "sign": Operation(sp.sign),
    "erf": Operation(sp.erf),
    "erfc": Operation(lambda a: 1 - sp.erf(a)),
    "sigmoid": Operation(_sigmoid),
    "relu": Operation(lambda a, inplace: _relu(a), options={"inplace": False}),
    "softplus": Operation(_softplus, options={"beta": 1, "threshold": 20}),
    "silu": Operation(lambda a, inplace: a * _sigmoid(a), options={"inplace": False}),
    "maximum": _binary(_largest),
    "minimum": _binary(_least),
    "hypot": _binary(lambda a, b: sp.sqrt(a**2 + b**2)),
    "lerp": _binary(lambda a, b, weight: a + weight * (b - a), "input", "end", "weight"),
    "addcmul": _binary(lambda a, b, c, value: a + value * b * c, "input", "tensor1", "tensor2", value=1),
    "addcdiv": _binary(lambda a, b, c, value: a + value * _divided(b, c), "input", "tensor1", "tensor2", value=1),
}
# Of given numbers alone: what the network gives may not decide.
DECISIONS: dict[str, Operation] = {
    "gt": _binary(lambda a, b: _case(sp.Gt(a, b))),
    "ge": _binary(lambda a, b: _case(sp.Ge(a, b))),
    "lt": _binary(lambda a, b: _case(sp.Lt(a, b))),
    "le": _binary(lambda a, b: _case(sp.Le(a, b))),
    "eq": _binary(lambda a, b: _case(sp.Eq(a, b))),
    "ne": _binary(lambda a, b: _case(sp.Ne(a, b))),
    "logical_and": _binary(lambda a, b: a * b),
    "logical_or": _binary(lambda a, b: a + b - a * b),
    "logical_not": Operation(lambda a: 1 - a),
    "heaviside": _binary(
        lambda a, b: sp.Piecewise((sp.S.Zero, a < 0), (b, sp.Eq(a, 0)), (sp.S.One, True)), "input", "values"
    ),
}
COMPARISONS = words("gt ge lt le eq ne")
_LOGICAL = words("logical_and logical_or logical_not")
WHERE = Operation(_chosen, ("condition", "input", "other"))
ALIASES = {
    "subtract": "sub", "multiply": "mul", "divide": "div", "true_divide": "div", "truediv": "div", "rtruediv": "rdiv",
    "radd": "add", "rmul": "mul", "negative": "neg", "pos": "positive", "absolute": "abs", "arctan": "atan",
    "arctan2": "atan2", "arcsin": "asin", "arccos": "acos", "arcsinh": "asinh", "sgn": "sign", "float_power": "pow",
    "special_erf": "erf", "special_erfc": "erfc", "special_expit": "sigmoid", "special_exp2": "exp2",
    "special_expm1": "expm1", "special_log1p": "log1p", "fmax": "maximum", "fmin": "minimum", "rsubtract": "rsub",
    "greater": "gt", "greater_equal": "ge", "less": "lt", "less_equal": "le", "not_equal": "ne",
    "and": "logical_and", "or": "logical_or", "invert": "logical_not", "bitwise_and": "logical_and",
    "bitwise_or": "logical_or", "bitwise_not": "logical_not", "concat": "cat", "concatenate": "cat", "clip": "clamp",
    "inner": "dot", "vdot": "dot", "linalg_vecdot": "vecdot", "mm": "matmul", "mv": "matmul",
    "iadd": "add_", "isub": "sub_", "imul": "mul_", "idiv": "div_", "itruediv": "div_", "ipow": "pow_",
    "linalg_norm": "norm", "vector_norm": "norm", "linalg_vector_norm": "norm",
}  # fmt: skip
# What only looks at a tensor.
METADATA = words(
    "shape size dim ndim ndimension numel nelement dtype device layout requires_grad is_leaf grad_fn is_cuda is_cpu "
    "len stride is_contiguous is_floating_point is_complex element_size storage_offset names hash repr output_nr "
    "_version is_sparse is_meta is_quantized is_nested data_ptr untyped_storage register_hook id is_inference "
    "has_names _backward_hooks nbytes itemsize get_device is_tensor retains_grad set"
)
# What makes numbers of Python's or NumPy's out of a tensor, which code may then decide by.
READS = words("item tolist numpy allclose equal is_nonzero any all argmax argmin")
# Changes in place that are pointwise operations.
IN_PLACE = words("add_ sub_ mul_ div_ pow_")
# What Python makes of a tensor, by the names of torch's own methods.
_CONVERSIONS = words("bool float int complex index contains format array")


def name_of(function: Any) -> str:
    """torch's name of an operation: ``__radd__`` -> add, the getter of ``T`` -> T; ``bool()`` of what Python reads."""
    name = str(getattr(function, "__name__", function))
    if name == "__get__":
        return str(getattr(getattr(function, "__self__", None), "__name__", name))
    if name.startswith("__"):
        name = name.removeprefix("__").removesuffix("__")
        if name in _CONVERSIONS:
            return f"{name}()"
    return ALIASES.get(name, name)


def bound(names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by the names of parameters.

    Raises:
        InputError: one that is none of them.
    """
    if len(args) > len(names):
        raise InputError(f"its argument {short(args[len(names)])} is not known here")
    known = {"self": "input", "axis": "dim", "keepdims": "keepdim", "a_min": "min", "a_max": "max"}
    given = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        own = known.get(name, name)
        if own in names:
            given[own] = value
        elif value is not None and not (own == "inplace" and not value):
            raise InputError(f"its argument {name} is not known here")
    return given


def pointwise(symbols: Symbols, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], result: Tensor) -> Recorded:
    """An operation of `POINTWISE` or `DECISIONS`, or ``where``."""
    own = WHERE if name == "where" else POINTWISE.get(name) or DECISIONS[name]
    given = bound([*own.operands, *own.options], args, kwargs)
    options = {key: given.get(key, default) for key, default in own.options.items()}
    if any(isinstance(value, (Tensor, Recorded)) for value in options.values()):
        raise InputError(f"its arguments {' and '.join(options)} are to be Python's numbers")
    if options.get("inplace"):
        raise InputError("inplace=True changes a recorded tensor; leave it out")
    operands = [given[key] for key in own.operands if key in given]
    if len(operands) < len(own.operands):
        raise InputError(f"expected {' and '.join(own.operands)}")
    is_logical = [_dtype(operand) == torch.bool for operand in operands if not isinstance(operand, (bool, int, float))]
    if (name in _LOGICAL and not all(is_logical)) or (
        name in POINTWISE and name != "mul" and result.dtype == torch.bool
    ):
        raise InputError("of truth values torch computes something else than of numbers; write mask.double()")
    batch, arrays = aligned(symbols, operands, tuple(result.shape))
    numbers = {key: number(value) if isinstance(value, (int, float)) else value for key, value in options.items()}
    if name in COMPARISONS and batch:
        return _compared(symbols, name, batch, arrays, result)
    return applied(own.function, batch, arrays, result, numbers)


def _compared(
    symbols: Symbols, name: str, batch: tuple[int, ...], arrays: Sequence[Expressions], result: Tensor
) -> Recorded:
    """Truth values as torch found them: as symbols, or SymPy would write what is compared in another way."""
    found = result.detach().reshape(int(np.prod(batch)), -1).cpu().numpy()
    shape = tuple(result.shape)[len(batch) :]
    operands = [np.broadcast_to(array, shape) for array in arrays]
    items = np.empty(shape, dtype=object)
    for k, index in enumerate(np.ndindex(shape)):
        pair = [operand[index] for operand in operands]
        items[index] = symbols.truth(name, pair[0], pair[1], found[:, k])
    return Recorded(result, batch, items)


def applied(
    function: Callable[..., sp.Expr],
    batch: tuple[int, ...],
    arrays: Sequence[Expressions],
    result: Tensor,
    options: Mapping[str, Any] | None = None,
) -> Recorded:
    """A function of the numbers of each point, of arrays that broadcast."""
    spread = np.broadcast_arrays(*arrays) if arrays else []
    items = np.empty(spread[0].shape, dtype=object)
    for index in np.ndindex(items.shape):
        items[index] = function(*(array[index] for array in spread), **(options or {}))
    return Recorded(result, batch, np.broadcast_to(items, tuple(result.shape)[len(batch) :]))


def clamped(symbols: Symbols, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], result: Tensor) -> Recorded:
    """``clamp``, ``clamp_min`` and ``clamp_max``."""
    names = {"clamp": ("input", "min", "max"), "clamp_min": ("input", "min"), "clamp_max": ("input", "max")}[name]
    given = bound(names, args, kwargs)
    bounds = {key: given[key] for key in ("min", "max") if given.get(key) is not None}
    batch, (own, *others) = aligned(symbols, [given["input"], *bounds.values()], tuple(result.shape))

    def function(a: sp.Expr, *limits: sp.Expr) -> sp.Expr:
        own_limits = dict(zip(bounds, limits, strict=True))
        return _clamped(a, own_limits.get("min"), own_limits.get("max"))

    return applied(function, batch, [own, *others], result)


def _dtype(operand: Any) -> torch.dtype:
    tensor = operand.tensor if isinstance(operand, Recorded) else operand
    assert isinstance(tensor, Tensor)
    return tensor.dtype
