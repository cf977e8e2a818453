"""From a problem to the relation matrix R, with no hand in between."""

from .distillation import Distillation as Discovery
from .distillation import distil as discover
from .distillation import matching_width

__all__ = ["Discovery", "discover", "matching_width"]
