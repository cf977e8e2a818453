"""Where the time of a training step goes, part by part."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

# What seconds spent in none of the parts belong to.
OTHER = "other"
# Of shorter steps nothing is said on the way.
_LONG = 1.0


class Spent:
    """Seconds by part, ``seconds``; those of a part within another count for the inner one alone.

    Another thread may ask at any time what is ``under_way``.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open = [OTHER]
        self._since = self._begun = 0.0
        self._share = 0.0

    @property
    def under_way(self) -> str:
        """Of a step that takes more than a second: its part, how much of that is done, and seconds so far."""
        begun, share = self._begun, self._share
        if not begun or (seconds := time.perf_counter() - begun) < _LONG:
            return ""
        return self._open[-1] + (f" {share:.0%}" if share else "") + f", {seconds:.0f} s"

    def reached(self, share: float) -> None:
        self._share = share

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
        self._since = self._share = 0.0
        self._book()
        self._begun = self._since
        try:
            yield
        finally:
            self._book()
            self._begun = 0.0
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


def reached(share: float) -> None:
    """How much of what is under way is done, from 0 to 1; 0: that is not known."""
    spent = _SPENT.get()
    if spent is not None:
        spent.reached(share)


def bound_by(seconds: Mapping[str, float]) -> str:
    """The part that takes most, e.g. ``J^T J, 78 % of 12 s``; nothing where nothing was counted."""
    total = sum(seconds.values())
    if not total:
        return ""
    name = max(seconds, key=lambda one: seconds[one])
    return f"{name}, {100 * seconds[name] / total:.0f} % of {total:.3g} s"
