"""A small sparse linear map y = M x with constant coefficients, and its transpose, on torch vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import scipy.sparse
import torch
from torch import Tensor

from ..errors import InputError

T = TypeVar("T")


class LinearMap:
    """y = M x for a constant sparse M of shape (n_out, n_in), given by its non-zero entries.

    The relation matrix R is such a map with coefficients +-1 and at most one entry per row. Rewritten networks need
    more (a shared product has the weight A + B), so several entries per row and any coefficient are allowed.

    ``apply`` is differentiable to any order by autograd; both directions sum in a fixed order.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        row: npt.ArrayLike,
        col: npt.ArrayLike,
        coefficient: npt.ArrayLike,
    ) -> None:
        self.shape = shape
        self.row = np.asarray(row, dtype=np.int64)
        self.col = np.asarray(col, dtype=np.int64)
        self.coefficient = np.asarray(coefficient, dtype=np.float64)
        if not self.row.shape == self.col.shape == self.coefficient.shape or self.row.ndim != 1:
            raise InputError(
                "row, col, coefficient: expected three vectors of one length, got shapes "
                f"{self.row.shape}, {self.col.shape}, {self.coefficient.shape}"
            )
        for name, index, size in (("row", self.row, shape[0]), ("col", self.col, shape[1])):
            if index.size and (index.min() < 0 or index.max() >= size):
                raise InputError(f"{name}: indices must lie in 0..{size - 1}, got {index.min()}..{index.max()}")
        n_out, n_in = shape
        steps = np.arange(self.row.size)
        # Each row filled exactly once, in order: a gather. The identity on top of that needs no work at all.
        self._is_gather = self.row.size == n_out and bool((self.row == steps).all())
        self.is_identity = (
            self._is_gather
            and n_in == n_out
            and bool((self.col == steps).all())
            and bool((self.coefficient == 1).all())
        )
        self._tensors: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor, Tensor]] = {}

    @classmethod
    def identity(cls, size: int) -> LinearMap:
        index = np.arange(size)
        return cls((size, size), index, index, np.ones(size))

    @classmethod
    def from_dense(cls, matrix: npt.ArrayLike) -> LinearMap:
        dense = np.asarray(matrix, dtype=np.float64)
        row, col = np.nonzero(dense)
        return cls((dense.shape[0], dense.shape[1]), row, col, dense[row, col])

    @classmethod
    def of_blocks(cls, matrix: npt.NDArray[np.float64], rows: npt.ArrayLike, cols: npt.ArrayLike) -> LinearMap:
        """Every entry c of ``matrix`` as a block c * identity, of the given sizes."""
        sizes, (i, j) = np.asarray(rows), np.nonzero(matrix)
        within = np.arange(sizes[i].sum()) - (np.cumsum(sizes[i]) - sizes[i]).repeat(sizes[i])
        ends, widths = np.cumsum(sizes), np.asarray(cols)
        row = (ends - sizes)[i].repeat(sizes[i]) + within
        col = (np.cumsum(widths) - widths)[j].repeat(sizes[i]) + within
        return cls((int(ends[-1]), int(widths.sum())), row, col, matrix[i, j].repeat(sizes[i]))

    @classmethod
    def stack(cls, maps: Iterable[LinearMap]) -> LinearMap:
        """Block-diagonal map: each part acts on its own slice of x."""
        rows, cols, coefficients = [], [], []
        n_out = n_in = 0
        for part in maps:
            rows.append(part.row + n_out)
            cols.append(part.col + n_in)
            coefficients.append(part.coefficient)
            n_out += part.shape[0]
            n_in += part.shape[1]
        return cls((n_out, n_in), np.concatenate(rows), np.concatenate(cols), np.concatenate(coefficients))

    @property
    def transposed(self) -> LinearMap:
        """M^T."""
        return LinearMap((self.shape[1], self.shape[0]), self.col, self.row, self.coefficient)

    def apply(self, x: Tensor) -> Tensor:
        """M x, for x of shape (n_in,)."""
        if self.is_identity:
            return x
        row, col, coefficient = self._on(x)
        entries = x.index_select(0, col) * coefficient
        if self._is_gather:
            return entries
        return add_in_order(x.new_zeros(self.shape[0]), 0, row, entries)

    def transpose(self, y: Tensor) -> Tensor:
        """M^T y, for y of shape (n_out,): gathers gradients of the expanded weights back to theta."""
        if self.is_identity:
            return y
        row, col, coefficient = self._on(y)
        entries = (y if self._is_gather else y.index_select(0, row)) * coefficient
        return add_in_order(y.new_zeros(self.shape[1]), 0, col, entries)

    def transpose_rows(self, y: Tensor) -> Tensor:
        """Row-wise M^T: (N, n_out) -> (N, n_in), for per-point gradients."""
        if self.is_identity:
            return y
        row, col, coefficient = self._on(y)
        entries = y.index_select(1, row) * coefficient
        return add_in_order(y.new_zeros(y.shape[0], self.shape[1]), 1, col, entries)

    def dense(self) -> npt.NDArray[np.float64]:
        matrix = np.zeros(self.shape)
        np.add.at(matrix, (self.row, self.col), self.coefficient)
        return matrix

    def sparse(self) -> Any:
        """M as a scipy array."""
        return scipy.sparse.csr_array((self.coefficient, (self.row, self.col)), self.shape)

    def _on(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        key = (like.device, like.dtype)
        if key not in self._tensors:
            made = made_outside(lambda: self._made(like))
            if not is_kept(made):
                return made
            self._tensors[key] = made
        return self._tensors[key]

    def _made(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return (
            torch.from_numpy(self.row).to(like.device),
            torch.from_numpy(self.col).to(like.device),
            torch.from_numpy(self.coefficient).to(like.device, like.dtype),
        )


def made_outside(make: Callable[[], T]) -> T:
    """What is kept for later calls: they may need gradients, and are out of the transform or trace of this one."""
    if torch.compiler.is_compiling():
        with torch.inference_mode(False):
            return make()
    with torch._C._DisableFuncTorch(), torch.inference_mode(False), _untraced():
        return make()


@contextmanager
def _untraced() -> Iterator[None]:
    """Out of torch.jit.trace."""
    trace: object = torch._C._get_tracing_state()
    if trace is None:  # setting it to what it is is an error in some modes
        yield
        return
    torch._C._set_tracing_state(None)  # type: ignore[attr-defined]  # torch does not list it
    try:
        yield
    finally:
        torch._C._set_tracing_state(trace)  # type: ignore[attr-defined]  # as above


def is_kept(tensors: Iterable[Tensor]) -> bool:
    """Whether they are numbers: those made inside a mode of torch, such as FakeTensorMode, mean nothing outside."""
    return all(type(tensor) is Tensor for tensor in tensors)


def add_in_order(x: Tensor, axis: int, index: Tensor, values: Tensor) -> Tensor:
    """``x.index_add``, also on a GPU in a fixed order: there index_add is made of atomic additions."""
    if not x.is_cuda:
        return x.index_add(axis, index, values)
    # This one sorts first.
    moved = x.transpose(0, axis).index_put((index,), values.transpose(0, axis), accumulate=True)
    return moved.transpose(0, axis)
