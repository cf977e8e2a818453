"""Fields as the variables that a program reads: one symbol per channel, sums of second derivatives as one channel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sympy as sp

from ..kernels.language.channels import Channel, ChannelSet, Laplacian, MultiIndex, channel_order
from .derivative_names import derivative_name
from .exact_numbers import is_zero
from .fields import SymbolicField


class SymbolicJet(sp.Symbol):  # type: ignore[misc]  # SymPy ships no types
    """One channel of a field at one of a condition's points, as an independent variable."""

    field: str
    channel: Channel
    site: int

    def __new__(cls, name: str, field: str, channel: Channel, site: int) -> SymbolicJet:
        # Not from SymPy's cache of symbols by name: u_x of (x, y) is not u_x of (t, x).
        jet: SymbolicJet = sp.Symbol.__xnew__(cls, name, real=True)
        jet.field, jet.channel, jet.site = field, channel, site
        return jet

    @classmethod
    def of(cls, field: SymbolicField, channel: Channel) -> SymbolicJet:
        suffix = derivative_name(channel, field.coords, field.spatial)
        name = field.field + (f"_{suffix}" if suffix else "") + "'" * field.site
        return cls(name, field.field, channel, field.site)

    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (self.name, self.field, self.channel, self.site), {}

    def _hashable_content(self) -> tuple[Any, ...]:
        return (*super()._hashable_content(), self.field, str(self.channel), self.site)


def with_jets(residuals: Sequence[sp.Expr]) -> tuple[sp.Expr, ...]:
    """Residuals of fields to residuals of jets with as few channels as they need.

    A derivative of a Laplacian is the sum of its plain derivatives, and so is a Laplacian itself whose second
    derivatives are carried anyway. Where second derivatives enter only through their sum, it becomes one channel.
    """
    fields = sorted(set().union(*(r.atoms(SymbolicField) for r in residuals)), key=lambda field: field.name)
    carried = _carried(fields)
    jets = {field: _sum_of_jets(field, carried) for field in fields}
    # The zero orders of a field tell the names of all its channels.
    plain = {(field.field, field.site): field for field in fields}
    return _collapsed(tuple(r.xreplace(jets) for r in residuals), plain)


def jets_of(residuals: Iterable[sp.Expr]) -> list[SymbolicJet]:
    return sorted({s for r in residuals for s in r.free_symbols if isinstance(s, SymbolicJet)}, key=str)


def _carried(fields: Sequence[SymbolicField]) -> set[Channel]:
    """The channels that are there whether or not any Laplacian is one."""
    wanted: set[Channel] = set()
    for field in fields:
        wanted.update([] if isinstance(field.operator.channel, Laplacian) else field.operator.expanded())
    return set(ChannelSet.closure(len(fields[0].coords), wanted).channels) if fields else set()


def _sum_of_jets(field: SymbolicField, carried: set[Channel]) -> sp.Expr:
    terms: dict[MultiIndex, int] = field.operator.expanded()
    channel = field.operator.channel
    if channel is not None and not (isinstance(channel, Laplacian) and carried.issuperset(terms)):
        return SymbolicJet.of(field, channel)
    return sp.Add(*(n * SymbolicJet.of(field, orders) for orders, n in terms.items()))


def _collapsed(residuals: tuple[sp.Expr, ...], fields: dict[tuple[str, int], SymbolicField]) -> tuple[sp.Expr, ...]:
    """Where the pure second derivatives enter only through their sum, put that sum in as one channel.

    Only if it saves channels: nothing of order above 2 is asked for, and all fields that have second derivatives have
    them over the same two or more axes.
    """
    plain = [jet for jet in jets_of(residuals) if not isinstance(jet.channel, Laplacian)]
    if any(channel_order(jet.channel) > 2 for jet in plain):
        return residuals
    pure: dict[tuple[str, int], dict[int, SymbolicJet]] = {}
    for jet in plain:
        if 2 in jet.channel:
            pure.setdefault((jet.field, jet.site), {})[jet.channel.index(2)] = jet
    all_axes = {tuple(sorted(found)) for found in pure.values()}
    if len(all_axes) != 1 or len(axes := all_axes.pop()) < 2:
        return residuals
    collapsed = list(residuals)
    for key, found in pure.items():
        total = SymbolicJet.of(fields[key], Laplacian(axes))
        for i, r in enumerate(collapsed):
            replaced = _replace_sum(r, [found[axis] for axis in axes], total)
            if replaced is None:
                return residuals
            collapsed[i] = replaced
    return tuple(collapsed)


def _replace_sum(expression: sp.Expr, parts: Sequence[sp.Symbol], total: sp.Symbol) -> sp.Expr | None:
    """``expression`` with sum(parts) written as ``total``; None if it depends on the parts in another way.

    Never multiplies anything out: (u - 1)^8 expanded loses every digit near u = 1.
    """
    expression = expression.subs(sp.Add(*parts), total)
    if not expression.has(*parts):
        return expression
    slopes = [sp.diff(expression, part) for part in parts]
    linear = not any(slope.has(*parts) for slope in slopes)
    if linear and all(is_zero(sp.expand(slope - slopes[0])) for slope in slopes[1:]):
        return expression.subs(dict.fromkeys(parts, 0)) + slopes[0] * total
    return None
