"""The steady flow in a square cavity by spectral elements on a tensor grid, Newton's method.

Continuous polynomials on rectangles, of one degree for the velocities and one less for the pressure (Taylor & Hood
1973). Rectangles shrink geometrically towards the walls, so that the singularities at the lid's corners, of the
pressure and of the gradients, cost little (Schwab 1998). All matrices are products of those of one axis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.polynomial import legendre
from scipy.sparse import bmat, csr_matrix, diags, kron
from scipy.sparse.linalg import splu

Numbers = npt.NDArray[np.float64]
_SHRINK = 0.4
_STEPS, _CONVERGED = 20, 1e-10
# Newton's method starts from the flow of the Reynolds number before.
_RAMP = (1.0, 100.0, 400.0)
# The lid's velocity, of x. "parabolic": PINNacle's, at rest at the corners; "uniform": jaxpi's, corners included.
LIDS: dict[str, Callable[[Numbers], Numbers]] = {
    "parabolic": lambda x: 4 * x * (1 - x),
    "uniform": lambda x: 1 + 0 * x,
}


def solved(lid: str, reynolds: float, degree: int, layers: int) -> dict[str, Numbers]:
    """Values at the nodes, ``flow`` (2, n, n) and ``pressure`` (m, m), which is 0 at (0, 0)."""
    axis = _axis(degree, layers)
    n, m = len(axis.fine), len(axis.coarse)
    given = np.zeros((2, n, n))
    given[0, :, -1] = LIDS[lid](axis.fine)
    inside = np.zeros((n, n), dtype=bool)
    inside[1:-1, 1:-1] = True
    # The pressure's level is free: it is set to 0 in the middle, and afterwards in the corner.
    has_level = np.arange(m * m) == m // 2 * m + m // 2
    free = np.flatnonzero(np.concatenate([inside.ravel(), inside.ravel(), ~has_level]))
    x = np.concatenate([given.ravel(), np.zeros(m * m)])
    for number in [ramp for ramp in _RAMP if ramp < reynolds] + [reynolds]:
        for _ in range(_STEPS):
            residual, jacobian = _newton(axis, x, 1 / number)
            step = splu(jacobian[free][:, free].tocsc()).solve(residual[free])
            x[free] -= step
            if np.linalg.norm(step) < _CONVERGED * np.linalg.norm(x):
                break
        else:
            raise RuntimeError(f"Newton's method does not converge at Re = {number:g}")
    pressure = x[2 * n * n :].reshape(m, m)
    return {"flow": x[: 2 * n * n].reshape(2, n, n), "pressure": pressure - pressure[0, 0]}


def flow_at(points: Numbers, degree: int, layers: int, flow: Numbers, pressure: Numbers) -> Numbers:
    """u, v, p at points (N, 2): (N, 3)."""
    axis = _axis(degree, layers)
    (fine_x, coarse_x), (fine_y, coarse_y) = (
        (axis.values(own, axis.degree), axis.values(own, axis.degree - 1)) for own in points.T
    )
    along = [fine_y.multiply(csr_matrix(fine_x @ field)).sum(1) for field in flow]
    along.append(coarse_y.multiply(csr_matrix(coarse_x @ pressure)).sum(1))
    return np.concatenate([np.asarray(own) for own in along], 1)


@dataclass(frozen=True)
class Axis:
    """Intervals of [0, 1], with polynomials by their values at Lobatto's places and Gauss's places to integrate at."""

    ends: tuple[float, ...]
    degree: int

    @cached_property
    def fine(self) -> Numbers:
        return self._nodes(self.degree)

    @cached_property
    def coarse(self) -> Numbers:
        return self._nodes(self.degree - 1)

    @cached_property
    def gauss(self) -> tuple[Numbers, Numbers]:
        """Places and weights, exact for u u' w, of degree 3 k - 1."""
        places, weights = legendre.leggauss((3 * self.degree + 1) // 2)
        middle, half = self._middles
        return (middle + half * places).ravel(), (half * weights).ravel()

    def values(self, x: Numbers, degree: int, slope: bool = False) -> csr_matrix:
        """The polynomials, or their slopes, at places (N,): (N, nodes)."""
        middle, half = (own[:, 0] for own in self._middles)
        cell = np.clip(np.searchsorted(self.ends, x, "right") - 1, 0, len(middle) - 1)
        inverse = np.linalg.inv(legendre.legvander(_lobatto(degree), degree))
        place = (x - middle[cell]) / half[cell]
        if slope:
            derivatives = [legendre.legval(place, legendre.legder(row)) for row in np.eye(degree + 1)]
            local = np.stack(derivatives, 1) @ inverse / half[cell, None]
        else:
            local = legendre.legvander(place, degree) @ inverse
        columns = cell[:, None] * degree + np.arange(degree + 1)
        rows = np.repeat(np.arange(len(x)), degree + 1)
        return csr_matrix((local.ravel(), (rows, columns.ravel())), (len(x), len(middle) * degree + 1))

    @cached_property
    def matrices(self) -> tuple[Any, Any, Any]:
        """At Gauss's places: velocities, their slopes, pressures."""
        places, _ = self.gauss
        return (
            self.values(places, self.degree),
            self.values(places, self.degree, slope=True),
            self.values(places, self.degree - 1),
        )

    @property
    def _middles(self) -> tuple[Numbers, Numbers]:
        ends = np.array(self.ends)[:, None]
        return (ends[1:] + ends[:-1]) / 2, (ends[1:] - ends[:-1]) / 2

    def _nodes(self, degree: int) -> Numbers:
        middle, half = self._middles
        inner = middle + half * _lobatto(degree)
        return np.append(inner[:, :-1], 1.0)


def _lobatto(degree: int) -> Numbers:
    inner = legendre.legroots(legendre.legder(np.eye(degree + 1)[degree]))
    return np.concatenate([[-1.0], inner, [1.0]])


@cache
def _axis(degree: int, layers: int) -> Axis:
    half = [0.0, *(0.125 * _SHRINK**k for k in range(layers, -1, -1)), 0.25, 0.375]
    return Axis((*half, 0.5, *(1 - end for end in reversed(half))), degree)


@cache
def _constant(axis: Axis) -> tuple[Any, ...]:
    """Of two axes: values and slopes at Gauss's places, their weights, stiffness, divergence."""
    value, slope, coarse = axis.matrices
    weights = diags(axis.gauss[1])
    mass, stiffness = value.T @ weights @ value, slope.T @ weights @ slope
    mixed, mixed_slope = coarse.T @ weights @ value, coarse.T @ weights @ slope
    return (
        kron(value, value, "csr"),
        kron(slope, value, "csr"),
        kron(value, slope, "csr"),
        np.kron(axis.gauss[1], axis.gauss[1]),
        kron(stiffness, mass, "csr") + kron(mass, stiffness, "csr"),
        -kron(mixed_slope, mixed, "csr"),
        -kron(mixed, mixed_slope, "csr"),
    )


def _newton(axis: Axis, x: Numbers, viscosity: float) -> tuple[Numbers, csr_matrix]:
    """Residual and Jacobian of momentum and continuity, tested with all velocities and pressures."""
    value, slope_x, slope_y, weights, stiffness, div_x, div_y = _constant(axis)
    n = value.shape[1]
    u, v, p = x[:n], x[n : 2 * n], x[2 * n :]
    tested = value.T @ diags(weights)
    at_u, at_v = value @ u, value @ v
    carried = tested @ (diags(at_u) @ slope_x + diags(at_v) @ slope_y)
    cross = [[tested @ (diags(slope @ own) @ value) for slope in (slope_x, slope_y)] for own in (u, v)]
    linear = viscosity * stiffness + carried
    residual = np.concatenate(
        [linear @ u + div_x.T @ p, linear @ v + div_y.T @ p, div_x @ u + div_y @ v],
    )
    jacobian = bmat(
        [
            [linear + cross[0][0], cross[0][1], div_x.T],
            [cross[1][0], linear + cross[1][1], div_y.T],
            [div_x, div_y, None],
        ],
        "csr",
    )
    return residual, jacobian
