"""Weightings by name."""

from __future__ import annotations

from ...kernels.errors import InputError, short
from .causal import Causal
from .fixed import FixedWeights
from .gradient_norms import GradientNorms
from .ntk import NTK
from .protocol import Weighting
from .residual_attention import ResidualAttention
from .self_adaptive import SelfAdaptive
from .trace_balance import TraceBalance

_CLASSES = (FixedWeights, TraceBalance, GradientNorms, NTK, ResidualAttention, SelfAdaptive, Causal)
WEIGHTINGS: dict[str, type[Weighting]] = {one.name: one for one in _CLASSES}


def chosen_weighting(weighting: Weighting | str | None) -> Weighting | None:
    """The settings themselves, or those of that name with its defaults; None stays None.

    Raises:
        InputError: anything else.
    """
    if isinstance(weighting, str) and weighting in WEIGHTINGS:
        return WEIGHTINGS[weighting]()
    if weighting is not None and not isinstance(weighting, Weighting):
        raise InputError(
            f"weighting: expected None, one of {list(WEIGHTINGS)}, or settings such as pf.GradientNorms(every=50), "
            f"got {short(weighting)}"
        )
    return weighting
