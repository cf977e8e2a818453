"""Where steps of `train` spend their time, as a backend itself says."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Watched:
    """Filled when the watching ends.

    ``seconds``: by part of a step, of all ``steps`` together; empty where a backend does not count.
    ``multiply_adds_per_second``: of this machine at most, with the threads in use, measured then; None: not known.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    multiply_adds_per_second: float | None = None
