"""What every backend is: operations of one signature, whose arguments are checked in one place.

Conventions. ``theta`` is the vector of independent parameters, float32 or float64; every other tensor has its dtype
and device. N points, d inputs, F outputs (fields), C channels, m residuals, P parameters, K unknown coefficients, T
terms. Results are new tensors without autograd history. A wrong shape, dtype or device raises `InputError`, which names
the argument, before any work is done; a network beyond a backend's limits raises `BackendLimit`. Non-finite numbers are
not an error but flow through to the result; `train` stops on them. On one machine, with one thread count, the same call
gives the same bits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from ..channels import ChannelSet
from ..errors import BackendLimit, InputError
from ..plan import Plan
from ..reference.jacobian import residual_jacobian
from ..regularizer import Regularizer
from . import adam
from .adam import AdamState
from .checks import check_jets, check_like, check_loss, check_size, check_terms
from .operations import LossAndGradient, Term, TrainReport
from .sums import ByOperations, Network, batches, losses_and_gradient

# Public names of the operations.
OPERATIONS = ("jets", "jets_backward", "loss_and_gradient", "train", "residual_jacobian")

_PLACES = {"cpu": "the CPU", "cuda": "a GPU"}


class Backend(ABC):
    """A way to carry out the operations.

    A subclass gives itself a ``name`` and writes `_jets` and `_jets_backward`. Everything else is inherited: losses and
    training are built on these two, the Jacobian is the reference's. It overrides what it can do faster, always the
    method with the underscore: the public one has checked the arguments before.

    Attributes:
        name: what ``get_backend(name)`` and ``backend=name`` call it.
        device_types: types of the devices whose tensors it takes ("cpu", "cuda"), or None for any.
        widest: the most neurons that a layer may have; None for any number.
        deepest: the most layers that a network may have.
        most_channels: the most channels that a residual may read.
    """

    name: str
    device_types: tuple[str, ...] | None = None
    widest: int | None = None
    deepest: int | None = None
    most_channels: int | None = None

    def unavailable(self) -> str | None:
        """None, or the reason why this backend cannot run on this machine."""
        return None

    def supports(self, plan: Plan, channels: ChannelSet, dtype: torch.dtype, device: torch.device) -> str | None:
        """None, or which limit is exceeded and what would work, as the text of an error that names the argument.

        By default the limits are those that the attributes state.
        """
        otherwise = "backend 'reference' takes any"
        if self.device_types is not None and device.type not in self.device_types:
            places = " or ".join(_PLACES.get(kind, kind) for kind in self.device_types)
            return f"theta: backend {self.name!r} needs tensors on {places}, got {device}; {otherwise}"
        if self.widest is not None and plan.widest > self.widest:
            return f"plan: backend {self.name!r} takes layers up to {self.widest} wide, got {plan.widest}; {otherwise}"
        if self.deepest is not None and len(plan.layers) > self.deepest:
            return f"plan: backend {self.name!r} takes up to {self.deepest} layers, got {len(plan.layers)}; {otherwise}"
        if self.most_channels is not None and len(channels) > self.most_channels:
            most = self.most_channels
            return f"channels: backend {self.name!r} takes up to {most}, got {len(channels)}; {otherwise}"
        return None

    @torch.no_grad()
    def jets(self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> Tensor:
        """Value and derivatives of all outputs: x (N, d) -> (N, C, F), channels in the set's order."""
        check_jets(plan, theta, x, channels)
        self._check_limits(plan, (channels,), theta)
        return self._jets(plan, theta, x, channels)

    @torch.no_grad()
    def jets_backward(
        self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet, grad: Tensor, need_x: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Adjoint of `jets`: grad (N, C, F) -> gradient for theta (P,) and, if asked, for x (N, d).

        Recomputes the forward pass; nothing is saved between the two.
        """
        check_jets(plan, theta, x, channels)
        check_like("grad", grad, theta, (x.shape[0], len(channels), plan.d_out))
        self._check_limits(plan, (channels,), theta)
        return self._jets_backward(plan, theta, x, channels, grad, need_x)

    @torch.no_grad()
    def loss_and_gradient(
        self,
        plan: Plan,
        theta: Tensor,
        coefficients: Tensor,
        terms: Sequence[Term],
        regularizer: Regularizer | None = None,
    ) -> LossAndGradient:
        """All terms and their gradients for theta and coefficients (K,) in one pass."""
        check_loss(plan, theta, coefficients, terms, regularizer)
        self._check_limits(plan, (term.program.channels for term in terms), theta)
        return self._loss_and_gradient(plan, theta, coefficients, terms, regularizer)

    @torch.no_grad()
    def train(
        self,
        plan: Plan,
        state: AdamState,
        terms: Sequence[Term],
        steps: int,
        regularizer: Regularizer | None = None,
    ) -> TrainReport:
        """``steps`` Adam steps without returning to the caller; stops early on a non-finite loss or gradient."""
        check_loss(plan, state.theta, state.coefficients, terms, regularizer)
        if steps < 0:
            raise InputError(f"steps: expected a number >= 0, got {steps}")
        state.check()
        self._check_limits(plan, (term.program.channels for term in terms), state.theta)
        return self._train(plan, state, terms, steps, regularizer)

    @torch.no_grad()
    def residual_jacobian(
        self, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term, rows: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """Residuals r (n, m) and their Jacobian (n, m, P + K) at the term's points ``rows``; unweighted."""
        check_terms(plan, theta, coefficients, [term])
        self._check_limits(plan, (term.program.channels,), theta)
        n, shape = len(range(term.n_points)[rows]), (term.program.n_residuals, plan.n_parameters + coefficients.numel())
        check_size(n, n * shape[0] * shape[1], theta)
        if n == 0:
            return theta.new_empty(0, shape[0]), theta.new_empty(0, *shape)
        return self._residual_jacobian(plan, theta, coefficients, term.part(rows))

    @abstractmethod
    def _jets(self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> Tensor:
        """`jets`."""

    @abstractmethod
    def _jets_backward(
        self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet, grad: Tensor, need_x: bool
    ) -> tuple[Tensor, Tensor | None]:
        """`jets_backward`."""

    def _loss_and_gradient(
        self,
        plan: Plan,
        theta: Tensor,
        coefficients: Tensor,
        terms: Sequence[Term],
        regularizer: Regularizer | None,
    ) -> LossAndGradient:
        """`loss_and_gradient`. By default the sum over the terms in torch, on `_at`."""
        network, prepared = self._at(plan, theta), batches(plan, terms)
        return losses_and_gradient(network, plan, theta, coefficients, terms, prepared, regularizer)

    def _train(
        self,
        plan: Plan,
        state: AdamState,
        terms: Sequence[Term],
        steps: int,
        regularizer: Regularizer | None,
    ) -> TrainReport:
        """`train`. By default a loop in Python around `_loss`."""
        return adam.train(state, self._loss(plan, terms, regularizer), len(terms), steps)

    def _residual_jacobian(self, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term) -> tuple[Tensor, Tensor]:
        """`residual_jacobian` at all points of the term. By default the reference's."""
        return residual_jacobian(plan, theta, coefficients, term)

    def _at(self, plan: Plan, theta: Tensor) -> Network:
        """What the inherited loss sends its points through. By default `_jets` and `_jets_backward`."""
        return ByOperations(self, plan, theta)

    def _loss(
        self, plan: Plan, terms: Sequence[Term], regularizer: Regularizer | None
    ) -> Callable[[Tensor, Tensor], LossAndGradient]:
        """`_loss_and_gradient` as a function of theta and coefficients, for the inherited `_train`."""

        def loss(theta: Tensor, coefficients: Tensor) -> LossAndGradient:
            return self._loss_and_gradient(plan, theta, coefficients, terms, regularizer)

        return loss

    def _check_limits(self, plan: Plan, channel_sets: Iterable[ChannelSet], theta: Tensor) -> None:
        """Raises BackendLimit where `supports` gives a reason."""
        dtype, device = theta.dtype, theta.device
        for channels in channel_sets:
            reason = self.supports(plan, channels, dtype, device)
            if reason is not None:
                raise BackendLimit(reason)
