"""Which run a checkpoint belongs to: all that its training depends on, in parts that can be named where they differ.

Residuals are digests of their programs, and do not depend on the process or on Python. Arrays of numbers are weighted
sums, compared to a tolerance: another processor's sine may differ in the last digit, another problem's data by more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..domains import Domain, Region
from ..kernels.contract import Term
from ..kernels.errors import short
from ..networks.mlp import PsiMLP
from ..problem.conditions import Condition
from ..problem.problem import Problem
from .points.regions import other_sites, sobol, term_at

# Between two computations of the same numbers, relative to the sum of their sizes.
_TOLERANCE = 1e-13
_GOLDEN = (math.sqrt(5) - 1) / 2
_LONGEST_EQUATION = 200
# Points of each region at which functions are compared.
_ELSEWHERE = 64


def run_identity(
    problem: Problem, net: PsiMLP, options: Mapping[str, Any], coefficients: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """The parts that must agree for a run to be resumed, as JSON.

    Args:
        problem: its equations, points, targets, weights, domain and coefficients count, its name as well.
        net: its structure and dtype count, its weights do not.
        options: what else there is, by name, already plain.
        coefficients: where the unknown ones start, if not where the problem says.
    """
    structure = net.structure.to_entries()
    del structure["name"]
    terms = zip(problem.conditions, problem.terms(torch.float64), strict=True)
    return {
        "problem": problem.name,
        "domain": _domain(problem.domain),
        "bounds": {
            name: [end if math.isfinite(end) else None for end in interval]
            for name, interval in problem.unknowns.bounds.items()
        },
        "terms": {
            condition.name: _term(condition, term, ", ".join(traced.texts())) | _elsewhere(problem, number)
            for number, ((condition, term), traced) in enumerate(zip(terms, problem.traced, strict=True))
        },
        "unknown": {**problem.pde.unknown, **problem.guess, **(coefficients or {})},
        "structure": structure,
        "dtype": str(net.theta.dtype),
        **options,
    }


def differences(saved: Any, wanted: Any, where: str = "") -> Iterator[str]:
    """Where two identities differ, and how."""
    if isinstance(saved, dict) and isinstance(wanted, dict):
        if saved.keys() == wanted.keys() == {"shape", "sum", "size"}:
            if not _same_numbers(saved, wanted):
                yield f"{where}: other numbers"
        elif saved.keys() == wanted.keys() == {"text", "sha256"}:
            if saved["sha256"] != wanted["sha256"]:
                yield f"{where}: saved {short(saved['text'], 60)}, now {short(wanted['text'], 60)}"
        else:
            for key in {**saved, **wanted}:
                yield from differences(saved.get(key), wanted.get(key), f"{where}.{key}" if where else key)
    elif saved != wanted:
        yield f"{where}: saved {short(saved, 60)}, now {short(wanted, 60)}"


def options_of(options: Any, length: str) -> dict[str, Any]:
    """A dataclass of settings but for how long to train, which may change when a run is resumed."""
    return {name: value for name, value in asdict(options).items() if name != length}


def _domain(domain: Domain) -> dict[str, Any]:
    """Its class, bounds, and points inside and on every part, in which domains of one class may differ."""
    regions = [Region(domain), *(Region(domain, (part,)) for part in domain.parts)]
    places = [region.drawn(_ELSEWHERE, sobol(len(domain.coords), np.random.default_rng(0))) for region in regions]
    ends = zip(domain.coords, domain.low.tolist(), domain.high.tolist(), strict=True)
    own = {"class": type(domain).__name__, "points inside and on its parts": _numbers(np.stack(places))}
    return {name: [low, high] for name, low, high in ends} | own


def _term(condition: Condition, term: Term, text: str) -> dict[str, Any]:
    regions = [region and _domain(region.domain) | {"parts": list(region.parts)} for region in condition.regions]
    return {
        "weight": condition.weight,
        "equation": {"text": text[:_LONGEST_EQUATION], "sha256": term.program.digest()},
        "points": _numbers(term.points.numpy()),
        "targets and sources": _numbers(term.columns.numpy()),
        "regions": regions,
    }


def _elsewhere(problem: Problem, number: int) -> dict[str, Any]:
    """Functions are told apart at points that fresh draws might have, too."""
    sites = other_sites(problem.conditions[number], _ELSEWHERE, np.random.default_rng(number))
    term = term_at(problem, number, sites)
    numbers = None if term is None else _numbers(np.nan_to_num(term.columns.numpy(), posinf=0.0, neginf=0.0))
    return {"targets and sources elsewhere": numbers}


def _numbers(array: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Sums that another number, or another order of them, changes."""
    weights = 1 + np.arange(array.size) * _GOLDEN % 1.0
    weighted = array.ravel() * weights
    return {"shape": list(array.shape), "sum": math.fsum(weighted), "size": math.fsum(np.abs(weighted))}


def _same_numbers(saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    numbers = [saved["sum"], saved["size"]]
    if saved["shape"] != wanted["shape"] or not all(isinstance(number, float) for number in numbers):
        return False
    tolerance = _TOLERANCE * wanted["size"]
    return all(abs(saved[name] - wanted[name]) <= tolerance for name in ("sum", "size"))
