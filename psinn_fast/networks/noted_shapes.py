"""Columns of tensors that wait: taken out, put together, and led back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .held import Held, Shape
from .noted_columns import MOST_COLUMNS, Noted, columns_of, is_like, notes_of
from .notes import ConstantNote, Note

_ATEN = torch.ops.aten
Rule = Callable[..., Noted | None]


def viewed(func: Any, args: tuple[Any, ...]) -> Held | list[Held] | None:
    """What an operation gives that torch calls a view: what is changed in one is seen in the other.

    None if it is none, or not of whole columns.
    """
    if func not in _VIEWS and func not in _PARTS:
        return None
    whole: Held | None = getattr(args[0], "held", None)
    if whole is None or (notes := whole.notes) is None or whole.blank is None:
        return None
    # Of what is impossible torch says so itself.
    blank = func(whole.blank, *args[1:])
    if (rule := _VIEWS.get(func)) is not None:
        found = rule(notes, whole.shape, *args[1:])
        return None if found is None else _view(whole, found, partial(_again, func, args[1:]), blank)
    several = _PARTS[func](notes, whole.shape, *args[1:])
    if several is None:
        return None
    views = (partial(_part, func, args[1:], k) for k in range(len(several)))
    return [_view(whole, *own) for own in zip(several, views, blank, strict=True)]


def is_alias(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether it gives the whole tensor again, in the same memory and the same shape."""
    if func in (_ATEN.expand.default, _ATEN.view.default) and len(args) == 2:
        shape, wanted = tuple(args[0].shape), tuple(args[1])
        return wanted == shape or (wanted == (-1,) and len(shape) == 1)
    is_bare = func in (_ATEN.detach.default, _ATEN.alias.default)
    return (is_bare or (func is _ATEN.squeeze.default and 1 not in args[0].shape)) and len(args) == 1


def _view(whole: Held, found: Noted, view: Callable[[Tensor], Tensor], blank: Tensor) -> Held:
    return Held(found.notes, found.shape, whole=whole, view=view, blank=blank)


def _again(func: Any, others: tuple[Any, ...], memory: Tensor) -> Tensor:
    found: Tensor = func(memory, *others)
    return found


def _part(func: Any, others: tuple[Any, ...], k: int, memory: Tensor) -> Tensor:
    found: Tensor = func(memory, *others)[k]
    return found


def _is_columns(shape: Shape, dim: int) -> bool:
    return len(shape) == 2 and dim % 2 == 1


def _select(notes: tuple[Note, ...], shape: Shape, dim: int, index: int) -> Noted | None:
    return Noted((notes[index],), shape[:1]) if _is_columns(shape, dim) and len(notes) == shape[1] else None


def _slice(
    notes: tuple[Note, ...], shape: Shape, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Noted | None:
    n = shape[dim] if shape else 0
    chosen = range(n)[slice(start, end, step)]
    if len(chosen) == n:
        return Noted(notes, shape)
    if not _is_columns(shape, dim) or not chosen or len(notes) != n:
        return None
    return Noted(tuple(notes[k] for k in chosen), (shape[0], len(chosen)))


def _unsqueeze(notes: tuple[Note, ...], shape: Shape, dim: int) -> Noted | None:
    dim %= len(shape) + 1
    return _of_shape(notes, shape, (*shape[:dim], 1, *shape[dim:]))


def _squeeze(notes: tuple[Note, ...], shape: Shape, dim: int | list[int] | None = None) -> Noted | None:
    dims = range(len(shape)) if dim is None else [dim] if isinstance(dim, int) else dim
    gone = {d % len(shape) for d in dims if shape[d] == 1} if shape else set()
    return _of_shape(notes, shape, tuple(n for d, n in enumerate(shape) if d not in gone))


def _shaped(notes: tuple[Note, ...], shape: Shape, wanted: list[int]) -> Noted | None:
    known = -math.prod(n for n in wanted)
    return _of_shape(notes, shape, tuple(math.prod(shape) // known if n == -1 else n for n in wanted))


def _expand(notes: tuple[Note, ...], shape: Shape, wanted: list[int]) -> Noted | None:
    full = tuple(n if m == -1 else m for n, m in zip((1,) * (len(wanted) - len(shape)) + shape, wanted, strict=True))
    if full == shape or math.prod(full) == math.prod(shape) == 1:
        return Noted(notes, full)
    is_repeated = len(shape) == len(full) == 2 and full[0] == shape[0] and len(notes) == 1
    return Noted(notes * full[1], full) if is_repeated and full[1] <= MOST_COLUMNS else None


def _of_shape(notes: tuple[Note, ...], shape: Shape, wanted: Shape) -> Noted | None:
    """(N,) and (N, 1) are one column; one number is one in any shape."""
    if wanted == shape:
        return Noted(notes, shape)
    if notes[0].is_scalar:
        return Noted(notes, wanted)
    is_column = len(notes) == 1 and wanted in (shape[:1], (*shape[:1], 1))
    return Noted(notes, wanted) if is_column else None


def _unbind(notes: tuple[Note, ...], shape: Shape, dim: int = 0) -> list[Noted] | None:
    if not _is_columns(shape, dim) or len(notes) != shape[1]:
        return None
    return [Noted((note,), shape[:1]) for note in notes]


def _split(notes: tuple[Note, ...], shape: Shape, size: int, dim: int = 0) -> list[Noted] | None:
    if not _is_columns(shape, dim) or len(notes) != shape[1]:
        return None
    parts = [notes[k : k + size] for k in range(0, len(notes), size)]
    return [Noted(part, (shape[0], len(part))) for part in parts]


def _split_with_sizes(notes: tuple[Note, ...], shape: Shape, sizes: list[int], dim: int = 0) -> list[Noted] | None:
    if not _is_columns(shape, dim) or len(notes) != shape[1] or 0 in sizes:
        return None
    ends = [sum(sizes[: k + 1]) for k in range(len(sizes))]
    return [Noted(notes[end - size : end], (shape[0], size)) for size, end in zip(sizes, ends, strict=True)]


def _stack(tensors: list[Any], dim: int = 0) -> Noted | None:
    return _beside(tensors) if dim % 2 == 1 and all(tensor.dim() == 1 for tensor in tensors) else None


def _cat(tensors: list[Any], dim: int = 0) -> Noted | None:
    return _beside(tensors) if all(_is_columns(tuple(tensor.shape), dim) for tensor in tensors) else None


def _beside(tensors: list[Any]) -> Noted | None:
    """Columns, or matrices, side by side; of gradients some are zeros that torch filled in."""
    first = next((tensor for tensor in tensors if notes_of(tensor) is not None), None)
    width = sum(tensor.shape[1] if tensor.dim() == 2 else 1 for tensor in tensors)
    if first is None or first.held.notes[0].is_scalar or width > MOST_COLUMNS:
        return None
    calls, n, found = first.held.notes[0].calls, first.shape[0], list[Note]()
    for tensor in tensors:
        if not is_like(tensor, first) or tensor.shape[0] != n:
            return None
        found += columns_of(tensor, calls)
    return Noted(tuple(found), (n, len(found)))


def _slice_back(grad: Any, sizes: list[int], dim: int, start: int, end: int, step: int) -> Noted | None:
    shape = tuple(sizes)
    chosen = range(shape[dim])[slice(start, end, step)]
    return _among(grad, shape, dim, chosen)


def _select_back(grad: Any, sizes: list[int], dim: int, index: int) -> Noted | None:
    shape = tuple(sizes)
    return _among(grad, shape, dim, range(shape[dim])[index : index + 1 or None])


def _among(grad: Any, shape: Shape, dim: int, chosen: Sequence[int]) -> Noted | None:
    """A gradient of some columns: zero in the others."""
    notes = notes_of(grad)
    if notes is None or notes[0].is_scalar:
        return None
    if chosen == range(shape[dim]):
        return Noted(notes, shape)
    if not _is_columns(shape, dim) or len(notes) != len(chosen) or shape[1] > MOST_COLUMNS:
        return None
    columns: list[Note] = [ConstantNote(notes[0].calls, 0.0)] * shape[1]
    for k, note in zip(chosen, notes, strict=True):
        columns[k] = note
    return Noted(tuple(columns), shape)


_VIEWS: dict[Any, Rule] = {
    _ATEN.select.int: _select,
    _ATEN.slice.Tensor: _slice,
    _ATEN.unsqueeze.default: _unsqueeze,
    _ATEN.squeeze.default: _squeeze,
    _ATEN.squeeze.dim: _squeeze,
    _ATEN.squeeze.dims: _squeeze,
    _ATEN.view.default: _shaped,
    _ATEN.expand.default: _expand,
}
_PARTS: dict[Any, Callable[..., list[Noted] | None]] = {
    _ATEN.unbind.int: _unbind,
    _ATEN.split.Tensor: _split,
    _ATEN.split_with_sizes.default: _split_with_sizes,
}
# New tensors, of columns that were there before.
MADE: dict[Any, Rule] = {
    _ATEN.stack.default: _stack,
    _ATEN.cat.default: _cat,
    _ATEN.slice_backward.default: _slice_back,
    _ATEN.select_backward.default: _select_back,
}
