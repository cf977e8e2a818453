"""`Embedding`: functions of the coordinates that a network's first layer acts on instead of these."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import sympy as sp

from ..kernels import checks
from ..kernels.errors import InputError, short
from ..kernels.language.closed_form import ClosedForm
from ..language.closed_forms import called_with, closed_form
from ..language.fields import coordinate_symbols
from ..language.names import Names, normal, split_names

_MOST_FEATURES = 4096
# What an unknown period is called.
_PERIOD = "period of {}"


@dataclass(frozen=True)
class Embedding:
    """u(x) = N(phi(x)), phi known in closed form: exact periods, waves of several lengths, any map of your own.

    ``pf.Embedding(lambda t, x: (t, cos(pi * x), sin(pi * x)))`` has three features. Derivatives of u go through phi
    exactly, to order 4. Relations of a structure are those of features: of x -> -x a cosine is even, a sine odd.

    Args:
        function: of coordinates, by their names, any of them, and of all that is unknown; gives a SymPy expression, or
            several.
        unknown: numbers to be found, by name with the value they start from, as for `PDE`: parameters of the network,
            which every optimiser trains with the weights. ``net.learned`` has them.

    Raises:
        InputError: no function; names that are none, values that are no finite numbers.
    """

    function: Callable[..., Any]
    unknown: Mapping[str, float] = field(default_factory=dict)
    periods: Mapping[str, float] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InputError(
                f"function: expected a function of coordinates, e.g. lambda t, x: ..., got {short(self.function)}"
            )
        if not isinstance(self.unknown, Mapping):
            raise InputError(f"unknown: expected numbers by name, e.g. {{'L': 2.0}}, got {short(self.unknown)}")
        if self.unknown:
            names = split_names(list(self.unknown), "unknown")
            values = (checks.number(f"unknown: {name}", value) for name, value in self.unknown.items())
            object.__setattr__(self, "unknown", dict(zip(names, values, strict=True)))

    @classmethod
    def periodic(
        cls, periods: Mapping[str, float] | None = None, *, harmonics: int = 1, unknown: Names = (), **more: float
    ) -> Embedding:
        """cos(2 pi k x / L) and sin(2 pi k x / L), k = 1, ..., harmonics, for each coordinate x of period L.

        ``pf.Embedding.periodic(x=2.0)``; other coordinates stay as they are. u and all its derivatives are then
        periodic to rounding, whatever the weights (Dong & Ni 2021). L is the domain's width, or goes into it a whole
        number of times; where a network meets a problem whose domain it does not fit, it is refused.

        Args:
            unknown: coordinates whose periods are to be found, from where they start: ``periodic(x=2.0, unknown="x")``.
                They need not fit the domain, and no condition holds by them.

        Raises:
            InputError: no period, periods that are not positive numbers, harmonics below 1, an unknown one that has no
                start.
        """
        if periods is not None and not isinstance(periods, Mapping):
            raise InputError(
                f"periods: expected numbers by coordinate, e.g. pf.Embedding.periodic(x=2.0), got {short(periods)}"
            )
        given = {**(periods or {}), **more}
        own = {name: checks.number(f"periods: {name}", value, above=0) for name, value in given.items()}
        if not own:
            raise InputError("periods: expected at least one, e.g. pf.Embedding.periodic(x=2.0)")
        n, found = checks.integer("harmonics", harmonics, 1), split_names(unknown, "unknown") if unknown else ()
        if missing := [name for name in found if name not in own]:
            raise InputError(f"unknown: {missing[0]!r} has no period to start from; give one, {missing[0]}=2.0")
        made = cls(_OfAll(lambda symbols: _waves(symbols, own, n, found)))
        object.__setattr__(made, "periods", {name: period for name, period in own.items() if name not in found})
        object.__setattr__(made, "unknown", {_PERIOD.format(name): own[name] for name in found})
        return made

    @classmethod
    def fourier(cls, n: int, scale: float = 1.0, *, seed: int = 0, of: Embedding | None = None) -> Embedding:
        """Random Fourier features cos(b_k . x) and sin(b_k . x), b_k ~ N(0, scale^2) (Tancik et al. 2020).

        Args:
            n: how many b; there are 2 n features.
            scale: standard deviation of b, in waves of 2 pi per unit of x.
            seed: of b.
            of: features to take instead of the coordinates, ``of=pf.Embedding.periodic(x=2.0)``.

        Raises:
            InputError: n below 1, a scale that is not positive, features that are no `Embedding`.
        """
        if of is not None and not isinstance(of, Embedding):
            raise InputError(
                f"of: expected a pf.Embedding, e.g. pf.Embedding.periodic(x=2.0), or None for the coordinates, got "
                f"{short(of)}"
            )
        n, scale, seed = checks.integer("n", n, 1), checks.number("scale", scale, above=0), checks.seed("seed", seed)

        def features(symbols: Mapping[str, sp.Symbol]) -> list[sp.Expr]:
            inner = list(symbols.values()) if of is None else of.expressions(tuple(symbols))
            b = np.random.default_rng(seed).normal(0.0, scale, (n, len(inner)))
            phases = [sp.Add(*(sp.Float(float(w), 17) * x for w, x in zip(row, inner, strict=True))) for row in b]
            return [wave(phase) for phase in phases for wave in (sp.cos, sp.sin)]

        made = cls(_OfAll(features))
        object.__setattr__(made, "periods", dict(of.periods) if of is not None else {})
        object.__setattr__(made, "unknown", dict(of.unknown) if of is not None else {})
        return made

    def expressions(self, coords: tuple[str, ...]) -> list[sp.Expr]:
        """The features, in the symbols of coordinates and of what is unknown."""
        symbols = dict(zip(coords, coordinate_symbols(coords), strict=True))
        if isinstance(self.function, _OfAll):
            return self.function.make(symbols)
        names = tuple(self.unknown)
        if twice := [name for name in names if name in coords]:
            raise InputError(f"unknown: {twice[0]!r} is a coordinate; give the number another name")
        parameters = [*map(normal, inspect.signature(self.function).parameters)] if names else []
        if missing := [name for name in names if name not in parameters]:
            raise InputError(
                f"unknown: {missing[0]!r} is no parameter of the embedding's function; expected one of that name, "
                f"e.g. lambda {', '.join([*coords, *names])}: ..."
            )
        known = {**symbols, **dict(zip(names, coordinate_symbols(names), strict=True))}
        found = called_with(self.function, known, "embedding")
        return list(found) if isinstance(found, (Sequence, sp.Tuple, sp.MatrixBase)) else [found]

    def closed_form(self, coords: tuple[str, ...]) -> ClosedForm:
        """
        Raises:
            InputError: it is of coordinates that are not there; no features, or more than 4096; one that is the same
                everywhere.
        """
        found = closed_form(self.expressions(coords), coords, "embedding", self.unknown)
        if not 1 <= found.n_outputs <= _MOST_FEATURES:
            raise InputError(f"embedding: expected 1 to {_MOST_FEATURES} features, got {found.n_outputs}")
        for number, axes in enumerate(found.reads, start=1):
            if not axes:
                raise InputError(f"embedding: feature {number} is the same everywhere; biases do that")
        if found.unread:
            raise InputError(f"unknown: no feature depends on {found.unread[0]!r}; leave it out")
        periods = sorted((coords.index(name), period) for name, period in self.periods.items())
        return replace(found, periods=tuple(periods))


@dataclass(frozen=True)
class _OfAll:
    """Features that are made of all coordinates there are."""

    make: Callable[[Mapping[str, sp.Symbol]], list[sp.Expr]]

    def __call__(self, **symbols: sp.Symbol) -> list[sp.Expr]:
        return self.make(symbols)


def _waves(
    symbols: Mapping[str, sp.Symbol], periods: Mapping[str, float], harmonics: int, unknown: Collection[str]
) -> list[sp.Expr]:
    if missing := [name for name in periods if name not in symbols]:
        raise InputError(f"embedding: {missing[0]!r} is none of the coordinates {list(symbols)}")
    features: list[sp.Expr] = []
    for name, x in symbols.items():
        if name not in periods:
            features.append(x)
            continue
        (own,) = coordinate_symbols((_PERIOD.format(name),))
        phase = 2 * sp.pi * x / (own if name in unknown else sp.nsimplify(periods[name], rational=True))
        features += [wave(k * phase) for k in range(1, harmonics + 1) for wave in (sp.cos, sp.sin)]
    return features
