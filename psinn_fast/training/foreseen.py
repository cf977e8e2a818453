"""What speaks against a result before anything is trained: the problem as it was given, and the network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..networks.mlp import PsiMLP
from ..problem.checks.missing_conditions import missing_conditions
from ..problem.problem import Problem
from ..scaling.kinks import unseen_kinks
from ..scaling.met_conditions import met_conditions
from ..symmetries.imposed import broken_symmetries


def foreseen(problem: Problem, net: PsiMLP, held: Sequence[str]) -> tuple[str, ...]:
    """Warnings that conditions are missing beside those that the network meets whatever its weights, that it has
    symmetries which the problem has not, and that its embedding or ansatz kinks where no residual sees it.

    ``held``: names of the terms that it meets, see `terms_that_hold`.
    """
    met = None if net.plan.is_network else partial(met_conditions, net.structure, problem.domain)
    return (
        *missing_conditions(problem, not net.structure.is_dense, met, held),
        *broken_symmetries(problem, net.structure),
        *unseen_kinks(problem, net.structure),
    )
