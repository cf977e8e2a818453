"""Residual programs at the points of a term: from the jets of a network to residuals, and back."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from ..language.program import Coefficient, Jet, Program
from ..language.torch_program import torch_program


class Evaluation(NamedTuple):
    """A residual program with everything that it reads at N points.

    Attributes:
        program: gives m residuals per point.
        jets: (n_sites, C, N, F), of the network at the points.
        points: (n_sites, N, d).
        columns: (N, n_columns).
        coefficients: (K,).
    """

    program: Program
    jets: Tensor
    points: Tensor
    columns: Tensor
    coefficients: Tensor

    def residuals(self) -> list[Tensor]:
        """The m residuals, each (N,)."""
        values = torch_program(self.program).residuals(self.jets, self.points, self.columns, self.coefficients)
        return [per_point(value, self.columns) for value in values]

    def pull_back(self, r_bar: list[Tensor], jets_bar: Tensor) -> list[tuple[int, Tensor]]:
        """The adjoint of `residuals`: from d/dr_i of a number, one (N,) for each residual, to d/d(everything trained).

        Args:
            r_bar: see above.
            jets_bar: like ``jets``; what the program reads is overwritten, the rest stays.

        Returns:
            (number of an unknown coefficient, what each point (N,) adds to its derivative).
        """
        arguments = self.jets, self.points, self.columns, self.coefficients
        adjoints = torch_program(self.program).adjoint(*arguments, r_bar)
        by_coefficient = []
        for (register, _), value in zip(self.program.gradients, adjoints, strict=True):
            match self.program.inputs[register]:
                case Jet(site, field, channel):
                    jets_bar[site, channel, :, field] = value
                case Coefficient(k):
                    by_coefficient.append((k, per_point(value, self.columns)))
        return by_coefficient


def per_point(value: Tensor | float, columns: Tensor) -> Tensor:
    """A number of a program as (N,): programs give plain numbers for what is the same at all points."""
    # Not a copy from the host: a CUDA graph may be recorded.
    whole = value if isinstance(value, Tensor) else columns.new_full((), value)
    return whole.expand(columns.shape[0])


def by_site(jets: Tensor, n_sites: int) -> Tensor:
    """(C, n_sites * N, F) seen as (n_sites, C, N, F)."""
    n_channels, rows, n_fields = jets.shape
    return jets.view(n_channels, n_sites, rows // n_sites, n_fields).transpose(0, 1)
