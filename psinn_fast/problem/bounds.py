"""Unknown coefficients within bounds, as functions of free numbers z, so that no step of any optimiser can leave them.

c = unit z without bounds, low + e^z or high - e^z with one, low + (high - low) (1 + tanh(z / 2)) / 2 with two, a
logistic function whose derivatives overflow nowhere. Training knows z alone: c(z) is part of the residuals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
import torch

from ..kernels import checks
from ..kernels.errors import InputError, short
from ..language.names import by_normal_names

Interval = tuple[float, float]
_NONE = (-math.inf, math.inf)
# A start at so many units is no order of magnitude.
_FAR = 1e3
# A coefficient is at a bound to this part of it, or to that part of what it could be.
_AT_BOUND, _AT_ZERO = 1e-3, 1e-6


def checked_bounds(bounds: object, unknown: Sequence[str]) -> dict[str, Interval]:
    """(low, high) by name, infinite where there is no bound.

    Raises:
        InputError: a coefficient that is not there; no pair of numbers with low < high; no bound at all.
    """
    if not isinstance(bounds, Mapping):
        raise InputError(f"bounds: expected a mapping such as {{'nu': (0, None)}}, got {type(bounds).__name__}")
    checked = {}
    for name, pair in by_normal_names(bounds, "bounds").items():
        if name not in unknown:
            raise InputError(
                f"bounds: the unknown coefficients are {list(unknown)}, got {name!r}; numbers of an embedding take no "
                "bounds"
            )
        try:
            low, high = pair
        except (TypeError, ValueError):
            raise InputError(f"bounds: {name}: expected (low, high), None for no bound, got {short(pair)}") from None
        low, high = _end(f"bounds: {name}: low", low, -math.inf), _end(f"bounds: {name}: high", high, math.inf)
        if not low < high or low == math.inf or high == -math.inf:
            raise InputError(f"bounds: {name}: expected low < high, got {short(pair)}")
        if low == -math.inf and high == math.inf:
            raise InputError(f"bounds: {name}: expected at least one bound that is finite, got {short(pair)}")
        checked[name] = low, high
    return checked


@dataclass(frozen=True)
class Unknowns:
    """The unknown coefficients of a problem: where they start, by name in the PDE's order, and their bounds.

    ``units``: of those without bounds, 1 where nothing is said (`in_natural_units`).
    """

    starts: Mapping[str, float]
    guess: Mapping[str, float]
    bounds: Mapping[str, Interval]
    units: Mapping[str, float] = field(default_factory=dict)

    def interval(self, name: str) -> Interval:
        """Between which numbers a coefficient stays, infinite where nothing is said."""
        return self.bounds.get(name, _NONE)

    def start(self, given: Mapping[str, float] | None = None, *, guessed: bool = False) -> list[float]:
        """Free numbers to start from: as given, else as the problem guesses, if that is wanted, else as the PDE says.

        Where the PDE's start is not within the bounds, the guess counts in any case.

        Raises:
            InputError: a start that is not strictly within its bounds.
        """
        chosen = {**self.starts, **(self.guess if guessed else {})}
        for name in self.bounds:
            if not self._is_inside(name, chosen[name]):
                chosen[name] = self.guess.get(name, chosen[name])
        chosen |= given or {}
        for name, (low, high) in self.bounds.items():
            if not self._is_inside(name, chosen[name]):
                raise InputError(
                    f"bounds: {name} starts at {chosen[name]:g}, expected a start strictly between {low:g} and "
                    f"{high:g}; give a guess there"
                )
        return [_free(c / self.units.get(name, 1.0), self.bounds.get(name, _NONE)) for name, c in chosen.items()]

    def far(self, given: Mapping[str, float] | None = None, *, guessed: bool = False) -> dict[str, float]:
        """Units of the coefficients that start at more than a thousand of them, with the start's sign."""
        z = zip(self.starts, self.start(given, guessed=guessed), strict=True)
        return {
            name: math.copysign(self.units[name], start)
            for name, start in z
            if name in self.units and name not in self.bounds and abs(start) > _FAR
        }

    def values(self, z: Sequence[float]) -> dict[str, float]:
        """The coefficients of free numbers, strictly inside: where rounding puts one on a bound, next to it."""
        return {
            name: _inside(value * self.units.get(name, 1.0), self.bounds.get(name, _NONE))
            for name, value in zip(self.starts, z, strict=True)
        }

    def pressed(self, coefficients: Mapping[str, float]) -> dict[str, float]:
        """Bounds that coefficients are at, to a part of the bound itself, or of how far off they might be."""
        found = {}
        for name, ends in self.bounds.items():
            for end in ends:
                others = [abs(other - end) for other in (*ends, self.starts[name], self.guess.get(name, end))]
                widest = max((other for other in others if math.isfinite(other)), default=0.0)
                near = max(_AT_BOUND * min(abs(end), widest), _AT_ZERO * widest)
                if abs(coefficients[name] - end) <= near:
                    found[name] = end
        return found

    def substitution(self, symbols: Sequence[sp.Symbol]) -> dict[sp.Symbol, sp.Expr]:
        """c(z) in place of the coefficients' symbols, which then stand for z."""
        own = zip(self.starts, symbols, strict=True)
        return {s: _coefficient(s, self.bounds[name], sp) for name, s in own if name in self.bounds}

    def _is_inside(self, name: str, c: float) -> bool:
        low, high = self.bounds[name]
        return low < c < high


def _coefficient(z: Any, interval: Interval, functions: Any) -> Any:
    """c(z), with exp and tanh of ``functions``: SymPy, or torch for numbers."""
    low, high = interval
    if math.isfinite(low) and math.isfinite(high):
        return low + (high - low) * (1 + functions.tanh(z / 2)) / 2
    if math.isfinite(low):
        return low + functions.exp(z)
    return high - functions.exp(z) if math.isfinite(high) else z


def _free(c: float, interval: Interval) -> float:
    """z of a coefficient strictly inside."""
    low, high = interval
    if math.isfinite(low) and math.isfinite(high):
        return math.log((c - low) / (high - c))
    if math.isfinite(low):
        return math.log(c - low)
    return math.log(high - c) if math.isfinite(high) else c


def _inside(z: float, interval: Interval) -> float:
    low, high = interval
    c = float(_coefficient(torch.tensor(z, dtype=torch.float64), interval, torch))
    if c == low:
        return math.nextafter(low, math.inf)
    return math.nextafter(high, -math.inf) if c == high else c


def _end(name: str, value: object, none: float) -> float:
    return none if value is None else checks.number(name, value, infinite=True, other="None or ")
