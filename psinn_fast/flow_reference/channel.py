"""A channel with a cylinder in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

# Bits of a node's tag; a corner has two.
PARTS = {"inlet": 1, "outlet": 2, "walls": 4, "cylinder": 8, "axis": 16}
# How near the boundary points on it are, in radii.
_ON_BOUNDARY = 1e-9


@dataclass(frozen=True)
class Channel:
    """0 <= x <= length, -below <= y <= above, without the disk of ``radius`` about (centre, 0); ``below`` 0 is a half.

    Args:
        mu, speed: viscosity, and the inlet's largest velocity; the density is 1.
    """

    length: float = 1.1
    above: float = 0.2
    below: float = 0.2
    centre: float = 0.2
    radius: float = 0.05
    mu: float = 0.02
    speed: float = 1.0

    @property
    def is_half(self) -> bool:
        """Whether y = 0 is an axis of symmetry, of which one side is left out."""
        return self.below == 0

    @property
    def half(self) -> Channel:
        """Its upper half; flows are symmetric only if ``above`` = ``below``."""
        return replace(self, below=0.0)

    @property
    def mean_speed(self) -> float:
        """Of a parabola: two thirds of the largest."""
        return 2 / 3 * self.speed

    def inflow(self, y: Numbers) -> Numbers:
        """u at the inlet: a parabola, 0 at the walls."""
        below = self.above if self.is_half else self.below
        return 4 * self.speed * (self.above - y) * (y + below) / (self.above + below) ** 2

    def tags(self, points: Numbers) -> npt.NDArray[np.uint8]:
        """(N,): the sum of `PARTS` that each point lies on."""
        x, y = points.T
        near = _ON_BOUNDARY * self.radius
        on = {
            "inlet": x == 0,
            "outlet": np.abs(x - self.length) < near,
            "walls": (np.abs(y - self.above) < near) | ((np.abs(y + self.below) < near) & (not self.is_half)),
            "cylinder": np.abs(np.hypot(x - self.centre, y) - self.radius) < near,
            "axis": (y == 0) & self.is_half,
        }
        bits = np.array([np.where(on[part], bit, 0) for part, bit in PARTS.items()], dtype=np.uint8)
        return np.asarray(bits.sum(0), dtype=np.uint8)


# The paper's channel (Liu et al. 2025), shifted so that its axis is y = 0; the benchmark 2D-1 of Schäfer and Turek
# (1996): Re = 20, drag 5.5795, pressure difference 0.1175.
PAPER = Channel()
SCHAEFER_TUREK = Channel(length=2.2, above=0.21, below=0.2, mu=0.001, speed=0.3)
