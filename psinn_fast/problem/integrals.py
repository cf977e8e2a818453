"""Conditions on integrals: a mean, a flux. All points of such a condition are one row of the least-squares problem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy as sp

from ..domains import PointSet, region_of
from ..frozen import frozen
from ..kernels import checks
from ..kernels.errors import InputError, short
from .conditions import INTEGRAL, Condition, Residual
from .given_columns import Target

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class IntegralCondition(Condition):
    """weight * |sum_i rule_i g(x_i) - levels|^2, g what the residual function gives.

    Args, beside those of all conditions:
        rule: (N,), what each point weighs.
        levels: values of the sum, one for each quantity.
    """

    rule: Points = None  # type: ignore[assignment]  # fields before it have defaults
    levels: tuple[float, ...] = ()

    @property
    def quadrature(self) -> Points:
        return self.rule

    def _vanishing(self, expressions: Sequence[sp.Expr]) -> Sequence[sp.Expr]:
        """g - level / sum_i rule_i, whose sum is that of g less the level."""
        if len(expressions) != len(self.levels):
            raise InputError(
                f"{self.name}: target: the function gives {len(expressions)} "
                f"{'quantity' if len(expressions) == 1 else 'quantities'}, each of which has one target, got "
                f"{len(self.levels)} targets; what varies from point to point belongs into the function"
            )
        total = float(self.rule.sum())
        pairs = zip(expressions, self.levels, strict=True)
        return [quantity - sp.Float(level / total) if level else quantity for quantity, level in pairs]


def Mean(
    points: npt.ArrayLike,
    function: Callable[..., Any],
    target: float | npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    weight: float = 1.0,
    name: str = "mean",
    outside: bool = False,
    **data: Target,
) -> Condition:
    """A mean over points takes a given value: the loss term is weight * |sum_i w_i g(x_i) / sum_i w_i - target|^2.

        Mean(domain.boundary(200, "outlet"), lambda p: p, 0.0)

    Points that stand for a domain or parts of its boundary bring w along (`PointSet.weights`, which says how accurate
    they are), so that the mean is one over area or arc length. An array's points weigh the same, unless ``weights``
    says otherwise. They stay as they are given throughout training; checks between the points compare the mean by
    more points of the same region.

    Args:
        points: as of all conditions (`Residual`).
        function: g, of fields, coordinates, coefficients, ``data``, and ``n_x``, ``n_y``, ... at points of a boundary,
            as in `Residual`; it may return several quantities.
        target: of the mean, one number for each quantity.
        weights: (N,) w, one number >= 0 for each point, not all 0.
        weight: of the term in the total loss, a number >= 0.

    Raises:
        InputError: points of a region whose weights are not known, numbers that do not fit the points or quantities.
    """
    condition, levels = _condition(points, function, target, weight, name, outside, data)
    given = _weights(points, weights, condition)
    if given is None:
        given = np.ones(len(condition.sites[0]))
    return _summed(condition, given / given.sum(), levels, weights is not None)


def Integral(
    points: npt.ArrayLike,
    function: Callable[..., Any],
    target: float | npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    weight: float = 1.0,
    name: str = "integral",
    outside: bool = False,
    **data: Target,
) -> Condition:
    """An integral over a domain, or parts of its boundary, takes a given value, such as the flux through an outlet:

        Integral(domain.boundary(200, "outlet"), lambda u, v, n_x, n_y: u * n_x + v * n_y, 0.1)

    The loss term is weight * |sum_i w_i g(x_i) - target|^2. Everything else is as in `Mean`, but that an array of
    points needs ``weights``: which length, area or volume each point stands for.
    """
    condition, levels = _condition(points, function, target, weight, name, outside, data)
    given = _weights(points, weights, condition)
    if given is None:
        raise InputError(
            f"{name}: weights: which length, area or volume each point of an array stands for is not known; give "
            f"weights ({len(condition.sites[0])},), or points of a domain that were not sliced or changed, e.g. "
            "domain.boundary(200, part)"
        )
    return _summed(condition, given, levels, weights is not None)


def _condition(
    points: npt.ArrayLike,
    function: Callable[..., Any],
    target: float | npt.ArrayLike,
    weight: float,
    name: str,
    outside: bool,
    data: dict[str, Any],
) -> tuple[Condition, tuple[float, ...]]:
    """That g vanishes at each point, and the levels of its sum."""
    if not callable(function):
        raise InputError(
            f"{name}: function: expected a function of fields and coordinates, e.g. lambda u: u, got {short(function)}"
        )
    if callable(weight) or np.ndim(weight):
        raise InputError(
            f"{name}: weight: expected one number, which the term has in the loss, got {short(weight)}; what each "
            "point counts in the sum is `weights`"
        )
    if callable(target):
        raise InputError(
            f"{name}: target: expected a number, which the whole integral takes, got {short(target)}; what varies from "
            "point to point belongs into the function: lambda u, x: u - x**2"
        )
    levels = checks.numbers(f"{name}: target", target)
    if levels.ndim > 1 or not levels.size:
        raise InputError(f"{name}: target: expected one number for each quantity, got shape {levels.shape}")
    condition = Residual(points, function, weight=weight, name=name, outside=outside, **data)
    return condition, tuple(levels.reshape(-1).tolist())


def _weights(points: npt.ArrayLike, weights: npt.ArrayLike | None, condition: Condition) -> Points | None:
    """Those given, or those that the points bring along; None of an array."""
    name, n = condition.name, len(condition.sites[0])
    if weights is None:
        if region_of(points) is None:
            return None
        assert isinstance(points, PointSet)
        if (own := points.weights) is not None:
            if own.sum() > 0:
                return own
            raise InputError(f"{name}: points: the part of the domain that they stand for has no extent")
        raise InputError(
            f"{name}: weights: the points are not spread evenly over what they stand for; give which length or area "
            "each has, or points of domain.boundary(n, part), domain.grid(n) or domain.random(n, seed)"
        )
    if callable(weights):
        raise InputError(f"{name}: weights: expected {n} numbers, one for each point, got {short(weights)}")
    given = checks.numbers(f"{name}: weights", weights)
    if given.shape != (n,):
        raise InputError(f"{name}: weights: expected shape ({n},), one for each point, got {given.shape}")
    if given.min() < 0 or not given.any():
        raise InputError(f"{name}: weights: expected numbers >= 0, not all 0, the smallest is {given.min():g}")
    return given


def _summed(condition: Condition, rule: Points, levels: tuple[float, ...], is_own: bool) -> Condition:
    """The sum of a condition over its points; a rule of one's own belongs to these: there are no others."""
    given = {field.name: getattr(condition, field.name) for field in fields(condition)}
    given |= {"kind": INTEGRAL, "regions": (None,) if is_own else condition.regions}
    return IntegralCondition(**given, rule=frozen(np.array(rule)), levels=levels)
