"""Which program of the grid works on which points of which term."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..channels import ChannelSet
from ..contract import Term
from ..program import Program


@dataclass(frozen=True)
class Group:
    """Terms with one residual program, side by side: points (n_sites, N, d), columns (N, n_columns)."""

    program: Program
    points: Tensor
    columns: Tensor

    @property
    def channels(self) -> ChannelSet:
        return self.program.channels

    @property
    def n_points(self) -> int:
        return self.points.shape[1]


@dataclass(frozen=True)
class Schedule:
    """``table`` (programs, 3) int32: group, first point, end; ``factors`` (programs,): d loss / d r = factor * r;
    ``spans`` (T + 1,) int32: the programs of each term; ``scales`` (T,): 1 / number of points.
    """

    table: Tensor
    factors: Tensor
    spans: Tensor
    scales: Tensor

    @property
    def n_programs(self) -> int:
        return self.table.shape[0]


def grouped(terms: Sequence[Term]) -> tuple[list[Group], list[tuple[int, int]]]:
    """Groups, and per term (group, its first point there). A group of one term keeps the term's own tensors."""
    members: dict[Program, list[int]] = {}
    for number, term in enumerate(terms):
        members.setdefault(term.program, []).append(number)
    groups, places = [], [(0, 0)] * len(terms)
    for program, numbers in members.items():
        start = 0
        for number in numbers:
            places[number] = (len(groups), start)
            start += terms[number].n_points
        points = [terms[number].points for number in numbers]
        columns = [terms[number].columns for number in numbers]
        groups.append(Group(program, _joined(points, 1), _joined(columns, 0)))
    return groups, places


def _joined(tensors: Sequence[Tensor], axis: int) -> Tensor:
    return (tensors[0] if len(tensors) == 1 else torch.cat(list(tensors), axis)).detach().contiguous()


def make_schedule(terms: Sequence[Term], places: Sequence[tuple[int, int]], block: int, n_programs: int) -> Schedule:
    """Programs in proportion to a term's work (tiles times channels), at least one, at most one per tile of ``block``."""
    tiles = [-(-term.n_points // block) for term in terms]
    work = [n * len(term.program.channels) * term.program.n_sites for n, term in zip(tiles, terms, strict=True)]
    rows, factors, spans = [], [], [0]
    for term, n_tiles, own, (group, start) in zip(terms, tiles, work, places, strict=True):
        count = max(1, min(n_tiles, n_programs * own // sum(work)))
        for k in range(count):
            first, last = n_tiles * k // count, n_tiles * (k + 1) // count
            rows.append([group, start + first * block, start + min(last * block, term.n_points)])
        factors += [2 * term.weight / term.n_points] * count
        spans.append(len(rows))
    like = terms[0].points
    return Schedule(
        torch.tensor(rows, dtype=torch.int32, device=like.device),
        torch.tensor(factors, dtype=like.dtype, device=like.device),
        torch.tensor(spans, dtype=torch.int32, device=like.device),
        torch.tensor([1 / term.n_points for term in terms], dtype=like.dtype, device=like.device),
    )
