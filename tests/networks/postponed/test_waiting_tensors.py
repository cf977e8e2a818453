"""Derivatives that wait are tensors as any others: what torch and Python do with them."""

from __future__ import annotations

import copy
import io
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from postponing import N, both, target
from torch import Tensor, nn

from psinn_fast.networks.derivatives import Derivatives
from psinn_fast.networks.mlp import PsiMLP


def hooks(net: PsiMLP, d: Derivatives[Tensor]) -> Any:
    seen: list[Tensor] = []
    d.u.register_hook(lambda grad: seen.append(grad.clone()) or 2 * grad)
    (d.u * d.u_x).square().mean().backward()
    return [*seen, net.theta.grad]


def kept_gradients(net: PsiMLP, d: Derivatives[Tensor]) -> Any:
    residual = d.u_lap * d.u
    d.u.retain_grad()
    residual.retain_grad()
    residual.square().mean().backward()
    return [d.u.grad, residual.grad, net.theta.grad]


def chosen_inputs(net: PsiMLP, d: Derivatives[Tensor]) -> Any:
    loss = (d.u * d.u_x).square().mean()
    found = torch.autograd.grad(loss, [d.u, net.theta, d.v], retain_graph=True, allow_unused=True)
    torch.autograd.backward(loss, inputs=[net.theta])
    return [*found, net.theta.grad]


def second_derivative(net: PsiMLP, d: Derivatives[Tensor]) -> Any:
    (g,) = torch.autograd.grad((d.u_lap * d.u + d.v).square().mean(), net.theta, create_graph=True)
    return torch.autograd.grad(g.square().sum(), net.theta)


def twice(net: PsiMLP, d: Derivatives[Tensor]) -> Any:
    loss = (d.u * d.u_x).square().mean()
    loss.backward(retain_graph=True)
    loss.backward()
    return net.theta.grad


def too_often(net: PsiMLP, d: Derivatives[Tensor]) -> Any:
    loss = d.u.square().mean()
    loss.backward()
    loss.backward()


def batched(net: PsiMLP, d: Derivatives[Tensor]) -> Any:
    return torch.autograd.grad(d.u * d.v, net.theta, torch.eye(N, dtype=torch.float64)[:4], is_grads_batched=True)


def changed_in_place(net: PsiMLP, d: Derivatives[Tensor]) -> Any:
    before = d.u * 3
    d.u[3:5] = 0
    d.u.add_(1)
    (before * d.u).sum().backward()
    return [d.u, net.theta.grad]


def saved_then_changed(net: PsiMLP, d: Derivatives[Tensor]) -> Any:
    loss = (d.u * d.u_x).sum()
    d.u.add_(1)
    loss.backward()


def view_changed(net: PsiMLP, d: Derivatives[Tensor]) -> Any:
    d.u[:7].mul_(3)
    same, whole = d.v.view(N), d.u_x.expand(N)
    same.mul_(2)
    d.u_x.mul_(2)
    (d.u * d.v * whole).mean().backward()
    return [d.u, d.v, same, whole, net.theta.grad]


def detached_changed(net: PsiMLP, d: Derivatives[Tensor]) -> Any:
    apart = d.u.detach()
    apart.zero_()
    result = torch.empty_like(apart)
    with torch.no_grad():
        torch.add(d.v, d.u_x, out=result)
        torch.add(d.v, d.u_x, out=apart)
    return [d.u, apart, result]


def checkpointed(net: PsiMLP, d: Derivatives[Tensor]) -> Any:
    def loss(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).square().mean()

    total = sum(torch.utils.checkpoint.checkpoint(loss, d.u, d.u_x, use_reentrant=own) for own in (True, False))
    total.backward()
    return [total, net.theta.grad]


def saved_elsewhere(net: PsiMLP, d: Derivatives[Tensor]) -> Any:
    with torch.autograd.graph.save_on_cpu():
        loss = (d.u * d.u_x).square().mean()
    loss.backward()
    return net.theta.grad


def other_modes(net: PsiMLP, d: Derivatives[Tensor]) -> Any:
    with torch.inference_mode():
        largest = float((d.u * d.u_x).max()) + float(d.v[0]) + float(d.v.detach().view(N).sum())
    d.v.add_(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = (d.u * d.u_x).square().mean()
    with torch.no_grad():
        error = (d.u - target()).square().mean()
    loss.backward()
    return [largest, loss, error, net.theta.grad]


def transforms(net: PsiMLP, d: Derivatives[Tensor]) -> Any:
    own, x = d.u.detach(), target()
    return [
        torch.func.grad(lambda a: (a * own * d.u).sum())(x),
        torch.func.vmap(lambda a, b: a * b)(own, d.u_x),
        torch.func.jvp(lambda a: a * a, (own,), (x,)),
        torch.func.hessian(lambda a: (a**3 * own).sum())(x),
    ]


def no_numbers(net: PsiMLP, d: Derivatives[Tensor]) -> Any:
    for exponent in (math.inf, -math.inf, math.nan):
        ((d.u + 3) ** exponent).mean().backward()
    return net.theta.grad.isnan()


def data_replaced(net: PsiMLP, d: Derivatives[Tensor]) -> Any:
    apart, residual = d.u.detach(), d.u_x * 2
    apart.data = torch.zeros(N, dtype=torch.float64)
    residual.data = target()
    d.v.data.mul_(2)
    (residual * d.v_y + residual**3).sum().backward()
    return [apart, apart * 2, residual, residual.detach() + 1, d.u, d.v, net.theta.grad]


def converted(net: PsiMLP, d: Derivatives[Tensor]) -> Any:
    layer = nn.ParameterDict({"weights": nn.Parameter(d.u.detach())}).float()
    loss = (2 * layer["weights"]).sum()
    loss.backward()
    return [layer["weights"], loss, layer["weights"].grad, d.u]


def data_of_others(net: PsiMLP, d: Derivatives[Tensor]) -> Any:
    """The data of an ordinary tensor are memory with the numbers."""
    own, trained = torch.zeros(N, dtype=torch.float64), nn.Parameter(target())
    found = []
    with torch.no_grad():
        sources = [d.u.detach(), d.u.detach().abs(), d.u_x.data, d.v * 2, d.v_y.detach().view(N), nn.Parameter(d.u_y)]
    for source in sources:
        own.data = source
        trained.data = source
        own.data.mul_(2)
        found += [own.sum(), own.clone(), trained.square().sum(), torch.from_dlpack(own.detach())]
    (d.u * trained * own).sum().backward()
    return [*found, d.u, d.u_x, trained.grad]


def compiled(net: PsiMLP, d: Derivatives[Tensor]) -> Any:
    loss = torch.compile(lambda a, b: (a * b).square().mean(), backend="aot_eager")(d.u, d.u_x)
    loss.backward()
    torch._dynamo.reset()
    return [loss, net.theta.grad]


USES = [
    hooks, kept_gradients, chosen_inputs, second_derivative, twice, too_often, batched, changed_in_place,
    saved_then_changed, view_changed, detached_changed, checkpointed, saved_elsewhere, other_modes, transforms,
    no_numbers, data_replaced, converted, data_of_others, compiled,
]  # fmt: skip


@pytest.mark.parametrize("use", USES)
# torch.compile warns of its own doings.
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:The .grad attribute:UserWarning")
def test_whatever_torch_does(use: Callable[[PsiMLP, Any], Any], net: PsiMLP) -> None:
    both(net, lambda d: use(net, d))


def stored(tensor: Tensor) -> Tensor:
    file = io.BytesIO()
    torch.save(tensor, file)
    file.seek(0)
    return torch.load(file)


PYTHON: dict[str, Callable[[Any], Any]] = {
    "numpy": lambda d: d.u.detach().numpy(),
    "numpy, with a graph": lambda d: d.u.numpy(),
    "array": lambda d: np.asarray(d.u.detach()) + np.from_dlpack(d.u.detach()),
    "lists": lambda d: [d.u.tolist(), [float(value.detach()) for value in d.u], len(d.u)],
    "numbers": lambda d: [float(d.u.detach().mean()), d.u.mean().item(), bool(d.u.mean() > 0), d.u.argmax().item()],
    "text": lambda d: [repr(d.u.detach()), f"{d.u.mean():.3e}", str(d.u).partition("grad_fn")[0]],
    "what it is": lambda d: [
        d.u.shape, d.u.dtype, str(d.u.device), d.u.requires_grad, d.u.is_leaf, d.u.stride(), d.u.is_contiguous(),
        d.u.nbytes, d.u.data_ptr() != 0, d.u.untyped_storage().nbytes(),
    ],
    "a deep copy": lambda d: copy.deepcopy(d.u),
    "copies": lambda d: [copy.deepcopy(d.u.detach()), stored(d.u.detach()), stored(d.u)],
    "copies of many": lambda d: [
        *copy.deepcopy({name: value.detach() for name, value in d.items()}).values(),
        *stored([value.detach() for value in d.values()]),
        *pickle.loads(pickle.dumps([value.detach() for value in d.values()])),
        (lambda a, b: a is b)(*copy.deepcopy([d.u.detach()] * 2)),
    ],
    "numbers side by side": lambda d: [
        torch.tensor([d.u.mean().detach(), d.u_x.square().mean().detach()]), d.u.new_tensor([d.u.sum().detach()]),
        torch.as_tensor([d.v.mean(), d.u[2], 1.0]), torch.tensor([d.u.mean() > 0, d.u.mean() < 0]),
        np.array([d.u.mean().detach(), d.v.mean().detach()]), int(100 * d.u.mean()), complex(d.v.mean()),
    ],
    "parameters": lambda d: [nn.Parameter(d.u), d.u.detach().requires_grad_()],
    "like it": lambda d: [torch.zeros_like(d.u), torch.ones_like(d.u), d.u.new_zeros(3), torch.full_like(d.u, 2.0)],
    "layers": lambda d: nn.functional.linear(torch.stack([d.u, d.v], 1), torch.ones(3, 2, dtype=torch.float64)),
}  # fmt: skip


@pytest.mark.parametrize("which", PYTHON)
@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True:UserWarning")
def test_as_an_ordinary_tensor(which: str, net: PsiMLP) -> None:
    both(net, PYTHON[which])
