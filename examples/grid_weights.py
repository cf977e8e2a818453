"""Relative errors of integrals by the grids of several domains: the table in docs/conditions.md.

python -m examples.grid_weights
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

import psinn_fast as pf

Points = npt.NDArray[np.float64]
BOX, HOLE = pf.Box(x=(0, 1.1), y=(-0.2, 0.2)), pf.Disk((0.2, 0), 0.05)
SQUARE = pf.Box(x=(-1, 1), y=(-1, 1))


def plane(points: Points) -> Points:
    return np.asarray(np.exp(points[:, 0] + 2 * points[:, 1]))


def space(points: Points) -> Points:
    return np.asarray(np.exp(points[:, 2]))


def on_rectangle(x: tuple[float, float], y: tuple[float, float]) -> float:
    return (math.exp(x[1]) - math.exp(x[0])) * (math.exp(2 * y[1]) - math.exp(2 * y[0])) / 2


def on_disk(disk: pf.Disk) -> float:
    """By Gauss's rule along radii, and even angles."""
    at, rule = np.polynomial.legendre.leggauss(40)
    radii, angles = disk.radius * (at + 1) / 2, 2 * math.pi * np.arange(200) / 200
    rays = np.stack([np.outer(radii, np.cos(angles)), np.outer(radii, np.sin(angles))], -1)
    values = plane(disk.middle + rays.reshape(-1, 2)).reshape(len(radii), -1).mean(1)
    return float(math.pi * disk.radius * (rule * radii) @ values)


CASES: dict[str, tuple[pf.Domain, Callable[[Points], Points], float]] = {
    "box, renamed": (BOX.renamed({"x_low": "inlet"}), plane, on_rectangle((0, 1.1), (-0.2, 0.2))),
    "box less a box": (
        SQUARE - pf.Box(x=(0, 1), y=(0, 1)),
        plane,
        on_rectangle((-1, 1), (-1, 1)) - on_rectangle((0, 1), (0, 1)),
    ),
    "box less a disk": (BOX - HOLE, plane, on_rectangle((0, 1.1), (-0.2, 0.2)) - on_disk(HOLE)),
    "disk": (pf.Disk(), plane, on_disk(pf.Disk())),
    "ball": (pf.Ball((0, 0, 0), 1), space, 4 * math.pi / math.e),
}


def main() -> None:
    for name, (domain, function, exact) in CASES.items():
        errors = []
        for n in (11, 21, 41, 81):
            grid = domain.grid(n)
            assert grid.weights is not None
            errors.append(abs(grid.weights @ function(np.asarray(grid)) / exact - 1))
        print(name, *(f"{error:.1e}" for error in errors))


if __name__ == "__main__":
    main()
