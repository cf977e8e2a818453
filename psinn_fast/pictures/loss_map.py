"""Where the loss is: which parts of the domain hold the squared residuals, and which terms the rest.

A network that is wrong near a corner, at a front, or at the first times has its residuals there, while curves of losses
and errors look as those of any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..kernels import get_backend
from ..networks.mlp import PsiMLP
from ..problem.checks.settings import check_coefficients
from ..problem.conditions import DATA, EQUATION, INSIDE
from ..problem.problem import Problem
from ..problems import as_problem
from ..scaling.natural_scales import natural_scales
from ..scaling.natural_units import in_natural_units
from ..training.checks import check_fits
from ..training.points.held_out import REPORTED, HeldOut, residual_of
from .canvas import Points
from .figures import few_ticks, new_figure
from .slices import drawn_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase

# Along an axis of a map, and of a curve.
_BINS, _ON_A_LINE = 28, 64
# Parameters; of larger networks residuals are looked at in so many points, which take long enough.
_LARGE, _OF_LARGE = 20_000, 4_096
# Parts of the mean below this are all one colour.
_LEAST = 1e-2
_COLOURS, _BAR = "magma", "#457b9d"
_WIDTH, _HEIGHT = 4.6, 3.4
# Fewer are no thicker.
_MOST_BARS_WIDE = 4
_MEAN = "relative to the mean"


@dataclass(frozen=True)
class LossMap:
    """``points`` (N, d) inside, and the ``shares`` (N,) that their squared residuals have in all of these, with
    weights; ``terms``: what each term has of the whole loss, by name, and equation where there are several. NaN where
    residuals are no numbers."""

    points: Points
    shares: Points
    terms: dict[str, float]

    @property
    def half(self) -> float:
        """The smallest part of the points on which half of the squared residuals are."""
        most = np.cumsum(np.sort(np.nan_to_num(self.shares))[::-1])
        return float(np.searchsorted(most, most[-1] / 2) + 1) / len(most) if len(most) and most[-1] > 0 else np.nan


def loss_map(
    problem: Problem | str, net: PsiMLP, coefficients: Mapping[str, float] | None = None, backend: str = "auto"
) -> LossMap:
    """Where the squared residuals of a network are, and what each term has of the loss.

    Residuals are those at unseen points (`HeldOut`), in the units that they are trained in; at a term's own points
    where it has no others.

    Args:
        coefficients: the unknown ones, as found.

    Raises:
        InputError: a network or coefficients that do not fit the problem.
    """
    problem = as_problem(problem)
    check_fits(problem, net)
    found = check_coefficients("coefficients", coefficients or {}, tuple(problem.pde.unknown))
    trained = in_natural_units(problem, natural_scales(problem))
    device = net.theta.device
    free = torch.tensor(trained.unknowns.start(found, guessed=True), dtype=torch.float64, device=device)
    residual = residual_of(get_backend(backend, device), net.plan, net.theta.detach().double(), free)
    count = REPORTED if net.theta.numel() <= _LARGE else _OF_LARGE
    held = HeldOut(trained, count, torch.float64, device)
    own = trained.terms(torch.float64, device) if None in held.terms else held.terms
    points, shares, terms = list[Points](), list[Points](), dict[str, float]()
    for given, condition, term, traced in zip(own, trained.conditions, held.terms, trained.traced, strict=True):
        if not condition.weight or (term := given if term is None else term) is None:
            continue
        squares = residual(term).double().square().cpu().numpy() * (condition.weight / max(1, term.n_rows))
        squares[~np.isfinite(squares)] = np.nan
        names = traced.equations if len(traced.equations) == squares.shape[1] else ()
        for name, share in zip(names or ("",), squares.sum(0) if names else [squares.sum()], strict=True):
            key = f"{condition.name}: {name}" if name else condition.name
            terms[key] = terms.get(key, 0.0) + float(share)  # an equation may have several residuals
        region = condition.regions[0]
        is_inside = condition.kind in (EQUATION, INSIDE) if region is None else region.is_solid
        if is_inside and condition.kind != DATA and term.quadrature is None:
            points.append(term.points[0].double().cpu().numpy())
            shares.append(squares.sum(1))
    inside = np.concatenate(shares) if shares else np.empty(0)
    total, whole = float(np.nansum(inside)) or 1.0, float(np.nansum([*terms.values()])) or 1.0
    places = np.concatenate(points) if points else np.empty((0, len(problem.pde.coords)))
    return LossMap(places, inside / total, {name: share / whole for name, share in terms.items()})


def loss_map_figure(
    problem: Problem | str,
    net: PsiMLP,
    coefficients: Mapping[str, float] | None = None,
    title: str = "",
    backend: str = "auto",
) -> Figure:
    """The mean square residual in each part of the domain, relative to that of all, over the coordinates that pictures
    show, and along each of the others; and each term's part of the loss. See `loss_map`."""
    problem = as_problem(problem)
    found = loss_map(problem, net, coefficients, backend)
    figure = new_figure(_WIDTH * panels_of(problem), _HEIGHT)
    draw_loss_map(figure, problem, found)
    figure.suptitle(title, parse_math=False)
    return figure


def panels_of(problem: Problem) -> int:
    """How many there are beside each other."""
    return 2 + (len(problem.pde.coords) > len(drawn_axes(problem)))


def draw_loss_map(figure: FigureBase, problem: Problem, found: LossMap) -> None:
    """See `loss_map_figure`."""
    first, *others, last = figure.subplots(1, panels_of(problem), squeeze=False)[0]
    drawn = drawn_axes(problem)
    if len(drawn) == 2:
        _draw_map(figure, first, problem, found, drawn)
    else:
        _draw_curves(first, problem, found, drawn)
    half = "" if np.isnan(found.half) else f": half of it on {100 * found.half:.2g} % of the points"
    first.set_title(f"squared residual{half}", fontsize=10)
    for axis in others:
        _draw_curves(axis, problem, found, _left(problem))
        names = ", ".join(problem.pde.coords[i] for i in _left(problem))
        axis.set_title(f"squared residual along {names}", fontsize=10)
    _draw_terms(last, found)


def _left(problem: Problem) -> tuple[int, ...]:
    """The coordinates that are not drawn."""
    return tuple(i for i in range(len(problem.pde.coords)) if i not in drawn_axes(problem))


def _relative(found: LossMap, axes: tuple[int, ...], edges: list[Points]) -> Points:
    """The mean of the shares in each bin, relative to that of all; NaN where no points are."""
    sample = found.points[:, list(axes)]
    counts, _ = np.histogramdd(sample, edges)
    sums, _ = np.histogramdd(sample, edges, weights=found.shares)
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    return np.asarray(means * max(1, len(found.shares)))


def _edges(problem: Problem, axis: int, bins: int) -> Points:
    low, high = problem.domain.low[axis], problem.domain.high[axis]
    edges = np.linspace(low, high, bins + 1)
    slack = 1e-6 * (high - low)  # points in float32 may lie beyond
    edges[[0, -1]] += -slack, slack
    return edges


def _draw_map(figure: FigureBase, axis: Axes, problem: Problem, found: LossMap, drawn: tuple[int, ...]) -> None:
    from matplotlib.colors import LogNorm

    edges = [_edges(problem, i, _BINS) for i in drawn]
    shown = _relative(found, drawn, edges)
    most = float(np.nanmax(shown, initial=10.0, where=np.isfinite(shown)))
    image = axis.imshow(
        np.maximum(shown, _LEAST).T, origin="lower", extent=(edges[0][0], edges[0][-1], edges[1][0], edges[1][-1]),
        aspect="auto", cmap=_COLOURS, norm=LogNorm(_LEAST, most),
    )  # fmt: skip
    is_shape = not problem.domain.is_box and list(drawn) == list(problem.domain.pictured_axes)
    axis.set_aspect("equal" if is_shape else "auto")
    for line in problem.domain.outline() if is_shape else ():
        axis.plot(*line.T, color="black", linewidth=0.8)
    figure.colorbar(image, ax=axis, label=_MEAN)
    few_ticks(axis)
    axis.set_xlabel(problem.pde.coords[drawn[0]])
    axis.set_ylabel(problem.pde.coords[drawn[1]])


def _draw_curves(axis: Axes, problem: Problem, found: LossMap, numbers: tuple[int, ...]) -> None:
    """Along one coordinate, or along several as parts of their intervals."""
    several = len(numbers) > 1
    for place, number in enumerate(numbers):
        edges = _edges(problem, number, _ON_A_LINE)
        across = np.linspace(0, 1, len(edges)) if several else edges
        means = _relative(found, (number,), [edges])
        axis.stairs(means, across, baseline=None, linewidth=1.5, color=f"C{place}", label=problem.pde.coords[number])
    axis.set_yscale("log")
    axis.set_xlabel("part of the interval" if several else problem.pde.coords[numbers[0]])
    axis.set_ylabel(_MEAN)
    axis.grid(alpha=0.3)
    if several:
        axis.legend(fontsize="small")


def _draw_terms(axis: Axes, found: LossMap) -> None:
    names = list(found.terms)
    parts = [100 * found.terms[name] for name in names]
    widths = np.nan_to_num(parts)
    bars = axis.barh(range(len(names)), widths, color=_BAR, height=0.6)
    axis.bar_label(bars, [" no number" if np.isnan(part) else f" {part:.3g} %" for part in parts], fontsize=8)
    axis.set_yticks(range(len(names)), names, fontsize=8, parse_math=False)
    axis.set_ylim(max(len(names), _MOST_BARS_WIDE) - 0.5, -0.5)
    axis.set_xlim(0, 1.25 * float(widths.max(initial=0.0)) or 100.0)
    few_ticks(axis, "x")
    axis.set_xlabel("part of the weighted loss, %")
    axis.set_title("by term", fontsize=10)
