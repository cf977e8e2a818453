"""About how long a reproduction still takes, from what its runs took that are finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

from ..networks.structure import Structure
from ..problem.problem import Problem
from ..results import RESULT_SCHEMA
from ..training.optimisers.adam import Adam
from .files import RESULT, is_finished, read_json
from .plan import PINN, POST, Run, Wanted

# Seconds for each step, point and expanded weight, before anything was measured.
_FIRST_GUESS = 2e-10


class TimeLeft:
    """Steps by Adam cost what finished runs of the same network, or of any, have shown; others take their limit."""

    def __init__(self, wanted: Wanted, problems: Mapping[str, Problem], folder: Path, runs: Sequence[Run]) -> None:
        self._wanted, self._problems, self._folder, self._runs = wanted, problems, folder, runs

    def of(self, runs: Sequence[Run]) -> float:
        """Seconds."""
        rates = dict[tuple[str, str], list[float]]()
        for run in self._runs:
            work = self._work(run)
            if work and is_finished(self._folder / run.place):
                took = float(read_json(self._folder / run.place / RESULT, RESULT_SCHEMA).get("seconds") or 0.0)
                rates.setdefault((run.case.key, run.label), []).append(took / work)
        usual = median(rate for own in rates.values() for rate in own) if rates else _FIRST_GUESS
        total = 0.0
        for run in runs:
            if work := self._work(run):
                total += work * (median(own) if (own := rates.get((run.case.key, run.label))) else usual)
            else:
                total += run.seconds(self._wanted) or 0.0
        return total

    def _work(self, run: Run) -> float:
        """Of Adam: steps x points x weights of the expanded network; 0 for what is limited by time."""
        problem = self._problems[run.case.key]
        optimizer = run.optimizer(self._wanted, problem)
        if not isinstance(optimizer, Adam) or optimizer.steps is None:
            return 0.0
        recipe = problem.recipe
        dense = Structure.dense(problem.default_layers)
        tied = None if run.label in (PINN, POST) else recipe.structure
        sizes = (dense if tied is None else tied.with_width(recipe.width or 1)).layer_sizes
        copies = 2 if run.label == POST else 1
        weights = copies * sum(n_in * n_out for n_in, n_out in pairwise(sizes))
        points = sum(len(condition.sites[0]) for condition in problem.conditions)
        return float(optimizer.steps * points * weights)


def duration(seconds: float) -> str:
    """E.g. ``40 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
