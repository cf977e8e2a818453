"""Training by Adam on every backend against the reference: steps, failures, and what is changed in place."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from adam_case import PLAN, poisoned, spoil, state, tensors, terms
from agreement import REFERENCE
from cases import make, some_weights
from helpers import random_theta, relative_error
from tied import constant_chain
from torch import Tensor

from psinn_fast.kernels.contract import AdamState, Backend, Term
from psinn_fast.kernels.cpu import backend as cpu_backend
from psinn_fast.kernels.language.regularizer import Regularizer
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.plan import Plan
from psinn_fast.networks.structure import Structure

# All points of a test in one tile.
TILE = 256
pytestmark = pytest.mark.without("toy", reason="it inherits training, which test_train.py holds")
against_reference = pytest.mark.without("reference", reason="it is what the others are compared with")
slow = pytest.mark.without("triton", reason="its interpreter would take many seconds")
Case = tuple[Plan, AdamState, list[Term]]


def dense(case: str, hidden: tuple[int, ...], n: int = 37, dtype: torch.dtype = torch.float64) -> Case:
    structure, theta, coefficients, own_terms, _ = make(case, hidden, n, dtype)
    return lower(structure.layers), AdamState(theta, coefficients, 3e-2, (4, 9), gamma=0.3), own_terms


# Tied is what `adam_case` has, with an unknown coefficient.
TRAINED: dict[str, Callable[[], Case]] = {
    "burgers": lambda: dense("burgers with unknown nu", (7, 5)),
    "two outputs": lambda: dense("two outputs", (16, 9)),
    "tied": lambda: (PLAN, state(milestones=(4, 9)), terms()),
}


@against_reference
@pytest.mark.trajectory
@pytest.mark.parametrize(
    ("case", "kind"),
    [
        *(("burgers", kind) for kind in (None, "l2", "l1", "growl")),
        *(pytest.param("two outputs", kind, marks=slow) for kind in (None, "l2", "l1", "growl")),
        *(pytest.param("tied", kind, marks=slow) for kind in (None, "l2", "l1")),
    ],
)
def test_steps_are_those_of_the_reference(backend: Backend, case: str, kind: str | None) -> None:
    regularizer = Regularizer(kind, 1e-2) if kind else None
    (plan, ours, own_terms), (_, theirs, _) = TRAINED[case](), TRAINED[case]()
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
    # Another strength, an odd number of steps later, with the same kernels and buffers.
    if regularizer is not None:
        reports = [
            b.train(plan, s, own_terms, some_weights(own_terms), 4, Regularizer(kind, 0.3))
            for b, s in ((backend, ours), (REFERENCE, theirs))
        ]
        assert relative_error(reports[0].losses, reports[1].losses) < 1e-10
        assert relative_error(ours.theta, theirs.theta) < 1e-10


@against_reference
@pytest.mark.parametrize("kind", ["l2", "l1"])
def test_a_layer_of_zeros_has_no_penalty_gradient(backend: Backend, kind: str) -> None:
    (plan, ours, own_terms), (_, theirs, _) = (dense("burgers with unknown nu", (7, 5), 5) for _ in range(2))
    for s in (ours, theirs):
        s.theta[plan.weight_slices[1]] = 0
    for b, s in ((backend, ours), (REFERENCE, theirs)):
        b.train(plan, s, own_terms, some_weights(own_terms), 3, Regularizer(kind, 1e-2))
    assert torch.isfinite(ours.theta).all()
    assert relative_error(ours.theta, theirs.theta) < 1e-10


@pytest.mark.without("reference", reason="the bar is twice its error")
@pytest.mark.trajectory
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_hundreds_of_steps_follow_the_reference(backend: Backend, dtype: torch.dtype) -> None:
    """With milestones, in calls of uneven length; in single precision as closely as the reference itself."""
    curves, calls = {}, (1, 30, 29) if dtype == torch.float64 else (1, 110, 60, 29)
    for name, b, precision in (
        ("ours", backend, dtype), ("theirs", REFERENCE, dtype), ("exact", REFERENCE, torch.float64),
    ):  # fmt: skip
        structure, theta, coefficients, own_terms, _ = make("laplace", (7,), 20, precision)
        own = AdamState(theta, coefficients, 1e-2, (40, 150))
        plan = lower(structure.layers)
        curves[name] = torch.cat(
            [b.train(plan, own, own_terms, some_weights(own_terms), steps).losses for steps in calls]
        ).double()
    assert curves["exact"][-1, 1] < 0.7 * curves["exact"][0, 1]
    allowed = 2 * relative_error(curves["theirs"], curves["exact"]) if dtype == torch.float32 else 1e-9
    assert relative_error(curves["ours"], curves["exact"]) < allowed


@against_reference
def test_constant_neurons(backend: Backend) -> None:
    """Biases that are no linear function of theta."""
    structure = constant_chain(2)
    plan, own_terms = lower(structure.layers), make("burgers with unknown nu", (1,), 9)[3]
    states = [AdamState(random_theta(structure, 1), torch.ones(1).double(), 1e-2) for _ in range(2)]
    losses = [
        b.train(plan, s, own_terms, some_weights(own_terms), 6).losses
        for b, s in zip((backend, REFERENCE), states, strict=True)
    ]
    assert relative_error(*losses) < 1e-10
    assert relative_error(states[0].theta, states[1].theta) < 1e-10


@slow
@against_reference
@pytest.mark.trajectory
def test_no_unknown_coefficients(backend: Backend) -> None:
    _, _, none, own_terms, _ = make("laplace", (3,), 5)
    plan = lower(Structure.dense([2, 1]).layers)
    own, expected = (AdamState(torch.ones(3, dtype=torch.float64), none.clone(), 0.1) for _ in range(2))
    reports: list[Tensor] = [
        b.train(plan, s, own_terms, some_weights(own_terms), 4).losses
        for b, s in ((backend, own), (REFERENCE, expected))
    ]
    assert relative_error(*reports) < 1e-12
    assert relative_error(own.theta, expected.theta) < 1e-12


# Not points at infinity: tanh is 1 there, and whether the loss is finite depends on the order of operations.
FAILURES = [
    (what, bad, steps)
    for what in ("points", "columns", "theta", "coefficients", "weight", "moment")
    for bad in (torch.nan, torch.inf)
    for steps in (0, 3)
    if (what, bad) != ("points", torch.inf)
]
QUICK_FAILURES = [
    ("points", torch.nan, 0), ("points", torch.nan, 3), ("columns", torch.inf, 3), ("theta", torch.nan, 3),
    ("coefficients", torch.inf, 0), ("weight", torch.nan, 3), ("moment", torch.nan, 0), ("moment", torch.nan, 3),
]  # fmt: skip


@against_reference
@pytest.mark.trajectory
@pytest.mark.parametrize(
    ("what", "value", "earlier_steps"),
    [pytest.param(*case, marks=[] if case in QUICK_FAILURES else [slow]) for case in FAILURES],
)
def test_failures_are_those_of_the_reference(
    backend: Backend, what: str, value: float, earlier_steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_backend, "SLICE_SECONDS", 0.0)
    found = []
    for b in (backend, REFERENCE):
        own, own_terms = state(), terms()
        weights = some_weights(own_terms)
        if earlier_steps:
            b.train(PLAN, own, own_terms, weights, earlier_steps)
        spoil(what, value, own, own_terms, weights)
        reports = [b.train(PLAN, own, own_terms, weights, 4) for _ in range(2)]
        found.append((own, [report.failure for report in reports], [len(report.losses) for report in reports]))
    (ours, *rest), (theirs, *expected) = found
    assert rest == expected
    assert ours.step == theirs.step
    assert (ours.good is None) == (theirs.good is None)
    # An infinite weight saturates its neuron, an infinite moment stops its parameter.
    assert rest[0][0] is not None or (value == torch.inf and what in ("theta", "moment"))
    for a, b in zip(tensors(ours), tensors(theirs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14, equal_nan=True)


@against_reference
def test_points_changed_between_calls(backend: Backend) -> None:
    """What is kept from call to call reads the points as they are."""
    (plan, ours, own_terms), (_, theirs, _) = (dense("burgers with unknown nu", (7, 5)) for _ in range(2))
    own_terms.append(Term("more", own_terms[1].program, own_terms[1].points + 0.1, own_terms[1].columns))
    for _ in range(3):
        losses = [
            b.train(plan, s, own_terms, some_weights(own_terms), 4).losses
            for b, s in ((backend, ours), (REFERENCE, theirs))
        ]
        assert relative_error(*losses) < 1e-10
        for term in own_terms:
            term.points.mul_(0.9)


def test_state_is_changed_in_place(backend: Backend) -> None:
    """Also where its tensors are parts of others, or require gradients."""
    expected = state()
    backend.train(PLAN, expected, terms(), some_weights(terms()), 5)
    plain = state()
    size = plain.theta.numel()
    around, between = torch.full((size + 2,), 7.0).double(), torch.full((size, 2), 7.0).double()
    for whole, part in ((around, around[1:-1]), (between, between[:, 1])):
        part.copy_(plain.theta)
        theta = part.detach().requires_grad_()
        own = AdamState(theta, plain.coefficients.clone(), plain.lr)
        assert own.theta is theta
        backend.train(PLAN, own, terms(), some_weights(terms()), 2)
        backend.train(PLAN, own, terms(), some_weights(terms()), 3)
        assert own.theta is theta
        assert theta.data_ptr() == part.data_ptr() != whole.data_ptr()
        assert all(torch.equal(a.detach(), b) for a, b in zip(tensors(own), tensors(expected), strict=True))
    assert (around[[0, -1]] == 7).all()
    assert (between[:, 0] == 7).all()


@slow
def test_parameters_that_require_gradients(backend: Backend) -> None:
    """As those of a module do; training and going back leave no autograd history."""
    own, plain = state(), state()
    own.theta.requires_grad_()
    own.coefficients.requires_grad_()
    for s in (own, plain):
        assert backend.train(PLAN, s, terms(), some_weights(terms()), 5).failure is None
        assert backend.train(PLAN, s, poisoned(0), some_weights(poisoned(0)), 5).failure == 0
    assert own.step == plain.step == 4
    assert all(torch.equal(a.detach(), b) for a, b in zip(tensors(own), tensors(plain), strict=True))
    assert own.theta.is_leaf
    assert own.theta.grad is None


@slow
def test_terms_are_left_alone(backend: Backend) -> None:
    own_terms = terms()
    before = [(term.points.clone(), term.columns.clone()) for term in own_terms]
    backend.train(PLAN, state(), own_terms, some_weights(own_terms), 3)
    for term, (points, columns) in zip(own_terms, before, strict=True):
        assert torch.equal(term.points, points)
        assert torch.equal(term.columns, columns)
