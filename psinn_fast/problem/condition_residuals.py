"""Residuals of conditions, from a PDE to expressions: at the top level, so that a condition can be pickled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from ..kernels.errors import InputError
from ..kernels.language.channels import Channel
from ..language.derivative_names import parse_derivative
from ..language.names import normal
from ..language.reads import Reads
from .given_columns import normal_column
from .pde import PDE


def equation_residuals(pde: PDE, symbols: Mapping[str, sp.Symbol]) -> Any:
    return pde.call(pde.residual)


@dataclass(frozen=True)
class OwnResidual:
    """A residual function of the condition's own, and what it would have read when the condition was made."""

    function: Callable[..., Any]
    reads: Reads

    def __call__(self, pde: PDE, symbols: Mapping[str, sp.Symbol]) -> Any:
        before = Reads.of(self.function)
        normals = {f"n_{coord}": normal_column(axis) for axis, coord in enumerate(pde.coords)}
        given = {name: symbols[column] for name, column in normals.items() if column in symbols}
        given |= {name: symbol for name, symbol in symbols.items() if name.isidentifier()}
        returned = pde.call(self.function, given)
        changes = list(before.changes(self.reads))
        # What it changes itself, a counter, is its own affair.
        own = {place for place, *_ in Reads.of(self.function).changes(before)} if changes else set()
        for place, was, now in changes:
            if place not in own:
                raise InputError(
                    f"its residual function reads {place}, which has changed since the condition was made, from {was} "
                    f"to {now}: make the problem before it changes, or pass it as a coefficient or a default argument "
                    "(lambda u, k=k: ...)"
                )
        return returned


def value_residuals(fields: Sequence[str], pde: PDE, symbols: Mapping[str, sp.Symbol]) -> Any:
    return [pde.field_symbol(field) - symbols[field] for field in fields]


def flux_residuals(fields: Sequence[str], pde: PDE, symbols: Mapping[str, sp.Symbol]) -> Any:
    return [
        sum(symbols[normal_column(i)] * getattr(pde.field_symbol(field), coord) for i, coord in enumerate(pde.coords))
        - symbols[field]
        for field in fields
    ]


def jump_residuals(quantities: Sequence[str], pde: PDE, symbols: Mapping[str, sp.Symbol]) -> Any:
    residuals, known = [], dict[tuple[str, Channel], str]()
    for quantity in quantities:
        field, _, suffix = normal(quantity).partition("_")
        channel = parse_derivative(suffix, pde.coords, pde.spatial) if field in pde.fields else None
        if channel is None:
            raise InputError(f"{quantity!r} is no derivative of the fields {list(pde.fields)} by {list(pde.coords)}")
        if (field, channel) in known:
            raise InputError(f"{quantity!r} is {known[field, channel]!r}, and would count twice; give one of them")
        known[field, channel] = quantity
        here, there = (pde.field_symbol(field, site) for site in (0, 1))
        residuals.append(getattr(here, suffix) - getattr(there, suffix) if suffix else here - there)
    return residuals
