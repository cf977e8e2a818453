"""What names mean while a residual function runs: a user's own ``sympy.symbols("x")`` is the coordinate x.

A result can be bound after the function has returned, but not a derivative: SymPy takes the derivative by a symbol that
an expression does not hold for zero, and u(x) does not hold the user's own x, if it was made with other assumptions. So
`sympy.Derivative` binds expression and variables before it looks, while a residual function runs, and only then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
import torch
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.sympify import converter

from .fields import SymbolicField
from .jumps import refuse_jumps
from .kernels.errors import InputError
from .names import normal


@dataclass(frozen=True)
class Scope:
    """Names in a residual function.

    Args:
        coords: of the coordinates, in order.
        spatial: the axes that are not time.
        named: what a symbol of that name stands for: coordinates, unknown coefficients, numbers of known ones.
    """

    coords: tuple[str, ...]
    spatial: tuple[int, ...]
    named: Mapping[str, sp.Expr]

    def bound(self, expression: Any) -> Any:
        """``expression`` with symbols replaced by what has their name; anything else than an expression as it is."""
        if not isinstance(expression, (sp.Basic, sp.MatrixBase)):
            return expression
        replaced = {
            symbol: own
            for symbol in expression.free_symbols
            if isinstance(symbol, sp.Symbol)
            and not isinstance(symbol, (sp.Dummy, sp.Wild))
            and (own := self.named.get(normal(symbol.name), symbol)) != symbol
        }
        if not replaced:
            return expression
        if (record := _record.get()) is not None:
            record.symbols.update(replaced)
        # A summation index is no coordinate, whatever it is called; subs knows that, but takes its time.
        return expression.subs(replaced) if expression.has(ExprWithLimits) else expression.xreplace(replaced)


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


_derivative = sp.Derivative.__new__


def _bound_derivative(cls: type, expression: Any, *variables: Any, **options: Any) -> Any:
    scope = _scope.get()
    if scope is None:
        return _derivative(cls, expression, *variables, **options)
    expression = scope.bound(sp.sympify(expression))
    bound = [_variable(v, scope) for v in variables]
    if expression.has(SymbolicField):
        _refuse_other_coordinates(expression, bound, scope)
    with entered(None):  # what SymPy differentiates on the way is bound already
        made = _derivative(cls, expression, *bound, **options)
        variables = _one_by_one(_derivative(cls, expression, *bound))
        if variables and (record := _record.get()) is not None:
            record.derivatives[carried_out(expression), variables] = None
        if expression.has(sp.Piecewise):
            for variable in variables:
                refuse_jumps(expression, variable)
                expression = expression.diff(variable)
        return made


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
    # Not sympify: S, E and N are coordinates here.
    return scope.bound(sp.Symbol(given) if isinstance(given, str) else given)


def _refuse_other_coordinates(expression: sp.Basic, variables: Sequence[Any], scope: Scope) -> None:
    """SymPy takes the derivative by anything else for zero."""
    known = expression.free_symbols.union(*(meaning.free_symbols for meaning in scope.named.values()))
    for variable in variables:
        by = variable[0] if isinstance(variable, tuple) and variable else variable
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
