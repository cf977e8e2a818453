"""What torch's operations are on recorded tensors: pointwise ones by SymPy, movements by their places, sums by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp
import torch
from torch import Tensor

from ..kernels.errors import InputError
from .recorded import Expressions, NotPointwise, Recorded, aligned, constant, lifted, number, rearranged
from .symbols import Symbols

_LN10, _LN2 = sp.Float(np.log(10.0), 17), sp.Float(np.log(2.0), 17)


def _case(condition: Any) -> sp.Expr:
    """1 where it holds, else 0."""
    return sp.Piecewise((sp.S.One, condition), (sp.S.Zero, True))


def _divided(a: sp.Expr, b: sp.Expr) -> sp.Expr:
    if b == 0:
        raise InputError("it divides by 0")
    return a / b


# By torch's name. Their arguments are expressions, or numbers as such.
POINTWISE: dict[str, Callable[..., sp.Expr]] = {
    "add": lambda a, b, alpha=1: a + alpha * b,
    "sub": lambda a, b, alpha=1: a - alpha * b,
    "rsub": lambda a, b, alpha=1: b - alpha * a,
    "mul": lambda a, b: a * b,
    "div": _divided,
    "rdiv": lambda a, b: _divided(b, a),
    "pow": lambda a, b: a**b,
    "rpow": lambda a, b: b**a,
    "neg": lambda a: -a,
    "positive": lambda a: a,
    "square": lambda a: a**2,
    "sqrt": sp.sqrt,
    "rsqrt": lambda a: 1 / sp.sqrt(a),
    "reciprocal": lambda a: 1 / a,
    "exp": sp.exp,
    "exp2": lambda a: sp.exp(a * _LN2),
    "expm1": lambda a: sp.exp(a) - 1,
    "log": sp.log,
    "log2": lambda a: sp.log(a) / _LN2,
    "log10": lambda a: sp.log(a) / _LN10,
    "log1p": lambda a: sp.log(1 + a),
    "sin": sp.sin,
    "cos": sp.cos,
    "tan": sp.tan,
    "sinh": sp.sinh,
    "cosh": sp.cosh,
    "tanh": sp.tanh,
    "atan": sp.atan,
    "asin": sp.asin,
    "acos": sp.acos,
    "abs": sp.Abs,
    "sign": sp.sign,
    "erf": sp.erf,
    "sigmoid": lambda a: 1 / (1 + sp.exp(-a)),
    "relu": lambda a: sp.Max(a, 0),
    "softplus": lambda a: sp.log(1 + sp.exp(a)),
    "silu": lambda a: a / (1 + sp.exp(-a)),
    "maximum": sp.Max,
    "minimum": sp.Min,
    "hypot": lambda a, b: sp.sqrt(a**2 + b**2),
    "lerp": lambda a, b, weight: a + weight * (b - a),
    "addcmul": lambda a, b, c, value=1: a + value * b * c,
    "addcdiv": lambda a, b, c, value=1: a + value * _divided(b, c),
}
ALIASES = {
    "subtract": "sub", "multiply": "mul", "divide": "div", "true_divide": "div", "truediv": "div", "rtruediv": "rdiv",
    "radd": "add", "rmul": "mul", "negative": "neg", "pos": "positive", "absolute": "abs", "arctan": "atan",
    "arcsin": "asin", "arccos": "acos", "sgn": "sign", "float_power": "pow", "rsubtract": "rsub",
    "special_erf": "erf", "special_expit": "sigmoid", "special_exp2": "exp2", "special_expm1": "expm1",
    "special_log1p": "log1p", "fmax": "maximum", "fmin": "minimum", "where": "where",
    "greater": "gt", "greater_equal": "ge", "less": "lt", "less_equal": "le", "eq": "eq", "not_equal": "ne",
    "and": "logical_and", "or": "logical_or", "invert": "logical_not", "bitwise_and": "logical_and",
    "bitwise_or": "logical_or", "bitwise_not": "logical_not",
    "concat": "cat", "concatenate": "cat", "clip": "clamp", "dot": "dot", "inner": "dot", "vdot": "dot",
    "rmatmul": "rmatmul", "mm": "matmul", "mv": "matmul",
}  # fmt: skip
# What Python makes of a tensor, by the names of torch's own methods.
_CONVERSIONS = frozenset(["bool", "float", "int", "complex", "index", "contains", "format", "array"])
# Of given numbers alone: what the network gives may not decide.
COMPARISONS: dict[str, Callable[..., sp.Expr]] = {
    "gt": lambda a, b: _case(sp.Gt(a, b)),
    "ge": lambda a, b: _case(sp.Ge(a, b)),
    "lt": lambda a, b: _case(sp.Lt(a, b)),
    "le": lambda a, b: _case(sp.Le(a, b)),
    "eq": lambda a, b: _case(sp.Eq(a, b)),
    "ne": lambda a, b: _case(sp.Ne(a, b)),
    "logical_and": lambda a, b: a * b,
    "logical_or": lambda a, b: a + b - a * b,
    "logical_not": lambda a: 1 - a,
    "heaviside": lambda a, b: sp.Piecewise((sp.S.Zero, a < 0), (b, sp.Eq(a, 0)), (sp.S.One, True)),
}
# They move numbers, or leave them where they are.
MOVEMENTS = frozenset(
    [
        "getitem",
        "select",
        "narrow",
        "view",
        "reshape",
        "flatten",
        "unflatten",
        "ravel",
        "squeeze",
        "unsqueeze",
        "transpose",
        "swapaxes",
        "swapdims",
        "permute",
        "movedim",
        "moveaxis",
        "t",
        "T",
        "mT",
        "adjoint",
        "expand",
        "expand_as",
        "broadcast_to",
        "repeat",
        "tile",
        "cat",
        "stack",
        "hstack",
        "vstack",
        "column_stack",
        "dstack",
        "split",
        "split_with_sizes",
        "chunk",
        "unbind",
        "tensor_split",
        "contiguous",
        "clone",
        "flip",
        "index_select",
        "view_as",
        "reshape_as",
        "atleast_1d",
        "atleast_2d",
        "atleast_3d",
        "iter",
        "unsafe_chunk",
        "unsafe_split",
        "hsplit",
        "vsplit",
        "roll",
        "take_along_dim",
        "gather",
        "alias",
        "row_stack",
        "meshgrid",
    ]
)
# What they give is the tensor itself, in the network's one dtype on its one device.
SAME = frozenset(
    ["to", "float", "double", "type", "type_as", "cpu", "cuda", "requires_grad_", "retain_grad", "as_subclass"]
)
SUMS = frozenset(("sum", "mean"))


def name_of(function: Any) -> str:
    """torch's name of an operation: ``__radd__`` -> radd, the getter of ``T`` -> T; ``bool()`` of what Python reads."""
    name = str(getattr(function, "__name__", function))
    if name == "__get__":
        return str(getattr(getattr(function, "__self__", None), "__name__", name))
    if name.startswith("__"):
        name = name.removeprefix("__").removesuffix("__")
        if name in _CONVERSIONS:
            return f"{name}()"
    return ALIASES.get(name, name)


def pointwise(symbols: Symbols, name: str, args: Sequence[Any], kwargs: dict[str, Any], result: Tensor) -> Recorded:
    """An operation on numbers of one point each."""
    function = POINTWISE.get(name) or COMPARISONS[name]
    options = {key: number(value) for key, value in kwargs.items() if key in ("alpha", "value")}
    named = [kwargs[key] for key in ("other", "exponent", "weight", "end") if key in kwargs]
    operands = [*args, *named]
    if name in ("add", "sub", "rsub") and len(operands) == 3:
        options["alpha"] = number(operands.pop())
    batch, arrays = aligned(symbols, operands, tuple(result.shape))
    return _applied(function, batch, arrays, result, options)


def _applied(
    function: Callable[..., sp.Expr], batch: tuple[int, ...], arrays: Sequence[Expressions], result: Tensor,
    options: dict[str, Any] | None = None,
) -> Recorded:  # fmt: skip
    spread = np.broadcast_arrays(*arrays) if arrays else []
    items = np.empty(spread[0].shape, dtype=object)
    for index in np.ndindex(items.shape):
        items[index] = function(*(array[index] for array in spread), **(options or {}))
    return Recorded(result, batch, np.broadcast_to(items, tuple(result.shape)[len(batch) :]))


def clamped(symbols: Symbols, args: Sequence[Any], kwargs: dict[str, Any], result: Tensor) -> Recorded:
    bounds = [*args[1:], None, None][:2]
    low, high = kwargs.get("min", bounds[0]), kwargs.get("max", bounds[1])
    given = [bound for bound in (low, high) if bound is not None]
    batch, (own, *others) = aligned(symbols, [args[0], *given], tuple(result.shape))
    found = _applied(lambda a: a, batch, [own], result)
    for kind, bound in zip([k for k, b in ((sp.Max, low), (sp.Min, high)) if b is not None], others, strict=True):
        found = _applied(kind, batch, [found.items, bound], result)
    return found


def chosen(symbols: Symbols, args: Sequence[Any], result: Tensor) -> Recorded:
    """``torch.where`` by given numbers."""
    batch, arrays = aligned(symbols, args, tuple(result.shape))
    return _applied(lambda c, a, b: b if a == b else c * a + (1 - c) * b, batch, arrays, result)


def moved(
    symbols: Symbols, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], result: Any
) -> list[Recorded]:
    """What a movement gives, with its operands replaced by their places."""
    parts: list[Recorded] = []
    batch = next((own.batch for own in _flat(args) if isinstance(own, Recorded) and own.batch), ())
    is_join = isinstance(args[0], (list, tuple)) and any(isinstance(own, Recorded) for own in args[0])

    def part(own: Any) -> Any:
        if isinstance(own, Recorded):
            parts.append(own)
        elif isinstance(own, Tensor) and is_join:
            is_points = len(batch) > 0 and own.dim() >= len(batch) and own.dim() > 0
            parts.append(lifted(symbols, own, tuple(own.shape[: len(batch)])) if is_points else constant(symbols, own))
        else:
            return own
        return _Place(len(parts) - 1)

    shaped = _mapped(args, part)

    def operation(places: Sequence[Tensor]) -> Any:
        return function(*_mapped(shaped, lambda own: places[own.number] if isinstance(own, _Place) else own), **kwargs)

    return rearranged(symbols, parts, operation, result)


class _Place:
    def __init__(self, number: int) -> None:
        self.number = number


def _mapped(given: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(given, (list, tuple)) and not hasattr(given, "_fields"):
        return type(given)(_mapped(own, change) for own in given)
    return change(given)


def _flat(given: Any) -> list[Any]:
    if isinstance(given, (list, tuple)):
        return [part for own in given for part in _flat(own)]
    return [given]


def summed(symbols: Symbols, name: str, args: Sequence[Any], kwargs: dict[str, Any], result: Tensor) -> Recorded:
    """``sum`` and ``mean``: over points, over the numbers of each, or both."""
    own: Recorded = args[0]
    ndim = own.tensor.dim()
    dims = kwargs.get("dim", kwargs.get("axis", args[1] if len(args) > 1 else None))
    keeps = bool(kwargs.get("keepdim", kwargs.get("keepdims", args[2] if len(args) > 2 else False)))
    reduced = set(range(ndim)) if dims is None or dims == () else {d % ndim for d in _flat(dims)}
    over_points = reduced & set(range(len(own.batch)))
    if over_points and len(over_points) < len(own.batch):
        raise NotPointwise("it sums over some of the points' dimensions, and not over others")
    axes = tuple(sorted(d - len(own.batch) for d in reduced - over_points))
    items = own.items.sum(axis=axes, keepdims=keeps) if axes else own.items
    items = np.array(items, dtype=object)
    count = int(np.prod([own.tensor.shape[d] for d in reduced])) if name == "mean" else 1
    if over_points:
        sums = np.empty(items.shape, dtype=object)
        for index in np.ndindex(items.shape):
            sums[index] = symbols.point_sum(own.batch, items[index])
        items = sums.reshape((*(1,) * len(own.batch), *sums.shape)) if keeps else sums
    batch = () if over_points else own.batch
    return _applied(lambda e: e / count, batch, [items], result)


def product(symbols: Symbols, args: Sequence[Any], result: Tensor) -> Recorded:
    """Matrix products over the numbers of each point, with matrices that are the same at all points."""
    a, b = (own if isinstance(own, Recorded) else constant(symbols, own) for own in args)
    if a.batch and b.batch:
        raise NotPointwise("it multiplies points by points; write (a * b).sum(-1), or (a * b).sum()")
    if b.batch or a.items.ndim == 0:
        raise NotPointwise("it sums over points")
    return Recorded(
        result, a.batch, np.asarray(_dot(a.items, b.items), dtype=object).reshape(result.shape[len(a.batch) :])
    )


def linear(symbols: Symbols, args: Sequence[Any], kwargs: dict[str, Any], result: Tensor) -> Recorded:
    """``torch.nn.functional.linear``."""
    given = dict(zip(("input", "weight", "bias"), args, strict=False)) | kwargs
    weight, bias = given["weight"], given.get("bias")
    transposed = (weight if isinstance(weight, Recorded) else constant(symbols, weight)).items.T
    items = np.asarray(_dot(given["input"].items, transposed), dtype=object)
    if bias is not None:
        items = items + (bias if isinstance(bias, Recorded) else constant(symbols, bias)).items
    return Recorded(result, given["input"].batch, items)


def _dot(a: Expressions, b: Expressions) -> Any:
    if b.size > 4096:
        raise InputError("it multiplies by a large matrix; a layer that is trained or wide belongs into the network")
    return np.dot(a, b)


SQUARED = frozenset(["mse_loss", "dot", "norm", "vector_norm", "linalg_norm", "linalg_vector_norm"])


def squared(symbols: Symbols, name: str, args: Sequence[Any], kwargs: dict[str, Any], result: Tensor) -> Recorded:
    """Sums of squares and products under names of their own."""
    if name in ("mse_loss", "dot"):
        pair = [args[0], args[1] if len(args) > 1 else kwargs.get("target", kwargs.get("other"))]
        shapes = [tuple(own.tensor.shape if isinstance(own, Recorded) else own.shape) for own in pair]
        shape = np.broadcast_shapes(*shapes)
        batch, (a, b) = aligned(symbols, pair, shape)
        each = _applied(lambda a, b: a * b if name == "dot" else (a - b) ** 2, batch, [a, b], torch.empty(shape))
        reduction = "sum" if name == "dot" else kwargs.get("reduction", "mean")
        if reduction == "none":
            return Recorded(result, each.batch, each.items)
        return summed(symbols, reduction, [each], {}, result)
    order = kwargs.get("p", kwargs.get("ord", args[1] if len(args) > 1 else 2))
    if order not in (2, 2.0, "fro", None) or kwargs.get("dim") is not None or len(args) > 2:
        raise InputError("of norms, that of all numbers together with p=2 is known")
    each = _applied(lambda a: a**2, args[0].batch, [args[0].items], args[0].tensor)
    return _applied(sp.sqrt, (), [summed(symbols, "sum", [each], {}, result).items], result)
