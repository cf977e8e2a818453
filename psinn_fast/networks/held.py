"""What tensors hold whose numbers wait: notes by column or, once they have been changed or aliased, memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .notes import Note, numbers

Shape = tuple[int, ...]


class Held:
    """Shared by a tensor and its whole aliases.

    Args:
        notes: of a tensor (N, k) one for each column, of (N,) one, of one number whatever its shape one; None: there is
            memory.
        whole, view: what this is a view of, and how to get it from that one's memory.
        blank: what lies in the place of numbers, with the strides that they will have.
    """

    __slots__ = ("__weakref__", "_memory", "_notes", "_view", "_whole", "blank", "shape")

    def __init__(
        self,
        notes: tuple[Note, ...] | None,
        shape: Shape,
        memory: Tensor | None = None,
        whole: Held | None = None,
        view: Callable[[Tensor], Tensor] | None = None,
        blank: Tensor | None = None,
    ) -> None:
        self._notes, self.shape, self._memory, self._whole, self._view = notes, shape, memory, whole, view
        self.blank = blank

    @property
    def notes(self) -> tuple[Note, ...] | None:
        """None: its numbers lie in memory, its own or a part of that of the whole."""
        if self._notes is not None and self._whole is not None and self._whole.notes is None:
            assert self._view is not None
            self._memory, self._notes = self._view(self._whole.memory()), None
        return self._notes

    def numbers(self) -> Tensor:
        """To be read."""
        notes = self.notes
        if notes is None:
            assert self._memory is not None
            return self._memory
        if len(notes) == 1:
            return numbers(notes[0]).view(self.shape)
        return torch.stack([numbers(note) for note in notes], 1)

    def memory(self) -> Tensor:
        """To be read, changed and aliased: from now on the numbers are what lies there."""
        if self.notes is not None:
            with torch.inference_mode(False):  # it may be changed when that is over
                if self._whole is not None:
                    self._whole.memory()
                else:
                    self._memory, self._notes = self.numbers().clone(), None
        assert self.notes is None
        assert self._memory is not None
        return self._memory
