"""What training returns, whatever the optimiser."""

from __future__ import annotations

import signal
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, overload

import numpy.typing as npt
from torch import Tensor

from ..domains import Domain
from ..kernels.contract.precision import IEEE
from ..markup import badge, block, table, title
from ..networks.mlp import PsiMLP
from .checkpoint import Snapshot
from .extrapolation import warn_of_outside
from .history import History, curves
from .interrupt import Interrupted
from .parts import bound_by

# How a note begins that names terms which hold whatever the weights are.
EXACT = "exact by construction: "


@dataclass(frozen=True)
class Ending:
    """Where training ended.

    Attributes:
        ended: "done", "time limit", "interrupted", "stopped" (by a callback), or, in the result that an error carries,
            "diverged" or "failed".
        stopped_by: "steps", "seconds", "interrupt", "callback NAME", what the optimiser found, what was not finite, or
            the error.
        steps: of all optimisers, those before a resumption included.
        seconds: likewise.
        loss: the weighted total at the final weights, as it was minimised, without a weight penalty; NaN if it has
            none.
        solver: how Gauss-Newton solved its equations, in order of first use.
        backend: which one did the work, e.g. "cpu", or "reference" where a network is beyond what "auto" would take.
        precision: that its products had: "ieee", also of all that were in float64, "tf32x3", or, by torch's own
            operations, what torch was told; the coarsest of all steps taken, also before the run was resumed.
        seconds_by_part: where the time of the last optimiser's steps went, by Gauss-Newton ("Jacobian", "J^T J",
            "solution", "residuals", "points", "other"), empty by others.
    """

    ended: str
    stopped_by: str
    steps: int
    seconds: float
    loss: float
    solver: str | None = None
    backend: str = "reference"
    precision: str = IEEE
    seconds_by_part: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """How far a result can be trusted.

    Attributes:
        held_out: by term, its loss at points that training did not see (`HeldOut`); None where there are none.
        possible_errors: by field and unknown coefficient, the relative errors that the residuals left over allow
            (`training.stability`); empty where they are not known, and none of coefficients that are at their bounds.
        warnings: losses at unseen points are much larger, or a loss hardly fell; the equation is asked for in a part of
            the domain only, or lacks conditions; its points miss a source; the network has a symmetry that the problem
            breaks; a coefficient is at its bound, which may hide a better value.
        notes: the loss was still falling, no step was taken, the weights returned are not the last ones, residuals are
            larger between the points but allow small errors only, what errors Adam's residuals allow, symmetries that
            the structure would have with an odd activation only.
    """

    held_out: dict[str, float | None] = field(default_factory=dict)
    possible_errors: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """What training found: the network, and what is known of it.

    The entries of ``end`` and ``verdict`` are attributes of the result, too. The result that an error carries
    (``error.result``) is not judged: its verdict is empty.

    Attributes:
        net: the network that was trained.
        losses: by term, without its weight but with those that its condition gives its points, at the network's final
            weights.
        coefficients: the unknown ones, found.
        history: rows as training went on.
        end: where it ended.
        verdict: how far it can be trusted.
        snapshot: where training was, for ``Options(resume=result)``; None where the state of an optimiser of the user's
            own could not be saved.
    """

    net: PsiMLP = field(repr=False)
    losses: dict[str, float]
    coefficients: dict[str, float]
    history: History
    end: Ending
    verdict: Verdict
    snapshot: Snapshot | None = field(repr=False, compare=False)

    @overload
    def __call__(self, points: Tensor) -> Tensor: ...
    @overload
    def __call__(self, points: npt.ArrayLike) -> npt.NDArray[Any]: ...
    def __call__(self, points: npt.ArrayLike | Tensor) -> npt.NDArray[Any] | Tensor:
        """The fields at points (..., d): (..., F), see `PsiMLP.predict`. Warns of points outside of the domain."""
        found = self.net.predict(points)
        self._warn_of_outside(points)
        return found

    @property
    def domain(self) -> Domain | None:
        """Where the problem lives, outside of which points are warned of; None where it is not known."""
        return self.__dict__.get("_domain")

    def on(self, domain: Domain | None) -> FitResult:
        """The same result, with its domain."""
        self.__dict__["_domain"] = domain
        return self

    def _warn_of_outside(self, points: npt.ArrayLike | Tensor) -> None:
        """Once for a call of what calls this."""
        if self.domain is not None:
            may_repeat = self.net.structure.embedding is not None
            warn_of_outside(self.domain, points, self.net.predict, may_repeat, stacklevel=3)

    @property
    def ended(self) -> str:
        return self.end.ended

    @property
    def stopped_by(self) -> str:
        return self.end.stopped_by

    @property
    def steps(self) -> int:
        return self.end.steps

    @property
    def seconds(self) -> float:
        return self.end.seconds

    @property
    def loss(self) -> float:
        return self.end.loss

    @property
    def solver(self) -> str | None:
        return self.end.solver

    @property
    def bound_by(self) -> str:
        """The part of Gauss-Newton's steps that took most of their time, e.g. ``J^T J, 78 % of 12 s``; by others ""."""
        return bound_by(self.end.seconds_by_part)

    @property
    def held_out(self) -> dict[str, float | None]:
        return self.verdict.held_out

    @property
    def possible_errors(self) -> dict[str, float]:
        return self.verdict.possible_errors

    @property
    def warnings(self) -> tuple[str, ...]:
        return self.verdict.warnings

    @property
    def notes(self) -> tuple[str, ...]:
        return self.verdict.notes

    def _repr_html_(self) -> str:
        """For notebooks: status, facts, and curves of the loss and, where it is known, the error."""
        name, about = self._heading()
        found = [*self.coefficients.items(), *self.net.learned.items()]
        rows = [
            *self._facts(),
            ("losses", ", ".join(f"{term} {loss:.2e}" for term, loss in self.losses.items())),
            ("found", ", ".join(f"{term} = {value:.6g}" for term, value in found)),
            ("steps", f"{self.steps} in {self.seconds:.3g} s on {self.end.backend}, ended by {self.stopped_by}"),
            ("residuals allow", ", ".join(f"{term} {error:.1e}" for term, error in self.possible_errors.items())),
        ]
        return block(
            title(name, about),
            badge(self.status, is_good=not self.warnings and self.ended == "done"),
            table([row for row in rows if row[1]]),
            curves(self.history, [column for column in ("loss", "relative_l2") if column in self.history.columns]),
        )

    def _heading(self) -> tuple[str, str]:
        structure = self.net.structure
        sizes = "-".join(map(str, structure.layer_sizes))
        return "Result", f"{sizes}, {structure.n_parameters} parameters, {structure.activation}"

    def _facts(self) -> list[tuple[str, str]]:
        """What else there is to say, by name."""
        return []

    @property
    def status(self) -> str:
        """``done``, or ``done, but the residual between the points is 1e5 times larger``, then what holds exactly:
        ``done; exact by construction: walls``."""
        exact = [note for note in self.notes if note.startswith(EXACT)]
        doubts = "; ".join([*self.warnings, *(note for note in self.notes if note not in exact)])
        return "; ".join([f"{self.ended}, but {doubts}" if doubts else self.ended, *exact])


def give(error: BaseException, result: FitResult) -> None:
    """``error.result``, where the exception, maybe of someone else's class, takes it."""
    with suppress(AttributeError, TypeError):
        error.result = result  # type: ignore[attr-defined]  # PsinnFastError has it, others get it


class TrainingInterrupted(Interrupted):
    """Ctrl-C, SIGTERM or SIGHUP during training, or while its result was judged or written; the checkpoint is written.

    ``result`` says how far it came, ``net`` is the network with the weights reached.
    """

    def __init__(self, result: FitResult, net: PsiMLP, number: int = signal.SIGINT) -> None:
        is_whole = result.ended == "done"
        what = "interrupted after training, which ended" if is_whole else "training interrupted"
        super().__init__(f"{what} at step {result.steps}", number)
        self.result, self.net = result, net

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.result, self.net, self.signal)
