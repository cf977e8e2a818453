"""What methods of a user's backend return is checked, whoever calls them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from small import newton, small_laplace
from toy_backend import Toy

import psinn_fast as pf
from psinn_fast.kernels.contract import AdamState, TrainReport, registry
from psinn_fast.kernels.contract.base import OPERATIONS
from psinn_fast.kernels.contract.returned import CHECKED
from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.reference.backend import ReferenceBackend

pytestmark = pytest.mark.usefixtures("only_built_in_afterwards")

NETWORK = pf.Network("pinn", layers=[2, 3, 1])
Change = Callable[[Any], Any]


def wrong(method: str, change: Change) -> pf.Options:
    """Options with a backend whose method returns something else than it should."""
    right = getattr(ReferenceBackend, method)

    class Wrong(ReferenceBackend):
        name = "wrong"

    own = type("Wrong", (Wrong,), {method: lambda self, *arguments: change(right(self, *arguments))})
    pf.register_backend(own())
    return pf.Options(backend="wrong")


JETS = [
    (lambda jets: jets.transpose(0, 1), r"expected shape \(\d+, \d, 1\), got \(\d, \d+, 1\)"),
    (lambda jets: jets[:, :-1], r"expected shape \(\d+, \d, 1\), got \(\d+, \d, 1\)"),
    (lambda jets: None, "expected a torch.Tensor, got NoneType"),
    (lambda jets: jets.numpy(), "expected a torch.Tensor, got ndarray"),
    (lambda jets: jets.half(), "expected torch.float(32|64) like theta, got torch.float16"),
    (lambda jets: jets.to("meta"), "expected device cpu like theta, got meta"),
]
BACKWARD = [
    (lambda found: found[0], r"expected a tuple \(gradient for theta, .*\), got a tensor of shape \(13,\)"),
    (lambda found: list(found), r"expected a tuple \(gradient for theta, gradient for x or None\), got \["),
    (lambda found: None, "expected a tuple .*, got None"),
    (lambda found: (*found, None), "expected a tuple .*, got a tuple of 3"),
    (lambda found: (found[0][:-1], found[1]), r"gradient for theta \(P,\): expected shape \(13\), got \(12,\)"),
    (lambda found: (found[0].half(), found[1]), "expected torch.float(32|64) like theta, got torch.float16"),
]


@pytest.mark.parametrize("optimizer", [pf.Adam(3), newton(steps=1, starts=1)], ids=["adam", "gauss-newton"])
@pytest.mark.parametrize(
    ("method", "change", "message"),
    [*(("_jets", *case) for case in JETS), *(("_jets_backward", *case) for case in BACKWARD)],
)
def test_training_names_the_method(method: str, change: Change, message: str, optimizer: pf.Optimizer) -> None:
    options = wrong(method, change)
    inheriting(options.backend)
    with pytest.raises(pf.InputError, match=rf"Wrong\.{method}, .*{message}|Wrong\.{method}: {message}"):
        pf.solve(small_laplace(5), NETWORK, optimizer, options=options)


def inheriting(name: str) -> None:
    """Losses and residuals by the two methods alone, as a user's backend inherits them."""
    backend = pf.get_backend(name)
    for method in ("_loss_and_gradient", "_loss"):
        setattr(backend, method, getattr(pf.Backend, method).__get__(backend))


def test_the_gradient_for_x() -> None:
    options = wrong("_jets_backward", lambda found: (found[0], None))
    net = pf.build_network(small_laplace(5), NETWORK)
    x = torch.rand(4, 2, requires_grad=True)
    found = pf.derivatives(net, x, "u u_x", coords="x y", fields="u", backend=options.backend)
    with pytest.raises(pf.InputError, match=r"Wrong._jets_backward, gradient for x \(N, d\), which need_x asks for"):
        found.u_x.sum().backward()


def with_field(name: str, change: Change) -> Change:
    return lambda found: found._replace(**{name: change(getattr(found, name))})


@pytest.mark.parametrize(
    ("method", "change", "message"),
    [
        ("_loss_and_gradient", tuple, "expected a LossAndGradient, got a tuple of 4"),
        ("_loss_and_gradient", with_field("losses", lambda losses: losses.sum()), r"losses \(T,\)"),
        ("_loss_and_gradient", with_field("penalty", lambda penalty: penalty[None]), r"penalty \(\)"),
        ("_loss_and_gradient", with_field("theta", lambda theta: theta[None]), r"theta \(P,\)"),
        ("_loss_and_gradient", with_field("coefficients", lambda _: None), r"coefficients \(K,\)"),
        ("_term_gradients", lambda found: found[::-1], r"losses \(T,\)"),
        ("_term_gradients", lambda found: (found[0], found[1].T), r"gradients \(T, P \+ K\)"),
        ("_train", lambda found: found.losses, "expected a TrainReport"),
        ("_train", lambda found: TrainReport(found.losses[:, :-1], None), r"losses \(steps, T \+ 1\) on the CPU"),
        (
            "_train",
            lambda found: TrainReport(found.losses[:-1], None),
            "expected the losses of 2 steps, got those of 1",
        ),
        ("_residuals", lambda found: found[:, 0], r"r \(N, m\)"),
        ("_residuals_backward", lambda found: found[0], "expected a PulledBack, got a tensor"),
        (
            "_residuals_backward",
            lambda found: found._replace(coefficients=None),
            r"gradient for the coefficients \(K,\)",
        ),
        ("_residuals_backward", lambda found: found._replace(points=None), r"points .* which need_x asks for"),
        (
            "_residuals_backward",
            lambda found: found._replace(residuals=found.theta),
            "residuals .* which need_r asks for",
        ),
        ("_residual_jacobian", lambda found: (found[0], found[1].flatten(1)), r"J \(N, m, P \+ K\)"),
        ("_differentiable_jets", lambda found: found[:1], r"jets \(N, C, F\)"),
    ],
)
def test_every_operation(method: str, change: Change, message: str) -> None:
    engine, problem = pf.get_backend(wrong(method, change).backend), small_laplace(5)
    net = pf.build_network(problem, NETWORK, backend="reference")
    theta, none = net.theta.detach(), net.theta.new_empty(0)
    terms, weights = problem.terms(torch.float32), problem.weights(torch.float32)
    first = terms[0]
    arguments: dict[str, tuple[Any, ...]] = {
        "loss_and_gradient": (theta, none, terms, weights), "term_gradients": (theta, none, terms),
        "train": (AdamState(theta.clone(), none, 1e-3), terms, weights, 2),
        "residuals": (theta, none, first), "residual_jacobian": (theta, none, first),
        "residuals_backward": (theta, none, first, theta.new_zeros(first.n_points, 1), True, True),
        "differentiable_jets": (theta, first.points[0], first.program.channels),
    }  # fmt: skip
    with pytest.raises(pf.InputError, match=rf"Wrong\.{method}.*{message}"):
        getattr(engine, method[1:])(net.plan, *arguments[method[1:]])


def test_all_operations_that_return_something() -> None:
    assert {f"_{name}" for name in OPERATIONS} - set(CHECKED) == {"_add_gram"}  # changes its argument


def test_only_classes_from_outside_pay_for_it() -> None:
    assert not hasattr(ReferenceBackend._jets, "__wrapped__")
    assert not hasattr(CpuBackend._jets, "__wrapped__")
    assert not hasattr(pf.Backend._residuals, "__wrapped__")
    assert hasattr(Toy._jets, "__wrapped__")
    assert not hasattr(Toy._residuals, "__wrapped__")


def test_arguments_by_name() -> None:
    """A user's own method may call another one as Python allows."""

    class ByName(Toy):
        def _jets(self, net: Any, theta: Any, x: Any, wanted: Any) -> Any:
            return super()._jets(plan=net, theta=theta, x=x, channels=wanted)

    net = pf.build_network(small_laplace(5), NETWORK)
    channels = small_laplace(5).terms(torch.float32)[0].program.channels
    assert ByName().jets(net.plan, net.theta.detach(), torch.rand(3, 2), channels).shape == (3, len(channels), 1)


@pytest.mark.parametrize("method", ["supports", "unavailable"])
@pytest.mark.parametrize("found", [False, "", " \n"])
def test_reasons_are_texts(method: str, found: object) -> None:
    """Also where "auto" takes the backend, and where the library asks of its own accord."""
    own = type("Vague", (Toy,), {"name": "vague", method: lambda *_: found})
    pf.register_backend(own(), automatic=True)
    message = rf"Vague\.{method}: expected None, or the reason why not as a text, got {re.escape(repr(found))}"
    for backend in ("vague", "auto"):
        with pytest.raises(pf.InputError, match=message):
            pf.solve(small_laplace(5), NETWORK, pf.Adam(2), options=pf.Options(backend=backend))
    plan, channels = pf.MLP([2, 4, 1]).plan, small_laplace(5).terms(torch.float32)[0].program.channels
    with pytest.raises(pf.InputError, match=message):
        registry.kernels_for(plan, channels, torch.float32, torch.device("cpu"))
