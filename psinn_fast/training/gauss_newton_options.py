"""Settings of Gauss-Newton."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real

from ..kernels.errors import InputError

PRECISIONS = ("float64", "float32")


@dataclass(frozen=True)
class GaussNewton:
    """Settings of Gauss-Newton; the defaults are meant to be left alone.

    Args:
        iterations: at most.
        starts: after 75 iterations, or where it ends before, a run is compared with this many minus one from other
            initial weights, and given up if its loss is more than 100 times the lowest of theirs. Their iterations are
            not counted, their seconds are. "auto": 2 if there are unknown coefficients, which can trade errors with
            the field; else a second one only where the first's gradient vanishes at 1 % of its first loss or more.
        points: collocation and boundary points that a step sees, drawn from the problem (`Sampler`); "auto": three per
            unknown and at least 1,000; "all": the problem's own points.
        resample: iterations before the second draw; then as many as are done (0, 10, 20, 40, ...), so that the end
            is a long run on one draw. None: one draw.
        focus: from the second draw on, collocation points of a box are drawn in proportion to
            |r|^focus / mean(|r|^focus) + 1, r the residual, every ``resample`` iterations or after a fourth of those
            done. 0: uniformly. "auto": 0 until at a draw the loss turns out to be more than 5 times larger between the
            old points than at them, so that the network has adapted to the points, then 1; with unknown coefficients
            always 0, since the equation has to be weighed against measurements.
        balance: with each draw, weigh the conditions on the domain's boundary so that they move with the unknowns as
            much as the residual inside does (equal traces of J^T J). Measurements keep their weights, which say how far
            they are trusted. Losses are reported with the problem's own weights.
        damping: of the first step, relative to the squared lengths of J's columns.
        acceleration: second order along the step (geodesic acceleration).
        precision: "float64", or "float32" for J alone; sums, residuals and solutions are float64 in any case.
        bounds: (low, high) of unknown coefficients, e.g. ``{"nu": (0, math.inf)}``; they stay strictly inside.
        loss_target: stop where the loss, balanced and at the points drawn, is not above it.
        gradient_tolerance: stop where no column of J makes an angle with r whose cosine is larger.
        step_tolerance: stop where a step is shorter than this times the parameters, both scaled.
        seed: of the draws.

    Results say why training ended (`FitResult.stopped_by`): "iterations", "seconds", "interrupt", "loss target",
    "gradient", "step" or "no descent" (no damping makes the loss smaller: rounding errors are reached).
    """

    iterations: int = 1_000
    starts: int | str = "auto"
    points: int | str = "auto"
    resample: int | None = 10
    focus: float | str = "auto"
    balance: bool = True
    damping: float = 1e-3
    acceleration: bool = True
    precision: str = "float64"
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    loss_target: float | None = None
    gradient_tolerance: float = 1e-12
    step_tolerance: float = 1e-14
    seed: int = 0

    def __post_init__(self) -> None:
        _check_integer("iterations", self.iterations, 0)
        if self.starts != "auto":
            _check_integer("starts", self.starts, 1, "'auto' or ")
        if self.points not in ("auto", "all"):
            _check_integer("points", self.points, 1, "'auto', 'all' or ")
        if self.resample is not None:
            _check_integer("resample", self.resample, 1)
        _check_integer("seed", self.seed, 0)
        if self.focus != "auto":
            _check_number("focus", self.focus, other="'auto' or ")
        _check_number("damping", self.damping, above=0.0)
        for name in ("loss_target", "gradient_tolerance", "step_tolerance"):
            if getattr(self, name) is not None or name != "loss_target":
                _check_number(name, getattr(self, name))
        if self.precision not in PRECISIONS:
            raise InputError(f"precision: expected one of {list(PRECISIONS)}, got {self.precision!r}")


def _check_integer(name: str, value: object, least: int, other: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{name}: expected {other}an integer >= {least}, got {value!r}")


def _check_number(name: str, value: object, above: float | None = None, other: str = "") -> None:
    number = math.nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)
    if not (math.isfinite(number) and (number >= 0 if above is None else number > above)):
        least = ">= 0" if above is None else f"> {above:g}"
        raise InputError(f"{name}: expected {other}a number {least}, got {value!r}")
