"""A case as data: what is solved, by which network, on which points, in which precision; and the arrays that
follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from .channel_sets import CHANNEL_SETS
from .equations import EQUATIONS, Equation

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """loss = mean of squared residuals at ``points`` points + mean of (u - u*)^2 at ``edge`` points of the boundary.

    Args:
        group: what the case is for, a section of the report.
        equation: a name of `EQUATIONS`, `CHANNEL_SETS` or `POSED`.
        layers: widths, inputs and outputs included; of a tied network those of the dense one that it stands in for.
        structure: name of a tied network (`contestants/structures.py`, or of the posed problem's own), or None.
        optimiser: "adam", or "gauss-newton" for one iteration of it.
        threads: None for as many as the run has.
        contestants: who takes part; where `ours` does, others are divided by it.
    """

    group: str
    equation: str
    layers: tuple[int, ...]
    points: int
    contestants: tuple[str, ...] = ("ours",)
    edge: int = 400
    dtype: str = "float32"
    structure: str | None = None
    activation: str = "tanh"
    optimiser: str = "adam"
    backend: str = "cpu"
    threads: int | None = None

    @property
    def name(self) -> str:
        network = "-".join(map(str, self.layers))
        unusual = ((self.activation, "tanh"), (self.optimiser, "adam"), (self.dtype, "float32"), (self.backend, "cpu"))
        extra = [self.structure, *(own for own, usual in unusual if own != usual)]
        if self.threads is not None:
            extra.append(f"{self.threads} threads" if self.threads > 1 else "1 thread")
        words = [self.group, self.equation, network, f"{self.points} points", *(word for word in extra if word)]
        return ", ".join(words)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Case:
        return cls(**{**found, "layers": tuple(found["layers"]), "contestants": tuple(found["contestants"])})


@dataclass(frozen=True)
class Data:
    """Arrays in float64, the same in every process: points (N, d), boundary (M, d) and u there (M,), [(W, b),
    ...]."""

    equation: Equation
    points: Array
    edge: Array
    values: Array
    weights: list[tuple[Array, Array]]

    @classmethod
    def of(cls, case: Case) -> Data:
        equation, random = (EQUATIONS | CHANNEL_SETS)[case.equation], np.random.default_rng(0)
        points, edge = scattered(equation.box, equation.sides, case.points, case.edge, random)
        return cls(equation, points, edge, equation.values(*edge.T) + np.zeros(len(edge)), _glorot(case.layers, random))


def scattered(
    box: Sequence[tuple[float, float]], sides: Sequence[tuple[int, int]], n: int, on_sides: int, random: Any
) -> tuple[Array, Array]:
    """Uniform points in a box, and on its sides in equal shares; float32 holds them exactly, so that all precisions
    work on the same numbers."""
    low, high = np.array(box).T
    points, edge = (random.uniform(low, high, (count, len(low))) for count in (n, on_sides))
    for share, (axis, end) in zip(np.array_split(edge, len(sides)), sides, strict=True):
        share[:, axis] = box[axis][end]  # a view
    points, edge = (array.astype(np.float32).astype(np.float64) for array in (points, edge))
    return points, edge


def _glorot(layers: tuple[int, ...], random: np.random.Generator) -> list[tuple[Array, Array]]:
    weights = []
    for fan_in, fan_out in pairwise(layers):
        size = np.sqrt(6 / (fan_in + fan_out))
        pair = random.uniform(-size, size, (fan_out, fan_in)), random.uniform(-0.1, 0.1, fan_out)
        weight, bias = (array.astype(np.float32).astype(np.float64) for array in pair)
        weights.append((weight, bias))
    return weights


def flat(weights: Any) -> Array:
    """W1 (row-major), b1, W2, ..."""
    return np.concatenate([np.asarray(array, dtype=np.float64).ravel() for pair in weights for array in pair])
