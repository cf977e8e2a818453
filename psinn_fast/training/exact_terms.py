"""Terms that hold whatever the weights are, by ansatz, embedding or relations: there is nothing to train in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..domains import Domain
from ..kernels import get_backend
from ..kernels.contract import Term
from ..kernels.errors import InputError
from ..kernels.language.channels import ChannelSet
from ..networks.initialisation import drawn
from ..networks.mlp import PsiMLP
from ..networks.structure import Structure
from ..problem.problem import Problem
from ..scaling.natural_scales import natural_losses

# Residuals below this part of their natural size are rounding errors, of so many networks at so many points.
_ROUNDING, _NETWORKS, _POINTS = 1e-9, 3, 128


def terms_that_hold(problem: Problem, net: PsiMLP) -> tuple[str, ...]:
    """Names of the terms that hold by the network's ansatz, embedding or relations: what is even is periodic.

    Raises:
        InputError: behind an ansatz or embedding, a term that no weights change, and which does not hold; all hold.
    """
    if net.plan.is_network and net.structure.is_dense:
        return ()
    held = []
    engine, terms = get_backend("reference"), problem.terms(torch.float64)
    coefficients = problem.initial_coefficients(torch.float64)
    natural = natural_losses(problem).losses
    for number, (term, size) in enumerate(zip(terms, natural, strict=True)):
        found = [
            engine.residuals(net.plan, drawn(net.structure, "default", (), seed), coefficients, _few(term))
            for seed in range(_NETWORKS)
        ]
        small = _ROUNDING * (size**0.5 or 1.0)
        if bool((torch.stack(found).abs() <= small).all()):
            held.append(number)
        elif not net.plan.is_network and all(bool(((own - found[0]).abs() <= small).all()) for own in found):
            raise InputError(
                f"ansatz: it fixes what term {term.name!r} reads, which is off by {float(found[0].abs().max()):.3g}, "
                "and no weights change that; correct g, or let d differ from 0 there"
            )
    if len(held) == len(terms):
        raise InputError(
            "problem: all its terms hold by the network's making, whatever its weights: nothing is left to train"
        )
    return tuple(problem.term_names[number] for number in held)


def is_lifted(structure: Structure, domain: Domain) -> bool:
    """Whether an ansatz has an offset, with which u = 0 is none of its functions."""
    if structure.ansatz is None:
        return False
    points = torch.from_numpy(np.array(domain.random(_POINTS, 0)))
    return bool(structure.ansatz.offset.jets(points, ChannelSet.closure(points.shape[1], ())).any())


def without(problem: Problem, held: Sequence[str]) -> Problem:
    """The problem without these terms: where a Jacobian is rounding errors, weighed like others these would be all that
    training sees."""
    if not held:
        return problem
    kept = [number for number, name in enumerate(problem.term_names) if name not in held]
    entries = {name: tuple(getattr(problem, name)[number] for number in kept)
               for name in ("conditions", "traced", "loss_units")}  # fmt: skip
    return problem.altered(**entries)


def _few(term: Term) -> Term:
    """Some points of a term, all of an integral."""
    if term.quadrature is not None or term.n_points <= _POINTS:
        return term
    rows = torch.linspace(0, term.n_points - 1, _POINTS).long()
    return Term(term.name, term.program, term.points[:, rows].contiguous(), term.columns[rows].contiguous())
