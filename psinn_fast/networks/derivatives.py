"""Exact derivatives of a tanh network by Taylor mode: `derivatives(net, points, "u u_x u_xx")`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ..kernels import get_backend
from ..kernels.contract import Backend
from ..kernels.errors import InputError
from ..kernels.language.channels import MAX_ORDER, Channel, ChannelSet, Laplacian
from ..kernels.network.plan import Plan
from ..language.derivative_names import parse_derivative, refuse_ambiguous, spatial_axes
from ..language.names import Names, normal, split_names, split_words
from .mlp import PsiMLP, check_network
from .operators import channels_of, channels_text, may_have_tangents


class Derivatives(Mapping[str, Tensor]):
    """Derivatives by name, as attributes (``d.u_xx``) or items (``d["u_xx"]``), each of shape (N,)."""

    def __init__(self, values: Mapping[str, Tensor]) -> None:
        self._values = dict(values)

    def __getattr__(self, name: str) -> Tensor:
        if name.startswith("_"):  # copying and pickling look for these before there are values
            raise AttributeError(name)
        if name not in self:
            raise AttributeError(f"{name!r} was not asked for; there are {', '.join(self._values)}")
        return self[name]

    def __getitem__(self, name: str) -> Tensor:
        return self._values[name if name in self._values else normal(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Derivatives({', '.join(self._values)})"


def derivatives(
    net: PsiMLP, points: Tensor, wanted: Names, *, coords: Names, fields: Names, backend: str = "auto"
) -> Derivatives:
    """Values and derivatives of a network's outputs at points.

    Args:
        net: a `PsiMLP` or `TanhMLP` with d inputs and F outputs.
        points: (N, d), of the network's dtype and device.
        wanted: e.g. ``"u, u_x, u_xx, v_xy"``: field, underscore, coordinates to differentiate by (total order 0 to 4);
            ``u_lap`` is the Laplacian over all coordinates but the one named t, as ``u.lap`` in a `PDE`; ``u_laptx``
            over t and x.
        coords: names of the inputs, in order, e.g. ``"x y"``.
        fields: names of the outputs, in order, e.g. ``"u v"``.
        backend: see `available_backends`.

    Returns:
        The derivatives by name, each (N,). Autograd differentiates them with respect to ``net.theta`` and, if
        ``points.requires_grad``, to the points. The backward pass recomputes; it stores no activations. With
        ``create_graph=True``, in forward mode and within torch.func's transforms (grad, hessian, vmap, ...) the result
        is as exact, to any order, but comes from torch's own operations, which take several times as long: to ask for
        the next derivative here (``"u u_x"`` instead of the gradient of ``u``) is faster. Code compiled by
        `torch.compile` is differentiated once.

    Raises:
        InputError: names, shapes, dtypes or devices that do not fit; an unknown derivative; an order above 4.
        GradientError: a second derivative of compiled code, or forward mode in it; raised as it is computed. It is a
            RuntimeError, as torch's own is, which comes first where torch compiles the backward pass (all its
            backends but "eager").
    """
    check_network(net)
    asked, channels = _request(wanted, coords, fields, net.structure.n_inputs, net.structure.n_outputs)
    is_transformed = torch._C._are_functorch_transforms_active()
    if torch.compiler.is_compiling() and not is_transformed:
        # An operator costs as much again as a call of the kernels on a few points: only where it is needed.
        jets = torch.ops.psinn_fast.jets(net.theta, points, net.structure_text, channels, backend)
    else:
        engine = get_backend(backend, net.theta.device)
        if is_transformed or may_have_tangents():
            jets = engine.differentiable_jets(net.plan, net.theta, points, channels_of(channels))
        else:
            # torch leaves Function.apply without types.
            jets = _Jets.apply(net.theta, points, net.plan, channels_of(channels), engine)  # type: ignore[no-untyped-call]
    return Derivatives({name: jets[:, c, field] for name, field, c in asked})


def _request(
    wanted: Names, coords: Names, fields: Names, n_inputs: int, n_outputs: int
) -> tuple[tuple[tuple[str, int, int], ...], str]:
    """(name, field, position of the channel) of each derivative, and the channels as text."""
    coord_names, field_names = split_names(coords, "coords"), split_names(fields, "fields")
    for what, names, size in (("coords", coord_names, n_inputs), ("fields", field_names, n_outputs)):
        if len(names) != size:
            raise InputError(f"{what}: the network has {size}, got {len(names)} names {list(names)}")
    asked = _parse(wanted, coord_names, field_names)
    channels = ChannelSet.closure(len(coord_names), [channel for _, channel in asked.values()])
    found = tuple((name, field, channels.position(channel)) for name, (field, channel) in asked.items())
    return found, channels_text(channels)


# What torch.compiler.assume_constant_result does, without importing the compiler and Triton, which takes a second.
# Functions have no such attribute as far as type checkers know.
_request._dynamo_marked_constant = True  # type: ignore[attr-defined]


def _parse(wanted: Names, coords: tuple[str, ...], fields: tuple[str, ...]) -> dict[str, tuple[int, Channel]]:
    names = split_words(wanted, "wanted")
    if not names:
        raise InputError("wanted: expected at least one derivative, e.g. 'u u_x'")
    refuse_ambiguous(coords)
    spatial = spatial_axes(coords)
    asked: dict[str, tuple[int, Channel]] = {}
    for name in map(normal, names):
        field, underscore, suffix = name.partition("_")
        channel = parse_derivative(suffix, coords, spatial)
        if field not in fields or channel is None or bool(underscore) != bool(suffix):
            raise InputError(f"wanted: {name!r} is no derivative of the fields {list(fields)} by {list(coords)}")
        if not isinstance(channel, Laplacian) and sum(channel) > MAX_ORDER:
            raise InputError(f"wanted: {name!r} has order {sum(channel)}; derivatives go up to order {MAX_ORDER}")
        asked[name] = (fields.index(field), channel)
    return asked


class _Jets(torch.autograd.Function):
    """`jets` with `jets_backward` as its backward, as long as nobody differentiates that."""

    @staticmethod
    def forward(ctx: Any, theta: Tensor, x: Tensor, plan: Plan, channels: ChannelSet, backend: Backend) -> Tensor:
        ctx.save_for_backward(theta, x)
        ctx.plan, ctx.channels, ctx.backend = plan, channels, backend
        return backend.jets(plan, theta, x, channels)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        theta, x = ctx.saved_tensors
        # Grad mode is on if the gradient needs a graph (create_graph=True); batched gradients have no storage.
        if torch.is_grad_enabled() or not torch._C._has_storage(grad):
            adjoint = _differentiable_adjoint(
                ctx.backend, ctx.plan, theta, x, ctx.channels, grad, ctx.needs_input_grad[:2]
            )
        else:
            need_x = ctx.needs_input_grad[1]
            adjoint = ctx.backend.jets_backward(ctx.plan, theta, x, ctx.channels, grad, need_x)
        return *adjoint, None, None, None


def _differentiable_adjoint(
    engine: Backend,
    plan: Plan,
    theta: Tensor,
    x: Tensor,
    channels: ChannelSet,
    grad: Tensor,
    needed: tuple[bool, bool],
) -> list[Tensor | None]:
    """The gradients for theta and x that are needed, with a graph if grad mode is on."""
    has_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        # Aliases: x may have been computed from theta.
        inputs = theta.view_as(theta), x.view_as(x)
        jets = engine.differentiable_jets(plan, *inputs, channels)
        wanted = [tensor for tensor, need in zip(inputs, needed, strict=True) if need]
        found = iter(torch.autograd.grad(jets, wanted, grad, create_graph=has_graph, materialize_grads=True))
    return [next(found) if need else None for need in needed]
