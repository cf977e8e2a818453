"""Damped linear least squares, min_d |J d + r|^2 + damping |D d|^2, with J seen in row chunks only.

M rows, n unknowns, D^2 = scale (n,). Six ways, chosen by size and damping (`choose`):

    cholesky   J^T J + damping D^2; where it is numerically singular, its eigenvectors (eigh), or if it is large, a
               little more damping (shifted)
    coarse     the same with products in float32, where their rounding errors are far below the damping; J^T r is exact
    qr         R of [J r], then R' of [R; sqrt(damping) D]: the condition number is not squared
    dual       J D^-2 J^T + damping, for more unknowns than rows
    coarse dual   the same with products in float32, and the factor where damping is large, refined in float64
    cg         conjugate gradients, preconditioned by a sketch (conjugate_gradients.py)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from ..kernels.contract import Backend
from .abort import look_up
from .conjugate_gradients import Chunk, MatrixFree
from .factorisations import add_gram_by_rows, cholesky, outer_gram, solved_by_cholesky, updated_triangle

# Factorisations of larger matrices take minutes and gigabytes; eigenvectors fifty times as long.
LARGEST_FACTORED = 8_000
LARGEST_EIGEN = 1_000
_EPS = torch.finfo(torch.float64).eps
# Below damping = SAFE * eps * n rounding errors of the Gram matrix of n unit columns weigh as much as the damping.
_SAFE = 16.0
# Products in float32 take half the time of many unknowns. Rounding errors of the Gram matrix of unit columns are then
# about 1e-6 (the norm of its error), a hundredth of the least damping.
_COARSE_UNKNOWNS, _COARSE_DAMPING = 1_000, 1e-4
# No column of J may be longer or shorter in float32 by more than this part, nor be missing.
_COARSE_ERROR = 1e-3
# Refinement ends where the residual of the dual equations has fallen by this.
_REFINED = 1e-8
# Cholesky in float32 errs by less than the damping where that is this part of the kernel's trace.
_FACTORED_COARSELY = 4 * torch.finfo(torch.float32).eps
# Numbers scaled between two looks at Ctrl-C.
_SCALED_AT_ONCE = 1 << 23


class Equations(Protocol):
    """One linearisation. ``gradient`` (n,): J^T r; ``diagonal`` (n,): of J^T J; ``square``: |r|^2.

    `damp` first, then `step` and `solve`; their results are not finite where J is not.
    """

    name: str
    gradient: Tensor
    diagonal: Tensor
    square: float

    def damp(self, damping: float, scale: Tensor) -> None:
        """Factor the equations for this damping."""
        ...

    def step(self) -> Tensor:
        """d (n,)."""
        ...

    def solve(self, right: Tensor) -> Tensor:
        """(J^T J + damping D^2)^-1 right."""
        ...


def choose(rows: int, unknowns: int, damping: float) -> str:
    """Which of the six: by the smaller side, and none that factors where both are too large.

    ``damping`` is relative to columns of unit length. Far below 1 the Gram matrix, whose condition number is that of J
    squared, would blur the step by its rounding errors; then R is worth its price. Near 1 float32 will do.
    """
    if min(rows, unknowns) > LARGEST_FACTORED:
        return "cg"
    is_coarse = min(rows, unknowns) >= _COARSE_UNKNOWNS and damping >= _COARSE_DAMPING
    if unknowns > rows:
        return "coarse dual" if is_coarse else "dual"
    if is_coarse:
        return "coarse"
    return "qr" if damping < _SAFE * _EPS * unknowns else "cholesky"


def linearise(
    engine: Backend, chunks: Callable[[], Iterator[Chunk]], rows: int, x: Tensor, damping: float
) -> Equations:
    """The equations for the J and r given by ``chunks()``, by the method that `choose` names; ``x`` (n,)."""
    match choose(rows, x.numel(), damping):
        case "cg":
            return MatrixFree(chunks, rows, x)
        case "dual":
            return DualEquations(chunks(), rows, x)
        case "coarse dual":
            return DualEquations(chunks(), rows, x, torch.float32)
        case "qr":
            return Triangular(chunks(), x)
        case "coarse":
            found = NormalEquations(engine, chunks(), x, torch.float32)
            if found.is_sound:
                return found
    return NormalEquations(engine, chunks(), x)


class NormalEquations:
    """J^T J, accumulated in float64, with products in ``dtype``; ``is_sound``: float32 holds J well enough."""

    def __init__(self, engine: Backend, chunks: Iterable[Chunk], x: Tensor, dtype: torch.dtype = torch.float64) -> None:
        n = x.numel()
        gram, self.is_sound = x.new_zeros(n + 1, n + 1), True
        if dtype == torch.float64:
            self.name = "cholesky"
            for r, jacobian in chunks:
                add_gram_by_rows(engine, gram, jacobian, r)
            self.gradient, self.square = gram[n, :n].clone(), float(gram[n, n])
            self.diagonal = gram.diagonal()[:n].clone()
        else:
            self.name, self.square = "coarse", 0.0
            self.gradient, self.diagonal = torch.zeros_like(x), torch.zeros_like(x)
            for r, jacobian in chunks:
                add_gram_by_rows(engine, gram, jacobian.to(dtype), r.to(dtype))
                self.gradient.addmv_(jacobian.T, r)
                self.diagonal += torch.linalg.vector_norm(jacobian, dim=0).square()
                self.square += float(r @ r)
            off = (gram.diagonal()[:n] - self.diagonal).abs()
            self.is_sound = bool((off <= _COARSE_ERROR * self.diagonal).all())  # false for NaN
        self._gram = gram[:n, :n]  # of which the lower triangle is looked at
        self._apply: Callable[[Tensor], Tensor] = torch.zeros_like

    def damp(self, damping: float, scale: Tensor) -> None:
        self._root = scale.rsqrt()
        factor, is_definite = cholesky(self._damped(damping))
        if not is_definite and bool(torch.isfinite(damped := self._damped(damping).tril_()).all()):
            if len(damped) <= LARGEST_EIGEN:
                self.name = "eigh"
                self._apply = partial(by_eigenvectors, *torch.linalg.eigh(damped))
                return
            self.name, shift = "shifted", _SAFE * _EPS * len(damped)
            while not is_definite:
                factor, is_definite = cholesky(self._damped(damping + shift))
                shift *= 10
        self._apply = partial(solved_by_cholesky, factor)

    def _damped(self, damping: float) -> Tensor:
        """With columns of unit length: what Cholesky then loses depends on the problem, not on units."""
        look_up()
        damped = (self._gram * self._root[:, None]).mul_(self._root)
        damped.diagonal().add_(damping)
        return damped

    def step(self) -> Tensor:
        return -self.solve(self.gradient)

    def solve(self, right: Tensor) -> Tensor:
        return self._apply(right * self._root) * self._root


def by_eigenvectors(values: Tensor, vectors: Tensor, right: Tensor) -> Tensor:
    """A^+ right, A = vectors diag(values) vectors^T, without eigenvalues that are rounding errors."""
    inverse = torch.where(values > values[-1] * len(values) * _EPS, 1 / values, 0.0)
    return vectors @ (inverse * (vectors.T @ right))


class Triangular:
    """R of [J r], updated chunk by chunk."""

    def __init__(self, chunks: Iterable[Chunk], x: Tensor) -> None:
        self.name = "qr"
        r = x.new_zeros(x.numel() + 1, x.numel() + 1)
        for residual, jacobian in chunks:
            r = updated_triangle(r, torch.cat([jacobian, residual[:, None]], 1))
        self._r = r
        self.gradient = r[:, :-1].T @ r[:, -1]
        self.diagonal = r[:, :-1].square().sum(0)
        self.square = float(r[:, -1] @ r[:, -1])

    def damp(self, damping: float, scale: Tensor) -> None:
        n = scale.numel()
        below = scale.new_zeros(n, n + 1)
        below.diagonal().copy_((damping * scale).sqrt())
        self._factor = updated_triangle(self._r, below, is_diagonal=True)

    def step(self) -> Tensor:
        n = len(self.gradient)
        solution: Tensor = torch.linalg.solve_triangular(self._factor[:n, :n], self._factor[:n, n:], upper=True)
        return -solution[:, 0]

    def solve(self, right: Tensor) -> Tensor:
        n = len(right)
        return solved_by_cholesky(self._factor[:n, :n].T, right)


class DualEquations:
    """All of J, which has few rows, and the kernel K = J D^-2 J^T.

    In float32 K + damping is but a preconditioner: residuals in float64 refine what it solves (Higham 2002, section
    12). Where they do not fall, K is computed in float64.
    """

    def __init__(self, chunks: Iterable[Chunk], rows: int, x: Tensor, dtype: torch.dtype = torch.float64) -> None:
        self.name, self._dtype = "dual" if dtype == torch.float64 else "coarse dual", dtype
        self._residual, self._jacobian = x.new_empty(rows), x.new_empty(rows, len(x))
        self.gradient, self.diagonal = torch.zeros_like(x), torch.zeros_like(x)
        start = 0
        for r, jacobian in chunks:
            stop = start + len(r)
            self._residual[start:stop], self._jacobian[start:stop] = r, jacobian
            self.gradient.addmv_(jacobian.T, r)
            self.diagonal += torch.linalg.vector_norm(jacobian, dim=0).square()
            start = stop
        self.square = float(self._residual @ self._residual)
        self._scale = torch.empty_like(x[:0])

    def damp(self, damping: float, scale: Tensor) -> None:
        if not torch.equal(scale, self._scale):  # another damping alone changes nothing but the diagonal
            self._scale, self._root = scale.clone(), scale.rsqrt()
            self._kernel = self._outer_gram()
        self._damping = damping
        self._factorise()

    def step(self) -> Tensor:
        return -(self._jacobian.T @ self._solved(self._residual)) * self._root.square()

    def solve(self, right: Tensor) -> Tensor:
        scaled = right * self._root
        dual = self._solved(self._jacobian @ (scaled * self._root))
        return (scaled - (self._jacobian.T @ dual) * self._root) / self._damping * self._root

    def _outer_gram(self) -> Tensor:
        rows, n = self._jacobian.shape
        scaled, step = self._jacobian.new_empty(rows, n, dtype=self._dtype), max(1, _SCALED_AT_ONCE // n)
        for start in range(0, rows, step):
            look_up()
            torch.mul(self._jacobian[start : start + step], self._root, out=scaled[start : start + step])
        return outer_gram(scaled)

    def _factorise(self) -> None:
        trace = float(self._kernel.diagonal().sum())
        if self._dtype == torch.float32 and self._damping >= _FACTORED_COARSELY * trace:
            self.factor, is_definite = self._cholesky(torch.float32, self._damping)
            if is_definite:
                return
        # Rounding errors of the kernel's largest eigenvalues: without them Cholesky may fail on equal rows.
        self.factor, is_definite = self._cholesky(torch.float64, self._damping + _EPS * trace)
        if not is_definite and self._dtype == torch.float32:
            self._in_double()

    def _cholesky(self, dtype: torch.dtype, damping: float) -> tuple[Tensor, bool]:
        damped = self._kernel.to(dtype, copy=True)
        damped.diagonal().add_(damping)
        return cholesky(damped)

    def _in_double(self) -> None:
        self.name, self._dtype = "dual", torch.float64
        self._kernel = self._outer_gram()
        self._factorise()

    def _solved(self, right: Tensor) -> Tensor:
        """(K + damping)^-1 right, by the factor alone or refined."""
        if self._dtype == torch.float64:
            return solved_by_cholesky(self.factor, right)
        found, left = torch.zeros_like(right), right
        length = wanted = float(right.norm())
        while not length <= _REFINED * wanted:  # true for NaN
            look_up()
            found = found + solved_by_cholesky(self.factor, left.to(self.factor.dtype)).double()
            spread = self._jacobian.T @ found * self._root.square()
            left = right - self._jacobian @ spread - self._damping * found
            before, length = length, float(left.norm())
            if not length <= before / 2:
                self._in_double()
                return self._solved(right)
        return found
