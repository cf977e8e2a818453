"""R-disjunctions as one function, so that expressions of many of them do not grow, nor does SymPy look into them."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp


class Disjunction(sp.Function):  # type: ignore[misc]  # SymPy ships no types
    """a + b + sqrt(max(a^2 + b^2, c)): zero where the larger of a and b is, positive where it is (Rvachev).

    c > 0 is tiny: where both are zero the root has no derivative, and counts as constant.
    """

    nargs = 3
    is_real = True

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        a, b, _ = self.args
        return 1 + self.args[argindex - 1] / (self - a - b)

    @staticmethod
    def _imp_(a: Any, b: Any, c: Any) -> Any:  # what lambdify and evalf call
        return a + b + np.maximum(a * a + b * b, c) ** 0.5
