"""Which programs work on which points: never more than there is room for, the longest first and as short as can be."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import pytest
import torch
from cases import make
from on_device import IS_INSTALLED

from psinn_fast.kernels.contract import Term
from psinn_fast.kernels.triton.schedule import Schedule, allotted, cost_of_tile, grouped, make_schedule
from psinn_fast.problems import get_problem

assert IS_INSTALLED
# RTX 4080, A100, RTX 4090, H100, RTX 5090.
PROCESSORS = (76, 108, 128, 132, 170)
# Points per tile, programs per processor: those of the shipped networks.
SHAPES = ((16, 2), (8, 4), (4, 8), (16, 7))


@cache
def laplace() -> list[Term]:
    return get_problem("laplace").terms(torch.float32)


def lengths(schedule: Schedule, terms: list[Term], block: int) -> list[float]:
    """Of all programs, in the order of the grid."""
    spans = (schedule.table[:, 2] - schedule.table[:, 1]).tolist()
    owners = schedule.owners.tolist()
    return [cost_of_tile(terms[owner].program) * -(-n // block) for n, owner in zip(spans, owners, strict=True)]


@pytest.mark.parametrize("processors", PROCESSORS)
@pytest.mark.parametrize(("block", "per_processor"), SHAPES)
def test_laplace_on_a_chip(processors: int, block: int, per_processor: int) -> None:
    terms, wave = laplace(), processors * per_processor
    schedule = make_schedule(terms, grouped(terms)[1], block, wave)
    found = lengths(schedule, terms, block)
    assert len(found) <= wave
    assert found == sorted(found, reverse=True)
    # Whole tiles cannot be shared better: shorter programs would have to be more than there is room for.
    shorter = max(found) - 1e-9
    needed = [
        -(-tiles // max(1, math.floor(shorter / cost)))
        for tiles, cost in ((-(-term.n_points // block), cost_of_tile(term.program)) for term in terms)
    ]
    assert sum(needed) > wave or max(found) == max(cost_of_tile(term.program) for term in terms)
    print(f"{wave} programs: {len(found)}, the longest {max(found) * len(found) / sum(found):.2f} of the mean")
    assert max(found) <= 1.1 * sum(found) / len(found) + max(cost_of_tile(term.program) for term in terms)


@pytest.mark.parametrize("n_programs", [1, 2, 3, 4, 7, 40, 1000])
@pytest.mark.parametrize("sizes", [(9,), (9, 9, 9), (1, 100, 1), (33, 7), (1, 1)])
def test_every_point_once(sizes: tuple[int, ...], n_programs: int) -> None:
    terms = [replace(make("laplace", (3,), n)[3][0], name=str(n)) for n in sizes]
    groups, places = grouped(terms)
    schedule = make_schedule(terms, places, 4, n_programs)
    assert schedule.n_programs <= max(n_programs, len(terms))
    seen = sorted(i for _, first, end in schedule.table.tolist() for i in range(first, end))
    assert seen == list(range(groups[0].n_points))
    for (_, first, end), owner in zip(schedule.table.tolist(), schedule.owners.tolist(), strict=True):
        start = places[owner][1]
        assert start <= first < end <= start + sizes[owner]


def test_shares_by_hand() -> None:
    """Four tiles of one channel in the time of one of four channels."""
    assert allotted([8, 4], [4.0, 1.0], 9) == [8, 1]
    assert allotted([8, 4], [4.0, 1.0], 5) == [4, 1]
    assert allotted([8, 4], [4.0, 1.0], 100) == [8, 4]
    assert allotted([638, 7, 7, 7, 7], [4.5, 1.5, 1.5, 1.5, 1.5], 3) == [1] * 5
    # Six tiles for one program are longer than six programs of two: what is left over makes three of them shorter.
    assert allotted([12], [1.0], 9) == [9]


def test_few_points_are_no_longer_than_others() -> None:
    """A term of few points was one long program: as long as the others at most."""
    counts = allotted([638, 60], [4.5, 4.5], 264)
    assert -(-60 // counts[1]) <= -(-638 // counts[0])
