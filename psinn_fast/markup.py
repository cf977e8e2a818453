"""What notebooks show of objects: small tables and curves in HTML and SVG, readable on light and dark pages.

Text has the page's own colour. There are no styles, scripts or files beside what is written here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

_LINE = "rgba(128,128,128,0.4)"
_CELL = f"padding:2px 10px 2px 0;border-bottom:1px solid {_LINE};text-align:left;vertical-align:top"
_CURVE = "#3d8bd4"
# Pixels.
_WIDTH, _HEIGHT = 180, 36


class Markup(str):
    """Text that is HTML already."""


def html(text: str) -> Markup:
    """Plain text as HTML, `Markup` as it is."""
    return text if isinstance(text, Markup) else Markup(escape(text))


def block(*parts: str) -> str:
    """One thing: its parts below each other."""
    return (
        f'<div style="font-size:13px;line-height:1.45;max-width:100%;overflow-x:auto">{"".join(map(html, parts))}</div>'
    )


def title(text: str, about: str = "") -> Markup:
    soft = f' <span style="opacity:0.7">{html(about)}</span>' if about else ""
    return Markup(f"<div><b>{html(text)}</b>{soft}</div>")


def badge(text: str, is_good: bool) -> Markup:
    """A line that is marked green or amber."""
    colour = "#2a9d58" if is_good else "#d98a00"
    return Markup(f'<div style="border-left:4px solid {colour};padding-left:8px;margin:4px 0">{html(text)}</div>')


def lines(texts: Iterable[str], font: str = "inherit") -> Markup:
    """Below each other."""
    return Markup("".join(f'<div style="font-family:{font}">{html(text)}</div>' for text in texts))


def preformatted(text: str) -> Markup:
    """Lines whose columns stand below each other."""
    return Markup(f'<pre style="font-size:12px;line-height:1.35;margin:4px 0;color:inherit">{html(text)}</pre>')


def table(rows: Iterable[Sequence[str]], header: Sequence[str] = ()) -> Markup:
    """Of cells, text or `Markup`; lines of a text stay lines."""
    head = "".join(f'<th style="{_CELL};opacity:0.7">{html(cell)}</th>' for cell in header)
    body = "".join(
        "<tr style='background:transparent'>"
        + "".join(f'<td style="{_CELL};white-space:pre-wrap">{html(cell)}</td>' for cell in row)
        + "</tr>"
        for row in rows
    )
    start = f"<thead><tr style='background:transparent'>{head}</tr></thead>" if head else ""
    return Markup(
        f'<table style="border-collapse:collapse;margin:4px 0;color:inherit">{start}<tbody>{body}</tbody></table>'
    )


def sparkline(across: Sequence[float], values: Sequence[float], label: str) -> Markup:
    """A curve of positive values on a logarithmic axis, of others on a linear one; what is no number is left out."""
    points = [(x, y) for x, y in zip(across, values, strict=True) if math.isfinite(x) and math.isfinite(y)]
    if len(points) < 2:
        return Markup("")
    is_log = all(y > 0 for _, y in points)
    heights = [math.log10(y) if is_log else y for _, y in points]
    left, wide = points[0][0], (points[-1][0] - points[0][0]) or 1.0
    low, tall = min(heights), (max(heights) - min(heights)) or 1.0
    inner = _HEIGHT - 4
    line = " ".join(
        f"{(x - left) / wide * (_WIDTH - 4) + 2:.1f},{2 + inner - (h - low) / tall * inner:.1f}"
        for (x, _), h in zip(points, heights, strict=True)
    )
    return Markup(
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(label)}" style="vertical-align:middle"><title>{escape(label)}</title>'
        f'<rect x="0.5" y="0.5" width="{_WIDTH - 1}" height="{_HEIGHT - 1}" fill="none" stroke="{_LINE}"/>'
        f'<polyline points="{line}" fill="none" stroke="{_CURVE}" stroke-width="1.5"/></svg>'
    )
