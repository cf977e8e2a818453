"""The tables of a report."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from ..problem.problem import Problem
from .blocks import NONE, Table, number, whole, without_empty_columns
from .cases import Case
from .comparison import NORMS, Quantity, fitting_norm, known, quantities
from .plan import FOUND, OURS, PAPER, PINN, PSI, SETTINGS
from .records import ERRORS, LABELS, Record, Records

_ERROR_NAMES = {**NORMS, "max_error": "max error", "boundary_rmse": "boundary RMSE"}
_FITS = " (fits)"


def summary_table(records: Records, problems: dict[str, Problem]) -> Table:
    """Every problem in a line: the paper's networks and ours."""
    columns = ((PAPER, PINN), (PAPER, PSI), (OURS, PINN), (OURS, PSI), (OURS, FOUND))
    header = (
        "problem", "quantity", "paper: PINN", "paper: Psi-NN",
        *(f"{'Adam' if setting == PAPER else 'Gauss-Newton'}: {label}" for setting, label in columns),
    )  # fmt: skip
    rows = []
    for case in records.cases:
        problem = problems[case.key]
        for quantity in quantities(records, case, problem):
            ours = [quantity.median(records.of(case, setting, label), problem) for setting, label in columns]
            paper = [quantity.reported(problem, label) for label in (PINN, PSI)]
            rows.append((case.title, quantity.text, *(number(x, 3) for x in paper), *map(number, ours)))
    return Table(header, tuple(rows), n_words=2)


def case_table(records: Records, case: Case, problem: Problem, setting: str) -> Table:
    """The networks of a case in one setting, medians of the seeds; the paper's number beside the norm that fits it."""
    norm = fitting_norm(records, case, problem) if setting == PAPER else None
    fields: Sequence[str | None] = problem.pde.fields if len(problem.pde.fields) > 1 else [None]
    coefficients = list(problem.true_coefficients)
    header = (
        "network", *(["field"] if fields != [None] else []), "seeds", "parameters",
        *(["paper"] if setting == PAPER and problem.recipe.paper and problem.recipe.paper.errors else []),
        *(_ERROR_NAMES[name] + (_FITS if name == norm else "") for name in ERRORS),
        *(f"{name}{what}" for name in coefficients for what in ("", ": paper", ": error", ": error, paper")),
        "loss", "steps to loss 1e-3", "steps", "seconds",
    )  # fmt: skip
    rows = []
    for label in LABELS:
        runs = records.of(case, setting, label)
        for field in fields if runs else ():
            first = [label, *([str(field)] if field else []), str(len(runs)), _median(runs, "parameters")]
            if "paper" in header:
                first.append(number(Quantity("", None, field).reported(problem, label), 4))
            errors = [_median_error(runs, name, field) for name in ERRORS]
            rest = [_steps_to_target(runs), _median(runs, "steps"), _median(runs, "seconds")]
            loss = number(_middle(run.loss for run in runs))
            rows.append((*first, *errors, *_coefficients(runs, problem, label), loss, *rest))
    return without_empty_columns(Table(header, tuple(rows), n_words=1 + (fields != [None])))


def runs_table(records: Records, case: Case, problem: Problem) -> Table:
    """Every run of a case."""
    fields: Sequence[str | None] = problem.pde.fields if len(problem.pde.fields) > 1 else [None]
    coefficients = list(problem.true_coefficients)
    header = (
        "network", "trained by", *(["field"] if fields != [None] else []), "seed",
        *_ERROR_NAMES.values(), *coefficients, "loss", "steps", "seconds", "ended",
    )  # fmt: skip
    rows = []
    for run in records.runs:
        if run.run["case"] != case.key:
            continue
        found = run.result.get("coefficients") or {}
        for field in fields:
            rows.append(
                (
                    run.run["method"],
                    SETTINGS[run.run["setting"]],
                    *([str(field)] if field else []),
                    str(run.run["seed"]),
                    *(number(run.error(name, field)) for name in ERRORS),
                    *(number(found.get(name), 4) for name in coefficients),
                    number(run.loss),
                    whole(run.result.get("steps")),
                    number(run.result.get("seconds")),
                    str(run.result.get("ended")),
                )
            )
    return without_empty_columns(Table(header, tuple(rows), n_words=2 + (fields != [None])))


def quantities_table(records: Records, case: Case, problem: Problem) -> Table | None:
    """What a problem asks for beside its fields, medians; None where it asks for nothing."""
    names = _entries(records, case, "quantities")
    if not names:
        return None
    references = {name: quantity.reference for name, quantity in problem.quantities.items()}
    rows = [("reference", "", *(number(references.get(name), 5) for name in names))]
    for setting, label, runs in _groups(records, case):
        cells = [number(_middle(_within(run, "quantities", name) for run in runs), 5) for name in names]
        rows.append((label, SETTINGS[setting], *cells))
    return Table(("network", "trained by", *names), tuple(rows), n_words=2)


def parts_table(records: Records, case: Case, problem: Problem) -> Table | None:
    """RMSE on the parts of the boundary, medians; None where they are not known."""
    names = _entries(records, case, "part_rmse")
    if not names:
        return None
    fields: Sequence[str | None] = problem.pde.fields if len(problem.pde.fields) > 1 else [None]
    rows = []
    for setting, label, runs in _groups(records, case):
        for field in fields:
            cells = [number(_middle(_within(run, "part_rmse", name, field) for run in runs)) for name in names]
            rows.append((label, SETTINGS[setting], *([str(field)] if field else []), *cells))
    header = ("network", "trained by", *(["field"] if fields != [None] else []), *names)
    return Table(header, tuple(rows), n_words=2 + (fields != [None]))


def _groups(records: Records, case: Case) -> list[tuple[str, str, list[Record]]]:
    """Runs that differ in their seed alone."""
    every = [(setting, label, records.of(case, setting, label)) for setting in (PAPER, OURS) for label in LABELS]
    return [group for group in every if group[2]]


def _entries(records: Records, case: Case, entry: str) -> list[str]:
    """Names in a mapping of the results, in order of first use."""
    own = [run.result.get(entry) for setting in (PAPER, OURS) for run in records.of(case, setting)]
    return list(dict.fromkeys(name for found in own if isinstance(found, dict) for name in found))


def _within(run: Record, entry: str, name: str, field: str | None = None) -> float | None:
    found = run.result.get(entry)
    value = found.get(name) if isinstance(found, dict) else None
    value = value.get(field) if isinstance(value, dict) else value
    return value if isinstance(value, (int, float)) else None


def _coefficients(runs: Sequence[Record], problem: Problem, label: str) -> list[str]:
    cells = []
    for name in problem.true_coefficients:
        paper = problem.recipe.paper.coefficients.get(name, {}) if problem.recipe.paper else {}
        error = Quantity("", coefficient=name)
        ours = _middle(run.result.get("coefficients", {}).get(name) for run in runs)
        cells += [number(ours, 4), number(paper.get(label), 4)]
        cells += [number(error.median(runs, problem)), number(error.reported(problem, label))]
    return cells


def _median(runs: Sequence[Record], entry: str) -> str:
    value = _middle(run.result.get(entry) for run in runs)
    return number(value) if entry == "seconds" and value is not None and value < 10 else whole(value)


def _median_error(runs: Sequence[Record], name: str, field: str | None) -> str:
    return number(_middle(run.error(name, field) for run in runs))


def _middle(values: object) -> float | None:
    found = known(values)  # type: ignore[arg-type]  # of numbers and None
    return median(found) if found else None


def _steps_to_target(runs: Sequence[Record]) -> str:
    """Of the runs that came so far, the median, and how many these are where not all did."""
    reached = [run.steps_to_target for run in runs if run.steps_to_target is not None]
    if not reached:
        return NONE
    return whole(median(reached)) + (f" ({len(reached)} of {len(runs)})" if len(reached) < len(runs) else "")
