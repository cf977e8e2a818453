"""One layer's weights as signed symbols: the data from which the relation matrix R follows.

``weight[i][j] = +k``, ``-k`` or ``0`` says that block (i, j) of W is +Theta_k, -Theta_k or zero; ``bias[i]`` says the
same of block i of b. Blocks with the same symbol share one trainable tensor. A block has ``rows[i]`` x ``cols[j]``
entries, so every occurrence of a symbol must have the same shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, short

# Of a network, zeros and repetitions counted: eight layers of 1,024 neurons, far beyond what tanh networks on PDEs
# need. A slip in a size, or a damaged file, is refused before memory is asked for; so many take less than a gigabyte.
MOST_WEIGHTS = 2**23

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SymbolLayer:
    """Signed symbols and block sizes of one affine layer z = W h + b.

    Args:
        weight: matrix of signed symbols, one row per block row; symbols of a layer are numbered 1, 2, ... without gaps.
        bias: signed bias symbols, one per block row (their numbering is separate from the weight's).
        rows: sizes of the block rows (neurons).
        cols: sizes of the block columns (inputs of the layer).

    Raises:
        InputError: ragged or misnumbered symbols, non-positive sizes, anything but integers (1.0 and True are none),
            or a symbol used with two block shapes.

    The layer's parameters are laid out as Theta_1, Theta_2, ... (each row-major), then the bias vectors.
    """

    weight: tuple[tuple[int, ...], ...]
    bias: tuple[int, ...]
    rows: tuple[int, ...]
    cols: tuple[int, ...]

    @classmethod
    def of(
        cls,
        weight: Sequence[Sequence[int]],
        bias: Sequence[int],
        rows: Sequence[int] | None = None,
        cols: Sequence[int] | None = None,
    ) -> SymbolLayer:
        """Build from plain lists; block sizes default to 1."""
        matrix = _matrix(weight)
        return cls(
            matrix,
            _integers(bias, "bias"),
            (1,) * len(matrix) if rows is None else _integers(rows, "rows"),
            (1,) * (len(matrix[0]) if matrix else 0) if cols is None else _integers(cols, "cols"),
        )

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", _matrix(self.weight))
        for name in ("bias", "rows", "cols"):
            object.__setattr__(self, name, _integers(getattr(self, name), name))
        if not self.weight or not self.weight[0]:
            raise InputError("weight: a layer needs at least one block row and one block column")
        if any(len(row) != len(self.cols) for row in self.weight):
            lengths = [len(row) for row in self.weight]
            raise InputError(
                f"weight: every row must have {len(self.cols)} symbols (one per column block), got {short(lengths)}"
            )
        if len(self.weight) != len(self.rows):
            raise InputError(f"rows: expected {len(self.weight)} block sizes, got {len(self.rows)}")
        if len(self.bias) != len(self.rows):
            raise InputError(f"bias: expected {len(self.rows)} symbols (one per block row), got {len(self.bias)}")
        for name, sizes in (("rows", self.rows), ("cols", self.cols)):
            if min(sizes) < 1:
                raise InputError(f"{name}: block sizes must be at least 1, got {short(list(sizes))}")
        if self.fan_in * self.fan_out > MOST_WEIGHTS:
            raise InputError(
                f"rows, cols: a layer may have up to {MOST_WEIGHTS} weights, "
                f"got {short(self.fan_out)} x {short(self.fan_in)}"
            )
        _shapes(self.weight_uses, "weight")
        _shapes(self.bias_uses, "bias")

    @property
    def weight_uses(self) -> list[tuple[int, tuple[int, ...]]]:
        """(signed symbol, block shape) of every non-zero block."""
        return [
            (symbol, (self.rows[i], self.cols[j]))
            for i, row in enumerate(self.weight)
            for j, symbol in enumerate(row)
            if symbol
        ]

    @property
    def bias_uses(self) -> list[tuple[int, tuple[int, ...]]]:
        """(signed symbol, block shape) of every non-zero bias block."""
        return [(symbol, (self.rows[i],)) for i, symbol in enumerate(self.bias) if symbol]

    @cached_property
    def weight_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of Theta_1, Theta_2, ..."""
        return _shapes(self.weight_uses, "weight")

    @cached_property
    def bias_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the bias vectors, by symbol."""
        return _shapes(self.bias_uses, "bias")

    @property
    def fan_in(self) -> int:
        return sum(self.cols)

    @property
    def fan_out(self) -> int:
        return sum(self.rows)

    @property
    def n_weights(self) -> int:
        """Independent weights (without biases)."""
        return sum(int(np.prod(shape)) for shape in self.weight_shapes)

    @property
    def n_biases(self) -> int:
        return sum(shape[0] for shape in self.bias_shapes)

    @property
    def n_parameters(self) -> int:
        """Independent weights and biases."""
        return self.n_weights + self.n_biases

    @property
    def is_dense(self) -> bool:
        """True when theta is W and b themselves, in order: one block, nothing tied, nothing zero."""
        return self.weight == ((1,),) and self.bias == (1,)

    def weight_map(self) -> tuple[IntArray, IntArray]:
        """(index, sign), each (fan_out, fan_in): W[i, j] = sign[i, j] * theta[index[i, j]]; sign 0 marks a zero entry.

        ``theta`` is this layer's own parameter vector.
        """
        return _entry_map(np.array(self.weight), self.weight_shapes, self.rows, self.cols, start=0)

    def bias_map(self) -> tuple[IntArray, IntArray]:
        """(index, sign), each (fan_out,): b[i] = sign[i] * theta[index[i]]."""
        shapes = [(*shape, 1) for shape in self.bias_shapes]
        index, sign = _entry_map(np.array(self.bias)[:, None], shapes, self.rows, (1,), start=self.n_weights)
        return index[:, 0], sign[:, 0]


def _matrix(rows: Any) -> tuple[tuple[int, ...], ...]:
    if not isinstance(rows, Iterable) or isinstance(rows, str):
        raise InputError(f"weight: expected rows of integers, got {short(rows)}")
    return tuple(_integers(row, "weight") for row in rows)


def _integers(values: Any, name: str) -> tuple[int, ...]:
    """Plain ints of a sequence. Nothing is converted: a symbol written as 1.5, "2" or True is a slip."""
    if not isinstance(values, Iterable) or isinstance(values, str):
        raise InputError(f"{name}: expected integers, got {short(values)}")
    found = tuple(values)
    for value in found:
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise InputError(f"{name}: expected integers, got {short(value)}")
    return tuple(map(int, found))


def _shapes(uses: list[tuple[int, tuple[int, ...]]], name: str) -> tuple[tuple[int, ...], ...]:
    found: dict[int, tuple[int, ...]] = {}
    for signed, shape in uses:
        symbol = abs(signed)
        if found.setdefault(symbol, shape) != shape:
            raise InputError(
                f"{name}: symbol {symbol} stands for blocks of unequal sizes, {found[symbol]} and {shape}; "
                "tied blocks must have one shape"
            )
    if sorted(found) != list(range(1, len(found) + 1)):
        raise InputError(f"{name}: symbols must be numbered 1..{len(found)} without gaps, got {short(sorted(found))}")
    return tuple(found[k] for k in range(1, len(found) + 1))


def _entry_map(
    symbols: IntArray,
    shapes: Sequence[tuple[int, ...]],
    rows: Sequence[int],
    cols: Sequence[int],
    start: int,
) -> tuple[IntArray, IntArray]:
    offsets = np.cumsum([start, *(int(np.prod(shape)) for shape in shapes)])
    index = np.zeros((sum(rows), sum(cols)), dtype=np.int64)
    sign = np.zeros_like(index)
    top = np.cumsum([0, *rows])
    left = np.cumsum([0, *cols])
    for (i, j), symbol in np.ndenumerate(symbols):
        if symbol:
            block = np.s_[top[i] : top[i + 1], left[j] : left[j + 1]]
            k = abs(int(symbol)) - 1
            index[block] = offsets[k] + np.arange(rows[i] * cols[j]).reshape(rows[i], cols[j])
            sign[block] = np.sign(symbol)
    return index, sign


def renumber(symbols: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """Number symbols 1, 2, ... by first appearance (row by row), each first appearance taken as positive."""
    numbers: dict[int, int] = {}
    renamed = []
    for row in symbols:
        new = []
        for symbol in row:
            if symbol and abs(symbol) not in numbers:
                numbers[abs(symbol)] = (len(numbers) + 1) * (1 if symbol > 0 else -1)
            new.append(int(np.sign(symbol)) * numbers[abs(symbol)] if symbol else 0)
        renamed.append(tuple(new))
    return tuple(renamed)
