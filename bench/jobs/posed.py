"""The problems of whole jobs: where, the exact solution, which is given at sides, the network, errors to reach."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..suite.case import Array, scattered
from ..suite.equations import EQUATIONS

Predict = Callable[[Array], Any]
CELLS = 100
# In which steps errors are looked at: so many in all, where nothing ends training before.
ADAM_ROWS, OTHER_ROWS = 40, 2000


@dataclass(frozen=True)
class Posed:
    """``paper``: the relative L2 error of the paper's Psi-NN, from a public rerun of its released settings; its own
    table has other measures."""

    name: str
    coordinates: str
    box: tuple[tuple[float, float], ...]
    sides: tuple[tuple[int, int], ...]
    layers: tuple[int, ...]
    exact: Callable[[Array], Array]
    paper: float | None


def _laplace(points: Array) -> Array:
    return np.asarray(EQUATIONS["laplace"].values(*points.T))


def _poisson(points: Array) -> Array:
    """u of u_xx + u_yy = sum_k (-1)^(k+1) k^2 sin(k pi x) sin(k pi y) / 2, k = 1 to 4, the paper's."""
    x, y = np.pi * points.T
    modes = [(-1) ** k * np.sin(k * x) * np.sin(k * y) for k in range(1, 5)]
    return np.asarray(sum(modes) / (4 * np.pi**2))


def _burgers(points: Array) -> Array:
    from psinn_fast.problems.burgers import cole_hopf

    return cole_hopf(points, 0.01 / np.pi)[:, 0]


def _helmholtz(points: Array) -> Array:
    x, y = 2 * np.pi * points.T
    return np.asarray(np.sin(x) * np.sin(y))


def _of(name: str, layers: tuple[int, ...], exact: Callable[[Array], Array], paper: float | None) -> Posed:
    equation = EQUATIONS[name]
    return Posed(name, equation.coordinates, equation.box, equation.sides, layers, exact, paper)


_ALL_SIDES = EQUATIONS["poisson"].sides
PROBLEMS = {
    posed.name: posed
    for posed in (
        _of("laplace", (2, 8, 8, 16, 1), _laplace, 1.06e-4),
        Posed("poisson", "xy", ((0.0, 1.0), (0.0, 1.0)), _ALL_SIDES, (2, 40, 20, 20, 1), _poisson, 0.079),
        _of("burgers", (2, 20, 20, 20, 20, 1), _burgers, 0.024),
        _of("helmholtz", (2, 32, 32, 32, 1), _helmholtz, None),
    )
}


class Recorder:
    """Errors on a grid that training does not see, every so many steps; the time that this takes does not count."""

    def __init__(self, posed: Posed, steps: int, seconds: float, every: int) -> None:
        low, high = np.array(posed.box).T
        cells = (np.arange(CELLS) + 0.5) / CELLS
        unit = np.stack(np.meshgrid(cells, cells, indexing="ij"), -1).reshape(-1, 2)
        self._grid = (low + (high - low) * unit).astype(np.float32)
        self._exact = posed.exact(self._grid.astype(np.float64))
        self.steps, self.every, self.seconds = steps, every, seconds
        self.rows: list[tuple[int, float, float]] = []
        self._next = every
        self._started = time.perf_counter()

    def __call__(self, step: int, predict: Predict, always: bool = False) -> bool:
        """After a step, by a function of points (N, 2) -> (N,) or (N, 1); whether training is to end."""
        now = time.perf_counter()
        if step < min(self._next, self.steps) and not always and now - self._started < self.seconds:
            return False
        self._next = step + self.every
        found = np.asarray(predict(self._grid), dtype=np.float64).reshape(-1)
        error = float(np.linalg.norm(found - self._exact) / np.linalg.norm(self._exact))
        self.rows.append((step, now - self._started, error))
        self._started += time.perf_counter() - now
        return step >= self.steps or self.rows[-1][1] > self.seconds


@dataclass(frozen=True)
class Given:
    """What a user's code is given: arrays in float32, the network's widths, the optimiser's name, and the recorder."""

    posed: Posed
    points: Any
    edge: Any
    values: Any
    optimiser: str
    record: Recorder = field(repr=False)

    @classmethod
    def of(cls, posed: Posed, optimiser: str, points: int, on_sides: int, steps: int, seconds: float) -> Given:
        inside, edge = scattered(posed.box, posed.sides, points, on_sides, np.random.default_rng(0))
        inside32, edge32, values = (array.astype(np.float32) for array in (inside, edge, posed.exact(edge)[:, None]))
        every = max(1, steps // (ADAM_ROWS if optimiser == "adam" else OTHER_ROWS))
        return cls(posed, inside32, edge32, values, optimiser, Recorder(posed, steps, seconds, every))

    @property
    def layers(self) -> list[int]:
        return list(self.posed.layers)

    @property
    def steps(self) -> int:
        return self.record.steps
