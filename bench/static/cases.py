"""What is compiled: networks, precisions, tiles, chips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from bench.cpu_structures import CASES as TIED
from psinn_fast.kernels.contract import Term
from psinn_fast.problems import get_problem
from psinn_fast.structure import Structure

CHIPS = (80, 86, 89, 90, 120)
# The other cases take minutes of compilation: only here.
MAIN_CHIP = 89


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
    everywhere: bool = False

    @property
    def chips(self) -> tuple[int, ...]:
        return CHIPS if self.everywhere else (MAIN_CHIP,)

    def term(self) -> Term:
        return get_problem(self.problem).terms(self.dtype)[0]

    @property
    def kind(self) -> str:
        return "float64" if self.dtype == torch.float64 else self.precision


def _dense(*layers: int) -> Callable[[], Structure]:
    return partial(Structure.dense, layers)


_TIED = {(name, problem): make for name, make, _, problem in TIED}
WIDE, BURGERS = "dense 2-32-32-32-1", "dense 2-32-32-32-1, burgers"
EVEN_ODD = "even and odd, regular"

CASES = (
    StaticCase("dense 2-8-8-16-1", _dense(2, 8, 8, 16, 1), everywhere=True),
    StaticCase("dense 2-16-16-16-1", _dense(2, 16, 16, 16, 1), everywhere=True),
    StaticCase(WIDE, _dense(2, 32, 32, 32, 1), everywhere=True),
    StaticCase("psi laplace", _TIED["laplace", "laplace"], dense=WIDE, bar=0.65, everywhere=True),
    StaticCase("psi poisson", _TIED["poisson", "laplace"], dense=WIDE, bar=0.65, everywhere=True),
    StaticCase(EVEN_ODD, _TIED[EVEN_ODD, "laplace"], dense=WIDE, bar=0.5, everywhere=True),
    StaticCase("psi burgers, 12 + 12 + 8", _TIED["burgers, 12 + 12 + 8", "laplace"], dense=WIDE, bar=0.65),
    StaticCase("even and odd, signed", _TIED["even and odd, signed", "laplace"], dense=WIDE, bar=0.5),
    StaticCase(BURGERS, _dense(2, 32, 32, 32, 1), "burgers"),
    StaticCase(
        "psi burgers, 12 + 12 + 8, burgers",
        _TIED["burgers, 12 + 12 + 8", "burgers"],
        "burgers",
        dense=BURGERS,
        bar=0.65,
    ),
    StaticCase("dense 2-16-16-16-1", _dense(2, 16, 16, 16, 1), precision="tf32x3"),
    StaticCase(WIDE, _dense(2, 32, 32, 32, 1), precision="tf32x3"),
    StaticCase("psi laplace", _TIED["laplace", "laplace"], precision="tf32x3", dense=WIDE),
    StaticCase("dense 2-16-16-16-1", _dense(2, 16, 16, 16, 1), dtype=torch.float64),
    StaticCase("dense 2-64-64-64-1", _dense(2, 64, 64, 64, 1)),
)
QUICK = (StaticCase("dense 2-8-1", _dense(2, 8, 1)), StaticCase("dense 2-8-8-16-1", _dense(2, 8, 8, 16, 1)))
