"""A Psi-NN needs one point of each orbit: points at which its symmetry makes the residual the same.

If u(g x) = chi u(x) whatever the weights, and the problem is symmetric too, then |r(g x)| = |r(x)|: on a symmetric grid
half of the points, or three quarters, only repeat what others say. One point per orbit is kept, and its residual
multiplied by sqrt(c n / N), c the points of the orbit, n those kept of N: the mean of squares is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ...kernels import or_reference
from ...kernels.contract import Backend, Term
from ...kernels.language.program import scaled_by_column
from ...networks.groups import SignedPermutation
from ...networks.mlp import PsiMLP
from ...problem.problem import Problem
from ..residuals import Residuals

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
# Of the domain's diameter: points this close are the same.
_SAME_POINT = 1e-9
# Residuals are equal if they differ by less than this times their own size, or by rounding errors of the largest one.
_EQUAL, _ROUNDING = 1e-9, 1e-12
# Of a map, before all points are looked up.
_PROBES = 500
# Random networks at which residuals are compared.
_DRAWS = 2


def one_point_per_orbit(problem: Problem, net: PsiMLP, terms: Sequence[Term], engine: Backend) -> list[Term]:
    """Terms with the same losses and gradients for every network of this structure, from fewer points.

    Which points belong together is found out, not derived: those that a signed permutation about the domain's centre
    maps to each other and whose residuals agree up to sign, to nine digits, for random weights. Dense networks, terms
    that compare two sites, integrals, and points without images stay as they are.

    Args:
        problem: gives the points in float64.
        net: its structure counts, not its weights.
        terms: the problem's, in any dtype and on any device.
        engine: computes the residuals that are compared, in float64 on the terms' device.
    """
    if net.structure.is_dense:
        return list(terms)
    sizes = residual_sizes(problem, net, engine, terms[0].points.device)
    return [
        term if term.quadrature is not None else _reduced(term, orbit_numbers(problem, i, sizes[i]))
        for i, term in enumerate(terms)
    ]


def residual_sizes(problem: Problem, net: PsiMLP, engine: Backend, device: torch.device) -> list[FloatArray]:
    """Per term |r| (draws, N) of random networks, with random coefficients; NaN where it is not finite."""
    terms = problem.terms(torch.float64, device)
    plan = net.plan.without_slopes  # the same functions, of weights that no factor makes large
    residuals = Residuals(or_reference(engine), plan, terms, [1.0] * len(terms))
    rng = np.random.default_rng(0)
    n_theta, n_unknown = plan.n_parameters, len(problem.pde.unknown)
    # Numbers of an embedding are near their start, where it has values; at it relations may hold by chance.
    start = np.array([start or 1.0 for start in net.structure.without_slopes.ahead.values()])
    draws = []
    for _ in range(_DRAWS):
        ahead, weights = start * rng.uniform(0.8, 1.2, len(start)), rng.standard_normal(n_theta - len(start))
        x = np.concatenate([ahead, weights, rng.uniform(0.5, 1.5, n_unknown)])
        draws.append(torch.from_numpy(x).to(device))
    sizes = [
        np.stack([residuals.of_term(term, x).square().sum(1).sqrt().cpu().numpy() for x in draws]) for term in terms
    ]
    # Infinity would make every tolerance infinite, and so every point equal to its image.
    return [np.where(np.isfinite(size), size, np.nan) for size in sizes]


def orbit_numbers(problem: Problem, number: int, sizes: FloatArray) -> IntArray:
    """(N,): the orbit that each point of a term belongs to."""
    sites = problem.conditions[number].sites
    n = sizes.shape[1]
    if len(sites) > 1:
        return np.arange(n)
    (points,), centre = sites, problem.domain.centre
    rounding = _ROUNDING * np.where(np.isnan(sizes), 0.0, sizes).max(1, keepdims=True)
    tree, reach = cKDTree(points), _SAME_POINT * float(np.linalg.norm(problem.domain.high - problem.domain.low)) / 2

    def pairs(g: SignedPermutation, own: IntArray) -> IntArray:
        """(2, pairs): points among ``own`` and their images, where those are others and residuals agree."""
        distance, image = tree.query(centre + g(points[own] - centre), distance_upper_bound=reach)
        found = np.isfinite(distance) & (image != own)
        own, image = own[found], image[found]
        here, there = sizes[:, own], sizes[:, image]
        tolerance = _EQUAL * (here + there) + rounding
        equal = (np.abs(here - there) <= tolerance).all(0)  # false for NaN
        return np.stack([own[equal], image[equal]])

    everything, few = np.arange(n), np.random.default_rng(0).permutation(n)[:_PROBES]
    # Most maps are no symmetry, which a few points show.
    maps = [g for g in problem.domain.symmetries() if pairs(g, few).size]
    if not maps:
        return everything
    first, second = np.concatenate([pairs(g, everything) for g in maps], 1)
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(n, n))
    return np.asarray(connected_components(graph)[1], dtype=np.int64)


def _reduced(term: Term, orbits: IntArray) -> Term:
    _, kept, counts = np.unique(orbits, return_index=True, return_counts=True)
    if len(kept) == term.n_points:
        return term
    order = np.argsort(kept)
    kept, counts = kept[order], counts[order]
    factor = np.sqrt(counts * (len(kept) / term.n_points))
    index = torch.from_numpy(kept).to(term.points.device)
    column = torch.from_numpy(factor).to(term.columns)[:, None]
    return replace(
        term,
        program=scaled_by_column(term.program),
        points=term.points[:, index].contiguous(),
        columns=torch.cat([term.columns[index], column], 1),
    )
