"""What all sections share. Without torch: the process that starts the others imports this too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .lines import Row

# Sections of the two stages, in order, with their shares of a stage's time. Nothing of the first is a timing: its
# processes run side by side. The second has the GPU to itself. Tasks of a section come in order, too: what is cut off
# where time runs out is the end of each.
CHECKS = {"first": 1.0, "sanitizer": 1.0, "prepare": 2.0, "accuracy": 1.0}
TIMINGS = {"machine": 1.0, "counters": 4.0, "steps": 8.0, "tuning": 4.0, "share": 1.0, "problems": 3.0}
WEIGHTS = CHECKS | TIMINGS
SECTIONS = ("first", "tests", *list(WEIGHTS)[1:])
# Minutes of a whole run. In fewer, these sections get only what the others leave.
MINUTES = 8.0
OPTIONAL = ("accuracy", "tuning", "share", "problems")


def weights(minutes: float) -> dict[str, float]:
    """Shares of a stage's time."""
    return {name: 0.0 if name in OPTIONAL and minutes < MINUTES else weight for name, weight in WEIGHTS.items()}


@dataclass(frozen=True)
class Settings:
    """``quick``: tiny sizes; ``interpret``: Triton's interpreter on the CPU. Both together are the smoke run.

    ``minutes``: of the whole run.
    """

    quick: bool = False
    interpret: bool = False
    minutes: float = MINUTES

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
