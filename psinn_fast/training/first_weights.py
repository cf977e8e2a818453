"""Initial weights at which a problem's residuals have values: within the domain of log, sqrt, 1 / u, u^n."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from torch import Tensor

from ..kernels.contract import Backend, Term
from ..kernels.errors import InputError
from ..networks.initialisation import start_biases
from ..networks.mlp import PsiMLP
from ..problem.problem import Problem
from ..scaling.natural_scales import given_middles
from .points.held_out import HeldOut

# Operations that have no value, or none that a number can hold, for some fields of order 1.
_PARTIAL = frozenset({"reciprocal", "sqrt", "exp", "log", "tan", "sinh", "cosh", "div", "pow"})
# The last weights are multiplied by one of these; fields for which nothing but 0 is given start at 0, or at so many of
# their sizes.
_FACTORS, _SHIFTS = (1e-1, 1e-2, 1e-3, 1e-4), (0.0, 1.0, -1.0)
# Points beside a problem's own where residuals must have values, in each of its regions.
_OTHERS = 512


def start_where_finite(net: PsiMLP, problem: Problem, guessed: bool, engine: Backend) -> None:
    """Move the initial weights of a network that was just made to where losses and gradients are finite.

    The weights of the last layer are multiplied by 1/10 until they are, four times at most, and the fields start at
    the middle of the values given for them. So all relations hold. Weights at which they are finite stay, and so do
    those of which this makes no better ones.

    Args:
        problem: as it is trained (`in_natural_units`).
        guessed: unknown coefficients start where the problem guesses them to be.
        engine: computes the losses.
    """
    if not any(op in _PARTIAL for traced in problem.traced for op, *_ in traced.program.instructions):
        return
    try:
        terms, weights = _terms(problem, net)
        coefficients = net.theta.new_tensor(problem.unknowns.start(guessed=guessed))
    except InputError:  # `fit` will say it
        return
    if _is_finite(engine, net, net.theta.detach(), coefficients, terms, weights):
        return
    middles, sizes = given_middles(problem), np.array(net.structure.output_scale)
    for shift, factor in product(_SHIFTS if (middles == 0).any() else _SHIFTS[:1], _FACTORS):
        start = np.where(net.structure.free_outputs, np.where(middles == 0, shift * sizes, middles), 0.0)
        theta = _about(net, tuple(start.tolist()), factor)
        if _is_finite(engine, net, theta, coefficients, terms, weights):
            net.start = tuple(start.tolist())
            with torch.no_grad():
                net.theta.copy_(theta)
            return


def _about(net: PsiMLP, start: tuple[float, ...], factor: float) -> Tensor:
    """theta with ``factor`` times the last layer as it was drawn, its biases about ``start``."""
    structure, theta = net.structure, net.theta.detach().cpu().double().clone()
    last = slice(structure.n_parameters - structure.layers[-1].n_parameters, None)
    theta[last] = factor * (theta - start_biases(structure, net.start))[last]
    theta[last] += start_biases(structure, start)[last]
    return theta.to(net.theta)


def _terms(problem: Problem, net: PsiMLP) -> tuple[list[Term], Tensor]:
    """All that weigh anything, at their own points and at others that they stand for, and their weights."""
    dtype, device = net.theta.dtype, net.theta.device
    weights, unseen = problem.weights(dtype, device), HeldOut(problem, _OTHERS, dtype, device).terms
    pairs = zip((*problem.terms(dtype, device), *unseen), (*weights, *weights), strict=True)
    kept = [(term, weight) for term, weight in pairs if term is not None and bool(weight)]
    return [term for term, _ in kept], torch.stack([weight for _, weight in kept])


def _is_finite(
    engine: Backend, net: PsiMLP, theta: Tensor, coefficients: Tensor, terms: Sequence[Term], weights: Tensor
) -> bool:
    found = engine.loss_and_gradient(net.plan, theta, coefficients, terms, weights)
    return all(bool(torch.isfinite(numbers).all()) for numbers in (found.losses, found.theta, found.coefficients))
