"""PDEs and problems as notebooks show them: what `description` says as text, in a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kernels.errors import InputError
from ..markup import block, lines, table, title
from .description import coefficient_lines, condition_rows, equation_lines, header_line, start_lines

if TYPE_CHECKING:  # they import this module
    from .pde import PDE
    from .problem import Problem


def pde_html(pde: PDE) -> str:
    """Fields and coordinates, equations, coefficients."""
    try:
        equations = [*equation_lines(pde.traced())]
    except InputError as error:
        equations = [f"refused: {error}"]
    return block(title("PDE", header_line(pde)), lines(equations, "monospace"), lines(coefficient_lines(pde)))


def problem_html(problem: Problem) -> str:
    """The domain, and a row for every condition: its equations, points and weight."""
    rows = [
        (row.name, lines(row.equations, "monospace"), f"{row.points} {row.kind}", row.weight)
        for row in condition_rows(problem)
    ]
    known = ["the exact solution is known"] if problem.exact is not None else []
    return block(
        title(problem.name, f"on {problem.domain}"),
        lines([header_line(problem.pde)]),
        table(rows, ("condition", "equations", "points", "weight")),
        lines([*coefficient_lines(problem.pde), *start_lines(problem), *known]),
    )
