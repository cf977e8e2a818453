"""Unknown coefficients that are factors of whole equations: where they are zero, any field solves them.

All terms of rho u_t - k u_xx vanish at rho = k = 0, whatever u is, as k (u_t - 0.3 u_xx) does at k = 0. Training goes
there, and ends with residuals as small as one likes. Sought is the largest set S of coefficients such that each
residual with one of them vanishes where all of S are zero: from the set of all, the coefficients of a residual that
does not vanish are left out, as it would not for fewer of them either. Residuals are computed for random fields;
products with zero are zero exactly.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...kernels.contract import Term
from ...kernels.errors import InputError
from ...kernels.language.torch_program import torch_program
from ...language.expressions import short
from ...language.fields import SymbolicField
from ...language.jets import SymbolicJet
from ..bounds import Interval
from ..conditions import EQUATION

if TYPE_CHECKING:
    from ..problem import Problem

# Points that are tried first; draws of all derivatives of the fields at each, over so many orders of magnitude.
_POINTS, _DRAWS, _ORDERS = 64, 6, (-3.0, 3.0)
# Coefficients are random numbers between these, of the sign of their start: far from zero.
_SIZES = 0.5, 1.5
# By this factor coefficients are multiplied, and to this part a residual is then a power of it.
_MULTIPLE, _ROUNDING = 2.0, 1e-9


def refuse_factors(problem: Problem) -> None:
    """No unknown coefficients multiply all of the residuals that they are in.

    Bounds that exclude zero exclude that solution, but not that a common factor is undetermined.

    Raises:
        InputError: names the coefficients, a residual that they multiply, and what to do instead.
    """
    unknown = list(problem.pde.unknown)
    residuals, factors = _found(problem, unknown)
    for names in _smallest(residuals, [name for name in unknown if name in factors]):
        own = [r for r in residuals if r.names & set(names)]
        is_excluded = any(_excludes_zero(problem.unknowns.interval(name)) for name in names)
        have_one_factor = all(r.is_power(names) for r in own)
        if any(r.has_fields for r in own) and (have_one_factor or not is_excluded):
            raise InputError(_text(problem, own[0], names, is_excluded, have_one_factor))


def fields_as_factors(problem: Problem) -> tuple[str, ...]:
    """One text if fields multiply every equation of another one, as k does in (k u_x)_x = 0, and no condition says that
    they are not zero; () otherwise."""
    pde = problem.pde
    if len(pde.fields) < 2:
        return ()
    residuals, factors = _found(problem, [*pde.unknown, *pde.fields])
    free, lost = list[str](), set[str]()
    for name in pde.fields:
        equations = [r for r in residuals if r.is_equation and name in r.names]
        if name not in factors and equations and all(r.names & factors for r in equations):
            free.append(name)
            lost |= {other for r in equations for other in r.names & factors}
    if not lost.intersection(pde.fields):
        return ()
    zero = " = ".join(name for name in (*pde.unknown, *pde.fields) if name in lost)
    return (f"{zero} = 0 solves the equations for any {', '.join(free)}: a condition has to exclude that solution",)


@dataclass(frozen=True)
class _Residual:
    """One of a term that counts. ``names``: of the unknown coefficients and fields in it; ``starts``: of all unknown
    coefficients, by name; ``fields``: all names."""

    text: str
    names: frozenset[str]
    is_equation: bool
    number: int
    term: Term
    fields: tuple[str, ...]
    starts: dict[str, float]

    @property
    def has_fields(self) -> bool:
        return not self.names.isdisjoint(self.fields)

    def values(self, names: Collection[str] = (), factor: float = 1.0) -> Tensor:
        """In all draws, with the coefficients and fields of these names multiplied by a factor."""
        generator = torch.Generator().manual_seed(0)
        program, n, (low, high) = self.term.program, self.term.n_points, _SIZES
        sizes = low + (high - low) * torch.rand(len(self.starts), dtype=torch.float64, generator=generator)
        for i, (name, start) in enumerate(self.starts.items()):
            sizes[i] *= (-1.0 if start < 0 else 1.0) * (factor if name in names else 1.0)
        shape = program.n_sites, len(program.channels), n, len(self.fields)
        jets = torch.randn(shape, dtype=torch.float64, generator=generator)
        jets *= torch.logspace(*_ORDERS, _DRAWS, dtype=torch.float64).repeat_interleave(n // _DRAWS)[:, None]
        jets *= torch.tensor([factor if name in names else 1.0 for name in self.fields], dtype=torch.float64)
        found = torch_program(program).residuals(jets, self.term.points, self.term.columns, sizes)
        return torch.as_tensor(found[self.number], dtype=torch.float64).expand(n)

    def vanishes(self, names: Collection[str]) -> bool:
        """Where these are zero, at all points where it is finite if they are not."""
        usual = self.values()
        zero, usual = self.values(names, 0.0)[usual.isfinite()], usual[usual.isfinite()]
        return bool((zero == 0).all()) and bool((usual != 0).any())

    def is_singular(self, name: str) -> bool:
        return not bool(self.values([name], 0.0)[self.values().isfinite()].isfinite().all())

    def is_power(self, names: Collection[str]) -> bool:
        """A power of a common factor of these."""
        usual, other = self.values(), self.values(names, _MULTIPLE)
        counts = usual.isfinite() & other.isfinite() & (usual != 0)
        ratio = other[counts] / usual[counts]
        return bool(((ratio - ratio.median()).abs() <= _ROUNDING * ratio.median().abs()).all())


def _found(problem: Problem, candidates: Sequence[str]) -> tuple[list[_Residual], set[str]]:
    """All residuals, and S, of these names; no residuals where S is empty."""
    if not candidates or not _factors(list(_residuals(problem, _POINTS)), candidates):
        return [], set()
    residuals = list(_residuals(problem, None))
    return residuals, _factors(residuals, candidates)


def _residuals(problem: Problem, most: int | None) -> Iterator[_Residual]:
    """Of terms that count, at so many points of each, or at all."""
    pde = problem.pde
    # Of the coefficients themselves, not of the free numbers behind those with bounds.
    bounded = bool(problem.bounds)
    plain = problem.altered(traced=tuple(c.traced(pde) for c in problem.conditions)) if bounded else problem
    symbols = pde.unknown_symbols()
    for number, (condition, traced) in enumerate(zip(problem.conditions, plain.traced, strict=True)):
        if not condition.weight:
            continue
        n = len(condition.sites[0])
        index = np.unique(np.linspace(0, n - 1, min(n, most or n)).round().astype(np.int64))
        index = np.tile(index, _DRAWS)
        given = {name: column[index] for name, column in condition.columns.items()}
        term = plain.term_at(number, [points[index] for points in condition.sites], given, torch.float64)
        for i, residual in enumerate(traced.residuals):
            names = {symbol.name for symbol in symbols if residual.has(symbol)}
            names |= {jet.field for jet in residual.atoms(SymbolicJet, SymbolicField)}
            text, is_equation = f"{short(residual)} of term {condition.name!r}", condition.kind == EQUATION
            yield _Residual(text, frozenset(names), is_equation, i, term, pde.fields, dict(pde.unknown))


def _factors(residuals: Sequence[_Residual], candidates: Sequence[str]) -> set[str]:
    """The largest set S of these."""
    found = set(candidates)
    found -= {name for name in found if any(name in r.names and r.is_singular(name) for r in residuals)}
    while leaving := [r for r in residuals if r.names & found and not r.vanishes(found)]:
        found -= leaving[0].names
    return found


def _smallest(residuals: Sequence[_Residual], left: list[str]) -> Iterator[list[str]]:
    """Parts of S that are such sets: single ones, else those that share residuals, in their order."""
    factors = set(left)
    for name in left:
        if all(r.vanishes([name]) for r in residuals if name in r.names):
            yield [name]
            return
    while left:
        part, size = {left[0]}, 0
        while len(part) > size:
            size = len(part)
            part |= {name for r in residuals if r.names & part for name in r.names & factors}
        yield [name for name in left if name in part]
        left = [name for name in left if name not in part]


def _excludes_zero(interval: Interval) -> bool:
    low, high = interval
    return low > 0 or high < 0


def _text(problem: Problem, one: _Residual, names: Sequence[str], is_excluded: bool, have_one_factor: bool) -> str:
    first, fields = names[0], ", ".join(problem.pde.fields)
    what = f"{' = '.join(names)} = 0 solves the residual {one.text} for any {fields}"
    if is_excluded:
        factor = f"a common factor of {', '.join(names)}" if names[1:] else first
        what = f"{factor} cannot be found: no solution of the residual {one.text} depends on it"
    ratios = ", ".join(f"{name}/{first}" for name in names[1:])
    advice = f"only {ratios} can be found; " if ratios and have_one_factor else ""
    advice += f"divide by {'one of them' if ratios else first}, that is, give {first} a value"
    return f"pde: unknown: {what}; {advice}, coefficients={{{first!r}: {problem.pde.unknown[first]:g}}}"
