"""Tensors of a recorded loss as expressions, and what rearranging them means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy as sp
import torch
from torch import Tensor

from ..kernels.errors import InputError
from ..language.fields import SymbolicField
from .given import Shape
from .symbols import Symbols

Expressions = npt.NDArray[np.object_]
# Numbers that a residual may have at each point: more come from (N, 1) and (N,), whose difference is (N, N).
_MOST_PER_POINT = 256
# Numbers of a tensor, the same at all points, that are followed as it changes: weights of terms, for instance.
_MOST_SCALARS = 64


@dataclass(frozen=True, eq=False)
class Moved:
    """The numbers of ``parts``, one after the other, at these ``places``."""

    parts: tuple[Recorded, ...]
    places: Tensor


@dataclass(eq=False)
class Recorded:
    """What a tensor is: ``batch``, its leading dimensions, are points; ``items`` one expression per number of each.

    ``fault``: why it cannot be part of a loss, if it cannot. ``moved``: numbers of recorded tensors whose rows are not
    those of points, which they may be again after another movement, as after two transpositions.
    """

    tensor: Tensor
    batch: Shape
    items: Expressions
    fault: str | None = None
    moved: Moved | None = None

    @property
    def n(self) -> int:
        """How many points there are; 1 where it is the same at all."""
        return int(np.prod(self.batch, dtype=np.int64))


class NotPointwise(InputError):
    """An operation that mixes points."""


def lifted(symbols: Symbols, tensor: Tensor, batch: Shape) -> Recorded:
    """A tensor of given numbers. Of one that does not change those that are the same at all points become numbers."""
    items = symbols.entries(tensor, batch)
    if id(tensor) not in symbols.made:
        return Recorded(tensor, batch, items)
    values = tensor.detach().reshape(int(np.prod(batch)), -1).to("cpu", torch.float64)
    for k, column in enumerate(values.unbind(1)):
        if bool((column == column[0]).all()):
            items.flat[k] = number(float(column[0]))
    return Recorded(tensor, batch, items)


def number(value: float | int | bool) -> sp.Number:
    """Integers stay exact, so that x**2.0 is a square."""
    value = float(value)
    return sp.Integer(int(value)) if value.is_integer() and abs(value) < 2**53 else sp.Float(value, 17)


def constant(symbols: Symbols, tensor: Tensor) -> Recorded:
    """Numbers that are the same at all points."""
    if id(tensor) not in symbols.made:
        if tensor.numel() <= _MOST_SCALARS and tensor.is_floating_point():
            return Recorded(tensor, (), symbols.scalars(tensor))
        symbols.written.setdefault(id(tensor), tensor)
    flat = tensor.detach().to("cpu", torch.float64).reshape(-1).tolist()
    items = np.empty(len(flat), dtype=object)
    items[:] = [number(value) for value in flat]
    return Recorded(tensor, (), items.reshape(tuple(tensor.shape)))


def aligned(symbols: Symbols, operands: Sequence[Any], shape: Shape) -> tuple[Shape, list[Expressions]]:
    """Operands of an operation that broadcasts to ``shape``, as arrays that numpy broadcasts, and the points' shape.

    Raises:
        NotPointwise: points of one operand meet several of another.
    """
    batches = {own.batch for own in operands if isinstance(own, Recorded) and own.batch}
    batch = max(batches, key=len) if batches else ()
    if any(shape[: len(own)] != own for own in batches) or len(batches) > 1:
        raise NotPointwise(_mixed(operands, shape))
    if int(np.prod(shape[len(batch) :])) > _MOST_PER_POINT and batch:
        raise NotPointwise(_mixed(operands, shape))
    found = []
    for own in operands:
        if not isinstance(own, (Recorded, Tensor)):
            found.append(np.array(number(own), dtype=object))
            continue
        own_shape = own.tensor.shape if isinstance(own, Recorded) else own.shape
        offset = len(shape) - len(own_shape)
        if isinstance(own, Recorded) and own.batch:
            if offset:
                raise NotPointwise(_mixed(operands, shape))
            found.append(own.items)
            continue
        over_points = own_shape[: max(0, len(batch) - offset)]
        if all(size == 1 for size in over_points):
            recorded = own if isinstance(own, Recorded) else constant(symbols, own)
            found.append(recorded.items.reshape(own_shape[len(over_points) :]))
        elif isinstance(own, Tensor):
            trailing = own_shape[len(batch) - offset :]
            whole = own.expand(*batch, *trailing)
            if id(own) in symbols.made:
                symbols.made[id(whole)] = whole
            found.append(lifted(symbols, whole, batch).items)
        else:
            found.append(_by_point(symbols, own, offset, batch, shape))
    return batch, found


def _by_point(symbols: Symbols, own: Recorded, offset: int, batch: Shape, shape: Shape) -> Expressions:
    """One of a few expressions at each point, as trained numbers by zone are: their sum, each times a mask."""
    trailing = tuple(own.tensor.shape)[max(0, len(batch) - offset) :]
    spread = np.broadcast_to(own.items.reshape(own.tensor.shape), (*batch, *trailing))
    n = int(np.prod(batch))
    made = []
    for column in spread.reshape(n, -1).T:
        kinds: dict[sp.Expr, list[bool]] = {}
        for kind in dict.fromkeys(column):
            kinds[kind] = [kind == other for other in column]
            if len(kinds) > _MOST_PER_POINT:
                raise NotPointwise(f"a tensor {tuple(own.tensor.shape)} has another expression at every point")
        total = sp.S.Zero
        for kind, mask in kinds.items():
            tensor = torch.tensor(mask, dtype=torch.float64)
            symbols.made[id(tensor)] = tensor
            total += kind * (1 if all(mask) else lifted(symbols, tensor, (n,)).items[()])
        made.append(total)
    items = np.empty(len(made), dtype=object)
    items[:] = made
    return items.reshape(trailing)


def _mixed(operands: Sequence[Any], shape: Shape) -> str:
    shapes = [
        tuple(own.tensor.shape if isinstance(own, Recorded) else own.shape) for own in operands if _has_shape(own)
    ]
    return (
        f"tensors of shapes {' and '.join(map(str, shapes))} give {tuple(shape)}, in which every point meets others; "
        "give both the same leading dimensions, e.g. target[:, None] or u[:, 0]"
    )


def _has_shape(own: Any) -> bool:
    return isinstance(own, (Recorded, Tensor))


def rearranged(
    symbols: Symbols, operands: Sequence[Recorded], operation: Callable[[Sequence[Tensor]], Any], results: Any
) -> list[Recorded]:
    """What an operation that only moves numbers gives: it is tried on their places.

    Args:
        operation: from tensors of places, one for each operand, to what it gives, like ``results``.
        results: a tensor or several.
    """
    parts: list[Recorded] = []
    places = []
    start = 0
    for own in operands:
        known = own.moved or Moved((own,), torch.arange(own.tensor.numel()).reshape(own.tensor.shape))
        parts += known.parts
        places.append(known.places + start)
        start += sum(part.tensor.numel() for part in known.parts)
    found = operation(places)
    pairs = [(found, results)] if isinstance(results, Tensor) else list(zip(found, results, strict=True))
    return [_from_places(symbols, tuple(parts), own, result) for own, result in pairs]


def _from_places(symbols: Symbols, parts: tuple[Recorded, ...], moved: Tensor, result: Tensor) -> Recorded:
    places = moved.numpy()
    ends = np.cumsum([part.tensor.numel() for part in parts])
    owner = np.searchsorted(ends, places, side="right")
    per_point = np.array([own.items.size for own in parts])
    has_points = np.array([bool(own.batch) for own in parts])
    local = places - np.array([0, *ends[:-1]])[owner]
    row = np.where(has_points[owner], local // per_point[owner], 0)
    component = local % per_point[owner]
    if not has_points[owner].any():
        return Recorded(result, (), _picked(parts, owner, component))
    for m in range(1, places.ndim + 1):
        batch = places.shape[:m]
        n = int(np.prod(batch))
        by_point = [array.reshape(n, -1) for array in (owner, row, component)]
        if n and _is_by_rows(has_points, *by_point):
            items = np.empty(by_point[0].shape[1], dtype=object)
            for j in range(items.size):
                items[j] = _one(symbols, parts, *(array[:, j] for array in by_point))
            return Recorded(result, batch, items.reshape(places.shape[m:]))
    if places.size and len({*row[has_points[owner]].tolist()}) == 1:
        return _of_one_point(symbols, parts, owner, row, component, result)
    fault = f"a tensor {tuple(places.shape)} holds numbers of several points in a row, and others in other rows"
    return Recorded(result, (), np.empty(0, dtype=object), fault, Moved(parts, moved))


def _of_one_point(
    symbols: Symbols, parts: tuple[Recorded, ...], owner: Any, row: Any, component: Any, result: Tensor
) -> Recorded:
    """Numbers of one point, by themselves, such as ``net(start).squeeze()`` or ``points[0]``."""
    items = np.empty(owner.size, dtype=object)
    for j, (i, n, k) in enumerate(zip(owner.ravel(), row.ravel(), component.ravel(), strict=True)):
        expression = parts[i].items.flat[k]
        items[j] = symbols.taken(expression, np.array([n]), parts[i].n) if parts[i].batch else expression
    return Recorded(result, (), items.reshape(owner.shape))


def _picked(parts: Sequence[Recorded], owner: npt.NDArray[np.int64], component: npt.NDArray[np.int64]) -> Expressions:
    items = np.empty(owner.size, dtype=object)
    pairs = zip(owner.ravel().tolist(), component.ravel().tolist(), strict=True)
    items[:] = [parts[i].items.flat[k] for i, k in pairs]
    return items.reshape(owner.shape)


def _is_by_rows(has_points: Any, owner: Any, row: Any, component: Any) -> bool:
    """Whether the numbers of a point all come from one point of each operand, whose rows those are."""
    own = has_points[owner]
    first = np.where(own, row, -1).max(1, keepdims=True)
    one_row = bool((np.where(own, row, first) == first).all())
    # The same component at every point, but where operands follow each other.
    changes = (np.diff(component, axis=0) != 0) & (np.diff(owner, axis=0) == 0)
    return one_row and not changes.any()


def _one(symbols: Symbols, parts: Sequence[Recorded], owner: Any, row: Any, component: Any) -> sp.Expr:
    """One number of every point, from the rows of one operand, or of several one behind the other."""
    cuts = np.flatnonzero(np.diff(owner)) + 1
    pieces = []
    for rows, i, k in zip(np.split(row, cuts), owner[[0, *cuts]], component[[0, *cuts]], strict=True):
        expression = parts[i].items.flat[k]
        if parts[i].batch:
            expression = symbols.taken(expression, rows, parts[i].n)
        pieces.append((expression, len(rows)))
    if len(pieces) == 1:
        return pieces[0][0]
    if any(e.has(SymbolicField) for e, _ in pieces):
        raise NotPointwise(
            "it joins values of the network at several sets of points; join the points, and call the network once"
        )
    return symbols.joined(pieces)
