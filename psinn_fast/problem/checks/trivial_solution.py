"""Whether fields that are zero everywhere solve a problem: eigenvalue problems, cavities, clamped states at rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ...kernels.language.torch_program import torch_program

if TYPE_CHECKING:  # it is described, not made, here
    from ..problem import Problem


# Of a residual of order 1 (`in_natural_units`): rounding errors, as of sin(pi x) at x = 1.
_ROUNDING = 1e-12


def trivial_solution(problem: Problem) -> tuple[str, ...]:
    """One text if u = 0 solves every term, whatever unknown coefficients are; () otherwise.

    Training then finds it, and its residuals are as small as one likes. A multiple of a solution may be one, too.

    Args:
        problem: whose residuals are of order 1 for fields of natural size (`as_trained`).
    """
    coefficients = torch.randn(
        len(problem.pde.unknown), dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    for number, (condition, traced) in enumerate(zip(problem.conditions, problem.traced, strict=True)):
        if not condition.weight:
            continue
        term = problem.term_at(number, condition.sites, condition.columns, torch.float64)
        program, n_fields = traced.program, len(problem.pde.fields)
        zero = term.points.new_zeros(program.n_sites, len(program.channels), term.n_points, n_fields)
        residuals = torch_program(program).residuals(zero, term.points, term.columns, coefficients)
        if condition.quadrature is not None:
            weights = torch.tensor(condition.quadrature)
            residuals = tuple((torch.as_tensor(residual) * weights).sum() for residual in residuals)
        if any(not bool((torch.as_tensor(residual).abs() < _ROUNDING).all()) for residual in residuals):
            return ()
    fields = " = ".join(problem.pde.fields)
    return (f"{fields} = 0 solves all of it: if another solution is meant, a condition has to exclude that one",)
