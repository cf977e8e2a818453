"""What an optimiser is to the trainer: settings that start a run, and a run that advances a moment at a time.

An optimiser of one's own is a pair of classes: settings, an `Optimizer`, and a `Run`. `Trainer` does the
rest: clock, progress, history, checkpoints, interruption, divergence, the losses at points held out.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from ..kernels import or_reference
from ..kernels.contract import Backend, Term
from ..kernels.language.regularizer import Regularizer
from ..networks.mlp import PsiMLP
from ..problem.problem import Problem
from .checkpoint import Expectations
from .doubts import ALLOWED_OF_ADAM, between_points, loose, undetermined
from .history import History
from .points.held_out import REPORTED, HeldOut, residual_of
from .setting_names import refuse_unknown_settings
from .weighting import FixedWeights, Weighting, WeightState


class Failure(Exception):
    """Something became NaN or infinite at a run's ``step``."""

    def __init__(self, what: str, step: int) -> None:
        super().__init__(what)
        self.what, self.step = what, step


@dataclass
class Task:
    """What a run is about.

    Attributes:
        problem: as it is trained, in natural units (`as_trained`).
        net: gives structure, dtype, device and the weights to start from; the trainer writes the run's weights to it.
        engine: the backend.
        coefficients: where the unknown ones start; None: where the problem says.
        regularizer: a weight penalty, which is a part of the loss.
        history: of all runs so far.
        is_interrupted: whether Ctrl-C was pressed; ``is_over``: that, or whether time is up. Long work asks them.
        say: shows a line beside the progress bar.
        weighting: what the terms of the loss weigh, for optimisers that do not say it themselves.
        weights: where the weighting of the optimiser before it in a sequence had come to, if there was one.
    """

    problem: Problem
    net: PsiMLP
    engine: Backend
    coefficients: Mapping[str, float] | None
    regularizer: Regularizer | None
    history: History
    is_interrupted: Callable[[], bool]
    is_over: Callable[[], bool]
    say: Callable[[int, str], None]
    weighting: Weighting = field(default_factory=FixedWeights)
    weights: WeightState | None = None

    @cached_property
    def unseen(self) -> HeldOut:
        """The problem's terms at the points where results are judged, float64."""
        return HeldOut(self.problem, REPORTED, torch.float64, self.net.theta.device)

    @property
    def first_loss(self) -> float:
        """The total loss that training began with; NaN before it is known."""
        return self.history["loss"][0] if len(self.history) else math.nan


@dataclass(frozen=True)
class Moment:
    """What `Run.advance` saw.

    Attributes:
        losses: every term's mean square, then the weight penalty, at the points trained on and the weights where the
            moment began; None where they were not computed.
        held_out: the weighted total at points not trained on; NaN where it was not looked at.
        values: of the run's own ``columns``.
        hidden: how many times larger the loss is between the points, where that is worth a warning.
        place: how far a run has come that does not train on all of its problem yet.
        stopped_by: why there is nothing more to do.
    """

    losses: Sequence[float] | None = None
    held_out: float = math.nan
    values: Mapping[str, float] = field(default_factory=dict)
    hidden: str | None = None
    place: str = ""
    stopped_by: str | None = None


class Doubts(NamedTuple):
    """What speaks against a result: ``warnings``, and ``notes`` of less weight."""

    warnings: tuple[str, ...]
    notes: tuple[str, ...]


class Optimizer(ABC):
    """Settings of an optimiser: immutable, and equal where they train alike."""

    # Columns of the history, beside the common ones.
    columns: ClassVar[tuple[str, ...]] = ()
    # Whether `solve` makes networks of float64 for it.
    needs_float64: ClassVar[bool] = False
    # Whether its loss may have a weight penalty.
    takes_penalty: ClassVar[bool] = True

    def __new__(cls, *_: Any, **settings: Any) -> Optimizer:
        refuse_unknown_settings(cls, settings)
        return super().__new__(cls)

    @property
    @abstractmethod
    def name(self) -> str:
        """In titles and results."""

    @property
    @abstractmethod
    def most_steps(self) -> int:
        """Steps at most."""

    def product_dtype(self, dtype: torch.dtype) -> torch.dtype:
        """Of the products that its steps take of a network of ``dtype``; of several dtypes the smallest."""
        return dtype

    @abstractmethod
    def start(self, task: Task) -> Run:
        """A run from the task's weights."""

    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """What must agree for a run to be resumed, as plain values; steps need not."""

    def weighed_by(self, weighting: Weighting) -> Optimizer:
        """These settings where the loss is weighed in this way.

        Raises:
            InputError: this optimiser cannot take it.
        """
        return self


class Run(ABC):
    """A training under way, from `Optimizer.start`.

    ``solver``: how equations were solved, if any were; ``seconds_by_part``: where the time of the steps went,
    if that is known; ``under_way``: what a long step is at, asked by another thread.
    """

    task: Task
    solver: str | None = None
    seconds_by_part: Mapping[str, float] = {}
    under_way: str = ""

    @property
    @abstractmethod
    def step(self) -> int:
        """Steps done."""

    @property
    @abstractmethod
    def theta(self) -> Tensor:
        """(P,) the weights reached, in any dtype."""

    @property
    @abstractmethod
    def free(self) -> Tensor:
        """(K,) the free numbers behind the unknown coefficients (`bounds.Unknowns`)."""

    @abstractmethod
    def advance(self, until: int, is_logged: bool) -> Moment:
        """Work for a moment, a fraction of a second, and to step ``until`` at most.

        ``is_logged``: the losses at the present weights are wanted.

        Raises:
            Failure: something became NaN or infinite. Other exceptions end training, too, and what the run then says of
                itself (`theta`, `step`, `saved`) is kept: it is to be at the end of its last whole step.
        """

    @abstractmethod
    def look(self) -> Moment:
        """The losses at the weights reached, for the last row of the history.

        Raises:
            Failure: they are NaN or infinite.
        """

    @abstractmethod
    def final_losses(self) -> Sequence[float]:
        """Every term's mean square, then the weight penalty, at the problem's own points.

        Raises:
            Failure: they are NaN or infinite.
        """

    @abstractmethod
    def restore_good(self) -> int:
        """Go back to the last weights that were good, and say of which step they are."""

    @abstractmethod
    def saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and numbers (JSON) that `restore` takes: all that the next steps depend on, momenta and counters too,
        or a resumed run goes on to other weights."""

    @abstractmethod
    def expected(self, numbers: Mapping[str, Any]) -> Expectations:
        """How these tensors look, and checks of the numbers (`entries`), under the names that `saved` gives them;
        ``numbers``: of a file, not checked yet."""

    @abstractmethod
    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Go on from where `saved` was called; called once, on a run that was just started.

        Raises:
            CheckpointError: they do not belong together.
        """

    def weight_state(self) -> WeightState | None:
        """What the weighting of the next optimiser in a sequence starts from, if this one's has anything to say."""
        return None

    def settle(self) -> tuple[str, ...]:
        """Choose the weights to be returned; notes that say which, if they are not the last ones."""
        return ()

    def advice(self, failure: Failure) -> str:
        """What to do where training diverged."""
        return other_weights(None)

    @property
    def x(self) -> Tensor:
        """(P + K,) weights and free numbers, float64."""
        return torch.cat([self.theta, self.free]).double()

    @property
    def coefficients(self) -> dict[str, float]:
        return self.task.problem.unknowns.values(self.free.tolist())

    def residual(self, term: Term) -> Tensor:
        """(N, m) of a float64 term at the weights reached."""
        net, x = self.task.net, self.x
        n = net.theta.numel()
        return residual_of(or_reference(self.task.engine), net.plan, x[:n], x[n:])(term)

    def exact_terms(self) -> Sequence[Term]:
        """The problem's terms at its own points, float64."""
        return self.task.problem.terms(torch.float64, self.task.net.theta.device)

    def doubts(self, given: float, unseen: float, errors: Mapping[str, float]) -> Doubts:
        """``given``, ``unseen``: the loss at the problem's points and at others; ``errors``: that the latter allows."""
        first = self.task.first_loss
        warnings, notes = between_points(unseen, given, given if math.isnan(first) else first, errors)
        return Doubts((*warnings, *undetermined(errors)), (*notes, *loose(errors, ALLOWED_OF_ADAM)))


def other_weights(undefined: str | None) -> str:
    """What to do where weights have no finite loss; ``undefined``: which operation has no value, as text."""
    found = f"It has {undefined}. " if undefined else ""
    return f"{found}Look at the residual where it is not defined for every u, or start from other weights (seed)"
