"""What is measured: one registry of cases, and the data every peer trains on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from psinn_fast.kernels.contract import Term
from psinn_fast.networks import TanhMLP
from psinn_fast.problems import get_problem


@dataclass(frozen=True)
class Case:
    """One Adam step on the Laplace problem: residual at ``points`` points, Dirichlet data at 4 x ``edge_points``."""

    name: str
    layers: tuple[int, ...]
    points: int = 10_201
    edge_points: int = 101
    lr: float = 1e-3

    def terms(self, dtype: torch.dtype = torch.float32) -> list[Term]:
        """The residual, then the four edges; smaller cases take evenly spaced points of the full problem."""
        residual, *edges = get_problem("laplace").terms(dtype)
        return [thinned(residual, self.points), *(thinned(edge, self.edge_points) for edge in edges)]

    def network(self) -> TanhMLP:
        """The initial weights, the same for every peer."""
        net = TanhMLP(self.layers, seed=0)
        # Twice the usual size: there the residual's gradient is as large as the edges', not a hundredth of it,
        # so that an error in either shows.
        with torch.no_grad():
            net.theta.mul_(2)
        return net


def thinned(term: Term, count: int) -> Term:
    """The term at evenly spaced points of its own."""
    index = torch.linspace(0, term.n_points - 1, count, dtype=torch.float64).round().long()
    return replace(term, points=term.points[:, index], columns=term.columns[index])


CASES = (
    Case("laplace-8-8-16", (2, 8, 8, 16, 1)),
    Case("laplace-32-32-32", (2, 32, 32, 32, 1)),
)
