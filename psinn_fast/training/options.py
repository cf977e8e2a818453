"""How networks are trained, whatever the optimiser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..kernels import checks
from ..kernels.contract.precision import check_precision
from ..kernels.errors import InputError, short
from ..kernels.language.regularizer import Regularizer
from ..scaling.natural_units import check_scaling
from .callbacks import Callback, Progress, check_callback
from .result import FitResult

Told = Callable[[Progress], bool | None]


@dataclass(frozen=True)
class Options:
    """What `solve` and `fit` do beside optimising.

    Args:
        backend: see `available_backends`.
        precision: of products in float32 in training, at most that coarse: "ieee", or "tf32x3", three products of
            tensor cores in place of one (docs/triton.md), where backends know it; None: that of the network. Errors
            are measured by "ieee" in any case, and results state what was used. Of float64 products, such as all of
            L-BFGS and Gauss-Newton, also behind Adam, it says nothing, and is refused where there are no others.
        scaling: "auto": where coordinates, fields, unknown coefficients or residuals are far from order 1, they are
            trained in the problem's natural units; terms' losses are reported as the residuals were given, the total is
            that which is minimised. `solve` and `build_network` also make networks in these units, which still take x
            and give u. None: as they are.
        regularizer: a weight penalty added to the loss, for optimisers that take one; on a problem's own loss it
            conflicts with the physics (the paper's point).
        resume: True: continue from the checkpoint (`fit`: the file, `solve`: that in ``out``), which must be there;
            a script that is to run again and again says ``resume=os.path.exists(path)``. Or a result, from which
            training goes on without any file: that of an earlier run, or of what ended it (``stop.result`` of a
            `TrainingInterrupted`, ``error.result``). On one thread the weights are those of an uninterrupted run, bit
            for bit.
        progress: show a bar on stderr; in a notebook a line below the cell, which is replaced; where stderr is no
            terminal a line now and then, at most one in ten seconds, later one in a minute.
        callbacks: a `Callback`, or a function of a `Progress`, or several of them; None: none.
    """

    backend: str = "auto"
    scaling: str | None = "auto"
    regularizer: Regularizer | None = None
    resume: bool | FitResult = False
    progress: bool = False
    callbacks: Callback | Told | Sequence[Callback | Told] | None = ()
    precision: str | None = None

    def __post_init__(self) -> None:
        check_scaling(self.scaling)
        if self.precision is not None:
            object.__setattr__(self, "precision", check_precision(self.precision, other="None or "))
        if not isinstance(self.resume, FitResult):
            if not isinstance(self.resume, (bool, np.bool_)):
                raise InputError(
                    "resume: expected True (from the file or folder that the call names), False, or a result of fit or "
                    f"solve (result, stop.result, error.result), got {short(self.resume)}"
                )
            object.__setattr__(self, "resume", bool(self.resume))
        elif self.resume.snapshot is None:
            raise InputError("resume: this result does not say where its training was; give that of fit or solve")
        given = () if self.callbacks is None else self.callbacks
        given = given if isinstance(given, (list, tuple)) else (given,)
        for one in given:
            check_callback(one)
        object.__setattr__(self, "callbacks", tuple(given))
        checks.flag("progress", self.progress)
        if self.regularizer is not None and not isinstance(self.regularizer, Regularizer):
            raise InputError(f"regularizer: expected a Regularizer or None, got {short(self.regularizer)}")


def chosen_options(options: Options | None) -> Options:
    """The options themselves; None: the defaults.

    Raises:
        InputError: anything else.
    """
    if options is not None and not isinstance(options, Options):
        raise InputError(f"options: expected pf.Options(...) or None, got {short(options)}")
    return Options() if options is None else options
