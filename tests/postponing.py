"""Derivatives that wait, beside those that are computed at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers import random_points, relative_error
from torch import Tensor

from psinn_fast.kernels import get_backend
from psinn_fast.kernels.contract import Backend
from psinn_fast.networks import postponed, values, waiting_jets
from psinn_fast.networks.derivatives import Derivatives, derivatives
from psinn_fast.networks.mlp import PsiMLP
from psinn_fast.networks.waiting import Waiting

N = 37  # no multiple of a vector's length
WANTED = "u u_x u_y u_xx u_yy u_lap v v_y"
ROUNDING = 1e-12  # some thousand roundings of float64, of numbers of size one
Loss = Callable[[Any], Tensor]


def asked(net: PsiMLP, at_once: bool = False, points: Tensor | None = None) -> Derivatives[Tensor]:
    """At points that require a gradient, nothing waits; copies, which may be changed in place."""
    x = (random_points(N, 2) if points is None else points).clone().requires_grad_(at_once)
    found = derivatives(net, x, WANTED, coords="x y", fields="u v")
    assert all(isinstance(value, Waiting) is not at_once for value in found.values())
    return Derivatives({name: value.clone() for name, value in found.items()}) if at_once else found


def target(seed: int = 3) -> Tensor:
    return random_points(N, 1, seed)[:, 0]


def wait_from_the_first_call(monkeypatch: pytest.MonkeyPatch, order: int) -> None:
    """``net(x)`` waits however few the points, as if derivatives up to this order had been asked for before."""
    wait_however_few(monkeypatch)
    of = values.Memory.of

    def warm(self: Any, shape: torch.Size, is_training: bool) -> Any:
        calls = of(self, shape, is_training)
        orders = itertools.product(range(order + 1), repeat=shape[-1])
        calls.needs.append({index for index in orders if 0 < sum(index) <= order})
        return calls

    monkeypatch.setattr(values.Memory, "of", warm)


def wait_however_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few the points, and whatever the backend."""
    monkeypatch.setattr(postponed, "FEWEST", 1)
    monkeypatch.setattr(waiting_jets, "FEWEST", 1)
    monkeypatch.setattr(waiting_jets, "PER_NOTE", 0)
    monkeypatch.setattr(waiting_jets, "_READ", 1_000_000)
    monkeypatch.setattr(postponed, "BACKENDS", (get_backend("auto", torch.device("cpu")).name,))


class Watched:
    """The calls of a backend's operations."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        engine = get_backend("auto", torch.device("cpu"))
        kind = type(getattr(engine, "first", engine))  # behind it is the reference, for what is beyond its limits
        for name in ("jets", "jets_backward", "residuals_backward"):
            monkeypatch.setattr(kind, name, self._counting(name, getattr(Backend, name)))

    def _counting(self, name: str, method: Any) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            return method(*args, **kwargs)

        return counted

    def new(self) -> list[str]:
        seen, self.calls[:] = list(self.calls), []
        return seen


def agree(found: Any, expected: Any) -> None:
    assert type(found) is type(expected) or isinstance(found, Tensor)
    if isinstance(expected, Tensor):
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        assert relative_error(found.detach(), expected.detach(), 1e-3) < ROUNDING
    elif isinstance(expected, (list, tuple)):
        for own, right in zip(found, expected, strict=True):
            agree(own, right)
    elif isinstance(expected, np.ndarray):
        np.testing.assert_allclose(found, expected, rtol=ROUNDING, atol=ROUNDING)
    else:
        assert found == (pytest.approx(expected, rel=ROUNDING) if isinstance(expected, float) else expected)


def both(net: PsiMLP, function: Callable[[Any], Any]) -> None:
    """The function gives, or raises, the same for derivatives that wait and for those that were computed."""
    results = []
    for at_once in (False, True):
        net.theta.grad = None
        try:
            results.append(function(asked(net, at_once)))
        except RuntimeError as error:
            results.append(str(error)[:40])
    agree(*results)
