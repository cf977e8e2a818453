"""Other points of the region that a condition's points stand for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from ...domains import common_step, sobol
from ...kernels.contract import Term
from ...problem.conditions import Condition
from ...problem.problem import Problem

Points = npt.NDArray[np.float64]


def other_sites(condition: Condition, count: int, rng: np.random.Generator) -> tuple[Points, ...] | None:
    """Sobol points of a condition's region; None where its points stand for themselves.

    Those of two sites belong together as the given ones do, where the one region is moved by one step to the other.
    """
    regions = [region for region in condition.regions if region is not None]
    if len(regions) < len(condition.sites):
        return None
    unit = sobol(condition.sites[0].shape[1], rng)
    first = regions[0].drawn(count, unit)
    if len(regions) == 1:
        return (first,)
    step = common_step(regions, condition.sites)
    return None if step is None else (first, np.asarray(first) + step)


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
