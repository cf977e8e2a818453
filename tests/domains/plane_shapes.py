"""Plane domains for tests, by number, and integrals along their boundaries."""

from __future__ import annotations

import math

import numpy as np

from psinn_fast import Box, Disk, Domain, Ellipse, Polygon

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
# Of [0, 1], in 20 parts: at the tips of ellipses normals turn within a short way.
NODES = ((np.arange(20)[:, None] + (_NODES + 1) / 2) / 20).ravel()
WEIGHTS = np.tile(_WEIGHTS / 40, 20)


def drawn(rng: np.random.Generator, is_on_grid: bool) -> Domain:
    """A shape near the origin; on a grid shapes touch, share edges and corners, and are equal."""

    def number(low: float, high: float) -> float:
        return float(rng.integers(4 * low, 4 * high + 1)) / 4 if is_on_grid else float(rng.uniform(low, high))

    x, y, a, b = number(-1, 1), number(-1, 1), number(0.25, 1), number(0.25, 1)
    match int(rng.integers(5)):
        case 0:
            return Box(x=(x, x + 2 * a), y=(y, y + 2 * b))
        case 1:
            return Disk((x, y), a)
        case 2:
            return Ellipse((x, y), (a, b))
        case 3:
            return Ellipse((x, y), (a, b)).rotated(math.pi / 4 * int(rng.integers(8)) if is_on_grid else number(0, 6))
    angles = np.sort(rng.choice(8, int(rng.integers(3, 6)), replace=False)) * math.pi / 4
    radii = [number(0.25, 1) for _ in angles]
    corners = [(x + r * math.cos(t), y + r * math.sin(t)) for r, t in zip(radii, angles, strict=True)]
    wide = np.diff(angles, append=angles[0] + 2 * math.pi).max() < math.pi - 0.1
    return Polygon(corners) if wide else Box(x=(x, x + a), y=(y, y + b))


def integrals(domain: Domain) -> tuple[np.ndarray, float, float]:
    """Along the boundary, by Gauss's rule on each of its curves: of the normal, of x . n, and of one."""
    vector, flux, length = np.zeros(2), 0.0, 0.0
    for curve in domain._outline.curves:
        points, normals = curve.at(NODES)
        weights = curve.length * WEIGHTS
        vector += weights @ normals
        flux += float(weights @ ((points - domain.centre) * normals).sum(1))
        length += curve.length
    return vector, flux, length
