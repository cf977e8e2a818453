"""One picture of a discovery: R, the evidence for every map, and the solution beside its image under the maps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..kernels import networks_of_the_library
from ..pictures.canvas import Canvas, largest
from ..pictures.figures import new_figure
from ..pictures.solution import ERRORS, VALUES
from ..pictures.structures import draw_structure
from ..training.metrics import evaluate

if TYPE_CHECKING:
    from matplotlib.figure import Figure, FigureBase

    from ..discovery.found import Discovery

_RESOLUTION = 81
_MOST_MAPS = 2
_ACCEPTED, _REJECTED, _NOISE = "#2a9d8f", "#d62828", "#6c757d"


def discovery_figure(discovery: Discovery) -> Figure:
    """R above; then, where networks were trained, bars of the asymmetries and images of the best one."""
    has_teachers = bool(discovery.teachers) and any(row.effect is not None for row in discovery.evidence)
    if not has_teachers:
        figure = new_figure(12, 3.2)
        draw_structure(figure, discovery.structure)
        return figure
    maps = _shown_maps(discovery)
    heights = (3.2, 1.2 + 0.3 * len(discovery.evidence), 3.0 * len(maps) * len(discovery.problem.pde.fields))
    figure = new_figure(12, sum(heights))
    rows = figure.subfigures(3, 1, squeeze=False, height_ratios=heights)[:, 0]
    draw_structure(rows[0], discovery.structure)
    draw_evidence(rows[1], discovery)
    draw_images(rows[2], discovery, maps)
    return figure


def draw_evidence(figure: FigureBase, discovery: Discovery) -> None:
    """Per map, the teachers' asymmetry as a bar on a logarithmic axis, and their noise as a mark on it."""
    rows = [row for row in discovery.evidence if row.effect is not None and row.noise is not None]
    axis = figure.subplots(1, 1)
    places = np.arange(len(rows))
    effects = np.array([row.effect for row in rows], dtype=np.float64)
    noise = np.array([row.noise for row in rows], dtype=np.float64)
    lowest = 0.3 * float(min(noise.min(), effects[effects > 0].min(initial=1.0)))
    colours = [_ACCEPTED if row.accepted else _REJECTED for row in rows]
    axis.barh(places, np.maximum(effects, lowest) - lowest, left=lowest, color=colours, height=0.6)
    axis.plot(noise, places, "|", color=_NOISE, markersize=14, markeredgewidth=2.5, label="noise: teachers' difference")
    signs = ["".join("+" if sign > 0 else "-" for sign in row.symmetry.character) for row in rows]
    axis.set_yticks(places, [f"{row.text}  ({own})" for row, own in zip(rows, signs, strict=True)])
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.set_xlim(lowest, 4)
    axis.set_xlabel("asymmetry ||u(g x) - chi u(x)|| / ||u||   (green: accepted, red: rejected)")
    axis.legend(fontsize="small", loc="lower right")


@networks_of_the_library()
def draw_images(figure: FigureBase, discovery: Discovery, maps: list[int]) -> None:
    """Per map, each field u of the best network, chi u(g x), their difference, over the first two coordinates."""
    problem, net = discovery.problem, discovery.teachers[0].net
    canvas, centre = Canvas(problem.domain, _RESOLUTION), problem.domain.centre
    own, fields = evaluate(net, canvas.points, discovery.backend), problem.pde.fields
    axes = figure.subplots(len(maps) * len(fields), 3, squeeze=False)
    rows = iter(axes)
    for evidence in (discovery.evidence[number] for number in maps):
        images = centre + evidence.symmetry.map(canvas.points - centre)
        mapped = evaluate(net, images, discovery.backend) * evidence.symmetry.character
        for number, (field, chi) in enumerate(zip(fields, evidence.symmetry.character, strict=True)):
            values, image = own[:, number], mapped[:, number]
            title = f"{'' if chi > 0 else '-'}{field}(g x), g: {evidence.text}"
            panels = ((field, values), (title, image), ("difference", values - image))
            row = next(rows)
            for axis, (text, shown) in zip(row, panels, strict=True):
                axis.set_title(text, fontsize=10)
                if len(canvas.mesh) == 1:
                    axis.plot(canvas.mesh[0], canvas.image(shown))
                    axis.set_xlabel(problem.pde.coords[0])
                    continue
                limit = largest(shown if text == "difference" else values)
                colours = ERRORS if text == "difference" else VALUES
                drawn = canvas.draw(axis, shown, colours, -limit, limit, with_bar=text == "difference")
                if text == title:  # one scale for u and its image
                    figure.colorbar(drawn, ax=row[:2].tolist())
    if len(canvas.mesh) == 2:
        for axis in axes.flat:
            axis.label_outer()


def _shown_maps(discovery: Discovery) -> list[int]:
    """The accepted maps, as far as there is room; else the one that comes closest."""
    rows = discovery.evidence
    accepted = [number for number, row in enumerate(rows) if row.accepted]
    effects = [math.inf if row.effect is None else row.effect for row in rows]
    return accepted[:_MOST_MAPS] or [effects.index(min(effects))]
