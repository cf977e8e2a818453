"""Is a peer right? Checked before anything is timed, against nested autograd in float64."""

from __future__ import annotations

import torch

from .cases import Case
from .peers import NestedAutogradStep, Step

# float32 against float64. Adam divides by small second moments, so parameters differ more than gradients do.
GRADIENT_TOLERANCE = 1e-4
PARAMETER_TOLERANCE = 1e-3
CHECKED_STEPS = 10


class WrongPeer(AssertionError):
    """A peer does not compute what it should."""


def check(step: Step, case: Case) -> float:
    """Relative error (L2) of a fresh peer's gradient; afterwards the peer has made ten steps.

    Raises:
        WrongPeer: loss, gradient, or the parameters after ten steps are off.
    """
    reference = NestedAutogradStep(case, torch.float64)
    loss, gradient = step.loss_and_gradient()
    expected_loss, expected_gradient = reference.loss_and_gradient()
    error = _relative(gradient, expected_gradient)
    if not abs(loss - expected_loss) <= GRADIENT_TOLERANCE * expected_loss:
        raise WrongPeer(f"{case.name}: loss {loss:.6g}, expected {expected_loss:.6g}")
    if not error <= GRADIENT_TOLERANCE:
        raise WrongPeer(f"{case.name}: gradient off by {error:.1e} (relative), allowed {GRADIENT_TOLERANCE:.0e}")
    step.steps(CHECKED_STEPS)
    reference.steps(CHECKED_STEPS)
    drift = _relative(step.parameters(), reference.parameters())
    if not drift <= PARAMETER_TOLERANCE:
        raise WrongPeer(f"{case.name}: parameters off by {drift:.1e} after {CHECKED_STEPS} steps")
    return error


def _relative(value: torch.Tensor, expected: torch.Tensor) -> float:
    return float((value.double() - expected).norm() / expected.norm())
