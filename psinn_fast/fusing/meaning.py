"""Which of torch's operations a loss may have, and what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..kernels.errors import InputError
from . import operations, shapes
from .gradients import gradients
from .recorded import Recorded

if TYPE_CHECKING:
    from .recorder import Recorder


def meaning(
    recorder: Recorder, name: str, func: Any, args: tuple[Any, ...], options: dict[str, Any], result: Any
) -> list[Recorded]:
    """What an operation on recorded tensors gave.

    Raises:
        InputError: the operation is not one that can be computed point by point.
    """
    symbols = recorder.symbols
    if func is torch.autograd.grad:
        recorder.differentiated |= {id(own) for own in shapes.flat(args[1] if len(args) > 1 else options["inputs"])}
        return gradients(symbols, recorder.of, args, options, result)
    given, named = recorder.as_recorded(list(args)), {key: recorder.as_recorded(own) for key, own in options.items()}
    if name in operations.POINTWISE:
        return [operations.pointwise(symbols, name, given, named, result)]
    if name in operations.DECISIONS or name == "where":
        decisive = [named.get("condition", given[:1])] if name == "where" else [*given, *named.values()]
        if any(isinstance(own, Recorded) and recorder.is_trained(own) for own in shapes.flat(decisive)):
            raise InputError(
                "it decides by what the network gives, which has no derivative there; write torch.maximum, "
                "torch.minimum or torch.relu, or decide by the points"
            )
        return [operations.pointwise(symbols, name, given, named, result)]
    if name in ("clamp", "clamp_min", "clamp_max"):
        return [operations.clamped(symbols, name, given, named, result)]
    if name in ("detach", "data", "detach_copy"):
        if recorder.is_trained(given[0]):
            raise InputError("it stops the gradient: a fused loss has all of its gradient, or is another one")
        return [Recorded(result, given[0].batch, given[0].items)]
    if name in shapes.SAME:
        own = given[0]
        if result.dtype != own.tensor.dtype and (recorder.is_trained(own) or not _is_finer(result, own.tensor)):
            raise InputError(f"it changes {own.tensor.dtype} to {result.dtype}")
        return [] if result is own.tensor else [Recorded(result, own.batch, own.items)]
    if name in shapes.MOVEMENTS:
        return _moved(recorder, func, args, given, options, result)
    if name in shapes.SUMS:
        return [shapes.summed(symbols, name, given, named, result)]
    if name in shapes.SQUARED:
        return [shapes.squared(symbols, name, given, named, result)]
    if name in ("matmul", "rmatmul"):
        return [shapes.product(symbols, given[::-1] if name == "rmatmul" else given, named, result)]
    if name == "bmm":
        return [shapes.product(symbols, given, named, result)]
    if name == "einsum":
        return [shapes.summed_by_letters(symbols, given, named, result)]
    if name in ("linalg_det", "det") and given[0].items.ndim == 2:
        return [shapes.determinant(given[0], result)]
    if name == "linear":
        return [shapes.linear(symbols, given, named, result)]
    if name.endswith("_like") or name.startswith("new_"):
        recorder.symbols.made.update({id(own): own for own in shapes.flat(result)})
        return []  # numbers of its own
    raise InputError("it is not among the operations that a fused loss knows (docs/fusing.md lists them)")


def _moved(
    recorder: Recorder, func: Any, args: Any, given: Any, options: dict[str, Any], result: Any
) -> list[Recorded]:
    """Which numbers are taken may depend on others."""
    whole = "tensors" in options or "input" in options or "self" in options
    for index in shapes.flat(
        [*(() if whole else args[1:]), *(v for k, v in options.items() if k in ("index", "indices"))]
    ):
        if isinstance(index, Tensor):
            own = recorder.of(index)
            if own is None:
                recorder.consume(index)
            elif recorder.is_trained(own):
                raise InputError("it chooses by what the network gives")
            else:
                recorder.decide([own])
    first = {
        key: recorder.as_recorded(own) if key in ("tensors", "input", "self") else own for key, own in options.items()
    }
    return shapes.moved(recorder.symbols, func, [*given[:1], *args[1:]], first, result)


def _is_finer(one: Tensor, other: Tensor) -> bool:
    """Whether its dtype has every number of the other's."""
    return torch.promote_types(one.dtype, other.dtype) == one.dtype and one.is_floating_point()
