"""A residual means what its function said when its PDE was made, whatever it reads has become since."""

from __future__ import annotations

import copy
import dataclasses
import re
import time
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sympy as sp
from late_reads import CASES, PLACE

import psinn_fast as pf
from psinn_fast import Recipe

BOX = pf.Box(x=(0, 1))
ENDS = [[0.0], [1.0]]


def problem(pde: pf.PDE, *conditions: pf.Condition) -> pf.Problem:
    return pf.Problem("p", pde, BOX, [pf.Residual(BOX.grid(5)), *conditions])


def factor(pde: pf.PDE) -> float:
    """k of u_xx - k u, as trained."""
    (residual,) = problem(pde).traced[0].residuals
    (jet,) = (s for s in residual.free_symbols if str(s) == "u")
    return -float(residual.coeff(jet))


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    return request.param(monkeypatch)


def test_a_pde_means_what_its_function_said_when_it_was_made(case: Any) -> None:
    function, change = case
    pde = pf.PDE("x", "u", function)
    change()
    assert "9" not in str(pde)
    assert factor(pde) == factor(copy.deepcopy(pde)) == 1.0
    assert factor(pf.PDE("x", "u", function)) == 9.0
    assert factor(pde) == 1.0


def test_a_sweep() -> None:
    pdes = [pf.PDE("x", "u", lambda u: u.xx - k * u) for k in (1.0, 4.0, 9.0)]  # noqa: B023  # that is the case
    assert [factor(pde) for pde in pdes] == [1.0, 4.0, 9.0]


def test_a_function_of_a_pde_is_called_once() -> None:
    calls = []

    def residual(u: Any) -> Any:
        calls.append(0)
        return u.xx - len(calls) * u

    pde = pf.PDE("x", "u", residual)
    first, second = problem(pde), problem(pde)
    assert str(pde) == str(copy.deepcopy(pde))
    assert (
        str(first)
        == str(second)
        == str(dataclasses.replace(first, recipe=Recipe(lr=1e-2)))
        == str(copy.deepcopy(first))
    )
    assert len(calls) == 1


def test_what_the_function_does_wrong_is_said_when_the_pde_is_made() -> None:
    with pytest.raises(pf.InputError, match=r"^residual: .*failed on symbols \(KeyError: 'kappa'\)"):
        pf.PDE("x", "u", lambda u: {}["kappa"] * u)


SINCE = r"^term 'own': its residual function reads \S+, .*has changed since .*u, k=k"


def test_a_condition_whose_function_reads_something_else_by_then_is_refused(case: Any) -> None:
    function, change = case
    condition = pf.Residual(ENDS, function, name="own")
    pde = pf.PDE("x", "u", lambda u: u.xx)
    problem(pde, condition)
    copied = copy.deepcopy(condition)
    change()
    for given in (condition, dataclasses.replace(condition, weight=2.0)):
        with pytest.raises(pf.InputError, match=SINCE):
            problem(pde, given)
    try:
        said = str(problem(pde, copied))  # it has a copy of the function's object, which has not changed
    except pf.InputError as error:
        said = str(error)
    assert "9" not in said or re.search(SINCE, said)
    problem(pde, pf.Residual(ENDS, function, name="own"))


def test_the_message_says_what_changed() -> None:
    conditions = [pf.Residual([[x]], lambda u: u - v) for x, v in ((0.0, 0.5), (1.0, 1.5))]  # noqa: B023  # it is
    with pytest.raises(pf.InputError, match=r"reads v, which has changed since .* made, from 0\.5 to 1\.5: make the"):
        problem(pf.PDE("x", "u", lambda u: u.xx), *conditions)
    bound = [pf.Residual([[x]], lambda u, v=v: u - v) for x, v in ((0.0, 0.5), (1.0, 1.5))]
    texts = str(problem(pf.PDE("x", "u", lambda u: u.xx), *bound))
    assert "u - 0.5" in texts
    assert "u - 1.5" in texts


class Counted:
    calls = 0

    def __call__(self, u: Any) -> Any:
        self.calls += 1
        return u.x - 1


def test_what_means_the_same_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counters, caches, random numbers, what is defined later, what only has the name of an attribute."""
    count, cache, log, x, later = 0, dict[str, float](), list[str](), 0.25, None
    rng, space = np.random.default_rng(0), types.SimpleNamespace(x=1.0, k=2.0, unread=3.0)
    settings = {"k": 2.0, "unread": 3.0}

    def counting(u: Any) -> Any:
        nonlocal count
        count += 1
        log.append(f"call {count}")
        if "k" not in cache:
            cache["k"] = 2.0
        rng.uniform()
        return u.x - cache["k"] * space.k * settings["k"]

    def redefined(u: Any) -> Any:
        return helper(u) + defined_later(u)  # noqa: F821  # that is the case

    def helper(u: Any) -> Any:
        return u.x

    pde = pf.PDE("x", "u", lambda u: u.xx)
    functions = [counting, Counted(), redefined, lambda u: u.x + (0 if later is None else 1), sp.Lambda]
    conditions = [pf.Residual(ENDS, function) for function in (*functions[:4], counting)]
    count, x, space.x, space.unread, settings["unread"] = 5, x + 1, 7.0, 8.0, 9.0

    def helper(u: Any) -> Any:  # noqa: F811  # as a notebook's cell that is run again
        return u.x

    monkeypatch.setitem(globals(), "defined_later", lambda u: u)
    for _ in range(2):
        problem(pde, *conditions)
        problem(pf.PDE("x", "u", lambda u: u.xx), *conditions)


def test_conditions_are_made_fast() -> None:
    big = {f"key {i}": list(range(100)) for i in range(100)}
    start = time.process_time()
    for k in range(200):
        pf.Residual(ENDS, lambda u, k=k: u.xx - k * sp.sin(u) * PLACE.k + len(big) * np.pi)
    assert time.process_time() - start < 0.4 * 5  # 0.2 to 0.4 s here
