"""Structures as pictures: the signed blocks of every layer, and R itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..kernels.errors import InputError
from ..networks.structure import Structure
from ..networks.structure_html import COLOURS
from ..networks.structure_text import ends_text, frame_text, named_symbols
from .figures import few_ticks, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase


def _check_structure(structure: object) -> None:
    if not isinstance(structure, Structure):
        raise InputError(f"structure: expected a Structure, got {type(structure).__name__}")


def structure_figure(structure: Structure) -> Figure:
    """See `draw_structure`."""
    _check_structure(structure)
    columns = sum(len(layer.cols) + 1.6 for layer in structure.layers)
    tallest = max(len(layer.rows) for layer in structure.layers)
    figure = new_figure(0.62 * columns + 1, 0.62 * tallest + 1.2)
    draw_structure(figure, structure)
    return figure


def draw_structure(figure: FigureBase, structure: Structure) -> None:
    """The blocks of every layer: colour = symbol, hatched = with a minus sign, white = zero; biases at the right."""
    named = named_symbols(structure)
    widths = [len(layer.cols) + 1.6 for layer in structure.layers]
    tallest = max(len(layer.rows) for layer in structure.layers)
    axes = figure.subplots(1, len(structure.layers), squeeze=False, width_ratios=widths)[0]
    for number, (axis, layer, (weight, bias)) in enumerate(zip(axes, structure.layers, named, strict=True), start=1):
        _draw_blocks(axis, layer.weight, weight, 0.0)
        _draw_blocks(axis, [[symbol] for symbol in layer.bias], [[name] for name in bias], len(layer.cols) + 0.4)
        axis.set_xlim(-0.1, len(layer.cols) + 1.5)
        axis.set_ylim(tallest + 0.1, -0.1)
        axis.set_aspect("equal")
        axis.axis("off")
        axis.set_title(f"W{number}, b{number}", fontsize=9)
    about = "".join(f", {text}" for text in (frame_text(structure), ends_text(structure)) if text)
    title = f"{structure.name}: {structure.n_independent} of {structure.n_expanded} parameters{about}"
    figure.suptitle(title, fontsize=10, parse_math=False)


def relation_matrix_figure(structure: Structure) -> Figure:
    """R itself, layer by layer: rows are the entries of W, columns theta; +1 and -1 by colour."""
    _check_structure(structure)
    from matplotlib.colors import ListedColormap

    figure = new_figure(3.2 * len(structure.layers), 3.6)
    axes = figure.subplots(1, len(structure.layers), squeeze=False)[0]
    colours = ListedColormap(["#d62828", "#ffffff", "#003049"])
    for number, axis in enumerate(axes):
        matrix = structure.relation_matrix(number).toarray()
        axis.imshow(matrix, cmap=colours, vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
        axis.set_title(f"R of layer {number + 1}", fontsize=9)
        axis.set_xlabel("theta")
        few_ticks(axis)
        axis.set_ylabel("entries of W" if number == 0 else "")
    return figure


def _draw_blocks(axis: Axes, symbols: Sequence[Sequence[int]], names: Sequence[Sequence[str]], left: float) -> None:
    for i, row in enumerate(symbols):
        for j, symbol in enumerate(row):
            colour = COLOURS[(abs(symbol) - 1) % len(COLOURS)] if symbol else "white"
            box = axis.fill(
                *_square(left + j, i),
                facecolor=colour,
                edgecolor="grey",
                linewidth=0.8,
                hatch="//" if symbol < 0 else None,
            )
            box[0].set_alpha(0.95)
            axis.text(left + j + 0.5, i + 0.5, names[i][j], ha="center", va="center", fontsize=9)


def _square(x: float, y: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    return np.array([x, x + 1, x + 1, x]), np.array([y, y, y + 1, y + 1])
