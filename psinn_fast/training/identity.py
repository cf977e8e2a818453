"""Which run a checkpoint belongs to: all that its training depends on, in parts that can be named where they differ.

Residuals are digests of their programs, and do not depend on the process or on Python. Arrays of numbers are weighted
sums, compared to a tolerance: another processor's sine may differ in the last digit, another problem's data by more.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from ..domains import Domain, Region, sobol
from ..kernels.contract import Term
from ..kernels.errors import short
from ..kernels.language.regularizer import Regularizer
from ..networks.mlp import PsiMLP
from ..problem.conditions import Condition
from ..problem.problem import Problem
from .points.regions import other_sites, term_at

if TYPE_CHECKING:  # these are asked for their settings, whatever they are
    from .protocol import Optimizer
    from .weighting import Weighting

# Between two computations of the same numbers, relative to the sum of their sizes.
_TOLERANCE = 1e-13
_GOLDEN = (math.sqrt(5) - 1) / 2
# What messages show of a value.
_SHOWN = 60
_BEFORE_DIFFERENCE = 20
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


def trained_by(
    optimizers: Sequence[Optimizer], backend: str, regularizer: Regularizer | None, weighting: Weighting | None
) -> dict[str, Any]:
    """By what a network is trained: plain options, see `run_identity`."""
    names = [optimizer.name for optimizer in optimizers]
    settings: dict[str, Any] = {"backend": backend, "optimizers": names}
    for number, optimizer in enumerate(optimizers):
        earlier = names[:number].count(optimizer.name)
        key = f"{optimizer.name} {earlier + 1}" if earlier else optimizer.name
        # A run may go on for longer than was said at first, but one that comes after it begins where it ended.
        is_last = number == len(names) - 1
        settings[key] = {**optimizer.identity(), **({} if is_last else {"steps": optimizer.most_steps})}
    penalty = [regularizer.kind, regularizer.strength] if regularizer else None
    return settings | {"regularizer": penalty, "weighting": None if weighting is None else dict(weighting.identity())}


def differences(saved: Any, wanted: Any) -> Iterator[str]:
    """Where two identities differ, and how."""
    found = list(_differences(saved, wanted, ""))
    # Bounds and scales are part of the programs, too, and are named where they were changed.
    yield from [text for text, is_shown in found if is_shown] or [text for text, _ in found]


def _differences(saved: Any, wanted: Any, where: str) -> Iterator[tuple[str, bool]]:
    """What differs, and whether what is shown of it does."""
    if isinstance(saved, dict) and isinstance(wanted, dict):
        if saved.keys() == wanted.keys() == {"shape", "sum", "size"}:
            if not _same_numbers(saved, wanted):
                yield f"{where}: other numbers", True
        elif saved.keys() == wanted.keys() == {"text", "sha256"}:
            if saved["text"] != wanted["text"]:
                yield _apart(where, saved["text"], wanted["text"]), True
            elif saved["sha256"] != wanted["sha256"]:
                yield f"{where}: another one, beyond what is shown of it, {short(saved['text'], _SHOWN)}", False
        else:
            for key in {**saved, **wanted}:
                yield from _differences(saved.get(key), wanted.get(key), f"{where}.{key}" if where else key)
    elif _are_alike(saved, wanted):
        for number, pair in enumerate(zip(saved, wanted, strict=True)):
            yield from _differences(*pair, f"{where}[{number}]")
    elif saved != wanted:
        yield _apart(where, saved, wanted), True


def _are_alike(saved: Any, wanted: Any) -> bool:
    """Lists of as many objects, which can be compared one by one."""
    if not (isinstance(saved, list) and isinstance(wanted, list) and len(saved) == len(wanted)):
        return False
    return all(isinstance(one, dict) for one in (*saved, *wanted))


def _apart(where: str, saved: Any, wanted: Any) -> str:
    """Both values, long ones around their first difference."""
    texts = [short(value, sys.maxsize) for value in (saved, wanted)]
    first = next((i for i, (a, b) in enumerate(zip(*texts, strict=False)) if a != b), min(map(len, texts)))
    start = max(0, first - _BEFORE_DIFFERENCE)
    if max(map(len, texts)) <= _SHOWN or start == 0:
        texts = [_cut(text, _SHOWN) for text in texts]
    else:
        texts = ["..." + _cut(text[start:], _SHOWN) for text in texts]
    return f"{where}: saved {texts[0]}, now {texts[1]}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def options_of(options: Any, length: str) -> dict[str, Any]:
    """A dataclass of settings but for how long to train, which may change when a run is resumed."""
    return {name: value for name, value in asdict(options).items() if name != length}


def _domain(domain: Domain) -> dict[str, Any]:
    """Its class, bounds, and points inside and on every part, in which domains of one class may differ."""
    regions = [Region(domain), *(Region(domain, (part,)) for part in domain.parts)]
    places = [region.drawn(_ELSEWHERE, sobol(len(domain.coords), np.random.default_rng(0))) for region in regions]
    ends = zip(domain.coords, domain.low.tolist(), domain.high.tolist(), strict=True)
    own = {"class": type(domain).__name__, "points inside and on its parts": digest_of(np.stack(places))}
    return {name: [low, high] for name, low, high in ends} | own


def _term(condition: Condition, term: Term, text: str) -> dict[str, Any]:
    regions = [region and _domain(region.domain) | {"parts": list(region.parts)} for region in condition.regions]
    return {
        "weight": condition.weight,
        "equation": {"text": text, "sha256": term.program.digest()},
        "points": digest_of(term.points.numpy()),
        "targets and sources": digest_of(term.columns.numpy()),
        "regions": regions,
        **({} if term.quadrature is None else {"quadrature": digest_of(term.quadrature.numpy())}),
    }


def _elsewhere(problem: Problem, number: int) -> dict[str, Any]:
    """Functions are told apart at points that fresh draws might have, too."""
    sites = other_sites(problem.conditions[number], _ELSEWHERE, np.random.default_rng(number))
    term = term_at(problem, number, sites)
    numbers = None if term is None else digest_of(np.nan_to_num(term.columns.numpy(), posinf=0.0, neginf=0.0))
    return {"targets and sources elsewhere": numbers}


def digest_of(array: npt.NDArray[np.float64]) -> dict[str, Any]:
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
