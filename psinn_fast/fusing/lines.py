"""Where in a user's code something happened, for messages."""

from __future__ import annotations

import linecache
import sys
from pathlib import Path
from types import FrameType

import torch

from ..kernels.errors import InputError

_OTHERS = (str(Path(__file__).parents[1]), str(Path(torch.__file__).parent))
# Characters of the line that are shown.
_SHOWN = 80


class Placed(InputError):
    """An error that says already where it happened."""

    @classmethod
    def here(cls, text: str) -> Placed:
        return cls(f"loss_fn: {line()}: {text}")


def line() -> str:
    """File, number and text of the line of the user's code that is at work."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(_OTHERS) and not name.endswith("contextlib.py"):
            text = " ".join(linecache.getline(name, frame.f_lineno).split())
            text = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
            return f"{Path(name).name}, line {frame.f_lineno}" + (f" ({text})" if text else "")
        frame = frame.f_back
    return "a line that is not known"
