"""Derivatives that are not computed before somebody needs their numbers: a step of training may never do.

`derivatives` gives tensors that wait (`waiting.py`). A loss of them is noted, torch's way back through it is noted as
well, and where that reaches the network, one fused pass computes derivatives, cotangents and the gradient for theta.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..kernels.contract import Backend, check_request
from ..kernels.language.channels import Channel, ChannelSet
from ..kernels.network.plan import Plan
from .jets import adjoint, applied
from .noted_programs import gradient
from .notes import Call, JetNote, Note
from .waiting import Waiting

# Others print their programs and compile them, which takes seconds: they compute at once.
BACKENDS = ("cpu",)
# Numbers of points times weights times channels: below, noting an operation costs more than computing derivatives.
FEWEST = 5_000_000


def pays(engine: Backend, theta: Tensor, x: Tensor, channels: ChannelSet, fewest: int) -> bool:
    """Whether the backend can, and gains by, computing derivatives where their numbers are needed."""
    return (
        engine.name in BACKENDS
        and x.dim() == 2
        and len(x) * len(channels) * theta.numel() >= fewest
        and theta.requires_grad
        and torch.is_grad_enabled()
        and not torch.is_inference(theta)
        and not torch.is_inference(x)
    )


def can_wait(engine: Backend, theta: Tensor, x: Tensor, channels: ChannelSet) -> bool:
    """For tensors that are numbers (not `are_transformed`)."""
    return not x.requires_grad and pays(engine, theta, x, channels, FEWEST)


def postponed(
    engine: Backend, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet, asked: tuple[tuple[str, int, int], ...]
) -> dict[str, Tensor]:
    """The derivatives ``asked`` for (name, field, position of the channel), each (N,)."""
    check_request(engine, plan, theta, x, channels)
    found: tuple[Tensor, ...] = applied(_Postponed, theta, x, engine, plan, channels, asked)
    return {name: value for (name, _, _), value in zip(asked, found, strict=True)}


class _Postponed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, theta: Tensor, x: Tensor, engine: Backend, plan: Plan, channels: ChannelSet,
        asked: tuple[tuple[str, int, int], ...],
    ) -> tuple[Tensor, ...]:  # fmt: skip
        ctx.save_for_backward(theta, x)
        ctx.call = call = Call(engine, plan, theta, x, channels, tuple((field, c) for _, field, c in asked))
        ctx.set_materialize_grads(False)
        return tuple(Waiting.noted((JetNote(call, number),), call.shape) for number in range(len(call.asked)))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        # Asked for even where the call's own copies do: torch's error, if they have been changed in place.
        theta, x = ctx.saved_tensors
        call: Call = ctx.call
        given = {number: grad for number, grad in enumerate(grads) if grad is not None}
        if not given:
            return (None,) * 6
        found = None
        # Where numbers were needed all along, torch's operations have given plain ones, and there is nothing to spare.
        if not torch.is_grad_enabled() and not (
            call.is_computed and all(type(grad) is Tensor for grad in given.values())
        ):
            cotangents = {number: _cotangent(grad) for number, grad in given.items()}
            if all(map(_is_readable, cotangents.values())):
                own_ones = [grad.held for grad in given.values() if type(grad) is Waiting]
                found, _ = gradient(call, cotangents, others=call.open_gradients(own_ones))
        return _by_numbers(call, theta, x, given) if found is None else found, *(None,) * 5


def _cotangent(grad: Tensor) -> Note | Tensor:
    if type(grad) is not Waiting:
        return grad
    return grad.numbers() if grad.held.notes is None else grad.held.notes[0]


def _is_readable(cotangent: Note | Tensor) -> bool:
    """Batched ones (is_grads_batched) have no memory."""
    return isinstance(cotangent, Note) or (type(cotangent) is Tensor and torch._C._has_storage(cotangent))


def _by_numbers(call: Call, theta: Tensor, x: Tensor, given: Mapping[int, Tensor]) -> Tensor:
    """With a graph if grad mode is on."""
    by_channel: dict[Channel, dict[int, Tensor]] = {}
    for number, grad in given.items():
        field, c = call.asked[number]
        channel = call.channels.channels[c]
        own = grad.plain() if type(grad) is Waiting else grad
        fields = by_channel.setdefault(channel, {})
        fields[field] = fields[field] + own if field in fields else own
    cotangents = {channel: _columns(fields, call.plan.d_out) for channel, fields in by_channel.items()}
    found = adjoint(call.engine, call.plan, theta, x, call.channels, cotangents)[0]
    assert found is not None
    return found


def _columns(fields: Mapping[int, Tensor], n: int) -> Tensor:
    """(N, F), of some of the fields (N,)."""
    some = next(iter(fields.values()))
    if n == 1:
        return some.unsqueeze(-1)
    return torch.stack([fields[k] if k in fields else torch.zeros_like(some) for k in range(n)], -1)
