"""Structures as notebooks show them: the blocks of every layer, coloured by symbol, as an inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from ..kernels.network.symbols import SymbolLayer
from ..markup import Markup, block, title
from .structure_text import named_symbols, structure_heading, structure_remarks

if TYPE_CHECKING:  # it imports this module
    from .structure import Structure

# Distinct, light enough for black letters; symbols beyond twelve repeat colours but keep their letters.
COLOURS = (
    "#8ecae6", "#ffb703", "#90be6d", "#f28482", "#cdb4db", "#e9c46a",
    "#84a59d", "#ffafcc", "#a8dadc", "#d4a373", "#b7e4c7", "#bdb2ff",
)  # fmt: skip
# Pixels: of a cell with a letter in it, of one without; between weights and biases, and layers; above them.
_CELL, _SMALL, _GAP, _BETWEEN, _ABOVE = 26, 6, 8, 26, 20
# Rows and columns of blocks: with letters, and at all.
_MOST_LETTERS, _MOST = 16, 128
_EDGE, _INK = "rgba(128,128,128,0.6)", "#111111"


def structure_html(structure: Structure) -> str:
    """Its text for what has too many blocks to be drawn."""
    remarks = [f"<div>{escape(text)}</div>" for text in structure_remarks(structure)]
    most = max(max(len(layer.rows), len(layer.cols)) for layer in structure.layers)
    if most > _MOST:
        picture = Markup(f"<div>{most} blocks beside each other: too many to be drawn</div>")
    else:
        picture = _picture(structure, _CELL if most <= _MOST_LETTERS else _SMALL)
    return block(title(*structure_heading(structure)), Markup("".join(remarks)), picture)


def _picture(structure: Structure, cell: int) -> Markup:
    parts, left = list[str](), 1.0
    tallest = max(len(layer.rows) for layer in structure.layers)
    for number, (layer, (weight, bias)) in enumerate(zip(structure.layers, named_symbols(structure), strict=True), 1):
        parts += _layer(number, layer, weight, bias, left, cell)
        own = len(layer.cols) * cell + _GAP + cell
        left += max(own, 64) + _BETWEEN
    width, height = left, tallest * cell + _ABOVE + 2
    return Markup(
        f'<svg width="{width:g}" height="{height}" viewBox="0 0 {width:g} {height}" role="img" '
        f'aria-label="{escape(str(structure))}" font-family="sans-serif" font-size="12">{"".join(parts)}</svg>'
    )


def _layer(
    number: int, layer: SymbolLayer, weight: list[list[str]], bias: list[str], left: float, cell: int
) -> list[str]:
    """The blocks of W beside those of b, below their names and the size of W."""
    text = f"W{number}, b{number}: {layer.fan_out} × {layer.fan_in}"
    parts = [f'<text x="{left:g}" y="{_ABOVE - 7}" fill="currentColor" font-size="11">{text}</text>']
    parts += _blocks(layer.weight, weight, left, cell)
    parts += _blocks([[own] for own in layer.bias], [[own] for own in bias], left + len(layer.cols) * cell + _GAP, cell)
    return parts


def _blocks(symbols: Sequence[Sequence[int]], names: list[list[str]], left: float, cell: int) -> list[str]:
    parts = []
    for i, row in enumerate(symbols):
        for j, symbol in enumerate(row):
            x, y = left + j * cell, _ABOVE + i * cell
            colour = COLOURS[(abs(symbol) - 1) % len(COLOURS)] if symbol else "none"
            parts.append(f'<rect x="{x:g}" y="{y}" width="{cell}" height="{cell}" fill="{colour}" stroke="{_EDGE}"/>')
            if symbol < 0:  # hatched
                strokes = "".join(
                    f"M{x + max(0.0, s - cell):g} {y + min(s, float(cell)):g}"
                    f"L{x + min(s, float(cell)):g} {y + max(0.0, s - cell):g}"
                    for s in (0.5 * cell, cell, 1.5 * cell)
                )
                parts.append(f'<path d="{strokes}" stroke="{_INK}" stroke-opacity="0.35" fill="none"/>')
            if cell == _CELL:
                ink = _INK if symbol else "currentColor"
                name = names[i][j].replace("-", "\N{MINUS SIGN}")
                at = f'x="{x + cell / 2:g}" y="{y + cell / 2 + 4:g}"'
                parts.append(f'<text {at} text-anchor="middle" fill="{ink}">{name}</text>')
    return parts
