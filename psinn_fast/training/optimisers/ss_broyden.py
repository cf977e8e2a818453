"""Self-scaled Broyden on the fused loss."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ...kernels.errors import InputError
from .inverse_hessians import SelfScaled
from .quasi_newton import QuasiNewton

# Its matrix takes 0.8 GB then, in float64.
_MOST_VARIABLES = 10_000


@dataclass(frozen=True)
class SSBroyden(QuasiNewton):
    """Settings of the self-scaled Broyden method (Al-Baali & Khalfan 2005; Urban, Stefanou & Pons 2025), in float64.

    It keeps a matrix of all weights by all weights: for networks up to a few thousand of them.

    Args:
        steps: at most.
        tolerance: it ends where no component of the gradient is larger.
    """

    tolerance: float = 1e-10

    @property
    def name(self) -> str:
        return "ssbroyden"

    def inverse_hessian(self, like: Tensor) -> SelfScaled:
        """
        Raises:
            InputError: a network too large for it.
        """
        if like.numel() > _MOST_VARIABLES:
            raise InputError(
                f"optimizer: ssbroyden keeps a matrix of {like.numel()} x {like.numel()} numbers for this network; "
                f"with more than {_MOST_VARIABLES} parameters take pf.LBFGS or pf.Adam"
            )
        return SelfScaled(like)
