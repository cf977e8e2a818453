"""Training: optimisers, the trainer, what it records and saves, how errors are measured."""

from .adam import Adam
from .callbacks import Callback, CallbackError, Progress
from .checkpoint import load_network, save_network
from .fitting import fit
from .gauss_newton_options import GaussNewton, Tuning
from .history import History
from .lbfgs import LBFGS
from .metrics import error_metrics
from .options import Options
from .result import FitResult, TrainingInterrupted
from .tensorboard import TensorBoard
from .torch_optimizer import TorchOptimizer
from .weighting import (
    NTK,
    Causal,
    FixedWeights,
    GradientNorms,
    Objective,
    ResidualAttention,
    SelfAdaptive,
    TraceBalance,
    Weigher,
    Weighting,
)

__all__ = [
    "LBFGS",
    "NTK",
    "Adam",
    "Callback",
    "CallbackError",
    "Causal",
    "FitResult",
    "FixedWeights",
    "GaussNewton",
    "GradientNorms",
    "History",
    "Objective",
    "Options",
    "Progress",
    "ResidualAttention",
    "SelfAdaptive",
    "TensorBoard",
    "TorchOptimizer",
    "TraceBalance",
    "TrainingInterrupted",
    "Tuning",
    "Weigher",
    "Weighting",
    "error_metrics",
    "fit",
    "load_network",
    "save_network",
]
