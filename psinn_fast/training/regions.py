"""Other points of the region that a condition's points stand for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from ..conditions import Condition
from ..domains import Region
from ..kernels.contract import Term
from ..problem import Problem

Points = npt.NDArray[np.float64]
# Two sites of a condition correspond to each other to this part of their box.
_SAME = 1e-9


def sobol_points(d: int, count: int, rng: np.random.Generator) -> Points:
    """Scrambled Sobol points (count, d) of [0, 1]^d."""
    sobol = torch.quasirandom.SobolEngine(d, scramble=True, seed=int(rng.integers(2**31)))  # type: ignore[no-untyped-call]
    return np.asarray(sobol.draw(count, dtype=torch.float64).numpy())


def other_sites(condition: Condition, count: int, rng: np.random.Generator) -> tuple[Points, ...] | None:
    """Sobol points of a condition's region; None where its points stand for themselves.

    Those of several sites belong together as the given ones do: at the same place of their boxes.
    """
    regions = [region for region in condition.regions if region is not None]
    if len(regions) < len(condition.sites):
        return None
    if len(regions) > 1:
        units = [_unit(site, region) for site, region in zip(condition.sites, regions, strict=True)]
        if not all(np.allclose(unit, units[0], rtol=0, atol=_SAME) for unit in units):
            return None
    unit = sobol_points(condition.sites[0].shape[1], count, rng)
    return tuple(region.spread(unit) for region in regions)


def _unit(site: Points, region: Region) -> Points:
    """Points as parts of the one box that they stand for; NaN where there are several."""
    extent = region.high[0] - region.low[0]
    unit = (site - region.low[0]) / np.where(extent > 0, extent, 1.0)
    return unit if len(region.low) == 1 else np.full_like(unit, np.nan)


def term_at(
    problem: Problem,
    number: int,
    sites: tuple[Points, ...] | None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Term | None:
    """The term of a condition at other points; None where there are none, or where its targets are not known there."""
    given = None if sites is None else columns_at(problem.conditions[number], sites)
    return None if sites is None or given is None else problem.term_at(number, sites, given, dtype, device)


def columns_at(condition: Condition, sites: tuple[Points, ...]) -> Mapping[str, Points] | None:
    """A condition's columns at other points; None where its targets are not known there."""
    try:
        return condition.columns_at(sites)
    except Exception:  # of a function of the user's own, which may know no other points than those given
        return None
