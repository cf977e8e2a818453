"""PDEs and problems as text, as they are trained: for `print` and `Problem.describe`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sympy as sp

from ..domains import Domain, Region, common_step
from ..kernels.errors import InputError
from ..kernels.language.channels import ChannelSet
from ..language.derivative_names import derivative_name
from ..language.tracing import Traced, column_symbol
from .given_columns import ROOT, CornerRoots, known_anywhere, normal_column
from .pairs import steps_text

# Sums of weights this near to 1 are means.
_ROUNDING = 1e-12

if TYPE_CHECKING:  # they import this module
    from .conditions import Condition
    from .pde import PDE
    from .problem import Problem


@dataclass(frozen=True)
class Row:
    """What is said of a condition: its ``name``, ``equations``, how many ``points`` of what ``kind``, its ``weight``,
    and the ``derivatives`` that it needs."""

    name: str
    equations: tuple[str, ...]
    points: str
    kind: str
    weight: str
    derivatives: str


def describe_pde(pde: PDE) -> str:
    """Fields and coordinates, what the Laplacian is, the residuals as traced, coefficients."""
    try:
        traced = pde.traced()
        lines = [*equation_lines(traced), _derivatives(traced.program.channels, pde)]
    except InputError as error:
        lines = [f"refused: {error}"]
    return "\n".join([header_line(pde), *(f"    {line}" for line in lines), *coefficient_lines(pde)])


def describe_problem(problem: Problem) -> str:
    """As `describe_pde`, for every term, with points and weights."""
    lines = [f"problem {problem.name!r} on {problem.domain}", header_line(problem.pde)]
    for row in condition_rows(problem):
        lines.append(f"{row.name}: {row.weight}, {row.points} {row.kind}")
        lines += [f"    {line}" for line in (*row.equations, row.derivatives)]
    return "\n".join([*lines, *coefficient_lines(problem.pde), *start_lines(problem)])


def condition_rows(problem: Problem) -> Iterator[Row]:
    """One for each term."""
    pde = problem.pde
    for condition, traced in zip(problem.conditions, problem.traced, strict=True):
        kind = _kind(condition, problem.domain) + (
            f"; {steps_text(condition.sites)}" if len(condition.sites) > 1 else ""
        )
        n, what = len(condition.sites[0]), "points" if len(condition.sites) == 1 else "pairs of points"
        weight = "weights by point" if ROOT in condition.columns else f"weight {condition.weight:g}"
        if isinstance(condition.targets.get(ROOT), CornerRoots):
            weight = f"weight {condition.weight:g}, less at re-entrant corners"
        equations = tuple(equation_lines(traced, _shown_columns(condition, pde), _summed(condition)))
        yield Row(condition.name, equations, f"{n} {what}", kind, weight, _derivatives(traced.program.channels, pde))


def start_lines(problem: Problem) -> list[str]:
    """Where unknown coefficients start, and between what they stay."""
    guesses = [f"{name} from {value:.15g}" for name, value in problem.guess.items()]
    bounds = [f"{name} in {list(interval)}" for name, interval in problem.bounds.items()]
    return [
        *([f"Gauss-Newton starts {', '.join(guesses)}"] if guesses else []),
        *([f"bounds: {', '.join(bounds)}"] if bounds else []),
    ]


def equation_lines(
    traced: Traced, meaning: Mapping[sp.Symbol, sp.Expr] | None = None, summed: str = ""
) -> Iterator[str]:
    """One line each, with the names of the equations where they have any; ``summed``: which sum of them vanishes."""
    names = traced.equations or ("",) * traced.program.n_residuals
    for name, text in zip(names, traced.texts(meaning), strict=True):
        shown = f"{summed} of {text} = 0" if summed else f"{text} = 0"
        yield f"{name}: {shown}" if name else shown


def _summed(condition: Condition) -> str:
    """What the sum over a condition's points is; nothing where each of them is a row."""
    if condition.quadrature is None:
        return ""
    return "mean" if abs(float(condition.quadrature.sum()) - 1) < _ROUNDING else "integral"


def _kind(condition: Condition, domain: Domain) -> str:
    """What a condition's points stand for: themselves, or a region of which training may take others."""
    regions = [region for region in condition.regions if region is not None]
    if len(regions) < len(condition.regions):
        return "as given"
    places = " and ".join(_place(region, domain) for region in regions)
    if condition.quadrature is not None:
        return f"of {places}, summed as given"
    # Points of a region bring their normals along.
    is_known = known_anywhere(condition.targets, np.empty(0))
    is_known &= len(regions) == 1 or common_step(regions, condition.sites) is not None
    return f"of {places}, may be drawn anew" if is_known else f"of {places}, as given"


def _place(region: Region, domain: Domain) -> str:
    """What points stand for, and of which domain, if it is not the problem's."""
    own = region.domain
    same = own is domain or (
        type(own) is type(domain)
        and own.parts == domain.parts
        and np.array_equal([own.low, own.high], [domain.low, domain.high])
        and all(own.measure(part) == domain.measure(part) for part in (None, *own.parts))
    )
    return region.text if same else f"{region.text} of another {type(own).__name__}"


def header_line(pde: PDE) -> str:
    """Fields and coordinates, which of these are time and parameters, what the Laplacian is."""
    coords = ", ".join(pde.coords)
    fields = ", ".join(f"{field}({coords})" for field in pde.fields)
    space = [pde.coords[axis] for axis in pde.spatial]
    laplacian = f"; lap = {' + '.join(2 * name for name in space)}" if space else ""
    parameters = f"; parameters {', '.join(pde.parameters)}" if pde.parameters else ""
    return f"{fields}; {'no time' if pde.time is None else f'time {pde.time}'}{parameters}{laplacian}"


def _derivatives(channels: ChannelSet, pde: PDE) -> str:
    names = [derivative_name(channel, pde.coords, pde.spatial) or "value" for channel in channels.channels]
    return f"order {channels.order}: {', '.join(names)}"


def coefficient_lines(pde: PDE) -> list[str]:
    """Known and unknown ones, with their values."""
    known = [f"{name} = {value:.15g}" for name, value in pde.coefficients.items()]
    unknown = [f"{name}, from {value:.15g}" for name, value in pde.unknown.items()]
    return [
        *([f"known coefficients: {', '.join(known)}"] if known else []),
        *([f"unknown coefficients: {', '.join(unknown)}"] if unknown else []),
    ]


def _shown_columns(condition: Condition, pde: PDE) -> dict[sp.Symbol, sp.Expr]:
    """Given columns as their number where it is one for all points, else by what they are."""
    texts = {normal_column(axis): f"normal_{coord}" for axis, coord in enumerate(pde.coords)} | {ROOT: "sqrt_weight"}
    shown = {}
    for i, (name, column) in enumerate(condition.columns.items()):
        first = float(column[0])
        if bool(np.all(column == first)):
            shown[column_symbol(i)] = sp.Integer(int(first)) if first.is_integer() else sp.Float(first)
        else:
            shown[column_symbol(i)] = sp.Symbol(texts.get(name, f"{name}_given"), real=True)
    return shown
