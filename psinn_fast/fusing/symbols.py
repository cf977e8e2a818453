"""What symbols in recorded expressions stand for: numbers of each point, trained scalars, sums over points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import sympy as sp
from torch import Tensor

from ..kernels.errors import InputError
from ..language.columns import Columns
from ..language.fields import Operator, SymbolicField
from ..language.steps import slope
from .given import (
    Call,
    Entry,
    Given,
    Inner,
    Joined,
    Numbers,
    Opaque,
    PointSum,
    Rows,
    Scalar,
    Shape,
    Taken,
    Total,
    Truth,
)


class Trained(sp.Symbol):  # type: ignore[misc]  # SymPy ships no types
    """A number that is trained beside the network."""


class Symbols:
    """The symbols of one recording. All of them are real, and equal requests give equal symbols.

    Args:
        coords, fields: names of the network's inputs and outputs.
    """

    def __init__(self, coords: tuple[str, ...], fields: tuple[str, ...]) -> None:
        self.coords, self.fields = coords, fields
        self._meaning: dict[sp.Symbol, Given | PointSum] = {}
        self._known: dict[object, sp.Symbol] = {}
        self._calls: dict[tuple[sp.Symbol, ...], int] = {}
        self.calls: list[Call] = []
        # Tensors that the recorded function itself makes: their numbers do not change.
        self.made: dict[int, Tensor] = {}
        # Those whose numbers were written into expressions, though they may change.
        self.written: dict[int, Tensor] = {}
        # Trained scalars: the tensor, and which of its numbers.
        self.coefficients: dict[sp.Symbol, tuple[Tensor, int]] = {}

    def _new(self, meaning: Given | PointSum, key: object = None) -> sp.Symbol:
        if key is not None and key in self._known:
            return self._known[key]
        symbol = sp.Symbol(f"_f{len(self._meaning)}", real=True)
        self._meaning[symbol] = meaning
        if key is not None:
            self._known[key] = symbol
        return symbol

    def entries(self, tensor: Tensor, batch: Shape) -> npt.NDArray[np.object_]:
        """One symbol for each component of a tensor, whose leading dimensions, ``batch``, are its points."""
        trailing, n = tensor.shape[len(batch) :], int(np.prod(batch))
        made = [
            self._new(Entry(tensor, n, k), ("entry", id(tensor), len(batch), k)) for k in range(int(np.prod(trailing)))
        ]
        return _filled(trailing, made)

    def opaque(
        self, tensor: Tensor, batch: Shape, reads: frozenset[sp.Symbol], operation: str
    ) -> npt.NDArray[np.object_]:
        """Symbols of what an operation that is not known made of others."""
        trailing, n = tensor.shape[len(batch) :], int(np.prod(batch))
        made = [self._new(Opaque(tensor, n, k, reads, operation)) for k in range(int(np.prod(trailing)))]
        return _filled(trailing, made)

    def scalars(self, tensor: Tensor) -> npt.NDArray[np.object_]:
        """One symbol for each number of a tensor that is the same at all points."""
        made = [self._new(Scalar(tensor, k), ("scalar", id(tensor), k)) for k in range(tensor.numel())]
        return _filled(tensor.shape, made)

    def trained(self, tensor: Tensor) -> npt.NDArray[np.object_]:
        """One symbol for each number of a tensor that is trained beside the network."""
        made = []
        for k in range(tensor.numel()):
            symbol = self._known.setdefault(
                ("trained", id(tensor), k), Trained(f"_c{len(self.coefficients)}", real=True)
            )
            self.coefficients.setdefault(symbol, (tensor, k))
            made.append(symbol)
        return _filled(tensor.shape, made)

    def forget(self) -> None:
        """What is needed while something is recorded only: tensors with their graphs."""
        self.made.clear()
        self._known.clear()

    @property
    def tensors(self) -> list[Tensor]:
        """Whose numbers are followed, each once; those of `Opaque` are not."""
        found = [own for own in self._meaning.values() if isinstance(own, (Entry, Scalar))]
        return list({id(own.tensor): own.tensor for own in found if not isinstance(own, Opaque)}.values())

    def point_sum(self, shape: Shape, expression: sp.Expr) -> sp.Symbol:
        if not self.is_trained(expression):
            n = int(np.prod(shape, dtype=np.int64))
            return self._new(Total(expression, n), ("total", n, expression))
        return self._new(PointSum(shape, expression), ("sum", shape, expression))

    def sum_of(self, symbol: sp.Symbol) -> PointSum | None:
        found = self._meaning.get(symbol)
        return found if isinstance(found, PointSum) else None

    def sums_in(self, expression: sp.Expr) -> list[sp.Symbol]:
        found = (s for s in expression.free_symbols if self.sum_of(s) is not None)
        return sorted(found, key=list(self._meaning).index)

    def is_trained(self, expression: sp.Expr) -> bool:
        """Whether training changes it: it holds what the network gives, or a trained number."""
        if expression.has(SymbolicField) or expression.free_symbols & self.coefficients.keys():
            return True
        sums = map(self.sum_of, self.sums_in(expression))
        return any(self.is_trained(own.expression) for own in sums if own is not None)

    def is_of_points(self, symbol: sp.Symbol) -> bool:
        """Whether it has a number at each point."""
        return self.is_given(symbol) and not isinstance(self._meaning[symbol], (Scalar, Total))

    def n_of(self, symbol: sp.Symbol) -> int:
        """At how many points it has numbers; 1 where they are the same at all."""
        return self._meaning[symbol].n_points

    def is_given(self, symbol: sp.Symbol) -> bool:
        """Whether it stands for given numbers, of points or the same at all of them."""
        return symbol in self._meaning and self.sum_of(symbol) is None

    def inputs(self, expressions: Sequence[sp.Expr], n: int) -> tuple[sp.Symbol, ...]:
        """Symbols to call a network with: the expressions themselves where they are different symbols."""
        if len(set(expressions)) == len(expressions) and all(
            isinstance(e, sp.Symbol) and self.is_of_points(e) for e in expressions
        ):
            return tuple(expressions)
        return tuple(self._new(Inner(e, n), ("inner", k, tuple(expressions))) for k, e in enumerate(expressions))

    def truth(self, comparison: str, left: sp.Expr, right: sp.Expr, found: npt.NDArray[np.bool_]) -> sp.Symbol:
        """1 where a comparison of given numbers holds, else 0.

        Args:
            comparison: gt, ge, lt, le, eq or ne.
            found: (N,), as torch found it.
        """
        values = self.evaluated([left, right], len(found))
        return self._new(Truth(comparison, (left, right), values, found))

    def call(self, inputs: tuple[sp.Symbol, ...], n: int) -> list[SymbolicField]:
        """The network's outputs at these inputs."""
        number = self._calls.setdefault(inputs, len(self.calls))
        if number == len(self.calls):
            self.calls.append(Call(inputs, n))
        zero, axes = Operator((0,) * len(self.coords)), tuple(range(len(self.coords)))
        return [SymbolicField(field, zero, self.coords, axes, number, inputs) for field in self.fields]

    def derivative(self, expression: sp.Expr, symbol: sp.Symbol) -> sp.Expr:
        """d expression / d symbol at each point; what a network is called with may depend on the symbol, too."""
        total = slope(expression, symbol)
        for inner in sorted(expression.free_symbols, key=str):
            meaning = self._meaning.get(inner)
            self._refuse_hidden(meaning, symbol)
            if isinstance(meaning, Inner) and inner != symbol:
                total += slope(expression, inner) * self.derivative(meaning.definition, symbol)
        return total

    def _refuse_hidden(self, meaning: object, symbol: sp.Symbol) -> None:
        """
        Raises:
            InputError: given numbers depend on a symbol in a way that is not differentiated.
        """
        if isinstance(meaning, Opaque) and symbol in meaning.reads:
            raise InputError(f"it differentiates {meaning.operation}, which is not among the operations that are known")
        if isinstance(meaning, (Taken, Joined, Total)) and any(symbol in self.all_symbols(s) for s in meaning.reads):
            raise InputError(
                "it differentiates values at some of the points, or at joined ones, by others; differentiate first, by "
                "what the network is called with, and take rows then"
            )

    def all_symbols(self, expression: sp.Expr) -> frozenset[sp.Symbol]:
        """Those that an expression depends on, directly or through others."""
        found: set[sp.Symbol] = set()
        waiting = list(expression.free_symbols)
        while waiting:
            symbol = waiting.pop()
            if symbol in found:
                continue
            found.add(symbol)
            if (meaning := self._meaning.get(symbol)) is not None:
                waiting += meaning.reads
        return frozenset(found)

    def taken(self, expression: sp.Expr, rows: Rows, n: int) -> sp.Expr:
        """An expression at some of its n points."""
        if len(rows) == n and np.array_equal(rows, np.arange(n)):
            return expression
        rule: dict[sp.Expr, sp.Expr] = {}
        for field in expression.atoms(SymbolicField):
            inputs = [self.taken(symbol, rows, n) for symbol in field.args]
            output = self.call(self.inputs(inputs, len(rows)), len(rows))[self.fields.index(field.field)]
            rule[field] = field.operator.of(output, output.args)
        for symbol in expression.free_symbols:
            if self.is_of_points(symbol):
                rule[symbol] = self._taken(symbol, rows)
        return replaced_outside(expression, rule)

    def _taken(self, symbol: sp.Symbol, rows: Rows) -> sp.Expr:
        meaning = self._meaning[symbol]
        if isinstance(meaning, Taken):
            return self._taken(meaning.base, meaning.rows[rows])
        if isinstance(meaning, Joined):
            start = 0
            for part, n in meaning.parts:
                if rows.size and start <= rows.min() and rows.max() < start + n:
                    return self.taken(part, rows - start, n)
                start += n
        return self._new(Taken(symbol, rows), ("taken", symbol, rows.tobytes()))

    def joined(self, parts: Sequence[tuple[sp.Expr, int]]) -> sp.Symbol:
        """The numbers of expressions without fields, one behind the other."""
        return self._new(Joined(tuple(parts)), ("joined", tuple(parts)))

    def numbers(self, symbol: sp.Symbol) -> Numbers:
        """(N,), in float64, as the tensors are now; (1,) of what is the same at all points."""
        meaning = self._meaning[symbol]
        if isinstance(meaning, Scalar):
            return np.array([float(meaning.tensor.detach().reshape(-1)[meaning.component])])
        if isinstance(meaning, Total):
            return np.array([self.evaluated([meaning.expression], meaning.n).sum()])
        if isinstance(meaning, Truth):
            return meaning.at(self.evaluated(meaning.operands, meaning.n_points))
        if isinstance(meaning, Entry):
            return meaning.numbers()
        if isinstance(meaning, Taken):
            return self.numbers(meaning.base)[meaning.rows]
        if isinstance(meaning, Joined):
            return np.concatenate([self.evaluated([part], n)[:, 0] for part, n in meaning.parts])
        assert isinstance(meaning, Inner)
        return np.ascontiguousarray(self.evaluated([meaning.definition], meaning.n_points)[:, 0])

    def evaluated(self, expressions: Sequence[sp.Expr], n: int) -> Numbers:
        """(N, k): expressions without fields at their n points, in float64.

        Raises:
            InputError: functions that NumPy and SciPy do not have.
        """
        symbols = sorted(set().union(*(e.free_symbols for e in expressions)), key=str)
        columns = np.stack([np.broadcast_to(self.numbers(s), n) for s in symbols], 1) if symbols else np.empty((n, 0))
        return Columns(tuple(expressions), symbols, "loss_fn")([columns])


def _filled(shape: Shape, items: Sequence[sp.Expr]) -> npt.NDArray[np.object_]:
    made = np.empty(len(items), dtype=object)
    made[:] = items
    return made.reshape(shape)


def replaced_outside(expression: sp.Expr, rule: dict[sp.Expr, sp.Expr]) -> sp.Expr:
    """With other symbols and fields; those that fields hold stay with them."""
    if expression in rule:
        return rule[expression]
    if not expression.args or isinstance(expression, SymbolicField):
        return expression
    return expression.func(*(replaced_outside(arg, rule) for arg in expression.args))
