"""What a report says, block by block, from the numbers of the runs alone."""

from __future__ import annotations

from collections.abc import Iterator

from ..networks.structure import Structure
from ..problem.problem import Problem
from .blocks import Block, Code, Folded, Heading, Items, Text, whole
from .cases import Case
from .comparison import NORMS, REPORTED, difference, fitting_norm, quantities, ranking
from .pictures import collect_pictures, draw_losses
from .plan import CARRIED, FOUND, MOST_BY_NEWTON, OURS, PAPER, PINN, PSI, SETTINGS
from .records import Records, machines
from .tables import case_table, parts_table, quantities_table, runs_table, summary_table

_SOURCE = "Liu et al., Nature Communications 16, 9558 (2025), doi 10.1038/s41467-025-64624-3"


def contents(records: Records) -> list[Block]:
    problems = {case.key: case.made() for case in records.cases}
    blocks = list(_head(records, problems))
    for case in records.cases:
        blocks += _case(records, case, problems[case.key])
    blocks.append(Heading(2, "Machine"))
    blocks += [
        Items(tuple(f"{name}: {value}" for name, value in machine.items())) for machine in machines(records.runs)
    ]
    return blocks


def _head(records: Records, problems: dict[str, Problem]) -> Iterator[Block]:
    yield Heading(1, "Reproduction of the Psi-NN paper")
    yield Text(
        f"The problems of {_SOURCE}, trained anew by psinn_fast: with Adam, learning rates, layers, points and float32 "
        "of the paper, and by Gauss-Newton, which is ours, dense networks scaled to at most "
        f"{MOST_BY_NEWTON} parameters. Networks: PINN (dense), PINN-post (the same, made "
        "symmetric), Psi-NN (the published structure), and the structure that pf.discover finds."
    )
    if any(record.run.get("quick") for record in records.runs):
        yield Text("Quick runs, of a few steps: they show that everything works, and their numbers mean nothing.")
    yield summary_table(records, problems)
    yield Text(
        "Medians of the seeds. The paper does not say how it normalises its errors: quantities are in the norm (of "
        "relative L2, RMSE and MSE) under which our runs in its setting come nearest to its numbers. Errors are taken "
        "on grids that no training sees. Loss curves and steps to a loss are read off every 400th part of a run."
    )
    if texts := [*_ended(records), *_shorter(records, problems), *_rankings(records, problems)]:
        yield Items(tuple(texts))
    if records.missing:
        yield Heading(2, "Not in this report")
        yield Items(records.missing)


def _ended(records: Records) -> Iterator[str]:
    """Runs that did not come to their end."""
    for record in records.runs:
        if record.result["ended"] not in ("done", "time limit"):
            yield f"{record.place}: {record.result['ended']} at step {whole(record.result['steps'])}."


def _shorter(records: Records, problems: dict[str, Problem]) -> Iterator[str]:
    """Where Adam took fewer steps than the paper's."""
    for case in records.cases:
        paper = problems[case.key].recipe.paper
        asked = {record.run["steps"] for record in records.of(case, PAPER)}
        if paper and asked and max(asked) < paper.steps:
            yield f"{case.title}: Adam took {whole(max(asked))} of the paper's {whole(paper.steps)} steps."


def _rankings(records: Records, problems: dict[str, Problem]) -> Iterator[str]:
    for case in records.cases:
        for text in ranking(records, case, problems[case.key], PAPER, PSI, PINN):
            yield f"{case.title}, {SETTINGS[PAPER]}: {text}"


def _case(records: Records, case: Case, problem: Problem) -> Iterator[Block]:
    yield Heading(2, case.title)
    if problem.true_coefficients:
        yield Text("True: " + ", ".join(f"{name} = {value:.6g}" for name, value in problem.true_coefficients.items()))
    for setting in (PAPER, OURS):
        if records.of(case, setting):
            yield Heading(3, SETTINGS[setting])
            yield case_table(records, case, problem, setting)
    if quantities_there := quantities_table(records, case, problem):
        yield Heading(3, "What else is asked for")
        yield quantities_there
    yield from _differences(records, case, problem)
    yield draw_losses(records, case, problem)
    yield from collect_pictures(records, case, problem)
    found = records.discoveries.get(case.key)
    if found is not None:
        signs = [", ".join("even" if sign > 0 else "odd" for sign in row["character"]) for row in found["group"]]
        maps = "; ".join(f"{row['map']} ({own})" for row, own in zip(found["group"], signs, strict=True))
        yield Text(f"Discovered: {maps or 'no symmetry'}.")
        yield Code(str(Structure.from_entries(found["structure"])))
    if on_parts := parts_table(records, case, problem):
        yield Folded("RMSE on each part of the boundary", (on_parts,))
    yield Folded("Every run", (runs_table(records, case, problem),))
    if doubts := _doubts(records, case):
        yield Folded("What results say against themselves", (Items(doubts),))


def _doubts(records: Records, case: Case) -> tuple[str, ...]:
    """Warnings, by run."""
    return tuple(
        f"{record.run['method']}, {SETTINGS[record.run['setting']]}, seed {record.run['seed']}: {'; '.join(said)}"
        for setting in (PAPER, OURS)
        for record in records.of(case, setting)
        if isinstance(said := record.result.get("warnings"), list) and said and all(isinstance(x, str) for x in said)
    )


def _differences(records: Records, case: Case, problem: Problem) -> Iterator[Block]:
    """What differs from the paper, and why, as far as that is known."""
    compared = [
        text
        for quantity in quantities(records, case, problem)
        for label in REPORTED
        if (text := difference(records, case, problem, quantity, label))
    ]
    own = [text for label in (PSI, FOUND, CARRIED) for text in ranking(records, case, problem, OURS, label, PINN)]
    if compared:
        norm = fitting_norm(records, case, problem)
        fits = f" Of the three norms, {NORMS[norm]} fits its errors best." if norm else ""
        yield Heading(3, "Beside the paper")
        yield Text(f"The paper gives one number for each network, and no scatter of seeds.{fits}")
        yield Items((*compared, *(case.reasons or ("Why they differ is not known.",))))
    if own:
        yield Items(tuple(f"{SETTINGS[OURS]}: {text}" for text in own))
