"""The verdict on a result by the problem that was trained: what was known before, and how far its losses fell."""

from __future__ import annotations

from dataclasses import replace

from ..problem.checks.coverage import coverage
from ..problem.problem import Problem
from ..scaling.natural_scales import NaturalLosses, natural_losses
from .doubts import largest, smaller, trend, unsolved
from .history import History
from .result import FitResult, Verdict


def judged(result: FitResult, problem: Problem, known: tuple[str, ...] = (), notes: tuple[str, ...] = ()) -> FitResult:
    """With what follows from the problem that was trained (`as_trained`); ``known`` warnings, and ``notes``: from the
    one that was given."""
    natural, history, found = natural_losses(problem), result.history, result.verdict
    size = problem.total_loss(natural.losses)
    losses = zip(result.losses.items(), problem.loss_units, strict=True)
    least = problem.total_loss([smaller(loss, found.held_out.get(name)) / unit for (name, loss), unit in losses])
    references = losses_unsolved(problem, natural, history)
    hardly_fell = unsolved(history, min(result.loss, least), result.losses, references, size, found.held_out)
    pressed = problem.unknowns.pressed(result.coefficients)
    at_bounds = (f"coefficient {name} is at its bound {bound:g}" for name, bound in pressed.items())
    idle = () if result.steps else ("no step was taken",)
    verdict = Verdict(
        found.held_out,
        # At a bound no free number moves the coefficient: what its residuals allow is not known there.
        {name: error for name, error in found.possible_errors.items() if name not in pressed},
        (*found.warnings, *coverage(problem), *problem.unseen_sources, *known, *hardly_fell, *at_bounds),
        (*idle, *notes, *found.notes, *trend(history, result.stopped_by, size)),
    )
    return replace(result, verdict=verdict).on(result.domain)


def losses_unsolved(problem: Problem, natural: NaturalLosses, history: History) -> dict[str, float]:
    """By term, its loss where nothing is solved: the largest of training, or of random fields if that is more, or for
    values that are given (`natural_losses`); terms of weight 0 have none."""
    found = dict[str, float]()
    terms = zip(problem.conditions, problem.losses_as_given(natural.losses).items(), natural.gives, strict=True)
    for condition, (name, loss), gives in terms:
        if condition.weight:
            found[name] = loss if gives and loss else max(loss, largest(history, name))
    return found
