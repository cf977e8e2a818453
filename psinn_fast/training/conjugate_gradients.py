"""Conjugate gradients on damped normal equations of many unknowns, preconditioned by a randomised sketch of J^T J.

With A = D^-1 J^T J D^-1, of columns that are about of unit length, and damping mu: A is approximated from A Omega,
Omega (n, k) random, by U diag(l) U^T (Nystroem), which has what matters of its largest eigenvalues; those of Jacobians
of networks fall quickly. P^-1 = (l_k + mu) U (diag(l) + mu)^-1 U^T + I - U U^T leaves A + mu the condition number
(l_k + mu) / mu, about (Frangella, Tropp & Udell 2023, SIAM J. Matrix Anal. Appl. 44, 718).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from .abort import look_up

# Some rows: r (m,) and J (m, n), float64.
Chunk = tuple[Tensor, Tensor]

# J of so many numbers, 2 GB, is kept; a larger one is computed anew for every product.
_KEPT = 1 << 28
# k: a part of the unknowns, but not more.
_SKETCHED_PART, _LARGEST_SKETCH = 20, 400
_ITERATIONS = 200
_TOLERANCE = 1e-3
_EPS = torch.finfo(torch.float64).eps


class MatrixFree:
    """``rows``: of J. ``chunks()`` is called once, or for every product with J^T J where J is too large to be kept."""

    def __init__(self, chunks: Callable[[], Iterator[Chunk]], rows: int, x: Tensor) -> None:
        self.name = "cg"
        self._chunks: Callable[[], Iterable[Chunk]] = chunks
        if rows * x.numel() <= _KEPT:
            kept = list(chunks())
            self._chunks = lambda: kept
        self.gradient, self.diagonal = torch.zeros_like(x), torch.zeros_like(x)
        self.square = 0.0
        for r, jacobian in self._chunks():
            self.gradient.addmv_(jacobian.T, r)
            self.diagonal += torch.linalg.vector_norm(jacobian, dim=0).square()
            self.square += float(r @ r)
        self._root = torch.empty(0)

    def damp(self, damping: float, scale: Tensor) -> None:
        self._damping, root = damping, scale.rsqrt()
        if not torch.equal(self._root, root):
            self._root = root
            self._values, self._vectors = self._sketch()

    def step(self) -> Tensor:
        return -self.solve(self.gradient)

    def solve(self, right: Tensor) -> Tensor:
        """To a thousandth of the right side, in the preconditioner's norm."""
        residual = right * self._root
        x = torch.zeros_like(residual)
        direction = z = self._preconditioned(residual)
        product = float(residual @ z)
        target = _TOLERANCE**2 * product
        for _ in range(_ITERATIONS):
            if product <= target:  # false for NaN, which then goes into x
                break
            image = self._times(direction[:, None])[:, 0] + self._damping * direction
            length = product / float(direction @ image)
            x += length * direction
            residual -= length * image
            z = self._preconditioned(residual)
            before, product = product, float(residual @ z)
            direction = z + (product / before) * direction
        return x * self._root

    def _times(self, v: Tensor) -> Tensor:
        """A v for v (n, k)."""
        scaled = v * self._root[:, None]
        image = torch.zeros_like(v)
        for _, jacobian in self._chunks():
            look_up()
            image += jacobian.T @ (jacobian @ scaled)
        return image * self._root[:, None]

    def _preconditioned(self, v: Tensor) -> Tensor:
        coordinates = self._vectors.T @ v
        factors = (self._values[-1] + self._damping) / (self._values + self._damping) - 1
        return v + self._vectors @ (factors * coordinates)

    def _sketch(self) -> tuple[Tensor, Tensor]:
        """l (k,), falling, and U (n, k)."""
        n = len(self.gradient)
        k = max(1, min(n // _SKETCHED_PART, _LARGEST_SKETCH))
        omega = torch.randn(n, k, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        omega = torch.linalg.qr(omega).Q.to(self.gradient)
        image = self._times(omega)
        # As much as rounding errors may make it indefinite.
        shift = _EPS * float(torch.linalg.vector_norm(image)) * n**0.5
        image += shift * omega
        factor, failed = torch.linalg.cholesky_ex(omega.T @ image)
        if int(failed) or not bool(torch.isfinite(factor).all()):  # of NaN, or of nothing: no preconditioner
            return image.new_zeros(1), image.new_zeros(n, 1)
        half = torch.linalg.solve_triangular(factor.T, image, upper=True, left=False)
        squares, right = torch.linalg.eigh(half.T @ half)
        squares, right = squares.flip(0).clamp_min(_EPS * float(squares[-1])), right.flip(1)
        return (squares - shift).clamp_min(0), half @ (right / squares.sqrt())
