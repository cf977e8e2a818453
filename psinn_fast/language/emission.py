"""SymPy residuals to straight-line code with adjoints: differentiated by `sympy.diff`, shortened by `sympy.cse`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp

from ..kernels.errors import InputError
from ..kernels.language.channels import ChannelSet
from ..kernels.language.program import Adjoint, Coefficient, Input, Instruction, Jet, Program
from .disjunction import Disjunction
from .exact_numbers import is_zero
from .exponentials import WholeExp
from .steps import Definition, reverse, slope

_FUNCTIONS = {
    sp.exp: "exp",
    sp.log: "log",
    sp.sin: "sin",
    sp.cos: "cos",
    sp.tan: "tan",
    sp.sinh: "sinh",
    sp.cosh: "cosh",
    sp.tanh: "tanh",
    sp.atan: "atan",
    sp.Abs: "abs",
    sp.sign: "sign",
}


def emit(
    steps: Sequence[Definition],
    residuals: Sequence[sp.Expr],
    meaning: Mapping[sp.Symbol, Input],
    channels: ChannelSet,
    n_sites: int,
    n_columns: int,
) -> Program:
    """Residuals and adjoints to straight-line code, common subexpressions computed once.

    ``steps``: definitions that the residuals use, each before those that use it; for large residuals only.
    """
    r_bar = [sp.Symbol(f"r_bar{i}", real=True) for i in range(len(residuals))]
    used = set().union(*(e.free_symbols for e in (*(definition for _, definition in steps), *residuals)))
    inputs = [s for s in meaning if s in used]
    trained = [s for s in inputs if isinstance(meaning[s], (Jet, Coefficient))]
    emitter = Emitter([*inputs, *r_bar])
    if steps:
        backwards, adjoints = reverse(steps, list(zip(r_bar, residuals, strict=True)), trained)
        emitter.define([*steps, *backwards])
        for symbol, _ in steps:  # in order: otherwise the first residual would need them all at once
            emitter.register(symbol)
    else:
        adjoints = [sum(bar * slope(r, s) for bar, r in zip(r_bar, residuals, strict=True)) for s in trained]
        replacements, reduced = sp.cse([*residuals, *adjoints], symbols=sp.numbered_symbols("_t"), order="none")
        emitter.define(replacements)
        residuals, adjoints = reduced[: len(residuals)], reduced[len(residuals) :]
    results = [emitter.register(expression) for expression in residuals]
    n_forward = len(emitter.instructions)
    gradients = [emitter.register(expression) for expression in adjoints]
    return Program(
        channels,
        n_sites,
        n_columns,
        (*(meaning[s] for s in inputs), *(Adjoint(i) for i in range(len(results)))),
        tuple(emitter.instructions),
        n_forward,
        tuple(results),
        tuple((inputs.index(s), register) for s, register in zip(trained, gradients, strict=True)),
    )


class Emitter:
    """Numbers values: equal expressions share a register; definitions are emitted when first needed."""

    def __init__(self, inputs: Sequence[sp.Symbol]) -> None:
        self.known: dict[Any, int] = {symbol: i for i, symbol in enumerate(inputs)}
        self.n_inputs = len(inputs)
        self.instructions: list[Instruction] = []
        self.definitions: dict[sp.Symbol, sp.Expr] = {}

    def define(self, replacements: Sequence[tuple[sp.Symbol, sp.Expr]]) -> None:
        self.definitions.update(replacements)

    def register(self, expression: sp.Expr) -> int:
        if expression not in self.known:
            self.known[expression] = self._compute(expression)
        return self.known[expression]

    def _add(self, op: str, a: int = -1, b: int = -1, value: float = 0.0) -> int:
        instruction = Instruction(op, a, b, value)
        if instruction not in self.known:
            self.instructions.append(instruction)
            self.known[instruction] = self.n_inputs + len(self.instructions) - 1
        return self.known[instruction]

    def _compute(self, e: sp.Expr) -> int:
        if e in self.definitions:
            return self.register(self.definitions[e])
        if e.is_number:
            value = float(e)
            if not math.isfinite(value):
                raise InputError(
                    f"the number {e} in a residual is too large; write it into the exponential that it belongs to, "
                    "e.g. exp(a*(x - 1)) with an integer a, or choose other units"
                )
            if value == 0 and not is_zero(e):
                raise InputError(f"the number {e} in a residual is too small, and would be 0; choose other units")
            return self._add("const", value=value)
        if isinstance(e, sp.Add):
            return self._fold("add", e.args)
        if isinstance(e, sp.Mul):
            return self._product(e)
        if isinstance(e, sp.Pow):
            return self._power(e.base, e.exp)
        if isinstance(e, (sp.Max, sp.Min)):
            return self._fold("max" if isinstance(e, sp.Max) else "min", e.args)
        if isinstance(e, sp.Heaviside):
            return self._add("gt", self.register(e.args[0]), self._add("const", value=0.0))
        if isinstance(e, WholeExp):
            return self._add("exp", self.register(e.args[0]))
        if isinstance(e, Disjunction):
            a, b, least = map(self.register, e.args)
            squares = self._add("add", self._add("mul", a, a), self._add("mul", b, b))
            root = self._add("sqrt", self._add("max", squares, least))
            return self._add("add", self._add("add", a, b), root)
        if e.func in _FUNCTIONS:
            return self._add(_FUNCTIONS[e.func], self.register(e.args[0]))
        others = ("Heaviside", "Max", "Min", "sqrt")
        supported = ", ".join(sorted([*(f.__name__ for f in _FUNCTIONS), *others]))
        raise InputError(f"{e.func.__name__} is not supported in a residual; supported: {supported} and powers")

    def _fold(self, op: str, args: Sequence[sp.Expr]) -> int:
        first, *others = (self.register(arg) for arg in args)
        for other in others:
            first = self._add(op, first, other)
        return first

    def _product(self, e: sp.Expr) -> int:
        numerator, denominator = e.as_numer_denom()
        if denominator.is_number:
            factor, rest = e.as_coeff_Mul()
            if factor == -1:
                return self._add("neg", self.register(rest))
            return self._fold("mul", e.args)
        return self._add("div", self.register(numerator), self.register(denominator))

    def _power(self, base: sp.Expr, exponent: sp.Expr) -> int:
        if exponent == -1:
            return self._add("reciprocal", self.register(base))
        if exponent == sp.Rational(1, 2):
            return self._add("sqrt", self.register(base))
        if exponent.is_Integer and 2 <= int(exponent) <= 8:
            half = self.register(base) if exponent in (2, 3) else self.register(base ** (exponent // 2))
            square = self._add("mul", half, half)
            return square if exponent % 2 == 0 else self._add("mul", square, self.register(base))
        if exponent.is_Integer and -8 <= int(exponent) <= -2:
            return self._add("reciprocal", self.register(base**-exponent))
        return self._add("pow", self.register(base), self.register(exponent))
