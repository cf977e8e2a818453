"""What all sections share. Without torch: the process that starts the others imports this too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .lines import Row

# Sections of the two stages, in order, with their shares of a stage's time. Nothing of the first is a timing: its
# processes run side by side. The second has the GPU to itself.
CHECKS = {"sanitizer": 1.0, "accuracy": 1.0, "prepare": 2.0}
TIMINGS = {"machine": 1.0, "tuning": 4.0, "steps": 9.0, "share": 1.0, "problems": 3.0, "counters": 2.0}
WEIGHTS = CHECKS | TIMINGS
SECTIONS = ("tests", *WEIGHTS)


@dataclass(frozen=True)
class Settings:
    """``quick``: tiny sizes; ``interpret``: Triton's interpreter on the CPU. Both together are the smoke run."""

    quick: bool = False
    interpret: bool = False

    @property
    def device(self) -> str:
        return "cpu" if self.interpret else "cuda"

    @property
    def rounds(self) -> int:
        return 1 if self.quick else 9

    @property
    def block_seconds(self) -> float:
        """A peer's turn in a round."""
        return 0.0 if self.quick else 0.04


@dataclass(frozen=True)
class Task:
    """``run`` gets the rows done so far, "section/key": row. It is stopped after ``limit`` seconds."""

    key: str
    run: Callable[[Mapping[str, Row]], Row]
    limit: float = 60.0
