"""Is a peer right? Checked before anything is timed, against float64."""

from __future__ import annotations

from typing import NamedTuple

import torch

from .training_step import Step

# float32 against float64. Adam divides by small second moments, so parameters differ more than gradients do.
GRADIENT_TOLERANCE = 1e-4
PARAMETER_TOLERANCE = 1e-3
CHECKED_STEPS = 10


class WrongPeer(AssertionError):
    """A peer does not compute what it should."""


class Expected(NamedTuple):
    """Loss and gradient at the initial parameters, and the parameters after ten steps."""

    loss: float
    gradient: torch.Tensor
    parameters: torch.Tensor

    @classmethod
    def of(cls, reference: Step) -> Expected:
        loss, gradient = reference.loss_and_gradient()
        reference.steps(CHECKED_STEPS)
        return cls(loss, gradient, reference.parameters())


def compare(step: Step, expected: Expected, name: str) -> float:
    """Relative error (L2) of a fresh peer's gradient; afterwards the peer has made ten steps.

    Raises:
        WrongPeer: loss, gradient, or the parameters after ten steps are off.
    """
    loss, gradient = step.loss_and_gradient()
    error = _relative(gradient, expected.gradient)
    if not abs(loss - expected.loss) <= GRADIENT_TOLERANCE * expected.loss:
        raise WrongPeer(f"{name}: loss {loss:.6g}, expected {expected.loss:.6g}")
    if not error <= GRADIENT_TOLERANCE:
        raise WrongPeer(f"{name}: gradient off by {error:.1e} (relative), allowed {GRADIENT_TOLERANCE:.0e}")
    step.steps(CHECKED_STEPS)
    drift = _relative(step.parameters(), expected.parameters)
    if not drift <= PARAMETER_TOLERANCE:
        raise WrongPeer(f"{name}: parameters off by {drift:.1e} after {CHECKED_STEPS} steps")
    return error


def _relative(value: torch.Tensor, expected: torch.Tensor) -> float:
    return float((value.to(expected) - expected).norm() / expected.norm())
