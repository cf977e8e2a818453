"""Long computations look up between their blocks, so that Ctrl-C need not wait for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Aborted(Exception):
    """What was under way is given up, half done."""


def _never() -> bool:
    return False


_IS_ASKED: ContextVar[Callable[[], bool]] = ContextVar("is_asked", default=_never)


@contextmanager
def abortable(is_asked: Callable[[], bool]) -> Iterator[None]:
    """Within this context `look_up` raises `Aborted` once ``is_asked()`` is true."""
    token = _IS_ASKED.set(is_asked)
    try:
        yield
    finally:
        _IS_ASKED.reset(token)


def look_up() -> None:
    """To be called every second at least: Python serves signals between two operations of torch, never within one."""
    if _IS_ASKED.get()():
        raise Aborted
