"""Pictures: the solution beside the exact one and the error, loss curves, and R. Only drawing imports matplotlib."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..domains import Domain
from ..kernels.errors import InputError
from ..networks.mlp import PsiMLP
from ..networks.structure import Structure
from ..networks.structure_text import ends_text, frame_text, named_symbols
from ..problem.problem import Problem
from ..problems import as_problem
from ..storage.files import write_atomically
from ..training.checks import check_fits
from ..training.history import History
from ..training.metrics import evaluate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase

Points = npt.NDArray[np.float64]
_RESOLUTION = 121
# Distinct, light enough for black letters; symbols beyond twelve repeat colours but keep their letters.
_COLOURS = (
    "#8ecae6", "#ffb703", "#90be6d", "#f28482", "#cdb4db", "#e9c46a",
    "#84a59d", "#ffafcc", "#a8dadc", "#d4a373", "#b7e4c7", "#bdb2ff",
)  # fmt: skip


def overview_figure(problem: Problem, net: PsiMLP, backend: str = "auto") -> Figure:
    """The structure above, the solution below."""
    figure = new_figure(12, 3.6 + 3.4 * len(problem.pde.fields))
    rows = figure.subfigures(2, 1, squeeze=False, height_ratios=(1, len(problem.pde.fields)))
    draw_structure(rows[0, 0], net.structure)
    draw_solution(rows[1, 0], problem, net, backend)
    return figure


def solution_figure(problem: Problem | str, net: PsiMLP, title: str = "", backend: str = "auto") -> Figure:
    """See `draw_solution`."""
    problem = as_problem(problem)
    check_fits(problem, net)
    return figure_of(problem, lambda points: evaluate(net, points, backend), title)


def figure_of(problem: Problem, found: Callable[[Points], Points], title: str = "") -> Figure:
    """`solution_figure` of any function of points (N, d) that gives (N, F)."""
    panels = 1 if problem.exact is None else 3
    figure = new_figure(4.2 * panels, panel_height(problem.domain, 4.2) * len(problem.pde.fields))
    draw_values(figure, problem, found)
    figure.suptitle(title, parse_math=False)
    return figure


def panel_height(domain: Domain, width: float) -> float:
    """Inches, of a panel as wide as that, its title and labels included: less for long shapes."""
    if domain.is_box or len(domain.pictured_axes) == 1:
        return 3.4
    across, along = (domain.high - domain.low)[list(domain.pictured_axes)]
    return float(np.clip(0.66 * width * along / across + 0.9, 1.5, max(3.4, width)))


class Canvas:
    """A mesh over the coordinates of a domain that are drawn (`Domain.pictured_axes`), the others at their centre, if
    that is inside.

    Attributes:
        axes: which coordinates are drawn, one or two.
        mesh: one array per drawn coordinate.
        points: (N, d), those of the mesh that lie in the domain.
        place: where the others are, e.g. "t = 0.5"; "" if there are none.
    """

    def __init__(self, domain: Domain, resolution: int) -> None:
        self.axes = list(domain.pictured_axes)
        others = [i for i in range(len(domain.coords)) if i not in self.axes]
        widths = (domain.high - domain.low)[self.axes]
        # A shape is drawn in its proportions.
        counts = [resolution if domain.is_box else max(2, round(resolution * w / widths.max())) for w in widths]
        steps = [np.linspace(domain.low[i], domain.high[i], n) for i, n in zip(self.axes, counts, strict=True)]
        self.mesh = tuple(np.meshgrid(*steps, indexing="ij"))
        points = np.tile(domain.centre, (self.mesh[0].size, 1))
        points[:, self.axes] = np.stack([axis.ravel() for axis in self.mesh], 1)
        if domain.outside(points).all():  # there is a hole at the centre
            points[:, others] = domain.random(1, 0)[0, others]
        self._domain, self._inside = domain, ~domain.outside(points)
        self.place = ", ".join(f"{domain.coords[i]} = {points[0, i]:.4g}" for i in others)
        self.points = points[self._inside]

    def image(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Values (N,) at the points, in the mesh's shape; NaN outside of the domain, where nothing is drawn."""
        image = np.full(self._inside.shape, np.nan)
        image[self._inside] = values
        return image.reshape(self.mesh[0].shape)

    def draw(self, axis: Axes, values: npt.NDArray[np.float64], colours: str, low: float, high: float) -> None:
        """An image of values (N,), with its colour bar, and the outline of a domain that is no box."""
        domain = self._domain
        i, j = self.axes
        extent = (domain.low[i], domain.high[i], domain.low[j], domain.high[j])
        shown = axis.imshow(
            self.image(values).T, origin="lower", extent=extent, aspect="auto", cmap=colours, vmin=low, vmax=high
        )
        axis.set_aspect("auto" if domain.is_box else "equal")
        for line in () if domain.is_box else domain.outline():
            axis.plot(*line.T, color="black", linewidth=0.8)
        axis.figure.colorbar(shown, ax=axis, shrink=1.0 if domain.is_box else 0.95)
        axis.set_xlabel(domain.coords[i])
        axis.set_ylabel(domain.coords[j])


def draw_solution(figure: FigureBase, problem: Problem, net: PsiMLP, backend: str = "auto") -> None:
    """See `draw_values`."""
    draw_values(figure, problem, lambda points: evaluate(net, points, backend))


def draw_values(figure: FigureBase, problem: Problem, of: Callable[[Points], Points]) -> None:
    """Per field a row: network, exact solution, error (the last two where the exact one is known).

    Two coordinates are drawn as images, one as a line; of three or four the first two, or those of a shape in a product
    with a time, the others at their centre.
    """
    canvas = Canvas(problem.domain, _RESOLUTION if problem.domain.is_box else 2 * _RESOLUTION)
    points = canvas.points
    found = of(points)
    panels = [("network", found)]
    if problem.exact is not None:
        exact = problem.exact_at(points)
        exact = np.where(np.isfinite(exact), exact, np.nan)
        panels += [("exact", exact), ("error", found - exact)]
    fields = problem.pde.fields
    axes = figure.subplots(len(fields), len(panels), squeeze=False)
    for row, field in enumerate(fields):
        for column, (name, values) in enumerate(panels):
            axis = axes[row, column]
            axis.set_title(f"{field}: {name}{canvas.place and ' at '}{canvas.place}")
            own = values[:, row]
            if len(canvas.mesh) == 1:
                axis.plot(canvas.mesh[0], canvas.image(own))
                axis.set_xlabel(problem.pde.coords[0])
            elif name == "error":
                limit = float(np.nanmax(np.abs(own))) or 1.0
                canvas.draw(axis, own, "RdBu_r", -limit, limit)
            else:
                canvas.draw(axis, own, "viridis", float(np.nanmin(own)), float(np.nanmax(own)))


def history_figure(histories: Mapping[str, History], terms: bool = False) -> Figure:
    """Total loss, relative L2 error and unknown coefficients against the step, one curve per run.

    Dots are the loss at points that training does not see. With ``terms``, every loss term as well. Error and
    coefficients are left out where there are none.
    """
    first = next(iter(histories.values()))
    names, coefficients = first.terms, first.coefficients
    has_error = not np.isnan(first["relative_l2"]).all()
    panels = ["loss", *(["relative_l2"] if has_error else []), *coefficients]
    figure = new_figure(5 * len(panels), 4)
    for axis, column in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for label, history in histories.items():
            (curve,) = axis.plot(history["step"], history[column], label=label)
            if column == "loss":
                axis.plot(history["step"], history["held_out"], ".", color=curve.get_color())
            for term in names if terms and column == "loss" else ():
                axis.plot(history["step"], history[term], label=term, linewidth=0.7)
        axis.set_yscale("linear" if column in coefficients else "log")
        axis.set_xlabel("step")
        axis.set_ylabel(column)
        axis.grid(alpha=0.3)
    figure.axes[0].legend(fontsize="small")
    return figure


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
        axis.set_ylabel("entries of W" if number == 0 else "")
    return figure


def save_figure(figure: Figure, path: str | Path) -> None:
    """In the format that the name ends in.

    Raises:
        OSError: the file cannot be written.
    """
    contents = io.BytesIO()
    figure.savefig(contents, dpi=110, format=Path(path).suffix[1:] or "png")
    write_atomically(path, contents.getvalue())


def new_figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _draw_blocks(axis: Axes, symbols: Sequence[Sequence[int]], names: Sequence[Sequence[str]], left: float) -> None:
    for i, row in enumerate(symbols):
        for j, symbol in enumerate(row):
            colour = _COLOURS[(abs(symbol) - 1) % len(_COLOURS)] if symbol else "white"
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
