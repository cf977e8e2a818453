"""TensorBoard as a callback. Only using it imports TensorBoard."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ..kernels.errors import InputError
from ..storage.files import as_path
from .callbacks import Callback, Progress
from .result import FitResult


class TensorBoard(Callback):
    """Writes every column of the history as a scalar, for ``tensorboard --logdir FOLDER``.

    Args:
        folder: where the events go, one file a training.

    Raises:
        InputError: the package ``tensorboard`` is not installed (extra ``psinn_fast[tensorboard]``).
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = as_path("folder", folder)
        self._writer: Any = None
        _writer_class()  # what is missing shows now, not after the work has begun

    def on_start(self) -> None:
        self._close()  # after a training that an error ended

    def on_row(self, progress: Progress) -> None:
        if self._writer is None:
            self._writer = _writer_class()(str(self._folder))
        for name, value in progress.row.items():
            if name != "step" and math.isfinite(value):
                self._writer.add_scalar(name, value, progress.step)

    def on_end(self, result: FitResult) -> None:
        self._close()

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _writer_class() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError(
            "TensorBoard: it needs the package tensorboard; pip install tensorboard, or psinn_fast[tensorboard]"
        ) from None
    return SummaryWriter
