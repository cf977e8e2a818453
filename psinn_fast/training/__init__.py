"""Training: the loop, what it records, what it saves, how errors are measured."""

from .checkpoint import load_network, save_network
from .gauss_newton_options import GaussNewton
from .history import History
from .loop import Schedule, fit
from .metrics import error_metrics
from .result import FitResult, TrainingInterrupted

__all__ = [
    "FitResult",
    "GaussNewton",
    "History",
    "Schedule",
    "TrainingInterrupted",
    "error_metrics",
    "fit",
    "load_network",
    "save_network",
]
