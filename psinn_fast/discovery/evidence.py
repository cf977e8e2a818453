"""What speaks for and against each symmetry, and the group that the evidence supports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..kernels.errors import InputError
from ..markup import badge, block, table
from ..networks.groups import Symmetry, close_group
from ..symmetries import problem_symmetry
from ..symmetries.problem_symmetry import ProblemSymmetry
from . import teachers
from .teachers import Asymmetry

HEADER = ("map", "sign", "problem", "teachers: effect", "noise", "students", "", "why")


@dataclass(frozen=True, repr=False)
class Evidence:
    """One map about the domain's centre with the signs that fit best. None: that test was not made.

    Attributes:
        symmetry, text: the map and chi; the map in words.
        problem: "holds", "broken" or "undecided", and ``problem_reason``, see `ProblemSymmetry`.
        effect, noise, teacher: see `Asymmetry`.
        agreeing, students: on how many distilled students, of those on which it was tried, it holds.
        accepted: whether it is in the group; ``reason`` says why, or why not.
    """

    symmetry: Symmetry
    text: str
    problem: str | None = None
    problem_reason: str = ""
    effect: float | None = None
    noise: float | None = None
    teacher: str | None = None
    agreeing: int | None = None
    students: int | None = None
    accepted: bool = False
    reason: str = ""

    def __repr__(self) -> str:
        return f"{self.text} ({self.symmetry.parity}): {self.verdict}{self.reason and ', since ' + self.reason}"

    def _repr_html_(self) -> str:
        """For notebooks."""
        return block(badge(repr(self), is_good=self.accepted))

    @property
    def verdict(self) -> str:
        return "accepted" if self.accepted else "rejected"

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        plain = {name: value for name, value in vars(self).items() if name not in ("symmetry", "text")}
        return {"map": self.text, "character": list(self.symmetry.character), **plain}


class EvidenceTable(tuple[Evidence, ...]):
    """Rows of evidence, which print as `evidence_table`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return evidence_table(self) if self else "no map was tested"

    def _repr_html_(self) -> str:
        """For notebooks."""
        return block(table(cells_of(self), HEADER) if self else str(self))


def weigh(
    text: str,
    problem: Sequence[ProblemSymmetry] | None,
    teacher: Asymmetry | None,
    students: Sequence[Sequence[Symmetry]] | None,
) -> Evidence:
    """The evidence for one map and the verdict on it by itself.

    The signs are those for which the problem holds; else the teachers'; else those that the problem, or most students,
    leave. A problem that breaks a symmetry, or teachers that agree on breaking it, settle it. Else either of them must
    support it: the problem by holding, or, where that is undecided or was not asked, the teachers. Students, which
    imitate a teacher, decide only where neither was asked, by majority.

    Args:
        text: the map in words.
        problem: one result per character of the same map.
        teacher: of the same map.
        students: the symmetries of the same map that each student shows.
    """
    votes = [symmetry for own in students or () for symmetry in own]
    symmetry = _signs(problem, teacher, votes)
    row = Evidence(symmetry, text)
    if problem is not None:
        (own,) = [result for result in problem if result.symmetry == symmetry]
        row = replace(row, problem=own.verdict, problem_reason=own.reason)
        if own.verdict == problem_symmetry.HOLDS and sum(r.verdict == problem_symmetry.HOLDS for r in problem) > 1:
            row = replace(row, problem=problem_symmetry.UNDECIDED, problem_reason="it holds with more than one sign")
    if teacher is not None:
        same = teacher.symmetry == symmetry
        row = replace(row, effect=teacher.effect, noise=teacher.noise, teacher=teacher.verdict)
        if not same:
            # The teachers show the other sign; what they say of this one is that it does not fit.
            row = replace(row, effect=None, teacher=teachers.BROKEN if teacher.verdict == teachers.SUPPORTED else None)
    if students is not None:
        row = replace(row, agreeing=sum(symmetry in own for own in students), students=len(students))
    accepted, reason = _verdict(row)
    return replace(row, accepted=accepted, reason=reason)


def accepted_group(rows: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """The rows with those marked as not accepted that do not form a group with the rest.

    Starting from the best supported one, each map is taken if all products with those taken are accepted as well, with
    the signs that follow.
    """
    accepted = {row.symmetry.map: row for row in rows if row.accepted}
    taken: list[Symmetry] = []
    closed: dict[Any, tuple[int, ...]] = {}
    for row in sorted(accepted.values(), key=_weakness):
        if row.symmetry.map in closed:
            continue
        try:
            group = close_group([*taken, row.symmetry])
        except InputError:  # contradictory signs
            continue
        maps = list(group)[1:]
        if all(g in accepted and accepted[g].symmetry.character == group[g] for g in maps):
            taken.append(row.symmetry)
            closed = group
    return tuple(
        replace(row, accepted=False, reason=f"does not form a group with the others ({row.reason})")
        if row.accepted and row.symmetry.map not in closed
        else row
        for row in rows
    )


def evidence_table(rows: Sequence[Evidence]) -> str:
    """Columns: map, signs, problem, asymmetry of the teachers against their noise, students, verdict and why."""
    cells = [HEADER, *cells_of(rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEADER))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def cells_of(rows: Sequence[Evidence]) -> list[tuple[str, ...]]:
    """As many a row as `HEADER` has."""
    return [
        (
            row.text,
            "".join("+" if sign > 0 else "-" for sign in row.symmetry.character),
            row.problem or "-",
            _number(row.effect),
            _number(row.noise),
            "-" if row.students is None else f"{row.agreeing} of {row.students}",
            row.verdict,
            row.reason,
        )
        for row in rows
    ]


def _signs(problem: Sequence[ProblemSymmetry] | None, teacher: Asymmetry | None, votes: list[Symmetry]) -> Symmetry:
    holding = [result for result in problem or () if result.verdict == problem_symmetry.HOLDS]
    if len(holding) == 1:
        return holding[0].symmetry
    if teacher is not None:
        return teacher.symmetry
    if problem is not None:
        return min(problem, key=lambda result: (result.verdict == problem_symmetry.BROKEN, result.difference)).symmetry
    return max(votes, key=votes.count)


def _verdict(row: Evidence) -> tuple[bool, str]:
    sizes = f"asymmetry {_number(row.effect)} at noise {_number(row.noise)}"
    if row.problem == problem_symmetry.BROKEN:
        also = f"; the teachers show it all the same ({sizes})" if row.teacher == teachers.SUPPORTED else ""
        return False, f"the problem breaks it: {row.problem_reason}{also}"
    if row.teacher == teachers.BROKEN:
        also = "; the problem has it, so its solution is not unique" if row.problem == problem_symmetry.HOLDS else ""
        return False, f"the teachers break it: {sizes}{also}"
    inaccurate = row.teacher == teachers.UNDECIDED
    if row.problem == problem_symmetry.HOLDS:
        shown = {teachers.SUPPORTED: ", the teachers show it"}.get(row.teacher or "", "")
        return True, f"the problem has it{shown}" + (f"; teachers too inaccurate: {sizes}" if inaccurate else "")
    if row.teacher == teachers.SUPPORTED:
        why = f"; the problem leaves it open: {row.problem_reason}" if row.problem else ""
        return True, f"the teachers show it: {sizes}{why}"
    if inaccurate:
        return False, f"teachers too inaccurate: {sizes}"
    if row.problem is None and row.students:
        return 2 * (row.agreeing or 0) > row.students, f"{row.agreeing} of {row.students} students show it"
    return False, f"undecided: {row.problem_reason}" if row.problem else "no test was made"


def _weakness(row: Evidence) -> tuple[bool, float, int]:
    """Small for well-supported symmetries."""
    ratio = math.inf if row.effect is None or not row.noise else row.effect / row.noise
    return row.problem != problem_symmetry.HOLDS, ratio, -(row.agreeing or 0)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"
