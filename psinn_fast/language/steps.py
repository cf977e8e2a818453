"""Large residuals in steps: SymPy takes minutes to rebuild, differentiate and shorten thousands of terms or deep nests.

A residual becomes definitions of one operation each, s_k = f(s_i, s_j, ...), which are differentiated one by one and
put together by reverse accumulation.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import sympy as sp

from .fields import SymbolicField

# More different subexpressions, or levels of them, than these are taken in steps.
_MANY, _DEEP = 500, 30

Definition = tuple[sp.Symbol, sp.Expr]


def in_steps(
    residuals: Sequence[sp.Expr], coords: Collection[sp.Symbol]
) -> tuple[list[Definition], tuple[sp.Expr, ...]]:
    """Definitions, each of them before those that use it, and the residuals in terms of them.

    No definitions if the residuals are small. What depends on the coordinates alone is left whole: it becomes a column.
    """
    levels = _levels(residuals, coords)
    if not _is_large(levels):
        return [], tuple(residuals)
    symbols = {node: sp.Symbol(f"_s{i}", real=True) for i, node in enumerate(levels)}
    definitions = [(s, node.func(*(symbols.get(arg, arg) for arg in node.args))) for node, s in symbols.items()]
    return definitions, tuple(symbols.get(r, r) for r in residuals)


def readable(expression: sp.Expr, longest: int | None = None) -> str:
    """As text, cut to ``longest`` characters; what is large is only outlined, as SymPy would sort it for minutes."""
    levels = _levels([expression], ())
    if not _is_large(levels):
        text = str(expression.xreplace({number: sp.Float(number, 15) for number in expression.atoms(sp.Float)}))
        return text if longest is None or len(text) <= longest else f"{text[:longest]}... ({len(text)} characters)"
    if isinstance(expression, sp.Add) and len(expression.args) > 3:
        first = " + ".join(readable(arg, longest) for arg in expression.args[:3])
        return f"{first} + ... ({len(expression.args)} terms)"
    return f"({len(levels)} operations on {max(levels.values())} levels)"


def _is_large(levels: Mapping[sp.Expr, int]) -> bool:
    return len(levels) > _MANY or max(levels.values(), default=0) > _DEEP


def _levels(residuals: Sequence[sp.Expr], coords: Collection[sp.Symbol]) -> dict[sp.Expr, int]:
    """How many levels each subexpression has that is not of the coordinates alone; arguments before their users.

    Without recursion, which has its limits.
    """
    levels: dict[sp.Expr, int] = {}
    still: set[sp.Basic] = set(coords)
    waiting = list(residuals)
    while waiting:
        node = waiting[-1]
        if node in levels or node in still or _is_leaf(node):
            waiting.pop()
        elif unseen := [a for a in node.args if a not in levels and a not in still and not _is_leaf(a)]:
            waiting += unseen
        elif all(a in still or a.is_number for a in node.args):
            still.add(waiting.pop())
        else:
            levels[waiting.pop()] = 1 + max(levels.get(a, 0) for a in node.args)
    return levels


def _is_leaf(node: sp.Basic) -> bool:
    return not node.args or isinstance(node, SymbolicField)


def reverse(
    forward: Sequence[Definition], seeds: Sequence[Definition], trained: Sequence[sp.Symbol]
) -> tuple[list[Definition], list[sp.Expr]]:
    """Reverse accumulation: bar(a) = sum over the definitions s that read a of bar(s) ds/da.

    Args:
        forward: definitions in order.
        seeds: (bar, residual) for each residual.
        trained: with respect to what.

    Returns:
        The definitions of the bars, and bar(a) for each of ``trained``.
    """
    parts: dict[sp.Symbol, list[sp.Expr]] = {}

    def accumulate(bar: sp.Symbol, expression: sp.Expr) -> None:
        # A sum of thousands would be searched for each of its terms.
        is_sum = isinstance(expression, sp.Add) and all(arg.is_Atom for arg in expression.args)
        for read in expression.free_symbols:
            parts.setdefault(read, []).append(bar if is_sum else bar * slope(expression, read))

    for bar, residual in seeds:
        accumulate(bar, residual)
    definitions = []
    for i, (symbol, expression) in enumerate(reversed(forward)):
        bar = sp.Symbol(f"_a{i}", real=True)
        definitions.append((bar, sp.Add(*parts.pop(symbol, ()))))
        accumulate(bar, expression)
    return definitions, [sp.Add(*parts.get(s, ())) for s in trained]


def slope(expression: sp.Expr, symbol: sp.Symbol) -> sp.Expr:
    """Kinks (sign, Heaviside) have the derivative 0 almost everywhere, which is what counts at collocation points."""
    return sp.diff(expression, symbol).replace(sp.DiracDelta, lambda *_: sp.Integer(0))
