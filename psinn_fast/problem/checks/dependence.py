"""Residuals that nothing trained can change: they are met, or missed, whatever the network does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from ...kernels.errors import InputError
from ...kernels.language.torch_program import slopes

if TYPE_CHECKING:
    from ..problem import Problem

# Points that are tried first; draws of all derivatives of the fields at each, over so many orders of magnitude: a
# constraint such as Max(u - 100, 0) changes with large fields alone.
_POINTS, _DRAWS, _ORDERS = 64, 12, (-3.0, 9.0)


def check_dependence(problem: Problem) -> None:
    """Every residual of a term that counts changes with a field or an unknown coefficient, at some point at least.

    Raises:
        InputError: names the term and the residual, e.g. x u at points on the line x = 0.
    """
    for number, (condition, traced) in enumerate(zip(problem.conditions, problem.traced, strict=True)):
        if not condition.weight:
            continue
        n = len(condition.sites[0])
        some = np.unique(np.linspace(0, n - 1, _POINTS).round().astype(np.int64))
        constant = _constant(problem, number, some)
        if constant.any() and n > len(some):
            constant = _constant(problem, number, np.arange(n))
        if constant.any():
            raise InputError(
                f"term {condition.name!r}: the residual {traced.texts()[int(constant.argmax())]} changes with no field "
                f"and no unknown coefficient at any of its {n} points, so it trains nothing; is a factor 0 at all of "
                "them, or does everything cancel?"
            )


def _constant(problem: Problem, number: int, picked: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Of each residual, whether its slopes are exactly 0 at these points in all draws."""
    condition = problem.conditions[number]
    index = np.tile(picked, _DRAWS)
    given = {name: column[index] for name, column in condition.columns.items()}
    term = problem.term_at(number, [points[index] for points in condition.sites], given, torch.float64)
    program, n = term.program, len(index)
    generator = torch.Generator().manual_seed(0)
    sizes = torch.logspace(*_ORDERS, _DRAWS, dtype=torch.float64).repeat_interleave(len(picked))
    shape = program.n_sites, len(program.channels), n, len(problem.pde.fields)
    jets = sizes[:, None] * torch.randn(shape, dtype=torch.float64, generator=generator)
    coefficients = torch.randn(len(problem.pde.unknown), dtype=torch.float64, generator=generator)
    constant = np.ones(program.n_residuals, dtype=bool)
    for residual in range(program.n_residuals):
        found = slopes(program, residual, jets, term.points, term.columns, coefficients)
        # NaN and infinity are not 0 either.
        constant[residual] = not any(bool((torch.as_tensor(slope) != 0).any()) for slope in found)
    return constant
