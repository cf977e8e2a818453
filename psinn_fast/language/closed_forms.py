"""From expressions of the coordinates, or a Python function that gives them, to a `ClosedForm`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy as sp

from ..kernels.errors import InputError, short
from ..kernels.language.closed_form import ClosedForm
from .emission import Emitter
from .exact_numbers import with_exact_numbers
from .fields import NOT_CALLED, coordinate_symbols
from .names import normal


def closed_form(
    expressions: Sequence[sp.Expr], coords: tuple[str, ...], what: str, unknown: Mapping[str, float] | None = None
) -> ClosedForm:
    """The code of expressions in the coordinates' symbols, a user's own of the same names among them.

    Args:
        expressions: one for each output.
        coords: names of the coordinates, in order.
        what: names the argument in error messages.
        unknown: numbers that are trained, by name, with the values they start from.

    Raises:
        InputError: other symbols than these, functions that have no code here, numbers that are not finite.
    """
    started = tuple((unknown or {}).items())
    names = (*coords, *(name for name, _ in started))
    symbols = coordinate_symbols(names)
    own = [_renamed(expression, names, what) for expression in expressions]
    emitter = Emitter(symbols)
    replacements, reduced = sp.cse(own, symbols=sp.numbered_symbols("_t"), order="none")
    emitter.define(replacements)
    try:
        outputs = tuple(emitter.register(expression) for expression in reduced)
    except (InputError, TypeError, ValueError) as error:
        raise InputError(f"{what}: {str(error).replace(' in a residual', '')}") from None
    return ClosedForm(len(coords), tuple(emitter.instructions), outputs, unknown=started)


def _renamed(given: object, coords: tuple[str, ...], what: str) -> sp.Expr:
    try:
        expression = sp.sympify(given, strict=not isinstance(given, (int, float)))
    except sp.SympifyError:
        raise InputError(f"{what}: expected expressions of {', '.join(coords)}, got {short(given)}") from None
    if not isinstance(expression, sp.Expr):
        raise InputError(f"{what}: expected expressions of {', '.join(coords)}, got {short(given)}")
    named = dict(zip(coords, coordinate_symbols(coords), strict=True))
    strangers = sorted({symbol.name for symbol in expression.free_symbols if normal(symbol.name) not in named})
    if strangers:
        raise InputError(f"{what}: {strangers[0]!r} is none of the coordinates {list(coords)}")
    expression = with_exact_numbers(expression)
    return expression.xreplace({symbol: named[normal(symbol.name)] for symbol in expression.free_symbols})


def called_with(function: Callable[..., Any], known: Mapping[str, sp.Symbol], what: str) -> Any:
    """What a function gives for the symbols that its parameters are named after; ``*x`` has all that it does not name.

    Raises:
        InputError: no function, parameters that are not known, a function that fails.
    """
    if not callable(function):
        raise InputError(f"{what}: expected a function of {', '.join(known)}, got {short(function)}")
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:
        raise InputError(f"{what}: {function!r} does not tell its parameters' names; wrap it in a lambda") from None
    is_open = any(own.kind is own.VAR_POSITIONAL for own in parameters.values())
    named = {name: own for name, own in parameters.items() if own.kind is not own.VAR_POSITIONAL}
    wanted = [name for name, own in named.items() if name in known or own.default is own.empty]
    if unknown := [name for name in wanted if normal(name) not in known]:
        raise InputError(f"{what}: its parameter {unknown[0]!r} is none of {list(known)}")
    try:
        if not is_open:
            return function(**{name: known[normal(name)] for name in wanted})
        first = [name for name in wanted if named[name].kind is not inspect.Parameter.KEYWORD_ONLY]
        others = [known[name] for name in known if name not in map(normal, wanted)]
        later = {name: known[normal(name)] for name in wanted if name not in first}
        return function(*(known[normal(name)] for name in first), *others, **later)
    except Exception as error:  # the function is the user's: it may raise anything
        is_foreign = any(name in str(error) for name in ("Symbol", "ufunc", "must be Tensor", "Cannot convert", "_sin"))
        advice = "; write it with SymPy's functions, such as sympy.sin" if is_foreign else ""
        if is_foreign and isinstance(error, AttributeError):
            advice += ", and without derivatives: u.x belongs to equations"
        if "not callable" in str(error):
            advice = f"; {NOT_CALLED}"
        raise InputError(
            f"{what}: the function failed on SymPy symbols ({type(error).__name__}: {error}){advice}"
        ) from error
