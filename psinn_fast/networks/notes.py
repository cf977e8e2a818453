"""What is to be computed of derivatives, noted instead of done, and the numbers once somebody needs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from weakref import ReferenceType, ref

import torch
from torch import Tensor

from ..kernels.contract import Backend
from ..kernels.language.channels import ChannelSet
from ..kernels.network.plan import Plan


class Effort:
    """What waiting was worth in earlier calls of one kind, for the next one to decide by.

    Attributes:
        n_notes: the most that a call took.
        n_read: how many calls on end were asked for numbers before their gradient, which therefore were for nothing.
    """

    def __init__(self, n_notes: int = 0) -> None:
        self.n_notes, self.n_read = n_notes, 0


class Call:
    """Derivatives that were asked for, at the weights and points of that moment: both may change before anybody looks.

    To be made where nothing is recorded for gradients. ``asked``: field and position of the channel of each.
    """

    def __init__(
        self, engine: Backend, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet,
        asked: tuple[tuple[int, int], ...], effort: Effort | None = None,
    ) -> None:  # fmt: skip
        self.engine, self.plan, self.channels, self.asked = engine, plan, channels, asked
        self.effort, self.n_notes = effort or Effort(), 0
        self.theta, self.x = theta.clone(), x.clone(memory_format=torch.contiguous_format)
        self.n_points = len(x)
        self.shape = (self.n_points,)
        self._scalars: list[ReferenceType[Note]] = []
        self._gradients: list[ReferenceType[Any]] = []
        self._jets: Tensor | None = None

    @property
    def is_computed(self) -> bool:
        """Whether somebody needed numbers."""
        return self._jets is not None

    def derivative(self, number: int) -> Tensor:
        """(N,), in memory of its own."""
        if self._jets is None:
            self.effort.n_read += 1
            self._jets = self.engine.jets(self.plan, self.theta, self.x, self.channels)
        field, channel = self.asked[number]
        return self._jets[:, channel, field].clone(memory_format=torch.contiguous_format)

    def note_scalar(self, note: Note) -> None:
        self._scalars.append(ref(note))

    def open_sums(self) -> list[Note]:
        """Means and sums over the points of this call alone that somebody holds, and that are not known yet."""
        return [
            note for note in self._open() if len(note.calls) == 1 and all(not part.is_scalar for part in note.parts)
        ]

    def note_on_the_way_back(self, held: Any) -> None:
        """A gradient that waits, as ``notes`` of what holds it; it is of no use when that is gone."""
        self._gradients.append(ref(held))

    def open_gradients(self, but: Iterable[Any]) -> list[Note]:
        """Notes of this call alone, of gradients that torch has yet to lead on, to points for instance."""
        excepted = {id(held) for held in but}
        alive = [held for reference in self._gradients if (held := reference()) is not None]
        notes = [note for held in alive if id(held) not in excepted for note in held.notes or ()]
        return [*dict.fromkeys(note for note in notes if note.is_open and len(note.calls) == 1)]

    def learn(self) -> None:
        """What it took, when its gradient is asked for."""
        self.effort.n_notes = max(self.effort.n_notes, self.n_notes)
        if not self.is_computed:
            self.effort.n_read = 0

    def settle(self) -> None:
        """Scalars of which all is known become known, so that they do not keep anything."""
        for note in self._open():
            if all(part.known is not None for part in note.parts):
                note.settle(note.compute())

    def _open(self) -> list[Note]:
        """In the order they were made."""
        alive = (reference() for reference in self._scalars)
        return [note for note in alive if note is not None and note.known is None]


class Note:
    """An operation of torch's on notes, tensors and numbers, not done yet. The tensors are nobody else's.

    Attributes:
        func, args, options: what torch was asked for.
        rule: what that is in a program (`noted_operations.py`).
        is_scalar: it has one number, else one for each point.
        calls: those whose derivatives it depends on.
        known: the result, once it is computed.
    """

    __slots__ = ("__weakref__", "args", "calls", "func", "is_scalar", "known", "options", "rule")

    def __init__(
        self, func: Any, rule: Any, args: tuple[Any, ...], options: Mapping[str, Any], is_scalar: bool,
        calls: tuple[Call, ...],
    ) -> None:  # fmt: skip
        self.func, self.rule, self.args, self.options = func, rule, args, options
        self.is_scalar, self.calls = is_scalar, calls
        self.known: Tensor | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has a number for each point that is to be computed."""
        return self.known is None and not self.is_scalar

    @property
    def parts(self) -> list[Note]:
        return [arg for arg in self.args if isinstance(arg, Note)] if self.args else []

    def compute(self) -> Tensor:
        """What it is, all of its parts being known."""
        found: Tensor = self.func(*(arg.known if isinstance(arg, Note) else arg for arg in self.args), **self.options)
        return found

    def settle(self, known: Tensor) -> None:
        self.known = known
        if self.is_scalar:  # nobody asks what it is made of
            self.args, self.calls = (), ()


class JetNote(Note):
    """A derivative: number ``number`` of those that a call asked for."""

    __slots__ = ("number",)

    def __init__(self, call: Call, number: int) -> None:
        super().__init__(None, None, (), {}, False, (call,))
        self.number = number

    def compute(self) -> Tensor:
        return self.calls[0].derivative(self.number)


class GivenNote(Note):
    """Numbers at points that are known, nobody else's."""

    __slots__ = ()

    def __init__(self, calls: tuple[Call, ...], known: Tensor) -> None:
        super().__init__(None, None, (), {}, False, calls)
        self.known = known


class ConstantNote(Note):
    """The same number at every point: zero in columns that were not read, one as the cotangent of a sum."""

    __slots__ = ("number",)

    def __init__(self, calls: tuple[Call, ...], number: float) -> None:
        super().__init__(None, None, (), {}, False, calls)
        self.number = number

    @property
    def is_open(self) -> bool:
        return False

    def compute(self) -> Tensor:
        call = self.calls[0]
        return call.theta.new_full(call.shape, self.number)


def is_zero(item: object) -> bool:
    """Whether it is a note that is known to be zero at all points."""
    return type(item) is ConstantNote and item.number == 0


def numbers(note: Note) -> Tensor:
    """The numbers that torch would have given at once. Not to be changed in place."""
    for own in below(note, lambda own: own.known is None):
        own.settle(own.compute())
    assert note.known is not None
    return note.known


def below(note: Note, is_wanted: Callable[[Note], bool]) -> list[Note]:
    """The wanted notes that it is made of, itself the last one, each behind those that it is made of.

    What wanted ones are made of is looked at, and no more. Without recursion: losses may be sums of thousands.
    """
    found: dict[Note, None] = {}
    stack = [note] if is_wanted(note) else []
    while stack:
        own = stack[-1]
        missing = [part for part in own.parts if part not in found and is_wanted(part)]
        if missing:
            stack += missing
        else:
            found[stack.pop()] = None
    return list(found)
