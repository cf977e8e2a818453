"""What callers may hand over, on every backend: layouts, types, devices, numbers that are not finite, threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from agreement import REFERENCE
from cases import make, some_weights
from helpers import negated, random_points, random_theta, relative_error
from interpreted import ON_GPU
from layouts import (
    CHANNELS,
    everything,
    jet_arguments,
    labelled,
    parameter,
    problem,
    requiring_gradients,
    reversed_twice,
    same_kind,
    strided,
    transposed,
    with_history,
    within_another,
)
from torch import Tensor

from psinn_fast.kernels.contract import AdamState, Backend, Term
from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.language.regularizer import Regularizer
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.networks.published import published_structure
from psinn_fast.networks.structure import Structure

slow = pytest.mark.without("triton", reason="its interpreter would take many seconds")
in_torch = pytest.mark.without("reference", "toy", reason="what torch computes with")


@pytest.mark.parametrize("dtype", [pytest.param(torch.float32, marks=slow), torch.float64])
@pytest.mark.parametrize(
    "change",
    [
        strided, transposed, negated, requiring_gradients,
        *(pytest.param(change, marks=slow)
          for change in (within_another, reversed_twice, with_history, parameter, labelled)),
    ],
)  # fmt: skip
@in_torch
def test_layouts(backend: Backend, change: Callable[[Tensor], Tensor], dtype: torch.dtype) -> None:
    n = 9 if backend.name == "triton" else 37
    plan, theta, coefficients, terms = problem(n, dtype)
    x, grad = jet_arguments(n, dtype)
    plain = everything(backend, plan, theta, coefficients, terms, x, grad)
    changed_terms = [Term(term.name, term.program, change(term.points), change(term.columns)) for term in terms]
    given = [change(theta), change(coefficients), changed_terms, change(x), change(grad)]
    before = [given[0].detach().clone(), given[3].detach().clone()]
    results = everything(backend, plan, *given)
    for a, b in zip(results, plain, strict=True):
        assert torch.equal(a, b)
        assert not a.requires_grad
        assert a.grad_fn is None
    assert torch.equal(given[0], before[0])
    assert torch.equal(given[3], before[1])


@pytest.mark.without("toy", reason="it goes by autograd, which inference mode turns off")
def test_inside_inference_mode(backend: Backend) -> None:
    """Also the first time, when buffers are made that are used outside of it too."""
    plan, theta, coefficients, terms = problem(9)
    with torch.inference_mode():
        inside = everything(backend, plan, theta, coefficients, terms, *jet_arguments(9))
    outside = everything(backend, plan, theta, coefficients, terms, *jet_arguments(9))
    assert all(torch.equal(a, b) for a, b in zip(inside, outside, strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64, torch.complex64])
def test_other_types_of_numbers(direct: Backend, dtype: torch.dtype) -> None:
    plan, theta, coefficients, terms = problem()
    x = random_points(5, 2)
    with pytest.raises(InputError, match=f"theta: expected float32 or float64, got {dtype}"):
        direct.jets(plan, theta.to(dtype), x.to(dtype), CHANNELS)
    with pytest.raises(InputError, match=f"theta: expected float32 or float64, got {dtype}"):
        direct.loss_and_gradient(plan, theta.to(dtype), coefficients, terms, some_weights(terms))
    with pytest.raises(InputError, match=f"x: expected torch.float64 like theta, got {dtype}"):
        direct.jets(plan, theta, x.to(dtype), CHANNELS)
    with pytest.raises(InputError, match=f"coefficients: expected torch.float64 like theta, got {dtype}"):
        direct.residual_jacobian(plan, theta, coefficients.to(dtype), terms[0])
    with pytest.raises(InputError, match=f"theta: expected float32 or float64, got {dtype}"):
        direct.train(plan, AdamState(theta.to(dtype), coefficients, 1e-3), terms, some_weights(terms), 1)


@pytest.mark.without("reference", "toy", reason="they take any device that torch has")
def test_other_devices(direct: Backend) -> None:
    plan, theta, coefficients, terms = problem(3)
    there = torch.device("cpu" if ON_GPU and direct.name == "triton" else "meta")
    theta, coefficients, x = theta.to(there), coefficients.to(there), random_points(3, 2).to(there)
    terms = [Term(t.name, t.program, t.points.to(there), t.columns.to(there)) for t in terms]
    for call in (
        lambda: direct.jets(plan, theta, x, CHANNELS),
        lambda: direct.loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms)),
        lambda: direct.residual_jacobian(plan, theta, coefficients, terms[0]),
        lambda: direct.train(plan, AdamState(theta, coefficients, 1e-3), terms, some_weights(terms), 1),
    ):
        with pytest.raises(InputError, match=f"theta: backend '{direct.name}' needs tensors on .*, got {there.type}"):
            call()


@pytest.mark.skipif(ON_GPU, reason="theta is on the CPU")
def test_several_devices(direct: Backend) -> None:
    plan, theta, coefficients, terms = problem()
    meta, x = torch.device("meta"), random_points(5, 2)
    there = [Term(t.name, t.program, t.points.to(meta), t.columns.to(meta)) for t in terms]
    with pytest.raises(InputError, match="term 'residual': points: expected device cpu like theta, got meta"):
        direct.loss_and_gradient(plan, theta, coefficients, there, some_weights(there))
    with pytest.raises(InputError, match="grad: expected device cpu like theta, got meta"):
        direct.jets_backward(plan, theta, x, CHANNELS, torch.empty(5, len(CHANNELS), 1, device=meta).double())


# Non-finite numbers.


@in_torch
@pytest.mark.parametrize(
    ("value", "row"),
    [
        pytest.param(value, row, marks=[] if value != value and row == 36 else [slow])
        for value in (torch.nan, torch.inf, -torch.inf)
        for row in (0, 20, 36)
    ],
)
def test_bad_points_spoil_their_own_rows(backend: Backend, value: float, row: int) -> None:
    """The last point is also what fills up its vector or tile; nothing of it must reach others."""
    plan, theta, coefficients, terms = problem(37)
    x, grad = jet_arguments(37)
    x[row, 1] = value
    jets = backend.jets(plan, theta, x, CHANNELS)
    same_kind(jets, REFERENCE.jets(plan, theta, x, CHANNELS))
    good = torch.arange(37) != row
    assert jets[good].isfinite().all()
    if value != value:
        assert jets[row].isnan().all()
    theta_bar, x_bar = backend.jets_backward(plan, theta, x, CHANNELS, grad, need_x=True)
    assert not theta_bar.isfinite().all()
    assert x_bar is not None
    assert x_bar[good].isfinite().all()

    terms[0].points[0, row, 1] = value
    ours, theirs = (b.residual_jacobian(plan, theta, coefficients, terms[0]) for b in (backend, REFERENCE))
    same_kind(ours[0], theirs[0])
    assert ours[1][good].isfinite().all()
    assert relative_error(ours[1][good], theirs[1][good]) < 1e-12
    result = backend.loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms))
    assert not result.theta.isfinite().all()
    if value != value:
        assert result.losses.isnan().tolist() == [True, False, False]
        assert result.coefficients.isnan().all()
        assert ours[1][row].isnan().any()


@slow
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_bad_gradients_targets_and_coefficients(backend: Backend, value: float) -> None:
    plan, theta, coefficients, terms = problem()
    x, grad = jet_arguments(37)
    grad[36, 2] = value
    theta_bar, x_bar = backend.jets_backward(plan, theta, x, CHANNELS, grad, need_x=True)
    assert not theta_bar.isfinite().all()
    assert x_bar is not None
    assert x_bar.isfinite().all(1).sum() == 36

    terms[1].columns[36, 0] = value
    result = backend.loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms))
    assert result.losses.isfinite().tolist() == [True, False, True]
    assert not result.theta.isfinite().all()
    assert backend.residual_jacobian(plan, theta, coefficients, terms[1])[0].isfinite().sum() == 36
    *_, good_terms = problem()
    result = backend.loss_and_gradient(plan, theta, coefficients * value, good_terms, some_weights(good_terms))
    assert result.losses.isfinite().tolist() == [False, True, True]


@slow
@pytest.mark.without("reference", "toy", reason="their penalty is a product with zeros, in which a bias's NaN stays")
@pytest.mark.parametrize("tied", [False, True])
def test_bad_parameters(backend: Backend, tied: bool) -> None:
    """Each parameter in turn: a NaN shows wherever the parameter has an effect."""
    structure = published_structure("laplace").with_width(2) if tied else Structure.dense([2, 3, 2, 1])
    plan, x = lower(structure.layers), random_points(19, 2)
    grad = torch.ones(19, len(CHANNELS), 1, dtype=torch.float64)
    *_, terms, _ = make("laplace", (1,), 19)
    none = torch.zeros(0, dtype=torch.float64)
    for k in range(structure.n_parameters):
        theta = random_theta(structure, 1)
        theta[k] = torch.nan
        assert backend.jets(plan, theta, x, CHANNELS)[:, 0].isnan().all()
        if k != structure.n_parameters - 1:  # the output's bias is in no derivative
            assert backend.jets_backward(plan, theta, x, CHANNELS, grad)[0].isnan().any()
        result = backend.loss_and_gradient(plan, theta, none, terms, some_weights(terms), Regularizer("l1", 0.1))
        assert result.losses[1].isnan()
        assert backend.residual_jacobian(plan, theta, none, terms[1])[0].isnan().all()
        is_weight = any(part.start <= k < part.stop for part in plan.weight_slices)
        assert bool(result.penalty.isnan()) == is_weight


def test_terms_whose_tensors_were_replaced_are_looked_at_again(backend: Backend) -> None:
    """``data`` changes without a word: points without their columns would be read beyond the end."""
    plan, theta, coefficients, terms = problem(9)
    own = [replace(term, points=term.points.clone()) for term in terms]
    state, weights = AdamState(theta.clone(), coefficients.clone(), 1e-2), some_weights(own)
    backend.train(plan, state, own, weights, 1)
    own[-1].points.data = own[-1].points.data[:, :4].clone()
    uses: list[Callable[[], object]] = [
        lambda: backend.train(plan, state, own, weights, 1),
        lambda: backend.loss_and_gradient(plan, theta, coefficients, own, weights),
        lambda: backend.residuals(plan, theta, coefficients, own[-1]),
        lambda: backend.residual_jacobian(plan, theta, coefficients, own[-1]),
    ]
    for use in uses:
        with pytest.raises(InputError, match=r"term '\w+': columns: expected shape \(4, \d\), got \(\d+, \d\)"):
            use()


def test_calls_from_several_threads(backend: Backend) -> None:
    """With one plan and the same terms."""
    plan, theta, coefficients, terms = problem(9)

    def job(number: int) -> list[Tensor]:
        state = AdamState(theta * (1 + number), coefficients.clone(), 1e-2)
        losses = backend.train(plan, state, terms, some_weights(terms), 2).losses
        gradients = backend.loss_and_gradient(plan, state.theta, state.coefficients, terms, some_weights(terms))
        return [losses, state.theta, *gradients]

    alone = [job(number) for number in range(2)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(job, range(2)))
    for ours, expected in zip(together, alone, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, expected, strict=True))
