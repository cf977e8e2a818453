"""Jets as a function of weights and points that torch differentiates to any order, in fused passes.

One node of the graph gives all channels of a jet. Its way back is the fused adjoint, on no more channels than have a
cotangent. With ``create_graph=True`` the gradient for the points is a sum of cotangents times the next derivatives,

    d/dx_i sum_c <g_c, J_c> = sum_c <g_c, J_(c + e_i)>,

which are channels of the same jet, or of a larger one: so it is as differentiable as the jet itself, and all cotangents
come together in one adjoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..kernels.contract import Backend
from ..kernels.language.channels import MAX_ORDER, Channel, ChannelSet, Laplacian, MultiIndex
from ..kernels.network.plan import Plan
from .operators import may_have_tangents

_TORCH_FUNCTION = getattr(Tensor.__torch_function__, "__func__", None)


@dataclass
class _Asked:
    """What a node computes, with what. ``nodes``: those of theta and x, None where they need no gradient."""

    engine: Backend
    plan: Plan
    channels: ChannelSet
    nodes: tuple[Any, Any]
    needed: set[Channel]
    larger: dict[ChannelSet, tuple[Tensor, ...]] = field(default_factory=dict)


def jets(
    engine: Backend, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet, needed: set[Channel] | None = None
) -> tuple[Tensor, ...]:
    """Value and derivatives of all outputs at x (N, d), one tensor (N, F) for each channel.

    ``needed`` collects the channels that gradients ask for.
    """
    if not (torch.is_grad_enabled() and (theta.requires_grad or x.requires_grad)):
        return _by_channel(engine.jets(plan, theta, x, channels))
    # Aliases have nodes of their own, of which the engine says whether a gradient asks for them.
    theta, x = alias(theta), alias(x)
    asked = _Asked(engine, plan, channels, (theta.grad_fn, x.grad_fn), set() if needed is None else needed)
    found: tuple[Tensor, ...] = applied(_Jets, theta, x, asked)
    return found


def applied(function: type[torch.autograd.Function], *arguments: Any) -> Any:
    # torch leaves it without types.
    return function.apply(*arguments)  # type: ignore[no-untyped-call]


def are_transformed(*tensors: Tensor) -> bool:
    """Whether the tensors are more than numbers, or operations are looked at: kernels, which read memory, may not be.

    Transforms of torch.func, forward mode, tracing (torch.jit, make_fx, fake tensors), tensors of a class (`plain`).
    """
    return (
        torch._C._are_functorch_transforms_active()
        or may_have_tangents()
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._get_tracing_state() is not None
        or any(type(tensor) not in (Tensor, torch.nn.Parameter) for tensor in tensors)
    )


def plain(tensor: Tensor) -> Tensor:
    """The tensor without its class, where that has names and methods of its own but leaves torch's operations alone.

    Labelled points are such: torch computes with their numbers, and gives the result their class.
    """
    kind = type(tensor)
    if kind in (Tensor, torch.nn.Parameter):
        return tensor
    own_function = getattr(kind.__torch_function__, "__func__", None)
    is_numbers = own_function is _TORCH_FUNCTION and kind.__torch_dispatch__ is Tensor.__torch_dispatch__
    return tensor.as_subclass(Tensor) if is_numbers else tensor


def alias(tensor: Tensor) -> Tensor:
    return tensor.view_as(tensor) if tensor.requires_grad else tensor


def _by_channel(found: Tensor) -> tuple[Tensor, ...]:
    """Each in memory of its own, no view, so that one may be changed in place."""
    return tuple(channel.clone(memory_format=torch.contiguous_format) for channel in found.unbind(1))


class _Jets(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, theta: Tensor, x: Tensor, asked: _Asked) -> tuple[Tensor, ...]:
        found = _by_channel(asked.engine.jets(asked.plan, theta, x, asked.channels))
        # No gradient reads the value, which users may therefore change in place.
        ctx.save_for_backward(theta, x, *found[1:])
        ctx.asked = asked
        ctx.set_materialize_grads(False)
        return found

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        theta, x, *higher = ctx.saved_tensors
        asked: _Asked = ctx.asked
        need_theta, need_x = (is_asked_for(node) for node in asked.nodes)
        has_graph = torch.is_grad_enabled()
        given = {
            channel: plain(grad)
            for channel, grad in zip(asked.channels.channels, grads, strict=True)
            if grad is not None and not _is_zero(grad)
        }
        if not given:
            return *zeros(theta, x, (need_theta, need_x)), None
        # Batched cotangents (is_grads_batched) have no memory that kernels could read.
        is_batched = not all(torch._C._has_storage(grad) for grad in given.values())
        if not has_graph and not is_batched:
            return *_fused_adjoint(asked, theta, x, given, need_x), None
        theta_bar = x_bar = None
        if need_x and not is_batched and (next_ones := _next(asked.channels, tuple(given))) is not None:
            x_bar = _point_gradient(asked, theta, x, higher, given, next_ones)
            need_x = False
        if need_theta or need_x:
            by_torch = _differentiable_adjoint(asked, theta, x, given, (need_theta, need_x))
            theta_bar, x_bar = by_torch[0], by_torch[1] if need_x else x_bar
        return theta_bar, x_bar, None


def adjoint(
    engine: Backend,
    plan: Plan,
    theta: Tensor,
    x: Tensor,
    channels: ChannelSet,
    given: Mapping[Channel, Tensor],
    needed: tuple[bool, bool] = (True, False),
) -> tuple[Tensor | None, Tensor | None]:
    """Of the sum of cotangents (N, F) times jets, for theta and for x where ``needed``; with a graph in grad mode."""
    asked = _Asked(engine, plan, channels, (None, None), set())
    given = {channel: plain(grad) for channel, grad in given.items() if not _is_zero(grad)}
    _, need_x = needed
    if not given:
        return zeros(theta, x, needed)
    if torch.is_grad_enabled() or not all(torch._C._has_storage(grad) for grad in given.values()):
        by_theta, by_x = _differentiable_adjoint(asked, theta, x, given, needed)
        return by_theta, by_x
    return _fused_adjoint(asked, theta, x, given, need_x)


def zeros(theta: Tensor, x: Tensor, needed: tuple[bool, bool]) -> tuple[Tensor | None, Tensor | None]:
    """Gradients that are zero, for theta and for x where ``needed``: with a graph in grad mode, as torch's have one."""
    has_graph = torch.is_grad_enabled()
    by_theta, by_x = (
        None if not need else applied(_Zero, own, theta, x) if has_graph else torch.zeros_like(own)
        for own, need in zip((theta, x), needed, strict=True)
    )
    return by_theta, by_x


class _Zero(torch.autograd.Function):
    """Zero, as a function of weights and points, to any order."""

    @staticmethod
    def forward(ctx: Any, like: Tensor, theta: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(theta, x)
        return torch.zeros_like(like)

    @staticmethod
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor | None, ...]:
        theta, x = ctx.saved_tensors
        return None, *zeros(theta, x, (theta.requires_grad, x.requires_grad))


def is_asked_for(node: Any) -> bool:
    """Whether the gradient that is being computed leads to the node."""
    return node is not None and torch._C._will_engine_execute_node(node)


def _is_zero(grad: Tensor) -> bool:
    """Where that is known without waiting for a device: nested gradients send many zeros, of columns not used."""
    is_known = not grad.requires_grad and grad.device.type == "cpu" and torch._C._has_storage(grad)
    return is_known and not bool(grad.any())


def _fused_adjoint(
    asked: _Asked, theta: Tensor, x: Tensor, given: Mapping[Channel, Tensor], need_x: bool
) -> tuple[Tensor, Tensor | None]:
    seconds = _equal_seconds(given) if asked.channels.n_inputs > 1 else ()
    channels, places = _sufficient(asked.channels.n_inputs, tuple(given), seconds)
    # Column by column: torch would share the zeros of all among its threads, which costs more than it saves.
    grad = theta.new_empty(x.shape[0], len(channels), asked.plan.d_out)
    own = dict(zip(places, given.values(), strict=True))
    for place in range(len(channels)):
        grad[:, place] = own.get(place, 0)
    return asked.engine.jets_backward(asked.plan, theta, x, channels, grad, need_x)


def _equal_seconds(given: Mapping[Channel, Tensor]) -> tuple[int, ...]:
    """Axes whose pure second derivatives have one cotangent, as those of a Laplacian written as a sum."""
    pure = [
        (channel.index(2), grad)
        for channel, grad in given.items()
        if not isinstance(channel, Laplacian) and max(channel) == 2 == sum(channel)
    ]
    if len(pure) < 2 or pure[0][1].device.type != "cpu":
        return ()
    (_, first), *others = pure
    return tuple(axis for axis, _ in pure) if all(torch.equal(first, grad) for _, grad in others) else ()


@lru_cache(maxsize=1024)
def closure(n_inputs: int, wanted: frozenset[Channel]) -> ChannelSet:
    return ChannelSet.closure(n_inputs, wanted)


@lru_cache(maxsize=1024)
def _sufficient(
    n_inputs: int, given: tuple[Channel, ...], seconds: tuple[int, ...]
) -> tuple[ChannelSet, tuple[int | None, ...]]:
    """The smallest set that has the given channels, and their places in it.

    The pure second derivatives along ``seconds``, of equal cotangents, may go as one Laplacian, which the first of them
    stands for; the others then have no place.
    """
    plain = ChannelSet.closure(n_inputs, given)
    if len(seconds) > 1:
        pure = [tuple(2 * (i == axis) for i in range(n_inputs)) for axis in seconds]
        laplacian = Laplacian(seconds)
        rest = [channel for channel in given if channel not in pure and channel != laplacian]
        collapsed = ChannelSet.closure(n_inputs, [*rest, laplacian])
        if laplacian not in given and not set(pure) & set(collapsed.channels):
            at = collapsed.position(laplacian)
            first = next(channel for channel in given if channel in pure)
            places = tuple(
                at if channel == first else None if channel in pure else collapsed.position(channel)
                for channel in given
            )
            return collapsed, places
    return plain, tuple(plain.position(channel) for channel in given)


@lru_cache(maxsize=1024)
def _next(channels: ChannelSet, given: tuple[Channel, ...]) -> tuple[tuple[tuple[MultiIndex, ...], ...], ...] | None:
    """For each given channel and each axis the channels whose sum is its derivative; None above the highest order."""
    axes = range(channels.n_inputs)
    found = tuple(
        tuple(tuple(plus(index, axis) for index in _indices(channel, channels.n_inputs)) for axis in axes)
        for channel in given
    )
    highest = max(sum(index) for by_axis in found for indices in by_axis for index in indices)
    return found if highest <= MAX_ORDER else None


def _indices(channel: Channel, n_inputs: int) -> Iterable[MultiIndex]:
    if not isinstance(channel, Laplacian):
        return (channel,)
    return (tuple(2 * (i == axis) for i in range(n_inputs)) for axis in channel.axes)


def plus(index: MultiIndex, axis: int) -> MultiIndex:
    """The derivative of that derivative along an axis."""
    return tuple(order + (i == axis) for i, order in enumerate(index))


def _point_gradient(
    asked: _Asked,
    theta: Tensor,
    x: Tensor,
    higher: Sequence[Tensor],
    given: Mapping[Channel, Tensor],
    next_ones: tuple[tuple[tuple[MultiIndex, ...], ...], ...],
) -> Tensor:
    wanted = {index for by_axis in next_ones for indices in by_axis for index in indices}
    asked.needed |= wanted
    own: dict[Channel, Tensor] = dict(zip(asked.channels.channels[1:], higher, strict=True))
    if not wanted <= own.keys():
        larger = ChannelSet.closure(asked.channels.n_inputs, {*asked.channels.channels, *wanted})
        if larger not in asked.larger:
            asked.larger[larger] = jets(asked.engine, asked.plan, theta, x, larger, asked.needed)
        own = dict(zip(larger.channels, asked.larger[larger], strict=True))
    columns = []
    for axis in range(asked.channels.n_inputs):
        parts = [
            (grad * own[index]).sum(-1) if grad.shape[-1] > 1 else (grad * own[index]).squeeze(-1)
            for grad, by_axis in zip(given.values(), next_ones, strict=True)
            for index in by_axis[axis]
        ]
        columns.append(sum(parts[1:], parts[0]))
    return torch.stack(columns, -1)


def _differentiable_adjoint(
    asked: _Asked, theta: Tensor, x: Tensor, given: Mapping[Channel, Tensor], needed: tuple[bool, bool]
) -> list[Tensor | None]:
    """The gradients for theta and x that are needed, by torch's own operations, with a graph if grad mode is on."""
    has_graph = torch.is_grad_enabled()
    channels = ChannelSet.closure(asked.channels.n_inputs, given)
    with torch.enable_grad():
        # Aliases: x may have been computed from theta.
        inputs = theta.view_as(theta), x.view_as(x)
        found = asked.engine.differentiable_jets(asked.plan, *inputs, channels)
        outputs = [found[:, channels.position(channel)] for channel in given]
        wanted = [tensor for tensor, need in zip(inputs, needed, strict=True) if need]
        gradients = iter(
            torch.autograd.grad(outputs, wanted, [*given.values()], create_graph=has_graph, materialize_grads=True)
        )
    return [next(gradients) if need else None for need in needed]
