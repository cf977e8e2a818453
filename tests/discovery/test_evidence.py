"""Evidence for symmetries and the group that it supports, without training."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from psinn_fast import SignedPermutation, Symmetry
from psinn_fast.discovery.evidence import Evidence, EvidenceTable, accepted_group, evidence_table, weigh
from psinn_fast.discovery.teachers import Asymmetry
from psinn_fast.symmetries.problem_symmetry import ProblemSymmetry

FLIP_X, FLIP_Y = SignedPermutation.flip(2, 0), SignedPermutation.flip(2, 1)
ODD_X, EVEN_X = Symmetry(FLIP_X, (-1,)), Symmetry(FLIP_X, (1,))
EVEN_Y, ODD_XY = Symmetry(FLIP_Y, (1,)), Symmetry(FLIP_X @ FLIP_Y, (-1,))


def on_problem(odd: str, even: str = "broken") -> list[ProblemSymmetry]:
    return [
        ProblemSymmetry(EVEN_X, "x -> -x", even, "edge", 0.5),
        ProblemSymmetry(ODD_X, "x -> -x", odd, "sensors", 0.1),
    ]


def on_teachers(verdict: str, symmetry: Symmetry = ODD_X) -> Asymmetry:
    return Asymmetry(symmetry, {"supported": 2e-3, "undecided": 6e-3, "broken": 0.5}[verdict], 1e-3, verdict)


@pytest.mark.parametrize(
    ("problem", "teacher", "students", "accepted", "reason"),
    [
        (on_problem("holds"), on_teachers("supported"), None, True, "the problem has it, the teachers show it"),
        (on_problem("holds"), None, None, True, "the problem has it"),
        (on_problem("holds"), on_teachers("undecided"), None, True, "the problem has it; teachers too inaccurate"),
        (on_problem("holds"), on_teachers("broken"), None, False, "so its solution is not unique"),
        # The teachers are of the other parity than the problem.
        (on_problem("holds"), on_teachers("supported", EVEN_X), None, False, "the teachers break it"),
        (on_problem("broken"), on_teachers("supported"), [[ODD_X]], False, "the problem breaks it: sensors; the teach"),
        (on_problem("undecided"), on_teachers("supported"), None, True, "the problem leaves it open: sensors"),
        (on_problem("undecided"), on_teachers("undecided"), [[ODD_X]], False, "teachers too inaccurate"),
        (on_problem("undecided"), on_teachers("broken"), [[ODD_X]], False, "the teachers break it"),
        (on_problem("undecided"), None, [[ODD_X]], False, "undecided: sensors"),
        (on_problem("holds", "holds"), None, None, False, "undecided: it holds with more than one sign"),
        (on_problem("holds", "holds"), on_teachers("supported"), None, True, "the teachers show it"),
        (None, on_teachers("supported"), None, True, "the teachers show it"),
        (None, None, [[ODD_X], [ODD_X], []], True, "2 of 3 students show it"),
        (None, None, [[ODD_X], [EVEN_X], []], False, "1 of 3 students show it"),
        # Half of them are no majority.
        (None, None, [[ODD_X], []], False, "1 of 2 students show it"),
        (None, None, [[ODD_X], [ODD_X], [], []], False, "2 of 4 students show it"),
        # The teachers show the other sign: they say nothing for this one, and not how well it fits.
        (on_problem("holds"), on_teachers("undecided", EVEN_X), None, True, "the problem has it"),
    ],
)
def test_verdict_on_one_map(
    problem: list[ProblemSymmetry] | None,
    teacher: Asymmetry | None,
    students: list[list[Symmetry]] | None,
    accepted: bool,
    reason: str,
) -> None:
    row = weigh("x -> -x", problem, teacher, students)
    assert row.accepted is accepted
    assert reason in row.reason
    assert row.symmetry.map == FLIP_X


def rows(*accepted: tuple[Symmetry, float]) -> list[Evidence]:
    return [
        Evidence(s, "", problem="undecided", effect=effect, noise=1.0, accepted=True, reason="why")
        for s, effect in accepted
    ]


def kept(found: Sequence[Evidence]) -> set[Symmetry]:
    return {row.symmetry for row in found if row.accepted}


def test_accepted_maps_form_a_group() -> None:
    assert kept(accepted_group(rows((ODD_X, 1), (EVEN_Y, 2), (ODD_XY, 3)))) == {ODD_X, EVEN_Y, ODD_XY}
    # Their product is missing: the better supported one stays.
    found = accepted_group(rows((ODD_X, 2), (EVEN_Y, 1)))
    assert kept(found) == {EVEN_Y}
    assert "does not form a group with the others (why)" in found[0].reason
    # Signs that contradict each other: x odd and y even make the product odd.
    even_xy = Symmetry(FLIP_X @ FLIP_Y, (1,))
    assert kept(accepted_group(rows((ODD_X, 1), (EVEN_Y, 2), (even_xy, 3)))) == {ODD_X}
    # A rotation of order 4 of a function that it negates squares to an even map; odd is impossible.
    turn = Symmetry(SignedPermutation((1, 0), (1, -1)), (-1,))
    assert kept(accepted_group(rows((turn, 1), (ODD_XY, 2)))) == {ODD_XY}


@pytest.mark.parametrize("missing", range(3))
def test_of_two_maps_without_their_product_one_stays(missing: int) -> None:
    """Whichever of the three is not there, or has the other sign."""
    three = [(ODD_X, 1.0), (EVEN_Y, 2.0), (ODD_XY, 3.0)]
    others = [row for number, row in enumerate(three) if number != missing]
    assert kept(accepted_group(rows(*others))) == {others[0][0]}
    symmetry, effect = three[missing]
    wrong = Symmetry(symmetry.map, (-symmetry.character[0],)), effect + 10
    assert kept(accepted_group(rows(*others, wrong))) == {others[0][0]}


def test_a_contradiction_does_not_end_the_search() -> None:
    """Quarter turns make x and y alike, which are odd and even; the reflection of z comes after them all the same."""
    flips = {axes: SignedPermutation.flip(3, *axes) for axes in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))}
    group = [Symmetry(g, (-1 if 0 in axes else 1,)) for axes, g in flips.items()]
    turn = Symmetry(SignedPermutation((1, 0, 2), (1, -1, 1)), (1,))
    ranked = [group[0], group[1], group[3], turn, group[2], *group[4:]]
    found = accepted_group(rows(*((symmetry, 1.0 + rank) for rank, symmetry in enumerate(ranked))))
    assert kept(found) == set(group)


def test_numbers_of_the_row() -> None:
    row = weigh("x -> -x", on_problem("holds"), on_teachers("supported"), [[ODD_X], [EVEN_X], [ODD_X]])
    assert (row.problem, row.problem_reason, row.teacher) == ("holds", "sensors", "supported")
    assert (row.effect, row.noise, row.agreeing, row.students) == (2e-3, 1e-3, 2, 3)
    assert row.to_dict()["map"] == "x -> -x"
    assert row.to_dict()["character"] == [-1]
    assert {"symmetry", "text"}.isdisjoint(row.to_dict())
    # What teachers say of the other sign is no measure of this one.
    for verdict, left in (("supported", "broken"), ("undecided", None), ("broken", None)):
        other = weigh("x -> -x", on_problem("holds"), on_teachers(verdict, EVEN_X), None)
        assert (other.symmetry, other.effect, other.noise, other.teacher) == (ODD_X, None, 1e-3, left)
        assert (other.agreeing, other.students) == (None, None)


def test_the_sign_that_fits_best() -> None:
    """The problem's own; the teachers'; the one that the problem breaks least; that of most students."""
    assert weigh("", on_problem("undecided", "holds"), on_teachers("supported", ODD_X), None).symmetry == EVEN_X
    assert weigh("", on_problem("undecided"), on_teachers("broken", EVEN_X), None).symmetry == EVEN_X
    assert weigh("", on_problem("broken"), None, None).symmetry == ODD_X
    assert weigh("", on_problem("broken", "undecided"), None, None).symmetry == EVEN_X
    assert weigh("", None, None, [[EVEN_X], [ODD_X], [EVEN_X]]).symmetry == EVEN_X


def test_of_contradicting_rows_the_problem_counts_before_teachers_and_they_before_students() -> None:
    """x odd and y even do not go together without their product: one of the two stays."""

    def stays(x: dict[str, object], y: dict[str, object]) -> Symmetry:
        found = [Evidence(s, "", accepted=True, **own) for s, own in ((ODD_X, x), (EVEN_Y, y))]  # type: ignore[arg-type]
        (symmetry,) = kept(accepted_group(found))
        return symmetry

    close, far = {"effect": 1e-3, "noise": 1e-2}, {"effect": 1e-3, "noise": 1e-3}
    assert stays({"problem": "holds", **far}, {"problem": "undecided", **close}) == ODD_X
    assert stays({"problem": "undecided", **close}, {"problem": "holds", **far}) == EVEN_Y
    assert stays(close, far) == ODD_X
    assert stays(far, close) == EVEN_Y
    assert stays({}, far) == EVEN_Y  # not measured is worse than any number
    assert stays({"effect": 1e-3, "noise": 0.0}, far) == EVEN_Y
    assert stays({"agreeing": 2}, {"agreeing": 3}) == EVEN_Y
    assert stays({"agreeing": 3}, {"agreeing": 2}) == ODD_X
    assert stays({}, {"agreeing": 1}) == EVEN_Y


def test_table() -> None:
    row = weigh("x -> -x", on_problem("holds"), on_teachers("supported"), [[ODD_X], []])
    bare = Evidence(EVEN_Y, "a long name of a map", reason="because")
    header, first, second = evidence_table([row, bare]).splitlines()
    assert header.split() == ["map", "sign", "problem", "teachers:", "effect", "noise", "students", "why"]
    reason = "the problem has it, the teachers show it"
    columns = ["x -> -x", "-", "holds", "2.0e-03", "1.0e-03", "1 of 2", "accepted", reason]
    assert [cell.strip() for cell in first.split("  ") if cell] == columns
    assert second.split("  ")[0] == "a long name of a map"
    assert [cell.strip() for cell in second.split("  ") if cell][1:] == ["+", "-", "-", "-", "-", "rejected", "because"]
    # Columns begin at one place.
    assert header.index("problem") == first.index("holds")
    assert header.index("why") == first.index(reason) == second.index("because")


def test_evidence_prints_in_words() -> None:
    row = weigh("x -> -x", on_problem("holds"), on_teachers("supported"), None)
    assert str(row) == "x -> -x (odd): accepted, since the problem has it, the teachers show it"
    assert str([Evidence(EVEN_Y, "y -> -y")]) == "[y -> -y (even): rejected]"
    rows = EvidenceTable([row, Evidence(EVEN_Y, "y -> -y", reason="a < b")])
    assert str(rows) == evidence_table(rows)
    assert str(EvidenceTable()) == "no map was tested"
    assert "a &lt; b" in rows._repr_html_()
    assert rows._repr_html_().count("<tr") == 3
    assert "accepted, since" in row._repr_html_()
