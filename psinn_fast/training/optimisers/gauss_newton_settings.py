"""Settings of Gauss-Newton."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from ...kernels import checks
from ...kernels.errors import InputError, short

PRECISIONS = ("float64", "float32")


@dataclass(frozen=True)
class Tuning:
    """Settings of Gauss-Newton that hardly anybody needs.

    Args:
        starts: after 75 steps, or where it ends before, a run is compared with this many minus one from other
            initial weights, and given up if its loss is more than 100 times the lowest of theirs. Their steps are
            not counted, their seconds are. "auto": 2 if there are unknown coefficients, which can trade errors with
            the field; else a second one only where the first's gradient vanishes at 1 % of its first loss or more.
        damping: of the first step, relative to the squared lengths of J's columns.
        acceleration: second order along the step (geodesic acceleration).
        precision: "float64", or "float32" for J alone; sums, residuals and solutions are float64 in any case. How
            float32 products are multiplied is `Options.precision`.
        loss_target: stop where the loss, balanced and at the points drawn, is not above it.
        gradient_tolerance: stop where no column of J makes an angle with r whose cosine is larger.
        step_tolerance: stop where a step is shorter than this times the parameters, both scaled.
        patience: stop, as "converged", where the loss at points held out has not become smaller by 30 % in so many
            steps, or is 1e-16 of the first one; if the network has adapted to its draw, go on with more points. None:
            do not. It has no effect with unknown coefficients or measurements, from which coefficients and fields go
            on converging then, nor in windows of time.
    """

    starts: int | str = "auto"
    damping: float = 1e-3
    acceleration: bool = True
    precision: str = "float64"
    loss_target: float | None = None
    gradient_tolerance: float = 1e-12
    step_tolerance: float = 1e-14
    patience: int | None = None

    def __post_init__(self) -> None:
        integer, number = checks.integer, checks.number
        checked = {
            "starts": _word(self.starts, "auto") or integer("starts", self.starts, 1, other="'auto' or "),
            "damping": number("damping", self.damping, above=0),
            "acceleration": checks.flag("acceleration", self.acceleration),
            "precision": checks.choice("precision", self.precision, PRECISIONS),
            "loss_target": None if self.loss_target is None else number("loss_target", self.loss_target, least=0),
            "gradient_tolerance": number("gradient_tolerance", self.gradient_tolerance, least=0),
            "step_tolerance": number("step_tolerance", self.step_tolerance, least=0),
            "patience": None if self.patience is None else integer("patience", self.patience, 1, other="None or "),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def jacobian_dtype(self) -> torch.dtype:
        return torch.float32 if self.precision == "float32" else torch.float64


@dataclass(frozen=True)
class GaussNewtonSettings:
    """The settings of `GaussNewton`, which says what each of them means.

    They are a class of their own for what carries the method out, which `GaussNewton` imports in its turn.
    """

    steps: int = 1_000
    points: int | str = "auto"
    resample: int | None = 10
    focus: float | str = "auto"
    balance: bool = True
    march: bool = True
    seed: int = 0
    tuning: Tuning = field(default_factory=Tuning)

    def __post_init__(self) -> None:
        integer, number = checks.integer, checks.number
        checked = {
            "steps": integer("steps", self.steps, 0),
            "points": _word(self.points, "auto", "all") or integer("points", self.points, 1, other="'auto', 'all' or "),
            "resample": None if self.resample is None else integer("resample", self.resample, 1, other="None or "),
            "focus": _word(self.focus, "auto") or number("focus", self.focus, least=0, other="'auto' or "),
            "balance": checks.flag("balance", self.balance),
            "march": checks.flag("march", self.march),
            "seed": checks.seed("seed", self.seed),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if not isinstance(self.tuning, Tuning):
            raise InputError(f"tuning: expected a Tuning, got {short(self.tuning)}")
        if self.points == "all" and self.focus not in ("auto", 0):
            raise InputError("focus: has no effect with points='all', of which none are drawn")


def _word(value: object, *words: str) -> str | None:
    """The value if it is one of these words."""
    return value if isinstance(value, str) and value in words else None
