"""Whether an embedding's periods and numbers and an ansatz's factors fit a problem."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from ..kernels.errors import InputError
from ..kernels.language.channels import ChannelSet
from ..kernels.language.closed_form import ClosedForm
from ..kernels.network.ansatz import Ansatz
from ..problem.checks.settings import HISTORY_COLUMNS
from ..problem.problem import Problem
from .poles import place_of, pole_of

# Widths that differ by less are one.
_CLOSE = 1e-9
# Points inside at which factors are looked at, and which part of its largest value is zero there.
_POINTS, _ZERO = 4096, 1e-12
# Where Newton's method starts, its steps, and what lies so near to the boundary is on it, of the domain's size.
_STARTS, _NEWTON, _BESIDE = 64, 40, 0.05
# Halvings of what is between two points of different signs.
_HALVINGS = 50


def check_periods(embedding: ClosedForm | None, problem: Problem) -> None:
    """
    Raises:
        InputError: a period that is neither the width of the domain nor goes into it a whole number of times.
    """
    domain = problem.domain
    for axis, period in () if embedding is None else embedding.periods:
        name, width = problem.pde.coords[axis], float(domain.high[axis] - domain.low[axis])
        waves = width / period
        if round(waves) < 1 or abs(waves - round(waves)) > _CLOSE * waves:
            longer = "; longer waves are an embedding of your own, pf.Embedding(lambda ...: ...)" if waves < 1 else ""
            raise InputError(
                f"embedding: the period {period:.10g} of {name} does not match the domain, which is {width:.10g} wide; "
                f"take {width:.10g}, or one that goes into it a whole number of times{longer}"
            )


def check_numbers(names: Iterable[str], problem: Problem) -> None:
    """What a network learns besides weights, ``names``, is not what the problem has by the same name.

    Raises:
        InputError: the equation has an unknown or a coefficient of that name, a coordinate or a field, the problem a
            condition, or histories a column.
    """
    pde = problem.pde
    kinds = (
        ("unknown", pde.unknown), ("coefficient", pde.coefficients), ("coordinate", pde.coords), ("field", pde.fields)
    )  # fmt: skip
    for name in names:
        for kind, taken in kinds:
            if name in taken:
                article = "an" if kind == "unknown" else "a"
                raise InputError(
                    f"embedding: unknown: the equation has {article} {kind} {name!r} of its own; an embedding's number "
                    "is another one: name it differently"
                )
        if name in problem.term_names:
            raise InputError(
                f"conditions: {name!r} is the name of a number that the network learns; histories have both: name the "
                "condition, or the number, differently"
            )
        if name in HISTORY_COLUMNS:
            raise InputError(
                f"embedding: unknown: the name {name!r} has another meaning in histories; choose another one"
            )


def check_features(embedding: ClosedForm, problem: Problem) -> None:
    """
    Raises:
        InputError: a feature that has no value inside of the domain, or on its boundary.
    """
    if (pole := pole_of(embedding, problem.domain, problem.pde.coords)) is not None:
        feature, at = pole
        raise InputError(
            f"embedding: feature {feature + 1} has no value inside of the domain or on its boundary, at {at}: divide "
            "by, and take logarithms of, what is not zero there, and keep exponentials in the range of numbers"
        )


def _touched(ansatz: Ansatz, problem: Problem, field: int, points: Tensor, values: Tensor) -> Tensor | None:
    """A point (d,) inside where a factor of one sign is zero all the same, as x^2 is; None: none was found.

    By Newton's method for d = 0 from where it is smallest. It may end on the boundary, and near a corner a factor of
    high order is as small as rounding errors.
    """
    n = points.shape[1]
    channels = ChannelSet.closure(n, [tuple(int(i == axis) for i in range(n)) for axis in range(n)])
    x, largest = points[values.abs().argsort()[:_STARTS]].clone(), float(values.abs().max())
    for _ in range(_NEWTON):
        jets = ansatz.factor.jets(x, channels)[:, :, field]
        slope = jets[1:].T
        step = jets[0][:, None] * slope / slope.square().sum(1, keepdim=True).clamp(min=1e-300)
        x = torch.where(torch.isfinite(step), x - step, x)
    domain = problem.domain
    # What is thinner than that is only seen from nearby.
    beside = domain.on_boundary(x.numpy(), _BESIDE) | domain.on_boundary(x.numpy())
    inside = domain.contains(x.numpy()) & ~beside
    found = ansatz.factor.jets(x, channels)[0, :, field].abs() <= _ZERO * largest
    own = np.flatnonzero(inside & found.numpy())
    return x[own[0]] if len(own) else None


def check_factor(ansatz: Ansatz, problem: Problem) -> None:
    """
    Raises:
        InputError: a factor that is zero inside of the domain, where the network could then change nothing, or g or d
            that has no value there.
    """
    points = torch.from_numpy(np.array(problem.domain.random(_POINTS, 0)))
    for what, known in (("g", ansatz.offset), ("d", ansatz.factor)):
        if (pole := pole_of(known, problem.domain, problem.pde.coords)) is not None:
            field, at = pole
            raise InputError(
                f"ansatz: {problem.pde.fields[field]}: {what} has no value inside of the domain or on its boundary, at "
                f"{at}: divide by, and take logarithms of, what is not zero there, and keep exponentials in the range "
                "of numbers"
            )
    found = ansatz.factor.jets(points, ChannelSet.closure(points.shape[1], ()))[0]
    for field, name in enumerate(problem.pde.fields):
        own = found[:, field]
        if bool((own > 0).any()) and bool((own < 0).any()):
            fault, where = "changes its sign", _crossing(ansatz, field, points, own)
        else:
            fault, touched = "is zero", _touched(ansatz, problem, field, points, own)
            if touched is None:
                continue
            where = touched
        raise InputError(
            f"ansatz: {name}: the factor of the network {fault} inside of the domain, near "
            f"{place_of(problem.pde.coords, where)}: what it multiplies could not be learned there"
        )


def _crossing(ansatz: Ansatz, field: int, points: Tensor, values: Tensor) -> Tensor:
    """(d,): where a factor changes its sign, between the point where it is least above zero and the nearest below."""
    above, below = points[values > 0], points[values < 0]
    high = above[values[values > 0].argmin()]
    low = below[(below - high).square().sum(1).argmin()]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        is_above = bool(ansatz.factor.jets(middle[None], ChannelSet.closure(len(middle), ()))[0, 0, field] > 0)
        low, high = (low, middle) if is_above else (middle, high)
    return high
