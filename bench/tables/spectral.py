"""Periodic initial-value problems u_t = L u + N(u) by Fourier series and exponential time differencing (ETDRK4).

Fourth order in time (Cox & Matthews 2002), its coefficients by means over a circle (Kassam & Trefethen 2005).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Modes = npt.NDArray[np.complex128]
_CIRCLE = np.exp(2j * math.pi * (np.arange(64) + 0.5) / 64)
# The initial state is sampled this many times as densely: where it has a kink, its coefficients would alias.
_OVERSAMPLED = 64
# Points of local interpolation along each axis.
_STENCIL = 10


@dataclass(frozen=True)
class Equation:
    """On x in [low, low + length), t in [0, 1].

    Args:
        linear: wave numbers (K,) -> L's eigenvalues, real or complex.
        rate: N(u) = d/dx flux(u) if ``conservative``, else flux(u).
        start: the initial state, x -> u.
    """

    low: float
    length: float
    linear: Callable[[Numbers], Any]
    flux: Callable[[Numbers], Numbers]
    conservative: bool
    start: Callable[[Numbers], Numbers]

    def nodes(self, modes: int) -> Numbers:
        return self.low + self.length * np.arange(modes) / modes

    def solved(self, modes: int, steps: int, levels: int, kept: int) -> Numbers:
        """u (levels + 1, kept) at times k / levels, at ``kept`` even points; ``steps`` is a multiple of ``levels``."""
        wave: Numbers = np.asarray(2 * math.pi / self.length * np.arange(modes // 2 + 1), np.float64)
        outer = 1j * wave if self.conservative else np.ones_like(wave)
        # Products of up to three factors do not alias into the modes that are kept.
        outer[2 * len(wave) // 3 :] = 0

        def rate(v: Modes) -> Modes:
            u: Numbers = np.fft.irfft(v, modes)
            return np.asarray(outer * np.fft.rfft(self.flux(u)), np.complex128)

        step = _Step(self.linear(wave), 1 / steps)
        fine = modes * _OVERSAMPLED
        v = np.fft.rfft(self.start(self.nodes(fine)))[: len(wave)] / _OVERSAMPLED
        u = np.empty((levels + 1, kept))
        u[0] = self.start(self.nodes(kept))
        for number in range(1, steps + 1):
            v = step(v, rate)
            if number % (steps // levels) == 0:
                u[number * levels // steps] = np.fft.irfft(v, modes)[:: modes // kept]
        return u


class _Step:
    """One of a length h: exp(h L) exactly, N by a Runge-Kutta scheme of order 4."""

    def __init__(self, linear: Modes, h: float) -> None:
        linear = linear.astype(np.complex128)
        z = h * linear[:, None] + _CIRCLE
        e = np.exp(z)
        self.whole, self.half = np.exp(h * linear), np.exp(h * linear / 2)
        self.to_half = h * ((np.exp(z / 2) - 1) / z).mean(1)
        self.first = h * ((-4 - z + e * (4 - 3 * z + z**2)) / z**3).mean(1)
        self.middle = h * ((2 + z + e * (z - 2)) / z**3).mean(1)
        self.last = h * ((-4 - 3 * z - z**2 + e * (4 - z)) / z**3).mean(1)

    def __call__(self, v: Modes, rate: Callable[[Modes], Modes]) -> Modes:
        at_v = rate(v)
        a = self.half * v + self.to_half * at_v
        at_a = rate(a)
        at_b = rate(self.half * v + self.to_half * at_a)
        at_c = rate(self.half * a + self.to_half * (2 * at_b - at_v))
        return np.asarray(self.whole * v + self.first * at_v + 2 * self.middle * (at_a + at_b) + self.last * at_c)


def at_points(table: Numbers, low: float, length: float, points: Numbers) -> Numbers:
    """A table (levels + 1, n) of times in [0, 1] and even periodic places, at points (N, 2) of (t, x): (N,).

    By Lagrange polynomials through the ten times and ten places around a point: the table's numbers at its own points.
    """
    levels, n = len(table) - 1, table.shape[1]
    first_t, weight_t = _weights(points[:, 0] * levels)
    first_x, weight_x = _weights((points[:, 1] - low) * (n / length))
    inside = np.clip(first_t, 0, levels + 1 - _STENCIL)
    if (moved := inside != first_t).any():  # at the first and the last times the stencil is one-sided
        weight_t[moved] = _lagrange(points[moved, 0] * levels - inside[moved])
    rows, columns = inside[:, None] + np.arange(_STENCIL), (first_x[:, None] + np.arange(_STENCIL)) % n
    return np.einsum("pi,pj,pij->p", weight_t, weight_x, table[rows[:, :, None], columns[:, None, :]])


def _weights(place: Numbers) -> tuple[npt.NDArray[np.int64], Numbers]:
    first = np.floor(place).astype(np.int64) - _STENCIL // 2 + 1
    return first, _lagrange(place - first)


def _lagrange(place: Numbers) -> Numbers:
    """Of the polynomials that are 1 at one of 0, 1, ..., 9 and 0 at the others: (N,) -> (N, 10)."""
    nearest = np.rint(place)
    place = np.where(abs(place - nearest) < 1e-9, nearest, place)
    nodes = np.arange(_STENCIL)
    values = np.empty((len(place), _STENCIL))
    for k in nodes:
        others = nodes[nodes != k]
        values[:, k] = ((place[:, None] - others) / (k - others)).prod(1)
    return values
