"""Weightings of a user's own: what they must give, said by name, step and value where they do not."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from small import small_laplace
from torch import Tensor

import psinn_fast as pf
from psinn_fast.kernels.contract import Term


class Doubling(pf.Weigher):
    def update(self, step: int) -> Any:
        return 2 * self.objective.own


@dataclass(frozen=True)
class Own(pf.Weighting):
    made: Callable[[pf.Objective], Any] = Doubling
    every: Any = 2
    name: ClassVar[str] = "own"

    def start(self, objective: pf.Objective) -> Any:
        return self.made(objective)

    def identity(self) -> Mapping[str, Any]:
        return {}


def fitted(weighting: pf.Weighting) -> pf.FitResult:
    return pf.fit(small_laplace(5), pf.MLP([2, 3, 1], seed=0, dtype="float64"), pf.Adam(5), weighting=weighting)


def weigher(update: Callable[[pf.Weigher, int], Any], **entries: Any) -> Callable[[pf.Objective], Any]:
    return type("OwnWeigher", (Doubling,), {"update": update, **entries})


def test_a_right_one() -> None:
    assert set(fitted(Own()).history["weight_residual"]) == {2.0}
    assert set(fitted(Own(every=None)).history["weight_residual"]) == {2.0}


@pytest.mark.parametrize(
    ("returned", "got"),
    [
        (torch.tensor([math.nan, 1.0]), "(2,), [nan, 1.0]"),
        (torch.tensor([1.0, math.inf]), "(2,), [1.0, inf]"),
        (torch.tensor([1.0, -1.0]), "(2,), [1.0, -1.0]"),
        (torch.ones(2, dtype=torch.complex64), "(2,), [(1+0j), (1+0j)]"),
        (torch.ones(3), "(3,), [1.0, 1.0, 1.0]"),
        ([1.0, 2.0], "[1.0, 2.0]"),
        (None, "None"),
    ],
    ids=str,
)
def test_updates(returned: Any, got: str) -> None:
    """From the third one on, so that there is something to keep."""
    made = weigher(lambda self, step: returned if step == 4 else self.objective.own)
    message = (
        "weighting: own: update: expected a tensor of 2 weights >= 0, one of each term (residual, dirichlet), all "
        f"finite, got {got} at step 4"
    )
    with pytest.raises(pf.InputError, match="^" + re.escape(message)) as info:
        fitted(Own(made))
    assert info.value.result.steps == 4
    assert not torch.equal(info.value.net.theta, pf.MLP([2, 3, 1], seed=0, dtype="float64").theta)


def test_weights_changed_in_place_are_a_copy() -> None:
    def update(self: pf.Weigher, step: int) -> Tensor:
        self.objective.factors.mul_(3)
        return self.objective.own.mul_(2)

    assert set(fitted(Own(weigher(update))).history["weight_residual"]) == {2.0}


def test_terms_that_weigh_nothing_do_not_count() -> None:
    box = pf.Box(x=(0, 1))
    conditions = [pf.Residual(box.grid(5)), pf.Residual(box.grid(5), lambda u: u - 1, weight=0.0, name="watched")]
    problem = pf.Problem("watched", pf.PDE("x", "u", lambda u: u.x - 1), box, conditions)
    made = weigher(lambda self, step: torch.tensor([3.0, math.nan]))
    result = pf.fit(problem, pf.MLP([1, 3, 1], seed=0), pf.Adam(3), weighting=Own(made))
    assert (result.history["weight_residual"][0], result.history["weight_watched"][0]) == (3.0, 0.0)


@pytest.mark.parametrize(
    ("every", "got"), [(0, "0"), (-1, "-1"), ("x", "'x'"), (2.5, "2.5")], ids=["0", "-1", "text", "half"]
)
def test_intervals(every: Any, got: str) -> None:
    with pytest.raises(pf.InputError, match=f"^weighting: Own.every: expected None or an integer >= 1, got {got}$"):
        fitted(Own(every=every))


def test_settings_that_lack_something() -> None:
    class Timeless(pf.Weighting):
        name = "timeless"

        def start(self, objective: pf.Objective) -> pf.Weigher:
            return Doubling(objective)

    class Nameless(Own):
        name = None  # type: ignore[assignment]

    class Unkept(Own):
        def identity(self) -> Mapping[str, Any]:
            return {"scales": torch.ones(2)}

    for wrong, message in (
        (Timeless(), "weighting: Timeless.every: expected None or an integer >= 1"),
        (Nameless(), "weighting: Nameless.name: expected a text, got None"),
        (Unkept(), "weighting: Unkept.identity(): expected numbers, texts and lists of them"),
        (Own(lambda objective: None), "weighting: own: start(objective): expected a Weigher, got None"),
        (Own(weigher(Doubling.update, pointwise=(2,))), "weighting: own: pointwise: expected indices of terms, 0 to 1"),
    ):
        with pytest.raises(pf.InputError, match="^" + re.escape(message)):
            fitted(wrong)


@pytest.mark.parametrize(
    ("factors", "got"), [(lambda n: torch.ones(n + 1), "(26,)"), (lambda n: math.pi, "3.14"), (torch.empty, None)]
)
def test_factors_of_points(factors: Callable[[int], Any], got: str | None) -> None:
    def point_factors(self: pf.Weigher, index: int, term: Term) -> Tensor:
        found = factors(term.n_points)
        return found.fill_(math.nan) if got is None else found

    message = r"^weighting: own: point_factors\(0, term\): expected a tensor \(25,\) of finite numbers, got "
    with pytest.raises(pf.InputError, match=message + re.escape(got or "(25,)")):
        fitted(Own(weigher(Doubling.update, pointwise=(0,), point_factors=point_factors)))


def test_a_tangent_kernel_that_vanishes_keeps_the_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trace of a term that no parameter changes says nothing of it."""
    monkeypatch.setattr(pf.Objective, "traces", lambda self, number: torch.tensor([2.0, 0.0], dtype=torch.float64))
    history = fitted(pf.NTK(every=1)).history
    assert (set(history["weight_residual"]), set(history["weight_dirichlet"])) == ({1.0}, {1.0})
