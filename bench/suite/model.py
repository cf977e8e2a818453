"""What a step costs, as a formula: fitted to the growth of our own times, printed, and held against each of them.

    seconds = t0 + N (a M + b C H + c H)

N points; M multiply-adds of a point's products, forward and backward (the plan's count, `contestants/ours.py`);
C channels, H hidden neurons: what the chain rule touches; H alone: the activation. Coefficients are found by least
squares of the relative deviations, none negative (Lawson & Hanson 1974, by SciPy).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

Row = Mapping[str, Any]

GROUPS = ("points", "width", "depth", "order", "inputs")
TERMS = ("step", "multiply-add", "channel of a neuron", "neuron")


def _features(row: Row) -> list[float]:
    points, hidden = row["points"] + row["edge"], sum(row["layers"][1:-1])
    # The boundary's points have a single channel: their share of M is in the plan's count, the rest is small.
    return [1.0, row["multiply_adds"], row["points"] * row["channels"] * hidden, points * hidden]


@dataclass(frozen=True)
class Model:
    """``seconds``: of each of `TERMS`; ``deviations``: measured over predicted, by case."""

    seconds: npt.NDArray[np.float64]
    deviations: dict[str, float]

    def predict(self, row: Row) -> float:
        return float(np.array(_features(row)) @ self.seconds)

    def __str__(self) -> str:
        once, *others = self.seconds
        parts = [
            f"{1e12 * value:.3g} ps for each {name}" for name, value in zip(TERMS[1:], others, strict=True) if value
        ]
        worst = max(self.deviations.items(), key=lambda item: abs(np.log(item[1])))
        return (
            f"a step takes {1e6 * once:.3g} us by itself, and at each point {' and '.join(parts)}. "
            f"Furthest from it: {worst[0]}, {worst[1]:.2f} times what it says"
        )


def fit(rows: Sequence[Row]) -> Model | None:
    """Of our rows of growth; None if there are too few."""
    own = [row for row in rows if row["group"] in GROUPS and row["contestant"] == "ours" and "multiply_adds" in row]
    if len(own) < len(TERMS) + 1:
        return None
    seconds = np.array([row["seconds"]["median"] for row in own])
    features = np.array([_features(row) for row in own])
    coefficients, _ = nnls(features / seconds[:, None], np.ones(len(own)))
    predicted = features @ coefficients
    return Model(coefficients, {row["case"]: float(t / p) for row, t, p in zip(own, seconds, predicted, strict=True)})
