"""Figures: made without pyplot, and written."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..storage.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

# Pixels per inch.
DPI = 110
# Inches, of an entry of a legend.
_LABEL = 1.6
# Numbers along an axis, about: each costs a millisecond, and more than these are a comb.
_TICKS = 5


def new_figure(width: float, height: float, layout: Literal["constrained", "compressed"] = "constrained") -> Figure:
    """Inches. "compressed": of axes with fixed proportions."""
    from .picture import Picture

    return Picture(figsize=(width, height), dpi=DPI, layout=layout)


def few_ticks(axis: Axes, which: Literal["both", "x", "y"] = "both") -> None:
    """On linear axes."""
    axis.locator_params(which, nbins=_TICKS)


def one_legend(figure: Figure | SubFigure) -> None:
    """Of the curves of all axes, below them; each label once."""
    found: dict[str, Artist] = {}
    for axis in figure.axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        across = min(len(found), max(2, round(figure.bbox.width / figure.dpi / _LABEL)))
        figure.legend(
            list(found.values()), list(found), loc="outside lower center", ncols=across, fontsize="small", frameon=False
        )


def png_of(figure: Figure) -> bytes:
    """The figure as it would be saved. `Figure.savefig` draws a figure with a layout twice, the first time unseen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas, dpi, layout, contents = figure.canvas, figure.dpi, figure.get_layout_engine(), io.BytesIO()
    drawn = FigureCanvasAgg(figure)
    try:
        figure.dpi = DPI
        if layout is not None:
            layout.execute(figure)
            figure.set_layout_engine("none")
        drawn.print_png(contents)  # type: ignore[no-untyped-call]  # of matplotlib's
    finally:
        if layout is not None:
            figure.set_layout_engine(layout)
        figure.dpi = dpi
        figure.set_canvas(canvas)
    return contents.getvalue()


def save_figure(figure: Figure, path: str | Path) -> None:
    """In the format that the name ends in.

    Raises:
        OSError: the file cannot be written.
    """
    kind = Path(path).suffix[1:] or "png"
    if kind == "png":
        write_atomically(path, png_of(figure))
        return
    contents = io.BytesIO()
    figure.savefig(contents, dpi=DPI, format=kind)
    write_atomically(path, contents.getvalue())
