"""Levenberg-Marquardt steps on the residuals of a problem: points, weights, damping, one step at a time.

One step d solves (J^T J + damping D^2) d = -J^T r, D^2 the diagonal of J^T J (its largest value since the points were
drawn; More 1978). With geodesic acceleration (Transtrum & Sethna 2012) x moves by d + a / 2, a the same equations'
solution for the second derivative of r along d. The damping follows the gain ratio (Nielsen 1999).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...kernels.contract import Backend, Term
from ...kernels.errors import CheckpointError
from ...networks.mlp import PsiMLP
from ...problem.conditions import DATA
from ...problem.problem import Problem
from ...storage import entries
from ..checkpoint import Expected
from ..doubts import NEGLIGIBLE
from ..least_squares import Equations, linearise
from ..parts import part
from ..points.held_out import WATCHED, HeldOut
from ..points.point_orbits import one_point_per_orbit
from ..points.sampling import MOST_REFINED, Sampler
from ..protocol import Failure
from ..residuals import Residuals
from ..weighting import balanced, weight_column
from .gauss_newton_settings import GaussNewtonSettings

# "auto" draws this many points per unknown, but not fewer than that; of many unknowns fewer, so that J^T J costs no
# more multiply-adds than these, down to the smaller number per unknown.
_POINTS_PER_UNKNOWN, _FEWEST_POINTS = 3, 1_000
_AFFORDABLE, _LEAST_PER_UNKNOWN = 3.5e10, 0.75
# After so many refusals in a row the damping has grown by more than float64 holds: there is no descent.
_MOST_TRIALS = 40
_LARGEST_DAMPING = 1e30
# Columns shorter than this times the longest (squared) are damped as if they had that length.
_SCALE_FLOOR = 1e-12
# Steps between looks at points that are held out.
_WATCH = 10
# A loss this many times larger there than at the points drawn: the network has adapted to the draw.
_ADAPTED = 5.0
# If what hides there is more than this part of the first loss, the draw is replaced at once and gets more points.
_URGENT = 1e-6
# Weights are not worse than the best ones before their held-out loss is this many times larger: it scatters.
_WORSE = 3.0
# Errors of a hundred-millionth: a held-out loss of this part of the first one is small enough.
_CONVERGED = 1e-16
# A loss is progress below this part of that at the last progress.
_PROGRESS = 0.7
# Length of the finite differences along d, and the largest |a| / |d| at which the parabola is trusted.
_PROBE = 0.1
_CURVED = 0.75


@dataclass(frozen=True)
class Watched:
    """Weights and coefficients ``x`` after step ``step``; their loss at the points drawn, and held out."""

    x: Tensor
    step: int
    drawn: float
    loss: float


def automatic_points(unknowns: int) -> int:
    """How many points a step sees inside, and half as many on the boundary, for networks of so many unknowns."""
    affordable = _AFFORDABLE / (0.75 * max(unknowns, 1) ** 3)
    return max(_FEWEST_POINTS, int(unknowns * min(_POINTS_PER_UNKNOWN, max(_LEAST_PER_UNKNOWN, affordable))))


class Marquardt:
    """After step ``step``, ``x`` = (theta, z) has residuals ``r``; ``good``: x and step of the last good J.

    Every ten steps the loss is looked at where no point is drawn (``held_out``): ``latest`` and ``best`` say what
    was found. A draw to which the network has adapted is then replaced at once, by one with more points if it was so
    before.
    """

    def __init__(
        self,
        problem: Problem,
        net: PsiMLP,
        options: GaussNewtonSettings,
        engine: Backend,
        starts: Mapping[str, float] | None = None,
    ) -> None:
        self._options, self._engine, self._plan = options, engine, net.plan
        device = net.theta.device
        self.problem = problem
        z = torch.tensor(problem.unknowns.start(starts, guessed=True), dtype=torch.float64, device=device)
        self.x = torch.cat([net.theta.detach().double(), z])
        points: int | None = automatic_points(self.x.numel())
        if options.points != "auto":
            points = options.points if isinstance(options.points, int) else None
        # With unknown coefficients the equation is weighed against measurements: its mean must not be biased.
        automatic = float(not problem.pde.unknown)
        self._focus = float(options.focus) if isinstance(options.focus, (int, float)) else automatic
        self.full = problem.terms(torch.float64, device)
        if points is None:
            self.full = one_point_per_orbit(problem, net, self.full, engine)
        self._sampler = Sampler(problem, self.full, points, options.seed, fills=options.points != "auto")
        self.step, self.damping, self.solvers = 0, options.tuning.damping, list[str]()
        self._drawn_at, self._growth, self._is_focused = -1, 2.0, options.focus not in ("auto", 0)
        self._scale = torch.zeros_like(self.x)
        self.good = self.x.clone(), 0
        self._use(self.full, problem.weights(torch.float64).tolist())
        self.r = self.x.new_empty(0)
        self.held_out = HeldOut(problem, WATCHED, device=device)
        # Unknown coefficients go on converging while the residual grows between the points (docs/gauss-newton.md).
        self._is_inverse = bool(problem.pde.unknown)
        # So do fields that are known by measurements of others, while the loss is that of the measurements.
        self._is_measured = any(own.kind == DATA and own.weight for own in problem.conditions)
        self.first_loss = math.nan
        self.latest = self.best = Watched(self.x, 0, math.inf, math.inf)
        # The last step at which the held-out loss was so much smaller than the time before, and what it was.
        self._progressed, self._level = 0, math.inf

    @property
    def theta(self) -> Tensor:
        return self.x[: self._plan.n_parameters]

    @property
    def coefficients(self) -> dict[str, float]:
        return self.problem.unknowns.values(self.x[self._plan.n_parameters :].tolist())

    @property
    def losses(self) -> list[float]:
        """Every term's mean square at the points drawn, unweighted; NaN for terms that weigh nothing."""
        return self.residuals.losses(self.r)

    @property
    def loss(self) -> float:
        """At the points drawn, with the problem's own weights."""
        return self.problem.total_loss(self.losses)

    @property
    def weights(self) -> dict[str, float]:
        """What every term weighs, by its column in the history."""
        return dict(zip(map(weight_column, self.problem.term_names), self.residuals.weights, strict=True))

    @property
    def is_converged(self) -> bool:
        """Whether nothing more is to be had, by `Tuning.patience`, at the points drawn."""
        patience = self._options.tuning.patience
        if patience is None or self._is_inverse or self._is_measured:
            return False
        return self.step - self._progressed >= patience or self.best.loss <= _CONVERGED * self.first_loss

    def full_losses(self) -> list[float]:
        """The same at all of the problem's points, every term."""
        losses = [float(self.residuals.of_term(term, self.x).square().sum()) / term.n_rows for term in self.full]
        for term, loss in zip(self.full, losses, strict=True):
            if not math.isfinite(loss):
                raise Failure(f"term {term.name!r}", self.step)
        return losses

    def linearise(self) -> Equations:
        """The equations at x; on new points when it is time for them.

        Raises:
            Failure: a residual or its Jacobian is NaN or infinite.
        """
        if self._drawn_at < 0:
            self._draw()
            if math.isnan(self.first_loss):
                self.first_loss = self.loss
        is_time = self._is_time_to_draw()
        hidden = self.watch() if is_time or self.step % _WATCH == 0 else 0.0
        if is_time or hidden > _URGENT * self.first_loss:
            with part("points"):
                self._draw(hidden)
        residuals = self.residuals
        with part("solution"):
            equations = linearise(self._engine, lambda: residuals.chunks(self.x), residuals.rows, self.x, self.damping)
        if not math.isfinite(equations.square) or not bool(torch.isfinite(equations.diagonal).all()):
            raise Failure(self._failed_term(), self.step)
        self.good = self.x.clone(), self.step
        return equations

    def advance(self, equations: Equations) -> str | None:
        """Take one step, or say why there is none to take."""
        loss, gradient, options = equations.square, equations.gradient, self._options
        if options.tuning.loss_target is not None and loss <= options.tuning.loss_target:
            return "loss target"
        lengths = equations.diagonal.sqrt()
        cosines = gradient.abs() / (lengths * math.sqrt(loss)).clamp_min(1e-300)
        if not float(lengths.max()) or float(cosines.max()) <= options.tuning.gradient_tolerance:
            return "gradient"
        # The longest that each column has been: damping by lengths of the moment lets steps run away.
        self._scale = torch.maximum(self._scale, equations.diagonal)
        scale = self._scale.clamp_min(_SCALE_FLOOR * float(self._scale.max()))
        for _ in range(_MOST_TRIALS):
            with part("solution"):
                equations.damp(self.damping, scale)
                d = equations.step()
            if equations.name not in self.solvers:
                self.solvers.append(equations.name)
            size = float((d.square() * scale).sum().sqrt())
            if size <= options.tuning.step_tolerance * float((self.x.square() * scale).sum().sqrt()):
                return "step"
            # |r|^2 - |r + J d|^2, from the equations that d solves.
            predicted = float(self.damping * size**2 - d @ gradient)
            trial = self._accelerated(equations, d, size, scale)
            if trial is not None:
                r = self.residuals.vector(trial)
                gain = (loss - float(r @ r)) / predicted if predicted > 0 else -1.0
                if gain > 0:  # false for NaN
                    self.x, self.r = trial, r
                    self.damping = max(self.damping * max(1 / 3, 1 - (2 * gain - 1) ** 3), 1e-30)
                    self._growth = 2.0
                    self.step += 1
                    return None
            self.damping *= self._growth
            self._growth *= 2
            if not self.damping < _LARGEST_DAMPING:
                break
        return "no descent"

    def watch(self) -> float:
        """Look at the held-out points. Returns the weighted loss that hides between points that can be replaced.

        That of the largest term that is more than 5 times larger there than where it was drawn, and larger than the
        whole loss: the network has adapted to its points. 0 where there is none.
        """
        losses, weights = self.losses, self.residuals.weights
        unseen = self.held_out.losses(self.residual)
        self.latest = Watched(self.x, self.step, self.loss, self.held_out.total(unseen, losses))
        if self.latest.loss < self.best.loss:
            self.best = self.latest
        if self.latest.loss < _PROGRESS * self._level:
            self._progressed, self._level = self.step, self.latest.loss
        if self._is_inverse or self._options.resample is None or self.step == self._drawn_at:
            return 0.0
        hidden = [
            weight * there
            for free, there, here, weight in zip(self._sampler.can_refine, unseen, losses, weights, strict=True)
            if free and there is not None and there > _ADAPTED * here
        ]
        least = max(float(self.r @ self.r), NEGLIGIBLE * self.first_loss)
        return max((loss for loss in hidden if loss > least), default=0.0)

    def renew(self, takes_more: bool = False) -> bool:
        """Where there is no step to take: draw anew, maybe more points, if the network has adapted to its draw. Returns
        whether it had."""
        hidden = self.watch()
        if hidden:
            if takes_more and hidden <= _URGENT * self.first_loss:
                self._sampler.refine()
            self._draw(hidden)
            self._progressed = self.step  # on the new draw it has its steps again
        return hidden > 0

    def settle(self) -> Watched:
        """Go to the best weights by held-out loss, if the last ones are worse. Returns these, with their loss.

        With unknown coefficients only if the last ones have no finite loss.
        """
        if not self.r.numel():
            self.r = self.residuals.vector(self.x)
        self.watch()
        last = self.latest
        worst = math.inf if self._is_inverse else _WORSE * self.best.loss
        if math.isfinite(self.best.loss) and not last.loss <= worst:
            self.x = self.best.x
            self.r = self.residuals.vector(self.x)
        return last

    def restore_good(self) -> int:
        """Go back to the last x whose Jacobian was finite; returns its step."""
        self.x, self.step = self.good[0].clone(), self.good[1]
        return self.step

    def saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and numbers that `restore` takes."""
        drawn = {
            f"{part}.{i}": getattr(term, part)
            for i, term in enumerate(self.residuals.terms)
            for part in ("points", "columns")
            if term is not self.full[i]
        }
        numbers = {
            "step": self.step, "damping": self.damping, "growth": self._growth, "drawn_at": self._drawn_at,
            "focused": self._is_focused, "weights": list(self.residuals.weights), "solvers": list(self.solvers),
            "refinement": self._sampler.refinement, "best_step": self.best.step,
            "progressed": self._progressed,
        }  # fmt: skip
        levels = torch.tensor([self.first_loss, self.best.loss, self._level], dtype=torch.float64)
        own = {"x": self.x, "scale": self._scale, "r": self.r, "best_x": self.best.x.clone(), "levels": levels}
        return {**own, **drawn}, numbers

    @property
    def expected_tensors(self) -> dict[str, Expected]:
        """How the tensors look that `restore` takes."""
        n = self.x.numel()
        # r and the scale are overwritten by a step that failed; x never is.
        own = {
            "x": Expected((n,)), "scale": Expected((n,), finite=False), "r": Expected((None,), finite=False),
            "best_x": Expected((n,)), "levels": Expected((3,), finite=False),
        }  # fmt: skip
        drawn = {
            f"{part}.{i}": Expected(shape, optional=True)
            for i, term in enumerate(self.full)
            for part, shape in (
                ("points", (term.points.shape[0], None, term.points.shape[2])),
                ("columns", (None, term.columns.shape[1])),
            )
        }
        return {**own, **drawn}

    @property
    def expected_numbers(self) -> dict[str, Callable[[str, Any], Any]]:
        """Checks of the numbers that `restore` takes."""
        size = partial(entries.number, least=0)
        return {
            "step": entries.integer, "damping": size, "growth": size,
            "drawn_at": partial(entries.integer, least=-1),
            "focused": entries.boolean, "weights": partial(entries.numbers, least=0, length=len(self.full)),
            "solvers": entries.texts, "best_step": entries.integer,
            "progressed": entries.integer,
            "refinement": partial(entries.integer, most=MOST_REFINED),
        }  # fmt: skip

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Go on from where `saved` was called.

        Raises:
            CheckpointError: points, columns and residuals whose numbers do not fit.
        """
        self.x, self._scale, self.r = (tensors[name].to(self.x.device) for name in ("x", "scale", "r"))
        self.step, self.damping, self._growth = numbers["step"], numbers["damping"], numbers["growth"]
        self._drawn_at, self._is_focused = numbers["drawn_at"], numbers["focused"]
        self.solvers = list(numbers["solvers"])
        self.good = self.x.clone(), self.step
        self.first_loss, best_loss, self._level = tensors["levels"].tolist()
        self._progressed = numbers["progressed"]
        self.best = Watched(tensors["best_x"].to(self.x.device), numbers["best_step"], math.nan, best_loss)
        self._sampler.refinement = numbers["refinement"]
        for i in range(len(self.full)):
            points, columns = tensors.get(f"points.{i}"), tensors.get(f"columns.{i}")
            counts = points if points is None else points.shape[1], columns if columns is None else columns.shape[0]
            if counts[0] != counts[1]:
                raise CheckpointError(f"points.{i}, columns.{i}: of {counts[0]} and of {counts[1]} points")
        self._use(self._sampler.with_points(tensors), numbers["weights"])
        if self.r.numel() not in (0, self.residuals.rows):
            raise CheckpointError(f"r: expected {self.residuals.rows} residuals, got {self.r.numel()}")

    def _use(self, terms: list[Term], weights: list[float]) -> None:
        dtype = self._options.tuning.jacobian_dtype
        self.residuals = Residuals(self._engine, self._plan, terms, weights, dtype)

    def _is_time_to_draw(self) -> bool:
        """After as many steps as are done; after a fourth of them once the network has adapted to a draw."""
        every, done = self._options.resample, self._drawn_at
        return every is not None and self.step >= done + max(every, done // 4 if self._is_focused else done)

    def _draw(self, hidden: float = 0.0) -> None:
        """New points, new weights; x stays. ``hidden``: see `watch`."""
        first, own = self._drawn_at < 0, self.problem.weights(torch.float64).tolist()
        if hidden:
            self._is_focused = self._focus > 0
        if hidden > _URGENT * self.first_loss:
            self._sampler.refine()
        if self._is_focused and not first:
            self._use(self._sampler.focused(self.step, self.residual, self._focus), own)
        elif first or any(self._sampler.redraws):
            self._use(self._sampler.draw(self.step), own)
        if self._options.balance:
            weights = balanced(self.problem, self.residuals.traces(self.x), self._sampler.on_boundary)
            self._use(list(self.residuals.terms), weights)
        self._drawn_at = self.step
        self._scale = torch.zeros_like(self.x)
        self.r = self.residuals.vector(self.x)

    def residual(self, term: Term) -> Tensor:
        """(N, m) of a term at any points, at x."""
        return self.residuals.of_term(term, self.x)

    def _accelerated(self, equations: Equations, d: Tensor, size: float, scale: Tensor) -> Tensor | None:
        """x + d + a / 2; None where the residuals curve too much for d to be believed."""
        if not self._options.tuning.acceleration:
            return self.x + d
        ahead, behind = (self.residuals.vector(self.x + h * d) for h in (_PROBE, -_PROBE))
        curvature = (ahead - 2 * self.r + behind) / _PROBE**2
        pulled_back = self.residuals.pull_back(self.x, curvature)
        with part("solution"):
            a = -equations.solve(pulled_back)
        if not float((a.square() * scale).sum().sqrt()) <= _CURVED * size:
            return None
        return self.x + d + a / 2

    def _failed_term(self) -> str:
        for term in self.residuals.terms:
            if not bool(torch.isfinite(self.residuals.of_term(term, self.x)).all()):
                return f"term {term.name!r}"
        return "the Jacobian"

    def undefined(self) -> str | None:
        """Which operation has no value at x, as text."""
        terms = (*self.residuals.terms, *self.full)
        return next((found for term in terms if (found := self.residuals.undefined(term, self.x))), None)
