"""What ends training by an error: of which kind it is, what is kept, and how training goes on from there."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import sympy
import torch
from failing import FILES, STEP, Fault, network
from small import small_laplace
from torch import Tensor
from toy_backend import Toy

import psinn_fast as pf
from psinn_fast.training.checkpoint import Expectations, Expected
from psinn_fast.training.optimisers.gradient_run import GradientRun
from psinn_fast.training.protocol import Optimizer, Run, Task

pytestmark = pytest.mark.usefixtures("one_thread")


@dataclass(frozen=True)
class Momentum(Optimizer):
    fault: Fault
    steps: int = 12
    name: ClassVar[str] = "momentum"  # type: ignore[misc]

    @property
    def most_steps(self) -> int:
        return self.steps

    def identity(self) -> Mapping[str, Any]:
        return {}

    def start(self, task: Task) -> Run:
        return MomentumRun(task, self)


class MomentumRun(GradientRun):
    def __init__(self, task: Task, settings: Momentum) -> None:
        super().__init__(task, settings.steps)
        self.fault, self.velocity = settings.fault, torch.zeros_like(torch.cat([self.theta, self.free]))

    def change(self, gradient: Tensor) -> Tensor:
        self.fault(self.step)
        self.velocity = 0.9 * self.velocity - 1e-3 * gradient
        return self.velocity

    def saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, numbers = super().saved()
        return {**tensors, "velocity": self.velocity}, numbers

    def expected(self, numbers: Mapping[str, Any]) -> Expectations:
        tensors, checks = super().expected(numbers)
        return Expectations({**tensors, "velocity": Expected(tuple(self.velocity.shape), self.velocity.dtype)}, checks)

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        super().restore(tensors, numbers)
        self.velocity = tensors["velocity"]


class Weights(pf.Weigher):
    fault: Fault

    def update(self, step: int) -> Tensor:
        self.fault(step)
        return self.objective.own / self.objective.losses()


@dataclass(frozen=True)
class Breaking(pf.Weighting):
    fault: Fault
    every: int = 4
    name: ClassVar[str] = "breaking"

    def start(self, objective: pf.Objective) -> pf.Weigher:
        weigher = Weights(objective)
        weigher.fault = self.fault
        return weigher

    def identity(self) -> Mapping[str, Any]:
        return {}


class Broken(torch.optim.SGD):
    """Raises with half of its work done."""

    fault: Fault

    def step(self, closure: Any = None) -> Any:
        super().step(closure)
        self.steps = getattr(self, "steps", -1) + 1
        self.fault(self.steps)


def breaking(kind: str, fault: Fault) -> dict[str, Any]:
    """Arguments of `fit`."""

    def broken(progress: pf.Progress) -> None:
        fault(progress.step)

    match kind:
        case "optimiser":
            return {"optimizer": Momentum(fault)}
        case "second":
            return {"optimizer": [pf.Adam(3), Momentum(fault)]}
        case "weighting":
            return {"optimizer": pf.Adam(20), "weighting": Breaking(fault)}
        case "weighting, own optimiser":
            fine = Fault()
            fine.armed = False
            return {"optimizer": Momentum(fine), "weighting": Breaking(fault)}
    return {"optimizer": pf.Adam(20), "options": pf.Options(callbacks=broken)}


@pytest.mark.parametrize("kind", ["optimiser", "second", "weighting", "weighting, own optimiser", "callback"])
@pytest.mark.parametrize("way", ["file", "result"])
def test_training_goes_on_from_where_an_exception_ended_it(kind: str, way: str, tmp_path: Path) -> None:
    """To the weights of a run without it."""
    fault, path, whole = Fault(), tmp_path / "c.safetensors", network()
    fault.armed = False
    pf.fit(small_laplace(5), whole, **breaking(kind, fault))
    fault.armed, net = True, network()
    with pytest.raises(pf.TrainingError, match="KeyError") as info:
        pf.fit(small_laplace(5), net, checkpoint=path, **breaking(kind, fault))
    error = info.value
    assert isinstance(error.__cause__, KeyError)
    assert error.net is net
    assert not torch.equal(net.theta, network().theta)
    steps = error.result.steps
    # A callback is told of a row after the steps of the moment; the second optimiser counts from 0.
    assert kind != "weighting" or "training by adam with the weighting breaking failed" in str(error)
    assert steps >= STEP if kind == "callback" else steps == STEP + 3 * (kind == "second")
    assert len(error.result.history) > 0
    assert error.result.losses.keys() == {"residual", "dirichlet"}
    fault.armed, again = False, network(seed=5)
    arguments = breaking(kind, fault)
    arguments["options"] = pf.Options(resume=error.result if way == "result" else True)
    pf.fit(small_laplace(5), again, checkpoint=path if way == "file" else None, **arguments)
    assert torch.equal(again.theta, whole.theta)


def test_the_message_says_who_failed_where_and_what_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    message = (
        rf"training by momentum failed at step {STEP} \(KeyError: 'a bug'\); the weights of that step are kept in "
    )
    with pytest.raises(pf.TrainingError, match=message + r"the network and in .*c\.safetensors$"):
        pf.fit(small_laplace(5), network(), Momentum(Fault()), checkpoint=path)
    with pytest.raises(pf.TrainingError, match=message + r"the network$") as info:
        pf.fit(small_laplace(5), network(), Momentum(Fault()))
    result = info.value.result
    assert (result.ended, result.stopped_by, result.status) == ("failed", "KeyError: 'a bug'", "failed")


def test_what_the_next_optimiser_does_at_its_start_costs_nothing_of_the_one_before() -> None:
    class Late(Momentum):
        def start(self, task: Task) -> Run:
            raise KeyError("a bug")

    net, fault = network(), Fault()
    fault.armed = False
    with pytest.raises(pf.TrainingError) as info:
        pf.fit(small_laplace(5), net, [pf.Adam(6), Late(fault)])
    alone, again = network(), network(seed=3)
    pf.fit(small_laplace(5), alone, pf.Adam(6))
    assert torch.equal(net.theta, alone.theta)
    assert info.value.result.steps == 6
    whole = network()
    pf.fit(small_laplace(5), whole, [pf.Adam(6), Momentum(fault)])
    options = pf.Options(resume=info.value.result)
    pf.fit(small_laplace(5), again, [pf.Adam(6), Momentum(fault)], options=options)
    assert torch.equal(again.theta, whole.theta)


def diverged(out: Path | None = None) -> pf.DivergedError:
    """sqrt(u - 0.2) -> 0, by steps that are too long."""
    box = pf.Box(x=(0, 1))
    pde = pf.PDE("x", "u", lambda u: sympy.sqrt(u - 0.2))
    problem, net = pf.Problem("root", pde, box, [pf.Residual(box.grid(5))]), pf.MLP([1, 4, 1], dtype="float64")
    with torch.no_grad():
        net.theta[-1] = 2.0
    with pytest.raises(pf.DivergedError) as info:
        pf.solve(problem, net, pf.Adam(25, lr=0.2), out=out)
    return info.value


def test_a_run_that_diverged_is_in_its_error() -> None:
    error = diverged()
    assert error.result.ended == "diverged"
    assert error.result.stopped_by == "term 'residual'"
    assert error.result.steps > 0
    assert bool(torch.isfinite(error.net.theta).all())
    assert error.result.snapshot is not None


@pytest.mark.parametrize("kind", ["diverged", "optimiser", "callback"])
def test_errors_are_pickled_with_what_they_carry(kind: str) -> None:
    if kind == "diverged":
        error: pf.PsinnFastError = diverged()
    else:
        with pytest.raises(pf.TrainingError) as info:
            pf.fit(small_laplace(5), network(), **breaking(kind, Fault()))
        error = info.value
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))
    assert torch.equal(again.net.theta, error.net.theta)
    assert again.result.history.to_csv() == error.result.history.to_csv()
    assert again.result.snapshot.numbers == error.result.snapshot.numbers


def test_errors_that_ended_no_training_carry_none() -> None:
    error = pf.InputError("net: none")
    assert (error.net, error.result) == (None, None)


@pytest.mark.parametrize("kind", ["diverged", "optimiser", "weighting", "callback"])
def test_solve_writes_what_was_reached(kind: str, tmp_path: Path) -> None:
    if kind == "diverged":
        diverged(tmp_path)
    else:
        with pytest.raises(pf.TrainingError):
            pf.solve(small_laplace(5), pf.Network(layers=[2, 5, 1]), out=tmp_path, **breaking(kind, Fault()))
    assert {path.name for path in tmp_path.iterdir()} == FILES
    found = json.loads((tmp_path / "result.json").read_text())
    assert found["ended"] == ("diverged" if kind == "diverged" else "failed")


class Ends(pf.Callback):
    def on_end(self, result: pf.FitResult) -> None:
        raise KeyError("a bug")


def test_a_bug_at_the_end_costs_nothing_of_a_finished_run(tmp_path: Path) -> None:
    options = pf.Options(callbacks=Ends())
    with pytest.raises(pf.CallbackError, match="callback Ends: its on_end failed at step 6") as info:
        pf.solve(small_laplace(5), pf.Network(layers=[2, 5, 1]), pf.Adam(6), out=tmp_path, options=options)
    assert (info.value.result.ended, info.value.result.steps) == ("done", 6)
    assert info.value.result.held_out
    assert {path.name for path in tmp_path.iterdir()} == FILES
    plain = pf.solve(small_laplace(5), pf.Network(layers=[2, 5, 1]), pf.Adam(6))
    assert torch.equal(info.value.net.theta, plain.net.theta)


def test_half_a_step_of_torch_is_undone() -> None:
    """Bit for bit is what the optimiser makes of it; the weights are those before the step."""

    def made(parameters: Any) -> torch.optim.Optimizer:
        optimizer = Broken(parameters, lr=1e-3)
        optimizer.fault = Fault()
        return optimizer

    net, fine = network(), network()
    with pytest.raises(pf.TrainingError, match=f"at step {STEP}") as info:
        pf.fit(small_laplace(5), net, pf.TorchOptimizer(made, 20))
    pf.fit(small_laplace(5), fine, pf.TorchOptimizer(torch.optim.SGD, STEP, lr=1e-3))
    assert info.value.result.steps == STEP
    assert torch.equal(net.theta, fine.theta)


def test_a_state_that_cannot_be_saved_is_said_and_the_weights_are_kept(tmp_path: Path) -> None:
    class Lost(MomentumRun):
        def saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
            if self.step:
                raise KeyError("a bug")
            return super().saved()

    class Losing(Momentum):
        def start(self, task: Task) -> Run:
            return Lost(task, self)

    net, fault = network(), Fault()
    fault.armed = False
    path = tmp_path / "c.safetensors"
    with (
        pytest.warns(pf.CheckpointWarning, match="the state of Lost cannot be saved"),
        pytest.raises(pf.TrainingError) as info,
    ):
        pf.fit(small_laplace(5), net, Losing(fault), checkpoint=path)
    assert not torch.equal(net.theta, network().theta)
    assert info.value.result.snapshot is None
    with pytest.raises(pf.InputError, match="resume: this result does not say where its training was"):
        pf.Options(resume=info.value.result)


def test_metrics_that_fail_with_a_backend_hide_no_error(tmp_path: Path) -> None:
    class Ending(Toy):
        name = "ending"
        is_broken = False

        def _jets(self, *arguments: Any) -> Tensor:
            if self.is_broken:
                raise KeyError("a bug")
            return super()._jets(*arguments)

    def break_it(progress: pf.Progress) -> None:
        backend.is_broken = progress.step >= STEP

    backend = Ending()
    pf.register_backend(backend)
    options = pf.Options(backend="ending", callbacks=break_it)
    try:
        with pytest.raises(pf.TrainingError, match=rf"training by adam failed at step {STEP + 1} .*a bug"):
            pf.solve(small_laplace(5), pf.Network(layers=[2, 5, 1]), pf.Adam(20), out=tmp_path, options=options)
    finally:
        pf.unregister_backend("ending")
    assert json.loads((tmp_path / "result.json").read_text())["relative_l2"] is None
