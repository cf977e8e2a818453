"""Pictures of plane flows: speed with streamlines, pressure, and the pressure along bodies in the flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..kernels.errors import InputError
from ..networks.mlp import PsiMLP
from ..problem.problem import Problem
from ..problems import as_problem
from ..training.checks import check_fits
from ..training.metrics import evaluate
from .canvas import Canvas, panel_height
from .figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase

Points = npt.NDArray[np.float64]

_FIELDS = ("u", "v", "p")
_RESOLUTION, _AROUND = 361, 256
# Inches.
_WIDTH, _BESIDE = 9.0, 4.2
# Points of a closed curve follow each other at even distances, from the last one to the first too.
_EVEN = 3.0


def is_flow(problem: Problem) -> bool:
    """Whether it is a flow in a plane shape: two coordinates, none of them time, fields u, v and p."""
    pde, domain = problem.pde, problem.domain
    return set(_FIELDS) <= set(pde.fields) and len(pde.coords) == 2 and pde.time is None and not domain.is_box


def flow_figure(problem: Problem | str, net: PsiMLP, title: str = "", backend: str = "auto") -> Figure:
    """Speed and streamlines, pressure; beside them the pressure along closed parts of the boundary (cylinders) against
    the angle about their middle, of the network and, where it is known, of the exact solution.

    Raises:
        InputError: the problem is no flow in a plane shape.
    """
    problem = as_problem(problem)
    check_fits(problem, net)
    if not is_flow(problem):
        raise InputError(
            f"problem: expected a plane flow, two coordinates, fields u, v and p, in a domain that is no box, got "
            f"{problem.name!r}"
        )
    bodies = [part for part in problem.domain.parts if _is_closed(problem.domain.boundary(_AROUND, part))]
    widths = [_WIDTH, _BESIDE] if bodies else [_WIDTH]
    figure = new_figure(sum(widths), 2 * panel_height(problem.domain, _WIDTH))
    left, *right = figure.subfigures(1, len(widths), squeeze=False, width_ratios=widths)[0]
    _draw_fields(left, problem, net, backend)
    for beside in right:
        for axis, part in zip(beside.subplots(len(bodies), 1, squeeze=False)[:, 0], bodies, strict=True):
            _draw_pressure(axis, problem, net, part, backend)
    figure.suptitle(title, parse_math=False)
    return figure


def _draw_fields(figure: FigureBase, problem: Problem, net: PsiMLP, backend: str) -> None:
    canvas = Canvas(problem.domain, _RESOLUTION)
    u, v, p = _columns(problem, evaluate(net, canvas.points, backend))
    x, y = canvas.mesh[0][:, 0], canvas.mesh[1][0]
    above, below = figure.subplots(2, 1)
    speed = np.hypot(u, v)
    canvas.draw(above, speed, "viridis", 0.0, float(speed.max()))
    lines = {"color": "white", "linewidth": 0.5, "density": 1.3, "arrowsize": 0.6}
    above.streamplot(x, y, canvas.image(u).T, canvas.image(v).T, **lines)
    above.set_xlim(x[0], x[-1])
    above.set_ylim(y[0], y[-1])
    above.set_title("speed and streamlines")
    canvas.draw(below, p, "plasma", float(p.min()), float(p.max()))
    below.contour(x, y, canvas.image(p).T, levels=24, colors="white", linewidths=0.4)
    below.set_title("pressure")


def _draw_pressure(axis: Axes, problem: Problem, net: PsiMLP, part: str, backend: str) -> None:
    """Along a part, against the angle."""
    points = np.array(problem.domain.boundary(_AROUND, part))
    x, y = (points - points.mean(0)).T
    order = np.argsort(angle := np.degrees(np.arctan2(y, x)))
    axis.plot(angle[order], _columns(problem, evaluate(net, points, backend))[2][order], label="network")
    if problem.exact is not None:
        exact = _columns(problem, problem.exact_at(points))[2][order]
        axis.plot(angle[order][::8], exact[::8], "k.", markersize=4, label="reference")
    axis.set_title(f"pressure along {part}")
    axis.set_xlabel("angle from the x axis, degrees")
    axis.set_xticks([-180, -90, 0, 90, 180])
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small")


def _columns(problem: Problem, values: Points) -> list[Points]:
    """u, v and p of the fields."""
    return [values[:, problem.pde.fields.index(name)] for name in _FIELDS]


def _is_closed(points: Points) -> bool:
    steps = np.linalg.norm(points - np.roll(points, 1, axis=0), axis=1)
    return bool(steps.max() < _EVEN * steps.mean())
