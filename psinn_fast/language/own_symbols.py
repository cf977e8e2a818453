"""The user's own symbols that a residual function holds, itself or through what it reads."""

from __future__ import annotations

import sympy as sp

from .reads import Reads


def symbols_in(function: object) -> frozenset[sp.Symbol]:
    """Also those that have vanished from what the function gives."""
    read = (value for value in Reads.of(function).values.values() if isinstance(value, sp.Basic))
    symbols = frozenset[sp.Symbol]().union(*(value.free_symbols for value in read))
    return frozenset(s for s in symbols if isinstance(s, sp.Symbol) and not isinstance(s, (sp.Dummy, sp.Wild)))
