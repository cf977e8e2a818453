"""The jets and their adjoint as operators of torch, which `torch.compile` takes as they are (no graph break).

An operator's arguments are tensors, numbers and strings: so network and channels come as text, which means the same in
a copy, after pickling and in another process. What a text stands for is read once and kept.

    psinn_fast::jets(theta, x, structure, channels, backend, precision) -> jets (N, C, F)
    psinn_fast::jets_backward(theta, x, grad, structure, channels, backend, precision, need_x)
        -> (theta_bar, x_bar or empty)

``structure`` is `Structure.to_json`, ``channels`` `channels_text`, ``backend`` and ``precision`` are those of
`get_backend`; without a precision, as programs have it that were exported before there was a choice, it is "ieee".
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, library
from torch.autograd import forward_ad

from ..kernels import get_backend
from ..kernels.contract.precision import IEEE
from ..kernels.errors import GradientError
from ..kernels.language.channels import Channel, ChannelSet, Laplacian
from ..kernels.network.plan import Plan
from .structure import Structure

_LAPLACIAN = "lap"
_ADVICE = "ask `derivatives` for the next order, or call it outside of torch.compile (torch.compiler.disable)"


def channels_text(channels: ChannelSet) -> str:
    """``"0,0 1,0 0,1 lap0,1"``: orders by input; axes of a Laplacian."""
    return " ".join(
        _LAPLACIAN * isinstance(channel, Laplacian)
        + ",".join(map(str, channel.axes if isinstance(channel, Laplacian) else channel))
        for channel in channels.channels
    )


@lru_cache(maxsize=64)
def _plan(structure: str) -> Plan:
    return Structure.from_json(structure).plan


@lru_cache(maxsize=256)
def channels_of(text: str) -> ChannelSet:
    """The way back."""
    channels = tuple(map(_channel, text.split()))
    return ChannelSet(len(channels[0]), channels)


def _channel(text: str) -> Channel:
    numbers = tuple(map(int, text.removeprefix(_LAPLACIAN).split(",")))
    return Laplacian(numbers) if text.startswith(_LAPLACIAN) else numbers


def may_have_tangents() -> bool:
    """Forward mode is on."""
    return forward_ad._current_level >= 0


def _check_no_tangents() -> None:
    """An operator loses them without a word, and does not see them itself."""
    if may_have_tangents():
        raise GradientError(f"derivatives: compiled code knows no forward mode (torch.autograd.forward_ad); {_ADVICE}")


# The first call makes tables that later ones find, which must not lie in a CUDA graph's memory.
_NOT_IN_GRAPHS = (torch.Tag.cudagraph_unsafe,)


@library.custom_op("psinn_fast::jets", mutates_args=(), tags=_NOT_IN_GRAPHS)
def jets(theta: Tensor, x: Tensor, structure: str, channels: str, backend: str, precision: str = IEEE) -> Tensor:
    _check_no_tangents()
    engine = get_backend(backend, theta.device, precision)
    return engine.jets(_plan(structure), theta, x, channels_of(channels)).contiguous()


@jets.register_fake
def _(theta: Tensor, x: Tensor, structure: str, channels: str, backend: str, precision: str = IEEE) -> Tensor:
    _check_no_tangents()
    return theta.new_empty(x.shape[0], len(channels_of(channels)), _plan(structure).d_out)


@library.custom_op("psinn_fast::jets_backward", mutates_args=(), tags=_NOT_IN_GRAPHS)
def jets_backward(
    theta: Tensor, x: Tensor, grad: Tensor, structure: str, channels: str, backend: str, precision: str,
    need_x: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    engine = get_backend(backend, theta.device, precision)
    plan = _plan(structure)
    theta_bar, x_bar = engine.jets_backward(plan, theta, x, channels_of(channels), grad.contiguous(), need_x)
    return theta_bar.contiguous(), theta.new_empty(0) if x_bar is None else x_bar.contiguous()


@jets_backward.register_fake
def _(
    theta: Tensor, x: Tensor, grad: Tensor, structure: str, channels: str, backend: str, precision: str,
    need_x: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    return torch.empty_like(theta), x.new_empty(x.shape if need_x else 0)


def _keep(ctx: Any, inputs: Sequence[Any], output: Tensor) -> None:
    theta, x, *ctx.texts = inputs
    ctx.save_for_backward(theta, x)


def _adjoint(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    theta, x = ctx.saved_tensors
    need_x = ctx.needs_input_grad[1]
    theta_bar, x_bar = jets_backward(theta, x, grad, *ctx.texts, need_x)
    return theta_bar, x_bar if need_x else None, None, None, None, None


jets.register_autograd(_adjoint, setup_context=_keep)


def _refuse(ctx: Any, *grads: Tensor) -> None:
    raise GradientError(f"derivatives: compiled code differentiates them once; {_ADVICE}")


jets_backward.register_autograd(_refuse)
