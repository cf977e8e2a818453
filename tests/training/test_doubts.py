"""When a result is doubted: unseen residuals, losses that still fall or never fell."""

from __future__ import annotations

import math

import pytest
from small import small_laplace

from psinn_fast import MLP, Adam, GaussNewton, fit
from psinn_fast.scaling.natural_scales import natural_losses
from psinn_fast.training.doubts import Metric, inaccurate, times_larger, trend, unsolved
from psinn_fast.training.history import History
from psinn_fast.training.judging import losses_unsolved

pytestmark = pytest.mark.verdict


@pytest.mark.parametrize(
    ("unseen", "seen", "expected"),
    [
        (1.0, 1.0, None),
        (9.9e-3, 1e-3, None),
        (1.1e-2, 1e-3, "11 times larger"),
        (8e4, 4e-8, "2e12 times larger"),
        (1e-18, 1e-20, None),  # negligible beside the first loss
        (1.1e-9, 1e-20, "1e11 times larger"),
        (0.9e-9, 1e-20, None),
        (0.0, 0.0, None),
        (0.5, 0.0, "5e-01"),
        (math.nan, 1e-3, "not finite"),
        (math.inf, 1e-3, "not finite"),
        (math.inf, math.inf, None),  # nothing is known yet
    ],
)
def test_unseen_losses(unseen: float, seen: float, expected: str | None) -> None:
    assert times_larger(unseen, seen, first=1.0) == expected


def history(losses: list[float]) -> History:
    return History(("step", "seconds", "loss"), [(step, 0.0, loss) for step, loss in enumerate(losses)])


def falling(per_quarter: float, first: float = 1.0, last: float = 1e-2) -> History:
    """100 rows that end at ``last``, with a factor over the last quarter; Adam's spikes included."""
    losses = [last * per_quarter ** ((100 - i) / 25) * (100 if i % 7 == 3 else 1) for i in range(101)]
    return history([first, *losses[1:]])


@pytest.mark.parametrize(
    ("found", "stopped_by", "expected"),
    [
        (
            falling(3.0, last=5e-3),
            "seconds",
            "the loss was still falling, by a factor of 3 over the last quarter, when",
        ),
        (falling(3.0, last=5e-3), "steps", "training stopped: more steps or seconds would help"),
        (falling(1.5, last=1e-3), "seconds", None),
        (falling(3.0, last=5e-4), "seconds", None),  # close to the end anyway
        (falling(50.0, last=5e-4), "seconds", "by a factor of 37"),
        (falling(50.0, last=5e-8), "seconds", "by a factor of 37"),
        (falling(50.0, last=5e-10), "seconds", None),
        (falling(50.0, last=5e-4), "no descent", None),
        (falling(1.1, last=0.3), "no descent", None),
        (falling(1.01, last=0.95), "seconds", "the loss was still falling when training stopped: more steps or"),
        (falling(1.0, last=0.3), "steps", None),
        (falling(1.0, last=0.0099), "steps", None),
        (history([1.0, 0.9, 0.8]), "steps", None),  # too short to have a trend
        (history([]), "seconds", None),
        (history([0.0] * 20), "gradient", None),
    ],
)
def test_trends(found: History, stopped_by: str, expected: str | None) -> None:
    notes = trend(found, stopped_by)
    assert len(notes) == (expected is not None)
    assert expected is None or expected in notes[0]


@pytest.mark.parametrize(
    ("losses", "loss", "expected"),
    [
        ([1.0, 0.5], 0.3, "still 30 % of the first one"),
        ([2.0, 1.0, 9.0], 9.0, "still 450 % of the first one"),
        ([2.0, 1.0, 9.0], 0.021, "still 1 % of the first one"),  # of weights that are not the last ones
        ([2.0, 1.0], 0.019, None),
        ([2.0, 1.0], math.nan, None),
        ([0.0, 0.0], 0.0, None),
        ([1.0], 1.0, "still 100 % of the first one"),  # nothing was trained
        ([], 1.0, None),
    ],
)
def test_what_is_no_solution(losses: list[float], loss: float, expected: str | None) -> None:
    warnings = unsolved(history(losses), loss, {}, {}, 0.0)
    assert len(warnings) == (expected is not None)
    assert expected is None or (expected in warnings[0] and warnings[0].startswith("this is no solution"))


def test_a_start_near_the_solution_is_told_by_what_random_fields_would_have() -> None:
    assert unsolved(history([1e-9, 1e-10]), 1e-10, {}, {}, 1e-6)
    assert not unsolved(history([1e-9, 1e-10]), 1e-10, {}, {}, 1.0)
    assert trend(falling(1.01, 1e-9, 1e-10), "seconds")
    assert not trend(falling(1.01, 1e-9, 1e-10), "seconds", 1.0)
    assert trend(falling(3.0, 1e-9, 1e-11), "seconds")
    assert not trend(falling(3.0, 1e-9, 1e-11), "seconds", 1.0)


def terms(*losses: float) -> History:
    return History(("step", "seconds", "loss", "flow"), [(step, 0.0, loss, loss) for step, loss in enumerate(losses)])


@pytest.mark.parametrize(
    ("found", "loss", "reference", "expected"),
    [
        (terms(1e-3, 5.0, 1.0), 1.0, 5.0, "term 'flow' is still at 20 % of its largest"),  # it began small
        (terms(1e-3, 5.0, 0.049), 0.049, 5.0, None),
        (terms(5.0, 0.04), 0.04, 1.0, "term 'flow' is still at 4 % of its natural size"),
        (terms(5.0, math.nan, 4.0), 4.0, 10.0, "term 'flow' is still at 80 % of its largest"),
        (terms(1e-3), 4.0, 10.0, "term 'flow' is still at 100 % of its largest"),
        (terms(), 4.0, 10.0, "term 'flow' is still at 100 % of its largest"),
        (terms(), 0.0, 0.0, None),
    ],
)
def test_what_term_is_not_solved(found: History, loss: float, reference: float, expected: str | None) -> None:
    warnings = unsolved(found, 0.0, {"flow": loss}, {"flow": reference}, 0.0)
    assert len(warnings) == (expected is not None)
    assert expected is None or warnings[0].endswith(expected)


@pytest.mark.parametrize(
    ("held_out", "is_unsolved"),
    [(None, True), (math.nan, True), (math.inf, True), (7.0, True), (0.06, True), (0.04, False), (0.0, False)],
)
def test_what_is_not_small_at_its_own_points_alone_is_no_verdict(held_out: float | None, is_unsolved: bool) -> None:
    """One of them may lie on a kink."""
    found = terms(1.0, 5.0)
    (warning,) = unsolved(found, 0.0, {"flow": 5.0}, {"flow": 5.0}, 0.0, {"flow": held_out})
    assert warning.startswith("this is no solution") == is_unsolved
    assert ("at 100 % of its largest at its own points, but not between them" in warning) != is_unsolved


def test_a_kink_hides_no_other_term() -> None:
    losses, between = {"flow": 5.0, "wall": 0.5}, {"flow": 0.0, "wall": 0.5}
    history = History(("step", "seconds", "loss", "flow", "wall"), [(0, 0.0, 5.5, 5.0, 1.0)])
    verdict, kink = unsolved(history, 5.5, losses, {"flow": 5.0, "wall": 1.0}, 0.0, between)
    assert verdict.endswith("noisy: term 'wall' is still at 50 % of its largest")
    assert kink.startswith("term 'flow' is still at 100 %")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (0.891, ("the relative L2 error is 89 %",)),
        (0.2, ()),
        (None, ()),
        (math.nan, ("the relative L2 error is nan %",)),
        (
            {"u": 0.25, "v": None, "p": 0.3},
            ("the relative L2 error of u is 25 % and the relative L2 error of p is 30 %",),
        ),
        ({"u": 0.0, "v": None}, ()),
    ],
)
def test_errors_that_are_known_are_said(error: Metric, expected: tuple[str, ...]) -> None:
    assert inaccurate({"relative_l2": error}) == expected


def test_a_sequence_is_judged_by_where_it_began() -> None:
    """Gauss-Newton has little left to do after Adam: its own first loss is no measure."""
    problem = small_laplace()
    result = fit(problem, MLP([2, 6, 1], seed=0, dtype="float64"), [Adam(5), GaussNewton(3)])
    references = losses_unsolved(problem, natural_losses(problem), result.history)
    for name in result.losses:
        assert references[name] >= max(result.history[name])
    assert result.history["step"] == list(range(9))
