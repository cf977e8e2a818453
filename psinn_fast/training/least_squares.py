"""Damped linear least squares, min_d |J d + r|^2 + damping |D d|^2, with J seen in row chunks only.

M rows, n unknowns, D^2 = scale (n,). Five ways, chosen by size and damping (`choose`):

    cholesky   J^T J + damping D^2; where it is numerically singular, its eigenvectors (eigh), or if it is large, a
               little more damping (shifted)
    coarse     the same with products in float32, where their rounding errors are far below the damping; J^T r is exact
    qr         R of [J r], then R' of [R; sqrt(damping) D]: the condition number is not squared
    dual       J D^-2 J^T + damping, for more unknowns than rows
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
    """Which of the five: by the smaller side, and none that factors where both are too large.

    ``damping`` is relative to columns of unit length. Far below 1 the Gram matrix, whose condition number is that of J
    squared, would blur the step by its rounding errors; then R is worth its price. Near 1 float32 will do.
    """
    if min(rows, unknowns) > LARGEST_FACTORED:
        return "cg"
    if unknowns > rows:
        return "dual"
    if unknowns >= _COARSE_UNKNOWNS and damping >= _COARSE_DAMPING:
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
            return DualEquations(chunks(), x)
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
    """All of J, which has few rows, and the kernel J D^-2 J^T."""

    def __init__(self, chunks: Iterable[Chunk], x: Tensor) -> None:
        self.name = "dual"
        parts = list(chunks)
        self._residual = torch.cat([r for r, _ in parts])
        self._jacobian = torch.cat([jacobian for _, jacobian in parts])
        self.gradient = self._jacobian.T @ self._residual
        self.diagonal = self._jacobian.square().sum(0)
        self.square = float(self._residual @ self._residual)
        self._scale = torch.empty_like(x[:0])

    def damp(self, damping: float, scale: Tensor) -> None:
        if not torch.equal(scale, self._scale):  # another damping alone changes nothing but the diagonal
            self._scale, self._root = scale.clone(), scale.rsqrt()
            self._scaled = self._jacobian * self._root
            self._kernel = outer_gram(self._scaled)
        self._damping, kernel = damping, self._kernel.clone()
        # Rounding errors of the kernel's largest eigenvalues: without them Cholesky may fail on equal rows.
        kernel.diagonal().add_(damping + _EPS * float(kernel.diagonal().sum()))
        self._factor = cholesky(kernel)[0]

    def step(self) -> Tensor:
        dual = solved_by_cholesky(self._factor, self._residual)
        return -(self._scaled.T @ dual) * self._root

    def solve(self, right: Tensor) -> Tensor:
        scaled = right * self._root
        dual = solved_by_cholesky(self._factor, self._scaled @ scaled)
        return (scaled - self._scaled.T @ dual) / self._damping * self._root
