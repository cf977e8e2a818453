"""Tied networks: symmetries, constant neurons, and terms to try them on."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from helpers import unit_normal

from psinn_fast import SignedPermutation, Symmetry
from psinn_fast.domains import Box
from psinn_fast.kernels.contract import Term
from psinn_fast.kernels.network.plan import Plan
from psinn_fast.kernels.network.symbols import SymbolLayer
from psinn_fast.networks.structure import Structure
from psinn_fast.problem.conditions import Data, Neumann, Periodic, Residual
from psinn_fast.problem.pde import PDE
from psinn_fast.problem.problem import Problem

PUBLISHED = ("laplace", "burgers", "poisson", "flow")


EVEN_Y = Symmetry(SignedPermutation.flip(2, 1), (1,))


ODD_X = Symmetry(SignedPermutation.flip(2, 0), (-1,))


SWAP = Symmetry(SignedPermutation((1, 0), (1, 1)), (1,))


ROTATION = Symmetry(SignedPermutation((1, 0), (1, -1)), (1,))


def chain(*layers: SymbolLayer) -> Structure:
    return Structure(layers)


def constant_chain(n: int) -> Structure:
    """Neurons 2 of layer 1, 3 of layer 2 and the output's bias depend on no input; the last by a chain of three."""
    return chain(
        SymbolLayer.of([[1], [0]], [1, 2], [n, n], [2]),
        SymbolLayer.of([[1, 2], [2, 1], [0, 3]], [1, 0, 0], [n] * 3, [n, n]),
        SymbolLayer.of([[1, 2, 3], [0, 0, 1]], [0, 0], [n, n], [n] * 3),
        SymbolLayer.of([[1, 2], [0, 1]], [0, 0], [1, 1], [n, n]),
    )


@cache
def tied_terms(n_inputs: int, n_outputs: int) -> list[Term]:
    """Orders 1 to 4, two sites, all outputs, an unknown coefficient."""
    coords, fields = "xyzt"[:n_inputs], "uvw"[:n_outputs]
    box = Box(**dict.fromkeys(coords, (-1, 1)))
    conditions = [
        Residual(box.random(9, seed=1)),
        Neumann(box.random(7, seed=2), unit_normal(len(coords)), **dict.fromkeys(fields, 0.3)),
        Periodic(box.random(5, seed=3), box.random(5, seed=4), [f"{fields[0]}_x", fields[-1]]),
    ]
    pde = PDE(" ".join(coords), " ".join(fields), lambda u, nu: [u.x * u - nu * u.xx, u.xxxx + nu], unknown={"nu": 0.4})
    return Problem("tied", pde, box, conditions).terms(torch.float64)


@cache
def laplace_terms(n_inputs: int, n_outputs: int) -> list[Term]:
    """Residuals that read the Laplacian alone: the last layers leave out the other channels."""
    coords, fields = "xyzt"[:n_inputs], "uvw"[:n_outputs]
    box = Box(**dict.fromkeys(coords, (-1, 1)))
    pde = PDE(" ".join(coords), " ".join(fields), lambda u: u.lap, time=None)
    others = Data(box.random(2, seed=2), **dict.fromkeys(fields, 0.0))
    return Problem("laplace", pde, box, [Residual(box.random(13, seed=1)), others]).terms(torch.float64)[:1]


def flips(d: int, *axes: int) -> list[Symmetry]:
    """Reflections of d inputs; the solution is odd under the last one."""
    return [Symmetry(SignedPermutation.flip(d, axis), (-1 if axis == axes[-1] else 1,)) for axis in axes]


GROUPS = {"pairs": flips(2, 1), "odd pairs": flips(2, 0), "quadruples": flips(2, 1, 0), "eights": flips(3, 0, 1, 2)}


def shuffled(plan: Plan) -> Plan:
    """The same function with the second layer's neurons in another order."""
    first, second, third = plan.layers
    assert second.post is not None
    assert second.bias is not None
    assert third.pre is not None
    order = np.random.default_rng(0).permutation(second.fan_out)
    place = order.argsort()
    post, pre = second.post, third.pre
    # The bias moves with the neurons: its rows of E are exchanged.
    rows = np.arange(plan.expansion.shape[0])
    rows[second.bias] = second.bias.start + place
    expansion = type(post)(
        plan.expansion.shape, rows[plan.expansion.row], plan.expansion.col, plan.expansion.coefficient
    )
    return replace(
        plan,
        expansion=expansion,
        layers=(
            first,
            replace(second, post=type(post)(post.shape, place[post.row], post.col, post.coefficient)),
            replace(third, pre=type(pre)(pre.shape, pre.row, place[pre.col], pre.coefficient)),
        ),
    )
