"""How long windows of time are: given, or found by how hard they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..kernels import checks
from ..kernels.errors import InputError, short

AUTO = "auto"
# A window of given edges that is not solved to this part ends a march: what follows would mean nothing.
HOPELESS = 0.3
# The first window, the shortest and the longest that are tried, as parts of all times.
_FIRST, SHORTEST, _LONGEST = 0.05, 1 / 4096, 0.5
# A window with fewer of its steps taken than this part makes the next one longer.
_EASY, _LONGER = 0.35, 1.5
# Half of a window whose residual is not so many times smaller shows that shorter ones do not help. It will do if it is
# no more than this many times the tolerance: the state that it begins with, or the network, allows no less. So will
# later ones that are not much worse.
_HELPS, _WILL_DO, _ABOVE = 2.0, 10.0, 1.5
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
    """The window to try next; ``edges``: where they are given; ``tolerance`` of its residual; ``level``: what will do,
    where shorter windows do not help; ``failed_residual``: of a window that is tried again, half as long."""

    low: float
    high: float
    edges: Sequence[float] | None
    tolerance: float | None = None
    level: float = 0.0
    length: float = field(init=False)
    failed_residual: float = field(default=math.inf, init=False)

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

    def will_do(self, residual: float) -> bool:
        """Whether a window is taken."""
        if self.edges is not None:
            return residual <= HOPELESS
        if self.tolerance is None or residual <= max(self.tolerance, self.level):
            return True
        return residual <= _WILL_DO * self.tolerance and residual > self.failed_residual / _HELPS

    def solved(self, start: float, end: float, residual: float, part: float) -> None:
        """``part``: of the steps it might have taken."""
        longer = _LONGER if part < _EASY else 1.0
        if self.tolerance is not None and residual > max(self.tolerance, self.level):
            longer, self.level = 2.0, min(_ABOVE * residual, _WILL_DO * self.tolerance)
        self.length = min(longer * (end - start), _LONGEST * (self.high - self.low))
        self.failed_residual = math.inf

    def failed(self, start: float, end: float, residual: float) -> bool:
        """Whether to try again, with half of the window."""
        self.length, self.failed_residual = (end - start) / 2, residual
        return self.edges is None and self.length >= SHORTEST * (self.high - self.low)
