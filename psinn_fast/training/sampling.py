"""Which points a Gauss-Newton step sees: a few per unknown, drawn anew from time to time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..conditions import BOUNDARY, DATA, Condition
from ..domain import Region
from ..kernels.contract import Term
from ..problem import Problem

Points = npt.NDArray[np.float64]
# So many candidates for each point of a focused draw.
_CANDIDATES = 8
# A loss this many times larger between the points than at them: the network has adapted to the points.
_ADAPTED = 5.0
# Arrays of points that stand for themselves are thinned where they are more than this many shares of a box.
_MOST_SHARES = 8


class Sampler:
    """Draws of about ``points`` points of a problem's terms, each repeatable from (seed, number).

    - Points that say that they stand for a box (`Box.grid`, `Box.random`), with no data given at them, give way to
      scrambled Sobol points of that box where they are more than their share.
    - Points of boundary terms are thinned, one at random from each of equally long runs.
    - All others, measurements above all, are taken as they are; an array of more than eight times its share is thinned.

    ``terms``: the problem's. ``points`` None takes their points, always the same. ``redraws``: whether two draws
    differ; ``on_boundary``: which terms are boundary terms, see `is_boundary_term`.
    """

    def __init__(self, problem: Problem, terms: Sequence[Term], points: int | None, seed: int) -> None:
        self.full = list(terms)
        self._problem, self._seed = problem, seed
        self._boxes = [None if points is None else _box(condition) for condition in problem.conditions]
        self.on_boundary = [is_boundary_term(problem, condition) for condition in problem.conditions]
        budget = points or 0
        inside = max(1, budget // max(1, sum(box is not None for box in self._boxes)))
        around = max(1, budget // (2 * max(1, sum(self.on_boundary))))
        most = [
            inside if box else around if edge else math.inf if condition.kind == DATA else _MOST_SHARES * inside
            for box, edge, condition in zip(self._boxes, self.on_boundary, problem.conditions, strict=True)
        ]
        # How many to draw of each term; None: all of them, as they are.
        self._counts = [
            int(count) if points is not None and term.n_points > count else None
            for term, count in zip(self.full, most, strict=True)
        ]
        self.redraws = any(count is not None for count in self._counts)

    def draw(self, number: int) -> list[Term]:
        """The terms with one draw's points, in the problem's order."""
        rng = np.random.default_rng((self._seed, number))
        return [
            term if count is None else self._in_box(i, count, rng) if self._boxes[i] else _thinned(term, count, rng)
            for i, (term, count) in enumerate(zip(self.full, self._counts, strict=True))
        ]

    def has_adapted(self, number: int, losses: Sequence[float], residual: Callable[[Term], Tensor]) -> bool:
        """Whether some term's mean square is more than 5 times its loss between the points that gave the loss.

        Args:
            number: of the draw whose candidates are looked at.
            losses: mean square of every term at the points last drawn.
            residual: (N, m) of a term with other points.
        """
        return any(
            float(residual(candidates).square().sum(1).mean()) > _ADAPTED * losses[i]  # false for NaN
            for i, candidates in self._candidates(number)
        )

    def focused(self, number: int, residual: Callable[[Term], Tensor], focus: float) -> list[Term]:
        """As `draw`, with the points inside boxes where the residual is large.

        Of eight candidates for each point, with weights |r|^focus / mean(|r|^focus) + 1 (RAD: Wu et al. 2023, doi
        10.1016/j.cma.2022.115671).
        """
        terms, rng = self.draw(number), np.random.default_rng((self._seed, number, 2))
        for i, candidates in self._candidates(number):
            sizes = residual(candidates).square().sum(1).pow(focus / 2).cpu().numpy()
            terms[i] = _picked(candidates, _weighted(sizes, terms[i].n_points, rng))
        return terms

    def _candidates(self, number: int) -> Iterator[tuple[int, Term]]:
        """(number of a term whose points are drawn from a box, that term at the candidates)."""
        rng = np.random.default_rng((self._seed, number, 1))
        for i, (count, box) in enumerate(zip(self._counts, self._boxes, strict=True)):
            if count is not None and box is not None:
                yield i, self._in_box(i, _CANDIDATES * count, rng)

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

    def _in_box(self, i: int, count: int, rng: np.random.Generator) -> Term:
        box = self._boxes[i]
        assert box is not None
        points = box.spread(sobol_points(box.low.shape[1], count, rng))
        columns = self._problem.traced[i].columns((points,))
        term = self.full[i]
        return replace(
            term,
            points=torch.from_numpy(points[None]).to(term.points),
            columns=torch.from_numpy(columns).to(term.columns),
        )


def _thinned(term: Term, count: int, rng: np.random.Generator) -> Term:
    ends = np.linspace(0, term.n_points, count + 1)
    return _picked(term, np.floor(ends[:-1] + rng.random(count) * np.diff(ends)).astype(np.int64))


def _weighted(size: Points, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
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
    """Boundary conditions, and residuals at points that all lie on the faces of the domain.

    Where coefficients are unknown, a Dirichlet condition inside the domain may be a measurement, and is none.
    """
    if condition.kind == DATA or (condition.kind == BOUNDARY and not problem.pde.unknown):
        return condition.kind == BOUNDARY
    low, high = problem.domain.low, problem.domain.high
    slack = 1e-9 * (high - low)
    return all(bool(((x - low < slack) | (high - x < slack)).any(1).all()) for x in condition.sites)


def sobol_points(d: int, count: int, rng: np.random.Generator) -> Points:
    """Scrambled Sobol points (count, d) of [0, 1]^d."""
    sobol = torch.quasirandom.SobolEngine(d, scramble=True, seed=int(rng.integers(2**31)))  # type: ignore[no-untyped-call]
    return np.asarray(sobol.draw(count, dtype=torch.float64).numpy())


def _box(condition: Condition) -> Region | None:
    """The box whose points may be taken in place of a condition's."""
    region = condition.regions[0]
    is_free = region is not None and region.is_solid and not condition.columns and len(condition.sites) == 1
    return region if is_free else None
