"""From a Python function of symbolic fields to SymPy residuals and, through `emission`, to a `Program`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy as sp

from .emission import emit
from .kernels.channels import MAX_ORDER, Channel, ChannelSet, Laplacian, channel_order
from .kernels.errors import InputError
from .kernels.program import Coefficient, Column, Coordinate, Input, Jet, Program

LAPLACIAN = "lap"


def time_of(coords: Sequence[str], time: str | None = "auto") -> str | None:
    """The coordinate that is time. "auto": the one named t, if there is one.

    Raises:
        InputError: it is no coordinate.
    """
    if time == "auto" and "auto" not in coords:
        return "t" if "t" in coords else None
    if time is not None and time not in coords:
        raise InputError(f"time: expected one of the coordinates {list(coords)} or None, got {time!r}")
    return time


def parse_derivative(text: str, coords: Sequence[str], time: str | None = "auto") -> Channel | None:
    """``"xxy"`` -> (2, 1), ``""`` -> (0, 0), ``"lap"`` -> Laplacian over all coordinates but time, ``"lapx"`` over x.

    None if it is neither. Coordinate names may have several letters; where two readings exist, longer names win.
    """
    names = sorted(coords, key=len, reverse=True)
    steps = _split(text, names)
    if steps is not None:
        return tuple(steps.count(name) for name in coords)
    axes = _split(text[len(LAPLACIAN) :], names) if text.startswith(LAPLACIAN) else None
    if axes is None or len(set(axes)) < len(axes):
        return None
    axes = axes or [name for name in coords if name != time_of(coords, time)]
    return Laplacian(tuple(i for i, name in enumerate(coords) if name in axes)) if axes else None


def _split(text: str, names: Sequence[str]) -> list[str] | None:
    if not text:
        return []
    for name in names:
        if text.startswith(name):
            rest = _split(text[len(name) :], names)
            if rest is not None:
                return [name, *rest]
    return None


class SymbolicField(sp.Symbol):  # type: ignore[misc]  # SymPy ships no types
    """A field u as a SymPy symbol whose attributes are its derivatives: ``u.x``, ``u.xx``, ``u.xy``, ``u.lap``."""

    site: int
    channel: Channel
    field: str
    coords: tuple[str, ...]
    time: str | None

    def __new__(
        cls, field: str, channel: Channel, coords: tuple[str, ...], site: int = 0, time: str | None = "auto"
    ) -> SymbolicField:
        suffix = derivative_name(channel, coords, time)
        name = field + (f"_{suffix}" if suffix else "") + ("'" * site)
        # Not from SymPy's cache of symbols by name: u_x of (x, y) is not u_x of (t, x).
        symbol: SymbolicField = sp.Symbol.__xnew__(cls, name, real=True)
        symbol.field, symbol.channel, symbol.coords, symbol.site = field, channel, coords, site
        symbol.time = time_of(coords, time)
        return symbol

    def _hashable_content(self) -> tuple[Any, ...]:
        return (*super()._hashable_content(), self.field, str(self.channel), self.coords, self.site, str(self.time))

    def __getattr__(self, name: str) -> SymbolicField:
        if name.startswith("_") or name in ("field", "channel", "coords", "site", "time"):
            raise AttributeError(name)
        channel = parse_derivative(name, self.coords, self.time)
        if channel is None:
            raise UnknownDerivative(
                f"{self.field}.{name}: not a derivative; the coordinates are {', '.join(self.coords)} "
                f"(write {self.field}.{self.coords[0]}, {self.field}.{self.coords[0] * 2}, {self.field}.{LAPLACIAN})"
            )
        if not isinstance(channel, Laplacian) and sum(channel) > MAX_ORDER:
            raise UnknownDerivative(f"{self.field}.{name}: derivative orders go up to {MAX_ORDER}")
        return SymbolicField(self.field, channel, self.coords, self.site, self.time)


class UnknownDerivative(InputError, AttributeError):
    """Also an AttributeError, so that ``hasattr`` works on fields."""


def derivative_name(channel: Channel, coords: Sequence[str], time: str | None = "auto") -> str:
    """Inverse of `parse_derivative`."""
    if isinstance(channel, Laplacian):
        axes = [coords[i] for i in channel.axes]
        return LAPLACIAN + ("" if axes == [name for name in coords if name != time_of(coords, time)] else "".join(axes))
    return "".join(name * order for name, order in zip(coords, channel, strict=True))


@dataclass(frozen=True)
class Traced:
    """A program, and how to compute its columns from the coordinates in float64.

    ``columns(x)``: list of (N, d) arrays, one per site -> (N, n_computed). The columns given by the user (targets) come
    first in the program, the computed ones after them.
    """

    program: Program
    residuals: tuple[sp.Expr, ...]
    columns: Callable[[Sequence[npt.NDArray[np.float64]]], npt.NDArray[np.float64]]


def trace(
    function: Callable[[], Any],
    fields: Sequence[str],
    coords: Sequence[Sequence[sp.Symbol]],
    columns: Sequence[sp.Symbol],
    coefficients: Sequence[sp.Symbol],
    where: str,
    substitution: Mapping[sp.Symbol, sp.Expr] | None = None,
) -> Traced:
    """Lower what ``function()`` returns: one residual or a sequence of them, as SymPy expressions.

    Args:
        function: closes over the symbols it uses.
        fields: names of the network's outputs, in order.
        coords: symbols of the coordinates, per site.
        columns: symbols of the given columns.
        coefficients: symbols of the unknown coefficients.
        where: names the function in error messages.
        substitution: of unknown coefficients by functions of their symbols, in the program alone.
    """
    try:
        returned = function()
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except (TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f"{where}: the residual function failed on symbols ({error}); use SymPy's functions, e.g. sympy.sin"
        ) from error
    residuals = _as_expressions(returned, where)
    residuals = _collapse_laplacian(residuals, tuple(str(symbol) for symbol in coords[0]))
    known = {*columns, *coefficients, *(symbol for site in coords for symbol in site)}
    for r in residuals:
        strangers = {s for s in r.free_symbols if s not in known and not isinstance(s, SymbolicField)}
        if strangers:
            raise InputError(f"{where}: unknown symbols {sorted(map(str, strangers))} in the residual {r}")

    jets = sorted({s for r in residuals for s in r.free_symbols if isinstance(s, SymbolicField)}, key=str)
    try:
        channels = ChannelSet.closure(len(coords[0]), [jet.channel for jet in jets])
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    residuals, hoisted = _hoist(residuals, {symbol for site in coords for symbol in site}, len(columns))

    meaning: dict[sp.Symbol, Input] = {}
    for jet in jets:
        meaning[jet] = Jet(jet.site, list(fields).index(jet.field), channels.position(jet.channel))
    for site, symbols in enumerate(coords):
        meaning.update({symbol: Coordinate(site, axis) for axis, symbol in enumerate(symbols)})
    meaning.update({symbol: Column(i) for i, symbol in enumerate((*columns, *hoisted))})
    meaning.update({symbol: Coefficient(i) for i, symbol in enumerate(coefficients)})
    program = emit(
        [r.xreplace(substitution or {}) for r in residuals],
        meaning,
        channels,
        len(coords),
        len(columns) + len(hoisted),
        where,
    )
    return Traced(program, residuals, _column_function(list(hoisted.values()), coords))


def column_symbol(number: int) -> sp.Symbol:
    """The underscore keeps clear of the user's names, which have none."""
    return sp.Symbol(f"_column{number}", real=True)


def _as_expressions(returned: Any, where: str) -> tuple[sp.Expr, ...]:
    items = list(returned) if isinstance(returned, (list, tuple, sp.MatrixBase)) else [returned]
    if not items:
        raise InputError(f"{where}: the residual function returned nothing")
    expressions = []
    for item in items:
        try:
            expression = sp.sympify(item)
        except (sp.SympifyError, TypeError, ValueError):
            expression = None
        if not isinstance(expression, sp.Expr):
            raise InputError(f"{where}: expected expressions of the fields, got {type(item).__name__}: {item!r}")
        if expression.has(sp.nan, sp.oo, -sp.oo, sp.zoo, sp.I):
            raise InputError(f"{where}: the residual {expression} is not a finite real expression")
        expressions.append(expression)
    return tuple(expressions)


def _collapse_laplacian(residuals: tuple[sp.Expr, ...], coords: tuple[str, ...]) -> tuple[sp.Expr, ...]:
    """Where the pure second derivatives enter only through their sum, put that sum in as one channel.

    Only if it saves channels: nothing of order above 2 is asked for, and all fields that have second derivatives have
    them over the same two or more axes.
    """
    jets = {s for r in residuals for s in r.free_symbols if isinstance(s, SymbolicField)}
    plain = [jet for jet in jets if not isinstance(jet.channel, Laplacian)]
    if any(channel_order(jet.channel) > 2 for jet in plain):
        return residuals
    pure: dict[tuple[str, int], dict[int, SymbolicField]] = {}
    for jet in plain:
        if 2 in jet.channel:
            pure.setdefault((jet.field, jet.site), {})[jet.channel.index(2)] = jet
    all_axes = {tuple(sorted(found)) for found in pure.values()}
    if len(all_axes) != 1 or len(axes := all_axes.pop()) < 2:
        return residuals
    collapsed = list(residuals)
    for (field, site), found in pure.items():
        total = SymbolicField(field, Laplacian(axes), coords, site, next(iter(found.values())).time)
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
    if linear and all(sp.expand(slope - slopes[0]) == 0 for slope in slopes[1:]):
        return expression.subs(dict.fromkeys(parts, 0)) + slopes[0] * total
    return None


def _hoist(
    residuals: Sequence[sp.Expr], coords: set[sp.Symbol], n_given: int
) -> tuple[tuple[sp.Expr, ...], dict[sp.Symbol, sp.Expr]]:
    """Replace subexpressions that depend on the coordinates alone by columns, computed once per point set."""
    hoisted: dict[sp.Expr, sp.Symbol] = {}

    def column(expression: sp.Expr) -> sp.Symbol:
        return hoisted.setdefault(expression, column_symbol(n_given + len(hoisted)))

    def visit(expression: sp.Expr) -> sp.Expr:
        if not expression.args or not expression.free_symbols & coords:
            return expression
        if expression.free_symbols <= coords:
            return column(expression)
        if isinstance(expression, (sp.Add, sp.Mul)):
            own = [arg for arg in expression.args if arg.free_symbols and arg.free_symbols <= coords]
            if own:
                part = expression.func(*own)
                rest = [visit(arg) for arg in expression.args if arg not in own]
                return expression.func(part if part.is_Symbol else column(part), *rest)
        return expression.func(*map(visit, expression.args))

    replaced = tuple(visit(r) for r in residuals)
    return replaced, {symbol: expression for expression, symbol in hoisted.items()}


def _column_function(
    expressions: Sequence[sp.Expr], coords: Sequence[Sequence[sp.Symbol]]
) -> Callable[[Sequence[npt.NDArray[np.float64]]], npt.NDArray[np.float64]]:
    symbols = [symbol for site in coords for symbol in site]
    # SciPy's special functions too: a source term may use what a residual may not.
    functions = [sp.lambdify(symbols, expression, ["scipy", "numpy"]) for expression in expressions]

    def columns(x: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
        n = len(x[0])
        values = [coordinate for site in x for coordinate in site.T]
        result = np.empty((n, len(functions)))
        with np.errstate(all="ignore"):  # poles are found, and reported with the term's name, by the caller
            for i, function in enumerate(functions):
                result[:, i] = function(*values)
        return result

    return columns
