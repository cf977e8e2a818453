"""Where time goes, as bars on top of each other: what encloses a part lies below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The name of a whole, and its groups with the seconds of their parts.
Whole = tuple[str, Mapping[str, Mapping[str, float]]]

_COLORS = ("#c0504d", "#e0863f", "#d9b44a", "#8aa66b", "#4f8f8b", "#5b7f95", "#7d6b91", "#a15c7a")
# What a letter takes of the whole: names that do not fit are left out, as the tables have them.
_LETTER = 0.0075


def flame(wholes: Sequence[Whole]) -> Figure:
    """A panel for each whole, in order: groups above it, their parts above these."""
    figure = new_figure(9, 0.4 + 2.1 * len(wholes))
    for axis, (name, groups) in zip(figure.subplots(len(wholes), 1, squeeze=False)[:, 0], wholes, strict=True):
        _draw(axis, name, groups)
    return figure


def _draw(axis: Axes, name: str, groups: Mapping[str, Mapping[str, float]]) -> None:
    total = sum(sum(parts.values()) for parts in groups.values())
    scale, unit = (1e3, "ms") if total >= 1e-3 else (1e6, "us")
    _bar(axis, 0, 0.0, total, total, f"{name}, {total * scale:.4g} {unit}", "#d7d7d7")
    start, number, top = 0.0, 0, 2 if len(groups) > 1 else 1
    for group, parts in groups.items():
        whole = sum(parts.values())
        if top == 2:
            _bar(axis, 1, start, whole, total, f"{group} {whole / total:.0%}", "#bdbdbd")
        for part, seconds in parts.items():
            _bar(axis, top, start, seconds, total, f"{part} {seconds / total:.0%}", _COLORS[number % len(_COLORS)])
            start, number = start + seconds, number + 1
    axis.set(xlim=(0, total), ylim=(-0.5, top + 0.5), yticks=[], xlabel=unit)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value * scale:g}")


def _bar(axis: Axes, row: int, start: float, width: float, total: float, label: str, color: str) -> None:
    axis.barh(row, width, 0.92, left=start, color=color, edgecolor="white", linewidth=0.8)
    name, _, share = label.rpartition(" ")
    lines = [text for text in (label, f"{name}\n{share}") if _LETTER * max(map(len, text.split("\n"))) * total < width]
    if lines:
        axis.text(start + width / 2, row, lines[0], ha="center", va="center", fontsize=7, clip_on=True)
