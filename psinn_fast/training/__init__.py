"""Training: optimisers, the trainer, what it records and saves, how errors are measured."""

from .adam import Adam
from .checkpoint import load_network, save_network
from .fitting import fit
from .gauss_newton_options import GaussNewton
from .history import History
from .lbfgs import LBFGS
from .metrics import error_metrics
from .options import Options
from .result import FitResult, TrainingInterrupted
from .torch_optimizer import TorchOptimizer

__all__ = [
    "LBFGS",
    "Adam",
    "FitResult",
    "GaussNewton",
    "History",
    "Options",
    "TorchOptimizer",
    "TrainingInterrupted",
    "error_metrics",
    "fit",
    "load_network",
    "save_network",
]
