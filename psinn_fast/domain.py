"""Boxes: where a PDE lives, and point sets on them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .kernels.errors import InputError

Points = npt.NDArray[np.float64]

# An irrational offset: evaluation grids share no point with any evenly spaced training grid.
_OFFSET = (3 - math.sqrt(5)) / 2


class Box:
    """A product of intervals, e.g. ``Box(t=(0, 1), x=(-1, 1))``; the order of the names is that of the columns.

    Point sets are float64 arrays of shape (N, d).
    """

    def __init__(self, **intervals: tuple[float, float]) -> None:
        if not intervals:
            raise InputError("intervals: expected at least one, e.g. Box(x=(-1, 1))")
        for name, interval in intervals.items():
            try:
                low, high = (float(end) for end in interval)
            except (TypeError, ValueError):
                low = high = math.nan
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise InputError(f"{name}: expected a finite interval (low, high) with low < high, got {interval}")
        self.coords = tuple(intervals)
        self.low = np.array([interval[0] for interval in intervals.values()], dtype=np.float64)
        self.high = np.array([interval[1] for interval in intervals.values()], dtype=np.float64)

    def __repr__(self) -> str:
        ends = zip(self.coords, self.low, self.high, strict=True)
        return f"Box({', '.join(f'{name}=({low:g}, {high:g})' for name, low, high in ends)})"

    @property
    def centre(self) -> Points:
        return np.asarray((self.low + self.high) / 2)

    def grid(self, n: int | Sequence[int]) -> Points:
        """Evenly spaced points, ends included; ``n`` per axis. The first coordinate varies slowest."""
        return self._mesh([np.linspace(0, 1, k) for k in self._counts(n)])

    def random(self, n: int, seed: int) -> Points:
        """Scrambled Sobol points, repeatable from the seed."""
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise InputError(f"n: expected a positive integer, got {n!r}")
        from scipy.stats import qmc  # takes most of a second to import, and few need it

        sampler = qmc.Sobol(len(self.coords), seed=seed)
        exponent = max(0, math.ceil(math.log2(n)))
        return np.asarray(self.low + (self.high - self.low) * sampler.random_base2(exponent)[:n])

    def unseen_grid(self, n: int | Sequence[int]) -> Points:
        """A grid for measuring errors, offset so that it meets no evenly spaced training grid."""
        return self._mesh([(np.arange(k) + _OFFSET) / k for k in self._counts(n)])

    def face(self, coord: str, end: str, n: int | Sequence[int]) -> Points:
        """Evenly spaced points on the face where ``coord`` is at its ``"low"`` or ``"high"`` end."""
        return self._on_face(coord, end, [np.linspace(0, 1, k) for k in self._counts(n, len(self.coords) - 1)])

    def boundary(self, n: int) -> Points:
        """All faces, evenly spaced."""
        return np.concatenate([self.face(coord, end, n) for coord in self.coords for end in ("low", "high")])

    def unseen_boundary(self, n: int) -> Points:
        """All faces, offset like `unseen_grid`."""
        steps = [(np.arange(k) + _OFFSET) / k for k in self._counts(n, len(self.coords) - 1)]
        return np.concatenate([self._on_face(coord, end, steps) for coord in self.coords for end in ("low", "high")])

    def contains(self, points: Points) -> bool:
        slack = 1e-9 * (self.high - self.low)
        return bool(((points >= self.low - slack) & (points <= self.high + slack)).all())

    def _on_face(self, coord: str, end: str, steps: list[Points]) -> Points:
        if coord not in self.coords:
            raise InputError(f"coord: expected one of {list(self.coords)}, got {coord!r}")
        if end not in ("low", "high"):
            raise InputError(f"end: expected 'low' or 'high', got {end!r}")
        axis = self.coords.index(coord)
        return self._mesh([*steps[:axis], np.array([0.0 if end == "low" else 1.0]), *steps[axis:]])

    def _mesh(self, steps: list[Points]) -> Points:
        unit = np.stack([axis.ravel() for axis in np.meshgrid(*steps, indexing="ij")], axis=1)
        return self.low * (1 - unit) + self.high * unit

    def _counts(self, n: int | Sequence[int], d: int | None = None) -> list[int]:
        d = len(self.coords) if d is None else d
        counts = [n] * d if isinstance(n, int) else list(n)
        if len(counts) != d or any(
            isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 2 for k in counts
        ):
            raise InputError(f"n: expected an integer >= 2, or {d} of them, got {n!r}")
        return counts
