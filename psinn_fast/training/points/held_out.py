"""The residuals at points that training does not see: what a small loss is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...domains import Region
from ...kernels.contract import Backend, Term
from ...kernels.network.plan import Plan
from ...problem.conditions import DATA, EQUATION, INSIDE, Condition
from ...problem.problem import Problem
from ..residuals import Residuals
from .between import neighbours
from .regions import other_sites, term_at

Points = npt.NDArray[np.float64]
# Points inside, while training goes on and at its end; terms elsewhere have a part of them. On a line there are more:
# what a network hides there is a point and not a curve, which is harder to hit.
WATCHED, REPORTED = 2_048, 16_384
_PART, _ON_A_LINE = 8, 4
# An integral is compared with one by this many times as many points.
_FINER = 2
# Of the random numbers, so that no draw for training is among them.
_SEED = 20_231
# Two sites of a condition correspond to each other, and so do their distances, to this part.
_SAME = 1e-9


class HeldOut:
    """A problem's terms at unseen points, ``terms``; None for those that are known at the given points only.

    - Points that stand for a region (`PointSet`): scrambled Sobol points of that region.
    - Arrays: points between neighbours (`neighbours`); for other terms than the PDE itself only where three of them
      lie on a straight line, since a boundary condition does not hold beside a curved boundary.
    - Integrals over a region: by other points of it, more than twice as many, so that what their sum is off shows.
    - None: measurements, targets given as one number per point, arrays without neighbours, other integrals.
    """

    def __init__(
        self, problem: Problem, points: int, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
    ) -> None:
        self._problem = problem
        self.terms = [_unseen(problem, i, points, dtype, device) for i in range(len(problem.conditions))]

    def losses(self, residual: Callable[[Term], Tensor]) -> list[float | None]:
        """Mean squares of all terms; ``residual``: (N, m) of a term."""
        return [None if term is None else float(residual(term).double().square().sum(1).mean()) for term in self.terms]

    def or_own(self, terms: Sequence[Term]) -> list[Term]:
        """The terms at unseen points, or training's own ``terms`` where there are no others."""
        return [own if term is None else term for term, own in zip(self.terms, terms, strict=True)]

    def total(self, losses: Sequence[float | None], own: Sequence[float]) -> float:
        """The weighted loss, with the losses at training's ``own`` points for terms that have no others."""
        pairs = zip(losses, own, strict=True)
        return self._problem.total_loss([mine if loss is None else loss for loss, mine in pairs])


def residual_of(engine: Backend, plan: Plan, theta: Tensor, coefficients: Tensor) -> Callable[[Term], Tensor]:
    """(N, m) of a term at these weights."""
    residuals = Residuals(engine, plan, [], [])
    return partial(residuals.of_term, x=torch.cat([theta, coefficients]))


def _unseen(problem: Problem, number: int, points: int, dtype: torch.dtype, device: torch.device | str) -> Term | None:
    condition = problem.conditions[number]
    if condition.kind == DATA:
        return None
    region = condition.regions[0]
    if condition.quadrature is not None:
        return None if region is None else _summed(problem, number, region, points // _PART, dtype, device)
    rng = np.random.default_rng((_SEED, number))
    is_inside = condition.kind in (EQUATION, INSIDE) if region is None else region.is_solid
    points *= _ON_A_LINE if condition.sites[0].shape[1] == 1 else 1
    count = points if is_inside else max(1, points // _PART)
    sites = other_sites(condition, count, rng) or _sites_between(problem, condition, count, rng)
    term = term_at(problem, number, sites, dtype, device)
    if term is None:
        return None
    finite = torch.isfinite(term.columns).all(1)  # a source may have poles where no point was given
    return replace(term, points=term.points[:, finite], columns=term.columns[finite]) if bool(finite.any()) else None


def _summed(
    problem: Problem, number: int, region: Region, points: int, dtype: torch.dtype, device: torch.device | str
) -> Term | None:
    """An integral by about ``points`` points of its region, but more than twice its own, which weigh as much."""
    own = problem.conditions[number].quadrature
    assert own is not None
    others = region.spread(max(points, _FINER * len(own) + 1))
    term = term_at(problem, number, (others,), dtype, device)
    if term is None or not bool(torch.isfinite(term.columns).all()):
        return None
    weights = others.weights
    assert weights is not None
    return replace(term, quadrature=torch.tensor(weights * (own.sum() / weights.sum()), dtype=dtype, device=device))


def _sites_between(
    problem: Problem, condition: Condition, count: int, rng: np.random.Generator
) -> tuple[Points, ...] | None:
    i, j = neighbours(condition.sites[0], rng, straight=condition.kind not in (EQUATION, INSIDE))
    lengths = [np.linalg.norm(site[j] - site[i], axis=1) for site in condition.sites]
    alike = np.flatnonzero(np.logical_and.reduce([np.isclose(own, lengths[0], rtol=_SAME) for own in lengths]))
    if not len(alike):
        return None
    chosen = np.resize(rng.permutation(alike), count)
    part = rng.random((count, 1))
    sites = tuple(site[i[chosen]] + part * (site[j[chosen]] - site[i[chosen]]) for site in condition.sites)
    if condition.outside or problem.domain.is_box:
        return sites
    # Between two points of a domain that is not convex there may be none of it.
    inside = ~np.logical_or.reduce([problem.domain.outside(site) for site in sites])
    return tuple(site[inside] for site in sites) if inside.any() else None
