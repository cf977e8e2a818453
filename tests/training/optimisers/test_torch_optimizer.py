"""Optimisers of torch, given by class, function or partial: what they are told counts, what cannot train is refused."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from small import decay, small_laplace
from torch import optim
from torch.optim import lr_scheduler
from torch_runs import in_two, small_network, stop_at, trained

import psinn_fast as pf

pytestmark = pytest.mark.usefixtures("one_thread")

Given = Callable[[float], pf.TorchOptimizer]


def sgd(lr: float) -> Callable[[Any], optim.Optimizer]:
    return lambda parameters: optim.SGD(parameters, lr=lr)


class Noted(optim.SGD):
    """Settings that torch knows nothing of."""

    def __init__(self, parameters: Any, lr: float, factor: float = 1.0) -> None:
        super().__init__(parameters, lr=lr)
        self.factor = factor


WAYS: dict[str, Given] = {
    "class": lambda lr: pf.TorchOptimizer(optim.SGD, 20, lr=lr),
    "function": lambda lr: pf.TorchOptimizer(sgd(lr), 20),
    "partial": lambda lr: pf.TorchOptimizer(partial(optim.SGD, lr=lr), 20),
    "tensor": lambda lr: pf.TorchOptimizer(lambda p: optim.Adam(p, lr=torch.tensor(lr, dtype=torch.float64)), 20),
}


@pytest.mark.parametrize("way", WAYS)
def test_other_settings_are_named_whichever_way_they_were_given(way: str, tmp_path: Path) -> None:
    given = WAYS[way]
    name = "adam" if way == "tensor" else "sgd"
    path = tmp_path / "c.safetensors"
    whole, again = trained(given(1e-3)), in_two(lambda: given(1e-3), 7, path)
    assert torch.equal(whole.net.theta, again.net.theta)
    first = trained(given(1e-3), callbacks=stop_at(7))
    for resumed in ({"checkpoint": path, "resume": True}, {"resume": first}):
        with pytest.raises(pf.CheckpointError, match=rf"another run \({name}\.lr: saved 0\.001, now 0\.1\)"):
            trained(given(1e-1), **resumed)


def test_one_run_whichever_way_its_settings_were_given() -> None:
    first = trained(WAYS["class"](1e-3), callbacks=stop_at(7))
    assert trained(WAYS["partial"](1e-3), resume=first).steps == 20
    assert trained(WAYS["function"](1e-3), resume=first).steps == 20


@pytest.mark.parametrize(
    ("saved", "now", "message"),
    [
        (sgd(1e-3), lambda p: optim.AdamW(p, lr=1e-3), r"optimizers: saved \['sgd'\], now \['adamw'\]"),
        (sgd(1e-3), lambda p: optim.SGD(p, lr=1e-3, momentum=0.9), r"sgd\.momentum: saved 0, now 0\.9"),
        (
            lambda p: optim.Adam(p),
            lambda p: optim.Adam(p, betas=(0.9, 0.99)),
            r"adam\.betas: saved \[0\.9, 0\.999\], now \[0\.9, 0\.99\]",
        ),
        (lambda p: Noted(p, 1e-3), lambda p: Noted(p, 1e-3, 2.0), r"noted\.factor: saved 1\.0, now 2\.0"),
        (
            lambda p: optim.SGD([{"params": p[:1]}, {"params": p[1:], "lr": 1e-2}], lr=1e-3),
            lambda p: optim.SGD([{"params": p[:1]}, {"params": p[1:], "lr": 1e-1}], lr=1e-3),
            r"\(sgd\.group 2\.lr: saved 0\.01, now 0\.1\)",
        ),
    ],
    ids=["class", "momentum", "betas", "own", "groups"],
)
def test_what_differs_between_functions(saved: Any, now: Any, message: str) -> None:
    first = trained(pf.TorchOptimizer(saved, 12), callbacks=stop_at(7))
    with pytest.raises(pf.CheckpointError, match=message):
        trained(pf.TorchOptimizer(now, 12), resume=first)


def test_a_state_that_does_not_fit_is_named(tmp_path: Path) -> None:
    """Of a function that makes another optimiser of real parameters than of those it is tried on."""
    switch = {"adamw": False}

    def chosen(parameters: Any) -> optim.Optimizer:
        if switch["adamw"] and parameters[0].numel() > 2:
            return optim.AdamW(parameters, lr=1e-3)
        return optim.SGD(parameters, lr=1e-3)

    path = tmp_path / "c.safetensors"
    trained(pf.TorchOptimizer(chosen, 12), checkpoint=path, callbacks=stop_at(7))
    switch["adamw"] = True
    with pytest.raises(pf.CheckpointError, match=r"c\.safetensors: optimizer\.groups\.0: the entry 'momentum' is not"):
        trained(pf.TorchOptimizer(chosen, 12), checkpoint=path, resume=True)


def test_a_state_without_what_a_step_reads_is_no_key_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    with monkeypatch.context() as patch:
        patch.setattr(optim.AdamW, "state_dict", _without_moments)
        trained(pf.TorchOptimizer(optim.AdamW, 12), checkpoint=path, callbacks=stop_at(7))
    with pytest.raises(pf.CheckpointError, match=r"c\.safetensors: optimizer: its state does not fit AdamW \(KeyError"):
        trained(pf.TorchOptimizer(optim.AdamW, 12), checkpoint=path, resume=True)


def _without_moments(optimizer: optim.Optimizer) -> dict[str, Any]:
    found = optim.Optimizer.state_dict(optimizer)
    return {**found, "state": {k: {"step": own["step"]} for k, own in found["state"].items()}}


class Anchored(optim.SGD):
    """Keeps one tensor twice, a parameter."""

    def step(self, closure: Any = None) -> Any:
        for p in self.param_groups[0]["params"]:
            self.state[p].update(first=p, second=p)
        return super().step(closure)


def test_a_state_that_has_a_tensor_twice(tmp_path: Path) -> None:
    whole = trained(pf.TorchOptimizer(Anchored, 20))
    again = in_two(lambda: pf.TorchOptimizer(Anchored, 20), 7, tmp_path / "c.safetensors")
    assert torch.equal(again.net.theta, whole.net.theta)


def scheduled_within(parameters: Any) -> optim.Optimizer:
    made = optim.SGD(parameters, lr=1e-2)
    lr_scheduler.StepLR(made, 10)
    return made


class Scheduled(optim.Adam):
    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters)
        self.schedule = lr_scheduler.ReduceLROnPlateau(self)


class Queued(optim.SGD):
    """Keeps what JSON has not."""

    def step(self, closure: Any = None) -> Any:
        found = super().step(closure)
        self.state[self.param_groups[0]["params"][0]]["seen"] = deque([1])
        return found


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (optim.SparseAdam, {}, "SparseAdam cannot train here: its step failed.*dense gradients, please consider Adam"),
        (optim.Adam, {"differentiable": True}, "Adam: differentiable=True: no gradient passes through .*leave it out"),
        (optim.SGD, {"maximize": True}, "SGD: maximize=True: training minimises the loss; leave it out"),
        (optim.SGD, {"lr": float("nan")}, "SGD: lr: expected a number, got nan"),
        (lambda p: optim.SGD([torch.zeros(3, requires_grad=True)]), {}, "SGD trains other tensors than the parameters"),
        (lambda p: optim.SGD([*p, torch.zeros(3, requires_grad=True)]), {}, "SGD trains other tensors than"),
        (lambda p: optim.SGD([q.detach().clone().requires_grad_() for q in p]), {}, "SGD trains other tensors than"),
        (scheduled_within, {}, r"SGD has a learning-rate schedule made within it, .*TorchOptimizer\(make, steps, sch"),
        (Scheduled, {}, "Scheduled has a learning-rate schedule made within it"),
        (lambda p: (optim.SGD(p), None), {}, "expected an optimiser of torch.optim from .*schedule by itself, sch"),
        (lambda p: optim.SGD(p[2]), {}, "does not take its parameters .IndexError: .*they are a list of the weights"),
        (optim.AdamW, {"learning_rate": 1}, "AdamW does not take {'learning_rate': 1}"),
        (Queued, {}, "Queued keeps what a checkpoint cannot hold: its state.0.seen, a deque"),
        *([(optim.Muon, {}, "Muon does not take its parameters .ValueError: .*2D")] if hasattr(optim, "Muon") else []),
    ],
)  # fmt: skip
def test_what_cannot_train_is_refused_at_once(make: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(pf.InputError, match=f"make: .*{message}"):
        pf.TorchOptimizer(make, 20, **options)


def test_what_cannot_train_this_problem_is_refused_before_others_train() -> None:
    def only_coefficients(parameters: Any) -> optim.Optimizer:
        return optim.SGD([parameters[1]], lr=1e-2)

    net = small_network()
    before = net.theta.detach().clone()
    sequence = [pf.Adam(5), pf.TorchOptimizer(only_coefficients, 5)]
    with pytest.raises(pf.InputError, match="make: only_coefficients does not take its parameters"):
        trained(sequence, net)
    assert torch.equal(net.theta, before)


def test_capturable_is_for_gpus() -> None:
    with pytest.raises(pf.InputError, match="capturable=True is for GPUs"):
        trained(pf.TorchOptimizer(optim.Adam, 5, capturable=True))


@pytest.mark.trajectory
def test_groups_have_their_own_rates_and_are_resumed() -> None:
    def grouped(parameters: Any) -> optim.Optimizer:
        weights, coefficients = parameters
        return optim.Adam([{"params": [weights]}, {"params": [coefficients], "lr": 0.1}], lr=1e-3)

    def alone(parameters: Any) -> optim.Optimizer:
        return optim.Adam([parameters[1]], lr=0.1)

    def fitted(make: Any, seed: int, **options: Any) -> pf.FitResult:
        net = pf.MLP([1, 4, 1], seed=seed, dtype="float64")
        return pf.fit(decay(), net, pf.TorchOptimizer(make, 30), options=pf.Options(**options))

    whole = fitted(grouped, 0)
    again = fitted(grouped, 5, resume=fitted(grouped, 0, callbacks=stop_at(11)))
    assert torch.equal(again.net.theta, whole.net.theta)
    assert again.coefficients == whole.coefficients
    moved = abs(whole.coefficients["k"] - 0.5)
    assert moved > 20 * abs(fitted(partial(optim.Adam, lr=1e-3), 0).coefficients["k"] - 0.5)  # a rate 100 times larger
    held = fitted(alone, 0)
    assert torch.equal(held.net.theta, pf.MLP([1, 4, 1], seed=0, dtype="float64").theta)
    assert held.coefficients["k"] != 0.5


ALL = [
    made
    for made in (getattr(optim, name) for name in sorted(dir(optim)))
    if isinstance(made, type) and issubclass(made, optim.Optimizer)
    if made.__name__ not in ("Optimizer", "SparseAdam", "LBFGS", "Muon")
]


@pytest.mark.trajectory
@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_optimiser_of_torch_is_resumed_bit_for_bit(make: Any, dtype: str) -> None:
    """Some keep numbers of another dtype than the parameters', which torch changes when it loads them."""

    def fitted(steps: int, seed: int, **options: Any) -> pf.FitResult:
        net = pf.MLP([2, 5, 1], seed=seed, dtype=dtype)
        return pf.fit(small_laplace(5), net, pf.TorchOptimizer(make, steps), options=pf.Options(**options))

    whole = fitted(24, 1)
    again = fitted(24, 9, resume=fitted(13, 1))
    assert torch.equal(again.net.theta, whole.net.theta)


@pytest.mark.trajectory
@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs_gets_the_closure_that_it_needs(search: str | None, tmp_path: Path) -> None:
    def made() -> pf.TorchOptimizer:
        return pf.TorchOptimizer(optim.LBFGS, 12, max_iter=4, line_search_fn=search)

    whole, again = trained(made()), in_two(made, 7, tmp_path / "c.safetensors")
    assert torch.equal(again.net.theta, whole.net.theta)
    assert whole.loss < 0.6 * whole.history["loss"][0]


def test_no_steps_and_names_and_texts() -> None:
    none = pf.TorchOptimizer(sgd(1e-2), 0)
    net = small_network()
    before = net.theta.detach().clone()
    assert trained(none, net).steps == 0
    assert torch.equal(net.theta, before)
    assert none.name == "sgd"
    assert repr(pf.TorchOptimizer(optim.AdamW, 5, lr=0.1)) == "TorchOptimizer(adamw, 5, lr=0.1)"
    assert pf.fit(small_laplace(5), net, pf.TorchOptimizer(optim.AdamW, 2)).steps == 2


def test_trying_out_draws_nothing_from_the_random_numbers_of_the_user() -> None:
    class Noisy(optim.SGD):
        def step(self, closure: Any = None) -> Any:
            torch.randn(3)
            return super().step(closure)

    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    pf.TorchOptimizer(Noisy, 5)
    assert torch.equal(torch.rand(2), expected)
    assert re.match("noisy", pf.TorchOptimizer(Noisy, 5).name)
