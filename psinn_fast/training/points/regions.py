"""Other points of the region that a condition's points stand for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from ...domains import common_step, lies_on_boundary, sobol
from ...kernels.contract import Term
from ...kernels.errors import InputError
from ...problem.conditions import Condition
from ...problem.problem import Problem

Points = npt.NDArray[np.float64]


def other_sites(condition: Condition, count: int, rng: np.random.Generator) -> tuple[Points, ...] | None:
    """Sobol points of a condition's region; None where its points stand for themselves.

    Those of two sites belong together as the given ones do, where the one region is moved by one step to the other.

    Raises:
        InputError: a partner is not on the boundary, so that the regions differ after all, in something too small to be
            found before.
    """
    regions = [region for region in condition.regions if region is not None]
    if len(regions) < len(condition.sites):
        return None
    unit = sobol(condition.sites[0].shape[1], rng)
    first = regions[0].drawn(count, unit)
    if len(regions) == 1:
        return (first,)
    step = common_step(regions, condition.sites)
    if step is None:
        return None
    partners = np.asarray(first) + step
    if not regions[0].is_solid and not (on := lies_on_boundary(partners, regions[1])).all():
        row = int(np.argmin(on))
        here, there = (", ".join(f"{x:.6g}" for x in site[row]) for site in (first, partners))
        raise InputError(
            f"{condition.name}: partners: of {count} points drawn on {regions[0].text}, {int((~on).sum())} have "
            f"partners that are not on the boundary, the first is ({there}), of ({here}): {regions[1].text} is not "
            "quite the same, moved; give the points as arrays, which stay what they are"
        )
    return first, partners


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
