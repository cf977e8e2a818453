"""Whether measurements are noisy, from how they scatter about smooth functions.

Values y (N,) at points are taken for a Gaussian process with noise, y ~ N(0, a (K + t I)), whose kernel is Matern's of
order 5/2 with a length along every axis (Rasmussen & Williams 2006, chapter 5). The likelihoods of noise and of none,
each at the best lengths, a and t, are compared. Beside a front a few values are far from what the others predict: such
residuals are no noise.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ..problem.conditions import DATA
from ..problem.given_columns import ROOT
from ..problem.problem import Problem

Array = npt.NDArray[np.float64]
# Lengths of the kernel, in parts of the points' extent, and t.
_LENGTHS, _RATIOS = (0.05, 0.2, 1.0), np.logspace(-12, 2, 29)
# Deviations that count as noise, relative to that of the values: less does no harm, and where nearly nothing is smooth,
# points may be too few for waves. How much likelier noise has to be (logarithm), and from how many values.
_LEAST, _MOST, _EVIDENCE, _FEWEST = 0.01, 0.7, 12.0, 10
# The largest kurtosis (3 for a normal distribution) of what one value is off the prediction of all others.
_KURTOSIS = 7.0
# More values than that, and along more axes than that different lengths, take seconds.
_MOST_VALUES, _MOST_AXES = 150, 2


def noisy_measurements(problem: Problem) -> dict[str, float]:
    """By field, the standard deviation of the noise of measurements, relative to that of their values, where any shows:
    of values that are given as numbers, ten at least."""
    found: dict[str, float] = {}
    for condition in problem.conditions:
        if condition.kind != DATA or not condition.weight:
            continue
        for name, values in condition.columns.items():
            if name != ROOT and not callable(condition.targets.get(name)):
                noise = noise_of(condition.sites[0], values)
                if noise:
                    found[name] = max(noise, found.get(name, 0.0))
    return found


def noise_of(points: Array, values: Array) -> float:
    """The relative standard deviation of the noise of values (N,) at points (N, d); 0 where none shows."""
    kept = np.random.default_rng(0).permutation(len(points))[:_MOST_VALUES]
    points, values = points[kept], values[kept]
    extent, deviation = np.ptp(points, axis=0), float(values.std())
    if len(points) < _FEWEST or not extent.any() or not deviation > 0 or not math.isfinite(deviation):
        return 0.0
    x, y = points[:, extent > 0] / extent[extent > 0], (values - values.mean()) / deviation
    without, likeliest, noise, kurtosis = -math.inf, -math.inf, 0.0, 0.0
    for kernel in _kernels(x):
        eigenvalues, vectors = np.linalg.eigh(kernel)
        spectra = np.maximum(eigenvalues, 0) + _RATIOS[:, None]
        coordinates = vectors.T @ y
        amplitudes = (coordinates**2 / spectra).mean(1)
        found = -0.5 * (len(y) * np.log(amplitudes) + np.log(spectra).sum(1))
        deviations = np.sqrt(amplitudes * _RATIOS)
        is_noise = deviations >= _LEAST
        without = max(without, float(found[~is_noise].max(initial=-math.inf)))
        best = int(np.where(is_noise, found, -math.inf).argmax())
        if is_noise[best] and found[best] > likeliest:
            likeliest, noise = float(found[best]), float(deviations[best])
            # Of each value, less what all others predict.
            off = vectors @ (coordinates / spectra[best]) / (vectors**2 @ (1 / spectra[best]))
            kurtosis = float((off**4).mean() / (off**2).mean() ** 2)
    return noise if likeliest > without + _EVIDENCE and noise <= _MOST and kurtosis <= _KURTOSIS else 0.0


def _kernels(x: Array) -> Iterator[Array]:
    axes = x.shape[1]
    lengths = itertools.product(_LENGTHS, repeat=axes) if axes <= _MOST_AXES else ((one,) * axes for one in _LENGTHS)
    squares = (x[:, None] - x[None]) ** 2
    for own in lengths:
        r = np.sqrt(5 * (squares / np.square(own)).sum(-1))
        yield (1 + r + r**2 / 3) * np.exp(-r)
