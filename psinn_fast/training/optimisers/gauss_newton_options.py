"""Settings of Gauss-Newton."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from ...kernels import checks
from ...kernels.errors import InputError, short
from ..identity import options_of
from ..protocol import Optimizer, Task
from ..weighting import FixedWeights, TraceBalance, Weighting

if TYPE_CHECKING:
    from .gauss_newton import GaussNewtonRun

PRECISIONS = ("float64", "float32")


@dataclass(frozen=True)
class Tuning:
    """Settings of Gauss-Newton that hardly anybody needs.

    Args:
        starts: after 75 iterations, or where it ends before, a run is compared with this many minus one from other
            initial weights, and given up if its loss is more than 100 times the lowest of theirs. Their iterations are
            not counted, their seconds are. "auto": 2 if there are unknown coefficients, which can trade errors with
            the field; else a second one only where the first's gradient vanishes at 1 % of its first loss or more.
        damping: of the first step, relative to the squared lengths of J's columns.
        acceleration: second order along the step (geodesic acceleration).
        precision: "float64", or "float32" for J alone; sums, residuals and solutions are float64 in any case.
        loss_target: stop where the loss, balanced and at the points drawn, is not above it.
        gradient_tolerance: stop where no column of J makes an angle with r whose cosine is larger.
        step_tolerance: stop where a step is shorter than this times the parameters, both scaled.
    """

    starts: int | str = "auto"
    damping: float = 1e-3
    acceleration: bool = True
    precision: str = "float64"
    loss_target: float | None = None
    gradient_tolerance: float = 1e-12
    step_tolerance: float = 1e-14

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
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class GaussNewton(Optimizer):
    """Settings of Gauss-Newton; the defaults are meant to be left alone.

    Args:
        steps: iterations at most.
        points: collocation and boundary points that a step sees, drawn from the problem (`Sampler`). A number: so many
            inside, and half as many on the boundary, also more than a grid or face has; of arrays and measurements
            there are no others, all of them are taken where they are fewer. "auto": three per unknown and at least
            1,000, but of each term at most its own, until the network has adapted to its draws: then up to four times
            as many; "all": the problem's own points.
        resample: iterations before the second draw; then as many as are done (0, 10, 20, 40, ...), so that the end
            is a long run on one draw; and at once where the loss is more than 5 times larger at points that are held
            out, so that the network has adapted to those drawn (not with unknown coefficients). None: one draw.
        focus: from the second draw on, collocation points of a box are drawn in proportion to
            |r|^focus / mean(|r|^focus) + 1, r the residual, every ``resample`` iterations or after a fourth of those
            done. 0: uniformly. "auto": 0 until the network has adapted to a draw, then 1; with unknown coefficients
            always 0, since the equation has to be weighed against measurements.
        balance: with each draw, weigh the conditions on the domain's boundary so that they move with the unknowns as
            much as the residual inside does (equal traces of J^T J). Measurements keep their weights, which say how far
            they are trusted. Losses are reported with the problem's own weights.
        march: start an initial-value problem again in windows of time that grow (`March`), where its residuals allow
            errors of more than 50 % after 75 iterations, or of 1 % after 300.
        seed: of the draws, and of other starts.
        tuning: what hardly anybody needs (`Tuning`).

    Results say why training ended (`FitResult.stopped_by`): "steps", "seconds", "interrupt", "loss target",
    "gradient", "step" or "no descent" (no damping makes the loss smaller: rounding errors are reached).
    """

    columns: ClassVar[tuple[str, ...]] = ("damping",)
    needs_float64: ClassVar[bool] = True
    takes_penalty: ClassVar[bool] = False

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

    @property
    def name(self) -> str:
        return "gauss-newton"

    @property
    def most_steps(self) -> int:
        return self.steps

    def identity(self) -> dict[str, Any]:
        return options_of(self, "steps")

    def weighed_by(self, weighting: Weighting) -> GaussNewton:
        """With ``balance`` as the weighting says.

        Raises:
            InputError: for any but `FixedWeights` and `TraceBalance`: which step is taken depends on the loss that the
                last one reached.
        """
        if isinstance(weighting, TraceBalance):
            if weighting != TraceBalance():
                raise InputError("every: has no effect on gauss-newton, which balances with each draw of points")
            return replace(self, balance=True)
        if isinstance(weighting, FixedWeights):
            return replace(self, balance=False)
        raise InputError(
            f"weighting: gauss-newton takes 'fixed' and 'trace-balance' only, got {weighting.name!r}; train one after "
            "the other: fit(problem, net, pf.Adam(), weighting=...), then fit(problem, net, pf.GaussNewton())"
        )

    def start(self, task: Task) -> GaussNewtonRun:
        from .gauss_newton import GaussNewtonRun  # which needs these settings

        return GaussNewtonRun(task, self)


def _word(value: object, *words: str) -> str | None:
    """The value if it is one of these words."""
    return value if isinstance(value, str) and value in words else None
