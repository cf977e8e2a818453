"""Numbers beside the paper's: medians of seeds, the norm that fits, and what a difference means."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from ..problem.problem import Problem
from .blocks import number, times
from .cases import Case
from .plan import PAPER, PINN, POST, PSI
from .records import Record, Records

# The paper's norms are one of these.
NORMS = {"relative_l2": "relative L2", "rmse": "RMSE", "mse": "MSE"}
REPORTED = (PINN, POST, PSI)
# Ratios to the paper within this are called equal.
_EQUAL = 1.1
# With a smaller part of the paper's steps, nothing is said of its norm.
_ENOUGH = 0.2


@dataclass(frozen=True)
class Quantity:
    """What is compared in one line: an error of a field, or the relative error of a coefficient.

    ``field``: None where there is one; ``coefficient``: None for errors of fields.
    """

    text: str
    norm: str | None = None
    field: str | None = None
    coefficient: str | None = None

    def of(self, record: Record, problem: Problem) -> float | None:
        if self.coefficient is None:
            return record.error(str(self.norm), self.field)
        found = record.result.get("coefficients", {}).get(self.coefficient)
        return _relative(found, problem.true_coefficients.get(self.coefficient))

    def median(self, records: Iterable[Record], problem: Problem) -> float | None:
        values = known(self.of(record, problem) for record in records)
        return median(values) if values else None

    def reported(self, problem: Problem, label: str) -> float | None:
        """The paper's."""
        paper = problem.recipe.paper
        if paper is None:
            return None
        if self.coefficient is not None:
            found = paper.coefficients.get(self.coefficient, {}).get(label)
            return _relative(found, problem.true_coefficients.get(self.coefficient))
        error = paper.errors.get(label)
        return error if error is None or isinstance(error, float) else error.get(str(self.field))


def known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def quantities(records: Records, case: Case, problem: Problem) -> list[Quantity]:
    """What the paper reports of a case: its coefficients, or the errors of its fields, in the norm that fits."""
    if problem.true_coefficients:
        return [Quantity(f"relative error of {name}", coefficient=name) for name in problem.true_coefficients]
    norm = fitting_norm(records, case, problem) or "relative_l2"
    fields = problem.pde.fields
    if len(fields) == 1:
        return [Quantity(NORMS[norm], norm)]
    return [Quantity(f"{NORMS[norm]} of {field}", norm, field) for field in fields]


def fitting_norm(records: Records, case: Case, problem: Problem) -> str | None:
    """Under which our runs in the paper's setting come nearest to what it reports; None where nothing says so."""
    paper = problem.recipe.paper
    runs = [run for run in records.of(case, PAPER) if paper and run.run["steps"] >= _ENOUGH * paper.steps]
    fields: Sequence[str | None] = problem.pde.fields if len(problem.pde.fields) > 1 else [None]
    distances = dict[str, float]()
    for norm in NORMS:
        logarithms = []
        for label in REPORTED:
            for field in fields:
                own = Quantity("", norm, field)
                ours = own.median([run for run in runs if run.run["method"] == label], problem)
                theirs = own.reported(problem, label)
                if ours and theirs:
                    logarithms.append(abs(math.log(ours / theirs)))
        if logarithms:
            distances[norm] = sum(logarithms) / len(logarithms)
    return min(distances, key=lambda norm: distances[norm]) if distances else None


def difference(records: Records, case: Case, problem: Problem, quantity: Quantity, label: str) -> str | None:
    """A sentence on ours, in the paper's setting, beside the paper's; None where either is not known."""
    runs, paper = records.of(case, PAPER, label), quantity.reported(problem, label)
    values = known(quantity.of(run, problem) for run in runs)
    if not values or not paper:
        return None
    ours = median(values)
    spread = f", {number(min(values))} to {number(max(values))} in {len(values)} seeds" if len(values) > 1 else ""
    if max(ours / paper, paper / ours) <= _EQUAL if ours else False:
        compared = f"as the paper's {number(paper, 3)}"
    else:
        compared = f"{times(ours / paper) if ours else 'below'} than the paper's {number(paper, 3)}"
        if min(values) <= paper <= max(values):
            compared += ", which lies within our seeds"
    return f"{label}, {quantity.text}: {number(ours)}{spread}: {compared}."


def ranking(records: Records, case: Case, problem: Problem, setting: str, better: str, worse: str) -> list[str]:
    """Whether one network is more accurate than another, a sentence for each quantity."""
    said = []
    for quantity in quantities(records, case, problem):
        a, b = (quantity.median(records.of(case, setting, label), problem) for label in (better, worse))
        if a and b:
            verdict = "is better than" if a < b else "is not better than"
            said.append(f"{better} {verdict} {worse}: {quantity.text} {number(a)} against {number(b)} (medians).")
    return said


def _relative(found: float | None, true: float | None) -> float | None:
    return None if found is None or not true else abs(found - true) / abs(true)
