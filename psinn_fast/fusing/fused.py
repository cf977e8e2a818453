"""A fused loss: a number with gradients in one pass of the kernels, and a problem that can be trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
import torch
from torch import Tensor, nn

from ..kernels import get_backend
from ..kernels.contract import Term
from ..kernels.errors import GradientError, InputError
from ..language.reads import Reads
from ..networks.mlp import PsiMLP
from ..problem.problem import Problem
from .as_problem import TermPlan, problem_of
from .recorder import Decision
from .squares import Constant
from .symbols import Symbols


class Fused:
    """A loss that was recorded by `fuse`.

    Calling it gives the loss, (), with gradients for ``net.theta`` and the trained coefficients, in one pass of the
    kernels; not for points, and not to be differentiated again (a `GradientError`). It sees in-place changes of the
    tensors that were given or read.

    Attributes:
        net: the network.
        coefficients: the trained tensors beside it.
    """

    def __init__(self, recording: Recording, module: nn.Module, backend: str, title: str) -> None:
        self.net, self._module = recording.net, module
        self._recording, self._symbols = recording, recording.symbols
        self._backend, self._title = backend, title
        self._reads: Callable[[], Reads] | None = None
        self._fixed = {id(tensor): tensor.detach().clone() for tensor, _ in recording.fixed}
        self._terms: tuple[list[Term], Tensor] | None = None
        self._make()

    @property
    def coefficients(self) -> tuple[Tensor, ...]:
        return tuple({id(tensor): tensor for tensor, _ in self._symbols.coefficients.values()}.values())

    @property
    def problem(self) -> Problem:
        """The loss as a problem: its terms, points and residuals, as `describe` shows them.

        Raises:
            InputError: a tensor has changed through which operations went that were not recorded.
        """
        self._follow()
        return self._problem

    def describe(self) -> str:
        """The residuals that were found, term by term, and the derivatives they need."""
        return self.problem.describe()

    def __str__(self) -> str:
        return self.describe()

    def __call__(self, *given: object) -> Tensor:
        """
        Raises:
            InputError: anything ``given``, for the points are those of `fuse`; a tensor has changed through which
                operations went that were not recorded.
        """
        if given:
            raise InputError(
                "a fused loss takes no arguments: it is of the network and the tensors that it was fused for; change "
                "these in place, points.data.copy_(new_points), or fuse again for other numbers of points"
            )
        self._follow()
        theta = self.net.theta
        if self._terms is None or self._terms[1].dtype != theta.dtype or self._terms[1].device != theta.device:
            terms = self._problem.terms(theta.dtype, theta.device)
            self._terms = terms, self._problem.weights(theta.dtype, theta.device)
        tensors = self.coefficients
        # torch leaves Function.apply without types.
        total: Tensor = _Loss.apply(self, theta, *tensors)  # type: ignore[no-untyped-call]
        return total

    def numbers(self, like: Tensor) -> Tensor:
        """(K,): the trained numbers beside the network, as they are now."""
        own = [tensor.detach().reshape(-1)[k] for tensor, k in self._symbols.coefficients.values()]
        return torch.stack([value.to(like) for value in own]) if own else like.new_empty(0)

    def set_coefficients(self, values: Mapping[str, float]) -> None:
        """Write what `fit` found, by name, into the tensors."""
        with torch.no_grad():
            for symbol, (tensor, k) in self._symbols.coefficients.items():
                tensor[np.unravel_index(k, tensor.shape)] = values[self._recording.names[symbol]]

    def start(self) -> dict[str, float]:
        """The trained numbers beside the network, by name."""
        return {
            self._recording.names[s]: float(t.detach().reshape(-1)[k])
            for s, (t, k) in self._symbols.coefficients.items()
        }

    def _make(self) -> None:
        """From the tensors as they are now."""
        followed = [(tensor, tensor.detach().clone()) for tensor in self._symbols.tensors]
        for decision in self._recording.decisions:
            found = self._symbols.evaluated(decision.items, decision.n)
            if not np.array_equal(found, decision.found, equal_nan=True):
                raise InputError(
                    f"fused loss: points or data that the function read at {decision.line} have changed since it was "
                    "recorded, and it may do something else now; fuse the loss anew"
                )
        self._problem = problem_of(self._title, self._symbols, self._recording.plans, self.start())
        self._offset = sum(constant.value(self._symbols) for constant in self._recording.constants)
        # Last of all: after an error the change is still one.
        self._followed, self._terms = followed, None

    def hold_to(self, reads: Callable[[], Reads]) -> None:
        """From now on numbers of Python's that the function reads are to stay what they are."""
        self._reads, self._read = reads, reads()

    def _follow(self) -> None:
        if self._module is not self.net and all(part is not self.net for part in self._module.modules()):
            raise InputError("fused loss: the network is no longer a part of the module; fuse the loss anew")
        if self._reads is not None:
            for place, was, is_now in self._reads().changes(self._read):
                raise InputError(
                    f"fused loss: its function reads {place}, which was {was} when it was recorded, and is "
                    f"{is_now} now; change a tensor in place instead (tensor.copy_(...)), which is seen, or fuse the "
                    "loss anew"
                )
        for tensor, line in self._recording.fixed:
            if not torch.equal(tensor, self._fixed[id(tensor)]):
                raise InputError(
                    f"fused loss: a tensor {tuple(tensor.shape)} has changed since the loss was recorded, and went "
                    f"through operations that were not, at {line}; give it to the loss function as an argument of "
                    "fuse, or fuse the loss anew"
                )
        if all(torch.equal(tensor, before) for tensor, before in self._followed):
            return
        for tensor, before in self._followed:
            if tensor.shape != before.shape:
                raise InputError(
                    f"fused loss: a tensor {tuple(before.shape)} has the shape {tuple(tensor.shape)} now; fuse the "
                    "loss anew"
                )
        if self._recording.has_unseen:
            raise InputError(
                "fused loss: points or data have changed since it was recorded, and some tensors in it came from code "
                "that could not be watched; fuse the loss anew"
            )
        self._make()

    def _evaluated(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        assert self._terms is not None
        terms, weights = self._terms
        engine = get_backend(self._backend, theta.device, self.net.precision)
        found = engine.loss_and_gradient(self.net.plan, theta, self.numbers(theta), terms, weights)
        return weights @ found.losses + self._offset, found.theta, found.coefficients


@dataclass
class Recording:
    """What was recorded of a loss.

    Args:
        net: whose calls are fields.
        symbols: what the plans' expressions stand for.
        plans: the terms.
        constants: what is added to them.
        names: of the trained numbers.
        fixed: tensors that may not change, and where they were read.
        decisions: given numbers that may not change.
        has_unseen: whether tensors in it came from code that was not watched.
    """

    net: PsiMLP
    symbols: Symbols
    plans: tuple[TermPlan, ...]
    constants: tuple[Constant, ...]
    names: Mapping[sp.Symbol, str]
    fixed: Sequence[tuple[Tensor, str]]
    decisions: Sequence[Decision]
    has_unseen: bool = False


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, fused: Fused, theta: Tensor, *tensors: Tensor) -> Tensor:
        total, theta_bar, coefficients_bar = fused._evaluated(theta.detach())
        bars = [torch.zeros(tensor.shape, dtype=tensor.dtype, device=tensor.device) for tensor in tensors]
        places = {id(tensor): bar for tensor, bar in zip(tensors, bars, strict=True)}
        for value, (tensor, k) in zip(coefficients_bar, fused._symbols.coefficients.values(), strict=True):
            places[id(tensor)].view(-1)[k] = value
        # The weights as well: torch refuses a backward pass after they have changed.
        ctx.save_for_backward(theta, theta_bar, *bars)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise GradientError(
                "fused loss: it is differentiated once, and create_graph=True asks for more; differentiate the loss "
                "function itself"
            )
        _, *bars = ctx.saved_tensors
        return None, *(grad.to(bar) * bar for bar in bars)
