"""L-BFGS on the fused loss."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ...kernels import checks
from .inverse_hessians import LimitedMemory
from .quasi_newton import QuasiNewton


@dataclass(frozen=True)
class LBFGS(QuasiNewton):
    """Settings of L-BFGS (Liu & Nocedal 1989), in float64 whatever the network's dtype, where it does not stall.

    Args:
        steps: at most.
        tolerance: it ends where no component of the gradient is larger.
        memory: pairs of steps and changes of the gradient that it remembers. 10, a usual default, needs several times
            as many steps on these losses.
    """

    memory: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "memory", checks.integer("memory", self.memory, 1))

    @property
    def name(self) -> str:
        return "lbfgs"

    def inverse_hessian(self, like: Tensor) -> LimitedMemory:
        return LimitedMemory(self.memory, like)
