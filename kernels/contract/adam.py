"""Adam: its state, and its steps where no kernel takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..errors import InputError
from .checks import check_like
from .operations import LossAndGradient, TrainReport

_NAMES = ("theta", "coefficients", "first_moment", "second_moment")


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

    def check(self) -> None:
        """Refuse a state whose tensors are not of one size, type and place, or cannot be changed in place.

        Raises:
            InputError: names the tensor, what it is and what it should be.
        """
        n_theta, n_unknown = self.theta.numel(), self.coefficients.numel()
        sizes = (n_theta, n_unknown, n_theta + n_unknown, n_theta + n_unknown)
        for kind, tensors in (("", self._tensors), ("good ", self.good or ())):
            for name, tensor, size in zip(_NAMES, tensors, sizes, strict=False):
                check_like(f"state: {kind}{name}", tensor, self.theta, (size,))
                if size > 1 and tensor.stride(0) == 0:
                    raise InputError(f"state: {kind}{name}: its entries share one place in memory; clone() it")

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

    def advance(self, gradient: Tensor) -> None:
        """One step of the formula above with the gradient (P + K,); every tensor is changed in place."""
        rate, (beta1, beta2) = self.learning_rate(), self.betas
        self.step += 1
        self.first_moment.lerp_(gradient, 1 - beta1)
        self.second_moment.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        scale = (self.second_moment / (1 - beta2**self.step)).sqrt_().add_(self.eps)
        change = self.first_moment / scale * (-rate / (1 - beta1**self.step))
        self.theta += change[: self.theta.numel()]
        self.coefficients += change[self.theta.numel() :]

    @property
    def _tensors(self) -> tuple[Tensor, ...]:
        return self.theta, self.coefficients, self.first_moment, self.second_moment  # in the order of _NAMES

    def learning_rate(self) -> float:
        """Rate of the next step."""
        return self.lr * self.gamma ** sum(milestone <= self.step for milestone in self.milestones)


def train(state: AdamState, loss: Callable[[Tensor, Tensor], LossAndGradient], n_terms: int, steps: int) -> TrainReport:
    """``steps`` steps on ``loss(theta, coefficients)``, which has so many terms. See `Backend.train`."""
    # glibc returns freed memory above twice the largest block freed so far, and each step would page it in anew: up to
    # 5,800 page faults, 6 ms.
    torch.empty(31 << 20, dtype=torch.uint8)
    history: list[Tensor] = []
    failure = None
    for _ in range(steps):
        result = loss(state.theta, state.coefficients)
        row = torch.cat([result.losses, result.penalty[None]])
        gradient = torch.cat([result.theta, result.coefficients])
        failure = _first_failure(row, gradient)
        if failure is not None:
            state.restore_good()
            break
        history.append(row)
        state.keep_good()
        state.advance(gradient)
    losses = torch.stack(history).cpu() if history else torch.empty(0, n_terms + 1, dtype=state.theta.dtype)
    return TrainReport(losses, failure)


def _first_failure(row: Tensor, gradient: Tensor) -> int | None:
    """`TrainReport.failure` of one step."""
    if bool(torch.isfinite(row).all()):
        return None if bool(torch.isfinite(gradient).all()) else row.numel()
    return int(torch.nonzero(~torch.isfinite(row))[0])
