"""A solution along one coordinate as an animated GIF, by Pillow, which matplotlib brings along."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..kernels import checks
from ..kernels.errors import InputError, short
from ..problem.problem import Problem
from ..storage.files import writable_file, write_atomically
from .canvas import Points, largest, limits, panel_height
from .figures import few_ticks, new_figure
from .slices import At, checked_at, fields_of
from .solution import ERROR_LINE, ERRORS, EXACT_LINE, VALUES, WIDTH, Found, View, views_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL.Image import Image

_PIXELS_PER_INCH = 80
_MOST_FRAMES = 1_000
_RESOLUTION = 81
# Of each scale of colours, in a GIF's 256.
_SHADES = 116
# Changes what is drawn to another frame.
Update = Callable[[View], None]


@dataclass(frozen=True)
class Animation:
    """A file that was written: ``path``, its number of ``frames``, frames a second. Notebooks show it."""

    path: Path
    frames: int
    fps: float

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.path.read_bytes()).decode()
        return f'<img src="data:image/gif;base64,{data}" alt="{escape(self.path.name)}" style="max-width:100%">'


def animate(
    problem: Problem,
    found: Found,
    along: str,
    path: str | Path,
    *,
    fields: object = None,
    at: At | None = None,
    frames: int = 40,
    fps: float = 10.0,
) -> Animation:
    """Network, and exact solution and error where this is known, over two other coordinates or one, ``along`` a third.

    Colours and axes mean the same in all frames.

    Args:
        along: the coordinate, from one end of its interval to the other.
        path: of the file, ``.gif``.
        fields: by name, some of the problem's; None: all.
        at: one value each of other coordinates, which are not drawn then.
        frames: how many, 2 to 1,000.
        fps: frames a second.

    Raises:
        InputError: another coordinate or field, no coordinate left to draw, numbers out of range, another suffix, or
            no file can be written there.
    """
    target, numbers = writable_file("path", path), fields_of(problem, fields)
    if target.suffix.lower() != ".gif":
        raise InputError(f"path: animations are GIFs, so expected a name that ends in .gif, got {short(str(path))}")
    frames = checks.integer("frames", frames, 2, most=_MOST_FRAMES)
    fps = checks.number("fps", fps, above=0)
    views = views_of(problem, found, _along(problem, along, at, frames), _RESOLUTION)
    figure, update = _drawn(problem, numbers, views)
    write_atomically(target, _gif(list(_images(figure, update, views)), fps))
    return Animation(target, len(views), fps)


def _along(problem: Problem, along: object, at: At | None, frames: int) -> At:
    """All values of the coordinate, beside those given of others."""
    coords = problem.pde.coords
    if not isinstance(along, str) or along not in coords:
        raise InputError(f"along: expected one of the coordinates {list(coords)}, got {short(along)}")
    given = checked_at(problem, at)
    if any(len(values) > 1 for values in given.values()):
        raise InputError(f"at: the values change along {along!r}, so expected one each of the others")
    if coords.index(along) in given:
        raise InputError(f"at: {along!r} is the coordinate that the animation runs along; leave it out")
    i = coords.index(along)
    values = np.linspace(problem.domain.low[i], problem.domain.high[i], frames)
    return {**{coords[k]: own for k, own in given.items()}, along: values}


def _drawn(problem: Problem, numbers: Sequence[int], views: Sequence[View]) -> tuple[Figure, Update]:
    """The figure of the first frame, and what changes it to others."""
    first, is_known = views[0], views[0].exact is not None
    columns = 1 + is_known * (1 if first.is_line else 2)
    height = 3.0 if first.is_line else panel_height(problem.domain, WIDTH)
    figure = new_figure(
        WIDTH * columns, height * len(numbers) + 0.3, "compressed" if first.canvas.is_shape else "constrained"
    )
    figure.dpi = _PIXELS_PER_INCH
    axes = figure.subplots(len(numbers), columns, squeeze=False)
    draw = _lines if first.is_line else _pictures
    rows = [draw(figure, axes[row].tolist(), problem, views, number) for row, number in enumerate(numbers)]
    title = figure.suptitle("", parse_math=False)

    def update(view: View) -> None:
        title.set_text(f"{problem.name} at {view.canvas.place}")
        for change in rows:
            change(view)

    update(first)
    return figure, update


def _panels(view: View, number: int) -> list[Points]:
    """Values of a field: network, exact solution, error."""
    own = view.found[:, number]
    return [own] if view.exact is None else [own, view.exact[:, number], own - view.exact[:, number]]


def _pictures(figure: Figure, axes: list[Axes], problem: Problem, views: Sequence[View], number: int) -> Update:
    """A row of images."""
    field = problem.pde.fields[number]
    columns = [np.concatenate(values) for values in zip(*(_panels(view, number) for view in views), strict=True)]
    low, high = limits(np.concatenate(columns[:2]))
    worst = largest(columns[2]) if len(columns) > 2 else 1.0
    scales = [(VALUES, low, high), (VALUES, low, high), (ERRORS, -worst, worst)]
    shown = []
    names = ("network", "exact", "error")
    for axis, values, scale, name in zip(axes, _panels(views[0], number), scales, names, strict=False):
        shown.append(views[0].canvas.draw(axis, values, *scale, with_bar=False))
        axis.set_title(f"{field}: {name}")
        axis.label_outer()
    figure.colorbar(shown[0], ax=axes[:2])
    if len(shown) > 2:
        figure.colorbar(shown[2], ax=axes[2])

    def change(view: View) -> None:
        for image, values in zip(shown, _panels(view, number), strict=True):
            image.set_data(view.canvas.image(values).T)

    return change


def _lines(figure: Figure, axes: list[Axes], problem: Problem, views: Sequence[View], number: int) -> Update:
    """A row of curves: network and exact solution in one panel, the error in another."""
    field, x = problem.pde.fields[number], views[0].canvas.mesh[0]
    columns = [np.concatenate(values) for values in zip(*(_panels(view, number) for view in views), strict=True)]
    styles = ({"label": "network"}, {"label": "exact", **EXACT_LINE}, ERROR_LINE)
    places = (axes[0], axes[0], axes[-1])
    lines = [axis.plot(x, x)[0] for axis, _ in zip(places, columns, strict=False)]
    for line, style in zip(lines, styles, strict=False):
        line.set(**style)
    low, high = limits(np.concatenate(columns[:2]))
    worst = largest(columns[2]) if len(columns) > 2 else 1.0
    axes[0].set_ylim(*_with_room(low, high))
    axes[0].set_title(field)
    if len(axes) > 1:
        axes[0].legend(fontsize="small", loc="upper right")
        axes[1].set_ylim(*_with_room(-worst, worst))
        axes[1].set_title(f"{field}: error")
    for axis in axes:
        axis.set_xlabel(problem.pde.coords[views[0].canvas.axes[0]])
        few_ticks(axis)
        axis.grid(alpha=0.3)

    def change(view: View) -> None:
        for line, values in zip(lines, _panels(view, number), strict=True):
            line.set_ydata(view.canvas.image(values))

    return change


def _with_room(low: float, high: float) -> tuple[float, float]:
    room = 0.05 * (high - low) or 0.5
    return low - room, high + room


def _images(figure: Figure, update: Update, views: Sequence[View]) -> Iterator[Image]:
    """Every frame, all in the place that the first one's layout found."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas: FigureCanvasAgg = FigureCanvasAgg(figure)
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)
        figure.set_layout_engine("none")
    for view in views:
        update(view)
        canvas.draw()  # type: ignore[no-untyped-call]  # of matplotlib's
        drawn = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]  # of matplotlib's
        yield Image.fromarray(drawn).convert("RGB")


def _gif(images: list[Image], fps: float) -> bytes:
    """All frames with one palette, so that no colour flickers."""
    from PIL.Image import Dither

    palette, contents = _palette(), io.BytesIO()
    first, *rest = (image.quantize(palette=palette, dither=Dither.NONE) for image in images)
    first.save(contents, format="GIF", save_all=True, append_images=rest, duration=round(1000 / fps), loop=0)
    return contents.getvalue()


def _palette() -> Image:
    """The colours of values, of errors, of lines, and greys."""
    from matplotlib import colormaps, colors
    from PIL import Image

    parts = np.linspace(0, 1, _SHADES)
    lines = [colors.to_rgba(name) for name in ("C0", ERROR_LINE["color"], "#8fbbda", "#d98c95")]
    table = np.concatenate([colormaps[VALUES](parts), colormaps[ERRORS](parts), lines])[:, :3]
    greys = np.linspace(0, 1, 256 - len(table))[:, None].repeat(3, 1)
    made = Image.new("P", (1, 1))
    made.putpalette(np.round(255 * np.concatenate([table, greys])).astype(np.uint8).tobytes())
    return made
