"""What is compiled: networks, precisions, tiles, chips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from bench.contestants.structures import STRUCTURES
from psinn_fast.kernels.contract import Term
from psinn_fast.networks.structure import Structure
from psinn_fast.problems import get_problem

CHIPS = (80, 86, 89, 90, 120)
# The other cases take minutes of compilation: only on some.
MAIN_CHIPS = (89, 90)


@dataclass(frozen=True)
class StaticCase:
    """The residual term of ``problem`` alone, on every chip or on one.

    ``dense``: name of the case that it is compared with, ``bar`` the most instructions per point that it may issue,
    as a share of that one's.
    """

    name: str
    structure: Callable[[], Structure]
    problem: str = "laplace"
    dtype: torch.dtype = torch.float32
    precision: str = "ieee"
    dense: str = ""
    bar: float = 1.0
    chips: tuple[int, ...] = MAIN_CHIPS[:1]

    def term(self) -> Term:
        return get_problem(self.problem).terms(self.dtype)[0]

    @property
    def kind(self) -> str:
        return "float64" if self.dtype == torch.float64 else self.precision


def _dense(*layers: int) -> Callable[[], Structure]:
    return partial(Structure.dense, layers)


def _tied(name: str) -> Callable[[], Structure]:
    return partial(STRUCTURES[name], (2, 32, 32, 32, 1))


WIDE, BURGERS = "dense 2-32-32-32-1", "dense 2-32-32-32-1, burgers"
EVEN_ODD = "even and odd, regular"

CASES = (
    StaticCase("dense 2-8-8-16-1", _dense(2, 8, 8, 16, 1), chips=CHIPS),
    StaticCase("dense 2-16-16-16-1", _dense(2, 16, 16, 16, 1), chips=CHIPS),
    StaticCase(WIDE, _dense(2, 32, 32, 32, 1), chips=CHIPS),
    StaticCase("psi laplace", _tied("laplace (published)"), dense=WIDE, bar=0.65, chips=CHIPS),
    StaticCase("psi poisson", _tied("poisson (published)"), dense=WIDE, bar=0.65, chips=CHIPS),
    StaticCase(EVEN_ODD, _tied("even in y, odd in x"), dense=WIDE, bar=0.5, chips=CHIPS),
    StaticCase("psi burgers, 12 + 12 + 8", _tied("burgers, 12 + 12 + 8"), dense=WIDE, bar=0.65, chips=MAIN_CHIPS),
    StaticCase("even and odd, signed", _tied("even in y, odd in x, signed"), dense=WIDE, bar=0.5, chips=MAIN_CHIPS),
    StaticCase(BURGERS, _dense(2, 32, 32, 32, 1), "burgers", chips=MAIN_CHIPS),
    StaticCase(
        "psi burgers, 12 + 12 + 8, burgers",
        _tied("burgers, 12 + 12 + 8"),
        "burgers",
        dense=BURGERS,
        bar=0.65,
        chips=MAIN_CHIPS,
    ),
    StaticCase("dense 2-16-16-16-1", _dense(2, 16, 16, 16, 1), precision="tf32x3", chips=MAIN_CHIPS),
    StaticCase(WIDE, _dense(2, 32, 32, 32, 1), precision="tf32x3", chips=MAIN_CHIPS),
    StaticCase("psi laplace", _tied("laplace (published)"), precision="tf32x3", dense=WIDE),
    StaticCase("dense 2-16-16-16-1", _dense(2, 16, 16, 16, 1), dtype=torch.float64, chips=MAIN_CHIPS),
    StaticCase("dense 2-64-64-64-1", _dense(2, 64, 64, 64, 1), chips=MAIN_CHIPS),
    StaticCase("dense 2-64-64-64-1", _dense(2, 64, 64, 64, 1), precision="tf32x3", chips=(80,)),
)
QUICK = (StaticCase("dense 2-8-1", _dense(2, 8, 1)), StaticCase("dense 2-8-8-16-1", _dense(2, 8, 8, 16, 1)))


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As in `CASES`, whose chips ascend."""
    order = {
        (case.name, case.problem, case.kind, f"sm_{chip}"): number
        for number, (case, chip) in enumerate((case, chip) for case in CASES for chip in case.chips)
    }
    keys = [(row["case"], row["problem"], row["precision"], row["chip"]) for row in rows]
    return [rows[i] for i in sorted(range(len(rows)), key=lambda i: order.get(keys[i], len(order)))]
