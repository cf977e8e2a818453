"""An ansatz u = g + d N whose d vanishes at the first time, as t (1 - x) does: windows of time need the rest of it,
since what each begins with holds by zeros of its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import sympy as sp
import torch
from torch import Tensor

from ..kernels.errors import InputError, short
from ..kernels.language.channels import ChannelSet
from ..language.closed_forms import closed_form
from ..problem.problem import Problem
from ..training.points.windows import times_of

# Places that are looked at; derivatives in time; of the largest, a smaller part is zero.
_PLACES, _ORDERS, _ZERO = 256, 4, 1e-9


def zeros_at_first(d: sp.Expr, problem: Problem) -> int:
    """How many of d, d_t, d_tt, ... vanish at the first time everywhere: (t - t_0)^n has n zeros there."""
    axis, _, _ = times_of(problem)
    if problem.pde.coordinate_symbols()[axis] not in d.free_symbols:
        return 0
    at_first, inside = _jets(d, problem, True), _jets(d, problem, False)
    for order, (here, there) in enumerate(zip(at_first, inside, strict=True)):
        known, size = here[here.isfinite()], there[there.isfinite()].abs().amax()
        if not len(known) or bool((known.abs() > _ZERO * size).any()):
            return order
    return _ORDERS


def without_zeros(field: str, d: sp.Expr, zeros: int, problem: Problem) -> sp.Expr:
    """d / (t - t_0)^zeros, or of d = a(t) b(x) the factor b where a vanishes at the first time alone.

    Raises:
        InputError: it is neither of them in closed form.
    """
    axis, low, _ = times_of(problem)
    t = problem.pde.coordinate_symbols()[axis]
    for quotient in _quotients(d, t, low, zeros):
        if _is_regular(quotient, problem):
            return quotient
    rest, by_time = sp.factor_terms(d).as_independent(t, as_Add=False)
    if by_time.free_symbols == {t}:
        values = _jets(by_time, problem, False)[0]
        if bool((values > 0).all() | (values < 0).all()):
            return rest
    raise InputError(
        f"ansatz: {field}: its factor d = {short(str(d))} vanishes at the first time, {t} = {low:g}, a zero that a "
        "march cannot divide out; leave it out, since windows begin exactly with what is known then anyway: d with the "
        f"zeros at walls alone, such as {field}=lambda {field}, x: x * (1 - x) * {field}, or "
        "pf.distance(box, 'x_low', 'x_high')"
    )


def _quotients(d: sp.Expr, t: sp.Symbol, low: float, zeros: int) -> Iterator[sp.Expr]:
    for first in dict.fromkeys([sp.nsimplify(low, rational=True), sp.Float(low, 17), sp.Float(low)]):
        quotient = d / (t - first) ** zeros
        yield quotient
        try:
            yield sp.cancel(quotient)
        except (sp.PolynomialError, NotImplementedError):  # of pieces
            continue


def _is_regular(quotient: sp.Expr, problem: Problem) -> bool:
    try:
        at_first = _jets(quotient, problem, True)
    except InputError:  # an infinity, as a number
        return False
    return bool(at_first[0].isfinite().all()) and zeros_at_first(quotient, problem) == 0


def _jets(expression: sp.Expr, problem: Problem, at_first: bool) -> Tensor:
    """Values and derivatives in time at places of the domain, at the first time or all: (orders + 1, N)."""
    axis, low, _ = times_of(problem)
    points = np.array(problem.domain.random(_PLACES, 0))
    if at_first:
        points[:, axis] = low
    d = points.shape[1]
    channels = ChannelSet.closure(d, [tuple(_ORDERS * (i == axis) for i in range(d))])
    form = closed_form([expression], problem.pde.coords, "ansatz")
    return form.jets(torch.from_numpy(points), channels)[..., 0]
