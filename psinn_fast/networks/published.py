"""The four structures of the paper (Liu et al. 2025, doi 10.1038/s41467-025-64624-3), found there by distillation.

Symbols are scaled by the width n. Where the released code keeps equivalent biases separate and so breaks the
symmetry, these keep it exact: 321 independent parameters for Laplace at n = 8 where the release has 329.
"""

from __future__ import annotations

from ..kernels.errors import InputError
from ..kernels.network.symbols import SymbolLayer
from .direct_sum import direct_sum
from .structure import Structure

_MIRROR = [[1, 2], [1, -2]]
_SWAP = [[1, 2], [2, 1]]


def laplace_even() -> Structure:
    """Inputs (x, y), even in y: u(x, -y) = u(x, y). Layers 2 - 2n - 2n - 2n - 1."""
    return _even("laplace (published)", last=2)


def burgers_odd() -> Structure:
    """Inputs (t, x), odd in x: u(t, -x) = -u(t, x). Layers 2 - 2n - 3n - 2n - 1."""
    return _odd("burgers (published)", last=2)


def poisson_swap() -> Structure:
    """Inputs (x, y), symmetric under their exchange: u(y, x) = u(x, y). Layers 2 - 4n - 2n - n - 1."""
    return Structure(
        (
            SymbolLayer.of([[1, 0], [0, 1]], [1, 1], rows=[2, 2]),
            SymbolLayer.of(_SWAP, [1, 1], cols=[2, 2]),
            SymbolLayer.of([[1, 1]], [1]),
            SymbolLayer.of([[1]], [1]),
        ),
        "poisson (published)",
    )


def flow_branches() -> Structure:
    """Inputs (x, y), outputs (u, v, p): u and p even in y, v odd in y. Layers 2 - 4n - 5n - 2n - 3.

    The branches of Laplace and Burgers side by side, both with a last hidden layer of half the width.
    """
    even, odd = _even("even", last=1), _odd("odd", last=1)
    return direct_sum({"u p": even, "v": odd}, fields="u v p", name="flow (published)")


def _even(name: str, last: int) -> Structure:
    """``last``: size of the last hidden block, in units of the width."""
    return Structure(
        (
            SymbolLayer.of(_MIRROR, [1, 1]),
            SymbolLayer.of(_SWAP, [1, 1]),
            SymbolLayer.of([[1, 1]], [1], rows=[last]),
            SymbolLayer.of([[1]], [1], cols=[last]),
        ),
        name,
    )


def _odd(name: str, last: int) -> Structure:
    return Structure(
        (
            SymbolLayer.of(_MIRROR, [1, 1]),
            SymbolLayer.of([*_SWAP, [3, -3]], [1, 1, 0]),
            SymbolLayer.of([[1, -1, 2]], [0], rows=[last]),
            SymbolLayer.of([[1]], [0], cols=[last]),
        ),
        name,
    )


_PUBLISHED = {"laplace": laplace_even, "burgers": burgers_odd, "poisson": poisson_swap, "flow": flow_branches}


def published_structure(name: str) -> Structure:
    """``"laplace"``, ``"burgers"``, ``"poisson"`` or ``"flow"``."""
    if name not in _PUBLISHED:
        raise InputError(f"name: published structures are {sorted(_PUBLISHED)}, got {name!r}")
    return _PUBLISHED[name]()
