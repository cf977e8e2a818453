"""torch's operations that move numbers, or sum them: over points, or over the numbers of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp
import torch
from torch import Tensor

from ..kernels.errors import InputError
from .operations import applied, bound, words
from .recorded import Expressions, NotPointwise, Recorded, aligned, constant, lifted, rearranged
from .symbols import Symbols

# They move numbers, or leave them where they are.
MOVEMENTS = words(
    "getitem select narrow view reshape flatten unflatten ravel squeeze unsqueeze transpose swapaxes swapdims permute "
    "movedim moveaxis t T mT adjoint expand expand_as broadcast_to repeat tile cat stack hstack vstack column_stack "
    "dstack split split_with_sizes chunk unbind tensor_split contiguous clone flip index_select view_as reshape_as "
    "atleast_1d atleast_2d atleast_3d unsafe_chunk unsafe_split hsplit vsplit roll take_along_dim gather alias "
    "row_stack diagonal repeat_interleave"
)
# What they give is the tensor itself, in the network's one dtype on its one device.
SAME = words("to float double type type_as cpu cuda requires_grad_ retain_grad as_subclass")
SUMS = words("sum mean")
SQUARED = words("mse_loss dot norm vecdot")
# Entries of a matrix that is the same at all points.
_LARGEST_MATRIX = 4096


def moved(
    symbols: Symbols, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], result: Any
) -> list[Recorded]:
    """What a movement gives, with its operands replaced by their places."""
    options = dict(kwargs)
    for name in ("input", "self", "tensors"):
        if name in options:
            args = [options.pop(name), *args]
    parts: list[Recorded] = []
    batch = next((own.batch for own in flat(args) if isinstance(own, Recorded) and own.batch), ())
    is_join = isinstance(args[0], (list, tuple)) and any(isinstance(own, Recorded) for own in args[0])

    def part(own: Any) -> Any:
        if isinstance(own, Recorded):
            parts.append(own)
        elif isinstance(own, Tensor) and is_join:
            is_points = 0 < len(batch) <= own.dim()
            parts.append(lifted(symbols, own, tuple(own.shape[: len(batch)])) if is_points else constant(symbols, own))
        else:
            return own
        return _Place(len(parts) - 1)

    shaped = [_mapped(args[0], part), *args[1:]]

    def operation(places: Sequence[Tensor]) -> Any:
        return function(*_mapped(shaped, lambda own: places[own.number] if isinstance(own, _Place) else own), **options)

    return rearranged(symbols, parts, operation, result)


class _Place:
    def __init__(self, number: int) -> None:
        self.number = number


def _mapped(given: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(given, (list, tuple)) and not hasattr(given, "_fields"):
        return type(given)(_mapped(own, change) for own in given)
    return change(given)


def flat(given: Any) -> list[Any]:
    if isinstance(given, (list, tuple)):
        return [part for own in given for part in flat(own)]
    return [given]


def summed(symbols: Symbols, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], result: Tensor) -> Recorded:
    """``sum`` and ``mean``: over points, over the numbers of each, or both."""
    given = bound(("input", "dim", "keepdim"), args, kwargs)
    own: Recorded = given["input"]
    ndim, dims, keeps = own.tensor.dim(), given.get("dim"), bool(given.get("keepdim", False))
    reduced = set(range(ndim)) if dims is None or dims == () else {d % ndim for d in flat(dims)}
    over_points = reduced & set(range(len(own.batch)))
    if over_points and len(over_points) < len(own.batch):
        raise NotPointwise("it sums over some of the points' dimensions, and not over others")
    axes = tuple(sorted(d - len(own.batch) for d in reduced - over_points))
    items = np.array(own.items.sum(axis=axes, keepdims=keeps) if axes else own.items, dtype=object)
    count = int(np.prod([own.tensor.shape[d] for d in reduced])) if name == "mean" else 1
    if over_points:
        sums = np.empty(items.shape, dtype=object)
        for index in np.ndindex(items.shape):
            sums[index] = symbols.point_sum(own.batch, items[index])
        items = sums.reshape((*(1,) * len(own.batch), *sums.shape)) if keeps else sums
    batch = () if over_points else own.batch
    return applied(lambda e: e / count, batch, [items], result)


def product(symbols: Symbols, args: Sequence[Any], kwargs: Mapping[str, Any], result: Tensor) -> Recorded:
    """Matrix products over the numbers of each point, with matrices that are the same at all points."""
    given = bound(("input", "other"), args, {{"mat2": "other"}.get(key, key): value for key, value in kwargs.items()})
    pair = [given["input"], given["other"]]
    if result.dim() == 0:  # of two vectors
        return squared(symbols, "dot", pair, {}, result)
    a, b = (own if isinstance(own, Recorded) else constant(symbols, own) for own in pair)
    if a.batch and a.batch == b.batch and a.items.ndim == b.items.ndim == 2:
        return Recorded(result, a.batch, np.asarray(np.dot(a.items, b.items), dtype=object))
    if a.batch and b.batch:
        raise NotPointwise("it multiplies points by points; write (a * b).sum(-1), or (a * b).sum()")
    if b.batch or a.items.ndim == 0:
        raise NotPointwise("it sums over points; write (a * b).sum()")
    items = np.asarray(_dot(a.items, b.items), dtype=object)
    return Recorded(result, a.batch, items.reshape(tuple(result.shape)[len(a.batch) :]))


def summed_by_letters(symbols: Symbols, args: Sequence[Any], kwargs: Mapping[str, Any], result: Tensor) -> Recorded:
    """``torch.einsum`` where the points' letters come first in all operands that have points, and in the result."""
    equation, operands = args[0], flat(args[1:])
    if kwargs or not isinstance(equation, str) or "->" not in equation or "." in equation:
        raise InputError("of einsum that with letters and -> is known")
    inputs, output = equation.replace(" ", "").split("->")
    recorded = [own if isinstance(own, Recorded) else constant(symbols, own) for own in operands]
    batch = next((own.batch for own in recorded if own.batch), ())
    if len(output) < len(batch):
        raise NotPointwise("it sums over points; write (a * b).sum()")
    letters = output[: len(batch)]
    names = inputs.split(",")
    for own, name in zip(recorded, names, strict=True):
        is_leading = name[: len(letters)] == letters and own.batch == batch
        if (own.batch and not is_leading) or (not own.batch and set(letters) & set(name)):
            raise NotPointwise("it sums over points, or gives data of points that are no argument of fuse")
    parts = [name[len(letters) :] if own.batch else name for own, name in zip(recorded, names, strict=True)]
    items = np.einsum(f"{','.join(parts)}->{output[len(letters) :]}", *(own.items for own in recorded))
    return Recorded(result, batch, np.asarray(items, dtype=object))


def determinant(own: Recorded, result: Tensor) -> Recorded:
    """``torch.linalg.det`` of a matrix at each point."""
    found = np.array(sp.Matrix(own.items).det(method="berkowitz"), dtype=object)
    return Recorded(result, own.batch, found)


def linear(symbols: Symbols, args: Sequence[Any], kwargs: Mapping[str, Any], result: Tensor) -> Recorded:
    """``torch.nn.functional.linear``."""
    given = bound(("input", "weight", "bias"), args, kwargs)
    operands = [given["input"], given["weight"], *([given["bias"]] if given.get("bias") is not None else [])]
    x, weight, *bias = (own if isinstance(own, Recorded) else constant(symbols, own) for own in operands)
    items = np.asarray(_dot(x.items, weight.items.T), dtype=object)
    return Recorded(result, x.batch, np.asarray(sum((own.items for own in bias), items), dtype=object))


def _dot(a: Expressions, b: Expressions) -> Any:
    if b.size > _LARGEST_MATRIX:
        raise InputError("it multiplies by a large matrix; a layer that is trained or wide belongs into the network")
    return np.dot(a, b)


def squared(symbols: Symbols, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], result: Tensor) -> Recorded:
    """Sums of squares and products under names of their own."""
    if name == "norm":
        given = bound(("input", "p", "dim", "keepdim"), args, {{"ord": "p"}.get(k, k): v for k, v in kwargs.items()})
        if given.get("p", 2) not in (2, 2.0, "fro", None):
            raise InputError("of norms that with p=2 is known")
        own: Recorded = given["input"]
        each = applied(lambda a: a**2, own.batch, [own.items], own.tensor)
        found = summed(symbols, "sum", [each, given.get("dim"), given.get("keepdim", False)], {}, result)
        return applied(sp.sqrt, found.batch, [found.items], result)
    names = ("input", "target", "reduction") if name == "mse_loss" else ("input", "target")
    renamed = {{"other": "target", "tensor": "target"}.get(key, key): value for key, value in kwargs.items()}
    dims = [-1] if name == "vecdot" else None
    if name == "vecdot" and renamed.pop("dim", -1) != -1:
        raise InputError("its argument dim is not known here")
    given = bound(names, args, renamed)
    pair = [given["input"], given["target"]]
    shape = np.broadcast_shapes(*(tuple(own.tensor.shape if isinstance(own, Recorded) else own.shape) for own in pair))
    batch, (a, b) = aligned(symbols, pair, shape)
    is_product = name != "mse_loss"
    each = applied(lambda a, b: a * b if is_product else (a - b) ** 2, batch, [a, b], torch.empty(shape))
    reduction = "sum" if is_product else given.get("reduction", "mean")
    if reduction == "none":
        return Recorded(result, each.batch, each.items)
    return summed(symbols, reduction, [each, dims], {}, result)
