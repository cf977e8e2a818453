"""What is measured: one registry of cases, and the data every peer trains on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from psinn_fast.kernels.contract import Term
from psinn_fast.networks.mlp import MLP, PsiMLP
from psinn_fast.networks.structure import Structure
from psinn_fast.problems import get_problem


@dataclass(frozen=True)
class Case:
    """One Adam step on the Laplace problem: residual at ``points`` points, Dirichlet data at 4 x ``edge_points``.

    ``structure``: of a tied network; its expanded layers are ``layers``. ``device``: where everything lies.
    """

    name: str
    layers: tuple[int, ...]
    points: int = 10_201
    edge_points: int = 101
    lr: float = 1e-3
    structure: Structure | None = None
    device: str = "cpu"

    def terms(self, dtype: torch.dtype = torch.float32) -> list[Term]:
        """The residual, then the four edges; smaller cases take evenly spaced points of the full problem."""
        residual, *edges = get_problem("laplace").terms(dtype, self.device)
        change = thinned if self.points <= residual.n_points else scattered
        return [change(residual, self.points), *(thinned(edge, self.edge_points) for edge in edges)]

    def network(self) -> PsiMLP:
        """The initial weights, the same for every peer."""
        net = MLP(self.layers, seed=0) if self.structure is None else PsiMLP(self.structure, seed=0)
        # Twice the usual size: there the residual's gradient is as large as the edges', not a hundredth of it,
        # so that an error in either shows.
        with torch.no_grad():
            net.theta.mul_(2)
        return net.to(self.device)


def thinned(term: Term, count: int) -> Term:
    """The term at evenly spaced points of its own."""
    index = torch.linspace(0, term.n_points - 1, count, dtype=torch.float64).round().long().to(term.points.device)
    return replace(term, points=term.points[:, index], columns=term.columns[index])


def scattered(term: Term, count: int) -> Term:
    """A term without columns at random points of [-1, 1]^d; float32 holds them exactly."""
    n_sites, _, d = term.points.shape
    points = torch.empty(n_sites, count, d).uniform_(-1, 1, generator=torch.Generator().manual_seed(0))
    return replace(term, points=points.to(term.points), columns=term.columns.new_empty(count, 0))
