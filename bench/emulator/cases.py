"""The shipped networks on an emulated chip: is the gradient right, and what does a point cost?"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from bench.section import Row, attempt
from bench.static.cases import CASES, QUICK, StaticCase
from psinn_fast.kernels.contract import LossAndGradient, Term
from psinn_fast.kernels.contract.base import Backend
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.kernels.triton.backend import TritonBackend
from psinn_fast.kernels.triton.configuration import Configuration, Entry, entry_for
from psinn_fast.kernels.triton.layout import make_layout
from psinn_fast.kernels.triton.naming import LOSS
from psinn_fast.networks.mlp import PsiMLP

from .chips import Launch, emulated
from .tally import KINDS, Tally, by_line, listing, whole

# Gradients: times the error of float32 in torch, or in float64 the error itself.
FLOAT32_BAR, FLOAT64_BAR = 2.0, 1e-14
# Of the launch that is checked; its last tile is not full. With fewer points errors are a matter of luck.
PROGRAMS, LEAST_POINTS = 3, 60


@dataclass(frozen=True)
class Example:
    """A network, a term, weights; ``entry``: how the kernel is cut up."""

    case: StaticCase
    chip: int
    entry: Entry

    @classmethod
    def of(cls, case: StaticCase, chip: int) -> Example:
        layout = make_layout(PsiMLP(case.structure(), seed=0).plan, case.dtype)
        return cls(case, chip, entry_for(f"sm_{chip}", layout, case.dtype, case.precision))

    def backend(self, programs: int) -> TritonBackend:
        configuration = Configuration(self.entry.block, self.entry.warps, programs, self.case.precision)
        return TritonBackend(self.case.precision, configuration)

    def gradient(self, backend: Backend, points: int, dtype: torch.dtype | None = None) -> LossAndGradient:
        """Of the term at its first ``points`` points."""
        net = PsiMLP(self.case.structure(), seed=0, dtype=self.case.dtype)
        term = self.case.term()
        term = replace(term, points=term.points[:, :points].clone(), columns=term.columns[:points].clone())
        theta = net.theta.detach()
        if dtype is not None:
            theta, term = theta.to(dtype), _in(term, dtype)
        return backend.loss_and_gradient(net.plan, theta, theta.new_empty(0), [term], theta.new_ones(1))


def _in(term: Term, dtype: torch.dtype) -> Term:
    return replace(term, points=term.points.to(dtype), columns=term.columns.to(dtype))


def row_of(number: int, is_quick: bool, chip: int, n_lines: int) -> Row:
    """What was found, or ``failure``. The case goes by its number: some of them no other process could unpickle."""
    case = (QUICK if is_quick else CASES)[number]
    head = {"case": case.name, "problem": case.problem, "precision": case.kind, "chip": f"sm_{chip}"}
    return attempt(head, lambda: measured(Example.of(case, chip), n_lines))


def measured(example: Example, n_lines: int = 0) -> Row:
    """Errors, races, and what a point costs in the loop over tiles."""
    found = checked(example)
    tile, block = cost(example, n_lines), example.entry.block
    return found | {
        "per_point": {
            "wavefronts": round(tile.wavefronts / block, 1),
            "most_wavefronts": round(tile.most_wavefronts / block, 1),
            "instructions": {kind: round(n / block, 1) for kind in KINDS if (n := tile.instructions[kind])},
            "sectors": round(tile.sectors / block, 2),
        },
    }


def checked(example: Example) -> Row:
    """The gradient against float64, and what no kernel may do."""
    block = example.entry.block
    points = max(PROGRAMS, LEAST_POINTS // block) * block + block // 2 + 1
    with emulated(example.chip) as chip:
        found = example.gradient(example.backend(PROGRAMS), points)
        races = sum(launch.counts.races for launch in chip.launches)
        conflicts = sum(launch.counts.conflicts for launch in chip.launches)
    right = example.gradient(ReferenceBackend(), points, torch.float64)
    plain = example.gradient(ReferenceBackend(), points)
    error, plain_error = _error(found, right), _error(plain, right)
    is_double = example.case.dtype == torch.float64
    is_right = error <= FLOAT64_BAR if is_double else error <= FLOAT32_BAR * plain_error
    return {
        "block": block,
        "warps": example.entry.warps,
        "gradient_error": error,
        "error_of_float32": None if is_double else plain_error,
        "is_right": is_right and not races,
        "races": races,
        "conflicts": conflicts,
    }


def cost(example: Example, n_lines: int = 0) -> Tally:
    """Of one tile, by the difference of two launches."""
    launches: list[Launch] = []
    for tiles in (1, 2):
        with emulated(example.chip, is_counting=True) as chip:
            example.gradient(example.backend(1), tiles * example.entry.block)
        launches.append(next(launch for launch in chip.launches if launch.name.startswith(LOSS)))
    one, two = launches
    if n_lines:
        before = by_line(one)
        lines = {place: own - before.get(place, Tally()) for place, own in by_line(two).items()}
        print(*listing(lines, n_lines), sep="\n")
    return whole(two) - whole(one)


def _error(found: LossAndGradient, right: LossAndGradient) -> float:
    """Relative, L2, of the gradient."""
    difference = (found.theta.double() - right.theta.double()).norm()
    value = float(difference / right.theta.double().norm())
    return value if math.isfinite(value) else math.inf
