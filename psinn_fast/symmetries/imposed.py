"""Symmetries that a structure gives every one of its networks, and that the problem breaks: they cost accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from ..kernels.language.activations import TANH, activation_of
from ..networks.groups import Symmetry
from ..networks.structure import Structure
from ..problem.problem import Problem
from .problem_symmetry import BROKEN, ProblemSymmetry, judged_symmetries
from .symmetry_check import field_symmetries, structure_symmetries

# Relative to the largest value; a solution loses no more than that.
_SLIGHT = 1e-5


def broken_symmetries(problem: Problem, structure: Structure) -> tuple[str, ...]:
    """One text on the symmetry of the structure that the problem breaks most plainly; () if it breaks none.

    Only what the problem proves by itself, see `problem_symmetries`; about the structure's own centre, with an
    embedding or an ansatz about the domain's. A field may have a symmetry of its own (`direct_sum`): it counts as
    broken where the problem has it with no signs of the others.
    """
    if structure.is_dense and not structure.has_ends:
        return ()
    domain = problem.domain
    own = [found.symmetry for found in structure_symmetries(structure, problem.pde.coords, domain=domain)]
    broken = [row for row in judged_symmetries(problem, own, _centre(problem, structure)) if _is_broken(row)]
    if broken:
        row = _plainest(broken)
        return (f"the structure has a symmetry that the problem breaks: {row.text}: {row.reason}",)
    return _broken_of_fields(problem, structure, own)


def lost_symmetries(problem: Problem, structure: Structure) -> tuple[str, ...]:
    """A note on what the ties would give each field with an odd activation, and do not with the structure's own."""
    if structure.is_dense or activation_of(structure.activation).is_odd:
        return ()
    coords, fields, domain = problem.pde.coords, problem.pde.fields, problem.domain
    both = structure, structure.with_activation(TANH.name)
    own, odd = (field_symmetries(one, coords, fields, domain=domain) for one in both)
    texts = []
    for field in fields:
        kept = {match.symmetry for match in own[field]}
        if lost := [match for match in odd[field] if match.symmetry not in kept]:
            match = min(lost, key=lambda each: len(each.text))
            texts.append(f"{field} {'even' if match.symmetry.character[0] > 0 else 'odd'} under {match.text}")
    if not texts:
        return ()
    return (f"its ties need an odd activation, with {structure.activation} they do not make {' and '.join(texts)}",)


def _broken_of_fields(problem: Problem, structure: Structure, joint: Sequence[Symmetry]) -> tuple[str, ...]:
    fields, shared = problem.pde.fields, {symmetry.map for symmetry in joint}
    of_fields = field_symmetries(structure, problem.pde.coords, fields, domain=problem.domain)
    for number, (field, found) in enumerate(of_fields.items()):
        own = [match.symmetry for match in found if match.symmetry.map not in shared]
        # Of each map the rows of all signs that the other fields may have.
        judged = [
            judged_symmetries(
                problem,
                [Symmetry(of.map, signs) for signs in product((1, -1), repeat=len(fields)) if signs[number] == sign],
                _centre(problem, structure),
            )
            for of in own
            for sign in of.character
        ]
        broken = [_plainest(rows) for rows in judged if all(map(_is_broken, rows))]
        if broken:
            row = _plainest(broken)
            parity = "even" if row.symmetry.character[number] > 0 else "odd"
            return (
                f"the structure makes {field} {parity} under {row.text}, and the problem has this symmetry with no "
                f"signs of its other fields: {row.reason}",
            )
    return ()


def _centre(problem: Problem, structure: Structure) -> Sequence[float]:
    """Of the maps under which a structure's networks have symmetries."""
    return tuple(problem.domain.centre.tolist()) if structure.has_ends else structure.centre


def _is_broken(row: ProblemSymmetry) -> bool:
    return row.verdict == BROKEN and row.difference > _SLIGHT


def _plainest(broken: Sequence[ProblemSymmetry]) -> ProblemSymmetry:
    """The shortest: products of maps are broken along with their factors."""
    return min(broken, key=lambda row: (len(row.text), -row.difference))
