"""What discovery was asked for: checked before anything is trained, and refused where it would have no effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..kernels import checks
from ..kernels.errors import InputError, short
from ..problem import Problem
from ..training.result import time_limit
from .distillation import checked_threshold
from .student import StudentSettings

TESTS = ("problem", "teacher", "student")
# Of networks that discovery trains.
SEEDS, ITERATIONS = 2, 80


@dataclass(frozen=True)
class DiscoveryOptions:
    """See `discover`."""

    tests: tuple[str, ...]
    seeds: int
    iterations: int
    distillations: int
    settings: StudentSettings
    threshold: float | str
    seconds: float | None
    seed: int


def checked_options(
    problem: Problem,
    tests: str | Sequence[str],
    *,
    has_teacher: bool,
    seeds: int | None,
    iterations: int | None,
    distillations: int | None,
    settings: StudentSettings | None,
    threshold: float | str | None,
    seconds: float | None,
    seed: int | None,
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
        "iterations": iterations,
        "seconds": seconds,
    }
    training |= {"seed": seed, "backend": None if backend == "auto" else backend}
    students: dict[str, object] = {"distillations": distillations, "settings": settings, "threshold": threshold}
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
        ITERATIONS if iterations is None else checks.integer("iterations", iterations, 0),
        1 if distillations is None else checks.integer("distillations", distillations, 1),
        settings or StudentSettings(problem.recipe.student_layers, seed=seed),
        "auto" if threshold is None else checked_threshold(threshold),
        time_limit(seconds),
        seed,
    )
