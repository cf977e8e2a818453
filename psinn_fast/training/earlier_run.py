"""The run that was in the place of a new one: its checkpoint is set aside, and what is no checkpoint stays as it is."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from ..kernels.errors import CheckpointError, CheckpointWarning, InputError
from ..storage import entries
from ..storage.files import move
from ..storage.tensor_file import TensorFile
from .checkpoint import CHECKPOINT_SCHEMA
from .history import History

Rows = Sequence[Sequence[float]]


class EarlierRun(NamedTuple):
    """What a checkpoint's history says. ``moments``: step and seconds of its rows, which no other run has."""

    moments: tuple[tuple[float, float], ...]
    steps: int
    seconds: float


def earlier_path(path: Path) -> Path:
    """``run.safetensors``: ``run.earlier.safetensors``."""
    return path.with_name(f"{path.stem}.earlier{path.suffix}")


def check_replaceable(path: Path) -> None:
    """A checkpoint may take the place of what is at ``path``, and that the place of an earlier one.

    Raises:
        InputError: there is a file that is no checkpoint, and not empty.
    """
    for one in (path, earlier_path(path)):
        try:
            _run_in(one)
        except CheckpointError as error:
            raise InputError(
                f"checkpoint: there is a file that is no checkpoint, and would be replaced: {error}; move it away, or "
                "give another path"
            ) from None


def set_aside(path: Path, continued: Rows) -> None:
    """Move the checkpoint of an earlier run to `earlier_path`, with a warning, if it has taken any steps.

    There one run is kept: the longer one, in seconds, so that a script that fails again and again at its start does not
    cost what was trained before. A run of which the new one has all rows goes on in it, and is not moved.

    Args:
        continued: rows of the history that the new run starts with.

    Raises:
        CheckpointError: it cannot be moved.
    """
    run, target = _run_in(path), earlier_path(path)
    if run is None or not run.steps or run.moments == _moments(continued[: len(run.moments)]):
        return
    kept = _run_in(target)
    if kept is not None and kept.seconds > run.seconds:
        what, where = f"replaced; a longer one, of {kept.steps}, is still kept as {target}", "that"
    else:
        what, where = f"kept as {target}", "it"
        try:
            move(path, target)
        except OSError as error:
            raise CheckpointError(
                f"{path}: an earlier run of {run.steps} steps is there, and cannot be kept as {target} ({error})"
            ) from None
    message = (
        f"{path}: an earlier run of {run.steps} steps is {what}; to go on with {where}, move it back and resume it"
    )
    warnings.warn(message, CheckpointWarning, stacklevel=3)


def _run_in(path: Path) -> EarlierRun | None:
    """None: nothing that is worth keeping, or nothing that could be replaced.

    Raises:
        CheckpointError: a file that is no checkpoint.
    """
    if not path.is_file() or not path.stat().st_size:
        return None
    with TensorFile(path, CHECKPOINT_SCHEMA) as file:
        columns = entries.texts("history_columns", file.header.get("history_columns"))
        rows = file.take("history", (None, len(columns)), (torch.float64,), finite=False)
        history = History(columns)
        history.take_rows(rows)
        steps, seconds = history["step"], history["seconds"]
    return EarlierRun(_moments(history.rows), int(max(steps, default=0)), max(seconds, default=0.0))


def _moments(rows: Rows) -> tuple[tuple[float, float], ...]:
    return tuple((row[0], row[1]) for row in rows)
