"""Products of domains: a disk over a time, a polygon over a height, a shape over an interval of a parameter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import product as all_pairs

import numpy as np
import numpy.typing as npt

from ..frozen import frozen
from ..kernels.errors import InputError, short
from ..kernels.language.channels import MAX_INPUTS
from ..networks.groups import SignedPermutation
from .box import Box
from .domain import ON_BOUNDARY, Domain, Mask
from .measured import Measured
from .part_names import Label, names_of, refuse_clashes
from .windows import shrunk

Points = npt.NDArray[np.float64]


def multiplied(one: Domain, other: object) -> Domain:
    """``one * other``: a box if both are, a `Product` otherwise.

    Raises:
        InputError: no domain, a coordinate that both have, more than four coordinates in all.
    """
    what = f"{type(one).__name__} * {type(other).__name__}"
    if not isinstance(other, Domain):
        raise InputError(f"{what}: the product is of two domains, got {short(other)}")
    names = [*one.coords, *other.coords]
    if twice := [name for name in one.coords if name in other.coords]:
        raise InputError(
            f"{what}: both have the coordinate {twice[0]!r}: {list(one.coords)}, {list(other.coords)}; give one of "
            "them other names, by Box(t=...), or coords='x y' of other shapes"
        )
    factors = list[Domain]()
    for factor in (*_factors(one), *_factors(other)):
        if factors and isinstance(factor, Box) and isinstance(factors[-1], Box):
            factor = _joined_boxes(factors.pop(), factor)
        factors.append(factor)
    if len(factors) == 1:
        return factors[0]
    if len(names) > MAX_INPUTS:
        raise InputError(f"{what}: expected up to {MAX_INPUTS} coordinates together, got {len(names)}: {names}")
    return Product(*factors)


class Product(Domain):
    """All combinations of the points of several domains, e.g. ``Box(t=(0, 1)) * Disk((0, 0), 1)``.

    Made by ``*``. Its coordinates are those of the factors, in their order. Its parts are the factors' parts, each over
    all of the other factors: "t_low", "t_high", "rim"; names that several factors have are numbered, "rim1", "rim2".
    Normals are the factors' own, zero along the others. Points of a part are spread over the whole of it, not over
    pairs of a few points of each factor. Of points of all parts each gets as many whatever the units of the factors,
    the faces of intervals as many as in a box: its size in its factor, by the size and the width of that.

    Attributes:
        factors: the domains, boxes that are neighbours joined.
    """

    factors: tuple[Domain, ...]

    def __init__(self, *factors: Domain) -> None:
        bounds = {
            name: (low, high)
            for factor in factors
            for name, low, high in zip(factor.coords, factor.low.tolist(), factor.high.tolist(), strict=True)
        }
        super().__init__(**bounds)
        labels = [Label(part, i) for i, factor in enumerate(factors) for part in factor.parts]
        self._have(factors=factors, parts=tuple(names_of(labels).values()))
        refuse_clashes(repr(self), self.parts)

    def __repr__(self) -> str:
        return " * ".join(map(repr, self.factors))

    @property
    def centre(self) -> Points:
        return np.asarray(frozen(np.concatenate([factor.centre for factor in self.factors])))

    @property
    def interval_axes(self) -> tuple[int, ...]:
        return tuple(axes.start + i for factor, axes in self._blocks() for i in factor.interval_axes)

    @property
    def pictured_axes(self) -> tuple[int, ...]:
        """Those of the first factor that is a shape of several coordinates: x and y of a disk over a time."""
        shapes = [(f, axes) for f, axes in self._blocks() if not f.is_box and len(f.coords) > 1]
        return tuple(axes.start + i for f, axes in shapes[:1] for i in f.pictured_axes) or super().pictured_axes

    def contains(self, points: npt.ArrayLike) -> Mask:
        given = self._points(points)
        inside = [factor.inside(given[:, axes]) for factor, axes in self._blocks()]
        return np.asarray(np.logical_and.reduce(inside))

    def outside(self, points: npt.ArrayLike) -> Mask:
        given = self._points(points)
        beyond = [factor.outside(given[:, axes]) for factor, axes in self._blocks()]
        return np.asarray(np.logical_or.reduce(beyond))

    def on_boundary(self, points: npt.ArrayLike, slack: float = ON_BOUNDARY) -> Mask:
        """Which points (N, d) lie on the boundary of one factor, and in or on the others."""
        given = self._points(points)
        own = [(f.inside(given[:, axes]), f.on_boundary(given[:, axes], slack)) for f, axes in self._blocks()]
        near = np.logical_and.reduce([inside | on for inside, on in own])
        return np.asarray(near & np.logical_or.reduce([on for _, on in own]))

    def interior_at(self, unit: Points) -> Points:
        return np.concatenate([factor.interior_at(unit[:, axes]) for factor, axes in self._blocks()], axis=1)

    def boundary_at(self, part: str, unit: Points) -> tuple[Points, Points | None]:
        number, own = self._owner(part)
        points, normals, used = list[Points](), np.zeros((len(unit), len(self.coords))), 0
        is_known = True
        for i, (factor, axes) in enumerate(self._blocks()):
            count = len(factor.coords) - (i == number)
            parameters, used = unit[:, used : used + count], used + count
            if i != number:
                points.append(factor.interior_at(parameters))
                continue
            place, vectors = factor.surface(own, parameters)
            points.append(place)
            is_known = vectors is not None
            normals[:, axes] = 0.0 if vectors is None else vectors
        return np.concatenate(points, axis=1), normals if is_known else None

    def elements(self, part: str, unit: Points) -> Points:
        number, own = self._owner(part)
        found, used = np.ones(len(unit)), 0
        for i, factor in enumerate(self.factors):
            count = len(factor.coords) - (i == number)
            parameters, used = unit[:, used : used + count], used + count
            found = found * (factor.elements(own, parameters) if i == number else factor.measure())
        return found

    def measure(self, part: str | None = None) -> float:
        if part is None:
            return float(np.prod([factor.measure() for factor in self.factors]))
        self._some_parts(part)
        number, own = self._owner(part)
        return float(np.prod([f.measure(own if i == number else None) for i, f in enumerate(self.factors)]))

    def shrunk(self, coord: str, origin: float, factor: float) -> Domain | None:
        made = [shrunk(f, coord, origin, factor) if coord in f.coords else f for f in self.factors]
        known = [f for f in made if f is not None]
        return Product(*known).named(self.parts) if len(known) == len(made) else None

    def named(self, parts: Sequence[str]) -> Product:
        """With other names of all parts, in their order.

        Raises:
            InputError: a name twice: parts of a product are not joined.
        """
        refuse_clashes(repr(self), parts)
        made = Product(*self.factors)
        made._have(parts=tuple(parts))
        return made

    def outline(self) -> list[Points]:
        axes = self.pictured_axes
        owners = [(f, block) for f, block in self._blocks() if axes[0] in range(block.start, block.stop)]
        return owners[0][0].outline() if len(axes) == 2 and axes[1] < owners[0][1].stop else []

    @cached_property
    def _measured(self) -> dict[str, Measured]:
        found = {}
        for part in self.parts:
            number, own = self._owner(part)
            factor, axes = list(self._blocks())[number]
            low, high = self.low.copy(), self.high.copy()
            low[axes], high[axes] = factor.extent(own)
            width = float((factor.high - factor.low).mean())
            found[part] = Measured(factor.measure(own) * width / factor.measure(), low, high)
        return found

    @cached_property
    def _symmetries(self) -> tuple[SignedPermutation, ...]:
        """Those of each factor, in all combinations."""
        groups = [(SignedPermutation.identity(len(f.coords)), *f.symmetries()) for f in self.factors]
        return tuple(_side_by_side(maps) for maps in list(all_pairs(*groups))[1:])

    @property
    def _has_exact_sizes(self) -> bool:
        return all(factor._has_exact_sizes for factor in self.factors)

    def _anchors(self, part: str) -> Points:
        number, own = self._owner(part)
        factor, axes = list(self._blocks())[number]
        known = factor._anchors(own)
        places = np.tile(self.low, (len(known), 1))
        places[:, axes] = known
        return places

    def _distances(self, points: Points, part: str) -> Points:
        """From a part as far as its factor goes, along which alone it ends."""
        number, own = self._owner(part)
        factor, axes = list(self._blocks())[number]
        return factor._distances(points[:, axes], own)

    def _longest_side(self, part: str) -> float:
        number, own = self._owner(part)
        return self.factors[number]._longest_side(own)

    def _blocks(self) -> Iterator[tuple[Domain, slice]]:
        """The factors with their columns."""
        start = 0
        for factor in self.factors:
            yield factor, slice(start, start + len(factor.coords))
            start += len(factor.coords)

    def _owner(self, part: str) -> tuple[int, str]:
        """Which factor a part belongs to, and what it is called there."""
        owners = [(i, own) for i, factor in enumerate(self.factors) for own in factor.parts]
        return owners[self.parts.index(part)]


def _factors(domain: Domain) -> Sequence[Domain]:
    return domain.factors if isinstance(domain, Product) else (domain,)


def _joined_boxes(one: Domain, other: Domain) -> Box:
    names, low, high = (*one.coords, *other.coords), (*one.low, *other.low), (*one.high, *other.high)
    return Box(**{name: (float(a), float(b)) for name, a, b in zip(names, low, high, strict=True)})


def _side_by_side(maps: Sequence[SignedPermutation]) -> SignedPermutation:
    permutation, signs = list[int](), list[int]()
    for g in maps:
        permutation += [len(signs) + source for source in g.permutation]
        signs += g.signs
    return SignedPermutation(tuple(permutation), tuple(signs))
