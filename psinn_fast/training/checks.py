"""What training checks before it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..kernels import checks
from ..kernels.errors import InputError
from ..kernels.language.regularizer import Regularizer
from ..networks.mlp import PsiMLP, check_network
from ..problem.problem import Problem

if TYPE_CHECKING:
    from .protocol import Optimizer


def check_trainable(net: PsiMLP) -> None:
    """
    Raises:
        InputError: theta is frozen, has hooks, or holds NaN or infinite numbers, from which no step leads anywhere.
    """
    if not net.theta.requires_grad:
        raise InputError("net: its theta is frozen, and would be trained all the same; net.requires_grad_() frees it")
    if net.theta._backward_hooks:
        raise InputError("net: its theta has hooks on its gradient, which would be ignored: kernels compute that")
    bad = int((~torch.isfinite(net.theta.detach())).sum())
    if bad:
        raise InputError(
            f"net: {bad} of the {net.theta.numel()} numbers of its theta are NaN or infinite before training; make the "
            "network anew, or load weights that are finite"
        )


def check_fits(problem: Problem, net: object, what: str = "net") -> None:
    """It is one of the library's networks, and has the problem's inputs and outputs."""
    net = check_network(net, what)
    expected = (len(problem.pde.coords), len(problem.pde.fields))
    if (net.structure.n_inputs, net.structure.n_outputs) != expected:
        raise InputError(
            f"{what}: problem {problem.name!r} has {expected[0]} inputs and {expected[1]} outputs, "
            f"the network {net.structure.n_inputs} and {net.structure.n_outputs}"
        )


def check_regularizer(regularizer: Regularizer | None, net: PsiMLP, optimizer: Optimizer) -> None:
    """It has a meaning for the network, and the optimiser takes it."""
    if regularizer is None:
        return
    if not optimizer.takes_penalty:
        raise InputError(
            f"regularizer: {optimizer.name} takes none; a weight penalty is no sum of squared residuals, take "
            "pf.Adam or pf.LBFGS"
        )
    regularizer.check(net.plan)


def time_limit(seconds: object) -> float | None:
    """Seconds >= 0, also infinity; None: no limit."""
    return None if seconds is None else checks.number("seconds", seconds, least=0, infinite=True, other="None or ")
