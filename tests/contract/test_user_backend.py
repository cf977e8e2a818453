"""A backend from outside the package: registered by its user, it works wherever ``backend=`` does."""

from __future__ import annotations

import inspect
import re
import warnings

import numpy as np
import pytest
import sympy
import torch
from helpers import random_theta, relative_error
from small import newton, small_laplace
from torch import Tensor
from toy_backend import Toy

import psinn_fast as pf
from psinn_fast.kernels.contract import AdamState, registry
from psinn_fast.kernels.contract.base import OPERATIONS
from psinn_fast.kernels.cpu.extension import instruction_sets
from psinn_fast.kernels.language.channels import ChannelSet
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.plan import Plan
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.networks.structure import Structure
from psinn_fast.training.metrics import evaluate

FLOAT64 = torch.float64


pytestmark = pytest.mark.usefixtures("only_built_in_afterwards")


@pytest.fixture
def toy() -> Toy:
    made = Toy()
    pf.register_backend(made)
    return made


def test_it_is_found_by_its_name(toy: Toy) -> None:
    assert pf.get_backend("toy") is toy
    assert pf.available_backends()["toy"] is None
    assert pf.get_backend("auto").name != "toy"


@pytest.mark.parametrize("optimizer", [pf.Adam(3), pf.GaussNewton(3)], ids=str)
def test_what_it_raises_is_said_with_its_name(optimizer: pf.Adam | pf.GaussNewton) -> None:
    """Before training, too, where weights are tried at which the residuals have values."""

    class Raising(Toy):
        name = "raising"

        def _jets(self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> Tensor:
            raise ZeroDivisionError("a bug")

    pf.register_backend(Raising())
    options, box = pf.Options(backend="raising"), pf.Box(x=(1, 2))
    partial = pf.PDE("x", "u", lambda u: u.x - sympy.log(u))
    problem = pf.Problem("log", partial, box, [pf.Residual(box.grid(5)), pf.Dirichlet(box.face("x", "low", 1), u=1.0)])
    what = r"backend 'raising': Raising\._jets failed \(ZeroDivisionError: a bug\)"
    for one in (problem, small_laplace(5)):
        with pytest.raises(pf.TrainingError, match=what) as info:
            pf.solve(one, pf.Network("pinn"), optimizer, options=options)
        assert isinstance(info.value.__cause__, ZeroDivisionError)
    net = pf.MLP([2, 4, 1], dtype="float64")
    with pytest.raises(pf.TrainingError, match=what):
        pf.derivatives(net, torch.rand(3, 2, dtype=FLOAT64), "u_x", coords="x y", fields="u", backend="raising")


# Two exact methods in float64; Gauss-Newton's equations magnify their rounding errors.
@pytest.mark.parametrize(("optimizer", "bar"), [(pf.Adam(12), 1e-10), (newton(steps=4, starts=1), 1e-6)])
def test_it_trains_as_the_reference_does(toy: Toy, optimizer: pf.Adam | pf.GaussNewton, bar: float) -> None:
    """By Adam and by Gauss-Newton, with errors and pictures' values from it too."""
    found, wanted = (
        pf.solve(
            small_laplace(7), pf.Network("psi", dtype="float64"), optimizer, seed=2, options=pf.Options(backend=name)
        )
        for name in ("toy", "reference")
    )
    assert found.setup.backend == "toy"
    assert relative_error(found.net.theta, wanted.net.theta) < bar
    assert found.loss == pytest.approx(wanted.loss, rel=bar)
    assert found.metrics["relative_l2"] == pytest.approx(wanted.metrics["relative_l2"], rel=bar)
    assert found.loss < found.history["loss"][0]


def test_everything_else_takes_it(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Derivatives, errors and polishing too: no other backend is asked."""
    for other in registry.BACKENDS.values():
        if other is not toy:
            for name in OPERATIONS:
                monkeypatch.setattr(other, name, lambda *_, **__: pytest.fail("another backend was asked"))
    problem = small_laplace(5)
    net = pf.build_network(problem, pf.Network("psi", dtype="float64"), backend="toy")
    x = torch.from_numpy(problem.domain.random(4, seed=0).copy()).requires_grad_()
    found = pf.derivatives(net, x, "u u_xx", coords="x y", fields="u", backend="toy")
    found["u_xx"].sum().backward()
    assert x.grad is not None
    assert np.isfinite(evaluate(net, problem.domain.random(3, seed=0), "toy")).all()
    assert pf.error_metrics(net, problem, backend="toy")["rmse"] is not None


def test_what_it_lacks_is_inherited(toy: Toy) -> None:
    own = [name for name, value in vars(Toy).items() if inspect.isfunction(value)]
    assert sorted(own) == ["_graph", "_jets", "_jets_backward"]
    jacobian = torch.arange(12.0, dtype=FLOAT64).view(4, 3)
    gram = torch.zeros(4, 4, dtype=FLOAT64)
    toy.add_gram(gram, jacobian, torch.ones(4, dtype=FLOAT64))
    assert torch.equal(gram[:3, :3].tril(), (jacobian.T @ jacobian).tril())


def test_operations_are_all_that_is_public() -> None:
    """Or the automatic choice would not hand them on."""
    public = {name for name, value in vars(pf.Backend).items() if inspect.isfunction(value) and name[0] != "_"}
    assert public == {*OPERATIONS, "unavailable", "unavailable_on", "supports", "with_precision", "products", "watched"}


def test_automatic_only_if_asked_for() -> None:
    mine = Toy()
    mine.name, mine.widest, mine.device_types = "mine", 3, ("cpu",)
    pf.register_backend(mine, automatic=True)
    engine = pf.get_backend("auto")
    assert engine.name == "mine"
    assert mine not in registry.automatic("cuda")
    channels = ChannelSet.closure(2, [(2, 0)])
    told: list[str] = []
    for width in (3, 4, 4):
        structure = Structure.dense([2, width, 1])
        plan, theta, x = lower(structure.layers), random_theta(structure, 1), torch.rand(5, 2, dtype=FLOAT64)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            jets = engine.jets(plan, theta, x, channels)
        told += [str(warning.message) for warning in said]
        assert relative_error(jets, ReferenceBackend().jets(plan, theta, x, channels)) < 1e-12
        assert engine.supports(plan, channels, FLOAT64, torch.device("cpu")) is None
    named = engine.jets(plan=plan, theta=theta, x=x, channels=channels)
    assert relative_error(named, jets) < 1e-12
    assert told == [
        f"backend 'mine' is not used, but {'cpu' if instruction_sets() else 'reference'!r}: plan: backend 'mine' takes "
        "layers up to 3 wide, got 4; backend 'reference' takes any"
    ]
    with pytest.raises(pf.InputError, match="takes layers up to 3 wide, got 4; backend 'reference' takes any"):
        pf.get_backend("mine").jets(plan, theta, x, channels)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("widest", 4, "plan: backend 'toy' takes layers up to 4 wide, got 5; backend 'reference' takes any"),
        ("deepest", 2, "plan: backend 'toy' takes up to 2 layers, got 3; backend 'reference' takes any"),
        ("most_channels", 2, "channels: backend 'toy' takes up to 2, got [34]; backend 'reference' takes any"),
        ("device_types", ("cuda",), "theta: backend 'toy' needs tensors on a GPU, got cpu; backend 'reference'"),
    ],
)
def test_the_limits_that_it_states(name: str, value: object, message: str) -> None:
    """Every operation has them, and `supports` says the same as the error."""
    structure, problem, toy = Structure.dense([2, 5, 5, 1]), small_laplace(3), Toy()
    plan, theta, x = lower(structure.layers), random_theta(structure, 1), torch.rand(3, 2, dtype=FLOAT64)
    terms, weights, none = problem.terms(FLOAT64), problem.weights(FLOAT64), theta.new_empty(0)
    first, channels = terms[0], ChannelSet.closure(2, [(2, 0)])
    assert toy.supports(plan, channels, FLOAT64, theta.device) is None
    setattr(toy, name, value)
    assert re.match(message, str(toy.supports(plan, channels, FLOAT64, theta.device)))
    for call in (
        lambda: toy.jets(plan, theta, x, channels),
        lambda: toy.jets_backward(plan, theta, x, channels, theta.new_zeros(3, 3, 1)),
        lambda: toy.loss_and_gradient(plan, theta, none, terms, weights),
        lambda: toy.train(plan, AdamState(theta, none, 1e-3), terms, weights, 1),
        lambda: toy.residuals(plan, theta, none, first),
        lambda: toy.residuals_backward(plan, theta, none, first, theta.new_zeros(first.n_points, 1)),
        lambda: toy.residual_jacobian(plan, theta, none, first),
        lambda: toy.term_gradients(plan, theta, none, terms),
    ):
        with pytest.raises(pf.BackendLimit, match=message):
            call()


class Nameless(Toy):
    name = ""


class Incomplete(pf.Backend):
    name = "incomplete"


def test_what_cannot_be_registered(toy: Toy) -> None:
    for bad, message in [
        (Toy, r"expected an instance of a subclass of Backend, .*; call it: register_backend\(...\(\)\)"),
        ("toy", "backend: expected an instance of a subclass of Backend, got 'toy'"),
        (Toy(), "backend: the name 'toy' is taken; choose another than"),
        (Nameless(), "backend: Nameless needs a name, such as name = 'mine', got ''"),
    ]:
        with pytest.raises(pf.InputError, match=message):
            pf.register_backend(bad)
    places = ["cpu", ("gpu",), (), ("cpu", "mps"), ["cuda"], (torch.device("cpu"),)]
    limits = [("widest", 0), ("deepest", 2.5), ("most_channels", True), *(("device_types", one) for one in places)]
    for limit, value in limits:
        odd = type("Odd", (Toy,), {"name": "odd", limit: value})()
        with pytest.raises(
            pf.InputError, match=rf"Odd.{limit}: expected .*, or None for any.*, got {re.escape(repr(value))}"
        ):
            pf.register_backend(odd)
    reserved = Toy()
    reserved.name = "auto"
    with pytest.raises(pf.InputError, match="the name 'auto' is taken"):
        pf.register_backend(reserved)
    with pytest.raises(TypeError, match="abstract"):
        Incomplete()
    assert list(registry.BACKENDS)[-1] == "toy"
