"""The boundary of a plane domain: exact curves with the names of its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..part_names import Label, names_of
from .curves import Curve

Points = npt.NDArray[np.float64]

# How far rounding errors may move points, of their largest coordinate.
_DIGITS = 64 * float(np.finfo(np.float64).eps)


class Piece(NamedTuple):
    curve: Curve
    label: Label


@dataclass(frozen=True)
class Outline:
    """Closed curves with the domain to their left, in pieces; ``labels`` includes those that nothing is left of."""

    pieces: tuple[Piece, ...]
    labels: tuple[Label, ...]

    @classmethod
    def of(cls, curves: Sequence[Curve], names: Sequence[str], order: Sequence[str]) -> Outline:
        """Of one shape, with the name of each curve's part; several may share one. ``order``: that of the parts."""
        pieces = [Piece(curve, Label(name)) for curve, name in zip(curves, names, strict=True)]
        return cls(tuple(chained(pieces)), tuple(dict.fromkeys(map(Label, order))))

    @property
    def curves(self) -> list[Curve]:
        return [piece.curve for piece in self.pieces]

    @cached_property
    def names(self) -> dict[Label, str]:
        return names_of(self.labels)

    @cached_property
    def parts(self) -> dict[str, list[Curve]]:
        """The curves of each part that something is left of, in the order of their labels."""
        found: dict[str, list[Curve]] = {}
        for label in self.labels:
            if curves := [curve for curve, own in self.pieces if own == label]:
                found[self.names[label]] = curves
        return found

    @property
    def vanished(self) -> list[str]:
        """Names of parts that nothing is left of."""
        return [name for name in self.names.values() if name not in self.parts]

    @cached_property
    def extent(self) -> tuple[Points, Points]:
        return extent_of(self.curves)

    def slack(self, part: float) -> float:
        """A part of the longer side of the bounds, or a few rounding errors of its numbers where these are more."""
        return slack_of(self.extent, part)

    @cached_property
    def area(self) -> float:
        low, high = self.extent
        return sum(curve.swept((low + high) / 2) for curve in self.curves)

    def moved(self, matrix: Points, step: Points) -> Outline:
        """By x -> matrix x + step, a rotation and a translation. Ends that are one stay one."""
        return Outline(tuple(Piece(curve.moved(matrix, step), label) for curve, label in self.pieces), self.labels)

    def renamed(self, names: Mapping[str, str]) -> Outline:
        new = {label: Label(names.get(own, own)) for label, own in self.names.items()}
        pieces = [Piece(curve, new[label]) for curve, label in self.pieces]
        return Outline(tuple(chained(pieces)), tuple(dict.fromkeys(new.values())))

    def numbered_from(self, first: int) -> Outline:
        """With the shapes that it is made of counted from a number on."""
        new = {label: Label(label.name, label.source + first) for label in self.labels}
        pieces = tuple(Piece(curve, new[label]) for curve, label in self.pieces)
        return Outline(pieces, tuple(new.values()))

    @property
    def n_shapes(self) -> int:
        return 1 + max(label.source for label in self.labels)


def extent_of(curves: Iterable[Curve]) -> tuple[Points, Points]:
    """The lower and upper bounds (2,) of some curves."""
    ends = [curve.extent for curve in curves]
    return np.min([low for low, _ in ends], axis=0), np.max([high for _, high in ends], axis=0)


def slack_of(extent: tuple[Points, Points], part: float) -> float:
    """`Outline.slack` of lower and upper bounds."""
    low, high = extent
    return max(part * float((high - low).max()), _DIGITS * float(np.abs(extent).max()))


def chained(pieces: Sequence[Piece]) -> list[Piece]:
    """In an order in which the pieces of each part go on where the last one ended, as far as they do; those that are
    parts of one segment or arc are one."""
    found: list[Piece] = []
    for label in dict.fromkeys(piece.label for piece in pieces):
        own = [curve for curve, other in pieces if other == label]
        starts: dict[tuple[float, float], list[Curve]] = {}
        for curve in own:
            starts.setdefault(curve.start, []).append(curve)
        ends = {curve.end for curve in own}
        # What nothing leads to comes first; what is left are closed curves, which begin anywhere.
        chains: list[list[Curve]] = []
        for curve in sorted(own, key=lambda curve: curve.start in ends):
            chain: list[Curve] = []
            at = curve.start if curve in starts.get(curve.start, []) else None
            while at is not None and starts.get(at):
                chain.append(starts[at].pop(0))
                at = chain[-1].end
            if chain:
                chains.append(_joined(chain))
        found += [Piece(curve, label) for chain in chains for curve in chain]
    return found


def _joined(chain: Sequence[Curve]) -> list[Curve]:
    found = [chain[0]]
    for curve in chain[1:]:
        both = found[-1].continued(curve)
        found[-1:] = [found[-1], curve] if both is None else [both]
    if len(found) > 1 and (both := found[-1].continued(found[0])) is not None:
        found = [both, *found[1:-1]]
    return found
