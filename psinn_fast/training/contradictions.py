"""How far fields would go without some of the conditions: what contradictory conditions hide.

Where conditions agree, their least-squares solution hardly depends on their weights. Where they do not, such as a flux
through the outlet that is not the inlet's, it lies between them, and every residual is small: the contradiction is
spread over the equation's many points. So each condition in turn, and all that is given on each part of the boundary,
gets a small weight alpha, and

    v_t = argmin over v of sum over rows s of w_s |r_s + J_s v|^2,   w_s = alpha of what is given up

differs from v with all weights by what the fields would change. That means something where the other conditions
determine the fields: if it is more than their residuals allow,

    max over v of |G v|   where   sum over terms s of |J_s v|^2 / loss_s <= 1, less alpha's part of what is given up,

and if the others then hold: less than 0.6 of their squares is left (of two equal contradictions, half). Where training
has not come to its end, most is, whatever is given up.

Equations are not given up, nor are measurements, whose noise is no contradiction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ..kernels.contract import Term
from ..problem.conditions import DATA, EQUATION
from ..problem.problem import Problem
from .doubts import ALLOWED

# Of the smallest weight, what is given up has; of the largest diagonal element, what is rounding.
_GIVEN_UP, _ROUNDING = 1e-4, 1e-12
# Of the largest loss, what any is taken for at least: of terms that hold exactly rounding would hide all others.
_TIGHT, _SMALLEST = 1e-8, 1e-28
# Of the others' squares, so much may be left without a condition that contradicts them.
_LEFT = 0.6
# Of the power method: less than a factor of two from the largest is near enough.
_ITERATIONS = 12
# Parts of more are not given up one by one; points by which a part is known, along each axis.
_MOST_PARTS, _PER_PART = 12, {1: 1, 2: 100, 3: 15, 4: 5, 5: 4, 6: 3, 7: 2, 8: 2}

# A term's number, and the part of the boundary on which its rows are, if it may be given up.
Block = tuple[int, str]
Parts = npt.NDArray[np.object_]


class Without:
    """What fields do without some of the conditions.

    Args:
        problem: the conditions and their weights.
        terms: one a condition.
        jacobians, residuals: of each term, (rows, n) and (rows,), unweighted, scaled by one over the root of its rows.
        losses: of each term.
    """

    def __init__(
        self,
        problem: Problem,
        terms: Sequence[Term],
        jacobians: Sequence[Tensor],
        residuals: Sequence[Tensor],
        losses: Sequence[float],
    ) -> None:
        weights = [condition.weight for condition in problem.conditions]
        counted = [loss for loss, weight in zip(losses, weights, strict=True) if weight]
        least = max(_TIGHT * max(counted, default=0.0), _SMALLEST)
        self._weights, self._grams, self._slopes = dict[Block, float](), dict[Block, Tensor](), dict[Block, Tensor]()
        self._allowed, self._squares = dict[Block, float](), dict[Block, float]()
        for i, (term, rows, r) in enumerate(zip(terms, jacobians, residuals, strict=True)):
            if not weights[i]:
                continue
            parts = _parts(problem, i, term)
            for part in np.unique(parts):
                own = torch.from_numpy(np.repeat(parts == part, len(r) // len(parts))).to(r.device)
                self._weights[i, part], self._allowed[i, part] = weights[i], 1 / max(losses[i], least)
                self._grams[i, part], self._slopes[i, part] = rows[own].T @ rows[own], rows[own].T @ r[own]
                if problem.conditions[i].kind != DATA:
                    self._squares[i, part] = float(r[own] @ r[own])
        self._groups = _groups(problem, self._grams)
        self._changes = dict[frozenset[Block], Tensor]()
        if self._groups:
            start = self._minimum(frozenset())
            found = {given_up: self._minimum(given_up) for given_up in self._groups}
            self._changes = {
                given_up: v - start
                for given_up, v in found.items()
                if self._left(given_up, v) < _LEFT * self._left(given_up, start)
            }

    def moves(self, g: Tensor, hidden: float) -> Iterator[tuple[str, float]]:
        """By what is given up, how far a field goes, where that is more than its residuals allow with and without it.

        Args:
            g: the field's change by the unknowns, (points, n), scaled such that |g v| is what counts.
            hidden: what residuals allow while all conditions hold.
        """
        for given_up, change in self._changes.items():
            move = float((g @ change).norm())
            if move > hidden and move > self._free(given_up, g):
                yield self._groups[given_up], move

    def _free(self, given_up: frozenset[Block], g: Tensor) -> float:
        """The largest |g v| that the residuals of the others allow, by the power method."""
        factor = self._factor(self._allowed, given_up)
        if factor is None:
            return float("inf")
        v = g.T @ g.new_ones(len(g))
        size = 0.0
        for _ in range(_ITERATIONS):
            w = torch.cholesky_solve((g.T @ (g @ v))[:, None], factor)[:, 0]
            size = float((g @ w).norm() / (g @ v).norm().clamp_min(_SMALLEST))
            v = w / w.norm().clamp_min(_SMALLEST)
        return float(size**0.5)

    def _left(self, given_up: frozenset[Block], v: Tensor) -> float:
        """Of the squares of what is neither given up nor measured."""
        return sum(
            self._weights[block] * (square + float(v @ (2 * self._slopes[block] + self._grams[block] @ v)))
            for block, square in self._squares.items()
            if block not in given_up
        )

    def _minimum(self, given_up: frozenset[Block]) -> Tensor:
        weights, factor = _lowered(self._weights, given_up), self._factor(self._weights, given_up)
        slope = torch.stack([weight * self._slopes[block] for block, weight in weights.items()]).sum(0)
        return torch.zeros_like(slope) if factor is None else -torch.cholesky_solve(slope[:, None], factor)[:, 0]

    def _factor(self, weights: Mapping[Block, float], given_up: frozenset[Block]) -> Tensor | None:
        """Of the weighted sum of J_s^T J_s; None where it has none."""
        total = torch.zeros_like(next(iter(self._grams.values())))
        for block, weight in _lowered(weights, given_up).items():
            total += weight * self._grams[block]
        total.diagonal().add_(_ROUNDING * total.diagonal().max())
        factor, info = torch.linalg.cholesky_ex(total)
        return None if info else factor


def _lowered(weights: Mapping[Block, float], given_up: frozenset[Block]) -> dict[Block, float]:
    alpha = _GIVEN_UP * min(weights.values())
    return {block: alpha if block in given_up else weight for block, weight in weights.items()}


def _parts(problem: Problem, number: int, term: Term) -> Parts:
    """Of each row, the part of the boundary whose condition it is; "" if it has none, or may not be given up."""
    condition, domain = problem.conditions[number], problem.domain
    none = np.full(term.n_rows, "", dtype=object)
    is_one_by_one = 1 < len(domain.parts) <= _MOST_PARTS and len(term.points) == 1
    if not is_one_by_one or condition.kind in (EQUATION, DATA):
        return none
    points = term.points[0].cpu().numpy()
    known = domain.unseen_parts(_PER_PART[points.shape[1]])
    names = np.repeat(np.array([*known], dtype=object), [len(own) for own in known.values()])
    nearest: Parts = names[cKDTree(np.concatenate([*known.values()])).query(points)[1]]
    nearest[~domain.on_boundary(points)] = ""
    if term.quadrature is None:
        return nearest
    return np.full(1, nearest[0] if (nearest == nearest[0]).all() else "", dtype=object)


def _groups(problem: Problem, blocks: Mapping[Block, Tensor]) -> dict[frozenset[Block], str]:
    """What may be given up, and what to call it."""
    found: dict[frozenset[Block], str] = {}
    free = {i for i, condition in enumerate(problem.conditions) if condition.kind not in (EQUATION, DATA)}
    for i in sorted(free):
        if own := frozenset(block for block in blocks if block[0] == i):
            found[own] = repr(problem.conditions[i].name)
    for part in problem.domain.parts:
        if own := frozenset(block for block in blocks if block[1] == part and block[0] in free):
            found.setdefault(own, f"all that is given on {part!r}")
    return found


def contested(moved: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """What others contradict, and by how much the most changed field would change without it.

    ``moved``: by field and by what is given up, see `Without.moves`.
    """
    found: dict[str, float] = {}
    for moves in moved.values():
        for condition, move in moves.items():
            if move > max(ALLOWED, found.get(condition, 0.0)):
                found[condition] = move
    return found
