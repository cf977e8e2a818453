"""Where the time of a step goes."""

from __future__ import annotations

import pytest

from psinn_fast.training import parts
from psinn_fast.training.parts import Spent, bound_by, part, reached


def test_seconds_belong_to_the_innermost_part(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 100.0, 101.0])
    monkeypatch.setattr(parts.time, "perf_counter", lambda: next(clock))
    spent = Spent()
    with spent.counting(), part("solution"), part("Jacobian"):
        pass
    assert spent.seconds == {"other": 17.0, "solution": 10.0, "Jacobian": 4.0}
    with part("Jacobian"):  # nobody counts
        pass
    with spent.counting():  # time between two counts belongs to nothing
        pass
    assert spent.seconds["other"] == 18.0
    assert bound_by(spent.seconds) == "other, 56 % of 32 s"
    assert bound_by({}) == ""


def test_a_part_that_fails_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.5, 1.0, 2.0, 3.0])
    monkeypatch.setattr(parts.time, "perf_counter", lambda: next(clock))
    spent = Spent()
    with spent.counting(), pytest.raises(ZeroDivisionError), part("solution"):
        raise ZeroDivisionError
    assert spent.seconds == {"other": 1.5, "solution": 1.0}


def test_a_step_of_more_than_a_second_says_what_it_is_at(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 10.0
    monkeypatch.setattr(parts.time, "perf_counter", lambda: now)
    spent = Spent()
    assert spent.under_way == ""
    with spent.counting(), part("J^T J"):
        now += 0.5
        assert spent.under_way == ""
        now += 3.0
        assert spent.under_way == "J^T J, 4 s"
        reached(0.4)
        assert spent.under_way == "J^T J 40%, 4 s"
    assert spent.under_way == ""
    reached(0.5)  # nobody counts
    with spent.counting():
        now += 2.0
        assert spent.under_way == "other, 2 s"
