"""Which point of the other side belongs to each point, in a condition that compares two."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..domains import common_step, lies_on_boundary, region_of, step_of, step_to
from ..kernels.errors import InputError

Points = npt.NDArray[np.float64]
_SHOWN = 2


def paired(points: npt.ArrayLike, partners: npt.ArrayLike, sites: tuple[Points, Points], name: str) -> Points:
    """(N, d): the partners, row by row.

    Points of two parts of boundaries run around them, so rows of the one are no partners of the other's: if one step
    takes part to part, the partners are the points moved by it. Rows of arrays stay what they are.

    Raises:
        InputError: no step takes the one part to the other.
    """
    one, other = region_of(points), region_of(partners)
    if one is None or other is None or one.is_solid or other.is_solid or one.coords != other.coords:
        return sites[1]  # problems refuse other coordinates
    regions = one, other
    if common_step(regions, sites) is not None or (len(sites[0]) > 1 and step_of(regions, sites) is not None):
        return sites[1]
    step = step_to(one, other)
    if step is not None and lies_on_boundary(sites[0] + step, other).all():
        return sites[0] + step
    rows = [f"{_text(a)} and {_text(b)}" for a, b in zip(*(site[:_SHOWN] for site in sites), strict=True)]
    raise InputError(
        f"{name}: partners: no one step takes {one.text} to {other.text}, the first rows are {', '.join(rows)}; give "
        "each point's partner in its row, as an array: np.array(points) + [...] for those that are moved, "
        "np.array(partners) if these rows belong together as they are"
    )


def steps_text(sites: tuple[Points, ...]) -> str:
    """What is added to points to be their partners."""
    steps = sites[1] - sites[0]
    low, high = steps.min(0), steps.max(0)
    size = np.abs(sites).max()
    if (high - low <= 1e-9 * size).all():
        return f"partner = point + {_text(np.median(steps, axis=0))}"
    return f"partner - point from {_text(low)} to {_text(high)}"


def _text(point: Points) -> str:
    return f"({', '.join(f'{x:.6g}' for x in point + 0.0)})"
