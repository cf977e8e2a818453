"""The normal equations of Gauss-Newton, summed over row chunks of the Jacobian."""

from __future__ import annotations

import torch
from torch import Tensor

from .contract.checks import check_like
from .cpu.extension import chosen_instruction_set, native
from .errors import InputError
from .memory import readable

# Rows of the Gram matrix that torch sums at once.
_STRIP = 96


def add_gram(gram: Tensor, jacobian: Tensor, r: Tensor) -> None:
    """gram += [J r]^T [J r], the lower triangle: J^T J, and in the last row J^T r and r^T r.

    By the C++ kernels for tensors on a CPU, where they were built, else by torch. Entries above the diagonal are left
    unspecified. The C++ kernels give the same bits with any number of threads.

    Args:
        gram: (n + 1, n + 1), contiguous; changed in place.
        jacobian: (M, n).
        r: (M,).

    Raises:
        InputError: shapes, dtypes or devices that do not fit; other numbers than float32 and float64.
    """
    if jacobian.dtype not in (torch.float32, torch.float64):
        raise InputError(f"jacobian: expected float32 or float64, got {jacobian.dtype}")
    rows, n = jacobian.shape
    check_like("gram", gram, jacobian, (n + 1, n + 1))
    check_like("r", r, jacobian, (rows,))
    module = native() if jacobian.device.type == "cpu" else None
    if module is not None and readable(gram) is gram:
        jacobian, r = readable(jacobian), readable(r)
        suffix = "_float32" if jacobian.dtype == torch.float32 else "_float64"
        getattr(module, "gram" + suffix)(
            module.isa(chosen_instruction_set()), torch.get_num_threads(), jacobian.data_ptr(), r.data_ptr(), rows, n,
            gram.data_ptr(),
        )  # fmt: skip
        return
    # Strips of the lower triangle: all of J^T J would be twice the work. SciPy's BLAS has such a product too, but its
    # threads slow torch's down.
    for first in range(0, n, _STRIP):
        last = min(first + _STRIP, n)
        gram[first:last, :last].addmm_(jacobian[:, first:last].T, jacobian[:, :last])
    gram[n, :n].addmv_(jacobian.T, r)
    gram[n, n] += r @ r
