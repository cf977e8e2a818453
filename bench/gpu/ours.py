"""Our own step as the suite times it: by the library's choice of configuration, which reads what was tuned before."""

from __future__ import annotations

from functools import lru_cache

from psinn_fast.kernels.triton.backend import TritonBackend
from psinn_fast.kernels.triton.gemm import GemmBackend

from .cases import BY_FUSED, BY_PRODUCTS
from .laplace.case import Case
from .laplace.eager import OursStep


@lru_cache(maxsize=4)
def ours(case: Case, precision: str | None = None) -> OursStep:
    """``precision``: None for what "auto" takes, or `cases.BY_PRODUCTS`."""
    if precision is None:
        precision = BY_PRODUCTS if max(case.layers) > TritonBackend.best_width else BY_FUSED
    return OursStep(case, GemmBackend() if precision == BY_PRODUCTS else TritonBackend(precision))
