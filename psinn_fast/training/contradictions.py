"""How far fields would go if one of the conditions were given up: what contradictory conditions hide.

Where conditions agree, their least-squares solution hardly depends on their weights. Where they do not, such as a flux
through the outlet that is not the inlet's, it lies between them, and every residual is small: the contradiction is
spread over the equation's many points. So each condition t in turn gets a small part alpha of its weight, and

    v_t = argmin over v of sum over terms s of w_s alpha_s |r_s + J_s v|^2,   alpha_t = alpha, else alpha_s = 1

differs from v with all weights by what the fields would change. Equations are not given up, nor are measurements, whose
noise is no contradiction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..problem.conditions import DATA, EQUATION, Condition
from .doubts import ALLOWED

# Of a condition's weight, when it is given up, and of the largest diagonal element, which is rounding.
_GIVEN_UP, _ROUNDING = 1e-4, 1e-12


def without_each(
    conditions: Sequence[Condition], jacobians: Sequence[Tensor], residuals: Sequence[Tensor]
) -> dict[str, Tensor]:
    """By name of each condition that may be given up and has a weight: v_t - v (n,).

    Args:
        conditions: one a term.
        jacobians, residuals: of each term, (rows, n) and (rows,), unweighted, scaled by one over the root of its rows.
    """
    terms = [own for own in zip(conditions, jacobians, residuals, strict=True) if own[0].weight]
    grams = [condition.weight * rows.T @ rows for condition, rows, _ in terms]
    slopes = [condition.weight * rows.T @ r for condition, rows, r in terms]
    whole, slope = torch.stack(grams).sum(0), torch.stack(slopes).sum(0)
    floor = _ROUNDING * whole.diagonal().max() * torch.eye(len(whole)).to(whole)
    start = _minimum(whole + floor, slope)
    kept = 1 - _GIVEN_UP
    return {
        condition.name: _minimum(whole + floor - kept * gram, slope - kept * own) - start
        for (condition, _, _), gram, own in zip(terms, grams, slopes, strict=True)
        if condition.kind not in (EQUATION, DATA)
    }


def contested(hidden: Mapping[str, float], moved: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Conditions that others contradict, and by how much the most changed field would change without each.

    Args:
        hidden: by field, the error that residuals allow while all conditions hold: less is no contradiction.
        moved: by condition and field, its change without the condition.
    """
    found = {
        condition: max((change for name, change in changes.items() if change > max(ALLOWED, hidden[name])), default=0.0)
        for condition, changes in moved.items()
    }
    return {condition: change for condition, change in found.items() if change}


def _minimum(gram: Tensor, slope: Tensor) -> Tensor:
    factor, info = torch.linalg.cholesky_ex(gram)
    return torch.zeros_like(slope) if info else -torch.cholesky_solve(slope[:, None], factor)[:, 0]
