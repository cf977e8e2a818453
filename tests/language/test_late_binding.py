"""A residual means what its function said when its PDE was made, whatever it reads has become since."""

from __future__ import annotations

import copy
import dataclasses
import enum
import re
import time
import types
from collections import deque
from collections.abc import Callable, Iterator
from functools import lru_cache, partial, wraps
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch

import psinn_fast as pf
from psinn_fast import Recipe

BOX = pf.Box(x=(0, 1))
ENDS = [[0.0], [1.0]]
PLACE = types.SimpleNamespace(k=1.0)
K = 1.0


def problem(pde: pf.PDE, *conditions: pf.Condition) -> pf.Problem:
    return pf.Problem("p", pde, BOX, [pf.Residual(BOX.grid(5)), *conditions])


def factor(pde: pf.PDE) -> float:
    """k of u_xx - k u, as trained."""
    (residual,) = problem(pde).traced[0].residuals
    (jet,) = (s for s in residual.free_symbols if str(s) == "u")
    return -float(residual.coeff(jet))


class Material:
    factor = 1.0

    def __init__(self, k: float = 1.0) -> None:
        self.k = k

    def residual(self, u: Any) -> Any:
        return u.xx - self.k * u

    def by_helper(self, u: Any) -> Any:
        return u.xx - self._k() * u

    def _k(self) -> float:
        return self.k

    def __call__(self, u: Any) -> Any:
        return u.xx - self.k * u

    def of_class(self, u: Any) -> Any:
        return u.xx - self.factor * u


def from_global(u: Any) -> Any:
    return u.xx - K * u


def through(u: Any) -> Any:
    return from_global(u)


def of_module(u: Any) -> Any:
    return u.xx - PLACE.k * u


def with_factor(u: Any, k: Any = None) -> Any:
    return u.xx - k["k"] * u


# Each gives a residual function with k = 1, and what sets k to 9.
Case = Callable[[pytest.MonkeyPatch], tuple[Callable[..., Any], Callable[[], None]]]


def closure(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    k = 1.0

    def change() -> None:
        nonlocal k
        k = 9.0

    return lambda u: u.xx - k * u, change


def nested(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    k = 1.0

    def inner(u: Any) -> Any:
        return k * u

    def change() -> None:
        nonlocal k
        k = 9.0

    return lambda u: u.xx - inner(u), change


def local_function(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    k = 1.0

    def residual(u: Any) -> Any:
        def inner() -> Any:
            return k * u

        return u.xx - sum(part for part in [inner()])

    def change() -> None:
        nonlocal k
        k = 9.0

    return residual, change


def another_function(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    def f(u: Any) -> Any:
        return 1.0 * u

    def change() -> None:
        nonlocal f

        def f(u: Any) -> Any:
            return 9.0 * u

    return lambda u: u.xx - f(u), change


def global_(patch: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    return from_global, lambda: patch.setattr(f"{__name__}.K", 9.0)


def global_through_a_function(patch: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    return through, lambda: patch.setattr(f"{__name__}.K", 9.0)


def attribute(patch: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    return of_module, lambda: patch.setattr(PLACE, "k", 9.0)


def module(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    settings = types.ModuleType("settings")
    settings.k = 1.0  # type: ignore[attr-defined]  # a module made here
    return lambda u: u.xx - settings.k * u, lambda: setattr(settings, "k", 9.0)


def container(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    params: dict[str, Any] = {"heat": {"k": [1.0]}}
    return lambda u: u.xx - params["heat"]["k"][0] * u, lambda: params["heat"].update(k=[9.0])


def array(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    k = np.array([0.0, 1.0])
    return lambda u: u.xx - float(k[1]) * u, lambda: k.fill(9.0)


def tensor(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    k = torch.ones(2)
    return lambda u: u.xx - float(k[1]) * u, lambda: [k.fill_(9.0), None][1]


def expression(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    k = sp.Integer(1)

    def change() -> None:
        nonlocal k
        k = sp.Integer(9)

    return lambda u: u.xx - k * u, change


def default(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    k = {"k": 1.0}
    return lambda u, k=k: u.xx - k["k"] * u, lambda: k.update(k=9.0)


def partial_(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    k = {"k": 1.0}
    return partial(with_factor, k=k), lambda: k.update(k=9.0)


def method(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    own = Material()
    return own.residual, lambda: setattr(own, "k", 9.0)


def method_through_a_method(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    own = Material()
    return own.by_helper, lambda: setattr(own, "k", 9.0)


def class_attribute(patch: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    return Material().of_class, lambda: patch.setattr(Material, "factor", 9.0)


def callable_object(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    own = Material()
    return own, lambda: setattr(own, "k", 9.0)


def object_in_a_closure(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    own = types.SimpleNamespace(part=Material())
    return lambda u: u.xx - own.part.k * u, lambda: setattr(own.part, "k", 9.0)


class Derived(Material):
    __slots__ = ("slot",)

    def residual(self, u: Any) -> Any:
        return super().residual(u) + 0 * self.slot

    @property
    def doubled(self) -> float:
        return 2 * self.k


def inherited(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    own = Derived()
    own.slot = 0.0
    return own.residual, lambda: setattr(own, "k", 9.0)


def property_(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    own = Derived()
    return lambda u: u.xx - own.doubled / 2 * u, lambda: setattr(own, "k", 9.0)


def slot(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    own = Derived()
    own.slot = 1.0
    return lambda u: u.xx - own.slot * u, lambda: setattr(own, "slot", 9.0)


def passed_on(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    own = Material()

    def product(material: Any, u: Any) -> Any:
        return material.k * u

    return lambda u: u.xx - product(own, u), lambda: setattr(own, "k", 9.0)


def cached(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    own = Material()

    @lru_cache(maxsize=0)
    def k() -> float:
        return own.k

    return lambda u: u.xx - k() * u, lambda: setattr(own, "k", 9.0)


def decorated(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    own = Material()

    def decorator(function: Any) -> Any:
        @wraps(function)
        def wrapped(*args: Any, **named: Any) -> Any:
            return function(*args, **named)

        return wrapped

    return decorator(lambda u: u.xx - own.k * u), lambda: setattr(own, "k", 9.0)


def kind(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    kind = Kind.SLOW

    def change() -> None:
        nonlocal kind
        kind = Kind.FAST

    return lambda u: u.xx - (1.0 if kind is Kind.SLOW else 9.0) * u, change


def entries(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    factors = deque([1.0])
    return lambda u: u.xx - sum(factors) * u, lambda: factors.append(8.0)


def removed(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    factors = {"k": 1.0, "more": 0.0}
    return lambda u: u.xx - (1.0 if len(factors) == 2 else 9.0) * u, lambda: [factors.pop("more"), None][1]


def parameter(_: pytest.MonkeyPatch) -> tuple[Callable[..., Any], Callable[[], None]]:
    layer = torch.nn.Linear(1, 1)
    layer.weight.data.fill_(1.0)
    return lambda u: u.xx - layer.weight.item() * u, lambda: [layer.weight.data.fill_(9.0), None][1]


class Kind(enum.Enum):
    SLOW, FAST = 1, 2


CASES = {
    case.__name__.strip("_"): case
    for case in (
        closure, nested, local_function, another_function, global_, global_through_a_function, attribute, module,
        container, array, tensor, expression, default, partial_, method, method_through_a_method, class_attribute,
        callable_object, object_in_a_closure, inherited, property_, slot, passed_on, cached, decorated, kind, entries,
        removed, parameter,
    )
}  # fmt: skip


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
