"""A result in one picture: what was found, how far it is off, where the residuals are, and how training went."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..networks.mlp import PsiMLP
from ..problem.problem import Problem
from ..training.history import History
from ..training.metrics import evaluate
from .canvas import Points
from .figures import new_figure
from .histories import draw_histories, panels_of_history
from .loss_map import draw_loss_map, loss_map, panels_of
from .slices import At, fields_of
from .solution import draw_views, size_of, views_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

# Inches; a panel's narrowest.
_ROW, _PANEL = 3.3, 3.6


def shown(
    problem: Problem,
    net: PsiMLP,
    coefficients: Mapping[str, float],
    history: History,
    title: str,
    fields: object = None,
    at: At | None = None,
) -> Figure:
    """Rows: the fields with their errors (`draw_views`), the loss map (`draw_loss_map`), the history.

    Args:
        fields: names of fields; None: all.
        at: values of coordinates, which are not drawn then (`slices_of`).

    Raises:
        InputError: other fields or coordinates, values beyond the domain.
    """
    numbers = fields_of(problem, fields)

    def found(points: Points) -> Points:
        return evaluate(net, points)

    views = views_of(problem, found, at, n_fields=len(numbers))
    residuals = loss_map(problem, net, coefficients)
    width, height = size_of(problem, views, len(numbers))
    parts: list[tuple[float, Callable[[SubFigure], None]]] = [
        (height, lambda own: draw_views(own, problem, found, views, numbers)),
        (_ROW, lambda own: draw_loss_map(own, problem, residuals)),
    ]
    if len(history):
        parts.append((_ROW, lambda own: draw_histories(own, {"loss": history}, terms=True)))
    most = max(panels_of(problem), panels_of_history(history) if len(history) else 1)
    figure = new_figure(max(width, _PANEL * most), sum(height for height, _ in parts) + 0.3)
    rows = figure.subfigures(len(parts), 1, squeeze=False, height_ratios=[height for height, _ in parts])[:, 0]
    for row, (_, draw) in zip(rows, parts, strict=True):
        draw(row)
    figure.suptitle(title, parse_math=False)
    return figure
