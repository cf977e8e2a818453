"""Dense factorisations and products of float64 matrices, the large ones in blocks, with a look at Ctrl-C between them.

On one core the largest that are allowed take minutes, and an operation of torch cannot be interrupted.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..kernels.contract import Backend
from .abort import look_up
from .parts import part, reached

# Multiplications and additions that torch is given at once: about a second of a busy core.
AT_ONCE = 1e10
# Columns of a panel.
_PANEL = 256
# The C++ kernel of the Gram matrix takes so many rows at a time.
_GRAM_ROWS = 128


def add_gram_by_rows(engine: Backend, gram: Tensor, jacobian: Tensor, r: Tensor) -> None:
    """`Backend.add_gram`, a part of the rows after the other."""
    n = jacobian.shape[1]
    step = max(1, int(AT_ONCE / (n * n * _GRAM_ROWS))) * _GRAM_ROWS if n else len(r)
    for start in range(0, len(r), step):
        look_up()
        rows = slice(start, start + step)
        with part("J^T J"):
            engine.add_gram(gram, jacobian[rows], r[rows])


def outer_gram(a: Tensor) -> Tensor:
    """The lower triangle of A A^T for A (m, n); what lies above is not specified if it is large."""
    m, n = a.shape
    if 2 * m * m * n <= AT_ONCE:
        return a @ a.T
    result = a.new_zeros(m, m)
    tile = max(16, math.isqrt(int(AT_ONCE / (2 * n))))
    for i in range(0, m, tile):
        for j in range(0, i + 1, tile):
            look_up()
            result[i : i + tile, j : j + tile] = a[i : i + tile] @ a[j : j + tile].T
    return result


def cholesky(matrix: Tensor) -> tuple[Tensor, bool]:
    """(L, True) with L L^T = matrix, of which the lower triangle is read; (something, False) where there is none.

    Above its diagonal L is not specified; ``matrix`` may be overwritten.
    """
    n = len(matrix)
    if n**3 / 3 <= AT_ONCE:
        factor, failed = torch.linalg.cholesky_ex(matrix)
        return factor, not int(failed)
    for start in range(0, n, _PANEL):
        look_up()
        own, below = slice(start, start + _PANEL), slice(start + _PANEL, n)
        panel = matrix[start:, own]
        if start:
            panel -= matrix[start:, :start] @ matrix[own, :start].T
        factor, failed = torch.linalg.cholesky_ex(matrix[own, own])
        matrix[own, own] = factor
        if int(failed):
            return matrix, False
        reached(1 - (1 - start / n) ** 3)
        if start + _PANEL < n:
            matrix[below, own] = torch.linalg.solve_triangular(factor.T, matrix[below, own], upper=True, left=False)
    reached(0.0)
    return matrix, True


def solved_by_cholesky(factor: Tensor, right: Tensor) -> Tensor:
    """(L L^T)^-1 right for L (n, n), of which the lower triangle is read, and right (n,).

    By two triangular systems: of one right side they take a tenth of the time of torch.cholesky_solve.
    """
    forwards = torch.linalg.solve_triangular(factor, right[:, None], upper=False)
    solution: Tensor = torch.linalg.solve_triangular(factor.T, forwards, upper=True)
    return solution[:, 0]


def updated_triangle(triangle: Tensor, rows: Tensor, is_diagonal: bool = False) -> Tensor:
    """R of the QR factorisation of [triangle; rows]: R^T R = triangle^T triangle + rows^T rows.

    Panel by panel, which meets only what is not zero: of the triangle the panel's own rows, and of ``rows``, if
    ``is_diagonal`` (zero but for its diagonal), those down to there.

    Args:
        triangle: (n, n), upper.
        rows: (m, n).
    """
    n = triangle.shape[1]
    if 2 * n * n * (len(rows) + 2 / 3 * n) <= AT_ONCE:
        whole: Tensor = torch.linalg.qr(torch.cat([triangle, rows]), mode="r").R
        return whole
    triangle, rows = triangle.clone(), rows.clone()
    for start in range(0, n, _PANEL):
        look_up()
        stop = min(start + _PANEL, n)
        own, right = slice(start, stop), slice(stop, n)
        below = rows[:stop] if is_diagonal else rows
        reflectors, scales = torch.geqrf(torch.cat([triangle[own, own], below[:, own]]))
        triangle[own, own] = reflectors[: stop - start].triu()
        if stop < n:
            rest = torch.cat([triangle[own, right], below[:, right]])
            rest = torch.ormqr(reflectors, scales, rest, transpose=True)
            triangle[own, right], below[:, right] = rest[: stop - start], rest[stop - start :]
    return triangle
