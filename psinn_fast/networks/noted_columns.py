"""Operations on tensors that wait, noted column by column: a tensor (N, k) has a note for each of its columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .held import Held, Shape
from .noted_operations import ADD, MUL, NOTED, VANISHING, Operation, Reduction
from .notes import Call, ConstantNote, GivenNote, Note, is_zero

# Numbers at points of more calls are computed: somebody adds them up from step to step.
MOST_CALLS = 8
# Of more columns, numbers are computed. Derivatives to order 4 by four coordinates are 70.
MOST_COLUMNS = 128


class Noted(NamedTuple):
    """What a tensor is made of, instead of numbers."""

    notes: tuple[Note, ...]
    shape: Shape


def notes_of(item: Any) -> tuple[Note, ...] | None:
    """Of a tensor that waits still; None of anything else."""
    held: Held | None = getattr(item, "held", None) if isinstance(item, Tensor) else None
    return None if held is None else held.notes


def numbers_of(tensor: Tensor) -> Tensor:
    """To be read, without a graph."""
    held: Held | None = getattr(tensor, "held", None)
    return tensor.detach() if held is None else held.numbers()


def columns_of(tensor: Tensor, calls: tuple[Call, ...]) -> list[Note]:
    """Notes of what (N,) or (N, k) has in each column, as it is now; ``calls``: those of whose points they are."""
    if (notes := notes_of(tensor)) is not None:
        return [*notes]
    found: list[Note] = []
    for column in numbers_of(tensor).reshape(len(tensor), -1).unbind(1):
        own = column.clone()
        # What has a graph may be zero, and still depend on something.
        known = None if tensor.requires_grad else one_number(own)
        found.append(GivenNote(calls, own) if known is None else ConstantNote(calls, known))
    return found


def one_number(column: Tensor) -> float | None:
    """What (N,) is at all points, if it is one number. Of a whole matrix at once torch takes ten times as long."""
    low, high = torch.aminmax(column)
    return float(low) if low == high else None


def noted(func: Any, operation: Operation, args: tuple[Any, ...], options: dict[str, Any]) -> Noted | None:
    """The operation, if it takes notes of one shape, numbers, and tensors with a number for each point or for all."""
    if options and not _is_alpha(options):
        return None
    n_operands = len(args) if operation.n_operands is None else operation.n_operands
    operands = _operands(args[:n_operands])
    if operands is None or (operation.is_single and len(operands.columns) > 1):
        return None
    rest = args[n_operands:]
    if operation.reduction is not None:
        return _reduced(operands, operation, operation.reduction, rest)
    notes = [operands.note(func, operation, (*column, *rest), options) for column in operands.columns]
    return Noted(tuple(notes), operands.shape)


class _Operands(NamedTuple):
    """Of one operation. ``columns``: for each column of the result notes, tensors (N,) or (), and numbers."""

    columns: list[tuple[Any, ...]]
    shape: Shape
    is_scalar: bool
    calls: tuple[Call, ...]

    def note(self, func: Any, operation: Operation, args: tuple[Any, ...], options: dict[str, Any]) -> Note:
        if any(map(is_zero, args)):
            if func is ADD and not options and all(isinstance(arg, Note) for arg in args):
                other: Note = args[1] if is_zero(args[0]) else args[0]
                return other
            if func in VANISHING and (is_zero(args[0]) or func is MUL):
                return ConstantNote(self.calls, 0.0)
        return _note(func, operation, args, options, self.is_scalar, self.calls)


def _note(
    func: Any, operation: Operation, args: tuple[Any, ...], options: dict[str, Any], is_scalar: bool,
    calls: tuple[Call, ...],
) -> Note:  # fmt: skip
    made = Note(func, operation.rule, args, options, is_scalar, calls)
    for call in calls:
        call.n_notes += 1
        if is_scalar:
            call.note_scalar(made)
    return made


def _operands(args: tuple[Any, ...]) -> _Operands | None:
    """None: shapes or kinds that are not noted, or nothing that waits."""
    first = next((arg for arg in args if notes_of(arg) is not None), None)
    if first is None:
        return None
    shape: Shape | None = tuple(first.shape)
    is_scalar, calls = first.held.notes[0].is_scalar, first.held.notes[0].calls
    for arg in args:
        if isinstance(arg, Tensor):
            if not is_like(arg, first) or (shape := _broadcast(shape, tuple(arg.shape))) is None:
                return None
            for note in notes_of(arg) or ():
                if note.is_scalar is not is_scalar:
                    return None
                # Where the calls are the same, so are the points.
                if note.calls is not calls:
                    calls = tuple(dict.fromkeys((*calls, *note.calls)))
        elif type(arg) not in (float, int):
            return None
    if not calls or (len(calls) > MOST_CALLS and not is_scalar) or shape is None:
        return None
    n, k = (1, 1) if is_scalar else (calls[0].n_points, shape[1] if len(shape) == 2 else 1)
    is_fitting = math.prod(shape) == 1 if is_scalar else shape[0] == n and all(call.n_points == n for call in calls)
    if not is_fitting or not 0 < k <= MOST_COLUMNS:
        return None
    n_dims = len(shape)
    by_operand = [_columns(arg, n, k, n_dims) if isinstance(arg, Tensor) else [arg] * k for arg in args]
    known = [own for own in by_operand if own is not None]
    return _Operands([*zip(*known, strict=True)], shape, is_scalar, calls) if len(known) == len(args) else None


def _columns(tensor: Tensor, n: int, k: int, n_dims: int) -> list[Any] | None:
    """What each of k columns of n points has of an operand, as it is now: whoever has the tensor may change it."""
    if (notes := notes_of(tensor)) is not None:
        if tensor.dim() != n_dims and not notes[0].is_scalar:  # (N,) is a row beside (N, 1)
            return None
        kept = [note if note.known is None or not note.is_scalar else note.known for note in notes]
        return kept if len(kept) == k else kept * k
    known = numbers_of(tensor)
    if known.numel() == 1:
        return [known.reshape(()).clone()] * k
    if known.dim() == n_dims and known.shape[0] == n:
        by_column = known.reshape(n, -1).t().clone(memory_format=torch.contiguous_format).unbind()
        return [*by_column] if len(by_column) == k else [*by_column] * k
    return [*known.reshape(-1).clone().unbind()] if known.numel() == k else None


def _reduced(operands: _Operands, operation: Operation, reduction: Reduction, rest: tuple[Any, ...]) -> Noted | None:
    """A sum or a mean, over all points and columns, or over columns."""
    shape, n_dims = operands.shape, len(operands.shape)
    wanted = reduction.dims(rest, n_dims)
    if wanted is None or operands.is_scalar:
        return None
    dims, keeps = wanted
    left = tuple(1 if d in dims else n for d, n in enumerate(shape) if keeps or d not in dims)
    if 0 not in dims:
        if 1 not in dims:
            return None
        parts = [column[0] for column in operands.columns]
        return Noted((_added(parts, False, operands.calls, reduction.is_mean),), left)
    if math.prod(left) > 1:
        return None
    whole = [
        _note(reduction.whole, operation, (*column, *rest[: reduction.n_kept]), {}, True, operands.calls)
        for column in operands.columns
    ]
    return Noted((_added(whole, True, operands.calls, reduction.is_mean),), left)


def _added(parts: Sequence[Any], is_scalar: bool, calls: tuple[Call, ...], is_mean: bool) -> Note:
    total, *others = parts
    for part in others:
        total = _note(ADD, NOTED[ADD], (total, part), {}, is_scalar, calls)
    if is_mean and others:
        total = _note(MUL, NOTED[MUL], (total, 1 / len(parts)), {}, is_scalar, calls)
    found: Note = total
    return found


def _broadcast(a: Shape | None, b: Shape) -> Shape | None:
    if a is None or a == b:
        return a
    n = max(len(a), len(b))
    pairs = [*zip((1,) * (n - len(a)) + a, (1,) * (n - len(b)) + b, strict=True)]
    if any(i != j and 1 not in (i, j) for i, j in pairs):
        return None
    found = tuple(max(pair) for pair in pairs)
    return found if n <= 2 or math.prod(found) == 1 else None


def _is_alpha(options: dict[str, Any]) -> bool:
    return options.keys() == {"alpha"} and type(options["alpha"]) in (float, int)


def is_like(tensor: Tensor, other: Tensor) -> bool:
    """Whether it has numbers of the same kind, which may be copied."""
    return (
        (type(tensor) in (Tensor, nn.Parameter) or type(tensor) is type(other))
        and tensor.dtype == other.dtype
        and tensor.device == other.device
        and tensor.layout == torch.strided
    )
