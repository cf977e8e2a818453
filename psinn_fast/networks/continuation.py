"""Where earlier windows of time ended, as what the next one starts from: known to all orders, whatever its network."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from ..kernels import get_backend
from ..kernels.errors import InputError
from ..kernels.language.channels import MAX_ORDER, Channel, ChannelSet, Laplacian, MultiIndex
from ..kernels.language.closed_form import ClosedForm
from ..kernels.language.program import Instruction
from ..kernels.network.ansatz import composed
from ..kernels.network.plan import Plan

if TYPE_CHECKING:  # it knows the entries of files, which know this
    from .mlp import PsiMLP


@dataclass(frozen=True, eq=False)
class Window:
    """u = g + d N on times from ``start`` to ``end``, without what g has of the windows before.

    Args:
        plan: of N.
        theta: (P,), float64.
        offset, factor: g and d, one output for each field.
        start, end: times.
        digest: of the network and these times.
    """

    plan: Plan
    theta: Tensor
    offset: ClosedForm
    factor: ClosedForm
    start: float
    end: float
    digest: str

    @classmethod
    def of(cls, net: PsiMLP, start: float, end: float) -> Window:
        """A network that was trained on these times; a copy of its weights."""
        ansatz, theta = net.structure.ansatz, net.theta.detach().double().cpu().clone()
        sizes = net.structure.n_inputs, net.structure.n_outputs
        offset: object = constant(0.0, *sizes) if ansatz is None else ansatz.offset
        factor: object = constant(1.0, *sizes) if ansatz is None else ansatz.factor
        own = offset.offset if isinstance(offset, Continuation) else offset
        if not isinstance(own, ClosedForm) or not isinstance(factor, ClosedForm):
            raise InputError("net: its ansatz is neither in closed form nor the continuation of another network")
        text = hashlib.sha256(f"{net.structure_text} {start!r} {end!r}".encode())
        text.update(theta.numpy().tobytes())
        return cls(net.plan.bare, theta, own, factor, start, end, text.hexdigest())


class Continuation:
    """g(t, x) of a window of time: u where the windows before it ended, and from there on with u_t where it is known.

    With t_0 the end of the last one, g = u(t_0, x) for fields of first order in time, u(t_0, x) + (t - t_0) u_t(t_0, x)
    for those of second order, 0 for those without a derivative in time, and ``offset`` is added. All in float64.

    Args:
        windows: all before, in order, without gaps.
        axis: which coordinate is time.
        orders: by field, of the highest derivative in time: 0, 1 or 2.
        offset: in closed form.

    Raises:
        InputError: windows with gaps between them.
    """

    def __init__(self, windows: Sequence[Window], axis: int, orders: Sequence[int], offset: ClosedForm) -> None:
        self.windows, self.axis, self.orders, self.offset = tuple(windows), axis, tuple(orders), offset
        ends = [own.end for own in self.windows[:-1]]
        if not self.windows or ends != [own.start for own in self.windows[1:]]:
            raise InputError("windows: expected at least one, each from where the one before it ends")
        parts = [own.digest for own in self.windows], axis, self.orders, offset
        self.digest = hashlib.sha256(repr(parts).encode()).hexdigest()
        _KNOWN[id(self)] = self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Continuation) and other.digest == self.digest

    def __reduce__(self) -> tuple[Any, ...]:
        # Anew, so that it is known where it comes to.
        return Continuation, (self.windows, self.axis, self.orders, self.offset)

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def start(self) -> float:
        """t_0."""
        return self.windows[-1].end

    @property
    def n_inputs(self) -> int:
        return self.offset.n_inputs

    @property
    def n_outputs(self) -> int:
        return self.offset.n_outputs

    def jets(self, x: Tensor, channels: ChannelSet) -> Tensor:
        """Values and derivatives at points x (N, d), float64: (C, N, n_outputs).

        Raises:
            InputError: derivatives of u_t of an order above 3.
        """
        return self._onward(self._end(x, channels), x[:, self.axis] - self.start, channels) + self.offset.jets(
            x, channels
        )

    def support(self, channels: ChannelSet) -> tuple[frozenset[int], ...]:
        """Of each output: which channels are not zero at all points, whatever these are."""
        own = self.offset.support(channels)
        known = [
            frozenset(c for c, channel in enumerate(channels.channels) if _order(channel, self.axis) < order)
            for order in self.orders
        ]
        return tuple(a | b for a, b in zip(own, known, strict=True))

    def _end(self, x: Tensor, channels: ChannelSet) -> dict[MultiIndex, Tensor]:
        """u, and u_t where a field is of second order, with the spatial derivatives that are needed, at the last end:
        (N, F) each."""
        from .jets import are_transformed  # which knows structures, and these the entries of files

        engine, carried = get_backend("auto", x.device), self._carried(channels)
        is_led_back = (torch.is_grad_enabled() and x.requires_grad) or are_transformed(x)
        compute = engine.differentiable_jets if is_led_back else engine.jets
        state: dict[MultiIndex, Tensor] | None = None
        for window in self.windows:
            at = torch.cat([x[:, : self.axis], 0 * x[:, :1] + window.end, x[:, self.axis + 1 :]], 1)
            g, d = (own.jets(at, carried) for own in (window.offset, window.factor))
            if state is not None:
                g = g + self._onward(state, at[:, self.axis] - window.start, carried)
            theta = window.theta.to(x.device)
            inner = compute(window.plan, theta, at, carried)
            u = composed(g, d, carried, inner)
            state = {c: u[:, i] for i, c in enumerate(carried.channels) if not isinstance(c, Laplacian)}
        assert state is not None
        return state

    def _carried(self, channels: ChannelSet) -> ChannelSet:
        wanted, d = set[MultiIndex](), channels.n_inputs
        for channel in channels.channels:
            for index in _pure(channel, d):
                if index[self.axis] == 0:
                    wanted |= {_later(index, self.axis, j) for j in range(max(1, *self.orders))}
        if any(sum(index) > MAX_ORDER for index in wanted):
            raise InputError(
                f"channels: of an equation of second order in time, derivatives of order {MAX_ORDER} in space would "
                f"need those of order {MAX_ORDER + 1} where a window of time ends"
            )
        return ChannelSet.closure(d, wanted)

    def _onward(self, state: dict[MultiIndex, Tensor], elapsed: Tensor, channels: ChannelSet) -> Tensor:
        """The jets of u + elapsed u_t from those where elapsed is 0: (C, N, F)."""
        zero, rows = 0 * elapsed, []
        for channel in channels.channels:
            row = [zero] * self.n_outputs
            for index in _pure(channel, channels.n_inputs):
                later = _later(index, self.axis)
                for field, order in enumerate(self.orders):
                    if index[self.axis] < order:
                        row[field] = row[field] + state[index][:, field]
                    if index[self.axis] + 1 < order:
                        row[field] = row[field] + elapsed * state[later][:, field]
            rows.append(torch.stack(row, -1))
        return torch.stack(rows)


# All that there are, equal ones too: structures of files say which one they continue.
_KNOWN: WeakValueDictionary[int, Continuation] = WeakValueDictionary()


def known_continuation(digest: str) -> Continuation | None:
    """The one of a digest, if this process has it."""
    return next((own for own in list(_KNOWN.values()) if own.digest == digest), None)


def constant(value: float, n_inputs: int, n_outputs: int) -> ClosedForm:
    """One number for every output."""
    return ClosedForm(n_inputs, (Instruction("const", -1, -1, value),), (n_inputs,) * n_outputs)


def _later(index: MultiIndex, axis: int, by: int = 1) -> MultiIndex:
    return tuple(order + by * (i == axis) for i, order in enumerate(index))


def _order(channel: Channel, axis: int) -> int:
    """In time. Of a sum of second derivatives the least: in space they are there."""
    if isinstance(channel, Laplacian):
        return 0 if set(channel.axes) - {axis} else 2
    return channel[axis]


def _pure(channel: Channel, d: int) -> list[MultiIndex]:
    """Whose sum the channel is."""
    if isinstance(channel, Laplacian):
        return [tuple(2 * (i == axis) for i in range(d)) for axis in channel.axes]
    return [channel]
