"""Which points a Gauss-Newton step sees: a few per unknown, drawn anew from time to time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...domains import Domain, Region
from ...kernels.contract import Term
from ...problem.conditions import BOUNDARY, DATA, EQUATION, INTEGRAL, RESIDUAL, Condition
from ...problem.problem import Problem
from .regions import other_sites, term_at

Points = npt.NDArray[np.float64]
# So many candidates for each point of a focused draw.
_CANDIDATES = 8
# Times that `refine` has an effect: points are replaced, doubled, doubled again.
MOST_REFINED = 3
# Points at which a target is tried.
_PROBES = 8
# Arrays of points that stand for themselves are thinned where they are more than this many shares of an interior.
_MOST_SHARES = 8


class Sampler:
    """Draws of about ``points`` points of a problem's terms, each repeatable from (seed, number).

    - Points that say that they stand for the inside of a domain (`Domain.grid`, `Domain.random`), with no data that are
      known at them alone, give way to scrambled Sobol points of it where they are more than their share.
    - Points of boundary terms are thinned, one at random from each of equally long runs.
    - All others, measurements and integrals above all, are taken as they are; an array of more than eight times its
      share is thinned.
    - Fewer than their share are taken as they are; if ``fills``, those that stand for a region give way to as many
      points of it as their share is.
    - `refine` replaces all points that stand for a region, those of a boundary with known targets too, and doubles
      them when called again.

    ``terms``: the problem's. ``points`` None takes their points, always the same. ``on_boundary``: which terms are
    boundary terms, see `is_boundary_term`; ``refinement``: how often points were refined.
    """

    def __init__(
        self, problem: Problem, terms: Sequence[Term], points: int | None, seed: int, fills: bool = False
    ) -> None:
        self.full = list(terms)
        self._problem, self._seed, self._is_fixed, self._fills = problem, seed, points is None, fills
        self.on_boundary = [is_boundary_term(problem, condition) for condition in problem.conditions]
        self.refinement = 0
        self._interiors = [_is_free_interior(problem, i) for i in range(len(self.full))]
        self._regions = [has_other_points(problem, i) for i in range(len(self.full))]
        budget = points or 0
        parts = sum(_part(problem, i) for i, own in enumerate(self._interiors) if own)
        self._inside = inside = max(1, budget // max(1, math.ceil(parts)))
        rows = [own.quadrature is None for own in problem.conditions]
        edges = sum(edge and own for edge, own in zip(self.on_boundary, rows, strict=True))
        self._around = around = max(1, budget // (2 * max(1, edges)))
        # More are not taken as they are.
        self._most = [
            math.inf
            if condition.kind in (DATA, INTEGRAL)
            else inside
            if interior
            else around
            if edge
            else _MOST_SHARES * inside
            for interior, edge, condition in zip(self._interiors, self.on_boundary, problem.conditions, strict=True)
        ]

    @property
    def redraws(self) -> list[bool]:
        """Of which terms two draws differ."""
        return [self._count(i) is not None for i in range(len(self.full))]

    @property
    def can_refine(self) -> list[bool]:
        """Which terms `refine` gives other points."""
        return [not self._is_fixed and (own or more) for own, more in zip(self.redraws, self._regions, strict=True)]

    @property
    def counts(self) -> list[int]:
        """How many points of each term a draw has."""
        return [term.n_points if (own := self._count(i)) is None else own for i, term in enumerate(self.full)]

    def refine(self) -> None:
        self.refinement = min(self.refinement + 1, MOST_REFINED)

    def draw(self, number: int) -> list[Term]:
        """The terms with one draw's points, in the problem's order."""
        rng = np.random.default_rng((self._seed, number))
        return [self._drawn(i, term, rng) for i, term in enumerate(self.full)]

    def _drawn(self, i: int, term: Term, rng: np.random.Generator) -> Term:
        count = self._count(i)
        if count is None:
            return term
        is_replaced = self._interiors[i] or count > term.n_points or (self.refinement > 0 and self._regions[i])
        return self._other(i, count, rng) if is_replaced else thinned(term, count, rng)

    def _count(self, i: int) -> int | None:
        """How many points to draw of a term; None: all of its own, as they are."""
        if self._is_fixed:
            return None
        share = self._inside if self._interiors[i] else self._around
        if self.refinement and self._regions[i]:
            return share << (self.refinement - 1)
        if self._fills and self._regions[i] and self.full[i].n_points < share:
            return share
        return int(self._most[i]) if self.full[i].n_points > self._most[i] else None

    def focused(self, number: int, residual: Callable[[Term], Tensor], focus: float) -> list[Term]:
        """As `draw`, with the points inside domains where the residual is large.

        Of eight candidates for each point, with weights |r|^focus / mean(|r|^focus) + 1 (RAD: Wu et al. 2023, doi
        10.1016/j.cma.2022.115671).
        """
        terms, rng = self.draw(number), np.random.default_rng((self._seed, number, 2))
        for i, candidates in self._candidates(number):
            sizes = residual(candidates).square().sum(1).pow(focus / 2).cpu().numpy()
            terms[i] = _picked(candidates, weighted_draw(sizes, terms[i].n_points, rng))
        return terms

    def _candidates(self, number: int) -> Iterator[tuple[int, Term]]:
        """(number of a term whose points are drawn inside a domain, that term at the candidates)."""
        rng = np.random.default_rng((self._seed, number, 1))
        for i, is_interior in enumerate(self._interiors):
            count = self._count(i)
            if is_interior and count is not None:
                yield i, self._other(i, _CANDIDATES * count, rng)

    def with_points(self, tensors: Mapping[str, Tensor]) -> list[Term]:
        """The terms with the saved points ``points.i``, ``columns.i`` of term i, where there are any."""
        return [
            replace(
                term,
                points=tensors[f"points.{i}"].to(term.points),
                columns=tensors[f"columns.{i}"].to(term.columns),
            )
            if f"points.{i}" in tensors
            else term
            for i, term in enumerate(self.full)
        ]

    def _other(self, i: int, count: int, rng: np.random.Generator) -> Term:
        own = self.full[i].points
        sites = other_sites(self._problem.conditions[i], count, rng)
        term = term_at(self._problem, i, sites, own.dtype, own.device)
        assert term is not None
        return term


def thinned(term: Term, count: int, rng: np.random.Generator) -> Term:
    """The term at so many of its points, one at random from each of equally long runs."""
    ends = np.linspace(0, term.n_points, count + 1)
    return _picked(term, np.floor(ends[:-1] + rng.random(count) * np.diff(ends)).astype(np.int64))


def weighted_draw(size: Points, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """``count`` different indices, with weights size / mean + 1; sizes that are not finite count as 0."""
    finite = np.where(np.isfinite(size), size, 0.0)
    mean = finite.mean()
    weights = finite / mean + 1 if mean > 0 else np.ones_like(finite)
    # The largest of log(weight) + Gumbel noise: a draw without replacement.
    return np.argsort(-(np.log(weights) + rng.gumbel(size=len(weights))))[:count]


def _picked(term: Term, indices: npt.NDArray[np.int64]) -> Term:
    index = torch.from_numpy(indices).to(term.points.device)
    return replace(term, points=term.points[:, index], columns=term.columns[index])


def is_boundary_term(problem: Problem, condition: Condition) -> bool:
    """Boundary conditions, and residuals on parts of the boundary, or at points that all lie on it; integrals.

    Where coefficients are unknown, a Dirichlet condition or an integral inside the domain may be a measurement, and is
    none.
    """
    if condition.kind == DATA or (condition.kind in (BOUNDARY, INTEGRAL) and not problem.pde.unknown):
        return condition.kind != DATA
    pairs = zip(condition.sites, condition.regions, strict=True)
    return all(_is_on_boundary(problem.domain, site, region) for site, region in pairs)


def _is_on_boundary(domain: Domain, points: Points, region: Region | None) -> bool:
    if region is not None and region.domain is domain:
        return not region.is_solid
    # Also of a region of another domain, such as a part of this one: its boundary may lie inside.
    return bool(domain.on_boundary(points).all())


def _part(problem: Problem, number: int) -> Fraction:
    """Of the PDE's equations that a term asks for: terms of one equation each share the points of one term of all."""
    asked = problem.traced[number].program.n_residuals
    return Fraction(asked, len(problem.pde.given.expressions)) if problem.conditions[number].equations else Fraction(1)


def _is_free_interior(problem: Problem, number: int) -> bool:
    """Whether points stand for the inside of a domain, where a residual holds everywhere; given values do not count."""
    condition = problem.conditions[number]
    region = condition.regions[0]
    is_solid = region is not None and region.is_solid and len(condition.sites) == 1
    return is_solid and condition.kind in (EQUATION, RESIDUAL) and has_other_points(problem, number)


def has_other_points(problem: Problem, number: int) -> bool:
    """Whether a condition is known at all points of a region, of which there are others than those given."""
    condition = problem.conditions[number]
    region = condition.regions[0]
    if region is None or region.is_point or condition.kind in (DATA, INTEGRAL):
        return False
    sites = other_sites(condition, _PROBES, np.random.default_rng(0))
    return term_at(problem, number, sites) is not None
