"""The runs of a reproduction, one after the other; what is finished is skipped, what is not is continued."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..discovery.discover import discover
from ..discovery.options import TESTS
from ..kernels.errors import DivergedError, InputError, TrainingError
from ..machine import machine_report
from ..networks.direct_sum import direct_sum
from ..networks.structure import Structure
from ..problem.problem import Problem
from ..report.output import save_discovery
from ..report.replaceable import DISCOVERY as DISCOVERY_FILES
from ..report.replaceable import check_no_strangers
from ..solving import solve
from ..symmetries.restriction import restricted
from ..training.options import Options
from .cases import Case, sources
from .discovered import check_discovered, read_discovered
from .files import DISCOVERY, can_resume, check_own, check_resumable, claim, finish, is_finished
from .finished import read_finished
from .plan import CARRIED, FOUND, METHODS, PAPER, Run, Wanted, planned
from .time_left import TimeLeft, duration

Say = Callable[[str], None]


def carry_out(wanted: Wanted, folder: Path, options: Options, say: Say) -> None:
    """Train all that is not there yet.

    Raises:
        InputError: a run's folder that is another run's, or damaged; before anything is trained.
        TrainingInterrupted: on Ctrl-C; the run in training has its checkpoint, those before it are whole.
    """
    problems = {case.key: case.made() for case in wanted.cases}
    runs = planned(wanted)
    descriptions = {run.place: run.description(wanted, problems[run.case.key]) for run in runs}
    for run in runs:
        place = folder / run.place
        check_own(place, descriptions[run.place])
        if is_finished(place):
            read_finished(place, folder)
        else:
            check_resumable(place, _identity(run, problems[run.case.key], wanted))
    discovered_on = {own.key: own for case in wanted.cases for own in (case, *sources(case).values())}
    for case in discovered_on.values():
        check_own(folder / case.key / DISCOVERY, _discovery(case, wanted))
    for case in {own.key: own for run in runs for own in _discovered_for(run)}.values():
        check_discovered(folder / case.key / DISCOVERY)
    left = [run for run in runs if not is_finished(folder / run.place)]
    if len(left) < len(runs):
        say(f"{len(runs) - len(left)} of {len(runs)} runs are finished")
    time_left, made = TimeLeft(wanted, problems, folder, runs), machine_report()
    discovering = _Discovering(wanted, folder, options, made, say)
    for number, run in enumerate(left):
        rest = time_left.of(left[number:])
        say(f"run {len(runs) - len(left) + number + 1} of {len(runs)}, about {duration(rest)} left: {run.text}")
        problem, place = problems[run.case.key], folder / run.place
        try:
            found = discovering.structure(run, problem)
        except InputError as error:  # of what is carried over
            say(f"{run.text}: left out, {error}")
            continue
        claim(place, descriptions[run.place], made)
        _train(run, problem, found, wanted, place, options, say)


def _train(
    run: Run, problem: Problem, found: Structure | None, wanted: Wanted, place: Path, options: Options, say: Say
) -> None:
    own = replace(options, resume=can_resume(place), scaling=None if run.setting == PAPER else "auto")
    try:
        solve(
            problem,
            run.network(problem, found),
            run.optimizer(wanted, problem),
            seconds=run.seconds(wanted),
            seed=run.seed,
            out=place,
            options=own,
        )
    except (DivergedError, TrainingError) as error:  # a result, too; its folder says so
        say(f"{run.text}: {error}")
    finish(place)


def _identity(run: Run, problem: Problem, wanted: Wanted) -> dict[str, Any]:
    """Of its checkpoint, what is known before anything is built."""
    return {
        "problem": problem.name, "method": METHODS[run.label], "seed": run.seed,
        "dtype": f"torch.{run.dtype}", "optimizers": [run.optimizer(wanted, problem).name],
    }  # fmt: skip


def _discovered_for(run: Run) -> Sequence[Case]:
    """The cases whose R a run needs."""
    return (run.case,) if run.label == FOUND else tuple(sources(run.case).values()) if run.label == CARRIED else ()


def _discovery(case: Case, wanted: Wanted) -> dict[str, Any]:
    """What makes a discovery another one if it changes; a quick one trains nothing."""
    tests = ["problem"] if wanted.quick else list(TESTS)
    return {"problem": case.problem, "settings": dict(case.settings), "tests": tests, "seed": 0}


class _Discovering:
    """Structures that are found: once for each case, in a folder of its own."""

    def __init__(self, wanted: Wanted, folder: Path, options: Options, made: dict[str, str], say: Say) -> None:
        self._wanted, self._folder, self._options, self._made, self._say = wanted, folder, options, made, say

    def structure(self, run: Run, problem: Problem) -> Structure | None:
        """What a run needs, if it needs any.

        Raises:
            InputError: what was discovered on another problem has not the symmetry that is to be carried over.
        """
        if run.label == FOUND:
            return self._discovered(run.case, problem)
        transfer = run.case.transfer
        if run.label != CARRIED or transfer is None:
            return None
        parts = {
            fields: restricted(self._discovered(case, case.made()), transfer.map)
            for fields, case in sources(run.case).items()
        }
        return direct_sum(parts, problem.pde.fields, centre=problem.domain.centre.tolist(), name="transferred")

    def _discovered(self, case: Case, problem: Problem) -> Structure:
        place, description = self._folder / case.key / DISCOVERY, _discovery(case, self._wanted)
        if (earlier := read_discovered(place)) is not None:
            return earlier
        self._say(f"{case.title}: discovering R")
        check_no_strangers(place, DISCOVERY_FILES)
        claim(place, description, self._made)
        shown = Options(backend=self._options.backend, progress=self._options.progress and not self._wanted.quick)
        save_discovery(discover(problem, tests=description["tests"], options=shown), place)
        found = read_discovered(place)
        assert found is not None
        return found
