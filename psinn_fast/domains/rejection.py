"""Points inside a domain by rejection: of points of its bounds those that `Domain.contains` keeps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..kernels.errors import InputError

if TYPE_CHECKING:  # domains ask for points
    from .domain import Domain

Points = npt.NDArray[np.float64]

# A domain that holds a smaller part of its bounds, once so many points have been tried, has bounds that are too loose.
_LEAST, _AT_ONCE = 1 / 8192, 1 << 20


def sobol_inside(domain: Domain, n: int, seed: int) -> Points:
    """(n, d): scrambled Sobol points."""
    from scipy.stats import qmc  # takes most of a second to import, and few need it

    sampler, count = qmc.Sobol(len(domain.coords), seed=seed), 2 ** max(0, math.ceil(math.log2(n)))
    kept, tried = np.empty((0, len(domain.coords))), 0
    while len(kept) < n:
        points = domain.from_unit(sampler.random(count))
        kept, tried = np.concatenate([kept, points[domain.inside(points)]]), tried + len(points)
        domain._refuse_empty(len(kept), tried)
        count = min(tried, _AT_ONCE)  # powers of two, of which Sobol points are most even
    return np.asarray(kept[:n])


def kept_inside(domain: Domain, count: int, unit: Callable[[int], Points]) -> Points:
    """(count, d): from as many points of [0, 1]^d as it takes; ``unit(n)`` gives the next n of them."""
    kept, tried = np.empty((0, len(domain.coords))), 0
    while len(kept) < count:
        wanted = count - len(kept)
        more = math.ceil(wanted * tried / len(kept)) if len(kept) else max(wanted, tried)
        points = domain.from_unit(unit(min(more, max(wanted, _AT_ONCE))))
        kept, tried = np.concatenate([kept, points[domain.inside(points)]]), tried + len(points)
        domain._refuse_empty(len(kept), tried)
    return kept[:count]


def refuse_empty(domain: Domain, kept: int, tried: int) -> None:
    """
    Raises:
        InputError: of many points that were tried hardly any is inside.
    """
    if tried >= _AT_ONCE and kept < _LEAST * tried:
        raise InputError(
            f"{type(domain).__name__}.contains: it holds {kept} of {tried:,} points within the bounds of {domain}; "
            "give tighter ones"
        )
