"""What the methods of a backend from outside return: checked, with errors that name the class and the method."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError, PsinnFastError, TrainingError, one_line, short
from ..language.channels import ChannelSet
from ..network.plan import Plan
from .adam import AdamState
from .checks import check_like
from .operations import LossAndGradient, PulledBack, Term, TrainReport

Method = Callable[..., Any]


def with_checked_results(name: str, method: Method) -> Method:
    """The method, whose result is checked on every call, and whose exceptions become a `TrainingError` that names it;
    other names than those of operations pass unchanged."""
    check = CHECKED.get(name)
    if check is None:
        return method
    signature = inspect.signature(method)

    @wraps(method)
    def run(self: Any, *arguments: Any, **named: Any) -> Any:
        try:
            found = method(self, *arguments, **named)
        except (PsinnFastError, NotImplementedError):  # the second says that there is no such operation
            raise
        except Exception as error:  # of a user's own code
            what = f"{type(error).__name__}: {one_line(error)}"
            raise TrainingError(f"backend {self.name!r}: {type(self).__name__}.{name} failed ({what})") from error
        if named:
            arguments = signature.bind(self, *arguments, **named).args[1:]
        check(f"{type(self).__name__}.{name}", found, *arguments)
        return found

    return run


def reason(what: str, found: object) -> str | None:
    """What `Backend.supports` and `Backend.unavailable` give: None, or a text.

    Raises:
        InputError: anything else; True would be taken for a yes by one reader and for a reason by another, as would a
            text that says nothing.
    """
    if found is None or (isinstance(found, str) and found.strip()):
        return found
    raise InputError(f"{what}: expected None, or the reason why not as a text, got {short(found)}")


def _jets(what: str, found: Any, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> None:
    check_like(f"{what}, jets (N, C, F)", found, theta, (x.shape[0], len(channels), plan.d_out))


def _jets_backward(
    what: str, found: Any, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet, grad: Tensor, need_x: bool
) -> None:
    theta_bar, x_bar = _parts(what, found, ("gradient for theta", "gradient for x or None"))
    check_like(f"{what}, gradient for theta (P,)", theta_bar, theta, tuple(theta.shape))
    if need_x:
        check_like(f"{what}, gradient for x (N, d), which need_x asks for", x_bar, theta, tuple(x.shape))


def _loss_and_gradient(
    what: str, found: Any, plan: Plan, theta: Tensor, coefficients: Tensor, terms: Sequence[Term], *_: Any
) -> None:
    if not isinstance(found, LossAndGradient):
        raise InputError(f"{what}: expected a LossAndGradient, got {_said(found)}")
    check_like(f"{what}, losses (T,)", found.losses, theta, (len(terms),))
    check_like(f"{what}, penalty ()", found.penalty, theta, ())
    check_like(f"{what}, theta (P,)", found.theta, theta, tuple(theta.shape))
    check_like(f"{what}, coefficients (K,)", found.coefficients, theta, tuple(coefficients.shape))


def _term_gradients(
    what: str, found: Any, plan: Plan, theta: Tensor, coefficients: Tensor, terms: Sequence[Term]
) -> None:
    losses, gradients = _parts(what, found, ("losses", "gradients"))
    check_like(f"{what}, losses (T,)", losses, theta, (len(terms),))
    check_like(f"{what}, gradients (T, P + K)", gradients, theta, (len(terms), theta.numel() + coefficients.numel()))


def _train(
    what: str, found: Any, plan: Plan, state: AdamState, terms: Sequence[Term], weights: Tensor, steps: int, *_: Any
) -> None:
    if not isinstance(found, TrainReport):
        raise InputError(f"{what}: expected a TrainReport, got {_said(found)}")
    on_cpu = torch.empty(0, dtype=state.theta.dtype)
    check_like(
        f"{what}, losses (steps, T + 1) on the CPU", found.losses, on_cpu, (None, len(terms) + 1), "a CPU tensor"
    )
    if len(found.losses) > steps or (found.failure is None and len(found.losses) < steps):
        raise InputError(f"{what}: expected the losses of {steps} steps, got those of {len(found.losses)}")


def _residuals(what: str, found: Any, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term) -> None:
    check_like(f"{what}, r (N, m)", found, theta, (term.n_points, term.program.n_residuals))


def _residuals_backward(
    what: str, found: Any, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term, s: Tensor, need_x: bool,
    need_r: bool,
) -> None:  # fmt: skip
    if not isinstance(found, PulledBack):
        raise InputError(f"{what}: expected a PulledBack, got {_said(found)}")
    check_like(f"{what}, gradient for theta (P,)", found.theta, theta, tuple(theta.shape))
    check_like(f"{what}, gradient for the coefficients (K,)", found.coefficients, theta, tuple(coefficients.shape))
    points: Any = found.points
    residuals: Any = found.residuals
    if need_x:
        check_like(f"{what}, points (n_sites, N, d), which need_x asks for", points, theta, tuple(term.points.shape))
    if need_r:
        shape = term.n_points, term.program.n_residuals
        check_like(f"{what}, residuals (N, m), which need_r asks for", residuals, theta, shape)


def _residual_jacobian(what: str, found: Any, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term) -> None:
    r, jacobian = _parts(what, found, ("residuals", "Jacobian"))
    shape = term.n_points, term.program.n_residuals
    check_like(f"{what}, r (N, m)", r, theta, shape)
    check_like(f"{what}, J (N, m, P + K)", jacobian, theta, (*shape, theta.numel() + coefficients.numel()))


# By method; `_add_gram` returns nothing.
CHECKED: dict[str, Callable[..., None]] = {
    "_jets": _jets, "_jets_backward": _jets_backward, "_differentiable_jets": _jets,
    "_loss_and_gradient": _loss_and_gradient, "_term_gradients": _term_gradients, "_train": _train,
    "_residuals": _residuals, "_residuals_backward": _residuals_backward, "_residual_jacobian": _residual_jacobian,
}  # fmt: skip


def _parts(what: str, found: Any, names: tuple[str, str]) -> tuple[Any, Any]:
    if not isinstance(found, tuple) or len(found) != 2:
        raise InputError(f"{what}: expected a tuple ({names[0]}, {names[1]}), got {_said(found)}")
    return found


def _said(found: Any) -> str:
    if isinstance(found, Tensor):
        return f"a tensor of shape {tuple(found.shape)}"
    return f"a tuple of {len(found)}" if isinstance(found, tuple) else short(found)
