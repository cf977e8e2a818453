"""``net(x)`` by the kernels, and what is remembered of earlier calls: which derivatives nested gradients asked for."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from ..kernels import kernels_for
from ..kernels.errors import InputError
from ..kernels.language.channels import MAX_INPUTS, Channel
from .jets import applied, are_transformed, closure, jets, plain
from .notes import Effort
from .waiting import Waiting
from .waiting_jets import can_wait, waiting_value

if TYPE_CHECKING:
    from .mlp import PsiMLP

# Of fewer points than this part of the widest layer, getting the weights ready costs more than torch's operations.
_FEW = 2
# Calls of one shape whose requests are remembered: several point sets of a loss may have it; and shapes.
_CALLS, _SHAPES = 8, 32


class _Calls:
    """Of one shape: which channels the last ones turned out to need, and what it was worth to wait."""

    def __init__(self, before: _Calls | None = None) -> None:
        self.needs: deque[set[Channel]] = deque(before.needs if before else (), maxlen=_CALLS)
        self.effort: Effort = Effort(before.effort.n_notes if before else 0)

    def begin(self) -> tuple[frozenset[Channel], set[Channel]]:
        """What is known to be needed, and where to note what the next call needs."""
        known: frozenset[Channel] = frozenset().union(*self.needs)
        own: set[Channel] = set()
        self.needs.append(own)
        return known, own


class Memory:
    """The calls of a network, by the shape of their points."""

    def __init__(self) -> None:
        self._calls: OrderedDict[torch.Size, _Calls] = OrderedDict()

    def of(self, shape: torch.Size, is_training: bool) -> _Calls:
        """Of a new shape, a last and smaller batch for instance, what is known is that of the call before it; in
        evaluation, where values at many points may be all that is wanted, nothing."""
        calls = self._calls.get(shape)
        if calls is None:
            before = next(reversed(self._calls.values()), None) if is_training else None
            self._calls[shape] = calls = _Calls(before)
            if len(self._calls) > _SHAPES:
                self._calls.popitem(last=False)
        self._calls.move_to_end(shape)
        return calls


# Not kept in the networks, which are copied and pickled.
_MEMORIES: WeakKeyDictionary[PsiMLP, Memory] = WeakKeyDictionary()


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
    known, needed, effort = frozenset[Channel](), set[Channel](), Effort()
    # What is saved by hooks is computed again, and compared: it must not depend on what was learned in between.
    is_plain = torch._C._autograd._top_saved_tensors_default_hooks(False) is None
    if x.requires_grad and torch.is_grad_enabled() and is_plain:
        calls = _MEMORIES.setdefault(net, Memory()).of(x.shape, net.training)
        (known, needed), effort = calls.begin(), calls.effort
    channels = closure(plan.d_in, known)
    engine = kernels_for(plan, channels, theta.dtype, theta.device, net.precision)
    if engine is None:
        return None
    if net.training and numbers is x and can_wait(engine, theta, x, channels, effort):
        found = waiting_value(engine, plan, theta, x, channels, needed, effort)
    else:
        found = jets(engine, plan, theta, numbers.reshape(points, plan.d_in), channels, needed)[0]
    if found.requires_grad:
        found = applied(_Value, found, (*x.shape[:-1], plan.d_out))
    else:
        found = found.view(*x.shape[:-1], plan.d_out)
    return found if numbers is x else found.as_subclass(type(x))


class _Value(torch.autograd.Function):
    """The value alone, of a node that gives derivatives as well, and no view: as a layer's output is.

    Hooks on an output of several are called with nothing where gradients lead through the others.
    """

    @staticmethod
    def forward(ctx: Any, found: Tensor, shape: tuple[int, ...]) -> Tensor:
        ctx.shape = found.shape
        ctx.set_materialize_grads(False)
        if type(found) is Waiting and found.held.notes is not None:
            return Waiting.noted(found.held.notes, shape)
        return found.view(shape).data

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> tuple[Tensor | None, None]:
        return None if grad is None else grad.reshape(ctx.shape), None
