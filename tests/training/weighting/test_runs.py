"""Weightings in training: optimisers that take them, resuming bit for bit, the history, a user's own, bad input."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from small import small_laplace
from torch import Tensor

import psinn_fast as pf
from psinn_fast.kernels import get_backend
from psinn_fast.training.checkpoint import Expectations, Expected
from psinn_fast.training.optimisers.gradient_run import GradientRun
from psinn_fast.training.protocol import Optimizer, Task

pytestmark = pytest.mark.usefixtures("one_thread")

WEIGHTINGS = (
    pf.TraceBalance(every=20),
    pf.GradientNorms(every=7),
    pf.NTK(every=20),
    pf.ResidualAttention(every=3),
    pf.SelfAdaptive(every=3),
    pf.Causal(every=7, slabs=4),
)


def heat(n: int = 9) -> pf.Problem:
    box = pf.Box(t=(0, 1), x=(-1, 1))
    start = pf.Dirichlet(box.face("t", "low", n), u=lambda t, x: 1 - x**2, name="start")
    walls = [pf.Dirichlet(box.face("x", end, n), u=0.0, name=end) for end in ("low", "high")]
    pde = pf.PDE("t x", "u", lambda u: u.t - 0.1 * u.xx)
    return pf.Problem("heat", pde, box, [pf.Residual(box.grid(n)), start, *walls])


def network(seed: int = 1, dtype: torch.dtype = torch.float32) -> pf.MLP:
    return pf.MLP([2, 6, 6, 1], seed=seed, dtype=dtype)


@dataclass(frozen=True)
class Descent(Optimizer):
    """An optimiser of a user's own: normalised gradient descent."""

    name: ClassVar[str] = "descent"
    steps: int = 10

    @property
    def most_steps(self) -> int:
        return self.steps

    def identity(self) -> dict[str, Any]:
        return {}

    def start(self, task: Task) -> DescentRun:
        return DescentRun(task, self.steps)


class DescentRun(GradientRun):
    def change(self, gradient: Tensor) -> Tensor:
        return -1e-2 * gradient / gradient.norm()


def same(one: pf.History, other: pf.History) -> bool:
    """But for the time, and for looks at the held-out loss, of which there are more in a run of several parts."""
    return one.columns == other.columns and all(
        np.array_equal(one[name], other[name], equal_nan=True)
        for name in one.columns
        if name not in ("seconds", "held_out")
    )


@pytest.mark.parametrize("weighting", WEIGHTINGS, ids=lambda one: one.name)
@pytest.mark.parametrize("optimizer", ["adam", "torch", "own"])
@pytest.mark.trajectory
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(
    weighting: pf.Weighting, optimizer: str, tmp_path: Path
) -> None:
    def train(net: pf.MLP, steps: int, **settings: Any) -> pf.training.FitResult:
        own = {
            "adam": pf.Adam(steps, 3e-3),
            "torch": pf.TorchOptimizer(torch.optim.RMSprop, steps, lr=1e-3),
            "own": Descent(steps),
        }
        return pf.fit(heat(), net, own[optimizer], weighting=weighting, **settings)

    whole, last = network(), network(seed=8)
    uninterrupted = train(whole, 50)
    path, resumed = tmp_path / "c.safetensors", pf.Options(resume=True)
    train(network(), 17, checkpoint=path)
    train(network(seed=7), 20, checkpoint=path, options=resumed)  # where some weights are due
    part = train(last, 50, checkpoint=path, options=resumed)
    assert torch.equal(whole.theta, last.theta)
    assert part.steps == 50
    assert part.losses == uninterrupted.losses
    assert same(part.history, uninterrupted.history)


@pytest.mark.trajectory
@pytest.mark.parametrize("weighting", WEIGHTINGS, ids=lambda one: one.name)
def test_losses_are_unweighted_and_the_history_has_the_weights(weighting: pf.Weighting) -> None:
    problem, net = heat(), network()
    result = pf.fit(problem, net, pf.Adam(40, 3e-3), weighting=weighting, options=pf.Options(scaling=None))
    engine, theta = get_backend(), net.theta.detach()
    plain = engine.loss_and_gradient(net.plan, theta, torch.empty(0), problem.terms(), problem.weights()).losses
    assert list(result.losses.values()) == pytest.approx(plain.tolist(), rel=1e-5)
    assert result.history["residual"][-1] == pytest.approx(float(plain[0]), rel=1e-5)
    first = network()
    at_first = engine.loss_and_gradient(
        first.plan, first.theta.detach(), torch.empty(0), problem.terms(), problem.weights()
    ).losses
    for name, loss in zip(problem.term_names, at_first.tolist(), strict=True):
        assert result.history[name][0] == pytest.approx(loss, rel=1e-5)
        assert all(weight >= 0 for weight in result.history[f"weight_{name}"])
    assert result.loss == pytest.approx(sum(result.losses.values()))
    moved = [name for name in problem.term_names if len(set(result.history[f"weight_{name}"])) > 1]
    assert moved, "no weight has changed"


@pytest.mark.trajectory
def test_fixed_weights_train_as_none_and_leave_no_columns() -> None:
    nets = [network(), network()]
    results = [
        pf.fit(heat(), net, pf.Adam(30, 3e-3), weighting=weighting)
        for net, weighting in zip(nets, (None, "fixed"), strict=True)
    ]
    assert torch.equal(nets[0].theta, nets[1].theta)
    assert results[0].history.columns == results[1].history.columns


@pytest.mark.trajectory
def test_a_training_by_hand_with_the_weights_of_the_history_is_the_same() -> None:
    """What Adam minimises between two updates is the sum of the losses with the history's weights."""
    problem, net, by_hand = heat(), network(), network()
    result = pf.fit(
        problem, net, pf.Adam(20, 3e-3), weighting=pf.GradientNorms(every=10), options=pf.Options(scaling=None)
    )
    from psinn_fast.kernels.contract import AdamState

    state = AdamState(by_hand.theta.detach().clone(), torch.empty(0), 3e-3)
    for step in (0, 10):
        weights = torch.tensor([result.history[f"weight_{name}"][step] for name in problem.term_names])
        get_backend().train(by_hand.plan, state, problem.terms(), weights, 10)
    torch.testing.assert_close(net.theta.detach(), state.theta, rtol=1e-5, atol=1e-6)


def test_points_with_weights_of_their_own_stay_and_causal_ones_may_be_drawn_anew() -> None:
    from psinn_fast.training.optimisers.first_order import FirstOrder

    for weighting, may in ((pf.ResidualAttention(), False), (pf.SelfAdaptive(), False), (pf.Causal(), True)):
        seen: list[FirstOrder] = []
        original = FirstOrder.__init__

        def noted(self: FirstOrder, *args: Any, original: Any = original, seen: Any = seen, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            seen.append(self)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FirstOrder, "__init__", noted)
            pf.fit(heat(), network(), pf.Adam(1, 1e-3), weighting=weighting)
        assert seen[0]._redraws == may


@pytest.mark.trajectory
def test_causal_weights_follow_points_that_are_drawn_anew(tmp_path: Path) -> None:
    from psinn_fast.training.optimisers.first_order import FirstOrder

    class Adapted(FirstOrder):
        pass

    original = FirstOrder.__init__
    runs: list[FirstOrder] = []

    def adapted(self: FirstOrder, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self._adapted = True
        runs.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FirstOrder, "__init__", adapted)
        pf.fit(heat(), network(), pf.Adam(150, 3e-3), weighting=pf.Causal(every=1_000, slabs=4, epsilon=(1.0,)))
    (run,) = runs
    term = run.terms[0]
    assert not torch.equal(term.points, heat().terms()[0].points)
    slab = (term.points[0, :, 0] * 4).long().clamp(max=3)
    roots = run._weighed.saved().tensors["weighting.roots"]
    assert torch.equal(term.columns[:, -1], roots[slab])
    assert float(roots[-1]) < 1


@pytest.mark.trajectory
def test_the_next_optimiser_goes_on_with_the_weights_and_lbfgs_keeps_them() -> None:
    weighting = pf.GradientNorms(every=10)
    optimizers = [pf.Adam(30, 3e-3), pf.LBFGS(5)]
    result = pf.fit(heat(), network(), optimizers, weighting=weighting)
    alone = pf.fit(heat(), network(), pf.Adam(30, 3e-3), weighting=weighting)
    for name in heat().term_names:
        found = result.history[f"weight_{name}"]
        last = [weight for step, weight in zip(result.history["step"], found, strict=True) if step >= 30]
        assert len(set(last)) == 1
        # Adam's last row has the weights of its last update, at step 20.
        assert last[0] == pytest.approx(alone.history[f"weight_{name}"][-1], rel=1e-6)


def test_lbfgs_alone_takes_the_weights_of_its_start() -> None:
    result = pf.fit(heat(), network(dtype=torch.float64), pf.LBFGS(5), weighting="ntk")
    weights = [result.history[f"weight_{name}"] for name in heat().term_names]
    assert all(len(set(found)) == 1 for found in weights)
    assert len({found[0] for found in weights}) > 1


def test_gauss_newton_takes_fixed_weights_and_balance_alone() -> None:
    problem, settings = small_laplace(), pf.GaussNewton(3)
    found = {}
    for weighting in (None, "fixed", "trace-balance"):
        net = network(dtype=torch.float64)
        result = pf.fit(problem, net, settings, weighting=weighting)
        found[weighting] = net.theta.detach().clone()
        assert ("weight_dirichlet" in result.history.columns) == (weighting == "trace-balance")
    assert torch.equal(found[None], found["trace-balance"])
    by_hand = network(dtype=torch.float64)
    pf.fit(problem, by_hand, dataclasses.replace(settings, balance=False))
    assert torch.equal(found["fixed"], by_hand.theta.detach())
    with pytest.raises(pf.InputError, match=r"weighting: gauss-newton takes 'fixed' and 'trace-balance' only, got"):
        pf.fit(problem, network(dtype=torch.float64), [pf.Adam(1), settings], weighting="gradient-norms")
    with pytest.raises(pf.InputError, match="every: has no effect on gauss-newton"):
        pf.fit(problem, network(dtype=torch.float64), settings, weighting=pf.TraceBalance(every=3))


# A weighting of a user's own, in about 20 lines.


@dataclass(frozen=True)
class InverseLosses(pf.Weighting):
    """Terms weigh in inverse proportion to their losses."""

    name: ClassVar[str] = "inverse-losses"
    every: int = 5

    def start(self, objective: pf.Objective) -> pf.Weigher:
        return Inverse(objective)


class Inverse(pf.Weigher):
    def __init__(self, objective: pf.Objective) -> None:
        super().__init__(objective)
        self.average = torch.ones_like(objective.own)

    def update(self, step: int) -> Tensor:
        self.average.lerp_(self.objective.losses(), 0.5)
        return self.objective.own / self.average

    def saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {"average": self.average}, {}

    def expected(self) -> Expectations:
        return Expectations({"average": Expected(tuple(self.average.shape), self.average.dtype)}, {})

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        self.average.copy_(tensors["average"])


@pytest.mark.trajectory
def test_a_weighting_of_ones_own_trains_is_recorded_and_resumed(tmp_path: Path) -> None:
    path, net = tmp_path / "c.safetensors", network()
    whole = pf.fit(heat(), net, pf.Adam(40, 3e-3), weighting=InverseLosses())
    ratios = [b / a for a, b in zip(whole.history["weight_residual"], whole.history["weight_start"], strict=True)]
    assert len(set(ratios)) == 8
    pf.fit(heat(), network(), pf.Adam(17, 3e-3), weighting=InverseLosses(), checkpoint=path)
    other = network(seed=5)
    resumed = pf.Options(resume=True)
    result = pf.fit(heat(), other, pf.Adam(40, 3e-3), weighting=InverseLosses(), checkpoint=path, options=resumed)
    assert torch.equal(net.theta, other.theta)
    assert result.losses == whole.losses
    with pytest.raises(pf.CheckpointError, match=r"weighting\.every: saved 5, now 6"):
        pf.fit(heat(), other, pf.Adam(40, 3e-3), weighting=InverseLosses(6), checkpoint=path, options=resumed)
    with pytest.raises(pf.CheckpointError, match="weighting"):
        pf.fit(heat(), other, pf.Adam(40, 3e-3), checkpoint=path, options=resumed)


@pytest.mark.parametrize("returned", [torch.ones(2), 3.0, -torch.ones(4)], ids=["shape", "number", "negative"])
def test_what_a_weigher_returns_is_checked(returned: Any) -> None:
    class Wrong(Inverse):
        def update(self, step: int) -> Tensor:
            return returned

    class Bad(InverseLosses):
        def start(self, objective: pf.Objective) -> pf.Weigher:
            return Wrong(objective)

    with pytest.raises(pf.InputError, match="weighting: inverse-losses: update: expected a tensor of 4 weights >= 0"):
        pf.fit(heat(), network(), pf.Adam(5), weighting=Bad())


def test_an_operation_that_a_backend_lacks_is_named() -> None:
    class Poor(type(get_backend("reference"))):
        name = "poor"

        def _residual_jacobian(self, *arguments: Any) -> Any:
            raise NotImplementedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("psinn_fast.training.fitting.get_backend", lambda *_: Poor())
        with pytest.raises(
            pf.InputError, match="weighting: ntk needs the operation 'residual_jacobian', which backend 'poor' lacks"
        ):
            pf.fit(heat(), network(), pf.Adam(5), weighting="ntk")


def measured() -> pf.Problem:
    box = pf.Box(x=(0, 1), y=(0, 1))
    pde = pf.PDE("x y", "u", lambda u: u.xx + u.yy)
    return pf.Problem("measured", pde, box, [pf.Data([[0.5, 0.5], [0.2, 0.7]], u=[1.0, 2.0])])


def weightless() -> pf.Problem:
    box = pf.Box(x=(0, 1), y=(0, 1))
    wall = pf.Dirichlet(box.boundary(5), u=0.0, weight=0.0, name="wall")
    return pf.Problem("p", pf.PDE("x y", "u", lambda u: u.lap + 1), box, [pf.Residual(box.grid(5)), wall])


@pytest.mark.parametrize(
    ("weighting", "problem", "message"),
    [
        ("gradient-norm", heat, "weighting: expected None, one of .*'gradient-norms'.*, got 'gradient-norm'"),
        (3, heat, "weighting: expected None, one of .*, got 3"),
        (pf.Causal, heat, "weighting: expected None, one of"),
        ("causal", small_laplace, "weighting: causal needs to know which coordinate of 'small' is time"),
        ("gradient-norms", measured, "'measured' has no equation there"),
        ("trace-balance", measured, "'measured' has no term on the boundary"),
        ("ntk", measured, "'measured' has only one"),
        ("self-adaptive", measured, "'measured' has nothing else"),
        ("residual-attention", measured, "'measured' has none$"),
        ("gradient-norms", weightless, r"has no other condition of a positive weight \('wall' has weight 0\)"),
        ("trace-balance", weightless, r"no term on the boundary of a positive weight \('wall' has weight 0\)"),
        ("ntk", weightless, r"has only one of a positive weight \('wall' has weight 0\)"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_does_not_fit_is_refused(weighting: Any, problem: Any, message: str) -> None:
    with pytest.raises(pf.InputError, match=message):
        pf.fit(problem(), network(), pf.Adam(5), weighting=weighting)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pf.GradientNorms(every=0), "every: expected an integer >= 1"),
        (lambda: pf.GradientNorms(keep=1.0), "keep: expected"),
        (lambda: pf.NTK(every=0.5), "every: expected"),
        (lambda: pf.TraceBalance(every=-1), "every: expected None or"),
        (lambda: pf.ResidualAttention(decay=1.0), "decay: expected"),
        (lambda: pf.ResidualAttention(rate=0), "rate: expected"),
        (lambda: pf.SelfAdaptive(rate=-1), "rate: expected"),
        (lambda: pf.Causal(epsilon=(1.0, 0.1)), "epsilon: expected increasing numbers > 0"),
        (lambda: pf.Causal(epsilon=()), "epsilon: expected increasing numbers > 0"),
        (lambda: pf.Causal(slabs=1), "slabs: expected"),
        (lambda: pf.Causal(enough=1.0), "enough: expected"),
    ],
)
def test_settings_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(pf.InputError, match=message):
        make()


def test_a_term_that_is_called_like_a_column_of_weights_is_refused() -> None:
    problem = heat()
    named = dataclasses.replace(
        problem, conditions=[*problem.conditions[:2], problem.conditions[2].renamed("weight_start")]
    )
    with pytest.raises(pf.InputError, match="the weight of term 'start' as 'weight_start'"):
        pf.fit(named, network(), pf.Adam(5), weighting="ntk")


@pytest.mark.trajectory
def test_solve_takes_a_weighting_and_resumes_with_it(tmp_path: Path) -> None:
    settings, net = {"seed": 2, "weighting": "gradient-norms"}, pf.Network(layers=(2, 6, 1))
    first = pf.solve(heat(), net, pf.Adam(20), out=tmp_path, **settings)
    assert "weight_start" in first.history.columns
    again = pf.solve(heat(), net, pf.Adam(30), out=tmp_path, options=pf.Options(resume=True), **settings)
    whole = pf.solve(heat(), net, pf.Adam(30), **settings)
    assert again.losses == whole.losses
