"""Boxes: where a PDE lives, and point sets on them that know which region they stand for."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from ..frozen import frozen
from ..kernels import checks
from ..kernels.errors import InputError, short
from ..names import by_normal_names, normal

Points = npt.NDArray[np.float64]

# An irrational offset: evaluation grids share no point with any evenly spaced training grid.
_OFFSET = (3 - math.sqrt(5)) / 2
# Relative to the box: points computed in float32 may lie beyond its ends by a tenth of that.
_ROUNDING = 1e-6
_MOST_POINTS = 50_000_000


@dataclass(frozen=True, eq=False)
class Region:
    """Boxes with corners ``low`` and ``high`` (k, d), flat ones for faces; points spread over them in equal shares.

    ``coords``: names of the d coordinates, in order.
    """

    low: Points
    high: Points
    coords: tuple[str, ...]

    def __post_init__(self) -> None:
        frozen((self.low, self.high))

    def __reduce__(self) -> tuple[Any, ...]:
        return Region, (np.array(self.low), np.array(self.high), self.coords)

    @property
    def is_solid(self) -> bool:
        """Whether it is one box, and none of its sides has length zero."""
        return len(self.low) == 1 and bool((self.low < self.high).all())

    @property
    def is_point(self) -> bool:
        """Whether its boxes have no extent at all: a point set's ends on a line."""
        return bool((self.low == self.high).all())

    def spread(self, unit: Points) -> Points:
        """Points (N, d) of [0, 1]^d, moved into the region: an equal share of consecutive ones into each box."""
        shares = np.array_split(unit, len(self.low))
        return np.concatenate(
            [low + (high - low) * share for low, high, share in zip(self.low, self.high, shares, strict=True)]
        )


class PointSet(np.ndarray[Any, np.dtype[np.float64]]):
    """Points (N, d) that know the region they are spread over: ``region``.

    Only an untouched set stands for its region. What is sliced, copied, joined or computed from it does not, nor does a
    set that was changed in place: such points are taken as they are.
    """

    _origin: tuple[Region, bytes] | None

    @classmethod
    def of(cls, points: Points, region: Region) -> PointSet:
        made = np.array(points).view(cls)
        made._origin = region, made._digest()
        return made

    @property
    def region(self) -> Region | None:
        """None where the set is no longer what it was when it was made."""
        return self._origin[0] if self._origin is not None and self._origin[1] == self._digest() else None

    def _digest(self) -> bytes:
        return hashlib.blake2b(repr(self.shape).encode() + self.tobytes(), digest_size=16).digest()

    def __array_finalize__(self, source: object) -> None:
        self._origin = None

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        plain = np.asarray(array)
        return plain[()] if return_scalar or not plain.ndim else plain

    def __getitem__(self, key: Any) -> Any:
        return np.asarray(self)[key]

    def __deepcopy__(self, memo: dict[int, Any] | None, /) -> Any:
        make, arguments = self.__reduce__()
        return make(*arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        region = self.region
        return (np.array, (np.array(self),)) if region is None else (PointSet.of, (np.array(self), region))


def region_of(points: object) -> Region | None:
    """The region that points stand for; None if they are just points."""
    return points.region if isinstance(points, PointSet) else None


class Box:
    """A product of intervals, e.g. ``Box(t=(0, 1), x=(-1, 1))``; the order of the names is that of the columns.

    Point sets are float64 arrays of shape (N, d). Those to train on (`grid`, `random`, `face`, `boundary`) say that
    they stand for the box or its faces (`PointSet`), so that training may take other points of these.
    """

    coords: tuple[str, ...]
    low: Points
    high: Points

    def __init__(self, /, **intervals: tuple[float, float]) -> None:
        if not intervals:
            raise InputError("intervals: expected at least one, e.g. Box(x=(-1, 1))")
        named = by_normal_names(intervals, "intervals")
        ends = [_ends(name, interval) for name, interval in named.items()]
        low, high = frozen((np.array([low for low, _ in ends]), np.array([high for _, high in ends])))
        self.__dict__.update(coords=tuple(named), low=low, high=high)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{name}: a box does not change once it is made; make another one")

    def __delattr__(self, name: str) -> NoReturn:
        self.__setattr__(name, None)

    def __reduce__(self) -> tuple[Any, ...]:
        ends = zip(self.low.tolist(), self.high.tolist(), strict=True)
        return partial(Box, **dict(zip(self.coords, ends, strict=True))), ()

    def __repr__(self) -> str:
        ends = zip(self.coords, self.low, self.high, strict=True)
        return f"Box({', '.join(f'{name}=({low:g}, {high:g})' for name, low, high in ends)})"

    @property
    def centre(self) -> Points:
        return np.asarray((self.low + self.high) / 2)

    def grid(self, n: int | Sequence[int]) -> PointSet:
        """Evenly spaced points, ends included; ``n`` per axis. The first coordinate varies slowest."""
        return PointSet.of(self._mesh([np.linspace(0, 1, k) for k in self._counts(n)]), self._region())

    def random(self, n: int, seed: int) -> PointSet:
        """Scrambled Sobol points, repeatable from the seed."""
        n, seed = checks.integer("n", n, 1), checks.seed("seed", seed)
        _refuse_too_many(n)
        from scipy.stats import qmc  # takes most of a second to import, and few need it

        sampler = qmc.Sobol(len(self.coords), seed=seed)
        exponent = max(0, math.ceil(math.log2(n)))
        points = self.low + (self.high - self.low) * sampler.random_base2(exponent)[:n]
        return PointSet.of(points, self._region())

    def unseen_grid(self, n: int | Sequence[int]) -> Points:
        """A grid for measuring errors, offset so that it meets no evenly spaced training grid."""
        return self._mesh([(np.arange(k) + _OFFSET) / k for k in self._counts(n)])

    def face(self, coord: str, end: str, n: int | Sequence[int]) -> PointSet:
        """Evenly spaced points on the face where ``coord`` is at its ``"low"`` or ``"high"`` end."""
        points = self._on_face(coord, end, [np.linspace(0, 1, k) for k in self._counts(n, len(self.coords) - 1)])
        return PointSet.of(points, self._region([(coord, end)]))

    def boundary(self, n: int) -> PointSet:
        """All faces, evenly spaced."""
        faces = [(coord, end) for coord in self.coords for end in ("low", "high")]
        points = np.concatenate([self.face(coord, end, n) for coord, end in faces])
        return PointSet.of(points, self._region(faces))

    def unseen_boundary(self, n: int) -> Points:
        """All faces, offset like `unseen_grid`."""
        steps = [(np.arange(k) + _OFFSET) / k for k in self._counts(n, len(self.coords) - 1)]
        return np.concatenate([self._on_face(coord, end, steps) for coord in self.coords for end in ("low", "high")])

    def contains(self, points: npt.ArrayLike) -> bool:
        """Whether all points lie in the box."""
        return not self.outside(points).any()

    def outside(self, points: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Which points (N, d) lie out of the box by more than the rounding errors of float32, or are no numbers."""
        given = checks.real_array("points", points)
        if given.ndim != 2 or given.shape[1] != len(self.coords):
            raise InputError(f"points: expected shape (N, {len(self.coords)}), got {given.shape}")
        slack = _ROUNDING * (self.high - self.low)
        return np.asarray(~((given >= self.low - slack) & (given <= self.high + slack)).all(-1))

    def _on_face(self, coord: str, end: str, steps: list[Points]) -> Points:
        axis = self._axis(coord)
        if end not in ("low", "high"):
            raise InputError(f"end: expected 'low' or 'high', got {end!r}")
        return self._mesh([*steps[:axis], np.array([0.0 if end == "low" else 1.0]), *steps[axis:]])

    def _axis(self, coord: str) -> int:
        if not isinstance(coord, str) or normal(coord) not in self.coords:
            raise InputError(f"coord: expected one of {list(self.coords)}, got {coord!r}")
        return self.coords.index(normal(coord))

    def _region(self, faces: Sequence[tuple[str, str]] = ()) -> Region:
        """The faces; without any the box itself."""
        low, high = (np.repeat(ends[None], max(1, len(faces)), 0) for ends in (self.low, self.high))
        for i, (coord, end) in enumerate(faces):
            axis = self._axis(coord)
            low[i, axis] = high[i, axis] = (self.low if end == "low" else self.high)[axis]
        return Region(low, high, self.coords)

    def _mesh(self, steps: list[Points]) -> Points:
        unit = np.stack([axis.ravel() for axis in np.meshgrid(*steps, indexing="ij")], axis=1)
        return self.low * (1 - unit) + self.high * unit

    def _counts(self, n: int | Sequence[int], d: int | None = None) -> list[int]:
        d = len(self.coords) if d is None else d
        try:
            # mypy does not know that np.ndim tells a sequence from a number.
            counts = [checks.integer("n", k, 2) for k in (n if np.ndim(n) else [n] * d)]  # type: ignore[union-attr]
        except ValueError:  # InputError, too
            counts = []
        if len(counts) != d or isinstance(n, (str, bytes)):
            raise InputError(f"n: expected an integer >= 2, or {d} of them, got {n!r}")
        _refuse_too_many(math.prod(counts))
        return counts


def _refuse_too_many(n: int) -> None:
    """Rather than a MemoryError."""
    if n > _MOST_POINTS:
        raise InputError(f"n: {n:.2g} points are too many, up to {_MOST_POINTS:.2g} are made at once")


def _ends(name: str, interval: object) -> tuple[float, float]:
    try:
        # What is no pair is caught.
        low, high = (checks.number(name, end) for end in interval)  # type: ignore[attr-defined]
        fits = low < high and math.isfinite(high - low)
    except (TypeError, ValueError):  # InputError, too
        fits = False
    if not fits:
        raise InputError(f"{name}: expected a finite interval (low, high) with low < high, got {short(interval)}")
    return low, high
