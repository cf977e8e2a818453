"""Which program of the grid works on which points of which term."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor

from ..contract import Term
from ..language.channels import ChannelSet
from ..language.program import Program
from ..memory import readable

# What a tile of points costs beside its channels, in channels.
OF_POINT = 0.5
# Of an interval, until its ends are next to each other.
HALVINGS = 60


class Joined:
    """``tensor``: given ones side by side, without copying where there is one alone.

    Points may be changed in place, or given other memory: `refresh` follows them.
    """

    def __init__(self, tensors: Sequence[Tensor], axis: int) -> None:
        self._tensors, self._axis = list(tensors), axis
        self.tensor = self._joined()
        self._is_copy = self.tensor.data_ptr() != tensors[0].data_ptr()

    def refresh(self) -> bool:
        """Whether ``tensor`` is another one now, which graphs do not know."""
        if self._is_copy:
            # Not only where a tensor says that it was changed: `points.data` changes without a word.
            torch.cat([own.detach() for own in self._tensors], self._axis, out=self.tensor)
            return False
        before, self.tensor = self.tensor, self._joined()
        return self.tensor.data_ptr() != before.data_ptr()

    def _joined(self) -> Tensor:
        tensors = [own.detach() for own in self._tensors]
        return readable(tensors[0] if len(tensors) == 1 else torch.cat(tensors, self._axis))


@dataclass(frozen=True)
class TermGroup:
    """Terms with one residual program, side by side: points (n_sites, N, d), columns (N, n_columns)."""

    program: Program
    points: Joined
    columns: Joined

    @property
    def channels(self) -> ChannelSet:
        return self.program.channels

    @property
    def n_points(self) -> int:
        return self.points.tensor.shape[1]

    def refresh(self) -> bool:
        return self.points.refresh() | self.columns.refresh()


@dataclass(frozen=True)
class Schedule:
    """What every program of the grid works on. The tensors stay where they are: CUDA graphs know their addresses.

    Attributes:
        table: (programs, 3) int32: group, first point, end.
        owners: (programs,) int32: the number of the term.
        half: (programs,): half the number of points of that term.
        factors: (programs,): d loss / d r = factor * r, as `weigh` wrote them last.
        scales: (T,): 1 / number of points.
    """

    table: Tensor
    owners: Tensor
    half: Tensor
    factors: Tensor
    scales: Tensor

    @property
    def n_programs(self) -> int:
        return self.table.shape[0]

    def weigh(self, weights: Tensor) -> None:
        """Write ``factors`` for weights (T,), on the device: 2 weight / number of points."""
        torch.div(weights.index_select(0, self.owners), self.half, out=self.factors)


def grouped(terms: Sequence[Term]) -> tuple[list[TermGroup], list[tuple[int, int]]]:
    """Groups, and per term (group, its first point there)."""
    members: dict[Program, list[int]] = {}
    for number, term in enumerate(terms):
        members.setdefault(term.program, []).append(number)
    groups: list[TermGroup] = []
    places = [(0, 0)] * len(terms)
    for program, numbers in members.items():
        start = 0
        for number in numbers:
            places[number] = (len(groups), start)
            start += terms[number].n_points
        points = Joined([terms[number].points for number in numbers], 1)
        columns = Joined([terms[number].columns for number in numbers], 0)
        groups.append(TermGroup(program, points, columns))
    return groups, places


def make_schedule(terms: Sequence[Term], places: Sequence[tuple[int, int]], block: int, n_programs: int) -> Schedule:
    """At most ``n_programs`` programs, or one per term where terms are more; the longest are the first to begin."""
    tiles = [-(-term.n_points // block) for term in terms]
    costs = [cost_of_tile(term.program) for term in terms]
    parts = [
        (costs[number] * -(-(end - first) // block), number, group, start + first, start + end)
        for number, count in enumerate(allotted(tiles, costs, n_programs))
        for group, start in (places[number],)
        for first, end in _shares(terms[number].n_points, tiles[number], count, block)
    ]
    parts.sort(key=lambda part: -part[0])
    rows, owners = [[*part[2:]] for part in parts], [part[1] for part in parts]
    like = terms[0].points
    return Schedule(
        torch.tensor(rows, dtype=torch.int32, device=like.device),
        torch.tensor(owners, dtype=torch.int32, device=like.device),
        torch.tensor([terms[owner].n_points / 2 for owner in owners], dtype=like.dtype, device=like.device),
        torch.zeros(len(rows), dtype=like.dtype, device=like.device),
        torch.tensor([1 / term.n_points for term in terms], dtype=like.dtype, device=like.device),
    )


def cost_of_tile(program: Program) -> float:
    """In channels: products and sums take one each; tanh, its derivatives and the last layer what ``OF_POINT`` says."""
    return (len(program.channels) + OF_POINT) * program.n_sites


def allotted(tiles: Sequence[int], costs: Sequence[float], n_programs: int) -> list[int]:
    """How many of ``n_programs`` programs each term gets, that has so many tiles of such a cost: one at least.

    First such that the longest program is as short as can be. What is left goes where programs are longest on average:
    then work is shared more evenly between processors.
    """

    def counts_for(length: float) -> list[int]:
        """As few as have no longer programs; but no program has less than a tile."""
        return [-(-n // max(1, int(length // cost))) for n, cost in zip(tiles, costs, strict=True)]

    too_short, length = 0.0, max(n * cost for n, cost in zip(tiles, costs, strict=True))
    for _ in range(HALVINGS):
        half = 0.5 * (too_short + length)
        if sum(counts_for(half)) <= n_programs:
            length = half
        else:
            too_short = half
    counts = counts_for(length)
    for _ in range(n_programs - sum(counts)):
        means = [n * cost / count if count < n else 0.0 for n, cost, count in zip(tiles, costs, counts, strict=True)]
        if not any(means):
            break
        counts[means.index(max(means))] += 1
    return counts


@lru_cache(maxsize=64)
def single_group(
    n: int, block: int, n_programs: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """``table`` and ``factors`` for one group of n points; kept, since to make them the host waits for the device."""
    n_tiles = -(-n // block)
    count = min(n_tiles, n_programs)
    rows = [[0, first, end] for first, end in _shares(n, n_tiles, count, block)]
    with torch.inference_mode(False):
        table = torch.tensor(rows, dtype=torch.int32, device=device)
        return table, torch.ones(count, dtype=dtype, device=device)


def _shares(n: int, n_tiles: int, count: int, block: int) -> list[tuple[int, int]]:
    """n points for ``count`` programs, in whole tiles."""
    return list(pairwise(min(n, n_tiles * k // count * block) for k in range(count + 1)))
