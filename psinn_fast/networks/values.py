"""``net(x)`` by the kernels, and what is remembered of earlier calls: which derivatives nested gradients asked for."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from ..kernels import kernels_for
from ..kernels.errors import InputError
from ..kernels.language.channels import MAX_INPUTS, Channel
from .jets import are_transformed, closure, jets, plain
from .notes import Effort
from .waiting_jets import can_wait, waiting_value

if TYPE_CHECKING:
    from .mlp import PsiMLP

# Of fewer points than this part of the widest layer, getting the weights ready costs more than torch's operations.
_FEW = 2
# Calls of one shape whose requests are remembered: several point sets of a loss may have it; and shapes.
_CALLS, _SHAPES = 8, 32


@dataclass
class Needs:
    """What a call turns out to need: the channels that gradients ask for, and notes, if its numbers wait."""

    channels: set[Channel] = field(default_factory=set)
    effort: Effort = field(default_factory=Effort)


class _Memory:
    """What the last calls turned out to need, by the shape of their points."""

    def __init__(self) -> None:
        self._calls: OrderedDict[torch.Size, deque[Needs]] = OrderedDict()

    def begin(self, shape: torch.Size, is_training: bool) -> tuple[Needs, Needs]:
        """What the last calls of this shape needed, and where to note what this one needs.

        Of a new shape, a last and smaller batch for instance, that is what the call before it is known to need; in
        evaluation, where values at many points may be all that is wanted, nothing.
        """
        calls = self._calls.get(shape)
        if calls is None:
            before = next(reversed(self._calls.values()), ()) if is_training else ()
            calls = deque(before, maxlen=_CALLS)
            self._calls[shape] = calls
            if len(self._calls) > _SHAPES:
                self._calls.popitem(last=False)
        self._calls.move_to_end(shape)
        known = Needs(
            set().union(*(call.channels for call in calls)),
            max((call.effort for call in calls), key=lambda effort: effort.n_notes, default=Effort()),
        )
        # If its numbers do not wait, it costs what was known, should they.
        own = Needs(effort=known.effort)
        calls.append(own)
        return known, own


# Not kept in the networks, which are copied and pickled.
_MEMORIES: WeakKeyDictionary[PsiMLP, _Memory] = WeakKeyDictionary()


def value(net: PsiMLP, x: Tensor) -> Tensor | None:
    """The outputs at x (..., d) by the kernels; None where torch's own operations have to, or do so sooner."""
    theta, plan = net.theta, net.plan
    if torch.is_autocast_enabled(theta.device.type):
        return None
    for what, own, expected in (("", x.dtype, theta.dtype), ("device ", x.device, theta.device)):
        if own != expected:
            raise InputError(f"x: expected {what}{expected} like theta, got {own}; write x.to(net.theta)")
    points, numbers = x.shape[:-1].numel(), plain(x)
    if points * _FEW < plan.widest or plan.d_in > MAX_INPUTS or are_transformed(theta, numbers):
        return None
    known, now = Needs(), Needs()
    if x.requires_grad and torch.is_grad_enabled():
        known, now = _MEMORIES.setdefault(net, _Memory()).begin(x.shape, net.training)
    channels = closure(plan.d_in, frozenset(known.channels))
    engine = kernels_for(plan, channels, theta.dtype, theta.device)
    if engine is None:
        return None
    if net.training and numbers is x and can_wait(engine, theta, x, channels, known.effort):
        found, now.effort = waiting_value(engine, plan, theta, x, channels, now.channels)
        return found
    found = jets(engine, plan, theta, numbers.reshape(points, plan.d_in), channels, now.channels)[0]
    found = found.view(*x.shape[:-1], plan.d_out)
    return found if numbers is x else found.as_subclass(type(x))
