"""Operations on networks with trained slopes, by those on the weights that they have then (network/slopes.py)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from ..language.regularizer import Regularizer
from ..network.plan import Plan
from ..network.slopes import Slopes
from .checks import check_network
from .operations import LossAndGradient, PulledBack

Taken = ParamSpec("Taken")
Given = TypeVar("Given")


def by_weights(operation: Callable[Taken, Given]) -> Callable[Taken, Given]:
    """A backend's operation (plan, theta, ...), also for plans with slopes, which it does not see."""
    name = operation.__name__

    @wraps(operation)
    def run(*arguments: Taken.args, **named: Taken.kwargs) -> Given:
        plan: Any = arguments[1] if len(arguments) > 1 else named.get("plan")
        if not isinstance(plan, Plan) or plan.slopes is None:
            return operation(*arguments, **named)
        given: dict[str, Any] = dict(zip(("backend", "plan", "theta"), arguments, strict=False)) | named
        theta, others = given["theta"], arguments[3:]
        more = {key: value for key, value in named.items() if key not in ("plan", "theta")}
        check_network(plan, theta)
        own: Any = operation
        inner: Callable[..., Any] = partial(own, given["backend"], plan.without_slopes, plan.slopes.apply(theta))
        finish: Callable[..., Given] = _IN_THETA.get(name, _as_it_is)
        return finish(inner, plan, theta, *others, **more)

    return run


def _as_it_is(inner: Callable[..., Any], plan: Plan, theta: Tensor, *others: Any, **named: Any) -> Any:
    return inner(*others, **named)


def _jets_backward(
    inner: Callable[..., tuple[Tensor, Tensor | None]], plan: Plan, theta: Tensor, *others: Any, **named: Any
) -> tuple[Tensor, Tensor | None]:
    theta_bar, x_bar = inner(*others, **named)
    return _slopes(plan).pull_back(theta, theta_bar), x_bar


def _loss_and_gradient(
    inner: Callable[..., LossAndGradient],
    plan: Plan,
    theta: Tensor,
    coefficients: Tensor,
    terms: Any,
    weights: Tensor,
    regularizer: Regularizer | None = None,
) -> LossAndGradient:
    """A penalty is of the weights W, not of n s W."""
    if regularizer is not None:
        regularizer.check(plan)
    found = inner(coefficients, terms, weights)
    theta_bar, penalty = _slopes(plan).pull_back(theta, found.theta), found.penalty
    if regularizer is not None:
        penalty, penalty_bar = regularizer.value_and_gradient(plan, theta)
        theta_bar = theta_bar + penalty_bar
    return LossAndGradient(found.losses, penalty, theta_bar, found.coefficients)


def _residuals_backward(
    inner: Callable[..., PulledBack], plan: Plan, theta: Tensor, *others: Any, **named: Any
) -> PulledBack:
    found = inner(*others, **named)
    return found._replace(theta=_slopes(plan).pull_back(theta, found.theta))


def _with_rows(
    inner: Callable[..., tuple[Tensor, Tensor]], plan: Plan, theta: Tensor, *others: Any, **named: Any
) -> tuple[Tensor, Tensor]:
    """Of gradients (..., P + K), the unknown coefficients' last."""
    values, rows = inner(*others, **named)
    n = plan.without_slopes.n_parameters
    return values, torch.cat([_slopes(plan).pull_back(theta, rows[..., :n]), rows[..., n:]], -1)


def _slopes(plan: Plan) -> Slopes:
    assert plan.slopes is not None
    return plan.slopes


# What is not among them has no gradient for theta.
_IN_THETA: dict[str, Callable[..., Any]] = {
    "jets_backward": _jets_backward,
    "loss_and_gradient": _loss_and_gradient,
    "term_gradients": _with_rows,
    "residuals_backward": _residuals_backward,
    "residual_jacobian": _with_rows,
}
