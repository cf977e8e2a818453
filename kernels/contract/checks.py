"""Checks of what operations are given."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from ..errors import InputError
from ..language.channels import ChannelSet
from ..language.regularizer import Regularizer
from ..network.plan import Plan
from .operations import Term

MOST_POINTS = 2**31 - 1


def check_network(plan: Plan, theta: Tensor) -> None:
    _check_dense("theta", theta)
    if theta.dtype not in (torch.float32, torch.float64):
        raise InputError(f"theta: expected float32 or float64, got {theta.dtype}")
    if tuple(theta.shape) != (plan.n_parameters,):
        raise InputError(f"theta: expected shape ({plan.n_parameters},), got {tuple(theta.shape)}")


def check_like(name: str, tensor: Tensor, theta: Tensor, shape: tuple[int | None, ...], like: str = "theta") -> None:
    """``tensor`` has the dtype and device of theta, or of what is ``like``, and the shape (None: any size)."""
    _check_dense(name, tensor)
    if tensor.dtype != theta.dtype:
        raise InputError(f"{name}: expected {theta.dtype} like {like}, got {tensor.dtype}")
    if tensor.device != theta.device:
        raise InputError(f"{name}: expected device {theta.device} like {like}, got {tensor.device}")
    found = tensor.shape
    # Equality first: it is quick, and training checks a dozen tensors a call.
    if found != shape and (
        len(shape) != len(found) or any(n not in (None, m) for n, m in zip(shape, found, strict=True))
    ):
        wanted = ", ".join("N" if n is None else str(n) for n in shape)
        raise InputError(f"{name}: expected shape ({wanted}), got {tuple(found)}")


def _check_dense(name: str, tensor: Tensor) -> None:
    if not isinstance(tensor, Tensor):
        raise InputError(f"{name}: expected a torch.Tensor, got {type(tensor).__name__}")
    if tensor.layout != torch.strided or tensor.is_nested:
        kind = "a nested tensor" if tensor.is_nested else f"layout {tensor.layout}"
        raise InputError(f"{name}: expected a dense tensor, got {kind}; convert it (to_dense, to_padded_tensor)")


def check_size(n_points: int, numbers: int, theta: Tensor) -> None:
    """Refuse what cannot be meant: too many points, or a result larger than the machine's memory."""
    if n_points > MOST_POINTS:
        raise InputError(f"points: up to {MOST_POINTS} are supported, got {n_points}")
    size, memory = numbers * theta.element_size(), _memory()
    if theta.device.type == "cpu" and size > memory:
        raise InputError(
            f"points: the result for {n_points} points would take {size / 2**30:.0f} GiB, this machine has "
            f"{memory / 2**30:.0f}; ask for fewer at a time"
        )


@cache
def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on every system
        return sys.maxsize


def check_jets(plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> None:
    check_network(plan, theta)
    check_like("x", x, theta, (None, plan.d_in))
    if channels.n_inputs != plan.d_in:
        raise InputError(f"channels: made for {channels.n_inputs} inputs, the network has {plan.d_in}")
    check_size(x.shape[0], x.shape[0] * len(channels) * plan.d_out, theta)


def _is_dense_like(tensor: Tensor, dtype: torch.dtype, device: torch.device) -> bool:
    return (
        isinstance(tensor, Tensor)
        and tensor.dtype == dtype
        and tensor.device == device
        and tensor.layout == torch.strided
        and not tensor.is_nested
    )


def check_terms(plan: Plan, theta: Tensor, coefficients: Tensor, terms: Sequence[Term]) -> None:
    check_network(plan, theta)
    check_like("coefficients", coefficients, theta, (None,))
    if not terms:
        raise InputError("terms: expected at least one loss term")
    dtype, device, d_in = theta.dtype, theta.device, plan.d_in
    for term in terms:
        points, columns = term.points, term.columns
        term.check_sizes()
        # The quick answer for what is right.
        if not (_is_dense_like(points, dtype, device) and points.shape[2] == d_in):
            check_like(f"term {term.name!r}: points", points, theta, (None, None, d_in))
        if not _is_dense_like(columns, dtype, device):
            check_like(f"term {term.name!r}: columns", columns, theta, (None, None))
        if term.quadrature is not None:
            check_like(f"term {term.name!r}: quadrature", term.quadrature, theta, (None,))
        if term.n_points > MOST_POINTS:
            check_size(term.n_points, 0, theta)
        program = term.program
        if program.n_fields > plan.d_out:
            raise InputError(f"term {term.name!r}: asks for field {program.n_fields}, the network has {plan.d_out}")
        if program.n_coefficients > coefficients.numel():
            raise InputError(
                f"coefficients: term {term.name!r} asks for number {program.n_coefficients}, got {coefficients.numel()}"
            )


def check_loss(
    plan: Plan,
    theta: Tensor,
    coefficients: Tensor,
    terms: Sequence[Term],
    weights: Tensor,
    regularizer: Regularizer | None,
) -> None:
    check_terms(plan, theta, coefficients, terms)
    check_like("weights", weights, theta, (len(terms),))
    if regularizer is not None:
        regularizer.check(plan)


def check_gram(gram: Tensor, jacobian: Tensor, r: Tensor) -> None:
    _check_dense("jacobian", jacobian)
    if jacobian.dtype not in (torch.float32, torch.float64):
        raise InputError(f"jacobian: expected float32 or float64, got {jacobian.dtype}")
    if jacobian.dim() != 2:
        raise InputError(f"jacobian: expected shape (M, n), got {tuple(jacobian.shape)}")
    rows, n = jacobian.shape
    sums = gram.dtype if isinstance(gram, Tensor) and gram.dtype == torch.float64 else jacobian.dtype
    check_like("gram", gram, jacobian.new_empty(0, dtype=sums), (n + 1, n + 1), "jacobian")
    check_like("r", r, jacobian, (rows,), "jacobian")
