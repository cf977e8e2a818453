"""Where the time of a training step goes, part by part."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

# What seconds spent in none of the parts belong to.
OTHER = "other"


class Spent:
    """Seconds by part, ``seconds``; those of a part within another count for the inner one alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open = [OTHER]
        self._since = 0.0

    def enter(self, part: str) -> None:
        self._book()
        self._open.append(part)

    def leave(self) -> None:
        self._book()
        self._open.pop()

    def _book(self) -> None:
        now = time.perf_counter()
        if self._since:
            part = self._open[-1]
            self.seconds[part] = self.seconds.get(part, 0.0) + now - self._since
        self._since = now

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Within this context `part` books here."""
        token = _SPENT.set(self)
        self._since = 0.0
        self._book()
        try:
            yield
        finally:
            self._book()
            _SPENT.reset(token)


_SPENT: ContextVar[Spent | None] = ContextVar("spent", default=None)


@contextmanager
def part(name: str) -> Iterator[None]:
    """What follows belongs to this part of a step, where anybody counts."""
    spent = _SPENT.get()
    if spent is None:
        yield
        return
    spent.enter(name)
    try:
        yield
    finally:
        spent.leave()


def bound_by(seconds: Mapping[str, float]) -> str:
    """The part that takes most, e.g. ``J^T J, 78 % of 12 s``; nothing where nothing was counted."""
    total = sum(seconds.values())
    if not total:
        return ""
    name = max(seconds, key=lambda one: seconds[one])
    return f"{name}, {100 * seconds[name] / total:.0f} % of {total:.3g} s"
