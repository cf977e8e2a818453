"""What a weighting is to a run: settings that start a weigher, which says from time to time what the terms weigh.

A weighting of one's own is a pair of classes: settings, a `Weighting`, and a `Weigher`. Everything else is done for it:
when it is asked, how its weights reach the kernels, checkpoints and the history.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ...kernels.contract import Backend, Term
from ...kernels.errors import InputError
from ...kernels.network.plan import Plan
from ...problem.conditions import DATA, EQUATION, INSIDE, RESIDUAL
from ...problem.problem import Problem
from ..checkpoint import Expectations
from ..points.sampling import is_boundary_term, thinned

# Of the points of a term, those at which a trace is taken: this part, but so many at least and at most.
_PART, _FEWEST, _MOST = 1 / 5, 64, 512
_SEED = 449
# Numbers of a Jacobian alive at once.
_CHUNK_NUMBERS = 1 << 22


class NotFinite(Exception):
    """There is nothing to weigh by: a residual or gradient is NaN or infinite, as the next step will say."""


class Weighting(ABC):
    """Settings of a weighting: immutable, and equal where they weigh alike.

    Attributes:
        name: in messages and results.
        every: steps between two updates of the weights, the first of them before step 0; None: only that one.
        keeps_points: its weights belong to points, which are then not replaced by others during training.
    """

    name: ClassVar[str]
    keeps_points: ClassVar[bool] = False
    every: int | None

    @abstractmethod
    def start(self, objective: Objective) -> Weigher:
        """A weigher of this loss. The network's weights are not to be read yet.

        Raises:
            InputError: the problem lacks what this weighting needs.
        """

    def identity(self) -> Mapping[str, Any]:
        """What must agree for a run to be resumed, as plain values. By default all settings."""
        settings = asdict(self) if is_dataclass(self) else vars(self)
        return {"name": self.name, **settings}

    @property
    def is_fixed(self) -> bool:
        """Whether the conditions' own weights are all there is, so that there is nothing to record."""
        return False


class Weigher(ABC):
    """A weighting at work, from `Weighting.start`; ``objective``: the loss that it weighs.

    Attributes:
        pointwise: indices of the terms whose points have weights of their own (`point_factors`).
    """

    pointwise: Sequence[int] = ()

    def __init__(self, objective: Objective) -> None:
        self.objective = objective

    @abstractmethod
    def update(self, step: int) -> Tensor:
        """(T,): the terms' factors in the total loss from this step on, finite and >= 0.

        Those of terms that weigh nothing by themselves do not count. The state must not change before all of the
        objective's methods have returned: where a residual or gradient is not finite they raise `NotFinite`, and there
        is no update.
        """

    def point_factors(self, index: int, term: Term) -> Tensor:
        """(N,): what the residuals at the points of a pointwise term are multiplied by, roots of weights.

        ``term``: as it is trained, maybe at other points than before.
        """
        raise NotImplementedError

    def follow(self) -> None:
        """The terms are trained at other points now."""
        return

    def saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and numbers (JSON) that `restore` takes: all that `update` keeps from one call to the next, or a
        resumed run goes on to other weights. By default there are none."""
        return {}, {}

    def expected(self) -> Expectations:
        """How these tensors look, and checks of the numbers (`entries`), under the same names."""
        return Expectations({}, {})

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Go on from where `saved` was called; called on a new weigher of the same settings."""
        return


class Objective:
    """The loss of a run, as a weighting sees it: a sum over T terms, at the points and weights of the moment.

    Attributes:
        problem: as it is trained, in natural units.
        equations: indices of the terms that hold inside the domain: the PDE, other residuals there.
        imposed: of those that are imposed on its boundary or at its start, or hold only at some places inside, or of
            an integral.
        measured: of measurements (`Data`).
            Terms that weigh nothing by themselves belong to none of the three.
    """

    def __init__(
        self,
        problem: Problem,
        engine: Backend,
        plan: Plan,
        own: Tensor,
        factors: Tensor,
        terms: Callable[[], Sequence[Term]],
        weights: Callable[[], tuple[Tensor, Tensor]],
        name: str,
    ) -> None:
        self.problem, self._own, self._factors, self._name = problem, own, factors, name
        self._engine, self._plan, self._terms, self._weights = engine, plan, terms, weights
        kinds = [_kind(problem, number) for number in range(len(problem.conditions))]
        self.equations, self.imposed, self.measured = (
            [i for i, found in enumerate(kinds) if found == kind] for kind in ("equation", "imposed", "measured")
        )

    @property
    def own(self) -> Tensor:
        """(T,) the conditions' own weights; a copy."""
        return self._own.clone()

    @property
    def factors(self) -> Tensor:
        """(T,) what the terms weigh at the moment; a copy."""
        return self._factors.clone()

    @cached_property
    def active(self) -> list[int]:
        """Indices of the terms that weigh anything."""
        return sorted([*self.equations, *self.imposed, *self.measured])

    @property
    def weightless(self) -> str:
        """For messages that something is missing: which terms do not count, since they weigh nothing."""
        names = [repr(name) for i, name in enumerate(self.problem.term_names) if i not in self.active]
        if not names:
            return ""
        return f" of a positive weight ({' and '.join(names)} {'has' if len(names) == 1 else 'have'} weight 0)"

    @property
    def terms(self) -> Sequence[Term]:
        """As they are trained now, without weights of their points."""
        return self._terms()

    def losses(self) -> Tensor:
        """(T,): every term's mean square, unweighted; 0 for terms that weigh nothing."""
        found = torch.zeros_like(self.own)
        for i in self.active:
            found[i] = self.residuals(i).square().sum(1).mean()
        return found

    def residuals(self, index: int) -> Tensor:
        """r (N, m) of a term, unweighted; (1, m) of an integral."""
        theta, free = self._weights()
        return _finite(self._asked("residuals", theta, free, self.terms[index]))

    def term_gradients(self) -> tuple[Tensor, Tensor]:
        """Every term's mean square (T,) and its gradient (T, P + K), unweighted; 0 for terms that weigh nothing."""
        theta, free = self._weights()
        found = self._asked("term_gradients", theta, free, [self.terms[i] for i in self.active])
        losses, gradients = torch.zeros_like(self.own), theta.new_zeros(len(self.own), theta.numel() + free.numel())
        losses[self.active], gradients[self.active] = found[0], _finite(found[1])
        return losses, gradients

    def traces(self, number: int = 0) -> Tensor:
        """(T,): every term's mean over its rows of |dr/dx|^2, the trace of its J^T J over N; x = (theta, z).

        Unweighted; 0 for terms that weigh nothing. Of more than 64 points a fifth is taken, up to 512, spread
        over their order, others for each ``number``: all of them would cost as much as ten steps.
        """
        found = torch.zeros_like(self.own)
        theta, free = self._weights()
        for i in self.active:
            term = _some_points(self.terms[i], number)
            step = max(1, _CHUNK_NUMBERS // ((theta.numel() + free.numel()) * term.program.n_residuals))
            step = step if term.quadrature is None else term.n_points  # one row
            for start in range(0, term.n_points, step):
                rows = slice(start, start + step)
                _, jacobian = self._asked("residual_jacobian", theta, free, term, rows)
                found[i] += torch.linalg.vector_norm(jacobian).square() / term.n_rows
        return _finite(found)

    def _asked(self, operation: str, *arguments: Any) -> Any:
        try:
            return getattr(self._engine, operation)(self._plan, *arguments)
        except NotImplementedError as error:
            raise InputError(
                f"weighting: {self._name} needs the operation {operation!r}, which backend {self._engine.name!r} lacks"
            ) from error


def _some_points(term: Term, number: int) -> Term:
    count = min(term.n_points, max(_FEWEST, min(_MOST, int(_PART * term.n_points))))
    is_whole = count == term.n_points or term.quadrature is not None
    return term if is_whole else thinned(term, count, np.random.default_rng((_SEED, number)))


def _finite(numbers: Tensor) -> Tensor:
    if not bool(torch.isfinite(numbers).all()):
        raise NotFinite
    return numbers


def _kind(problem: Problem, number: int) -> str:
    condition = problem.conditions[number]
    if not condition.weight:
        return ""
    if condition.kind == DATA:
        return "measured"
    is_inside = condition.kind in (EQUATION, RESIDUAL, INSIDE) and not is_boundary_term(problem, condition)
    return "equation" if is_inside else "imposed"
