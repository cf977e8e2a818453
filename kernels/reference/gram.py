"""The normal equations of Gauss-Newton in torch, summed over row chunks of the Jacobian."""

from __future__ import annotations

from torch import Tensor

# Rows of the Gram matrix that torch sums at once.
_STRIP = 96


def add_gram(gram: Tensor, jacobian: Tensor, r: Tensor) -> None:
    """gram += [J r]^T [J r], the lower triangle, for J (M, n) and r (M,); in gram's dtype."""
    jacobian, r = jacobian.to(gram.dtype), r.to(gram.dtype)
    n = jacobian.shape[1]
    # Strips of the lower triangle: all of J^T J would be twice the work. SciPy's BLAS has such a product too, but its
    # threads slow torch's down.
    for first in range(0, n, _STRIP):
        last = min(first + _STRIP, n)
        gram[first:last, :last].addmm_(jacobian[:, first:last].T, jacobian[:, :last])
    gram[n, :n].addmv_(jacobian.T, r)
    gram[n, n] += r @ r
