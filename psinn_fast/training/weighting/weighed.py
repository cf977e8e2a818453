"""The terms of a run with the weights that a weighting gives them: kept on the device, and changed in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...kernels.contract import Backend, Term
from ...kernels.errors import CheckpointError, InputError, short
from ...kernels.language.program import scaled_by_column
from ...kernels.network.plan import Plan
from ...problem.problem import Problem
from ...storage import entries
from ..checkpoint import Expectations, Expected
from .protocol import NotFinite, Objective, Weigher, Weighting

# In a checkpoint: what all weightings have, and what stands before the names of a weigher's own tensors and numbers.
_WEIGHTS, _BEGUN, _PREFIX = "weights", "weights begun", "weighting."


class WeightState(NamedTuple):
    """What the optimiser that comes next in a sequence goes on with (`WeighedTerms.saved`)."""

    tensors: dict[str, Tensor]
    numbers: dict[str, Any]


def weight_column(term: str) -> str:
    """The column of a history that holds a term's total factor."""
    return f"weight_{term}"


class WeighedTerms:
    """``weights`` (T,) and ``terms`` as the backend takes them; no update makes new ones of either.

    Points with weights of their own are a term's residual times one more column (`scaled_by_column`).

    Args:
        weighting: settings.
        problem, engine, plan: what is trained.
        own: (T,) the conditions' own weights.
        plain: the terms trained on at the moment, without weights of their points.
        at: theta and the free numbers of the moment.
    """

    def __init__(
        self,
        weighting: Weighting,
        problem: Problem,
        engine: Backend,
        plan: Plan,
        own: Tensor,
        plain: Callable[[], list[Term]],
        at: Callable[[], tuple[Tensor, Tensor]],
    ) -> None:
        self.weighting, self.weights = weighting, own.clone()
        # Where the loss must stay what it is: no update but the first.
        self.is_constant = weighting.every is None
        self._problem, self._plain = problem, plain
        self._objective = Objective(problem, engine, plan, own, self.weights, plain, at, weighting.name)
        self._weigher = weighting.start(self._objective)
        self._updated_at, self._has_begun = -1, False
        bases = plain()
        self._check_weigher(bases)
        self._bases = {i: bases[i] for i in self._weigher.pointwise}
        self._terms = {i: _with_factors(base) for i, base in self._bases.items()}

    @property
    def terms(self) -> list[Term]:
        plain = self._plain()
        return [self._terms.get(i, term) for i, term in enumerate(plain)] if self._terms else plain

    def update(self, step: int) -> None:
        """Before this step, where it is time.

        Raises:
            InputError: a weigher of the user's own gives other than (T,) finite numbers >= 0.
        """
        every = self.weighting.every
        is_due = not self._has_begun if self.is_constant or every is None else step % every == 0
        if not is_due or step == self._updated_at or self.weighting.is_fixed:
            return
        self._updated_at = step
        try:
            found, own = self._weigher.update(step), self._objective.own
        except NotFinite:
            return
        if not isinstance(found, Tensor) or found.shape != own.shape or not _are_weights(found[own > 0]):
            got = f"{tuple(found.shape)}, {short(found.tolist())}" if isinstance(found, Tensor) else short(found)
            raise InputError(
                f"weighting: {self.weighting.name}: update: expected a tensor of {len(own)} weights >= 0, one of each "
                f"term ({', '.join(self._problem.term_names)}), all finite, got {got} at step {step}"
            )
        self._has_begun = True
        self.weights.copy_(torch.where(own > 0, found.to(own), self.weights))
        self._write_factors()

    def until_update(self, step: int) -> int | None:
        """Steps from this one to the next update; None: there is none."""
        every = self.weighting.every
        return None if self.is_constant or every is None else every - step % every

    def follow(self) -> None:
        """The plain terms have other points now."""
        plain = self._plain()
        for i, base in self._bases.items():
            if plain[i] is not base:
                self._bases[i] = plain[i]
                self._terms[i] = _with_factors(plain[i])
            else:  # changed in place
                self._terms[i].columns[:, :-1].copy_(base.columns)
        self._weigher.follow()
        self._write_factors()

    def plain_losses(self) -> dict[int, float]:
        """The unweighted mean squares of the terms whose points have weights, where training computes others."""
        return {i: float(self._objective.residuals(i).square().sum(1).mean()) for i in self._terms}

    def numbers(self) -> list[float]:
        """The weights of all terms; float64 where they are the conditions' own."""
        if self.weighting.is_fixed:
            return [condition.weight for condition in self._problem.conditions]
        return [float(weight) for weight in self.weights.tolist()]

    def values(self) -> dict[str, float]:
        """For the history: by column, every term's factor times the mean of its points' weights."""
        if self.weighting.is_fixed:
            return {}
        mean = {i: float(term.columns[:, -1].square().mean()) for i, term in self._terms.items()}
        names = map(weight_column, self._problem.term_names)
        return {
            name: weight * mean.get(i, 1.0) for i, (name, weight) in enumerate(zip(names, self.numbers(), strict=True))
        }

    def saved(self) -> WeightState:
        """Tensors and numbers that `restore` takes; none where weights are fixed."""
        if self.weighting.is_fixed:
            return WeightState({}, {})
        tensors, numbers = self._weigher.saved()
        own = {f"{_PREFIX}{name}": tensor for name, tensor in tensors.items()}
        kept = {f"{_PREFIX}{name}": number for name, number in numbers.items()}
        return WeightState({_WEIGHTS: self.weights, **own}, {_BEGUN: self._has_begun, **kept})

    def expected(self) -> Expectations:
        if self.weighting.is_fixed:
            return Expectations({}, {})
        tensors, numbers = self._weigher.expected()
        own = {f"{_PREFIX}{name}": expected for name, expected in tensors.items()}
        kept = {f"{_PREFIX}{name}": check for name, check in numbers.items()}
        weights = Expected(tuple(self.weights.shape), self.weights.dtype)
        return Expectations({_WEIGHTS: weights, **own}, {_BEGUN: entries.boolean, **kept})

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Go on from where `saved` was called, in any dtype; what else there is among them is left alone.

        Raises:
            CheckpointError: weights that are negative.
        """
        if self.weighting.is_fixed:
            return
        if bool((tensors[_WEIGHTS] < 0).any()):
            raise CheckpointError(f"{_WEIGHTS}: expected weights >= 0")
        self.weights.copy_(tensors[_WEIGHTS])
        self._has_begun = numbers[_BEGUN]
        own = {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items() if name.startswith(_PREFIX)}
        kept = {name.removeprefix(_PREFIX): number for name, number in numbers.items() if name.startswith(_PREFIX)}
        self._weigher.restore(own, kept)
        self._write_factors()

    def _write_factors(self) -> None:
        for i, term in self._terms.items():
            found = self._weigher.point_factors(i, term)
            if not isinstance(found, Tensor) or found.shape != (term.n_points,) or not bool(found.isfinite().all()):
                got = f"{tuple(found.shape)}" if isinstance(found, Tensor) else short(found)
                raise InputError(
                    f"weighting: {self.weighting.name}: point_factors({i}, term): expected a tensor "
                    f"({term.n_points},) of finite numbers, got {got}"
                )
            term.columns[:, -1].copy_(found)

    def _check_weigher(self, terms: Sequence[Term]) -> None:
        name, weigher = self.weighting.name, self._weigher
        if not isinstance(weigher, Weigher):
            raise InputError(f"weighting: {name}: start(objective): expected a Weigher, got {short(weigher)}")
        if not set(weigher.pointwise) <= set(range(len(terms))):
            raise InputError(
                f"weighting: {name}: pointwise: expected indices of terms, 0 to {len(terms) - 1}, got "
                f"{short(weigher.pointwise)}"
            )
        for i in weigher.pointwise:
            if terms[i].quadrature is not None:
                raise InputError(
                    f"weighting: {name}: pointwise: term {terms[i].name!r} is an integral, one row for all of its "
                    "points, which have no weights of their own"
                )


def _are_weights(numbers: Tensor) -> bool:
    return not numbers.is_complex() and bool((numbers.isfinite() & (numbers >= 0)).all())


def _with_factors(term: Term) -> Term:
    """At the same points in memory, with one more column, of ones."""
    column = term.columns.new_ones(term.n_points, 1)
    return replace(term, program=scaled_by_column(term.program), columns=torch.cat([term.columns, column], 1))


def check_columns(problem: Problem) -> None:
    """
    Raises:
        InputError: a term or coefficient is called like the column of a term's weight.
    """
    names: Sequence[str] = (*problem.term_names, *problem.pde.unknown)
    for term in problem.term_names:
        if weight_column(term) in names:
            raise InputError(
                f"weighting: the history records the weight of term {term!r} as {weight_column(term)!r}, but something "
                "else is called so; give it another name"
            )
