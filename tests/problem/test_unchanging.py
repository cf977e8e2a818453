"""What a problem is made of does not change after it was made; what its functions read may, and that is refused."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from programs import called_elsewhere

import psinn_fast as pf

BOX = pf.Box(t=(0, 1), x=(0, 1))
RATE = {"a": 0.1}


def rate() -> float:
    return RATE["a"]


def equation(u: Any, b: Any) -> Any:
    return u.t - rate() * u.xx - b


def source(u: Any, x: Any, b: Any) -> Any:
    return u.t - u.xx + b * sp.sin(rate() * x)


def robin(u: Any) -> Any:
    return u.x + rate() * u


def initial(t: Any, x: Any) -> Any:
    return rate() * (x + t)


def constant(*_: Any) -> float:
    return 2 * rate()


def plain(u: Any, b: Any) -> Any:
    return u.t - b * u.xx


def heat(residual: Any = plain, condition: pf.Condition | None = None, **settings: Any) -> pf.Problem:
    pde = pf.PDE("t x", "u", residual, {"b": 0.5})
    conditions = [pf.Residual(BOX.grid(5)), pf.Dirichlet(BOX.face("t", "low", 5), u=0.0)]
    return pf.Problem("heat", pde, BOX, [*conditions, *([condition] if condition else [])], **settings)


def by_pickle(it: Any) -> Any:
    return pickle.loads(pickle.dumps(it))


COPIES: dict[str, Callable[[Any], Any]] = {"itself": lambda it: it, "deepcopy": copy.deepcopy, "pickle": by_pickle}


@pytest.mark.parametrize("again", COPIES.values(), ids=COPIES)
def test_mappings_and_arrays_are_read_only(again: Callable[[Any], Any]) -> None:
    pde = pf.PDE("t x", "u", with_unknown, {"a": 1.0}, {"b": 0.5})
    face = BOX.face("t", "low", 5)
    problem = again(
        pf.Problem(
            "p",
            pde,
            BOX,
            [pf.Residual(BOX.grid(5)), pf.Dirichlet(face, u=np.zeros(5)), pf.Neumann(face, [1, 0], u=0.0)],
            guess={"b": 0.4},
            bounds={"b": (0, 1)},
            true_coefficients={"b": 0.3},
            recipe=pf.Recipe(paper=pf.Paper(1e-3, 10, {"PINN": {"u": 1.0}}, coefficients={"b": {"PINN": 1.0}})),
        )
    )
    own = problem.pde.coefficients, problem.pde.unknown, problem.guess, problem.bounds, problem.true_coefficients
    given = [mapping for condition in problem.conditions for mapping in (condition.columns, condition.targets)]
    assert problem.recipe.paper
    paper = [problem.recipe.paper.errors, problem.recipe.paper.coefficients]
    reported = [part for numbers in paper for part in (numbers, *numbers.values())]
    for mapping in filter(None, (*own, *reported, *given)):
        for change in (
            lambda m: m.update(a=5.0),
            lambda m: m.__setitem__("a", 5.0),
            lambda m: m.__delitem__(next(iter(m))),
            lambda m: m.pop(next(iter(m))),
            lambda m: m.popitem(),
            lambda m: m.clear(),
            lambda m: m.setdefault("new", 1.0),
            lambda m: m.__ior__({"a": 5.0}),
        ):
            before = list(mapping)
            with pytest.raises(TypeError, match="does not change once it is made"):
                change(mapping)
            assert list(mapping) == before
    assert problem.pde.coefficients == {"a": 1.0}
    assert {**problem.guess, "c": 1.0} == problem.guess | {"c": 1.0} == {"b": 0.4, "c": 1.0}
    for condition in problem.conditions:
        arrays = [*condition.sites, *condition.columns.values(), *condition.targets.values()]
        arrays += [end for region in condition.regions for end in (region.domain.low, region.domain.high)]
        for array in [*arrays, problem.domain.low, problem.domain.high]:
            if np.ndim(array):
                with pytest.raises(ValueError, match="read-only"):
                    array[...] = 5.0
                assert not array.flags.writeable
    for name in ("low", "high", "coords"):
        with pytest.raises(AttributeError):
            setattr(problem.domain, name, (5.0, 6.0))
    assert repr(problem.domain) == "Box(t=(0, 1), x=(0, 1))"


def with_unknown(u: Any, a: Any, b: Any) -> Any:
    return u.t - a * u.xx + b


CHANGED = {
    "number": (equation, lambda: None),
    "source": (source, lambda: None),
    "own residual": (plain, lambda: pf.Residual(BOX.face("x", "low", 5), robin, name="robin")),
}


def same_terms(one: list[Any], other: list[Any]) -> None:
    for old, new in zip(one, other, strict=True):
        assert old.program == new.program
        assert torch.equal(old.columns, new.columns)


def test_a_pickled_pde_means_what_the_original_means(monkeypatch: pytest.MonkeyPatch) -> None:
    for residual in (equation, source):
        monkeypatch.setitem(RATE, "a", 0.1)
        pde = pf.PDE("t x", "u", residual, {"b": 0.5})
        assert str(by_pickle(by_pickle(pde))) == str(pde)
        monkeypatch.setitem(RATE, "a", 7.0)
        for copied in (by_pickle(pde), by_pickle(copy.deepcopy(pde)), by_pickle([pde])[0]):
            with pytest.raises(pf.InputError, match=r"^residual: .*has changed since the PDE was made .*coefficient"):
                copied.traced()


@pytest.mark.parametrize("name", CHANGED)
@pytest.mark.parametrize(
    "again", [by_pickle, lambda it: dataclasses.replace(it, recipe=pf.Recipe(lr=1e-2))], ids=["pickle", "replace"]
)
def test_a_copy_means_what_the_original_means(
    name: str, again: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    residual, condition = CHANGED[name]
    monkeypatch.setitem(RATE, "a", 0.1)
    problem = heat(residual, condition())
    before = problem.terms(torch.float64)
    unchanged = again(problem).terms(torch.float64)
    monkeypatch.setitem(RATE, "a", 7.0)
    # The problem itself trains on what it was made with, and so does a copy within the process.
    for same in (problem, copy.deepcopy(problem)):
        same_terms(before, same.terms(torch.float64))
    same_terms(before, unchanged)
    if condition() is None and again is not by_pickle:  # the PDE is the same, and has called its function already
        same_terms(before, again(problem).terms(torch.float64))
    else:
        with pytest.raises(pf.InputError, match=r"(residual|robin).*has changed since .*coefficient"):
            again(problem).terms()
    with pytest.raises(pf.InputError, match=r"reads .*has changed since"):
        by_pickle(copy.deepcopy(problem)).terms()
    assert heat(residual, condition()).terms()  # a new one may mean something new


@pytest.mark.parametrize("target", [initial, constant, partial(initial)])
@pytest.mark.parametrize("again", COPIES.values(), ids=COPIES)
def test_targets_that_change(target: Any, again: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Those at points drawn anew would be others than those at the points given."""
    monkeypatch.setitem(RATE, "a", 0.1)
    problem = heat(condition=pf.Dirichlet(BOX.face("x", "low", 5), u=target, name="wall"))
    monkeypatch.setitem(RATE, "a", 7.0)
    with pytest.raises(pf.InputError, match=r"wall: target u: .*other values now.*global.*random.*array"):
        again(problem).terms()


def worker(problem: pf.Problem) -> float:
    return pf.solve(problem, pf.Network(layers=[2, 3, 1]), pf.Adam(1), options=pf.Options(backend="reference")).loss


def test_a_fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """There the global has its first value again."""
    assert called_elsewhere(worker, heat(source)) > 0
    monkeypatch.setitem(RATE, "a", 7.0)
    with pytest.raises(pf.InputError, match="reads something that has changed since"):
        called_elsewhere(worker, heat(equation))


def test_one_condition_in_several_problems() -> None:
    """Other PDEs and bounds give it another meaning by right."""
    condition = pf.Residual(BOX.grid(5))
    for residual in (plain, lambda u, b: u.t - b * u.x):
        for unknown, bounds in (({}, {}), ({"b": 0.5}, {}), ({"b": 0.5}, {"b": (0, 1)})):
            pde = pf.PDE("t x", "u", residual, {} if unknown else {"b": 0.5}, unknown)
            pf.Problem("p", pde, BOX, [condition], bounds=bounds)
            pf.Problem("p", pde, BOX, [condition], bounds={"b": (0, 2)} if bounds else {})
