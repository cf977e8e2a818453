"""Domains: where a PDE lives. One of your own says what it contains and where its boundary is; all else follows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..frozen import frozen, unchanging
from ..kernels import checks
from ..kernels.errors import InputError
from ..kernels.language.channels import MAX_INPUTS
from ..language.names import by_normal_names
from ..networks.groups import SignedPermutation
from . import combining
from .beside import beside
from .boundary_checks import check_domain
from .centres import centre_of, maps_about
from .corners import ends_and_kinks, reentrant
from .even_map import EvenMap, even_map
from .finished import Finished
from .graded import distances, graded
from .measured import Measured, measured
from .own_names import refuse_taken_names
from .part_names import listed
from .pointset import PointSet, Region
from .quadrature import EVEN, GRID, UNIFORM, elements, weights_on
from .rejection import kept_inside, refuse_empty, sobol_inside
from .returned import contained, placed
from .unit import OFFSET, counts, even, mesh, refuse_too_many

Points = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# Relative to the bounds: points computed in float32 may lie beyond the boundary by a tenth of that.
ROUNDING = 1e-6
# How near points on the boundary are to it, and how far float64 may put them beyond the bounds.
ON_BOUNDARY, _LAST_DIGITS = 1e-9, 4 * float(np.finfo(np.float64).eps)
# Points of an outline.
_OUTLINE = 513
# What fills its bounds to this part is all of them.
_WHOLE = 1e-12
# Points that are counted to measure a domain.
_COUNTED = 1 << 16


class Domain(Finished):
    """Where a PDE lives. Subclasses say four things, and may override whatever they know better.

    - ``super().__init__(x=(-1, 1), y=(-1, 1))`` gives the names of the coordinates, in the PDE's order, and bounds;
    - `contains` says which points lie inside, the boundary included (as far as rounding errors allow);
    - ``parts`` are the names of the boundary's parts, as many or as few as conditions tell apart;
    - `boundary_at` gives the points of a part, and its outward normals.

    A domain does not change once it is made: arrays, lists, sets and dictionaries among its attributes are copied, as
    read-only arrays, tuples and the like. It is pickled and copied with its attributes. Names that this class gives a
    meaning to, those with an underscore too, are no names for attributes of a subclass, but for ``parts``; methods may
    be overridden by methods. What a subclass returns is checked wherever it is used.

    Point sets are float64 arrays of shape (N, d); those to train on (`grid`, `random`, `boundary`) say that they stand
    for the domain or parts of its boundary (`PointSet`).

    Attributes:
        coords: names of the d coordinates.
        low, high: (d,), the bounds.
        parts: names of the boundary's parts.
        is_box: whether the domain is all of its bounds, and its parts are their faces.
    """

    coords: tuple[str, ...]
    low: Points
    high: Points
    parts: tuple[str, ...] = ()
    is_box = False

    def __init__(self, /, **bounds: tuple[float, float]) -> None:
        kind = type(self).__name__
        if not bounds:
            raise InputError(f"{kind}: expected the bounds of at least one coordinate, e.g. x=(-1, 1)")
        named = by_normal_names(bounds, kind)
        if len(named) > MAX_INPUTS and not self.is_box:
            raise InputError(f"{kind}: expected 1 to {MAX_INPUTS} coordinates, got {len(named)}")
        ends = [checks.interval(name, interval) for name, interval in named.items()]
        low, high = (np.array([pair[i] for pair in ends]) for i in range(2))
        self._have(coords=tuple(named), low=frozen(low), high=frozen(high))

    def __init_subclass__(cls) -> None:
        refuse_taken_names(cls)
        for name, value in list(vars(cls).items()):
            if isinstance(value, (np.ndarray, list)):
                setattr(cls, name, unchanging(value))

    def contains(self, points: Points) -> Mask:
        """Which of the points (N, d) lie in the domain: (N,) truth values. Those beyond the bounds never count."""
        raise InputError(f"{type(self).__name__}: it has no method contains(points), which says what lies inside")

    def boundary_at(self, part: str, unit: Points) -> tuple[Points, Points | None]:
        """The points of a part at parameters ``unit`` (N, d - 1) in [0, 1], and its outward unit normals there.

        Even parameters should give even points. Both are (N, d); None in place of normals where there are none.
        """
        raise InputError(f"{type(self).__name__}: it has no method boundary_at(part, unit) for its parts")

    def shrunk(self, coord: str, origin: float, factor: float) -> Domain | None:
        """The domain in which ``coord`` has become origin + factor (coord - origin), the rest as it was.

        None where a domain has no such method: then training never goes on in windows of time.
        """
        return None

    def __repr__(self) -> str:
        ends = zip(self.coords, self.low, self.high, strict=True)
        return f"{type(self).__name__}({', '.join(f'{name} in [{low:g}, {high:g}]' for name, low, high in ends)})"

    def __or__(self, other: Domain) -> Domain:
        """Union: what lies in either."""
        return combining.combined("|", self, other)

    def __and__(self, other: Domain) -> Domain:
        """Intersection: what lies in both."""
        return combining.combined("&", self, other)

    def __sub__(self, other: Domain) -> Domain:
        """Difference: what does not lie in the other."""
        return combining.combined("-", self, other)

    def __mul__(self, other: Domain) -> Domain:
        """Product: all combinations of a point of this and one of the other, whose coordinates come after these."""
        return combining.multiplied(self, other)

    def translated(self, *step: float) -> Domain:
        """Moved by one number along each coordinate."""
        return combining.translated(self, step)

    def rotated(
        self, angle: float, about: Sequence[float] | None = None, axis: Sequence[float] | None = None
    ) -> Domain:
        """Turned by ``angle`` radians ``about`` a point, by default `centre`: in the plane from the first coordinate to
        the second, in space about an ``axis``, a direction, by the right hand."""
        return combining.rotated(self, angle, about, axis)

    def renamed(self, names: Mapping[str, str]) -> Domain:
        """With other names of some parts, ``{old: new}``; parts that get the same name are one."""
        return combining.renamed(self, names)

    def measure(self, part: str | None = None) -> float:
        """The length, area or volume of the domain, or of one part of its boundary (1 for an end of an interval).

        Where a shape does not know better, a part's is that of a mesh, to about 1e-5 on a smooth curve and 1e-2 on a
        smooth surface, and the domain's is by counting points, to about 1e-3.
        """
        if part is not None:
            self._some_parts(part)
            return self._measured[part].size
        inside = self.inside(self.from_unit(even(_COUNTED, len(self.coords))))
        return float(np.prod(self.high - self.low) * inside.mean())

    def reentrant_corners(self) -> Points:
        """(K, 2): of a plane domain the corners whose interior angle is more than 202 degrees; others have none."""
        return self._reentrant_corners

    def elements(self, part: str, unit: Points) -> Points:
        """(N,): |d x / d unit| at parameters ``unit`` (N, d - 1), lengths or areas of the part for those of them."""
        return elements(self, part, unit)

    def weights_on(self, parts: Sequence[str], n: int) -> Points:
        """(n,): weights of a quadrature rule at the points that `boundary` gives on parts."""
        return weights_on(self, parts, n)

    @property
    def interval_axes(self) -> tuple[int, ...]:
        """The coordinates that run over one interval, whatever the others are: time, in a product with a time."""
        return ()

    @property
    def pictured_axes(self) -> tuple[int, ...]:
        """The coordinates that pictures show, two or the only one."""
        return tuple(range(min(2, len(self.coords))))

    @property
    def centre(self) -> Points:
        """(d,): that of the bounds, or of what the boundary spans, if the domain has more symmetries about that."""
        return self._centre

    def grid(self, n: int | Sequence[int]) -> PointSet:
        """Evenly spaced points of the bounds, ends included, of which those inside are kept.

        Args:
            n: per axis. The first coordinate varies slowest.
        """
        along = counts(n, len(self.coords))
        points = self._kept([np.linspace(0, 1, k) for k in along])
        if not len(points):
            raise InputError(f"n: no point of a grid of {n} along each axis lies in {self}; take more, or random(...)")
        is_whole = len(points) == math.prod(along) and self.fills_bounds
        return PointSet.of(points, Region(self), layout=tuple(along) if is_whole else GRID)

    def random(self, n: int, seed: int) -> PointSet:
        """``n`` scrambled Sobol points, repeatable from the seed."""
        n, seed = checks.integer("n", n, 1), checks.seed("seed", seed)
        refuse_too_many(n)
        return PointSet.of(sobol_inside(self, n, seed), Region(self), layout=UNIFORM)

    def graded(self, n: int, seed: int, part: str, ratio: float = 10.0, reach: float | None = None) -> PointSet:
        """``n`` Sobol points inside that are denser towards a part, repeatable from the seed.

        At the distance s from the part their density is 1 + (ratio - 1) exp(-s / reach), up to a factor, and so is that
        of points which training draws in place of them. A mean over them weighs places by that density.

        Args:
            ratio: a number >= 1, how many times denser they are at the part than far away.
            reach: by default a tenth of the longest side of the bounds; in a product, of those of the part's factor.
        """
        return graded(self, n, seed, part, ratio, reach)

    def boundary(self, n: int, part: str | Sequence[str] | None = None) -> PointSet:
        """``n`` points spread evenly over one part of the boundary, several (a list) or all, by length or area."""
        n = checks.integer("n", n, 1)
        refuse_too_many(n)
        parts = self._chosen_parts(part)
        shares = zip(parts, self.shares(parts, n), strict=True)
        pieces = [self.surface(name, even(own, len(self.coords) - 1)) for name, own in shares]
        return Region(self, parts).joined(pieces, EVEN)

    def unseen_grid(self, n: int | Sequence[int]) -> Points:
        """A grid for measuring errors, ``n`` per axis, offset so that it meets no evenly spaced training grid."""
        along = counts(n, len(self.coords))
        points = self._kept([(np.arange(k) + OFFSET) / k for k in along])
        return points if len(points) else np.asarray(self.random(math.prod(along), 0))

    def unseen_boundary(self, n: int) -> Points:
        """Points of all parts, as many as `n` per axis of each face of a box, offset like `unseen_grid`."""
        return np.concatenate([np.empty((0, len(self.coords))), *self.unseen_parts(n).values()])

    def unseen_parts(self, n: int) -> dict[str, Points]:
        """Those of `unseen_boundary` by part."""
        d = len(self.coords)
        (count,) = counts(n, 1) if d > 1 else (1,)
        total = 2 * d * count ** (d - 1)
        refuse_too_many(total)
        shares = zip(self.parts, self.shares(self.parts, total), strict=True)
        return {part: self.surface(part, even(own, d - 1, OFFSET))[0] for part, own in shares}

    def outside(self, points: npt.ArrayLike) -> Mask:
        """Which points (N, d) lie out of the domain by more than the rounding errors of float32, or are no numbers."""
        given = self._points(points)
        beyond = self._beyond_bounds(given)
        rest = np.flatnonzero(~beyond)
        beyond[rest] = ~self.inside(given[rest])
        rest = np.flatnonzero(beyond & ~self._beyond_bounds(given))
        beyond[rest] = ~beside(self, given[rest], ROUNDING * (self.high - self.low))[0]
        return beyond

    def on_boundary(self, points: npt.ArrayLike, slack: float = ON_BOUNDARY) -> Mask:
        """Which points (N, d) lie on the boundary, to ``slack`` times the size of the bounds."""
        return np.logical_and(*beside(self, self._points(points), slack * (self.high - self.low)))

    def symmetries(self) -> tuple[SignedPermutation, ...]:
        """The signed permutations about the centre that take the domain to itself, but for the identity."""
        return self._symmetries

    def outline(self) -> list[Points]:
        """Lines (m, 2) around a domain of two coordinates, one for each part; of a product, around what is drawn."""
        steps = np.linspace(0, 1, _OUTLINE)[:, None]
        return [self.surface(part, steps)[0] for part in self.parts] if len(self.coords) == 2 else []

    def extent(self, part: str) -> tuple[Points, Points]:
        """Lower and upper bounds (d,) of a part."""
        self._some_parts(part)
        return self._measured[part].low, self._measured[part].high

    def shares(self, parts: Sequence[str], n: int) -> list[int]:
        """How many of ``n`` points each part gets, by its length or area."""
        if len(parts) == 1:
            return [n]
        sizes = np.array([self._measured[part].size for part in parts])
        ends = np.round(np.cumsum(sizes) / sizes.sum() * n).astype(int) if len(sizes) else np.zeros(0, int)
        return [int(count) for count in np.diff(ends, prepend=0)]

    def inside(self, points: Points) -> Mask:
        """`contains`, within the bounds alone, with what it returns checked."""
        if type(points) is not np.ndarray or points.dtype != np.float64 or points.shape[1:] != (len(self.coords),):
            points = self._points(points)  # which copies them, and few are anything else
        digits = _LAST_DIGITS * np.maximum(abs(self.low), abs(self.high))
        within = ((points >= self.low - digits) & (points <= self.high + digits)).all(1)
        return np.asarray(contained(self, points) & within)

    def surface(self, part: str, unit: Points) -> tuple[Points, Points | None]:
        """`boundary_at`, with what it returns checked."""
        self._some_parts(part)
        return placed(self, part, unit)

    def check(self) -> None:
        """
        Raises:
            InputError: there is nothing inside, or what a method says of the parts is wrong.
        """
        check_domain(self)

    @cached_property
    def fills_bounds(self) -> bool:
        """Whether the domain is all of its bounds, as boxes are, and polygons that are rectangles."""
        return math.isclose(self.measure(), float(np.prod(self.high - self.low)), rel_tol=_WHOLE)

    def interior(self, count: int, unit: Callable[[int], Points]) -> Points:
        """``count`` points inside, from as many of [0, 1]^d as it takes; ``unit(n)`` gives the next n of them."""
        return kept_inside(self, count, unit)

    def from_unit(self, unit: Points) -> Points:
        """Points (N, d) of [0, 1]^d, moved into the bounds."""
        return np.asarray(self.low + (self.high - self.low) * unit)

    def interior_at(self, unit: Points) -> Points:
        """Points (N, d) inside for parameters ``unit`` (N, d) in [0, 1]: even ones for even parameters."""
        if self._even_map is None:
            raise InputError(f"{type(self).__name__}: {self} is too thin within its bounds; give tighter ones")
        return self.from_unit(self._even_map(unit, self._holds))

    def unit_on(self, part: str, unit: Points) -> Points:
        """The d - 1 of a point's d numbers that say where it is on a part."""
        return unit[:, :-1]

    @cached_property
    def _measured(self) -> dict[str, Measured]:
        return {part: measured(self, part) for part in self.parts}

    @cached_property
    def _reentrant_corners(self) -> Points:
        is_plane = len(self.coords) == 2
        found = reentrant(self, ends_and_kinks(self)) if is_plane else np.empty((0, len(self.coords)))
        found.flags.writeable = False
        return found

    @cached_property
    def _symmetries(self) -> tuple[SignedPermutation, ...]:
        return maps_about(self, self.centre)

    @cached_property
    def _centre(self) -> Points:
        return frozen(centre_of(self))  # type: ignore[no-any-return]  # what it is given, whatever that is

    @cached_property
    def _even_map(self) -> EvenMap | None:
        return even_map(len(self.coords), self._holds)

    def _holds(self, unit: Points) -> Mask:
        return self.inside(self.from_unit(unit))

    @property
    def _has_exact_sizes(self) -> bool:
        """Whether `measure` of parts is exact to rounding."""
        return False

    def _anchors(self, part: str) -> Points:
        """(K >= 1, d): places that are moved with a part: of translates, some two are at the same place, exactly."""
        return self.extent(part)[0][None]

    def _distances(self, points: Points, part: str) -> Points:
        """(N,): from some thousand points of a part."""
        return distances(self, points, part)

    def _longest_side(self, part: str) -> float:
        """Of the bounds, along which distances from a part are measured."""
        return float((self.high - self.low).max())

    def _beyond_bounds(self, points: Points) -> Mask:
        slack = ROUNDING * (self.high - self.low)
        return np.asarray(~((points >= self.low - slack) & (points <= self.high + slack)).all(-1))

    def _kept(self, steps: Sequence[Points]) -> Points:
        """Those points of a mesh that lie inside."""
        unit = mesh(steps)
        points = self.low * (1 - unit) + self.high * unit
        return points if self.is_box else points[self.inside(points)]

    def _chosen_parts(self, part: str | Sequence[str] | None) -> tuple[str, ...]:
        return tuple(name for one in listed(part) for name in self._some_parts(one))

    def _some_parts(self, part: object) -> tuple[str, ...]:
        if part is not None and (not isinstance(part, str) or part not in self.parts):
            raise InputError(f"part: expected one of {list(self.parts)}, the parts of {self}, got {part!r}")
        if not self.parts:
            raise InputError(f"part: {type(self).__name__} names no parts of its boundary")
        return tuple(self.parts) if part is None else (part,)

    def _points(self, points: npt.ArrayLike) -> Points:
        given = checks.real_array("points", points)
        d = len(self.coords)
        if given.ndim != 2 or given.shape[1] != d:
            row = ", and a single point is a row, [[...]]" if given.shape == (d,) else ""
            raise InputError(
                f"points: expected shape (N, {d}), got {given.shape}; each of {list(self.coords)} is a column{row}"
            )
        return given

    def _refuse_empty(self, kept: int, tried: int) -> None:
        refuse_empty(self, kept, tried)
