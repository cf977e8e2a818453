"""A network in one picture: its structure, and what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..networks.mlp import PsiMLP
from ..problem.problem import Problem
from ..training.metrics import evaluate
from .canvas import Points
from .figures import new_figure
from .solution import draw_views, size_of, views_of
from .structures import draw_structure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def overview_figure(problem: Problem, net: PsiMLP, backend: str = "auto") -> Figure:
    """The structure above, the solution below."""

    def found(points: Points) -> Points:
        return evaluate(net, points, backend)

    views = views_of(problem, found)
    width, height = size_of(problem, views)
    figure = new_figure(max(12.0, width), 3.6 + height)
    rows = figure.subfigures(2, 1, squeeze=False, height_ratios=(3.6, height))
    draw_structure(rows[0, 0], net.structure)
    draw_views(rows[1, 0], problem, found, views)
    return figure
