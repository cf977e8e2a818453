"""``net(x)`` and its nested gradients as tensors that wait (`waiting.py`), once it is known which are asked for.

A node of torch's graph as `jets.py` has it, but for its outputs, which are notes: the value, and all other channels as
the columns of one tensor. torch's way back through a user's loss is noted as well, and ends here in one fused pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..kernels.contract import Backend, check_request
from ..kernels.language.channels import MAX_ORDER, Channel, ChannelSet, Laplacian, MultiIndex
from ..kernels.network.plan import Plan
from .jets import adjoint, alias, applied, closure, is_asked_for, plus, zeros
from .noted_columns import MOST_COLUMNS, columns_of, numbers_of, one_number
from .noted_programs import gradient
from .notes import Call, ConstantNote, Effort, JetNote, Note, is_zero
from .postponed import pays
from .waiting import Waiting, is_going_back

# Numbers of points times weights times channels, below which noting costs more than it saves: in any case, and for each
# note. (Where conditions hold by construction, second derivatives of a product of functions take hundreds.)
FEWEST, PER_NOTE = 5_000_000, 1_000_000
# After so many calls on end that were asked for numbers before their gradient, so many are computed at once.
_READ, _PAUSE = 2, 50


def can_wait(engine: Backend, theta: Tensor, x: Tensor, channels: ChannelSet, effort: Effort) -> bool:
    """Of a call whose derivatives were asked for before; for tensors that are numbers (not `are_transformed`).

    ``effort``: of the last calls like it.
    """
    if not (
        1 < len(channels) <= MOST_COLUMNS
        and x.requires_grad
        and pays(engine, theta, x, channels, FEWEST + PER_NOTE * effort.n_notes)
        # What a checkpoint computes again is needed at once.
        and not is_going_back()
    ):
        return False
    if effort.n_read < _READ:
        return True
    # Somebody looks at every loss before its gradient, it seems; later that may be over.
    effort.n_read = effort.n_read + 1 if effort.n_read < _READ + _PAUSE else _READ - 1
    return False


def waiting_value(
    engine: Backend, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet, needed: set[Channel],
    effort: Effort,
) -> Tensor:  # fmt: skip
    """The value (N, F) at x (N, d).

    Args:
        channels: are expected to be asked for.
        needed, effort: collect what is asked for, and what that takes.
    """
    return _outputs(_Asked(engine, plan, channels, needed, effort), theta, x)[0]


@dataclass
class _Asked:
    """What a node stands for.

    Attributes:
        needed, effort: collect the channels that gradients ask for, and what that takes.
        nodes: those of theta and x, None where they need no gradient.
        larger: nodes of more channels, and their outputs, for what was not expected.
    """

    engine: Backend
    plan: Plan
    channels: ChannelSet
    needed: set[Channel]
    effort: Effort
    nodes: tuple[Any, Any] = (None, None)
    call: Call | None = None
    larger: dict[ChannelSet, tuple[_Asked, Tensor]] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """Columns of all channels but the value."""
        return (len(self.channels) - 1) * self.plan.d_out


class _Cotangent(NamedTuple):
    """What a derivative is to be multiplied by: column ``column`` of ``grad``, or 1."""

    channel: MultiIndex
    field: int
    grad: Tensor
    column: int
    is_one: bool


def _outputs(asked: _Asked, theta: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The value (N, F) and all other channels (N, (C - 1) F)."""
    check_request(asked.engine, asked.plan, theta, x, asked.channels)
    # Aliases have nodes of their own, of which the engine says whether a gradient asks for them.
    theta, x = alias(theta), alias(x)
    asked.nodes = theta.grad_fn, x.grad_fn
    found: tuple[Tensor, Tensor] = applied(_WaitingJets, theta, x, asked)
    return found


class _WaitingJets(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, theta: Tensor, x: Tensor, asked: _Asked) -> tuple[Tensor, Tensor]:
        n_fields, n_channels = asked.plan.d_out, len(asked.channels)
        each = tuple((field, channel) for channel in range(n_channels) for field in range(n_fields))
        asked.call = call = Call(asked.engine, asked.plan, theta, x, asked.channels, each, asked.effort)
        notes = tuple(JetNote(call, number) for number in range(len(each)))
        value = Waiting.noted(notes[:n_fields], (call.n_points, n_fields))
        others = Waiting.noted(notes[n_fields:], (call.n_points, asked.width))
        # No gradient reads the value, which users may therefore change in place.
        ctx.save_for_backward(theta, x, others)
        ctx.asked = asked
        ctx.set_materialize_grads(False)
        return value, others

    @staticmethod
    def backward(ctx: Any, by_value: Tensor | None, by_others: Tensor | None) -> tuple[Tensor | None, ...]:
        theta, x, others = ctx.saved_tensors
        asked: _Asked = ctx.asked
        need_theta, need_x = (is_asked_for(node) for node in asked.nodes)
        needed = need_theta, need_x
        has_graph = torch.is_grad_enabled()
        given = _cotangents(asked, by_value, by_others)
        if not has_graph and need_theta and (found := _noted_adjoint(asked, given, need_x, by_value, by_others)):
            return *found, None
        x_bar = None
        # Batched cotangents (is_grads_batched) have no memory, and no notes.
        is_readable = all(torch._C._has_storage(own.grad) for own in given)
        if has_graph and need_x and is_readable and given and all(sum(own.channel) < MAX_ORDER for own in given):
            x_bar = _point_gradient(asked, theta, x, others, given)
            needed = need_theta, False
        if not any(needed):
            return None, x_bar, None
        if not given:
            return *zeros(theta, x, needed), None
        by_channel = _by_channel(asked, by_value, by_others)
        theta_bar, found_x = adjoint(asked.engine, asked.plan, theta, x, asked.channels, by_channel, needed)
        return theta_bar if need_theta else None, found_x if needed[1] else x_bar, None


def _cotangents(asked: _Asked, by_value: Tensor | None, by_others: Tensor | None) -> list[_Cotangent]:
    """Those that are not known to be zero at all points."""
    found: list[_Cotangent] = []
    n_fields = asked.plan.d_out
    for grad, first in ((by_value, 0), (by_others, n_fields)):
        if grad is None:
            continue
        for column, known in enumerate(_known(grad)):
            if known != 0.0:
                channel = asked.channels.channels[(first + column) // n_fields]
                assert not isinstance(channel, Laplacian)
                found.append(_Cotangent(channel, column % n_fields, grad, column, known == 1.0))
    return found


def _known(grad: Tensor) -> Sequence[float | None]:
    """Of each column, the number that it is at all points, as cotangents of sums and of parts are 1 or 0."""
    if type(grad) is Waiting and (notes := grad.held.notes) is not None:
        # Zeros of notes depend on nothing; ones may, and are multiplied then.
        return [
            note.number if type(note) is ConstantNote and (is_zero(note) or not grad.requires_grad) else None
            for note in notes
        ]
    if grad.requires_grad or not torch._C._has_storage(grad):
        return [None] * grad.shape[1]
    return [one_number(column.contiguous()) for column in numbers_of(grad).unbind(1)]


def _noted_adjoint(
    asked: _Asked, given: Sequence[_Cotangent], need_x: bool, *grads: Tensor | None
) -> tuple[Tensor, Tensor | None] | None:
    """One fused pass, if gradients wait that say what derivatives are to be multiplied by; else None.

    What else torch has still to lead back, through a source that depends on the points, is computed as well.
    """
    if not any(type(own.grad) is Waiting and own.grad.held.notes is not None for own in given):
        return None
    assert asked.call is not None
    asked.call.learn()
    cotangents: dict[int, Note | Tensor] = {}
    for own in given:
        number = asked.channels.position(own.channel) * asked.plan.d_out + own.field
        notes = own.grad.held.notes if type(own.grad) is Waiting else None
        cotangents[number] = numbers_of(own.grad)[:, own.column].contiguous() if notes is None else notes[own.column]
    own_ones = [grad.held for grad in grads if type(grad) is Waiting]
    by_theta, by_points = gradient(asked.call, cotangents, need_x, asked.call.open_gradients(own_ones))
    return None if by_theta is None else (by_theta, by_points)


def _by_channel(asked: _Asked, by_value: Tensor | None, by_others: Tensor | None) -> dict[Channel, Tensor]:
    """Cotangents (N, F) as ordinary tensors, with their graph."""
    n = asked.plan.d_out
    found: dict[Channel, Tensor] = {}
    for grad, channels in ((by_value, asked.channels.channels[:1]), (by_others, asked.channels.channels[1:])):
        if grad is not None:
            ordinary = grad.plain() if type(grad) is Waiting else grad
            # Indexing may give aliases, which batched tensors have none of.
            found |= {channel: ordinary.narrow(1, c * n, n) for c, channel in enumerate(channels)}
    return found


def _point_gradient(asked: _Asked, theta: Tensor, x: Tensor, others: Tensor, given: Sequence[_Cotangent]) -> Tensor:
    """d/dx_i sum_c <g_c, J_c> = sum_c <g_c, J_(c + e_i)>, see `jets.py`."""
    axes = range(asked.channels.n_inputs)
    next_ones = [tuple(plus(own.channel, axis) for axis in axes) for own in given]
    wanted = {channel for by_axis in next_ones for channel in by_axis}
    asked.needed |= wanted
    if not wanted <= {*asked.channels.channels}:
        channels = closure(asked.channels.n_inputs, frozenset({*asked.channels.channels, *wanted}))
        if channels not in asked.larger:
            larger = _Asked(asked.engine, asked.plan, channels, asked.needed, asked.effort)
            asked.larger[channels] = larger, _outputs(larger, theta, x)[1]
        asked, others = asked.larger[channels]
    n_fields, parts = asked.plan.d_out, []
    for own, by_axis in zip(given, next_ones, strict=True):
        chosen = tuple((asked.channels.position(channel) - 1) * n_fields + own.field for channel in by_axis)
        part: Tensor = applied(_Chosen, others, chosen, asked)
        parts.append(part if own.is_one else own.grad[:, own.column : own.column + 1] * part)
    return sum(parts[1:], parts[0])


class _Chosen(torch.autograd.Function):
    """Columns of the other channels. Its gradient is zero in the rest, and says so: torch's own is full of numbers."""

    @staticmethod
    def forward(ctx: Any, others: Tensor, chosen: tuple[int, ...], asked: _Asked) -> Tensor:
        ctx.chosen, ctx.asked = chosen, asked
        ctx.set_materialize_grads(False)
        notes = others.held.notes if type(others) is Waiting else None
        if notes is None:  # whoever keeps tensors elsewhere has asked for numbers
            return numbers_of(others)[:, list(chosen)]
        return Waiting.noted(tuple(notes[k] for k in chosen), (len(others), len(chosen)))

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> tuple[Tensor | None, ...]:
        if grad is None:
            return None, None, None
        if not torch._C._has_storage(grad):
            zeros = grad.new_zeros(grad.shape[0], ctx.asked.width)
            return zeros.index_copy(1, torch.tensor(ctx.chosen), grad), None, None
        if not grad.requires_grad:
            return _placed(grad, ctx.chosen, ctx.asked), None, None
        return applied(_Placed, grad, ctx.chosen, ctx.asked), None, None


class _Placed(torch.autograd.Function):
    """The gradient of `_Chosen`, which is that of this one."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, chosen: tuple[int, ...], asked: _Asked) -> Tensor:
        ctx.chosen, ctx.asked = chosen, asked
        ctx.set_materialize_grads(False)
        return _placed(grad, chosen, asked)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> tuple[Tensor | None, ...]:
        return None if grad is None else applied(_Chosen, grad, ctx.chosen, ctx.asked), None, None


def _placed(grad: Tensor, chosen: tuple[int, ...], asked: _Asked) -> Tensor:
    assert asked.call is not None
    calls = (asked.call,)
    notes: list[Note] = [ConstantNote(calls, 0.0)] * asked.width
    for k, note in zip(chosen, columns_of(grad, calls), strict=True):
        notes[k] = note
    return Waiting.noted(tuple(notes), (len(grad), asked.width))
