"""Training: the loop, what it records, what it saves, how errors are measured."""

from .checkpoint import load_network, save_network
from .history import History
from .loop import FitResult, TrainingInterrupted, fit
from .metrics import error_metrics

__all__ = ["FitResult", "History", "TrainingInterrupted", "error_metrics", "fit", "load_network", "save_network"]
