"""The five operations every backend implements: same signatures, shapes, dtypes, errors.

Conventions. ``theta`` is the vector of independent parameters, float32 or float64; every other tensor has its dtype
and device. N points, d inputs, F outputs (fields), C channels, P parameters, K unknown coefficients, T terms. Results
are new tensors without autograd history. Arguments are checked here, once, before any work: a wrong shape, dtype or
device raises `InputError` and names the argument. Non-finite numbers are not an error but flow through to the result;
`train` stops on them. On one machine, with one thread count, the same call gives the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from ..channels import ChannelSet
from ..plan import Plan
from ..regularizer import Regularizer
from .adam import AdamState
from .operations import LossAndGradient, Term, TrainReport


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
