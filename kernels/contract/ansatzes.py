"""Terms and jets of u = g + d N as those of the network N, for backends that know networks alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from ..language.channels import ChannelSet
from ..network.plan import Plan
from .operations import Term
from .remembered import OfPoints

_COLUMNS = OfPoints()


def with_ansatz(plan: Plan, x: Tensor, channels: ChannelSet, inner: Tensor) -> Tensor:
    """Jets of u, from those of the network: (N, C, F) -> (N, C, F)."""
    return inner if plan.ansatz is None else plan.ansatz.jets(x, channels, inner)


def without_ansatz(plan: Plan, terms: Sequence[Term]) -> tuple[Plan, Sequence[Term]]:
    """The network itself, and the same residuals as such of it."""
    ansatz = plan.ansatz
    if ansatz is None:
        return plan, terms
    made = []
    for term in terms:
        program, wanted = ansatz.program(term.program)
        make = partial(ansatz.columns, term.points, program.channels, wanted)
        more = _COLUMNS((ansatz, program.channels, wanted), term.points, make)
        made.append(Term(term.name, program, term.points, torch.cat([term.columns, more], 1), term.quadrature))
    return plan.bare, made
