"""How long windows of time are: given, or found by how hard they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..kernels import checks
from ..kernels.errors import InputError, short

AUTO = "auto"
# The first window, the shortest and the longest that are tried, as parts of all times.
_FIRST, SHORTEST, _LONGEST = 0.05, 1 / 4096, 0.5
# A window with fewer of its steps taken than the first part makes the next one longer, one with more than the second
# shorter.
_EASY, _HARD = 0.35, 0.8
_LONGER, _SHORTER = 1.5, 0.75
# What is left is taken along if it is a smaller part of a window than this.
_REST = 0.3


def checked_edges(windows: object, low: float, high: float) -> tuple[float, ...] | None:
    """The times between which windows lie; None for "auto".

    Raises:
        InputError: neither "auto", a number of windows, nor increasing times from the first to the last.
    """
    if isinstance(windows, str):
        checks.choice("windows", windows, [AUTO], "a number of windows, their edges, or ")
        return None
    if np.ndim(windows) == 0:  # type: ignore[arg-type]  # what is no array has none
        count = checks.integer("windows", windows, 1, other="'auto', edges, or ")
        return tuple(np.linspace(low, high, count + 1).tolist())
    edges = checks.numbers("windows", windows)
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise InputError(f"windows: expected increasing times, at least two, got {short(windows)}")
    slack = 1e-9 * (high - low)
    if abs(edges[0] - low) > slack or abs(edges[-1] - high) > slack:
        raise InputError(
            f"windows: expected edges from {low:g} to {high:g}, the problem's times, got {edges[0]:g} to {edges[-1]:g}"
        )
    if (np.diff(edges) < SHORTEST / 16 * (high - low)).any():
        raise InputError(f"windows: the shortest, of {np.diff(edges).min():.2g}, is none beside all times")
    return (low, *edges[1:-1].tolist(), high)


@dataclass
class Lengths:
    """The window to try next, from ``start``; ``edges``: where they are given."""

    low: float
    high: float
    edges: Sequence[float] | None
    length: float = field(init=False)

    def __post_init__(self) -> None:
        self.length = _FIRST * (self.high - self.low)

    def end(self, start: float) -> float:
        """Of the window from ``start``."""
        if self.edges is not None:
            return next(edge for edge in self.edges if edge > start)
        left = self.high - start
        if left <= self.length * (1 + _REST):
            return self.high
        return start + min(self.length, left / 2 if left < 2 * self.length else self.length)

    def check(self, start: float, end: float) -> None:
        """
        Raises:
            InputError: a window that is none of those given.
        """
        if self.edges is not None and self.end(start) != end:
            raise InputError(
                f"windows: the march that goes on has one from {start:g} to {end:g}, and those given have none; give "
                "those of the march, or 'auto'"
            )

    def left(self, start: float) -> int:
        """How many windows there are from ``start`` on, this one included; 1 where that is not known."""
        return 1 if self.edges is None else sum(edge > start for edge in self.edges)

    def solved(self, start: float, end: float, part: float) -> None:
        """``part``: of the steps it might have taken."""
        factor = _LONGER if part < _EASY else _SHORTER if part > _HARD else 1.0
        self.length = min(factor * (end - start), _LONGEST * (self.high - self.low))

    def failed(self, start: float, end: float) -> bool:
        """Whether to try again, with half of the window."""
        self.length = (end - start) / 2
        return self.edges is None and self.length >= SHORTEST * (self.high - self.low)
