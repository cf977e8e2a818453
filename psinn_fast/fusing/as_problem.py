"""A recorded loss as a `Problem`, which every optimiser, callback and checkpoint of the library takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp

from ..domains import Box
from ..frozen import frozen
from ..kernels.errors import InputError
from ..language.fields import SymbolicField, coordinate_symbols
from ..language.tracing import column_symbol
from ..problem.conditions import BOUNDARY, INSIDE, Condition
from ..problem.pde import PDE
from ..problem.problem import Problem
from .given import Numbers
from .squares import SquareTerm
from .symbols import Symbols, replaced_outside

# Of the points of an equation, how many lie within the bounds of all points.
_MOST = 0.5


@dataclass(frozen=True)
class Expressions:
    """Residuals as they are: what a condition's residual function would have returned.

    ``columns``: symbols of the given columns in them, by name.
    """

    residuals: tuple[sp.Expr, ...]
    columns: Mapping[str, sp.Symbol]

    def __call__(self, pde: PDE, symbols: Mapping[str, sp.Symbol]) -> list[sp.Expr]:
        rule = {own: symbols[name] for name, own in self.columns.items()}
        return [residual.xreplace(rule) for residual in self.residuals]


@dataclass(frozen=True)
class _Constant:
    """A PDE's residual that is called without arguments."""

    residuals: tuple[sp.Expr, ...]

    def __call__(self) -> list[sp.Expr]:
        return list(self.residuals)


@dataclass(frozen=True)
class TermPlan:
    """A term whose numbers are computed anew where points or data change.

    ``inputs``: of each site, what the network is called with; ``columns``: expressions of given numbers, by name.
    """

    term: SquareTerm
    residual: Expressions
    inputs: tuple[tuple[sp.Symbol, ...], ...]
    columns: Mapping[str, sp.Expr]

    @property
    def order(self) -> int:
        """The highest order of a derivative in it."""
        fields = set().union(*(residual.atoms(SymbolicField) for residual in self.residual.residuals))
        return max((field.operator.order for field in fields), default=0)

    def condition(self, symbols: Symbols) -> Condition:
        """
        Raises:
            InputError: points or data that are NaN or infinite.
        """
        n = int(np.prod(self.term.shape, dtype=np.int64))
        sites = tuple(frozen(_site(symbols, inputs, n)) for inputs in self.inputs)
        columns = frozen({name: symbols.evaluated([own], n)[:, 0].copy() for name, own in self.columns.items()})
        regions = (None,) * len(sites)
        for what, values in (("points", np.concatenate(sites)), *((str(self.columns[c]), columns[c]) for c in columns)):
            if not np.isfinite(values).all():
                first = int(np.argmin(np.isfinite(values.reshape(len(values), -1)).all(1))) % n
                where = ", ".join(f"{x:.6g}" for x in sites[0][first])
                advice = "; weights of points are to be >= 0" if what.startswith("sqrt(") else ""
                raise InputError(
                    f"fused loss: term {self.term.name!r}: its {'points' if what == 'points' else 'data'} are NaN or "
                    f"infinite, first at row {first}, ({where}){advice}"
                )
        return Condition(
            self.term.name, sites, self.residual, columns, self.term.weight, BOUNDARY, regions, columns, True
        )


def planned(symbols: Symbols, term: SquareTerm, names: Mapping[sp.Symbol, sp.Symbol]) -> TermPlan:
    """``names``: of trained numbers, the symbols that the PDE has for them."""
    calls = term.calls or (0,)
    inputs = tuple(symbols.calls[number].inputs for number in calls)
    rule: dict[sp.Expr, sp.Expr] = dict(names)
    for site, own in enumerate(inputs):
        for symbol, coordinate in zip(own, coordinate_symbols(symbols.coords, site), strict=True):
            if term.calls:
                rule.setdefault(symbol, coordinate)
    columns: dict[sp.Expr, sp.Symbol] = {}
    residuals = [_with_columns(symbols, residual, rule.keys(), columns) for residual in term.residuals]
    axes = tuple(range(len(symbols.coords)))
    for field in set().union(*(residual.atoms(SymbolicField) for residual in residuals)):
        rule[field] = SymbolicField(field.field, field.operator, symbols.coords, axes, calls.index(field.site))
    renamed = tuple(replaced_outside(residual, rule) for residual in residuals)
    by_name = {f"data{i}": symbol for i, symbol in enumerate(columns.values())}
    return TermPlan(term, Expressions(renamed, by_name), inputs, dict(zip(by_name, columns, strict=True)))


def _with_columns(
    symbols: Symbols, expression: sp.Expr, coordinates: Collection[sp.Expr], columns: dict[sp.Expr, sp.Symbol]
) -> sp.Expr:
    """With a column in the place of what is computed from given numbers and is no function of the coordinates alone.

    ``columns``: takes what each is computed from.
    """

    def column(part: sp.Expr) -> sp.Expr:
        is_known = not any(symbols.is_given(s) and s not in coordinates for s in part.free_symbols)
        return part if is_known else columns.setdefault(part, column_symbol(len(columns)))

    def visit(part: sp.Expr) -> sp.Expr:
        if isinstance(part, SymbolicField):
            return part
        if not symbols.is_trained(part):
            return column(part)
        if not isinstance(part, (sp.Add, sp.Mul)):
            return part.func(*map(visit, part.args)) if part.args else part
        given = [arg for arg in part.args if not symbols.is_trained(arg)]
        rest = [visit(arg) for arg in part.args if arg not in given]
        return part.func(column(part.func(*given)), *rest)

    return visit(expression)


def problem_of(name: str, symbols: Symbols, plans: Sequence[TermPlan], unknown: Mapping[str, float]) -> Problem:
    """Nothing is checked that is a property of problems: the loss is as it was given."""
    conditions = [plan.condition(symbols) for plan in plans]
    residuals = plans[0].residual.residuals
    pde = PDE(symbols.coords, symbols.fields, _Constant(residuals), unknown=unknown, time=None)
    sites = np.concatenate([site for condition in conditions for site in condition.sites])
    low, high = sites.min(0), sites.max(0)
    flat = ~(high > low)
    low, high = np.where(flat, low - 0.5, low), np.where(flat, high + 0.5, high)
    order = max(plan.order for plan in plans)
    for i, plan in enumerate(plans):
        # Where the highest derivatives are asked for there is an equation, which the points stand for a region of.
        points = conditions[i].sites[0]
        if plan.order == order > 0 and ((points > low) & (points < high)).all(1).mean() > _MOST:
            conditions[i] = replace(conditions[i], kind=INSIDE)
    ends = zip(symbols.coords, low.tolist(), high.tolist(), strict=True)
    return Problem.unchecked(name, pde, Box(**{coord: (a, b) for coord, a, b in ends}), conditions)


def _site(symbols: Symbols, inputs: Sequence[sp.Symbol], n: int) -> Numbers:
    """(n, d), as many of them as the term has rows."""
    return np.stack([symbols.numbers(symbol)[:n] for symbol in inputs], 1)
