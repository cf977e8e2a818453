"""The flow around a cylinder that networks are compared with: computed by finite elements, shipped as a file.

`reference_flow` reads it and needs NumPy alone; ``python -m psinn_fast.flow_reference`` makes it anew by scikit-fem.
"""

from __future__ import annotations

from .channel import PAPER, Channel
from .data import ReferenceFlow, load_flow, reference_flow

__all__ = ["PAPER", "Channel", "ReferenceFlow", "load_flow", "reference_flow"]
