"""What a residual function returns, as plain SymPy expressions; what cannot be one is refused with advice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.logic.boolalg import BooleanAtom

from ..kernels.errors import InputError
from . import algorithms as algorithms  # guards SymPy
from .comparisons import CASES
from .complex_expressions import real_form
from .exact_numbers import with_exact_numbers
from .fields import NOT_CALLED, SymbolicField
from .names import equation_names
from .scope import Scope, carried_out, entered
from .steps import readable


def expressions_of(function: Callable[[], Any], scope: Scope) -> list[tuple[str, sp.Expr]]:
    """Call a residual function: one expression or equation, a list or SymPy matrix of them, or any of these by name.

    Equations mean left minus right side. Names are bound (`scope`), derivatives and sums taken.

    Returns:
        The name of its equation, "" where it has none, and each expression.

    Raises:
        InputError: anything that is no finite real expression of fields, coordinates and coefficients; names of
            equations that are none; any exception of the function.
    """
    try:
        return [(name, _plain(name, item, scope)) for name, item in list(_named_items(function()))]
    except InputError:
        raise
    except Exception as error:  # the function is the user's: it may raise anything
        reason = str(error).partition("\nSet the printer option")[0]  # which no user of this has
        raise InputError(
            f"the residual function failed on symbols ({type(error).__name__}: {reason}); {_advice(error)}"
        ) from error


def _named_items(returned: Any) -> Iterator[tuple[str, Any]]:
    """The single residuals, with the names of their equations."""
    if not isinstance(returned, Mapping):
        yield from (("", item) for item in _items(returned))
        return
    for name, part in zip(equation_names(returned), returned.values(), strict=True):
        yield from ((name, item) for item in _items(part))


def _plain(name: str, item: Any, scope: Scope) -> sp.Expr:
    """Errors begin with the equation's name."""
    try:
        return _evaluated(with_exact_numbers(scope.bound(_expression(item))), scope)
    except InputError as error:
        raise InputError(f"equation {name!r}: {error}" if name else str(error)) from error.__cause__


def _items(returned: Any) -> Iterator[Any]:
    """The single residuals."""
    if isinstance(returned, sp.Equality) and isinstance(returned.lhs, sp.MatrixBase):
        returned = returned.lhs - returned.rhs
    if isinstance(returned, (list, tuple, sp.Tuple, sp.MatrixBase, sp.NDimArray)):
        parts = list(returned if not isinstance(returned, sp.NDimArray) else sp.flatten(returned.tolist()))
        if not parts:
            raise InputError("the residual function returned nothing")
        for part in parts:
            yield from _items(part)
    else:
        yield returned


def _expression(item: Any) -> sp.Expr:
    if isinstance(item, np.ndarray):
        raise InputError(
            f"expected expressions of the fields, got a NumPy array of shape {item.shape}; return a list of residuals, "
            "and write what varies from point to point as a function of the coordinates"
        )
    if isinstance(item, sp.Equality):
        item = item.lhs - item.rhs
    if isinstance(item, (bool, np.bool_, BooleanAtom)):
        raise InputError(f"expected expressions of the fields, got {item}: a statement that always or never holds")
    try:
        expression = sp.sympify(item, strict=True)  # strict: a text is refused, not evaluated
    except (sp.SympifyError, TypeError, ValueError):
        expression = None
    if not isinstance(expression, sp.Expr):
        raise InputError(f"expected expressions of the fields, got {type(item).__name__}: {item!r}")
    return expression


def _evaluated(expression: sp.Expr, scope: Scope) -> sp.Expr:
    """With derivatives and sums over fields carried out, and cases of the coordinates written as factors."""
    if expression.has(sp.Integral):
        raise InputError(
            f"{_first(expression, sp.Integral)}: integrals that are not carried out have no value here; write doit(), "
            "and where SymPy finds no closed form, another function of the coordinates"
        )
    with entered(scope):  # derivatives from outside of the residual function, too
        expression = _without_vanishing(carried_out(expression))
        if expression.has(sp.Subs):  # the value of a derivative that was not carried out when it was written
            expression = expression.replace(sp.Subs, lambda *args: sp.Subs(*args).doit())
    if expression.has(sp.Sum, sp.Product):
        expression = expression.replace(_is_carried_out, lambda e: e.doit(deep=False))
    if expression.has(SymbolicField):
        expression = expression.replace(_has_cases, _as_factors)
    for own in expression.atoms(AppliedUndef):
        if not isinstance(own, SymbolicField):
            raise InputError(
                f"{own} is a function that is not known here; the fields are what the residual function's parameters "
                "are named after"
            )
    if expression.has(sp.Derivative):
        raise InputError(f"{_first(expression, sp.Derivative)} cannot be carried out")
    if expression.has(sp.DiracDelta):
        raise InputError(
            f"{_first(expression, sp.DiracDelta)}, the derivative of a jump, is not seen at points: write both sides "
            "of it as conditions, or smooth the jump over many points"
        )
    if expression.has(sp.nan, sp.oo, -sp.oo, sp.zoo, sp.I):
        real = real_form(expression)
        if real is None:
            advice = "; write sympy.re or sympy.im of what is complex" if expression.has(sp.I) else ""
            raise InputError(f"the residual {short(expression)} is not a finite real expression{advice}")
        return real
    return expression


def _without_vanishing(expression: sp.Expr) -> sp.Expr:
    """Without g^n delta^(k)(g), n > k, which is 0: SymPy keeps it in second derivatives of abs(g)**3."""
    for delta in expression.atoms(sp.DiracDelta):
        g, h = delta.args[0], sp.Dummy(real=True)
        terms = sp.Add.make_args(sp.expand(expression.xreplace({g: h, -g: -h})))
        left = (term for term in terms if not _vanishes(term, delta.xreplace({g: h}), h))
        expression = sp.Add(*left).xreplace({h: g})
    return expression


def _vanishes(term: sp.Expr, delta: sp.DiracDelta, h: sp.Symbol) -> bool:
    order = delta.args[1] if len(delta.args) > 1 else 0
    powers = (factor.as_base_exp() for factor in sp.Mul.make_args(term))
    power = sp.Add(*(power for base, power in powers if base in (h, abs(h), sp.Max(0, h), sp.Max(0, -h))))
    return bool(term.has(delta) and (power - order).is_positive)


def _first(expression: sp.Expr, kind: type) -> str:
    return min((short(e) for e in expression.atoms(kind)), key=len)


def short(expression: sp.Basic) -> str:
    """As text for messages, cut where it is long."""
    return readable(expression, 300)


def _is_carried_out(e: sp.Basic) -> bool:
    """Sums of sources are NumPy's affair, which has no products.

    Raises:
        InputError: limits that are numbers, but no integers.
    """
    if not isinstance(e, (sp.Sum, sp.Product)):
        return False
    for limit in (limit for _, *limits in e.limits for limit in limits):
        if limit.is_number and not limit.is_integer and not limit.is_infinite:
            raise InputError(f"{short(e)}: limits of sums and products are integers, got {readable(limit)}")
    return isinstance(e, sp.Product) or bool(e.has(SymbolicField))


def _has_cases(e: sp.Basic) -> bool:
    return isinstance(e, sp.Piecewise) and bool(e.has(SymbolicField))


def _as_factors(cases: sp.Piecewise) -> sp.Expr:
    """sum_i value_i [case i], the brackets being 1 or 0: sources, which are computed once."""
    if any(condition.has(SymbolicField) for _, condition in cases.args):
        raise InputError(
            f"{short(cases)}: cases of a field are no expression; use sympy.Max, sympy.Min or sympy.Heaviside"
        )
    conditions = [condition for _, condition in cases.args]
    return sp.Add(*(
        value * sp.Piecewise(*((int(k == i), condition) for k, condition in enumerate(conditions)))
        for i, (value, _) in enumerate(cases.args)
    ))  # fmt: skip


def _advice(error: Exception) -> str:
    text = str(error)
    if "for ^" in text:
        return "^ is no power in Python; write x**2"
    if "truth value" in text:
        return f"a field has no value yet that an if or a comparison could use; {CASES}"
    if isinstance(error, AttributeError) and "has no attribute" in text:
        return "only fields carry derivatives as attributes; write sympy.diff(expression, x) or psinn_fast.grad"
    if "not callable" in text:
        return NOT_CALLED
    if isinstance(error, RecursionError):
        return "the expression is nested too deeply"
    return "use SymPy's functions, e.g. sympy.sin, on fields and coordinates"
