"""Operation 4 in C++: the tests of the reference backend again, its steps, its failures, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
import test_train
import torch
from cases import make, some_weights
from helpers import relative_error

# The same tests, with this backend in place of the reference.
from test_train import (  # noqa: F401
    poisoned,
    state,
    tensors,
    terms,
    test_a_graph_notices_that_its_weights_were_changed,
    test_a_second_failure_in_a_row_does_not_go_further_back,
    test_any_layout_is_changed_in_place,
    test_bad_tensors_of_a_state,
    test_divergence_within_a_call,
    test_failure_at_the_first_step_of_a_later_call,
    test_failure_at_the_first_step_of_all,
    test_no_steps_change_nothing,
    test_penalty_and_gradient_have_their_own_numbers,
    test_slices_give_the_same_bits,
    test_steps_are_those_of_torch,
)
from torch import Tensor

from psinn_fast.kernels.contract import AdamState, Term
from psinn_fast.kernels.cpu import backend as cpu_backend
from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.language.regularizer import Regularizer
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.plan import Plan
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.networks.structure import Structure

REFERENCE = ReferenceBackend()
# Tied, with an unknown coefficient: what test_train trains.
TIED = lower(test_train.STRUCTURE.layers)


@pytest.fixture(autouse=True)
def _in_place_of_the_reference(backend: CpuBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_train, "BACKEND", backend)


def dense(n: int = 37, dtype: torch.dtype = torch.float64) -> tuple[Plan, AdamState, list[Term]]:
    structure, theta, coefficients, own_terms, _ = make("two outputs", (16, 9), n, dtype)
    return lower(structure.layers), AdamState(theta, coefficients, 3e-2, (4, 9), gamma=0.3), own_terms


@pytest.mark.trajectory
@pytest.mark.parametrize("kind", [None, "l2", "l1", "growl"])
def test_steps_are_those_of_the_reference(backend: CpuBackend, kind: str | None) -> None:
    regularizer = Regularizer(kind, 1e-2) if kind else None
    for make_case in (dense, lambda: (TIED, state(milestones=(4, 9)), terms())):
        plan, ours, own_terms = make_case()
        if kind == "growl" and plan is TIED:
            continue
        _, theirs, _ = make_case()
        reports = [
            b.train(plan, s, own_terms, some_weights(own_terms), 15, regularizer)
            for b, s in ((backend, ours), (REFERENCE, theirs))
        ]
        assert relative_error(reports[0].losses, reports[1].losses) < 1e-10
        assert (ours.step, reports[0].failure) == (15, None)
        assert ours.learning_rate() == theirs.learning_rate()
        for a, b in zip(tensors(ours), tensors(theirs), strict=True):
            assert relative_error(a, b) < 1e-10
        assert ours.good is not None
        assert theirs.good is not None
        for a, b in zip(ours.good, theirs.good, strict=True):
            assert relative_error(a, b) < 1e-10


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_bits(backend: CpuBackend, dtype: torch.dtype, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Again, in two calls, and with a look at signals after every step."""
    torch.set_num_threads(threads)
    plan, once, own_terms = dense(401, dtype)
    losses = backend.train(plan, once, own_terms, some_weights(own_terms), 7).losses
    _, again, _ = dense(401, dtype)
    assert torch.equal(backend.train(plan, again, own_terms, some_weights(own_terms), 7).losses, losses)
    _, sliced, _ = dense(401, dtype)
    parts = [backend.train(plan, sliced, own_terms, some_weights(own_terms), k).losses for k in (3, 4)]
    assert torch.equal(torch.cat(parts), losses)
    monkeypatch.setattr(cpu_backend, "SLICE_SECONDS", 0.0)
    _, stepwise, _ = dense(401, dtype)
    assert torch.equal(backend.train(plan, stepwise, own_terms, some_weights(own_terms), 7).losses, losses)
    for other in (again, sliced, stepwise):
        assert all(torch.equal(a, b) for a, b in zip(tensors(other), tensors(once), strict=True))


@pytest.mark.trajectory
def test_two_threads_give_nearly_the_same(backend: CpuBackend) -> None:
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        plan, own, own_terms = dense(1023)
        results.append((backend.train(plan, own, own_terms, some_weights(own_terms), 7).losses, *tensors(own)))
    assert all(relative_error(a, b) < 1e-11 for a, b in zip(*results, strict=True))
    assert not torch.equal(results[0][1], results[1][1])  # there were two


def spoil(what: str, value: float, own: AdamState, own_terms: list[Term], weights: Tensor) -> None:
    match what:
        case "points":
            own_terms[0].points[0, -1, 0] = value
        case "columns":
            own_terms[1].columns[2, 0] = value
        case "theta":
            own.theta[4] = value
        case "coefficients":
            own.coefficients[0] = value
        case "weight":
            weights[1] = value
        case "moment":
            own.second_moment[3] = value


# Not points at infinity: tanh is 1 there, and whether the loss is finite depends on the order of operations.
@pytest.mark.trajectory
@pytest.mark.parametrize(
    ("what", "value"),
    [("points", torch.nan)]
    + [
        (what, bad)
        for what in ("columns", "theta", "coefficients", "weight", "moment")
        for bad in (torch.nan, torch.inf)
    ],
)
@pytest.mark.parametrize("earlier_steps", [0, 3])
def test_failures_are_those_of_the_reference(
    backend: CpuBackend, what: str, value: float, earlier_steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_backend, "SLICE_SECONDS", 0.0)
    found = []
    for b in (backend, REFERENCE):
        own, own_terms = state(), terms()
        weights = some_weights(own_terms)
        if earlier_steps:
            b.train(TIED, own, own_terms, weights, earlier_steps)
        spoil(what, value, own, own_terms, weights)
        reports = [b.train(TIED, own, own_terms, weights, 4) for _ in range(2)]
        found.append((own, [report.failure for report in reports], [len(report.losses) for report in reports]))
    (ours, *rest), (theirs, *expected) = found
    assert rest == expected
    assert ours.step == theirs.step
    assert (ours.good is None) == (theirs.good is None)
    # An infinite weight saturates its neuron, an infinite moment stops its parameter.
    assert rest[0][0] is not None or (value == torch.inf and what in ("theta", "moment"))
    for a, b in zip(tensors(ours), tensors(theirs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14, equal_nan=True)


@pytest.mark.trajectory
@pytest.mark.parametrize("threads", [1, 2])
def test_failure_goes_back_to_the_last_good_step(backend: CpuBackend, threads: int) -> None:
    """Weights that overflow after some steps: everything stops at once, with all threads."""
    torch.set_num_threads(threads)
    plan, own, own_terms = dense(401)
    backend.train(plan, own, own_terms, some_weights(own_terms), 5)
    own.lr = 1e160
    report = backend.train(plan, own, own_terms, some_weights(own_terms), 10)
    assert report.failure is not None
    assert len(report.losses) == 1
    assert torch.isfinite(report.losses).all()
    _, expected, _ = dense(401)
    backend.train(plan, expected, own_terms, some_weights(own_terms), 5)
    assert own.step == 5
    assert all(torch.equal(a, b) for a, b in zip(tensors(own), tensors(expected), strict=True))


def test_state_is_changed_in_place(backend: CpuBackend) -> None:
    """Also where its tensors are parts of others, or not contiguous."""
    expected = state()
    backend.train(TIED, expected, terms(), some_weights(terms()), 5)
    plain = state()
    size = plain.theta.numel()
    around, between = torch.full((size + 2,), 7.0).double(), torch.full((size, 2), 7.0).double()
    for theta in (around[1:-1], between[:, 1]):
        theta.copy_(plain.theta)
        own = AdamState(theta, plain.coefficients.clone(), plain.lr)
        assert own.theta is theta
        backend.train(TIED, own, terms(), some_weights(terms()), 2)
        backend.train(TIED, own, terms(), some_weights(terms()), 3)
        assert own.theta is theta
        assert all(torch.equal(a, b) for a, b in zip(tensors(own), tensors(expected), strict=True))
    assert (around[[0, -1]] == 7).all()
    assert (between[:, 0] == 7).all()


def test_parameters_that_require_gradients(backend: CpuBackend) -> None:
    """As those of a module do; training and going back leave no autograd history."""
    own, plain = state(), state()
    own.theta.requires_grad_()
    own.coefficients.requires_grad_()
    for s in (own, plain):
        assert backend.train(TIED, s, terms(), some_weights(terms()), 5).failure is None
        assert backend.train(TIED, s, poisoned(0), some_weights(poisoned(0)), 5).failure == 0
    assert own.step == plain.step == 4
    assert all(torch.equal(a.detach(), b) for a, b in zip(tensors(own), tensors(plain), strict=True))
    assert own.theta.is_leaf
    assert own.theta.grad is None


def test_terms_are_left_alone(backend: CpuBackend) -> None:
    own_terms = terms()
    before = [(term.points.clone(), term.columns.clone()) for term in own_terms]
    backend.train(TIED, state(), own_terms, some_weights(own_terms), 3)
    for term, (points, columns) in zip(own_terms, before, strict=True):
        assert torch.equal(term.points, points)
        assert torch.equal(term.columns, columns)


def interrupt(backend: CpuBackend, plan: Plan, own: AdamState, own_terms: list[Term], after: float) -> float:
    """Ctrl-C during a training that would take a minute; gives the seconds until it was heard."""
    sent: list[float] = []

    def send() -> None:
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(after, send)
    # A shell's background jobs are started with SIGINT ignored.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            backend.train(plan, own, own_terms, some_weights(own_terms), 1_000_000)
        return time.monotonic() - sent[0]
    finally:
        timer.cancel()  # where training ended by itself, the signal must not reach pytest
        signal.signal(signal.SIGINT, previous)


def test_training_can_be_interrupted(backend: CpuBackend) -> None:
    structure, theta, coefficients, own_terms, _ = make("laplace", (16, 16), 201)
    own = AdamState(theta.clone(), coefficients, 1e-3)
    assert interrupt(backend, lower(structure.layers), own, own_terms, 0.1) < 1
    assert all(torch.isfinite(tensor).all() for tensor in tensors(own))
    assert not torch.equal(own.theta, theta)


def test_an_interrupted_state_knows_its_step(backend: CpuBackend) -> None:
    """It can go on: Adam's bias correction and the milestones count steps."""
    structure, theta, coefficients, own_terms, _ = make("laplace", (16, 16), 201)
    plan = lower(structure.layers)
    own, expected = (AdamState(theta.clone(), coefficients.clone(), 1e-3) for _ in range(2))
    interrupt(backend, plan, own, own_terms, 0.1)
    assert own.step > 0
    backend.train(plan, expected, own_terms, some_weights(own_terms), own.step)
    assert all(torch.equal(a, b) for a, b in zip(tensors(own), tensors(expected), strict=True))


@pytest.mark.trajectory
def test_no_unknown_coefficients(backend: CpuBackend) -> None:
    _, _, none, own_terms, _ = make("laplace", (3,), 5)
    plan = lower(Structure.dense([2, 1]).layers)
    own, expected = (AdamState(torch.ones(3, dtype=torch.float64), none.clone(), 0.1) for _ in range(2))
    reports: list[Tensor] = [
        b.train(plan, s, own_terms, some_weights(own_terms), 4).losses
        for b, s in ((backend, own), (REFERENCE, expected))
    ]
    assert relative_error(*reports) < 1e-12
    assert relative_error(own.theta, expected.theta) < 1e-12
