"""SymPy's functions that SciPy has by another name, for what is computed of the coordinates alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.special as sc

from ..kernels.errors import InputError


def _elliptic_e(*args: Any) -> Any:
    return sc.ellipe(*args) if len(args) == 1 else sc.ellipeinc(*args)


def _elliptic_pi(n: Any, m: Any, *rest: Any) -> Any:
    """By Carlson's forms: R_F(0, 1 - m, 1) + n/3 R_J(0, 1 - m, 1, 1 - n)."""
    if rest:
        raise InputError("SciPy has the complete elliptic_pi(n, m) alone")
    return sc.elliprf(0, 1 - m, 1) + n / 3 * sc.elliprj(0, 1 - m, 1, 1 - n)


def _expint(order: Any, z: Any) -> Any:
    if np.ndim(order) or order != int(order) or order < 0:
        raise InputError(f"SciPy has expint(n, z) of integers n >= 0 alone, got {order}")
    return sc.expn(int(order), z)


def _hyper(upper: Sequence[Any], lower: Sequence[Any], z: Any) -> Any:
    functions: dict[tuple[int, int], Callable[..., Any]] = {(2, 1): sc.hyp2f1, (1, 1): sc.hyp1f1, (0, 1): sc.hyp0f1}
    counts = len(upper), len(lower)
    if counts not in functions:
        known = ", ".join(f"{p} and {q}" for p, q in functions)
        raise InputError(f"SciPy has hyper of {known} parameters, got {counts[0]} and {counts[1]}")
    return functions[counts](*upper, *lower, z)


def _polylog(s: Any, z: Any) -> Any:
    if np.ndim(s) or s != 2:
        raise InputError(f"SciPy has polylog(2, z) alone, got polylog({s}, z)")
    return sc.spence(1 - z)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "elliptic_k": sc.ellipk,
    "elliptic_e": _elliptic_e,
    "elliptic_f": sc.ellipkinc,
    "elliptic_pi": _elliptic_pi,
    "expint": _expint,
    "hyper": _hyper,
    "polylog": _polylog,
    "Shi": lambda x: sc.shichi(x)[0],
    "Chi": lambda x: sc.shichi(x)[1],
    "li": lambda x: sc.expi(np.log(x)),
    "Li": lambda x: sc.expi(np.log(x)) - sc.expi(np.log(2)),
    "erf2": lambda a, b: sc.erf(b) - sc.erf(a),
    "erfcinv": sc.erfcinv,
    "erf2inv": lambda a, b: sc.erfinv(b + sc.erf(a)),
    "dirichlet_eta": lambda s: (1 - 2 ** (1 - s)) * sc.zeta(s),
    "hermite_prob": sc.eval_hermitenorm,
}
