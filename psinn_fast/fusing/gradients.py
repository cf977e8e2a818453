"""``torch.autograd.grad`` of recorded tensors: by SymPy, at each point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp
from torch import Tensor

from ..kernels.errors import InputError
from .lines import Placed
from .recorded import Expressions, Recorded, constant, lifted
from .symbols import Symbols

Known = Callable[[Tensor], "Recorded | None"]
_ARGUMENTS = ("outputs", "inputs", "grad_outputs", "retain_graph", "create_graph")


def gradients(
    symbols: Symbols, of: Known, args: tuple[Any, ...], options: dict[str, Any], result: Any
) -> list[Recorded]:
    """For each input, sum over the outputs of cotangent * d output / d input.

    Args:
        of: what a tensor is.
        args, options: of the call, which gave ``result``.

    Raises:
        InputError: what torch computed is not a derivative at each point that the loss's own gradient goes through.
    """
    given = dict(zip(_ARGUMENTS, args, strict=False)) | options
    if given.get("is_grads_batched"):
        raise InputError("is_grads_batched is not known")
    outputs, inputs = _list(given["outputs"]), _list(given["inputs"])
    cotangents = _list(given.get("grad_outputs")) or [None] * len(outputs)
    known = [_known(of, output, "output") for output in outputs]
    if not given.get("create_graph") and any(symbols.is_trained(e) for own in known for e in own.items.flat):
        raise InputError("without create_graph=True the loss's gradient does not go through this one")
    found = []
    for tensor, gradient in zip(inputs, result, strict=True):
        if gradient is None:
            continue
        own = _known(of, tensor, "input")
        if not own.batch:
            raise InputError("it differentiates by what is the same at all points, which sums over points")
        if not all(isinstance(e, sp.Symbol) for e in own.items.flat):
            raise InputError(
                "it differentiates by a tensor that is computed from others, and that the network is not called with "
                "as it is; differentiate by what requires the gradient, or by what the network is called with"
            )
        items = np.full(own.items.shape, sp.S.Zero, dtype=object)
        for output, cotangent in zip(known, cotangents, strict=True):
            items = np.asarray(items + _pulled_back(symbols, of, output, cotangent, own), dtype=object)
        found.append(Recorded(gradient, own.batch, items))
    return found


def _known(of: Known, tensor: Tensor, what: str) -> Recorded:
    own = of(tensor)
    if own is None:
        raise InputError(f"an {what} {tuple(tensor.shape)} comes from what is not recorded")
    if own.fault:
        raise Placed(own.fault)
    return own


def _pulled_back(symbols: Symbols, of: Known, output: Recorded, cotangent: Tensor | None, by: Recorded) -> Expressions:
    weights = np.full(output.items.shape, sp.S.One, dtype=object)
    if cotangent is not None:
        own = of(cotangent)
        if own is None:
            own = lifted(symbols, cotangent, output.batch) if output.batch else constant(symbols, cotangent)
        if own.fault:
            raise Placed(own.fault)
        weights = np.broadcast_to(own.items, output.items.shape)
    total = np.full(by.items.shape, sp.S.Zero, dtype=object)
    for expression, weight in zip(output.items.flat, weights.flat, strict=True):
        for index in np.ndindex(by.items.shape):
            total[index] += weight * _slope(symbols, expression, by.items[index], by.n)
    return total


def _slope(symbols: Symbols, expression: sp.Expr, symbol: sp.Symbol, n: int) -> sp.Expr:
    """d expression / d symbol, which has n points: of a sum over points, what each of them adds to it."""
    sums = symbols.sums_in(expression)
    if not sums:
        return symbols.derivative(expression, symbol)
    total = sp.S.Zero
    for s in sums:
        inner = symbols.sum_of(s)
        assert inner is not None
        part = symbols.derivative(inner.expression, symbol)
        if part != 0 and int(np.prod(inner.shape)) != n:
            raise InputError(f"it differentiates a sum over {int(np.prod(inner.shape))} points by a tensor of {n}")
        total += sp.diff(expression, s) * part
    return total


def _list(given: Any) -> list[Any]:
    if given is None:
        return []
    return [given] if isinstance(given, Tensor) else list(given)
