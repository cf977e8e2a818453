"""How large a part of a boundary is, and where it lies: by the cells of a mesh of its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from ..frozen import frozen
from ..kernels.errors import InputError
from .unit import even, mesh

if TYPE_CHECKING:  # domains ask for these sizes
    from .domain import Domain

Points = npt.NDArray[np.float64]

# Cells along each parameter, by the number of parameters.
_CELLS = {0: 0, 1: 512, 2: 32, 3: 12}
# Of more parameters a mesh would be coarse: the size is a mean over so many even places, by differences over this step.
_PLACES, _STEP = 8192, 1e-4


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
    if n not in _CELLS:
        return _sampled(domain, part)
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
    return Measured(_size(jacobian, domain, part, 1.0), low, high)


def _sampled(domain: Domain, part: str) -> Measured:
    n = len(domain.coords) - 1
    unit = even(_PLACES, n)
    rows = []
    for step in _STEP * np.eye(n):
        ends = (np.clip(unit - step, 0, 1), np.clip(unit + step, 0, 1))
        low, high = (domain.surface(part, end)[0] for end in ends)
        rows.append((high - low) / (ends[1] - ends[0]).sum(1, keepdims=True))
    corners = np.concatenate([mesh([np.array([0.0, 0.5, 1.0])] * n), unit])
    points = domain.surface(part, corners)[0]
    low, high = frozen((points.min(0), points.max(0)))
    return Measured(_size(np.stack(rows, -2), domain, part, 1 / _PLACES), low, high)


def _size(jacobian: Points, domain: Domain, part: str, each: float) -> float:
    """The sum of the cells' sizes, each of these parameters' extent."""
    size = each * float(np.sqrt(np.maximum(np.linalg.det(jacobian @ jacobian.swapaxes(-1, -2)), 0.0)).sum())
    if size == 0:
        raise InputError(f"{type(domain).__name__}.boundary_at({part!r}, ...): all of its points are one")
    return size
