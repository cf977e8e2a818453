"""All residuals of a loss as one long vector r(x), with its Jacobian in row chunks.

x = (theta, z), z the free numbers behind the unknown coefficients (bounds.py); M rows, n unknowns, float64. The rows of
term t, one for each point or one for all, are scaled by sqrt(w_t / their number), so that |r|^2 is the weighted loss.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..kernels.contract import Backend, Term
from ..kernels.language.program import linear_in_jets
from ..kernels.language.torch_program import slopes, undefined
from ..kernels.network.plan import Plan
from .abort import look_up
from .conjugate_gradients import Chunk
from .parts import part, reached

# Numbers of the Jacobian alive at once: 64 MB in float64.
_CHUNK_NUMBERS = 1 << 23
# Points at once, and multiplications of a forward pass: less than a second of a busy core, its adjoint included.
_CHUNK_POINTS, _CHUNK_WORK = 1 << 17, 2e9


class Residuals:
    """r(x) for the terms of positive weight. ``weights``: one per term."""

    def __init__(
        self,
        engine: Backend,
        plan: Plan,
        terms: Sequence[Term],
        weights: Sequence[float],
        precision: torch.dtype = torch.float64,
    ) -> None:
        self._engine, self._plan, self._precision = engine, plan, precision
        self.terms, self.weights = terms, weights
        self._multiplications = sum(layer.multiplications for layer in plan.layers)
        self._active = [i for i, weight in enumerate(weights) if weight > 0]

    @property
    def rows(self) -> int:
        return sum(self._rows(i) for i in self._active)

    def of_term(self, term: Term, x: Tensor) -> Tensor:
        """(n_rows, m), unscaled: no gradient is computed along."""
        theta, coefficients = self._split(x)
        parts = []
        step = self._points_at_once(term)
        for start in range(0, term.n_points, step):
            look_up()
            some = term.part(slice(start, start + step))
            with part("residuals"):
                parts.append(self._engine.residuals(self._plan, theta, coefficients, some))
        return torch.cat(parts) if term.quadrature is None else torch.stack(parts).sum(0)

    def undefined(self, term: Term, x: Tensor) -> str | None:
        """Which operation of a term has no value, as text (`torch_program.undefined`)."""
        theta, coefficients = self._split(x)
        return undefined(term.program, self._jets(term, theta), term.points, term.columns, coefficients)

    def linearised(self, term: Term, x: Tensor) -> Term:
        """The term whose residuals are sum_j s_ij jet_j, s the given one's slopes at x: what a change does."""
        theta, coefficients = self._split(x)
        program, pairs = linear_in_jets(term.program)
        jets = self._jets(term, theta)
        found = [
            slopes(term.program, i, jets, term.points, term.columns, coefficients)
            for i in range(term.program.n_residuals)
        ]
        columns = [term.columns.new_zeros(term.n_points) + found[i][n] for i, n in pairs]
        return replace(term, program=program, columns=torch.stack(columns, 1) if columns else term.columns[:, :0])

    def vector(self, x: Tensor) -> Tensor:
        """r (M,)."""
        return torch.cat([self.of_term(self.terms[i], x).reshape(-1) * self._scale(i) for i in self._active])

    def losses(self, r: Tensor) -> list[float]:
        """Every term's mean square, unweighted; NaN for terms that weigh nothing."""
        result, start = [math.nan] * len(self.terms), 0
        for i in self._active:
            stop = start + self._rows(i)
            result[i] = float(r[start:stop].square().sum()) / self.weights[i]
            start = stop
        return result

    def chunks(self, x: Tensor) -> Iterator[Chunk]:
        """(r, J) of consecutive rows, in the order of `vector`."""
        done = 0
        for i in self._active:
            scale = self._scale(i)
            for r, jacobian in self._term_chunks(i, x):
                yield r * scale, jacobian.mul_(scale)
                done += len(r)
                reached(done / self.rows)
        reached(0.0)

    def traces(self, x: Tensor) -> list[float]:
        """Every term's mean over rows of |dr/dx|^2, unweighted; 0 for terms that weigh nothing."""
        result = [0.0] * len(self.terms)
        for i in self._active:
            squares = sum(float(jacobian.square().sum()) for _, jacobian in self._term_chunks(i, x))
            result[i] = squares / self.terms[i].n_rows
        return result

    def pull_back(self, x: Tensor, s: Tensor) -> Tensor:
        """J^T s (n,): no Jacobian is computed."""
        theta, coefficients = self._split(x)
        theta_bar, coefficients_bar = torch.zeros_like(theta), torch.zeros_like(coefficients)
        start = 0
        for i in self._active:
            term, m = self.terms[i], self.terms[i].program.n_residuals
            s_term = s[start : start + self._rows(i)].view(-1, m) * self._scale(i)
            start += self._rows(i)
            step = self._points_at_once(term)
            for first in range(0, term.n_points, step):
                look_up()
                rows = slice(first, first + step)
                some, s_some = term.part(rows), s_term[rows] if term.quadrature is None else s_term
                with part("residuals"):
                    found = self._engine.residuals_backward(self._plan, theta, coefficients, some, s_some)
                theta_bar += found.theta
                coefficients_bar += found.coefficients
        return torch.cat([theta_bar, coefficients_bar])

    def _jets(self, term: Term, theta: Tensor) -> Tensor:
        """(n_sites, C, N, F)."""
        jets = self._engine.jets(self._plan, theta, term.points.flatten(0, 1), term.program.channels)
        return jets.view(term.points.shape[0], term.n_points, *jets.shape[1:]).transpose(1, 2)

    def _term_chunks(self, i: int, x: Tensor) -> Iterator[Chunk]:
        parts = self._parts(i, x)
        if self.terms[i].quadrature is None:
            yield from parts
        else:  # rows of parts of a sum
            r, jacobian = zip(*parts, strict=True)
            yield torch.stack(r).sum(0), torch.stack(jacobian).sum(0)

    def _parts(self, i: int, x: Tensor) -> Iterator[Chunk]:
        term = self.terms[i]
        theta, coefficients = (own.to(self._precision) for own in self._split(x))
        step = max(1, _CHUNK_NUMBERS // (x.numel() * term.program.n_residuals))
        step = min(step, self._points_at_once(term))
        for start in range(0, term.n_points, step):
            look_up()
            some = term.part(slice(start, start + step))
            with part("Jacobian"):
                r, jacobian = self._engine.residual_jacobian(self._plan, theta, coefficients, self._rounded(some))
                jacobian = jacobian.flatten(0, 1).double()
            if self._precision != torch.float64:
                # Only J is rounded: r decides which steps are taken, and how small the loss becomes.
                r = self.of_term(some, x)
            yield r.flatten(), jacobian

    def _points_at_once(self, term: Term) -> int:
        work = self._multiplications * len(term.program.channels) * term.program.n_sites
        return max(1, min(_CHUNK_POINTS, int(_CHUNK_WORK / max(work, 1))))

    def _rounded(self, term: Term) -> Term:
        if self._precision == torch.float64:
            return term
        tensors = {name: getattr(term, name) for name in ("points", "columns", "quadrature")}
        return replace(term, **{name: own.to(self._precision) for name, own in tensors.items() if own is not None})

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        n = self._plan.n_parameters
        return x[:n], x[n:]

    def _rows(self, i: int) -> int:
        return self.terms[i].n_rows * self.terms[i].program.n_residuals

    def _scale(self, i: int) -> float:
        return math.sqrt(self.weights[i] / self.terms[i].n_rows)
