"""The contract between the front end and the backends: operations, what they take and give, who carries them out."""

from .adam import AdamState
from .base import Backend, check_request
from .operations import LossAndGradient, Term, TrainReport, total_loss

__all__ = ["AdamState", "Backend", "LossAndGradient", "Term", "TrainReport", "check_request", "total_loss"]
