"""What discovery was asked for: checked before anything is trained, and refused where it would have no effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..kernels import checks, get_backend
from ..kernels.errors import InputError, short
from ..problem.problem import Problem
from ..training.checks import time_limit
from ..training.options import Options, chosen_options
from .student import StudentSettings

TESTS = ("problem", "teacher", "student")
# Of networks that discovery trains.
SEEDS, STEPS = 2, 80


@dataclass(frozen=True)
class DiscoveryOptions:
    """See `discover`."""

    tests: tuple[str, ...]
    seeds: int
    steps: int
    distillations: int
    settings: StudentSettings
    seconds: float | None
    seed: int


def checked_options(
    problem: Problem,
    tests: str | Sequence[str],
    *,
    has_teacher: bool,
    seeds: int | None = None,
    steps: int | None = None,
    distillations: int | None = None,
    settings: StudentSettings | None = None,
    seconds: float | None = None,
    seed: int | None = None,
    backend: str | None = None,
) -> DiscoveryOptions:
    """The options with their defaults in place of None. ``backend``: None or "auto" where none was chosen.

    Raises:
        InputError: out of range, or without effect on the tests that are made.
    """
    names = tests.replace(",", " ").split() if isinstance(tests, str) else tests
    wanted = tuple(checks.choice("tests", name, TESTS) for name in names)
    if not wanted:
        raise InputError(f"tests: expected some of {list(TESTS)}, got none")
    training: dict[str, object] = {
        "teacher": has_teacher or None,
        "seeds": seeds,
        "steps": steps,
        "seconds": seconds,
    }
    training |= {"seed": seed, "backend": None if backend == "auto" else backend}
    students: dict[str, object] = {"distillations": distillations, "settings": settings}
    for given, needed in (({**training, **students}, ("teacher", "student")), (students, ("student",))):
        for name, value in given.items():
            if value is not None and not set(needed) & set(wanted):
                raise InputError(
                    f"{name}: has no meaning for the tests {list(wanted)}, only for {' and '.join(map(repr, needed))}"
                )
    if settings is not None and not isinstance(settings, StudentSettings):
        raise InputError(f"settings: expected StudentSettings, got {short(settings)}")
    seed = 0 if seed is None else checks.seed("seed", seed, derived=True)
    seeds = SEEDS if seeds is None else checks.integer("seeds", seeds, 1)
    if seeds == 1 and not has_teacher:
        raise InputError("seeds: expected an integer >= 2, since differences of networks are the noise, got 1")
    return DiscoveryOptions(
        wanted,
        seeds,
        STEPS if steps is None else checks.integer("steps", steps, 0),
        1 if distillations is None else checks.integer("distillations", distillations, 1),
        settings or StudentSettings(problem.recipe.student_layers, seed=seed),
        time_limit(seconds),
        seed,
    )


def tests_of_solution(
    tests: str | Sequence[str] | None, teachers: int, training: Mapping[str, object]
) -> str | Sequence[str]:
    """The tests of a solution that so many ``teachers`` give on a domain. ``training``: options that have no effect.

    Raises:
        InputError: a test that they do not allow, or one of these options.
    """
    for name, value in training.items():
        if value is not None:
            raise InputError(f"{name}: has no meaning for a domain and its given teachers: no networks are trained")
    if tests is None:
        return ("teacher", "student") if teachers > 1 else ("student",)
    if "problem" in tests:
        raise InputError("tests: 'problem' is about equations, which a domain does not have; give a pf.Problem")
    if "teacher" in tests and teachers < 2:
        raise InputError(
            "tests: 'teacher' compares teachers, whose differences are the noise; give two or more, or tests='student'"
        )
    return tests


def backend_and_progress(options: Options | None) -> tuple[str, bool]:
    """What discovery takes of the options of training.

    Raises:
        InputError: others, which would have no effect; an unknown backend.
    """
    options = chosen_options(options)
    if options != Options(backend=options.backend, progress=options.progress):
        raise InputError(f"options: discovery takes a backend and progress alone, got {short(options)}")
    get_backend(options.backend)
    return options.backend, options.progress
