"""What a problem in time starts from: of which order its fields are in time, and their initial state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import sympy as sp
import torch

from ..kernels.errors import InputError
from ..kernels.language.channels import Channel, ChannelSet, Laplacian, MultiIndex
from ..kernels.language.closed_form import ClosedForm
from ..kernels.language.program import Jet
from ..language.by_numpy import expression_of
from ..language.closed_forms import closed_form
from ..language.jets import SymbolicJet
from ..language.tracing import column_symbol
from ..problem.conditions import EQUATION, Condition
from ..problem.given_columns import normal_column
from ..problem.problem import Problem
from ..training.points.windows import SAME, is_initial, times_of
from .given import Given, refuse_contradictions

Points = npt.NDArray[np.float64]
# Of the width along each coordinate: points this near to its ends reach them.
_REACHES = 0.05
# Places at which functions are compared, and states with their periods.
_PLACES = 256
_CLOSE = 1e-9


class Part(NamedTuple):
    """A field, or its derivative in time of this order, 0 or 1."""

    field: str
    order: int


def orders_in_time(problem: Problem) -> tuple[int, ...]:
    """Of each field the order of its highest derivative in time.

    Raises:
        InputError: none has any, or one above the second.
    """
    axis, _, _ = times_of(problem)
    orders = [0] * len(problem.pde.fields)
    for condition, traced in zip(problem.conditions, problem.traced, strict=True):
        if condition.kind != EQUATION or not condition.weight:
            continue
        for jet in (own for own in traced.program.inputs if isinstance(own, Jet)):
            channel = traced.program.channels.channels[jet.channel]
            own = 2 * (axis in channel.axes) if isinstance(channel, Laplacian) else channel[axis]
            orders[jet.field] = max(orders[jet.field], own)
    time = problem.pde.time
    if not any(orders):
        raise InputError(f"problem: its equations have no derivative in time, {time}: there is nothing to march in")
    for field, order in zip(problem.pde.fields, orders, strict=True):
        if order > 2:
            raise InputError(
                f"problem: {field} has derivatives of order {order} in {time}; a march goes up to 2: make a field of "
                f"the first one, e.g. v = {field}.{time}"
            )
    return tuple(orders)


def initial_state(problem: Problem, orders: tuple[int, ...]) -> dict[Part, Given]:
    """What is given at the first time for each field and, where it is of second order, its derivative in time.

    Raises:
        InputError: nothing is, or two conditions say different things.
    """
    axis, low, high = times_of(problem)
    found = dict[Part, list[Given]]()
    for number, condition in enumerate(problem.conditions):
        if condition.weight and is_initial(condition, axis, low, high):
            if condition.sites[0][:, axis].max() - low > SAME * (high - low):
                raise InputError(
                    f"problem: condition {condition.name!r} holds at the first time and at later ones; make it two, so "
                    "that later windows of time have the latter alone"
                )
            for part, given in _given(problem, number, axis, low).items():
                found.setdefault(part, []).append(given)
    needed = [Part(field, k) for field, n in zip(problem.pde.fields, orders, strict=True) for k in range(n)]
    time = problem.pde.time
    for field, order in needed:
        if Part(field, order) not in found:
            what = f"{field}=..." if not order else f"lambda {field}: {field}.{time} - ..."
            kind = "Dirichlet" if not order else "Residual"
            raise InputError(
                f"problem: nothing says what {field}{f'_{time}' * order} is at its first time, {time} = {low:g}, which "
                f"an equation of order {orders[problem.pde.fields.index(field)]} in {time} needs: "
                f"{kind}(box.face({time!r}, 'low', 101), {what})"
            )
    for part, own in found.items():
        refuse_contradictions(problem, part.field + f"_{time}" * part.order, own)
    # Of several, each is of a part of the places alone.
    return {
        part: own[0] if len(own) == 1 else replace(own[0], value=None) for part, own in found.items() if part in needed
    }


def _given(problem: Problem, number: int, axis: int, low: float) -> dict[Part, Given]:
    condition, traced = problem.conditions[number], problem.traced[number]
    found = {}
    normals = constant_normals(condition)
    for i, residual in enumerate(own.xreplace(normals) for own in traced.residuals):
        jets = [symbol for symbol in residual.free_symbols if isinstance(symbol, SymbolicJet)]
        if len(jets) != 1 or len(condition.sites) > 1 or condition.quadrature is not None:
            continue
        (jet,) = jets
        order, slope = _only_in_time(jet.channel, axis), sp.diff(residual, jet)
        if order is None or slope.has(jet):
            continue
        value = (
            sp.expand(-residual.subs(jet, 0)) / slope if slope.is_number else sp.cancel(-residual.subs(jet, 0) / slope)
        )
        columns = columns_of(condition, problem)
        is_known = _covers(problem, condition, axis) and all(columns.get(s, s) is not None for s in value.free_symbols)
        symbol = problem.pde.coordinate_symbols()[axis]
        closed = value.xreplace(columns).subs(symbol, low) if is_known else None
        found[Part(jet.field, order)] = Given(number, i, closed, value)
    return found


def constant_normals(condition: Condition) -> dict[sp.Symbol, sp.Expr]:
    """Of the first time's face the normal is -t: there a derivative along it is one in time."""
    names = {normal_column(axis) for axis in range(condition.sites[0].shape[1])}
    return {
        column_symbol(i): sp.nsimplify(float(column[0]), rational=True)
        for i, (name, column) in enumerate(condition.columns.items())
        if name in names and (column == column[0]).all()
    }


def _only_in_time(channel: Channel, axis: int) -> int | None:
    """Of a field or its first derivative in time the order; None of other derivatives."""
    if isinstance(channel, Laplacian):
        return None
    order = channel[axis]
    return order if order <= 1 and sum(channel) == order else None


def columns_of(condition: Condition, problem: Problem) -> dict[sp.Symbol, sp.Expr | None]:
    """By the symbol of each of a condition's columns, what it is of the coordinates; None: in no closed form."""
    found = dict[sp.Symbol, "sp.Expr | None"]()
    axis, low, _ = times_of(problem)
    elsewhere = np.array(problem.domain.random(_PLACES, 0))
    elsewhere[:, axis] = low
    points = np.concatenate([condition.sites[0], elsewhere])
    for i, name in enumerate(condition.columns):
        target = condition.targets.get(name)
        value = None
        if callable(target):
            value = expression_of(target, problem.pde.coords, points)
        elif isinstance(target, (int, float, np.number, np.ndarray)) and np.ndim(target) == 0:
            value = sp.Float(float(target), 17)
        found[column_symbol(i)] = value
    return found


def _covers(problem: Problem, condition: Condition, axis: int) -> bool:
    """Whether its points are all over the domain's places."""
    points, domain = condition.sites[0], problem.domain
    others = [i for i in range(points.shape[1]) if i != axis]
    width = (domain.high - domain.low)[others]
    low, high = points[:, others].min(0) - domain.low[others], domain.high[others] - points[:, others].max(0)
    return bool((np.maximum(low, high) <= np.maximum(_REACHES, 2 / len(points)) * width).all())


def unfit(field: str, state: Mapping[Part, Given], problem: Problem, periods: Mapping[str, float]) -> str | None:
    """Why u = g + d N cannot begin with what is given for a field, so that the first window learns it; None: it can."""
    coords, channels = problem.pde.coords, _channels(problem)
    for part, given in state.items():
        if part.field != field:
            continue
        what = field + f"_{problem.pde.time}" * part.order
        if given.value is None:
            return f"{what} is not given as one function in closed form"
        try:
            form = closed_form([given.value], coords, what)
        except InputError as error:
            return str(error)
        places = np.array(problem.domain.random(_PLACES, 1))
        places[:, times_of(problem)[0]] = times_of(problem)[1]
        if not bool(torch.isfinite(form.jets(torch.from_numpy(places), channels)).all()):
            return f"{what} has no derivatives at some places"
        for name, period in periods.items():
            if not _is_periodic(form, problem, coords.index(name), period, places, channels):
                return f"{what} or a derivative of it is another one at the one end of {name} than at the other"
    return None


def _is_periodic(
    form: ClosedForm, problem: Problem, axis: int, period: float, places: Points, channels: ChannelSet
) -> bool:
    low, high = problem.domain.low[axis], problem.domain.high[axis]
    if high - low < period * (1 - SAME):
        return True
    here, there = torch.from_numpy(places.copy()), torch.from_numpy(places.copy())
    here[:, axis], there[:, axis] = low, low + period
    pair = [form.jets(x, channels)[..., 0] for x in (here, there)]
    size = torch.maximum(*(values.abs() for values in pair)).amax(1, keepdim=True).clamp(min=1.0)
    return bool(((pair[0] - pair[1]).abs() <= _CLOSE * size).all())


def _channels(problem: Problem) -> ChannelSet:
    """That its equations read, without time."""
    axis, _, _ = times_of(problem)
    d, wanted = len(problem.pde.coords), set[MultiIndex]()
    for condition, traced in zip(problem.conditions, problem.traced, strict=True):
        for channel in traced.program.channels.channels if condition.kind == EQUATION else ():
            if isinstance(channel, Laplacian):
                wanted |= {tuple(2 * (i == own) for i in range(d)) for own in channel.axes if own != axis}
            else:
                wanted.add(tuple(0 if i == axis else n for i, n in enumerate(channel)))
    return ChannelSet.closure(d, wanted)
