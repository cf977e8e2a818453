"""Every kernel against float64, in every precision of its products, beside plain float32 PyTorch on the same input."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial

import torch
from torch import Tensor

from psinn_fast.kernels.contract import AdamState, Backend
from psinn_fast.kernels.language.channels import ChannelSet
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.kernels.triton.backend import TritonBackend
from psinn_fast.networks.mlp import PsiMLP

from .cases import case_of
from .laplace.case import Case
from .lines import Row
from .settings import Settings, Task

POINTS, STEPS = 1_023, 10
# float32 with true products: at most twice the error of plain float32 PyTorch, with a floor of a few roundings.
FACTOR, FLOOR, FLOAT64_BAR = 2.0, 1e-7, 1e-12
KERNELS = ("loss", "jets", "jets of order 4", "jets_backward", "jacobian", "train")
STEP = ("loss", "train")
PRECISIONS = {"ieee": KERNELS, "float64": KERNELS, "tf32x3": STEP, "tf32": STEP}
NETWORKS = ("dense-32", "psi-32", "two-32", "dense-8-8-16")


def tasks(settings: Settings) -> list[Task]:
    if settings.quick:
        return [
            Task(_key(*names), partial(_measure, *names, settings))
            for names in (("psi-2", "loss", "ieee"), ("psi-2", "jets", "float64"))
        ]
    # All kernels on two networks; products of low precision where they would be used. The tests have many more.
    wanted = [(network, kernel, "ieee") for network in NETWORKS[2:] for kernel in STEP]
    for precision, kernels in PRECISIONS.items():
        wanted += [(network, kernel, precision) for network in NETWORKS[:2] for kernel in kernels]
    return [Task(_key(*names), partial(_measure, *names, settings), limit=90) for names in wanted]


def _key(network: str, kernel: str, precision: str) -> str:
    return f"{network}/{kernel}/{precision}"


def _measure(network: str, kernel: str, precision: str, settings: Settings, done: Mapping[str, Row]) -> Row:
    case = case_of(network, 15 if settings.quick else POINTS, settings)
    is_double = precision == "float64"
    backend = TritonBackend("ieee" if is_double else precision)
    found = outcome(kernel, backend, case, torch.float64 if is_double else torch.float32)
    expected = _expected(kernel, case)
    error = _error(found, expected)
    row: Row = {"network": network, "kernel": kernel, "precision": precision, "error": error}
    if is_double:
        return row | {"bar": FLOAT64_BAR, "met": error <= FLOAT64_BAR}
    plain = _error(outcome(kernel, ReferenceBackend(), case, torch.float32), expected)
    row |= {"error_of_plain_float32": plain, "factor": error / plain}
    if precision != "ieee":  # a figure, without a bar
        return row
    bar = max(FACTOR * plain, FLOOR)
    return row | {"bar": bar, "met": error <= bar}


@cache
def _expected(kernel: str, case: Case) -> list[Tensor]:
    return outcome(kernel, ReferenceBackend(), case, torch.float64)


def outcome(kernel: str, backend: Backend, case: Case, dtype: torch.dtype, steps: int = STEPS) -> list[Tensor]:
    """What a kernel gives on a case: several tensors, each to be compared by itself."""
    net = case.network().to(dtype)
    plan, theta, terms = net.plan, net.theta.detach(), case.terms(dtype)
    none, weights = theta.new_empty(0), theta.new_ones(len(terms))
    x = terms[0].points[0]
    if kernel == "loss":
        result = backend.loss_and_gradient(plan, theta, none, terms, weights)
        return [result.losses, result.theta]
    if kernel == "jacobian":
        return list(backend.residual_jacobian(plan, theta, none, terms[0]))
    if kernel == "train":
        state = AdamState(theta.clone(), none, case.lr)
        report = backend.train(plan, state, terms, weights, steps)
        return [state.theta, report.losses]
    channels = ChannelSet.closure(case.layers[0], [(2, 2)] if kernel == "jets of order 4" else [(2, 0), (1, 1)])
    if kernel == "jets_backward":
        return _jets_backward(backend, net, x, channels)
    return [backend.jets(plan, theta, x, channels)]


def _jets_backward(backend: Backend, net: PsiMLP, x: Tensor, channels: ChannelSet) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    grad = torch.empty(x.shape[0], len(channels), net.plan.d_out).uniform_(-1, 1, generator=generator).to(x)
    theta_bar, x_bar = backend.jets_backward(net.plan, net.theta.detach(), x, channels, grad, need_x=True)
    assert x_bar is not None
    return [theta_bar, x_bar]


def _error(found: list[Tensor], expected: list[Tensor]) -> float:
    """The largest relative L2 error of the parts; NaN where one is."""
    errors = [(a.to(b) - b).norm() / b.norm() for a, b in zip(found, expected, strict=True)]
    return float(torch.stack([error.cpu() for error in errors]).max())
