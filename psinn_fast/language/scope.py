"""What names mean while a residual function runs: a user's own ``sympy.symbols("x")`` is the coordinate x.

The fields depend on the very symbols that the user's code holds (`Scope.own`), so that SymPy's algorithms, which know
symbols by name and assumptions, find one symbol for a coordinate. What the function returns is bound to real symbols of
the library's own. `sympy.Derivative` binds on the way, and hands back in the user's symbols, while a residual function
runs, and only then: of a real x, abs(x) has a derivative.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from types import FrameType
from typing import Any

import sympy as sp
import torch
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.sympify import converter

from ..kernels.errors import InputError
from .fields import SymbolicField
from .jumps import refuse_jumps
from .names import normal
from .steps import readable

_OWN = __name__.partition(".")[0]
_xreplace = sp.Basic.xreplace


@dataclass(frozen=True)
class Scope:
    """Names in a residual function.

    Args:
        coords: of the coordinates, in order.
        spatial: the axes that are neither time nor parameters.
        named: what a symbol of that name stands for: coordinates, unknown coefficients, numbers of known ones.
        own: the symbols of coordinates and unknown coefficients in the function's code; others: those of ``named``.
        parameters: axes along which there are no derivatives.
    """

    coords: tuple[str, ...]
    spatial: tuple[int, ...]
    named: Mapping[str, sp.Expr]
    own: Mapping[str, sp.Symbol] = field(default_factory=dict)
    parameters: tuple[int, ...] = ()

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        """Of the coordinates, which the fields depend on."""
        return tuple(self.own.get(name, self.named[name]) for name in self.coords)

    def bound(self, expression: Any) -> Any:
        """``expression`` with symbols replaced by what has their name; anything else than an expression as it is."""
        if not isinstance(expression, (sp.Basic, sp.MatrixBase)):
            return expression
        replaced = {s: own for name, s in self._named_in(expression) if (own := self.named[name]) != s}
        if replaced and (record := _record.get()) is not None:
            record.symbols.update(replaced)
        return _replaced(expression, replaced)

    def unified(self, *items: Any) -> tuple[Any, ...]:
        """Expressions, or tuples, lists and mappings of them, with one symbol for each name.

        The last one's; that of the fields where there are any.
        """
        chosen = self._chosen(items)
        replaced = {s: symbol for symbol, kinds in chosen.items() for s in kinds if s != symbol}
        return tuple(_replaced(item, replaced) for item in items) if replaced else items

    def _chosen(self, items: Sequence[Any]) -> dict[sp.Symbol, list[sp.Symbol]]:
        """The one symbol for each name, and all that are there."""
        kinds: dict[str, list[sp.Symbol]] = {}
        for item in items:
            for name, symbol in self._named_in(item):
                kinds.setdefault(name, []).append(symbol)
        own = {}
        if any(len(set(found)) > 1 for found in kinds.values()) and any(map(_has_field, items)):
            own = dict(zip(self.coords, self.symbols, strict=True))
        return {own.get(name, found[-1]): found for name, found in kinds.items()}

    def as_real(self, *items: Any) -> tuple[dict[sp.Symbol, sp.Symbol], dict[sp.Symbol, sp.Symbol]]:
        """One real symbol for each name, by what it takes the place of, and the way back to the one in `unified`.

        Nothing where that does not matter for derivatives of the first item.
        """
        chosen = self._chosen(items)
        by_symbol = {s: _real(normal(s.name)) for kinds in chosen.values() for s in kinds}
        real = {s: new for s, new in by_symbol.items() if s != new}
        is_one_each = all(len(set(kinds)) == 1 for kinds in chosen.values())
        if not real or (is_one_each and _is_differentiated_alike(items[0])):
            return {}, {}
        return real, {real[symbol]: symbol for symbol in chosen if symbol in real}

    def _named_in(self, item: Any) -> Iterator[tuple[str, sp.Symbol]]:
        """Symbols of names that mean something here."""
        if isinstance(item, (sp.Basic, sp.MatrixBase)):
            for symbol in item.free_symbols:
                if isinstance(symbol, sp.Symbol) and not isinstance(symbol, (sp.Dummy, sp.Wild)):
                    name = normal(symbol.name)
                    if name in self.named:
                        yield name, symbol
        else:
            for part in _parts(item):
                yield from self._named_in(part)


@lru_cache(maxsize=256)
def _real(name: str) -> sp.Symbol:
    return sp.Symbol(name, real=True)


def _parts(item: Any) -> Sequence[Any]:
    if isinstance(item, Mapping):
        return [*item.keys(), *item.values()]
    return item if isinstance(item, (tuple, list)) else ()


def _has_field(item: Any) -> bool:
    if isinstance(item, (sp.Basic, sp.MatrixBase)):
        return bool(item.has(SymbolicField))
    return any(map(_has_field, _parts(item)))


def _replaced(item: Any, replaced: Mapping[sp.Symbol, sp.Expr]) -> Any:
    if not replaced:
        return item
    if isinstance(item, Mapping):
        return {_replaced(key, replaced): _replaced(value, replaced) for key, value in item.items()}
    if isinstance(item, (tuple, list)):
        return type(item)(_replaced(part, replaced) for part in item)
    if not isinstance(item, (sp.Basic, sp.MatrixBase)):
        return item
    # A summation index is no coordinate, whatever it is called; subs knows that, but takes its time.
    if item.has(ExprWithLimits):
        return item.subs(replaced)
    return _xreplace(item, replaced) if isinstance(item, sp.Basic) else item.xreplace(replaced)


_scope: ContextVar[Scope | None] = ContextVar("scope", default=None)


@dataclass(frozen=True)
class Record:
    """What a residual function does beside what it returns.

    Args:
        symbols: the user's own that are replaced by what has their name.
        derivatives: what is differentiated, and by which symbols, one after the other.
    """

    symbols: set[sp.Symbol] = field(default_factory=set)
    derivatives: dict[tuple[sp.Expr, tuple[sp.Symbol, ...]], None] = field(default_factory=dict)


_record: ContextVar[Record | None] = ContextVar("record", default=None)


@contextmanager
def recorded() -> Iterator[Record]:
    found = Record()
    token = _record.set(found)
    try:
        yield found
    finally:
        _record.reset(token)


def current_scope() -> Scope | None:
    return _scope.get()


@contextmanager
def entered(scope: Scope | None) -> Iterator[None]:
    token = _scope.set(scope)
    try:
        yield
    finally:
        _scope.reset(token)


def asked_by_user(frame: FrameType) -> bool:
    """Whether a frame is of the user's code, which is neither SymPy's nor this package's."""
    return package(frame) not in ("sympy", _OWN)


def package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]


_derivative = sp.Derivative.__new__
_ALIKE = (sp.Atom, sp.Add, sp.Mul, SymbolicField, sp.sin, sp.cos, sp.exp, sp.tanh)


def _bound_derivative(cls: type, expression: Any, *variables: Any, **options: Any) -> Any:
    scope = _scope.get()
    if scope is None:
        return _derivative(cls, expression, *variables, **options)
    expression, by = sp.sympify(expression), tuple(_variable(v, scope) for v in variables)
    real, back = scope.as_real(expression, *by)
    expression, by = _replaced(expression, real), _replaced(by, real)
    _refuse_numbers(by, scope)
    if expression.has(SymbolicField):
        _refuse_other_coordinates(expression, by, scope)
    with entered(None):  # what SymPy differentiates on the way is bound already
        made = _derivative(cls, expression, *by, **options)
        record, variables = _record.get(), _one_by_one(_derivative(cls, expression, *by))
        if record is not None:
            record.symbols.update(real)
        if variables and (record is not None or expression.has(sp.Piecewise)):
            expression, variables = scope.bound(expression), tuple(map(scope.bound, variables))
        if variables and record is not None:
            record.derivatives[carried_out(expression), variables] = None
        if expression.has(sp.Piecewise):
            for variable in variables:
                refuse_jumps(expression, variable)
                expression = expression.diff(variable)
        return _replaced(made, back)


def _is_differentiated_alike(expression: sp.Basic) -> bool:
    """Whether its derivative is the same for real and for complex symbols, as far as SymPy knows."""
    return all(
        isinstance(node, _ALIKE) or (isinstance(node, sp.Pow) and node.exp.is_Integer)
        for node in sp.preorder_traversal(expression)
    )


def carried_out(expression: sp.Expr) -> sp.Expr:
    """With its derivatives taken, those that are written sympy.Derivative, too."""
    if not expression.has(sp.Derivative):
        return expression
    return expression.replace(sp.Derivative, lambda *args: sp.Derivative(*args, evaluate=True).doit())


def _one_by_one(derivative: sp.Basic) -> tuple[sp.Symbol, ...]:
    """By what is differentiated, as SymPy reads it before it carries anything out."""
    counted = derivative.variable_count if isinstance(derivative, sp.Derivative) else ()
    return tuple(variable for variable, count in counted if count.is_Integer for _ in range(int(count)))


def _variable(given: Any, scope: Scope) -> Any:
    if isinstance(given, (tuple, list, sp.Tuple)):
        return tuple(_variable(part, scope) for part in given)
    if not isinstance(given, str):
        return given
    # Not sympify: S, E and N are coordinates here.
    symbols = dict(zip(scope.coords, scope.symbols, strict=True))
    return symbols.get(normal(given), sp.Symbol(given))


def _first(variable: Any) -> Any:
    return variable[0] if isinstance(variable, tuple) and variable else variable


def _refuse_numbers(variables: Sequence[Any], scope: Scope) -> None:
    """Known coefficients, as numbers or as symbols; numbers after a symbol are orders."""
    for i, by in enumerate(map(_first, variables)):
        is_order = i > 0 and not isinstance(variables[i], tuple) and sp.sympify(by).is_Integer
        is_number = not is_order and isinstance(by, (int, float, sp.Number))
        if is_number or (isinstance(by, sp.Symbol) and isinstance(scope.named.get(normal(by.name)), sp.Number)):
            what = readable(by) if isinstance(by, sp.Expr) else by
            raise InputError(
                f"derivative by {what}: known coefficients are numbers, which nothing is differentiated by; do that "
                "outside of the residual function, by a symbol of another name, or declare the coefficient as unknown"
            )


def _refuse_other_coordinates(expression: sp.Basic, variables: Sequence[Any], scope: Scope) -> None:
    """SymPy takes the derivative by anything else for zero."""
    known = expression.free_symbols.union(*(meaning.free_symbols for meaning in scope.named.values()))
    for by in map(_first, variables):
        for one in sp.flatten(by) if isinstance(by, (tuple, sp.MatrixBase)) else [by]:
            if isinstance(one, sp.Basic) and not isinstance(one, sp.Dummy) and not one.free_symbols <= known:
                raise InputError(f"derivative by {one}: the coordinates are {', '.join(scope.coords)}")


def _tensor(given: torch.Tensor) -> sp.Float:
    # One that requires grad would be lost in any expression, wherever that is made.
    if _scope.get() is not None or given.requires_grad:
        raise InputError(
            "a residual holds no torch tensors: it would keep their present values; write float(tensor) for a number, "
            "and declare what is to be found as PDE(..., unknown={...})"
        )
    return sp.Float(float(given))


sp.Derivative.__new__ = staticmethod(_bound_derivative)
converter[torch.Tensor] = _tensor  # SymPy's list of what others tell it to understand
