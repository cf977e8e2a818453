"""What our own times are divided by where no peer takes part: a fixed number of multiply-adds of the same machine.

Products of matrices that fit the first-level cache, by numpy's BLAS: sensitive to clock, load and neighbours as
kernels are, and the same in every version of this library.
"""

from __future__ import annotations

import numpy as np

from ..suite.case import Array, Case

SIZE, REPEATS = 64, 40


class Yardstick:
    def __init__(self, case: Case) -> None:
        self._a = np.random.default_rng(0).random((SIZE, SIZE)).astype(case.dtype)
        self._out = np.empty_like(self._a)

    def loss_and_gradient(self) -> tuple[float, Array]:
        """There is nothing to check."""
        raise NotImplementedError

    def steps(self, count: int) -> None:
        for _ in range(count * REPEATS):
            np.dot(self._a, self._a, out=self._out)
