"""Residual functions that read something which changes later: each with k = 1, and what sets k to 9."""

from __future__ import annotations

import enum
import types
from collections import deque
from collections.abc import Callable
from functools import lru_cache, partial, wraps
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch

PLACE = types.SimpleNamespace(k=1.0)


K = 1.0


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
