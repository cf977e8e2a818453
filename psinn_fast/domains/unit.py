"""Even points of [0, 1]^d, which domains put into their places."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from ..kernels import checks
from ..kernels.errors import InputError

Points = npt.NDArray[np.float64]

# An irrational offset: evaluation grids share no point with any evenly spaced training grid.
OFFSET = (3 - math.sqrt(5)) / 2
_MOST_POINTS = 50_000_000
# Multiples of the powers 1/s, ..., 1/s^n, modulo 1, are spread evenly in n dimensions: s^(n + 1) = s + 1.
_SPREAD = (
    1.618033988749895, 1.324717957244746, 1.2207440846057596, 1.1673039782614187, 1.1347241384015194,
    1.1127756842787055, 1.0969815577985598,
)  # fmt: skip


def mesh(steps: Sequence[Points]) -> Points:
    """All combinations (N, d) of numbers along each of d axes, the first of which varies slowest."""
    return np.stack([axis.ravel() for axis in np.meshgrid(*steps, indexing="ij")], axis=1)


def even(n: int, d: int, offset: float = 0.5) -> Points:
    """``n`` points of [0, 1]^d, d <= 8, without large gaps (Hammersley's): (i + offset) / n along the first axis, and
    multiples of irrational numbers along the others."""
    if d == 0:
        return np.empty((n, 0))
    steps = np.arange(n) + offset
    others = [steps / _SPREAD[d - 2] ** (1 + k) % 1 for k in range(d - 1)]
    return np.stack([steps / max(1, n), *others], 1)


def sobol(d: int, rng: np.random.Generator) -> Callable[[int], Points]:
    """The next scrambled Sobol points (n, d) of [0, 1]^d at each call."""
    sobol = torch.quasirandom.SobolEngine(d, scramble=True, seed=int(rng.integers(2**31)))  # type: ignore[no-untyped-call]
    return lambda n: np.asarray(sobol.draw(n, dtype=torch.float64).numpy())


def counts(n: int | Sequence[int], d: int) -> list[int]:
    """Points along each of ``d`` axes.

    Raises:
        InputError: not one integer >= 2, nor d of them; or too many points in all.
    """
    try:
        # mypy does not know that np.ndim tells a sequence from a number.
        found = [checks.integer("n", k, 2) for k in (n if np.ndim(n) else [n] * d)]  # type: ignore[union-attr]
    except ValueError:  # InputError, too
        found = []
    if len(found) != d or isinstance(n, (str, bytes)):
        raise InputError(f"n: expected an integer >= 2, or {d} of them, got {n!r}")
    refuse_too_many(math.prod(found))
    return found


def refuse_too_many(n: int) -> None:
    """Rather than a MemoryError."""
    if n > _MOST_POINTS:
        raise InputError(f"n: {n:.2g} points are too many, up to {_MOST_POINTS:.2g} are made at once")
