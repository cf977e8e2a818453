"""How networks are trained, whatever the optimiser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..kernels import checks
from ..kernels.errors import InputError, short
from ..kernels.language.regularizer import Regularizer
from ..scaling.natural_units import check_scaling
from .callbacks import Callback, Progress
from .result import FitResult

Told = Callable[[Progress], bool | None]


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
        resume: continue from the checkpoint, if there is one; or from a result that an earlier run returned or raised
            (``stop.result`` of a `TrainingInterrupted`), which needs no file. On one thread the weights are those of an
            uninterrupted run, bit for bit.
        progress: show a bar on stderr.
        callbacks: a `Callback`, or a function of a `Progress`, or several of them.
    """

    backend: str = "auto"
    scaling: str | None = "auto"
    regularizer: Regularizer | None = None
    resume: bool | FitResult = False
    progress: bool = False
    callbacks: Callback | Told | Sequence[Callback | Told] = ()

    def __post_init__(self) -> None:
        check_scaling(self.scaling)
        if not isinstance(self.resume, FitResult):
            object.__setattr__(self, "resume", checks.flag("resume", self.resume))
        elif self.resume.snapshot is None:
            raise InputError("resume: this result does not say where its training was; give that of fit or solve")
        given = self.callbacks if isinstance(self.callbacks, (list, tuple)) else (self.callbacks,)
        for one in given:
            if isinstance(one, type) or not (isinstance(one, Callback) or callable(one)):
                raise InputError(f"callbacks: expected a Callback or a function of a Progress, got {short(one)}")
        object.__setattr__(self, "callbacks", tuple(given))
        checks.flag("progress", self.progress)
        if self.regularizer is not None and not isinstance(self.regularizer, Regularizer):
            raise InputError(f"regularizer: expected a Regularizer or None, got {short(self.regularizer)}")
