"""Symmetries that a structure gives every one of its networks, and that the problem breaks: they cost accuracy."""

from __future__ import annotations

from ..networks.structure import Structure
from ..problem.problem import Problem
from .problem_symmetry import BROKEN, judged_symmetries
from .symmetry_check import structure_symmetries

# Relative to the largest value; a solution loses no more than that.
_SLIGHT = 1e-5


def broken_symmetries(problem: Problem, structure: Structure) -> tuple[str, ...]:
    """One text on the symmetry of the structure that the problem breaks most plainly; () if it breaks none.

    Only what the problem proves by itself, see `problem_symmetries`; about the structure's own centre.
    """
    if structure.is_dense:
        return ()
    own = [found.symmetry for found in structure_symmetries(structure, problem.pde.coords)]
    broken = [
        row
        for row in judged_symmetries(problem, own, structure.centre)
        if row.verdict == BROKEN and row.difference > _SLIGHT
    ]
    if not broken:
        return ()
    # The shortest is the plainest: products of maps are broken along with their factors.
    row = min(broken, key=lambda row: (len(row.text), -row.difference))
    return (f"the structure has a symmetry that the problem breaks: {row.text}: {row.reason}",)
