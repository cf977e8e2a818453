"""Optimisers of a user's own: what they must give, said by the names of class and method where they do not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from small import decay
from torch import Tensor

import psinn_fast as pf
from psinn_fast.training.checkpoint import Expectations, Expected
from psinn_fast.training.optimisers.gradient_run import GradientRun
from psinn_fast.training.protocol import Optimizer, Run, Task


@dataclass(frozen=True)
class Descent(Optimizer):
    steps: int = 4
    name: ClassVar[str] = "descent"  # type: ignore[misc]

    @property
    def most_steps(self) -> int:
        return self.steps

    def identity(self) -> Mapping[str, Any]:
        return {"rates": np.array([1e-3]), "kind": ("plain", None, True)}

    def start(self, task: Task) -> Run:
        return DescentRun(task, self.steps)


class DescentRun(GradientRun):
    def change(self, gradient: Tensor) -> Tensor:
        return -1e-3 * gradient


def fitted(optimizer: Optimizer) -> pf.FitResult:
    return pf.fit(decay(), pf.MLP([1, 3, 1], seed=0, dtype="float64"), optimizer)


def with_run(**methods: Any) -> Descent:
    """Whose run has other methods."""
    run = type("OwnRun", (DescentRun,), methods)
    return with_settings(start=lambda self, task: run(task, self.steps))


def with_settings(**entries: Any) -> Descent:
    return type("Own", (Descent,), entries)()


def test_a_right_one() -> None:
    assert fitted(Descent()).steps == 4


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lambda gradient: None, "None"),
        (lambda gradient: -1e-3, "-0.001"),
        (lambda gradient: gradient.numpy(), "array("),
        (lambda gradient: gradient[:-1], "(10,) of torch.float64"),
        (lambda gradient: gradient[None], "(1, 11) of torch.float64"),
        (lambda gradient: gradient.float(), "(11,) of torch.float32"),
    ],
    ids=["None", "number", "array", "short", "row", "float32"],
)
def test_changes(change: Callable[[Tensor], Any], got: str) -> None:
    message = (
        "optimizer: OwnRun.change(gradient): expected a tensor (11,) of torch.float64, what step 0 adds to the "
        f"parameters, got {got}"
    )
    with pytest.raises(pf.InputError, match=re.escape(message)) as info:
        fitted(with_run(change=lambda self, gradient: change(gradient)))
    assert info.value.result.steps == 0  # it ended a training


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"name": None}, "Own.name: expected a text, got None"),
        ({"name": ""}, "Own.name: expected a text, got ''"),
        ({"most_steps": 2.5}, "Own.most_steps: expected an integer >= 0, got 2.5"),
        ({"most_steps": None}, "Own.most_steps: expected an integer >= 0, got None"),
        ({"columns": "lr"}, "Own.columns: expected names beside"),
        ({"columns": ("lr", "loss")}, "Own.columns: expected names beside"),
        ({"columns": ("k",)}, "Own.columns: expected names beside"),
        ({"identity": None}, "Own.identity: expected a method, got None"),
        ({"identity": lambda self: None}, "Own.identity(): expected a dict of settings"),
        ({"identity": lambda self: 3}, "Own.identity(): expected a dict of settings"),
        ({"identity": lambda self: {"a": torch.ones(2)}}, "Own.identity(): expected numbers, texts and lists of them"),
        ({"identity": lambda self: {"a": [print]}}, "Own.identity(): expected numbers, texts and lists of them"),
        ({"start": None}, "Own.start: expected a method, got None"),
        ({"start": lambda self, task: None}, "Own.start(task): expected a Run, got None"),
        ({"start": lambda self, task: 3}, "Own.start(task): expected a Run, got 3"),
    ],
)
def test_settings(entries: dict[str, Any], message: str) -> None:
    with pytest.raises(pf.InputError, match="^" + re.escape(f"optimizer: {message}")):
        fitted(with_settings(**entries))


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ({"__init__": lambda self, *_: None}, "OwnRun.theta: cannot be read ('OwnRun' object has no attribute"),
        ({"theta": property(lambda self: torch.ones(3))}, "OwnRun.theta: expected a tensor (10,), got one of (3,)"),
        ({"free": property(lambda self: None)}, "OwnRun.free: expected a tensor (1,), got None"),
        ({"saved": lambda self: None}, "OwnRun.saved(): expected dicts of tensors and of numbers"),
        ({"saved": lambda self: ({}, {"a": print})}, "OwnRun.saved(): expected dicts of tensors and of numbers"),
    ],
)
def test_runs(methods: dict[str, Any], message: str) -> None:
    with pytest.raises(pf.InputError, match="^" + re.escape(f"optimizer: {message}")):
        fitted(with_run(**methods))


def test_what_is_saved_must_be_expected() -> None:
    """A checkpoint that could not be resumed shows before the work, not after it."""

    def saved(self: DescentRun) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, numbers = DescentRun.saved(self)
        return {**tensors, "velocity": torch.ones(11)}, {**numbers, "count": 1}

    def expected(dtype: torch.dtype) -> Callable[[DescentRun, Mapping[str, Any]], Expectations]:
        def made(self: DescentRun, numbers: Mapping[str, Any]) -> Expectations:
            tensors, checks = DescentRun.expected(self, numbers)
            return Expectations({**tensors, "velocity": Expected((11,), dtype)}, {**checks, "count": lambda _, n: n})

        return made

    message = "OwnRun.saved() and expected(numbers): what the one names the other must name"
    for names in ({"saved": saved}, {"expected": expected(torch.float32)}):
        with pytest.raises(
            pf.InputError, match=re.escape(message) + r".*\['count', 'velocity'\] is in one of them only"
        ):
            fitted(with_run(**names))
    with pytest.raises(
        pf.InputError, match=r"velocity is \(11,\) of torch.float32, and .* says \(11,\) of torch.float64"
    ):
        fitted(with_run(saved=saved, expected=expected(torch.float64)))
    assert fitted(with_run(saved=saved, expected=expected(torch.float32))).steps == 4
