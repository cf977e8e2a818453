"""Learning-rate schedules of torch: stepped after every step, in the history, resumed bit for bit, or refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from small import decay
from torch import optim
from torch.optim import lr_scheduler
from torch_runs import in_two, small_network, stop_at, trained

import psinn_fast as pf

pytestmark = pytest.mark.usefixtures("one_thread")

STEPS, STOPPED = 24, 13
LR = 1e-2


class Decay:
    """A callable with a state that changes as it is called."""

    def __init__(self, factor: float = 0.9) -> None:
        self.factor, self.calls = factor, 0

    def __call__(self, step: int) -> float:
        self.calls += 1
        return self.factor**self.calls


def in_sequence(optimizer: optim.Optimizer) -> lr_scheduler.SequentialLR:
    parts = [
        lr_scheduler.LinearLR(optimizer, 0.1, total_iters=5),
        lr_scheduler.MultiStepLR(optimizer, [2, 9], 0.5),
        lr_scheduler.CosineAnnealingLR(optimizer, 6),
    ]
    return lr_scheduler.SequentialLR(optimizer, parts, [5, 16])


SCHEDULES: dict[str, Callable[[optim.Optimizer], Any]] = {
    "StepLR": lambda o: lr_scheduler.StepLR(o, 5, 0.5),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [4, 9, 15], 0.5),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 10, 1e-4),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 4, 2),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 3e-2, total_steps=STEPS),
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda step: 1 / (1 + step)),
    "LambdaLR of an object": lambda o: lr_scheduler.LambdaLR(o, Decay()),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda step: 0.95),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 0.1, total_iters=18),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, 0.1, 15),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, STEPS, 2.0),
    "SequentialLR": in_sequence,
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ExponentialLR(o, 0.9), lr_scheduler.StepLR(o, 5)]
    ),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=1, threshold=0.05, factor=0.7),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 1e-3, 1e-2, step_size_up=4, mode="exp_range", gamma=0.9),
    "CyclicLR of a function": lambda o: lr_scheduler.CyclicLR(o, 1e-3, 1e-2, 4, scale_fn=lambda x: 1 / (5 * x + 1)),
}


def scheduled(name: str, make: Any = optim.Adam, steps: int = STEPS) -> pf.TorchOptimizer:
    return pf.TorchOptimizer(make, steps, scheduler=SCHEDULES[name], lr=LR)


def rates(name: str, losses: list[float]) -> list[float]:
    """What torch's own loop has."""
    parameter = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = optim.Adam([parameter], lr=LR)
    schedule, found = SCHEDULES[name](optimizer), []
    for loss in losses:
        found.append(optimizer.param_groups[0]["lr"])
        parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        schedule.step(*([loss] if name == "ReduceLROnPlateau" else []))
    return [*found, optimizer.param_groups[0]["lr"]]


@pytest.mark.trajectory
@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_torchs_and_a_resumed_run_has_the_same(name: str, tmp_path: Path) -> None:
    whole = trained(scheduled(name))
    again = in_two(lambda: scheduled(name), STOPPED, tmp_path / "c.safetensors")
    first = trained(scheduled(name), callbacks=stop_at(STOPPED))
    third = trained(scheduled(name), resume=first)
    lr = whole.history["lr"]
    assert lr == rates(name, whole.history["loss"][:-1])
    assert len(set(lr)) > 2 or name == "ConstantLR"
    assert len(set(lr[STOPPED + 1 :])) > 1  # else a schedule that was not resumed would not show
    for other in (again, third):
        assert other.history["lr"] == lr
        assert torch.equal(other.net.theta, whole.net.theta)


@pytest.mark.parametrize("make", [optim.SGD, optim.NAdam, optim.LBFGS], ids=lambda make: make.__name__)
def test_other_optimisers_with_a_schedule(make: Any, tmp_path: Path) -> None:
    whole = trained(scheduled("StepLR", make))
    again = in_two(lambda: scheduled("StepLR", make), STOPPED, tmp_path / "c.safetensors")
    assert torch.equal(again.net.theta, whole.net.theta)
    assert whole.history["lr"][-1] == pytest.approx(LR * 0.5**4, rel=1e-12)


@pytest.mark.trajectory
def test_rates_that_are_tensors(tmp_path: Path) -> None:
    def made() -> pf.TorchOptimizer:
        rate = torch.tensor(LR, dtype=torch.float64)
        return pf.TorchOptimizer(optim.Adam, STEPS, scheduler=SCHEDULES["CosineAnnealingLR"], lr=rate)

    whole, again = trained(made()), in_two(made, STOPPED, tmp_path / "c.safetensors")
    assert again.history["lr"] == whole.history["lr"]
    assert torch.equal(again.net.theta, whole.net.theta)
    assert len(set(whole.history["lr"])) > STEPS / 2


def exponential(gamma: float, lr: float = LR) -> pf.TorchOptimizer:
    return pf.TorchOptimizer(optim.SGD, STEPS, scheduler=partial(lr_scheduler.ExponentialLR, gamma=gamma), lr=lr)


def of(make: Callable[[Any], Any]) -> pf.TorchOptimizer:
    return pf.TorchOptimizer(optim.SGD, STEPS, scheduler=make, lr=LR)


@pytest.mark.parametrize(
    ("saved", "now", "message"),
    [
        (exponential(0.9), exponential(0.99), r"\(sgd\.scheduler\.gamma: saved 0\.9, now 0\.99\)"),
        (exponential(0.9), exponential(0.9, 0.1), r"\(sgd\.lr: saved 0\.01, now 0\.1\)"),
        (exponential(0.9), pf.TorchOptimizer(optim.SGD, STEPS, lr=LR), r"\(sgd\.scheduler: saved {.*}, now None\)"),
        (
            of(lambda o: lr_scheduler.LambdaLR(o, lambda step: 0.9**step)),
            of(lambda o: lr_scheduler.LambdaLR(o, lambda step: 0.9 ** min(step, 40))),
            r"\(sgd\.scheduler\.lr_lambdas\[0\]\.values: other numbers\)",
        ),
        (
            of(lambda o: lr_scheduler.LambdaLR(o, Decay(0.9))),
            of(lambda o: lr_scheduler.LambdaLR(o, Decay(0.8))),
            r"\(sgd\.scheduler\.lr_lambdas\[0\]\.factor: saved 0\.9, now 0\.8\)",
        ),
        (
            of(in_sequence),
            of(lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(o, n) for n in (3, 5, 4)], [5, 16])),
            r"_schedulers\[0\]\.class: saved 'LinearLR', now 'StepLR'",
        ),
        (
            of(lambda o: lr_scheduler.OneCycleLR(o, 0.1, STEPS, cycle_momentum=False)),
            of(lambda o: lr_scheduler.OneCycleLR(o, 0.2, STEPS, cycle_momentum=False)),
            r"sgd\.scheduler\.max_lr: saved 0\.1, now 0\.2",
        ),
        (
            of(lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=1)),
            of(lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=2)),
            r"\(sgd\.scheduler\.patience: saved 1, now 2\)",
        ),
    ],
    ids=["gamma", "lr", "none", "function", "object", "sequence", "one cycle", "plateau"],
)  # fmt: skip
def test_another_schedule_is_named(saved: pf.TorchOptimizer, now: pf.TorchOptimizer, message: str) -> None:
    first = trained(saved, callbacks=stop_at(STOPPED))
    assert trained(saved, resume=first).steps == STEPS
    with pytest.raises(pf.CheckpointError, match=message):
        trained(now, resume=first)


class Listing(lr_scheduler.LRScheduler):
    """Keeps more with every step, in a list that was not empty; a schedule that keeps a set; one that fails."""

    def __init__(self, optimizer: optim.Optimizer, what: str) -> None:
        self.what: str = what
        self.kept: Any = {1} if what == "set" else [0]
        super().__init__(optimizer)

    def get_lr(self) -> Any:
        if self.what == "list":
            self.kept = [*self.kept, 0]
        if self.what == "late" and self.last_epoch == 2:
            raise ValueError("no rate of 2")
        return [group["lr"] for group in self.optimizer.param_groups]


@pytest.mark.parametrize(
    ("scheduler", "message"),
    [
        (lr_scheduler.StepLR, r"StepLR does not take the optimiser alone \(TypeError: .*write scheduler=lambda"),
        (5, "expected a function of the optimiser, got 5; e.g. scheduler=lambda"),
        (
            lr_scheduler.StepLR(optim.SGD([torch.zeros(1)]), 3),
            r"expected a function of the optimiser, got <.*StepLR object",
        ),
        (lambda o: None, "expected a schedule of torch.optim.lr_scheduler from <lambda>, got None"),
        (lambda o: [lr_scheduler.StepLR(o, 3)], r"expected .*got \[<.*; several are one by SequentialLR"),
        (lambda o: lr_scheduler.StepLR(optim.SGD([torch.zeros(1)]), 3), "StepLR is of another optimiser than <"),
        (lambda o: lr_scheduler.OneCycleLR(o, 0.1, 20), r"OneCycleLR: total_steps=20 are fewer than the 24"),
        (lambda o: lr_scheduler.LambdaLR(o, math.cos), r"LambdaLR cannot be saved \(AttributeError"),
        (partial(lr_scheduler.LambdaLR, lr_lambda=Decay()), r"it has other settings at every call \(.*\.calls: saved"),
        (partial(Listing, what="set"), r"Listing keeps what a checkpoint cannot hold: Listing\.kept, a set"),
        (partial(Listing, what="list"), r"Listing cannot be resumed: .*Listing\.kept: expected 2 entries, got 5"),
        (partial(Listing, what="late"), r"a step of Listing failed \(ValueError: no rate of 2\)"),
    ],
)  # fmt: skip
def test_what_is_no_schedule_or_cannot_be_saved_is_refused_at_once(scheduler: Any, message: str) -> None:
    with pytest.raises(pf.InputError, match=f"scheduler: {message}"):
        pf.TorchOptimizer(optim.SGD, STEPS, scheduler=scheduler, lr=LR, momentum=0.9)


def test_a_changed_state_of_a_schedule_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for number, (change, message) in enumerate(
        (
            ({"gamma": "fast"}, r"c\.safetensors: scheduler\.gamma: expected a number, got 'fast'"),
            ({"more": 1}, r"c\.safetensors: scheduler: the entry 'more' is not known"),
            ({"_last_lr": [0.1, 0.1]}, r"c\.safetensors: scheduler\._last_lr: expected 1 entries, got 2"),
        )
    ):
        path = tmp_path / str(number) / "c.safetensors"
        path.parent.mkdir()
        with monkeypatch.context() as patch:
            made = exponential(0.9)
            original = lr_scheduler.ExponentialLR.state_dict
            changed = lambda own, change=change, original=original: {**original(own), **change}  # noqa: E731
            patch.setattr(lr_scheduler.ExponentialLR, "state_dict", changed)
            trained(made, checkpoint=path, callbacks=stop_at(STOPPED))
        with pytest.raises(pf.CheckpointError, match=message):
            trained(exponential(0.9), checkpoint=path, resume=True)


@pytest.mark.trajectory
def test_sequences_are_resumed_in_each_of_their_stages(tmp_path: Path) -> None:
    def sequence() -> list[pf.Optimizer]:
        return [
            scheduled("CosineAnnealingWarmRestarts", steps=8),
            pf.TorchOptimizer(optim.SGD, 6, scheduler=SCHEDULES["ReduceLROnPlateau"], lr=1e-3),
            pf.Adam(5),
            scheduled("LambdaLR", optim.AdamW, 6),
            pf.GaussNewton(3),
        ]

    whole = trained(sequence())
    for at in (3, 11, 16, 22, 26):
        again = in_two(sequence, at, tmp_path / f"{at}.safetensors")
        assert torch.equal(again.net.theta, whole.net.theta), at
        assert again.history["loss"] == whole.history["loss"]
        # NaN where another optimiser has none.
        assert list(map(repr, again.history["lr"])) == list(map(repr, whole.history["lr"]))
    assert whole.steps == 28
    changed = [*sequence()[:3], scheduled("StepLR", optim.AdamW, 6), pf.GaussNewton(3)]
    with pytest.raises(pf.CheckpointError, match=r"adamw\.scheduler\.class: saved 'LambdaLR', now 'StepLR'"):
        trained(changed, small_network(), checkpoint=tmp_path / "3.safetensors", resume=True)


def grouped(parameters: Any) -> optim.Optimizer:
    """Weights and unknown coefficients with rates of their own."""
    return optim.SGD([{"params": parameters[:1], "lr": 1e-3}, {"params": parameters[1:], "lr": 1e-2}])


@pytest.mark.parametrize(
    ("factor", "rate", "step"),
    [
        (lambda step: 1 - step / 8, "-0.00125", 9),
        (lambda step: math.nan if step > 5 else 1.0, "nan", 6),
        (lambda step: math.inf if step == 4 else 1.0, "inf", 4),
    ],
    ids=["negative", "nan", "infinite"],
)
def test_a_rate_that_is_none_ends_training_before_its_step(factor: Any, rate: str, step: int, tmp_path: Path) -> None:
    """Down a negative one the loss climbs."""
    path, net, fine = tmp_path / "c.safetensors", small_network(), small_network()
    optimizer = of(lambda o: lr_scheduler.LambdaLR(o, factor))
    message = rf"^scheduler: LambdaLR gave SGD the rate {rate} for step {step}; expected a finite one >= 0$"
    with pytest.raises(pf.InputError, match=message) as info:
        trained(optimizer, net, checkpoint=path)
    assert (info.value.result.steps, info.value.result.ended) == (step, "failed")
    trained(pf.TorchOptimizer(optim.SGD, step, scheduler=optimizer.scheduler, lr=LR), fine)
    assert torch.equal(net.theta, fine.theta)
    with pytest.raises(pf.InputError, match=message):  # again, and nothing else
        trained(optimizer, small_network(), checkpoint=path, resume=True)


def test_rates_of_all_groups_are_looked_at() -> None:
    optimizer = pf.TorchOptimizer(
        grouped, 20, scheduler=lambda o: lr_scheduler.LambdaLR(o, [lambda step: 1.0, lambda step: 1 - step / 8])
    )
    message = r"LambdaLR gave SGD the rate -0\.00125 for step 9 in its parameter group 1; expected"
    with pytest.raises(pf.InputError, match=message):
        pf.fit(decay(), pf.MLP([1, 4, 1], dtype="float64"), optimizer)


def test_rates_at_the_start_and_of_optimisers_that_set_their_own() -> None:
    with pytest.raises(pf.InputError, match=r"scheduler: LambdaLR gave SGD the rate -0\.01 for step 0; expected"):
        of(lambda o: lr_scheduler.LambdaLR(o, lambda step: -1.0))

    class Rising(optim.SGD):
        def step(self, closure: Any = None) -> None:
            super().step(closure)
            self.param_groups[0]["lr"] -= 0.3 * LR

    with pytest.raises(pf.InputError, match=r"make: Rising gave itself the rate -0\.002 for step 4; expected"):
        trained(pf.TorchOptimizer(Rising, STEPS, lr=LR))


def test_a_rate_below_zero_by_a_rounding_is_zero_and_the_last_one_is_not_used() -> None:
    optimizer = of(lambda o: lr_scheduler.LambdaLR(o, lambda step: -1e-17 if step == 6 else 1.0))
    assert trained(optimizer).ended == "done"
    assert trained(of(lambda o: lr_scheduler.LambdaLR(o, lambda step: 1 - step / (STEPS - 1)))).history["lr"][-1] < 0
