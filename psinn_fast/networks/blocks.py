"""Layers cut into smaller blocks, and put together: the same weights, other symbols."""

from __future__ import annotations

from collections.abc import Sequence

from ..kernels.network.symbols import SymbolLayer, renumber


def beside(layers: Sequence[SymbolLayer], shared: bool = False) -> SymbolLayer:
    """Layers with symbols of their own, each on columns of its own, or all on the same ones."""
    weight, bias = list[list[int]](), list[int]()
    n_columns = sum(len(layer.cols) for layer in layers)
    weights = biases = left = 0
    for layer in layers:
        for row in layer.weight:
            moved = [_moved(symbol, weights) for symbol in row]
            weight.append(moved if shared else [0] * left + moved + [0] * (n_columns - left - len(row)))
        bias += [_moved(symbol, biases) for symbol in layer.bias]
        weights, biases = weights + len(layer.weight_shapes), biases + len(layer.bias_shapes)
        left += len(layer.cols)
    rows = [size for layer in layers for size in layer.rows]
    cols = layers[0].cols if shared else [size for layer in layers for size in layer.cols]
    return SymbolLayer.of(weight, bias, rows, cols)


def _moved(symbol: int, by: int) -> int:
    return symbol + by * ((symbol > 0) - (symbol < 0))


def reordered(layer: SymbolLayer, order: Sequence[int]) -> SymbolLayer:
    """Rows of size 1 in another order, with symbols numbered anew."""
    (bias,) = renumber([[layer.bias[i] for i in order]])
    return SymbolLayer.of(renumber([layer.weight[i] for i in order]), bias, layer.rows, layer.cols)


def single_columns(layer: SymbolLayer) -> SymbolLayer:
    """Every block of several columns as that many blocks of one column: the same weights."""
    parts = _symbols_of_parts([shape[1] for shape in layer.weight_shapes])
    weight = [
        [s for symbol, size in zip(row, layer.cols, strict=True) for s in _split(symbol, size, parts)]
        for row in layer.weight
    ]
    return SymbolLayer.of(weight, layer.bias, layer.rows, [1] * layer.fan_in)


def single_rows(layer: SymbolLayer) -> SymbolLayer:
    """Every block of several rows as that many blocks of one row: the same weights and biases."""
    parts = _symbols_of_parts([shape[0] for shape in layer.weight_shapes])
    bias_parts = _symbols_of_parts([shape[0] for shape in layer.bias_shapes])
    weight, bias = list[Sequence[int]](), list[int]()
    for row, symbol, size in zip(layer.weight, layer.bias, layer.rows, strict=True):
        weight += zip(*(_split(entry, size, parts) for entry in row), strict=True)
        bias += _split(symbol, size, bias_parts)
    return SymbolLayer.of(weight, bias, [1] * layer.fan_out, layer.cols)


def _symbols_of_parts(sizes: Sequence[int]) -> list[range]:
    """For each symbol, in order, those of its parts."""
    found, start = list[range](), 1
    for size in sizes:
        found.append(range(start, start + size))
        start += size
    return found


def _split(symbol: int, size: int, parts: Sequence[range]) -> list[int]:
    if not symbol:
        return [0] * size
    return [part if symbol > 0 else -part for part in parts[abs(symbol) - 1]]
