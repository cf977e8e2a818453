"""Who is told that a kernel is compiled for the first time, which may take many seconds: progress bars, for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_LISTENER: ContextVar[Callable[[], None] | None] = ContextVar("listener", default=None)


@contextmanager
def told_of_compiling(listener: Callable[[], None] | None) -> Iterator[None]:
    """Inside, in this thread, ``listener`` is called before each kernel that this process has not used yet.

    None: it stays with whoever is told outside.
    """
    before = _LISTENER.set(listener or _LISTENER.get())
    try:
        yield
    finally:
        _LISTENER.reset(before)


def say_compiling() -> None:
    """To whoever asked last to be told."""
    listener = _LISTENER.get()
    if listener is not None:
        listener()
