"""Laplace's equation on a square with four round holes, by multipoles, their mirror images and a polynomial.

On (-1/2, 1/2)^2 less disks of radius 1/10 about (+-0.3, +-0.3), u = 1 on the square's sides, 0 on the circles. 1 - u is
odd about the sides, so it goes on beyond them as a function that is harmonic outside of mirrored disks of alternating
sign. u is a sum of harmonic functions, so by the maximum principle its error is nowhere larger than at the boundary.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
CENTRE, RADIUS = 0.3, 0.1
MULTIPOLES, POLYNOMIALS, CELLS = 20, 12, 2
_PER_PIECE = 200


def fitted() -> dict[str, Numbers]:
    """Coefficients of the sum, and ``error``: the largest at places of the boundary that they were not fitted at."""
    points, values = _boundary(_PER_PIECE)
    coefficients = np.linalg.lstsq(_functions(points), values - 1, rcond=None)[0]
    points, values = _boundary(7 * _PER_PIECE + 3)
    return {"coefficients": coefficients, "error": abs(1 + _functions(points) @ coefficients - values).max()}


def potential(points: Numbers, coefficients: Numbers) -> Numbers:
    """u at points (N, 2): (N,)."""
    return np.asarray(1 + _functions(points) @ coefficients)


def _boundary(n: int) -> tuple[Numbers, Numbers]:
    """An eighth of it, of which symmetry makes the rest: points and u."""
    along, turn = np.linspace(0, 0.5, n), math.pi * np.linspace(0.25, 1.25, n)
    side = np.stack([np.full(n, 0.5), along], 1)
    circle = CENTRE + RADIUS * np.stack([np.cos(turn), np.sin(turn)], 1)
    return np.concatenate([side, circle]), np.repeat([1.0, 0.0], n)


def _functions(points: Numbers) -> Numbers:
    """Harmonic functions with all symmetries of the square, (N, MULTIPOLES + 1 + POLYNOMIALS)."""
    values = np.zeros((len(points), MULTIPOLES + 1 + POLYNOMIALS))
    for m, n in product(range(-CELLS, CELLS + 1), repeat=2):
        sign_m, sign_n = (-1) ** m, (-1) ** n
        x, y = sign_m * (points[:, 0] - m), sign_n * (points[:, 1] - n)
        for along_x, along_y in product((-1, 1), repeat=2):
            # The hole's own coordinates, by its radius, the first axis from the square's centre through the hole.
            z = ((along_x * x - CENTRE) + 1j * (along_y * y - CENTRE)) * np.exp(-0.25j * math.pi) / RADIUS
            values[:, 0] += sign_m * sign_n * np.log(abs(z))
            inverse = 1 / z
            for k in range(1, MULTIPOLES + 1):
                values[:, k] += sign_m * sign_n * (inverse**k).real
    quarter = (points[:, 0] + 1j * points[:, 1]) ** 4
    for j in range(POLYNOMIALS):
        values[:, MULTIPOLES + 1 + j] = (quarter**j).real
    return values
