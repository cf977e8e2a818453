"""`Ansatz`: conditions that hold exactly, whatever the weights, since u is made of the network so that they do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp

from ..kernels.errors import InputError, short
from ..kernels.network import ansatz
from ..language.closed_forms import called_with, closed_form
from ..language.exact_numbers import with_exact_numbers
from ..language.fields import coordinate_symbols
from ..language.names import normal


class Ansatz:
    """u = g(x) + d(x) N(x), N the network, d zero where u is known and g what it is there.

    ``pf.Ansatz(u=lambda u, t, x: sin(pi * x) + t * u)`` has u = sin(pi x) at t = 0 to rounding; the parameter named
    after the field stands for N. Derivatives follow by the product rule, metrics, pictures and files are of u. Terms of
    a problem that hold whatever the weights are left out of training, which says so.

    Args:
        fields: by name, a function of N and coordinates, linear in N; gives a SymPy expression. Fields that are not
            named are the network's outputs.

    Raises:
        InputError: no function for any field, or something else.
    """

    def __init__(self, *nameless: object, **fields: Callable[..., Any]) -> None:
        if nameless:
            raise InputError(
                "Ansatz: expected a function for each field by its name, e.g. pf.Ansatz(u=lambda u, t, x: x + t * u), "
                f"got {short(nameless[0])}"
            )
        if not fields:
            raise InputError("Ansatz: expected a function for a field, e.g. pf.Ansatz(u=lambda u, t, x: x + t * u)")
        given: Mapping[str, object] = fields
        for name, own in given.items():
            if not callable(own):
                is_factor = isinstance(own, sp.Expr)
                advice = f"; if it is the factor d, write {name}=lambda {name}: d * {name}" if is_factor else ""
                raise InputError(
                    f"Ansatz: {name}: expected a function of {name} and coordinates, got {short(own)}{advice}"
                )
        self.fields: Mapping[str, Callable[..., Any]] = {normal(name): own for name, own in fields.items()}

    def parts(self, coords: tuple[str, ...], fields: tuple[str, ...]) -> dict[str, tuple[sp.Expr, sp.Expr]]:
        """By field, g and d in the coordinates' symbols.

        Raises:
            InputError: a field that is not there, functions that fail, are not linear in N, or do not depend on it.
        """
        if unknown := [name for name in self.fields if name not in fields]:
            raise InputError(f"ansatz: {unknown[0]!r} is none of the fields {list(fields)}")
        return {name: self._parts_of(name, coords) for name in self.fields}

    def _parts_of(self, name: str, coords: tuple[str, ...]) -> tuple[sp.Expr, sp.Expr]:
        what, network = f"ansatz: {name}", sp.Symbol(name, real=True)
        known = {name: network, **dict(zip(coords, coordinate_symbols(coords), strict=True))}
        found = sp.sympify(called_with(self.fields[name], known, what))
        if not isinstance(found, sp.Expr):
            raise InputError(f"{what}: expected an expression, got {type(found).__name__}")
        own = {symbol: known[normal(symbol.name)] for symbol in found.free_symbols if normal(symbol.name) in known}
        found = with_exact_numbers(found.xreplace(own))
        factor = sp.diff(found, network)
        if factor.has(network):
            raise InputError(f"{what}: expected g + d {name} with g and d of the coordinates, got {found}")
        if factor == 0:
            raise InputError(f"{what}: {found} does not depend on {name}, the network: nothing would be trained")
        return found.subs(network, 0), factor

    def closed_form(self, coords: tuple[str, ...], fields: tuple[str, ...]) -> ansatz.Ansatz:
        """As plans have it. Raises: see `parts`."""
        parts = self.parts(coords, fields)
        pairs = [parts.get(name, (sp.S.Zero, sp.S.One)) for name in fields]
        offset, factor = (closed_form(own, coords, "ansatz") for own in zip(*pairs, strict=True))
        return ansatz.Ansatz(offset, factor)
