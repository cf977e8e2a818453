"""What Python would ask of expressions that have no value yet: ``if u``, ``u.xx and u.y``, ``u == 0`` are refused.

SymPy's answers are about how an expression is written: it is always true, and u is not 0. Its own algorithms live on
these answers, so they are refused to others alone, and only while a residual function runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dis import opmap
from functools import lru_cache
from types import CodeType, FrameType

import sympy as sp

from ..kernels.errors import InputError, short
from .fields import SymbolicField
from .scope import asked_by_user, current_scope, package
from .steps import readable

CASES = "write sympy.Max, sympy.Min, sympy.Heaviside, or sympy.Piecewise of the coordinates"
_COMPARES = opmap["COMPARE_OP"]


def _truth(expression: sp.Expr) -> bool:
    if _asked_by_user(sys._getframe(1)) and expression.has(SymbolicField):
        raise InputError(
            f"if, and, or, not: {readable(expression, 100)} has no truth value, since fields have no value yet; "
            f"{CASES}, and return a list for several equations"
        )
    return True


_equal: Callable[[sp.Expr, object], bool] = sp.Expr.__eq__
_unequal: Callable[[sp.Expr, object], bool] = sp.Expr.__ne__


def _is_equal(expression: sp.Expr, other: object) -> bool:
    if current_scope() is not None:
        _refuse_comparison(expression, other, "==")
    return _equal(expression, other)


def _is_unequal(expression: sp.Expr, other: object) -> bool:
    if current_scope() is not None:
        _refuse_comparison(expression, other, "!=")
    return _unequal(expression, other)


def _refuse_comparison(expression: sp.Expr, other: object, sign: str) -> None:
    frame = sys._getframe(2)
    # Dictionaries and caches compare as well, in code of C, which has no frame: then the user's is at another step.
    if not _asked_by_user(frame) or _bytes(frame.f_code)[frame.f_lasti] != _COMPARES:
        return
    if frame.f_back is None or package(frame.f_back) == "sympy":  # which asks what is written, e.g. for replace
        return
    if expression.has(SymbolicField) or (isinstance(other, sp.Basic) and other.has(SymbolicField)):
        right = readable(other, 100) if isinstance(other, sp.Expr) else short(other)
        raise InputError(
            f"{readable(expression, 100)} {sign} {right}: Python compares how expressions are written, not their "
            f"values; for an equation, write sympy.Eq(left, right); for cases, {CASES}"
        )


def _asked_by_user(frame: FrameType) -> bool:
    return current_scope() is not None and asked_by_user(frame)


@lru_cache(maxsize=64)
def _bytes(code: CodeType) -> bytes:
    return code.co_code


sp.Expr.__bool__ = _truth
sp.Expr.__eq__, sp.Expr.__ne__ = _is_equal, _is_unequal
