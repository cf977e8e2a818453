"""From a Python function of symbolic fields to SymPy residuals and, through `emission`, to a `Program`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sympy as sp

from ..kernels.errors import InputError
from ..kernels.language.channels import Channel, ChannelSet, Laplacian
from ..kernels.language.program import Coefficient, Column, Coordinate, Input, Jet, Program
from .cartesian import shorthands
from .columns import Columns
from .emission import emit
from .exponentials import whole
from .expressions import expressions_of, short
from .fields import SymbolicField, coordinate_symbols
from .jets import SymbolicJet, jets_of, with_jets
from .scope import Scope, recorded
from .steps import in_steps, readable

_NAMELESS = "the PDE's have no names; let its residual function return {name: expression}"
# Calls of Python while an expression of some hundred levels is differentiated and shortened.
_DEPTH = 5_000


@dataclass(frozen=True)
class Traced:
    """A program, and how to compute its columns from the coordinates in float64.

    ``residuals``: what the program computes, as expressions of jets, coordinates, columns and unknown coefficients; of
    fields instead of jets where they are too large to be rewritten.
    ``symbols``: the user's own that stood for coordinates or coefficients.
    ``derivatives``: what the residual function differentiates, and by which symbols.
    ``equations``: of each residual, the name of its equation; () where they have none.
    ``shorthands``: those for Cartesian coordinates that the residual function uses (`cartesian`).
    ``columns``: the columns given by the user (targets) come first in the program, these after them.
    """

    program: Program
    residuals: tuple[sp.Expr, ...]
    columns: Columns
    symbols: tuple[sp.Symbol, ...]
    derivatives: tuple[tuple[sp.Expr, tuple[sp.Symbol, ...]], ...]
    equations: tuple[str, ...]
    shorthands: tuple[str, ...]

    def texts(self, meaning: Mapping[sp.Symbol, sp.Expr] | None = None) -> list[str]:
        """The residuals as text, large ones in outline; ``meaning``: what to show for a symbol."""
        return [readable(r.xreplace(meaning) if meaning else r) for r in self.residuals]


@dataclass(frozen=True)
class Called:
    """What a residual function gave when it was called, expressions of fields; the rest as in `Traced`."""

    expressions: tuple[sp.Expr, ...]
    symbols: tuple[sp.Symbol, ...]
    derivatives: tuple[tuple[sp.Expr, tuple[sp.Symbol, ...]], ...]
    equations: tuple[str, ...]
    shorthands: tuple[str, ...]

    def only(self, names: Sequence[str], where: str) -> Called:
        """The equations of these names, in the function's order, and the derivatives that may be in them.

        Raises:
            InputError: names of none of them, all of which it says.
        """
        if unknown := [name for name in names if name not in self.equations]:
            there = f"the PDE's are {list(dict.fromkeys(self.equations))}" if self.equations else _NAMELESS
            raise InputError(f"{where}: equations: {there}, got {', '.join(map(repr, unknown))}")
        pairs = [(r, own) for r, own in zip(self.expressions, self.equations, strict=True) if own in names]
        expressions, equations = zip(*pairs, strict=True)
        fields = _fields_in(*expressions)
        derivatives = (
            (differentiated, variables)
            for differentiated, variables in self.derivatives
            if (own := _fields_in(differentiated)) & fields or not own
        )
        return Called(expressions, self.symbols, tuple(derivatives), equations, self.shorthands)


def _fields_in(*expressions: sp.Expr) -> set[str]:
    return {field.field for r in expressions for field in r.atoms(SymbolicField)}


def called(function: Callable[[], Any], scope: Scope, where: str) -> Called:
    """Call a residual function, which returns one residual, a sequence of them, or either by name of its equation.

    Args:
        function: closes over the symbols it uses.
        scope: the coordinates, and what a user's own symbols mean.
        where: names the function in error messages.

    Raises:
        InputError: the function fails, or returns what is no residual.
    """
    with _named(where), deeper, recorded() as record, shorthands() as used:
        equations, expressions = zip(*expressions_of(function, scope), strict=True)
        symbols = tuple(sorted(record.symbols, key=str))
        named = equations if any(equations) else ()
        return Called(expressions, symbols, tuple(record.derivatives), named, tuple(used))


def lowered(
    given: Called,
    fields: Sequence[str],
    scope: Scope,
    n_sites: int,
    columns: Sequence[sp.Symbol],
    coefficients: Sequence[sp.Symbol],
    where: str,
    substitution: Mapping[sp.Symbol, sp.Expr] | None = None,
) -> Traced:
    """The program of residuals.

    Args:
        given: by the residual function.
        fields: names of the network's outputs, in order.
        scope: as for `called`.
        n_sites: points per residual.
        columns: symbols of the given columns.
        coefficients: symbols of the unknown coefficients.
        where: names the function in error messages.
        substitution: of unknown coefficients by functions of their symbols, in the program alone.

    Raises:
        InputError: no program can compute them.
    """
    with _named(where), deeper:
        return _lowered(given, fields, scope, n_sites, columns, coefficients, where, substitution or {})


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Errors begin with the function's name."""
    try:
        yield
    except InputError as error:
        text = " ".join(str(error).split())  # SymPy's own messages have several lines
        raise InputError(text if text.startswith(where) else f"{where}: {text}") from error.__cause__
    except RecursionError as error:
        raise InputError(f"{where}: the residual is nested too deeply") from error


def _lowered(
    given: Called,
    fields: Sequence[str],
    scope: Scope,
    n_sites: int,
    columns: Sequence[sp.Symbol],
    coefficients: Sequence[sp.Symbol],
    where: str,
    substitution: Mapping[sp.Symbol, sp.Expr],
) -> Traced:
    coords = [coordinate_symbols(scope.coords, site) for site in range(n_sites)]
    places = [symbol for site in coords for symbol in site]
    expressions = tuple(map(whole, given.expressions))
    steps, residuals = in_steps(expressions, places)
    parts = with_jets((*(definition for _, definition in steps), *residuals))
    _refuse_strangers(expressions, {*columns, *coefficients, *places}, scope)
    jets = jets_of(parts)
    for jet in jets:
        _refuse_parameters(jet.channel, scope)
    channels = ChannelSet.closure(len(scope.coords), [jet.channel for jet in jets])
    lowered, hoisted = _hoist(parts, set(places), len(columns))
    lowered = tuple(part.xreplace(substitution) for part in lowered)
    steps = [(symbol, part) for (symbol, _), part in zip(steps, lowered, strict=False)]
    traced = parts if not steps else expressions
    for r in traced:
        if not r.has(SymbolicJet, SymbolicField, *coefficients):
            raise InputError(f"the residual {short(r)} holds no field and no unknown coefficient: nothing changes it")

    meaning: dict[sp.Symbol, Input] = {
        jet: Jet(jet.site, list(fields).index(jet.field), channels.position(jet.channel)) for jet in jets
    }
    for site, symbols in enumerate(coords):
        meaning.update({symbol: Coordinate(site, axis) for axis, symbol in enumerate(symbols)})
    meaning.update({symbol: Column(i) for i, symbol in enumerate((*columns, *hoisted))})
    meaning.update({symbol: Coefficient(i) for i, symbol in enumerate(coefficients)})
    program = emit(steps, lowered[len(steps) :], meaning, channels, n_sites, len(columns) + len(hoisted))
    sources = Columns(tuple(hoisted.values()), places, where)
    return Traced(program, traced, sources, given.symbols, given.derivatives, given.equations, given.shorthands)


def _refuse_parameters(channel: Channel, scope: Scope) -> None:
    along = channel.axes if isinstance(channel, Laplacian) else [i for i, order in enumerate(channel) if order]
    for axis in scope.parameters:
        if axis in along:
            name = scope.coords[axis]
            raise InputError(
                f"there is no derivative along {name!r}, which is a parameter; leave it out of the PDE's parameters to "
                "differentiate along it"
            )


def _refuse_strangers(expressions: Sequence[sp.Expr], known: set[sp.Symbol], scope: Scope) -> None:
    for r in expressions:
        strangers = sorted(str(s) for s in r.free_symbols - known)
        if strangers:
            raise InputError(
                f"unknown symbols {strangers} in the residual {short(r)}; there are the coordinates "
                f"{list(scope.coords)}, coefficients {sorted(scope.named.keys() - set(scope.coords))}, and the fields "
                "that the residual function has as parameters"
            )


def source_of(residual: sp.Expr) -> sp.Expr:
    """The terms of a residual that depend on the coordinates alone."""
    terms = sp.Add.make_args(residual)
    return sp.Add(*(term for term in terms if not term.has(SymbolicJet, SymbolicField)))


class _Deeper:
    """SymPy calls itself several times for every level of an expression: more than Python's limit of 1,000 allows.

    The limit is that of all threads, so the last one that leaves sets it back.
    """

    def __init__(self) -> None:
        self._lock, self._inside, self._limit = threading.Lock(), 0, 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._limit = sys.getrecursionlimit()
                sys.setrecursionlimit(max(self._limit, _DEPTH))
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                sys.setrecursionlimit(self._limit)


deeper = _Deeper()


def column_symbol(number: int) -> sp.Symbol:
    """The underscore keeps clear of the user's names, which have none."""
    return sp.Symbol(f"_column{number}", real=True)


def _hoist(
    residuals: Sequence[sp.Expr], coords: set[sp.Symbol], n_given: int
) -> tuple[tuple[sp.Expr, ...], dict[sp.Symbol, sp.Expr]]:
    """Replace subexpressions that depend on the coordinates alone by columns, computed once per point set."""
    hoisted: dict[sp.Expr, sp.Symbol] = {}

    def column(expression: sp.Expr) -> sp.Symbol:
        return hoisted.setdefault(expression, column_symbol(n_given + len(hoisted)))

    def is_source(expression: sp.Expr) -> bool:
        return bool(expression.free_symbols) and expression.free_symbols <= coords

    def visit(expression: sp.Expr) -> sp.Expr:
        if not expression.args or not expression.free_symbols & coords:
            return expression
        if is_source(expression):
            return column(expression)
        if isinstance(expression, (sp.Add, sp.Mul)):
            own = dict.fromkeys(filter(is_source, expression.args))
            if own:
                part = expression.func(*own)
                rest = [visit(arg) for arg in expression.args if arg not in own]
                return expression.func(part if part.is_Symbol else column(part), *rest)
        return expression.func(*map(visit, expression.args))

    replaced = tuple(visit(r) for r in residuals)
    return replaced, {symbol: expression for expression, symbol in hoisted.items()}
