"""Other points for Adam, once a network has adapted to those that it was given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ...kernels.contract import Term
from ...problem.problem import Problem
from .regions import other_sites, term_at
from .sampling import has_other_points

# Steps between two draws.
EVERY = 100
# The draws are not those of points held out.
_SEED = 77


class Redraw:
    """``terms``: those given, until `draw` gives each of them that stands for a region as many other points of it.

    Measurements, arrays, and terms whose targets are not known elsewhere keep their points.
    """

    def __init__(self, problem: Problem, given: Sequence[Term]) -> None:
        self.terms, self._problem = list(given), problem
        self._drawn: set[int] = set()
        self._can = [has_other_points(problem, i) for i in range(len(given))]

    @property
    def is_possible(self) -> bool:
        return any(self._can)

    def draw(self, number: int) -> None:
        """The draw of this number, the same each time."""
        for i, own in enumerate(self.terms):
            if not self._can[i]:
                continue
            rng = np.random.default_rng((_SEED, number, i))
            sites = other_sites(self._problem.conditions[i], own.n_points, rng)
            term = term_at(self._problem, i, sites, own.points.dtype, own.points.device)
            # A source may have poles where no point was given.
            if term is None or not bool(torch.isfinite(term.columns).all()):
                continue
            if i in self._drawn:  # in place: a GPU's graphs stay what they are
                own.points.copy_(term.points)
                own.columns.copy_(term.columns)
            else:
                self.terms[i] = term
                self._drawn.add(i)
