"""Conditions at later times that say other than the initial state where both begin, as walls do in a corner."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import sympy as sp

from ..problem.problem import Problem
from ..training.doubts import ALLOWED
from ..training.points.windows import SAME, is_initial, times_of
from .given import Given, values_of
from .initial import Part, given_by


def corner_jumps(problem: Problem, state: Mapping[Part, Given]) -> tuple[str, ...]:
    """Of each condition the largest jump of a field from its initial state, where the condition's points are at the
    first time. A window starts exactly with the one and is to end with the other, which no smooth function does."""
    axis, low, high = times_of(problem)
    symbols, found = problem.pde.coordinate_symbols(), list[str]()
    for number, condition in enumerate(problem.conditions):
        if not condition.weight or len(condition.sites) > 1 or is_initial(condition, axis, low, high):
            continue
        points = condition.sites[0]
        begins = points[:, axis] - low <= SAME * (high - low)
        if not begins.any():
            continue
        columns = {name: column[begins] for name, column in condition.columns.items()}
        for part, given in given_by(problem, number, axis, low).items():
            initial = state.get(part)
            if initial is None or initial.value is None:
                continue
            theirs = values_of(given, problem, points[begins], columns)
            start = sp.lambdify(symbols, initial.value, "numpy")
            own = np.broadcast_to(start(*points[begins].T), theirs.shape)
            everywhere = np.asarray(start(*problem.domain.random(len(points), 0).T), dtype=np.float64)
            size = max(np.abs(everywhere).max(), np.abs(theirs).max())
            worst = int(np.argmax(np.abs(theirs - own)))
            if np.abs(theirs - own)[worst] <= ALLOWED * size:
                continue
            place = zip(problem.pde.coords, points[begins][worst], strict=True)
            what = part.field + f"_{problem.pde.time}" * part.order
            found.append(
                f"{what} jumps at {', '.join(f'{name} = {value:.6g}' for name, value in place)}: it is "
                f"{own[worst]:.4g} by {problem.term_names[initial.condition]!r} and {theirs[worst]:.4g} by "
                f"{condition.name!r}, and no window is both (let one go over into the other, e.g. within a short time, "
                "or begin the condition later)"
            )
    return tuple(found)
