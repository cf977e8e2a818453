"""Peaks of functions on [0, 1]^d, however narrow: found by descending guides, their integrals by their widths.

A peak may be narrow along all axes (a ball), or along some of them only (a sheet, a ring, a wire). So, for every set of
axes, it is looked for by moving along these from a few places of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Function = Callable[[Points], Points]

# Places along all axes from which the best so many are followed; places of other axes, and along those looked at.
_PLACES, _FOLLOWED, _SLICES, _PER_SLICE = 1024, 8, 16, 64
# The first step, halved so often.
_STEP, _HALVINGS = 1 / 8, 44
# Distances at which a peak is looked for around a place, and its width is; a width below the least is a pole's.
_AROUND, _WIDTHS = 2.0 ** -np.arange(2, 47, 2), 2.0 ** -np.arange(46, -1, -1)
_POLE, _BISECTIONS = 2.0**-43, 6
# Widths of a peak at which there is little of it.
_AWAY = 16.0


@dataclass(frozen=True)
class Peak:
    """At ``place`` (d,), of a ``height``, ``widths`` (d,) at half of it, 0 along axes that were not looked along.

    ``integral``: over [0, 1]^d, to a factor of about two; ``tail``: the least part of the height 16 widths away.
    """

    place: Points
    height: float
    widths: Points
    integral: float
    tail: float


def least(guide: Function, d: int) -> float:
    """The least value found on [0, 1]^d."""
    x = _starts(guide, tuple(range(d)), tuple(range(d)), d)
    return float(guide(_descended(guide, x, np.ones(x.shape, dtype=bool))).min())


def peaks(values: Function, guides: Sequence[Function], axes: Sequence[int], d: int) -> Iterator[Peak]:
    """Of a function that is nowhere negative, 0 where it is not asked for, along ``axes``, on which it depends.

    Args:
        values, guides: (N, d) -> (N,).
    """
    sets = [chosen for n in range(1, len(axes) + 1) for chosen in combinations(axes, n)]
    for guide in guides:
        starts = [_starts(guide, chosen, tuple(axes), d) for chosen in sets]
        along = np.repeat(np.arange(len(sets)), [len(own) for own in starts])
        free = np.stack([np.isin(np.arange(d), chosen) for chosen in sets])[along]
        x = _highest(values, _descended(guide, np.concatenate(starts), free), free, axes)
        height, widths, tail = _measured(values, x, free)
        is_peak = (height > 0) & (np.where(free, widths, 1.0).min(1) > _POLE)
        integrals = np.where(is_peak, height * np.where(free, widths, 1.0).prod(1), 0.0)
        for number, chosen in enumerate(sets):
            own = np.flatnonzero((along == number) & is_peak)
            if len(chosen) == len(axes):
                yield from (Peak(x[i], float(height[i]), widths[i], float(integrals[i]), float(tail[i])) for i in own)
            elif len(own):
                # Of all slices, also those without any.
                best = own[np.argmax(integrals[own])]
                typical = float(integrals[own] @ height[own] / integrals[own].sum())
                mean = float(integrals[own].sum()) / _SLICES
                yield Peak(x[best], typical, widths[best], mean, float(np.median(tail[own])))


def _starts(guide: Function, chosen: tuple[int, ...], axes: tuple[int, ...], d: int) -> Points:
    """Places where the guide is small among some."""
    rng = np.random.default_rng(0)
    if len(chosen) == len(axes):
        x = rng.random((_PLACES, d))
        return np.asarray(x[np.argsort(_finite(guide(x)), kind="stable")[:_FOLLOWED]])
    x, others = rng.random((_SLICES * _PER_SLICE, d)), np.repeat(rng.random((_SLICES, d)), _PER_SLICE, 0)
    fixed = [axis for axis in range(d) if axis not in chosen]
    x[:, fixed] = others[:, fixed]
    best = _finite(guide(x)).reshape(_SLICES, _PER_SLICE).argmin(1)
    return np.asarray(x.reshape(_SLICES, _PER_SLICE, d)[np.arange(_SLICES), best])


def _descended(guide: Function, x: Points, free: npt.NDArray[np.bool_]) -> Points:
    """Minima along the free axes of each row: by the best of three places and the vertex of their parabola."""
    x, step = x.copy(), _STEP
    lowest = _finite(guide(x))
    for _ in range(_HALVINGS):
        for axis in range(x.shape[1]):
            rows = np.flatnonzero(free[:, axis])
            if not len(rows):
                continue
            here, at = x[rows], lowest[rows]
            places = np.stack([here] * 3)
            places[0, :, axis] -= step
            places[1, :, axis] += step
            np.clip(places, 0.0, 1.0, out=places)
            left, right = _finite(guide(places[:2].reshape(-1, x.shape[1]))).reshape(2, -1)
            with np.errstate(all="ignore"):
                vertex = 0.5 * step * (left - right) / (left - 2 * at + right)
            places[2, :, axis] += np.clip(np.nan_to_num(vertex), -4 * step, 4 * step)
            np.clip(places[2], 0.0, 1.0, out=places[2])
            found = np.stack([at, left, right, _finite(guide(places[2]))])
            best = found.argmin(0)
            x[rows] = np.concatenate([here[None], places])[best, np.arange(len(rows))]
            lowest[rows] = found[best, np.arange(len(rows))]
        step /= 2
    return x


def _highest(values: Function, x: Points, free: npt.NDArray[np.bool_], axes: Sequence[int]) -> Points:
    """The highest of each place and those around it along its free axes: a guide may end at an edge."""
    d = x.shape[1]
    directions = np.array(list(product((0.0, -1.0, 1.0), repeat=len(axes))))[1:]
    moves = np.zeros((len(directions), d))
    moves[:, axes] = directions
    moves = np.concatenate([np.zeros((1, d)), *(distance * moves for distance in _AROUND)])
    around = x[:, None] + moves * free[:, None]
    is_inside = ((around >= 0) & (around <= 1)).all(2)
    found = np.where(is_inside, values(np.clip(around, 0, 1).reshape(-1, d)).reshape(is_inside.shape), 0.0)
    return np.asarray(around[np.arange(len(x)), found.argmax(1)])


def _measured(values: Function, x: Points, free: npt.NDArray[np.bool_]) -> tuple[Points, Points, Points]:
    """Heights, widths at half of them along the free axes, and what is left at some distance."""
    n, d = x.shape
    height = values(x)
    sides = np.array([(axis, sign) for axis in range(d) for sign in (-1.0, 1.0)])
    units = np.zeros((2 * d, d))
    units[np.arange(2 * d), sides[:, 0].astype(int)] = sides[:, 1]

    def at(distance: Points) -> Points:
        """Of (n, 2 d, k) distances, 0 beyond the end."""
        places = x[:, None, None] + distance[..., None] * units[:, None]
        is_inside = ((places >= 0) & (places <= 1)).all(-1)
        return np.where(is_inside, values(np.clip(places, 0, 1).reshape(-1, d)).reshape(is_inside.shape), 0.0)

    half = height[:, None, None] / 2
    is_below = at(np.broadcast_to(_WIDTHS, (n, 2 * d, len(_WIDTHS)))) < half
    first = np.where(is_below.any(2), is_below.argmax(2), len(_WIDTHS) - 1)
    high = _WIDTHS[first][..., None]
    low = np.where(first > 0, _WIDTHS[np.maximum(first - 1, 0)], 0.0)[..., None]
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        is_low = at(middle) < half
        low, high = np.where(is_low, low, middle), np.where(is_low, middle, high)
    widths = np.where(free, high.reshape(n, d, 2).sum(2), 0.0)
    away = _AWAY * np.repeat(widths, 2, 1)[..., None]
    places = x[:, None] + away * units
    is_inside = ((places >= 0) & (places <= 1)).all(-1) & np.repeat(free, 2, 1)
    left = np.where(is_inside, at(away)[..., 0], np.inf).min(1)
    with np.errstate(all="ignore"):
        tail = np.where(np.isfinite(left), left / height, 0.0)
    return height, widths, tail


def _finite(values: Points) -> Points:
    """Nowhere is worse than where there is no number."""
    return np.where(np.isnan(values), np.inf, values)
