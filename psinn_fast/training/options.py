"""How networks are trained, whatever the optimiser."""

from __future__ import annotations

from dataclasses import dataclass

from ..kernels import checks
from ..kernels.errors import InputError, short
from ..kernels.regularizer import Regularizer
from ..scaling import check_scaling


@dataclass(frozen=True)
class Options:
    """What `solve` and `fit` do beside optimising.

    Args:
        backend: see `available_backends`.
        scaling: "auto": where coordinates, fields, unknown coefficients or residuals are far from order 1, they are
            trained in the problem's natural units; terms' losses are reported as the residuals were given, the total is
            that which is minimised. `solve` and `build_network` also make networks in these units, which still take x
            and give u. None: as they are.
        regularizer: a weight penalty added to the loss, for optimisers that take one; on a problem's own loss it
            conflicts with the physics (the paper's point).
        resume: continue from the checkpoint, if there is one; on one thread the weights are those of an uninterrupted
            run, bit for bit.
        progress: show a bar on stderr.
    """

    backend: str = "auto"
    scaling: str | None = "auto"
    regularizer: Regularizer | None = None
    resume: bool = False
    progress: bool = False

    def __post_init__(self) -> None:
        check_scaling(self.scaling)
        checks.flag("resume", self.resume)
        checks.flag("progress", self.progress)
        if self.regularizer is not None and not isinstance(self.regularizer, Regularizer):
            raise InputError(f"regularizer: expected a Regularizer or None, got {short(self.regularizer)}")
