"""What is made once and kept while its owners live, and where Triton launches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from weakref import finalize

import torch

Made = TypeVar("Made")
# The interpreter replaces Triton's functions while it runs one of ours: one at a time.
_INTERPRETER = threading.RLock()


def remembered(
    kept: dict[tuple[Any, ...], Any], key: tuple[Any, ...], owners: Sequence[Any], make: Callable[[], Made]
) -> Made:
    """What ``make`` gives, once for these owners (by identity), for as long as all of them live."""
    with borrowed(kept, key, owners, make) as made:
        return made


@contextmanager
def borrowed(
    kept: dict[tuple[Any, ...], Any], key: tuple[Any, ...], owners: Sequence[Any], make: Callable[[], Made]
) -> Iterator[Made]:
    """The same for one user at a time: another thread that asks meanwhile gets one of its own."""
    full = (*key, *map(id, owners))
    try:
        made: Made = kept.pop(full)
    except KeyError:
        with torch.inference_mode(False):
            made = make()
        for owner in owners:
            finalize(owner, kept.pop, full, None)
    try:
        yield made
    finally:
        kept[full] = made


@contextmanager
def on(device: torch.device) -> Iterator[None]:
    """Within, Triton launches there: on torch's present GPU, which need not be the tensors' one."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            yield
    else:
        with _INTERPRETER:
            yield
