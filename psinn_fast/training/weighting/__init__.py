"""What the terms of a loss weigh, and how that changes during training (docs/weightings.md)."""

from .causal import Causal
from .fixed import FixedWeights
from .gradient_norms import GradientNorms
from .named import WEIGHTINGS, chosen_weighting
from .ntk import NTK
from .protocol import Objective, Weigher, Weighting
from .residual_attention import ResidualAttention
from .self_adaptive import SelfAdaptive
from .trace_balance import TraceBalance, balanced
from .weighed import WeighedTerms, WeightState, weight_column

__all__ = [
    "NTK",
    "WEIGHTINGS",
    "Causal",
    "FixedWeights",
    "GradientNorms",
    "Objective",
    "ResidualAttention",
    "SelfAdaptive",
    "TraceBalance",
    "WeighedTerms",
    "Weigher",
    "WeightState",
    "Weighting",
    "balanced",
    "chosen_weighting",
    "weight_column",
]
