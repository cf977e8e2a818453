"""`Embedding`: functions of the coordinates that a network's first layer acts on instead of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import sympy as sp

from ..kernels import checks
from ..kernels.errors import InputError, short
from ..kernels.language.closed_form import ClosedForm
from ..language.closed_forms import called_with, closed_form
from ..language.fields import coordinate_symbols

_MOST_FEATURES = 4096


@dataclass(frozen=True)
class Embedding:
    """u(x) = N(phi(x)), phi known in closed form: exact periods, waves of several lengths, any map of your own.

    ``pf.Embedding(lambda t, x: (t, cos(pi * x), sin(pi * x)))`` has three features. Derivatives of u go through phi
    exactly, to order 4. Relations of a structure are those of features: of x -> -x a cosine is even, a sine odd.

    Args:
        function: of coordinates, by their names, any of them; gives a SymPy expression, or several.

    Raises:
        InputError: no function.
    """

    function: Callable[..., Any]
    periods: Mapping[str, float] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InputError(f"function: expected one of the coordinates, got {short(self.function)}")

    @classmethod
    def periodic(cls, periods: Mapping[str, float] | None = None, *, harmonics: int = 1, **more: float) -> Embedding:
        """cos(2 pi k x / L) and sin(2 pi k x / L), k = 1, ..., harmonics, for each coordinate x of period L.

        ``pf.Embedding.periodic(x=2.0)``; other coordinates stay as they are. u and all its derivatives are then
        periodic to rounding, whatever the weights (Dong & Ni 2021). L is the domain's width, or goes into it a whole
        number of times; where a network meets a problem whose domain it does not fit, it is refused.

        Raises:
            InputError: no period, periods that are not positive numbers, harmonics below 1.
        """
        if periods is not None and not isinstance(periods, Mapping):
            raise InputError(
                f"periods: expected numbers by coordinate, e.g. pf.Embedding.periodic(x=2.0), got {short(periods)}"
            )
        given = {**(periods or {}), **more}
        own = {name: checks.number(f"periods: {name}", value, above=0) for name, value in given.items()}
        if not own:
            raise InputError("periods: expected at least one, e.g. pf.Embedding.periodic(x=2.0)")
        n = checks.integer("harmonics", harmonics, 1)
        made = cls(_OfAll(lambda symbols: _waves(symbols, own, n)))
        object.__setattr__(made, "periods", own)
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
        return made

    def expressions(self, coords: tuple[str, ...]) -> list[sp.Expr]:
        """The features, in the coordinates' symbols."""
        symbols = dict(zip(coords, coordinate_symbols(coords), strict=True))
        if isinstance(self.function, _OfAll):
            return self.function.make(symbols)
        found = called_with(self.function, symbols, "embedding")
        return list(found) if isinstance(found, (Sequence, sp.Tuple, sp.MatrixBase)) else [found]

    def closed_form(self, coords: tuple[str, ...]) -> ClosedForm:
        """
        Raises:
            InputError: it is of coordinates that are not there; no features, or more than 4096; one that is the same
                everywhere.
        """
        found = closed_form(self.expressions(coords), coords, "embedding")
        if not 1 <= found.n_outputs <= _MOST_FEATURES:
            raise InputError(f"embedding: expected 1 to {_MOST_FEATURES} features, got {found.n_outputs}")
        for number, axes in enumerate(found.reads, start=1):
            if not axes:
                raise InputError(f"embedding: feature {number} is the same everywhere; biases do that")
        periods = sorted((coords.index(name), period) for name, period in self.periods.items())
        return replace(found, periods=tuple(periods))


@dataclass(frozen=True)
class _OfAll:
    """Features that are made of all coordinates there are."""

    make: Callable[[Mapping[str, sp.Symbol]], list[sp.Expr]]

    def __call__(self, **symbols: sp.Symbol) -> list[sp.Expr]:
        return self.make(symbols)


def _waves(symbols: Mapping[str, sp.Symbol], periods: Mapping[str, float], harmonics: int) -> list[sp.Expr]:
    if missing := [name for name in periods if name not in symbols]:
        raise InputError(f"embedding: {missing[0]!r} is none of the coordinates {list(symbols)}")
    features: list[sp.Expr] = []
    for name, x in symbols.items():
        if name not in periods:
            features.append(x)
            continue
        phase = 2 * sp.pi * x / sp.nsimplify(periods[name], rational=True)
        features += [wave(k * phase) for k in range(1, harmonics + 1) for wave in (sp.cos, sp.sin)]
    return features
