"""How large a part of a boundary is, and where it lies: by the cells of a mesh of its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from ..frozen import frozen
from ..kernels.errors import InputError
from .unit import mesh

if TYPE_CHECKING:  # domains ask for these sizes
    from .domain import Domain

Points = npt.NDArray[np.float64]

# Cells along each parameter, by the number of parameters.
_CELLS = {0: 0, 1: 512, 2: 32, 3: 12}


class Measured(NamedTuple):
    """Of one part of a boundary: its length, area or volume, and the lower and upper bounds (d,) of its points."""

    size: float
    low: Points
    high: Points


def measured(domain: Domain, part: str) -> Measured:
    """
    Raises:
        InputError: all points of the part are one.
    """
    n = len(domain.coords) - 1
    steps = [np.linspace(0, 1, _CELLS[n] + 1)] * n
    unit = mesh(steps) if n else np.empty((1, 0))
    points = domain.surface(part, unit)[0]
    corners = points.reshape(*[_CELLS[n] + 1] * n, n + 1)
    edges = []
    for axis in range(n):
        edge = np.diff(corners, axis=axis)
        for other in range(n):
            if other != axis:  # the middle of the cell's two edges
                edge = (edge.take(range(_CELLS[n]), other) + edge.take(range(1, _CELLS[n] + 1), other)) / 2
        edges.append(edge)
    low, high = frozen((points.min(0), points.max(0)))
    if not n:
        return Measured(1.0, low, high)
    jacobian = np.stack(edges, -2)
    size = float(np.sqrt(np.maximum(np.linalg.det(jacobian @ jacobian.swapaxes(-1, -2)), 0.0)).sum())
    if size == 0:
        raise InputError(f"{type(domain).__name__}.boundary_at({part!r}, ...): all of its points are one")
    return Measured(size, low, high)
