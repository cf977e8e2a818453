"""How wide a Psi-NN is where nobody says: by what a step costs, in which neurons count and not parameters.

Blocks that occur once per element of a large group make a network wide long before it has many parameters. Too wide
a network loses twice: by its price, and by what Gauss-Newton needs to find its way among so many neurons
(`bench.widths`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from .networks.structure import Structure
from .problem.problem import Problem

# Multiply-adds a row of the Jacobian, for each field and coordinate, as more fields, and those of more coordinates,
# take more neurons; of one coordinate as for two. P^2 for J^T J, and for J about 16 per channel and expanded weight.
NEWTON_COST = 150_000
_PER_CHANNEL = 16


def default_width(problem: Problem, structure: Structure, by_newton: bool) -> int:
    """The problem's width, or less where Gauss-Newton's steps would cost too much; of a structure whose blocks are k
    times as large already (one that `Structure.with_width` made, as solutions have it), a k-th of it.

    Without a width of the problem: for Gauss-Newton the largest that is affordable, P^2 + 16 C M <= 150,000 m max(d, 2)
    with P parameters, C channels of the costliest residual, M expanded weights, m fields, d coordinates; for Adam the
    largest whose expanded weights are not more than those of the problem's dense network. A structure without relations
    is taken as it is.
    """
    if structure.is_dense:
        return 1
    scaled_by = math.gcd(*(size for layer in structure.layers[:-1] for size in layer.rows)) or 1
    usual = problem.recipe.width and max(1, problem.recipe.width // scaled_by)
    if not by_newton:
        dense = _multiplications(problem.default_layers)
        return usual or _largest(lambda n: _multiplications(structure.with_width(n).layer_sizes) <= dense)
    channels = max(len(traced.program.channels) for traced in problem.traced)
    budget = NEWTON_COST * len(problem.pde.fields) * max(len(problem.pde.coords), 2)

    def is_affordable(width: int) -> bool:
        wide = structure.with_width(width)
        return wide.n_parameters**2 + _PER_CHANNEL * channels * _multiplications(wide.layer_sizes) <= budget

    affordable = _largest(is_affordable)
    return min(affordable, usual) if usual else affordable


def _largest(fits: Callable[[int], bool]) -> int:
    width = 1
    while fits(width + 1):
        width += 1
    return width


def _multiplications(layers: Sequence[int]) -> int:
    return sum(n_in * n_out for n_in, n_out in pairwise(layers))
