"""SymPy's algorithms in residual functions: none takes a field for a constant, and a coordinate is one symbol for them.

An integral, a limit, a series or a transform along a coordinate needs the field at other places than the point, which a
residual does not have. Where SymPy does not ask what a field depends on, it would give x u for the integral of u. So
they are refused where they begin, by what they make (`sympy.integrate` makes a `sympy.Integral`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import wraps
from types import FrameType
from typing import Any

import sympy as sp
from sympy.integrals.transforms import IntegralTransform

from ..kernels.errors import InputError
from .fields import SymbolicField
from .names import normal
from .scope import asked_by_user, current_scope, entered
from .steps import readable

_NOT_HERE = (
    "a residual knows fields at its own points alone; write the equation with derivatives, or what you look for as a "
    "field of its own"
)
_FIELD = "give the integral a field of its own, whose derivative is the integrand, and a condition at one end"
_INDEX = "the index is a coordinate, take another symbol"
_PYTHON = "write a Python function that has the field as a parameter"
# What they make: name in messages, and what to write instead.
_MADE: dict[type, tuple[str, str]] = {
    sp.Integral: ("integrals", _FIELD),
    IntegralTransform: ("integral transforms", _NOT_HERE),
    sp.Limit: ("limits", _NOT_HERE),
    sp.Order: ("orders of magnitude", _NOT_HERE),
    sp.Sum: ("sums", _INDEX),
    sp.Product: ("products", _INDEX),
    sp.Lambda: ("functions by sympy.Lambda", _PYTHON),
}
_AS_EXPR = "write as_expr() before"
# Of fields along any variable: a user means the field at other places.
_ALWAYS = (sp.Integral, IntegralTransform)
_SERIES = ("series", "nseries", "lseries", "aseries", "as_leading_term", "leadterm")
_BY_SYMBOLS = {sp.Basic: ("subs", "xreplace", "replace"), sp.MatrixBase: ("subs", "xreplace", "replace")}


def _refuse_fields(kind: tuple[str, str], expression: Any, variables: Any = None) -> None:
    """Where fields depend on one of the variables; without variables, always."""
    what, advice = kind
    names = None if variables is None else {normal(symbol.name) for symbol in _symbols(variables)}
    for part in sp.flatten([expression]):
        fields = part.atoms(SymbolicField) if isinstance(part, sp.Basic) else ()
        if any(names is None or names.intersection(field.coords) for field in fields):
            raise InputError(f"{what} of fields are not supported, here of {readable(part, 100)}: {advice}")


def _symbols(variables: Any) -> Iterator[sp.Symbol]:
    """By which it is done: of x, (x, 0, 1), and sequences of them."""
    for variable in variables:
        first = variable[0] if isinstance(variable, (tuple, list, sp.Tuple)) and len(variable) else variable
        if isinstance(first, (tuple, sp.Tuple)):
            yield from _symbols(first)
        elif isinstance(first, sp.Basic) and not isinstance(first, SymbolicField):  # which is a variable of its own
            yield from (
                symbol for symbol in first.free_symbols if isinstance(symbol, sp.Symbol) and not symbol.is_Dummy
            )


def _guard_what_is_made(kind: type) -> None:
    make: Callable[..., Any] = kind.__new__

    @wraps(make)
    def guarded(cls: type, *args: Any, **options: Any) -> Any:
        scope = current_scope()
        if scope is None or not args:
            return make(cls, *args, **options)
        if issubclass(cls, sp.Lambda):
            *signature, expression = args
            _refuse_fields(_MADE[kind], expression, sp.flatten(signature))
            expression, *signature = scope.unified(expression, *signature)
            return make(cls, *signature, expression, **options)
        # A limit's other arguments are no variables.
        by = args[1:2] if issubclass(cls, sp.Limit) else args[1:]
        _refuse_fields(_MADE[kind], args[0], None if kind in _ALWAYS else by)
        return make(cls, *scope.unified(*args), **options)

    kind.__new__ = staticmethod(guarded)  # type: ignore[method-assign,assignment]  # it is replaced


def _guard_series(name: str) -> None:
    expand: Callable[..., Any] = getattr(sp.Expr, name)

    @wraps(expand)
    def guarded(self: sp.Expr, *args: Any, **options: Any) -> Any:
        scope = current_scope()
        if scope is None or not _series_by_user(sys._getframe(1)):
            return expand(self, *args, **options)
        variable = args[0] if args else options.get("x")
        _refuse_fields(("series", _NOT_HERE), self, self.free_symbols if variable is None else [variable])
        own, *rest = scope.unified(self, *args)
        return getattr(own, name)(*rest, **options)

    setattr(sp.Expr, name, guarded)


def _series_by_user(frame: FrameType) -> bool:
    """`sympy.series` passes on what it is asked."""
    return asked_by_user(frame) or frame.f_globals.get("__name__") == "sympy.series.series"


def _guard_symbols(kind: type, name: str) -> None:
    method: Callable[..., Any] = getattr(kind, name)

    @wraps(method)
    def guarded(self: Any, *args: Any, **options: Any) -> Any:
        scope = current_scope()
        if scope is not None and asked_by_user(sys._getframe(1)):
            self, args = (unified := scope.unified(self, *args))[0], unified[1:]
        return method(self, *args, **options)

    setattr(kind, name, guarded)


def _guard_polynomials(name: str) -> None:
    """With a field as a generator, SymPy would take it for another variable."""
    method: Callable[..., Any] = getattr(sp.Poly, name)

    @wraps(method)
    def guarded(self: sp.Poly, *args: Any, **options: Any) -> Any:
        if current_scope() is not None and asked_by_user(sys._getframe(1)):
            _refuse_fields((f"{name} of polynomials", _AS_EXPR), self.as_expr(), args or self.gens)
        return method(self, *args, **options)

    setattr(sp.Poly, name, guarded)


def _guard_evaluation(kind: type) -> None:
    """Of sources: it asks nothing of the scope, but differentiates many times what the user does not."""
    doit: Callable[..., Any] = getattr(kind, "doit")  # noqa: B009  # of types

    @wraps(doit)
    def guarded(self: sp.Basic, **hints: Any) -> Any:
        if current_scope() is None or self.has(SymbolicField):
            return doit(self, **hints)
        with entered(None):
            return doit(self, **hints)

    setattr(kind, "doit", guarded)  # noqa: B010  # likewise


for _kind in _MADE:
    _guard_what_is_made(_kind)
for _name in _SERIES:
    _guard_series(_name)
for _kind, _names in _BY_SYMBOLS.items():
    for _name in _names:
        _guard_symbols(_kind, _name)
_guard_symbols(sp.Expr, "coeff")
for _name in ("diff", "integrate"):
    _guard_polynomials(_name)
for _kind in (sp.Integral, sp.Limit, sp.Sum, sp.Product):
    _guard_evaluation(_kind)
