"""The picture of docs/domains.md: a few shapes with points of their interior, and of each part with its normals."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from examples.common import new_figure, parser, save
from psinn_fast import Box, Disk, Domain, Ellipse, Polygon

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHANNEL = Box(x=(0, 1.1), y=(-0.2, 0.2)) - Disk((0.2, 0), 0.05).renamed({"rim": "cylinder"})
SHAPES = {
    "a channel around a cylinder": CHANNEL,
    "a disk without an ellipse": Disk() - Ellipse((0.3, 0.2), (0.6, 0.25)).rotated(math.pi / 6),
    "a polygon and a disk": Polygon([(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)]) | Disk((1.6, 1.6), 0.65),
}
_POINTS, _QUICK, _ON_BOUNDARY, _NORMAL = 400, 20, 48, 0.07
_COLOURS = ("#d62828", "#003049", "#f77f00", "#2a9d8f", "#6a4c93", "#8d6e63", "#4361ee", "#b5179e")


def main(arguments: Sequence[str] | None = None) -> int:
    commands = parser("shapes", __doc__)
    commands.set_defaults(out=Path(__file__).parents[1] / "docs" / "shapes.png")
    options = commands.parse_args(arguments)
    figure = new_figure(11, 3.4)
    n = _QUICK if options.quick else _POINTS
    for axis, (title, domain) in zip(figure.subplots(1, len(SHAPES)), SHAPES.items(), strict=True):
        axis.set_title(title, fontsize=10)
        axis.set_aspect("equal")
        inside = domain.graded(n, 0, "cylinder", reach=0.06) if domain is CHANNEL else domain.random(n, seed=0)
        axis.plot(*inside.T, ".", color="#adb5bd", markersize=2)
        for line in domain.outline():
            axis.plot(*line.T, color="black", linewidth=0.7)
        for part, colour in zip(domain.parts, _COLOURS, strict=False):
            _draw(axis, domain, part, colour)
        axis.legend(fontsize=6, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4)
    save(figure, options.out)
    print(f"wrote {options.out}")
    return 0


def _draw(axis: Axes, domain: Domain, part: str, colour: str) -> None:
    """Points of a part, as many as its length asks for, with their normals."""
    whole = sum(map(domain.measure, domain.parts))
    points = domain.boundary(max(2, round(_ON_BOUNDARY * domain.measure(part) / whole)), part)
    assert points.normals is not None
    reach = _NORMAL * float((domain.high - domain.low).max())
    axis.plot(*points.T, "o", color=colour, markersize=2.5, label=part)
    for start, normal in zip(points, points.normals, strict=True):
        axis.plot(*zip(start, start + reach * normal, strict=True), color=colour, linewidth=0.7)


if __name__ == "__main__":
    sys.exit(main())
