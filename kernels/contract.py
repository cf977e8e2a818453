"""The five operations every backend implements: same signatures, shapes, dtypes, errors.

Conventions. ``theta`` is the vector of independent parameters, float32 or float64; every other tensor has its dtype
and device. N points, d inputs, F outputs (fields), C channels, P parameters, K unknown coefficients, T terms. Results
are new tensors without autograd history. Arguments are checked here, once, before any work: a wrong shape, dtype or
device raises `InputError` and names the argument. Non-finite numbers are not an error but flow through to the result;
`train` stops on them. On one machine, with one thread count, the same call gives the same bits.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from .channels import ChannelSet
from .errors import InputError
from .plan import Plan
from .program import Coefficient, Jet, Program
from .regularizer import Regularizer

MOST_POINTS = 2**31 - 1


@dataclass(frozen=True)
class Term:
    """One term of the loss: weight * mean over points of sum over residuals of r^2.

    Args:
        name: what histories and error messages call it.
        program: the residuals and their adjoint.
        points: (n_sites, N, d).
        columns: (N, n_columns), the program's given numbers per point.
        weight: factor in the total loss (losses are reported without it).
    """

    name: str
    program: Program
    points: Tensor
    columns: Tensor
    weight: float = 1.0

    def __post_init__(self) -> None:
        n_sites, n_inputs = self.program.n_sites, self.program.channels.n_inputs
        shape = tuple(self.points.shape)
        if len(shape) != 3 or (shape[0], shape[2]) != (n_sites, n_inputs) or shape[1] < 1:
            raise InputError(f"term {self.name!r}: points: expected shape ({n_sites}, N >= 1, {n_inputs}), got {shape}")
        if tuple(self.columns.shape) != (shape[1], self.program.n_columns):
            raise InputError(
                f"term {self.name!r}: columns: expected shape ({shape[1]}, {self.program.n_columns}), "
                f"got {tuple(self.columns.shape)}"
            )

    @property
    def n_points(self) -> int:
        return self.points.shape[1]


class LossAndGradient(NamedTuple):
    """``losses`` (T,): each term's mean of squares, unweighted; ``penalty`` (): the regulariser's value.

    The gradients are those of sum_t weight_t * losses_t + penalty.
    """

    losses: Tensor
    penalty: Tensor
    theta: Tensor
    coefficients: Tensor


_STATE = ("theta", "coefficients", "first_moment", "second_moment")


@dataclass
class AdamState:
    """Everything Adam needs to go on; `train` changes it in place.

    theta <- theta - lr_t m_hat / (sqrt(v_hat) + eps) (Kingma & Ba 2015, as in torch.optim.Adam), for theta and the
    unknown coefficients alike; lr_t = lr * gamma^(number of milestones <= steps done).
    """

    theta: Tensor
    coefficients: Tensor
    lr: float
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    step: int = 0
    first_moment: Tensor = field(default_factory=lambda: torch.empty(0))
    second_moment: Tensor = field(default_factory=lambda: torch.empty(0))
    # Parameters and moments of the last step whose losses and gradient were finite; kept by `train`.
    good: tuple[Tensor, ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        size = self.theta.numel() + self.coefficients.numel()
        if self.first_moment.numel() == 0 and self.step == 0:
            self.first_moment = self.theta.new_zeros(size)
            self.second_moment = self.theta.new_zeros(size)
        if not (self.lr > 0 and self.gamma > 0 and all(0 <= beta < 1 for beta in self.betas) and self.eps > 0):
            raise InputError(
                f"lr, gamma and eps must be positive and betas in [0, 1), got lr={self.lr}, gamma={self.gamma}, "
                f"eps={self.eps}, betas={self.betas}"
            )

    def keep_good(self) -> None:
        """Note the present parameters and moments as good ones."""
        if self.good is None:
            self.good = tuple(torch.empty_like(tensor) for tensor in self._tensors)
        for keep, now in zip(self.good, self._tensors, strict=True):
            keep.copy_(now)

    def restore_good(self) -> None:
        """Go back to the last good step, if there is one."""
        if self.good is not None:
            for now, keep in zip(self._tensors, self.good, strict=True):
                now.copy_(keep)
            self.step -= 1
            self.good = None

    @property
    def _tensors(self) -> tuple[Tensor, ...]:
        return self.theta, self.coefficients, self.first_moment, self.second_moment  # in the order of _STATE

    def learning_rate(self) -> float:
        """Rate of the next step."""
        return self.lr * self.gamma ** sum(milestone <= self.step for milestone in self.milestones)


class TrainReport(NamedTuple):
    """``losses`` (steps done, T + 1) on the CPU: every term, then the penalty, each *before* that step's update.

    ``failure``: None, or the index of the term that was not finite (T: the penalty, T + 1: the gradient). The state is
    then the last one whose losses and gradient were finite, one step back, also where that lies in an earlier call.
    """

    losses: Tensor
    failure: int | None


class Backend(Protocol):
    """A way to run the operations. ``unavailable()`` gives None, or the reason why it cannot run here.

    ``device_types``: of the tensors it takes ("cpu", "cuda"), or None for any.
    """

    name: str
    device_types: tuple[str, ...] | None

    def unavailable(self) -> str | None: ...

    def jets(self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> Tensor:
        """Value and derivatives of all outputs: x (N, d) -> (N, C, F), channels in the set's order."""
        ...

    def jets_backward(
        self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet, grad: Tensor, need_x: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Adjoint of `jets`: grad (N, C, F) -> gradient for theta (P,) and, if asked, for x (N, d).

        Recomputes the forward pass; nothing is saved between the two.
        """
        ...

    def loss_and_gradient(
        self,
        plan: Plan,
        theta: Tensor,
        coefficients: Tensor,
        terms: Sequence[Term],
        regularizer: Regularizer | None = None,
    ) -> LossAndGradient:
        """All terms and their gradients for theta and coefficients (K,) in one pass."""
        ...

    def train(
        self,
        plan: Plan,
        state: AdamState,
        terms: Sequence[Term],
        steps: int,
        regularizer: Regularizer | None = None,
    ) -> TrainReport:
        """``steps`` Adam steps without returning to the caller; stops early on a non-finite loss or gradient."""
        ...

    def residual_jacobian(
        self, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term, rows: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """Residuals r (n, m) and their Jacobian (n, m, P + K) at the term's points ``rows``; unweighted."""
        ...


def check_network(plan: Plan, theta: Tensor) -> None:
    _check_dense("theta", theta)
    if theta.dtype not in (torch.float32, torch.float64):
        raise InputError(f"theta: expected float32 or float64, got {theta.dtype}")
    if tuple(theta.shape) != (plan.n_parameters,):
        raise InputError(f"theta: expected shape ({plan.n_parameters},), got {tuple(theta.shape)}")


def check_like(name: str, tensor: Tensor, theta: Tensor, shape: tuple[int | None, ...]) -> None:
    """``tensor`` has theta's dtype and device, and the shape given (None: any size)."""
    _check_dense(name, tensor)
    if tensor.dtype != theta.dtype:
        raise InputError(f"{name}: expected {theta.dtype} like theta, got {tensor.dtype}")
    if tensor.device != theta.device:
        raise InputError(f"{name}: expected device {theta.device} like theta, got {tensor.device}")
    found = tensor.shape
    # Equality first: it is quick, and training checks a dozen tensors a call.
    if found != shape and (
        len(shape) != len(found) or any(n not in (None, m) for n, m in zip(shape, found, strict=True))
    ):
        wanted = ", ".join("N" if n is None else str(n) for n in shape)
        raise InputError(f"{name}: expected shape ({wanted}), got {tuple(found)}")


def _check_dense(name: str, tensor: Tensor) -> None:
    if not isinstance(tensor, Tensor):
        raise InputError(f"{name}: expected a torch.Tensor, got {type(tensor).__name__}")
    if tensor.layout != torch.strided or tensor.is_nested:
        kind = "a nested tensor" if tensor.is_nested else f"layout {tensor.layout}"
        raise InputError(f"{name}: expected a dense tensor, got {kind}; convert it (to_dense, to_padded_tensor)")


def check_size(n_points: int, numbers: int, theta: Tensor) -> None:
    """Refuse what cannot be meant: too many points, or a result larger than the machine's memory."""
    if n_points > MOST_POINTS:
        raise InputError(f"points: up to {MOST_POINTS} are supported, got {n_points}")
    size, memory = numbers * theta.element_size(), _memory()
    if theta.device.type == "cpu" and size > memory:
        raise InputError(
            f"points: the result for {n_points} points would take {size / 2**30:.0f} GiB, this machine has "
            f"{memory / 2**30:.0f}; ask for fewer at a time"
        )


@cache
def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on every system
        return sys.maxsize


def check_jets(plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> None:
    check_network(plan, theta)
    check_like("x", x, theta, (None, plan.d_in))
    if channels.n_inputs != plan.d_in:
        raise InputError(f"channels: made for {channels.n_inputs} inputs, the network has {plan.d_in}")
    check_size(x.shape[0], x.shape[0] * len(channels) * plan.d_out, theta)


def check_terms(plan: Plan, theta: Tensor, coefficients: Tensor, terms: Sequence[Term]) -> None:
    check_network(plan, theta)
    check_like("coefficients", coefficients, theta, (None,))
    if not terms:
        raise InputError("terms: expected at least one loss term")
    for term in terms:
        check_like(f"term {term.name!r}: points", term.points, theta, (None, None, plan.d_in))
        check_like(f"term {term.name!r}: columns", term.columns, theta, (None, None))
        check_size(term.n_points, 0, theta)
        for kind in term.program.inputs:
            if isinstance(kind, Jet) and kind.field >= plan.d_out:
                raise InputError(f"term {term.name!r}: asks for field {kind.field + 1}, the network has {plan.d_out}")
            if isinstance(kind, Coefficient) and kind.number >= coefficients.numel():
                raise InputError(
                    f"coefficients: term {term.name!r} asks for number {kind.number + 1}, got {coefficients.numel()}"
                )


def check_loss(
    plan: Plan, theta: Tensor, coefficients: Tensor, terms: Sequence[Term], regularizer: Regularizer | None
) -> None:
    check_terms(plan, theta, coefficients, terms)
    if regularizer is not None:
        regularizer.check(plan)


def check_training(
    plan: Plan, state: AdamState, terms: Sequence[Term], steps: int, regularizer: Regularizer | None
) -> None:
    """`check_loss`, and a state of tensors of one size that can be changed in place."""
    check_loss(plan, state.theta, state.coefficients, terms, regularizer)
    if steps < 0:
        raise InputError(f"steps: expected a number >= 0, got {steps}")
    n_theta, n_unknown = state.theta.numel(), state.coefficients.numel()
    sizes = (n_theta, n_unknown, n_theta + n_unknown, n_theta + n_unknown)
    for kind, tensors in (("", state._tensors), ("good ", state.good or ())):
        for name, tensor, size in zip(_STATE, tensors, sizes, strict=False):
            check_like(f"state: {kind}{name}", tensor, state.theta, (size,))
            if size > 1 and tensor.stride(0) == 0:
                raise InputError(f"state: {kind}{name}: its entries share one place in memory; clone() it")
