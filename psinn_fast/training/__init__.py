"""Training: optimisers, the trainer, what it records and saves, how errors are measured."""

from .callbacks import Callback, CallbackError, Progress
from .checkpoint import Expectations, Expected, load_network, save_network
from .fitting import fit
from .history import History
from .metrics import error_metrics
from .optimisers.adam import Adam
from .optimisers.gauss_newton import GaussNewton
from .optimisers.gauss_newton_settings import Tuning
from .optimisers.gradient_run import GradientRun
from .optimisers.lbfgs import LBFGS
from .optimisers.ss_broyden import SSBroyden
from .optimisers.torch_optimizer import TorchOptimizer
from .options import Options
from .protocol import Optimizer
from .result import Ending, FitResult, TrainingInterrupted, Verdict
from .tensorboard import TensorBoard
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
    "Ending",
    "Expectations",
    "Expected",
    "FitResult",
    "FixedWeights",
    "GaussNewton",
    "GradientNorms",
    "GradientRun",
    "History",
    "Objective",
    "Optimizer",
    "Options",
    "Progress",
    "ResidualAttention",
    "SSBroyden",
    "SelfAdaptive",
    "TensorBoard",
    "TorchOptimizer",
    "TraceBalance",
    "TrainingInterrupted",
    "Tuning",
    "Verdict",
    "Weigher",
    "Weighting",
    "error_metrics",
    "fit",
    "load_network",
    "save_network",
]
