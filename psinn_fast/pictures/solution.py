"""A solution beside the exact one, and the error: images, or lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..domains import Domain
from ..kernels.errors import InputError
from ..language.names import Names
from ..networks.mlp import PsiMLP
from ..problem.problem import Problem
from ..problems import as_problem
from ..training.checks import check_fits
from ..training.metrics import evaluate
from .canvas import OF_SHAPES, RESOLUTION, Canvas, Points, largest, limits, panel_height
from .figures import few_ticks, new_figure
from .slices import At, fields_of, slices_of, times_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase

Found = Callable[[Points], Points]
WIDTH = 4.2
# Of all fields together: each row takes some 0.1 s.
_MOST_ROWS = 6
_TIMES = "#1b4965", "#c1666b", "#d4a017"
EXACT_LINE: dict[str, Any] = {"color": "black", "linestyle": ":", "linewidth": 1.6}
ERROR_LINE: dict[str, Any] = {"color": "#b2182b"}
VALUES, ERRORS = "viridis", "RdBu_r"


def solution_figure(
    problem: Problem | str,
    net: PsiMLP,
    title: str = "",
    backend: str = "auto",
    *,
    fields: Names | None = None,
    at: At | None = None,
) -> Figure:
    """Per field a row: network, exact solution, error (the last two where the exact one is known).

    Two coordinates are drawn as images, with profiles at three times if one of them is time; one as a line. Of more,
    there are rows for three times, or for three values of a third coordinate, and what is left is at its centre.

    Args:
        fields: by name, ``"u p"``; None: all.
        at: values of coordinates, which are not drawn then: ``{"t": 0.3}``, or several of one, ``{"t": [0, 1]}``.

    Raises:
        InputError: other fields or coordinates, values beyond the domain.
    """
    problem = as_problem(problem)
    check_fits(problem, net)
    return figure_of(problem, lambda points: evaluate(net, points, backend), title, fields, at)


def figure_of(problem: Problem, found: Found, title: str = "", fields: object = None, at: At | None = None) -> Figure:
    """`draw_views` of any function of points (N, d) that gives (N, F).

    Args:
        fields: names of fields; None: all.
        at: values of coordinates, which are not drawn then (`slices_of`).

    Raises:
        InputError: other fields or coordinates, values beyond the domain.
    """
    numbers = fields_of(problem, fields)
    views = views_of(problem, found, at, n_fields=len(numbers))
    size = size_of(problem, views, len(numbers))
    figure = new_figure(*size, "compressed" if views[0].canvas.is_shape else "constrained")
    draw_views(figure, problem, found, views, numbers)
    figure.suptitle(title, parse_math=False)
    return figure


@dataclass(frozen=True)
class View:
    """A slice: where, (N, F) of the network, and of the exact solution if it is known, NaN where that says nothing."""

    canvas: Canvas
    found: Points
    exact: Points | None

    @property
    def is_line(self) -> bool:
        return len(self.canvas.mesh) == 1


def views_of(
    problem: Problem, found: Found, at: At | None = None, resolution: int = RESOLUTION, n_fields: int = 0
) -> list[View]:
    """
    Args:
        n_fields: how many are drawn, which says how many slices have room; 0: all.

    Raises:
        InputError: see `slices_of`; no point of the domain lies in a slice.
    """
    most = max(1, min(3, _MOST_ROWS // (n_fields or len(problem.pde.fields))))
    slices, domain = slices_of(problem, at, most), problem.domain
    canvases = [_canvas(domain, slices.axes, place, resolution) for place in slices.places]
    if at is None:
        canvases = [own for own in canvases if len(own.points)] or [_canvas(domain, slices.axes, {}, resolution)]
    for own in canvases:
        if not len(own.points):
            raise InputError(f"at: there is no point of the domain at {own.place}")
    return [view_on(own, problem, found) for own in canvases]


def _canvas(domain: Domain, axes: Sequence[int], at: dict[int, float], resolution: int) -> Canvas:
    return Canvas(domain, resolution if domain.is_box else resolution * OF_SHAPES // RESOLUTION, axes, at)


def view_on(canvas: Canvas, problem: Problem, found: Found) -> View:
    exact = None
    if problem.exact is not None:
        exact = problem.exact_at(canvas.points)
        exact = np.where(np.isfinite(exact), exact, np.nan)
    return View(canvas, found(canvas.points), exact)


def size_of(problem: Problem, views: Sequence[View], n_fields: int = 0) -> tuple[float, float]:
    """Inches, of a figure of views."""
    n_fields = n_fields or len(problem.pde.fields)
    panels = 1 if views[0].exact is None else 3
    if views[0].is_line:
        return WIDTH * max(1, panels - 1), 3.4 * n_fields * len(views)
    height = panel_height(problem.domain, WIDTH) * (0.85 if len(views) > 1 else 1.0)
    return WIDTH * (panels + _has_profiles(problem, views)), height * n_fields * len(views)


def draw_views(
    figure: FigureBase, problem: Problem, found: Found, views: Sequence[View], fields: Sequence[int] | None = None
) -> None:
    """Rows of fields, each of slices; see `solution_figure`."""
    fields = fields_of(problem, None) if fields is None else fields
    if views[0].is_line:
        _draw_lines(figure, problem, views, fields)
    else:
        _draw_images(figure, problem, found, views, fields)


def _draw_lines(figure: FigureBase, problem: Problem, views: Sequence[View], fields: Sequence[int]) -> None:
    is_known = views[0].exact is not None
    axes = iter(figure.subplots(len(fields) * len(views), 1 + is_known, squeeze=False))
    for number in fields:
        field = problem.pde.fields[number]
        for view in views:
            first, *second = next(axes)
            place = view.canvas.place and f" at {view.canvas.place}"
            first.set_title(f"{field}{place}")
            _draw_line(first, view, view.found[:, number], {"label": "network"})
            first.set_ylabel(field)
            for axis in second:
                assert view.exact is not None
                _draw_line(first, view, view.exact[:, number], {"label": "exact", **EXACT_LINE})
                first.legend(fontsize="small")
                _draw_line(axis, view, view.found[:, number] - view.exact[:, number], ERROR_LINE)
                axis.set_title(f"{field}: error{place}")
            for axis in (first, *second):
                axis.set_xlabel(problem.pde.coords[view.canvas.axes[0]])
                axis.grid(alpha=0.3)


def _draw_line(axis: Axes, view: View, values: Points, style: dict[str, Any]) -> None:
    axis.plot(view.canvas.mesh[0], view.canvas.image(values), **style)


def _draw_images(
    figure: FigureBase, problem: Problem, found: Found, views: Sequence[View], fields: Sequence[int]
) -> None:
    panels = 1 if views[0].exact is None else 3
    has_profiles = _has_profiles(problem, views)
    axes = figure.subplots(len(fields) * len(views), panels + has_profiles, squeeze=False)
    for place, number in enumerate(fields):
        rows = axes[place * len(views) : (place + 1) * len(views)]
        _draw_field(figure, rows[:, :panels], problem.pde.fields[number], views, number)
        if has_profiles:
            _draw_profiles(rows[0, panels], problem, found, number)
    for axis in axes[:, :panels].flat:
        axis.label_outer()


def _draw_field(figure: FigureBase, rows: object, field: str, views: Sequence[View], number: int) -> None:
    """The slices of one field, with one scale of its values, and one of its errors."""
    axes = np.asarray(rows)
    panels = [[view.found[:, number] for view in views]]
    names = ["network"]
    if views[0].exact is not None:
        exact = [view.exact[:, number] for view in views if view.exact is not None]
        panels += [exact, [own - known for own, known in zip(panels[0], exact, strict=True)]]
        names += ["exact", "error"]
    low, high = limits(np.concatenate([*panels[0], *(panels[1] if len(panels) > 1 else ())]))
    worst = largest(np.concatenate(panels[2])) if len(panels) > 2 else 1.0
    for column, (name, slices) in enumerate(zip(names, panels, strict=True)):
        for view, values, axis in zip(views, slices, axes[:, column], strict=True):
            axis.set_title(f"{field}: {name}{view.canvas.place and ' at '}{view.canvas.place}")
            scale = (ERRORS, -worst, worst) if name == "error" else (VALUES, low, high)
            shown = view.canvas.draw(axis, values, *scale, with_bar=False)
        if name == "error":
            figure.colorbar(shown, ax=axes[:, column].tolist())
        elif column == min(1, len(panels) - 1):
            figure.colorbar(shown, ax=axes[:, : column + 1].ravel().tolist())


def _has_profiles(problem: Problem, views: Sequence[View]) -> bool:
    """Whether the images are over time and one other coordinate: profiles along this show what colours do not."""
    return len(problem.pde.coords) == 2 and problem.pde.time is not None and not views[0].is_line


def _draw_profiles(axis: Axes, problem: Problem, found: Found, number: int) -> None:
    coords = problem.pde.coords
    time = coords.index(str(problem.pde.time))
    for value, colour in zip(times_of(problem), _TIMES, strict=True):
        view = view_on(Canvas(problem.domain, 2 * RESOLUTION, (1 - time,), {time: value}), problem, found)
        _draw_line(axis, view, view.found[:, number], {"color": colour, "label": view.canvas.place})
        if view.exact is not None:
            _draw_line(
                axis, view, view.exact[:, number], {**EXACT_LINE, "label": "exact" if colour == _TIMES[-1] else None}
            )
    axis.set_xlabel(coords[1 - time])
    axis.set_ylabel(problem.pde.fields[number])
    axis.set_title(f"{problem.pde.fields[number]}: profiles")
    few_ticks(axis)
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small")
