"""Of which precision the products of a training's steps were, over its optimisers and the runs that were resumed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..kernels import products_at_work
from ..kernels.contract import Backend
from ..kernels.contract.precision import PRECISIONS, coarsest
from ..kernels.errors import CheckpointError, short

# What a checkpoint says of it: of all steps so far, and of those by the optimiser at work.
ALL, OWN = "precision", "precision_of_optimizer"


class Products:
    """The coarsest that steps had, not what was asked for: an optimiser without a step had none.

    ``notes``: optimisers that were resumed with products of another kind than they had before.
    """

    def __init__(self, engine: Backend, device: torch.device) -> None:
        self.notes: tuple[str, ...] = ()
        self._engine, self._device = engine, device
        self._before: tuple[str, ...] = ()
        self._resumed: str | None = None
        self._dtype, self._start = torch.float64, 0

    def begin(self, dtype: torch.dtype, step: int = 0) -> None:
        """An optimiser begins, with products of ``dtype``, after so many steps of its own in a run that is resumed."""
        self._dtype, self._start = dtype, step
        self._present()  # a backend that names no precision shows now, not after the work

    def end(self, step: int) -> None:
        """It has done its steps."""
        own = self._own(step)
        if self._resumed is not None and own is not None and own != self._resumed:
            self.notes = (*self.notes, f"resumed with {own} products, those before were {self._resumed}")
        self._before = (*self._before, *((own,) if own else ()))
        self._resumed, self._start = None, step

    def resume(self, numbers: Mapping[str, Any]) -> None:
        """What a checkpoint says of the steps before it: files of the first versions say nothing."""
        self._before, self._resumed = (numbers[ALL],) if ALL in numbers else (), numbers.get(OWN)

    def coarsest(self, step: int) -> str:
        """Of all steps so far; where there was none, of what the next would have."""
        own = self._own(step)
        found = self._before if own is None else (*self._before, own)
        return coarsest(found or [self._present()])

    def saved(self, step: int) -> dict[str, str]:
        """For a checkpoint."""
        own = [one for one in (self._resumed, self._own(step)) if one is not None]
        by_optimizer = {OWN: coarsest(own)} if own else {}
        return {ALL: self.coarsest(step), **by_optimizer} if own or self._before else {}

    def _own(self, step: int) -> str | None:
        """Of the optimiser's steps in this call; None: it has taken none."""
        return self._present() if step > self._start else None

    def _present(self) -> str:
        return products_at_work(self._engine, [self._dtype], self._device)


def checked(where: str, value: object) -> str:
    """A precision that a file names.

    Raises:
        CheckpointError: it is none.
    """
    if not isinstance(value, str) or value not in PRECISIONS:
        raise CheckpointError(f"{where}: expected one of {list(PRECISIONS)}, got {short(value)}")
    return value
