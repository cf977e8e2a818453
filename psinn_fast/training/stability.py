"""How far from the solution a network can be, whose residuals are as small as they are.

To first order a change v of the unknowns changes the residuals by J v and the fields by G v. The largest change of a
field that the residuals left over can hide is

    max over v of |G v|   where   sum over terms of (mean over points of |J_t v|^2) / loss_t <= 1,

|G v| the root mean square over that of the field about its start (293 K). It is the problem's stability constant among
the functions that the network can reach, times the residuals: about their size for an elliptic problem, exponentially
larger in time where small perturbations grow, infinite where nothing determines a field. What an unknown coefficient
can change by is found in the same way. Errors of measurements are independent: of N of them, it is the sum that stays
below their loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..conditions import DATA, Dirichlet
from ..kernels.contract import Backend, Term
from ..kernels.plan import Plan
from ..natural_scales import natural_scales
from ..problem import Problem
from .abort import Aborted, abortable
from .held_out import HeldOut
from .residuals import Residuals

# More unknowns would take seconds: of those so many are changed.
MOST_UNKNOWNS, _CHANGED = 2_000, 1_000
# So many points of a term, fewer where points times changed unknowns squared, or times all, are more than this.
_POINTS, _WORK, _NUMBERS = 16_384, 1.5e10, 4e8
# Terms of no more points are not divided.
_FEW = 64
# Points at which fields are compared, and the directions that are tried at other points.
_FIELD_POINTS, _DIRECTIONS = 1_024, 64
# A field of a smaller part of its natural size than one over this is zero, which no error can be relative to.
_ORDINARY = 30.0
# By which c(z) is differentiated.
_STEP = 1e-6
# What is shorter than this part of J's longest column is rounding; so are losses below that part of 1.
_ROUNDING, _SMALLEST = 1e-13, 1e-28


def possible_errors(
    problem: Problem, engine: Backend, plan: Plan, x: Tensor, terms: Sequence[Term]
) -> dict[str, float] | None:
    """By field and unknown coefficient: the relative error (root mean square) that its residuals allow.

    ``terms``: at points that represent the problem (`HeldOut.or_own`). J is taken at half of them; changes that it
    finds are measured at the other half, too, as thin ones fit between points. Of more than 2,000 unknowns 1,000
    random ones change, which are nearly as free. None: residuals that are not finite.
    """
    chosen = _chosen(x.numel(), len(problem.pde.unknown)).to(x.device)
    n = chosen.numel()
    share = min(_POINTS, _WORK / n**2, _NUMBERS / x.numel()) / max(term.n_points for term in terms)
    halves = [_halves(term, share) for term in terms]
    residuals = Residuals(engine, plan, [], [])
    losses = [
        sum(float(residuals.of_term(half, x).square().sum(1).mean()) for half in both) / len(both) for both in halves
    ]
    if not all(map(math.isfinite, losses)):
        return None
    weights = [
        (term.n_points if condition.kind == DATA else 1) / max(loss, _SMALLEST) if condition.weight else 0.0
        for condition, loss, term in zip(problem.conditions, losses, terms, strict=True)
    ]
    first, second = (Residuals(engine, plan, list(half), weights) for half in zip(*halves, strict=True))
    jacobian = torch.cat([rows[:, chosen] for _, rows in first.chunks(x)])
    longest = float(jacobian.square().sum(0).max().sqrt())
    if not math.isfinite(longest):
        return None
    floor = max(_ROUNDING * longest, _SMALLEST)
    triangle = torch.linalg.qr(torch.cat([jacobian, floor * torch.eye(n).to(jacobian)]), mode="r").R
    found = {}
    for name, changes in _changes(problem, engine, plan, x, terms, chosen):
        # The changes that are largest where |J v| = 1 at the first points; of their span, the largest at all points.
        _, _, best = torch.linalg.svd(
            torch.linalg.solve_triangular(triangle, changes, upper=True, left=False), full_matrices=False
        )
        v = torch.linalg.solve_triangular(triangle, best[:_DIRECTIONS].T, upper=True)
        seen = (rows[:, chosen] @ v for _, rows in second.chunks(x))
        elsewhere = sum(change.T @ change for change in seen)
        # By eigenvalues: where a few points leave nearly everything free, rounding makes some of them negative.
        values, q = torch.linalg.eigh(elsewhere)
        found[name] = float(torch.linalg.matrix_norm(changes @ v @ q / ((values.clamp_min(0) + 1) / 2).sqrt(), 2))
    return found


def errors_allowed(
    problem: Problem,
    engine: Backend,
    plan: Plan,
    x: Tensor,
    unseen: HeldOut,
    own: Sequence[Term],
    is_interrupted: Callable[[], bool],
) -> dict[str, float]:
    """`possible_errors` by the residuals at unseen points; empty where they are not known, or nobody wants to wait."""
    if is_interrupted():
        return {}
    try:
        with abortable(is_interrupted):
            return possible_errors(problem, engine, plan, x, unseen.or_own(own)) or {}
    except Aborted:
        return {}


def _chosen(n: int, n_coefficients: int) -> Tensor:
    """Which unknowns change, in order; the last ones are the coefficients."""
    if n <= MOST_UNKNOWNS:
        return torch.arange(n)
    n_weights = n - n_coefficients
    some = np.random.default_rng(0).permutation(n_weights)[: _CHANGED - n_coefficients]
    return torch.from_numpy(np.sort(np.concatenate([some, np.arange(n_weights, n)])))


def _changes(
    problem: Problem, engine: Backend, plan: Plan, x: Tensor, terms: Sequence[Term], chosen: Tensor
) -> Iterator[tuple[str, Tensor]]:
    """(name, G) of every field, relative to its root mean square about its start (293 K), but no less than 1/30 of its
    natural size, and of every unknown coefficient that is not zero."""
    fields, n = problem.pde.fields, x.numel()
    parts = Residuals(engine, plan, [_values(problem, terms)], [1.0]).chunks(x)
    u, g = (torch.cat(part) for part in zip(*((r, rows[:, chosen]) for r, rows in parts), strict=True))
    u, g = u.reshape(-1, len(fields)), g.reshape(-1, len(fields), chosen.numel())
    scales = natural_scales(problem)
    for i, name in enumerate(fields):
        size = float((u[:, i] - float(scales.start[i]) / math.sqrt(len(u))).norm())  # rows are divided by it
        yield name, g[:, i] / max(size, float(scales.sizes[i]) / _ORDINARY)
    free = x[n - len(problem.pde.unknown) :]
    for i, (name, value) in enumerate(problem.unknowns.values(free.tolist()).items()):
        if not value:
            continue
        step = torch.zeros_like(free)
        step[i] = _STEP * max(1.0, abs(float(free[i])))
        slope = (problem.unknowns.values((free + step).tolist())[name] - value) / float(step[i])
        change = torch.zeros(1, n).to(x)
        change[0, n - len(free) + i] = slope / value
        yield name, change[:, chosen]


def _halves(term: Term, share: float) -> tuple[Term, Term]:
    """A share of a term's points, in random order: consecutive ones of a Sobol sequence lie in different halves of a
    box. A term of few points is both halves."""
    if term.n_points <= _FEW:
        return term, term
    count = min(term.n_points, max(_FEW, math.ceil(share * term.n_points)))
    order = torch.from_numpy(np.random.default_rng(0).permutation(term.n_points)[:count]).to(term.points.device)
    first, second = (
        replace(term, points=term.points[:, index], columns=term.columns[index]) for index in (order[0::2], order[1::2])
    )
    return first, second


def _values(problem: Problem, terms: Sequence[Term]) -> Term:
    """A term whose residuals are the fields themselves, at some of the points of all others."""
    points = torch.cat([term.points[0] for term in terms]).cpu().numpy()
    chosen = points[np.random.default_rng(0).permutation(len(points))[:_FIELD_POINTS]]
    zero: dict[str, Any] = dict.fromkeys(problem.pde.fields, 0.0)
    condition = Dirichlet(chosen, outside=True, **zero)
    program = condition.traced(problem.pde).program
    columns = np.stack([*condition.columns.values()], 1)
    like = terms[0].points
    return Term("fields", program, like.new_tensor(chosen[None]), like.new_tensor(columns), 1.0)
