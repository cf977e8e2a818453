"""From a problem to its structure: what the problem, teachers and students say of each symmetry, and the verdict."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from ..building import Network, build_network
from ..domains import Domain
from ..kernels import get_backend, networks_of_the_library
from ..kernels.errors import InputError
from ..networks.groups import SignedPermutation, Symmetry, close_group, usual_representation
from ..networks.structure import Structure
from ..problem.problem import Problem
from ..problems import as_problem
from ..symmetries.induced import structure_with_ends, symmetries_of_network
from ..symmetries.problem_symmetry import ProblemSymmetry, problem_symmetries
from ..symmetries.symmetry_check import FoundSymmetry
from ..training.options import Options
from . import teachers
from .distillation import Distillation, distil, matching_width
from .evidence import Evidence, accepted_group, weigh
from .extraction import DiscoveryError
from .found import Discovery, Trial
from .given import Teacher, in_double, problem_of, split_teachers
from .options import TESTS, DiscoveryOptions, backend_and_progress, checked_options, tests_of_solution
from .student import StudentSettings
from .teachers import Trained

# Where teachers differ by more than this, relative to u, this many times as many are trained, as many times as long.
DIFFERING, MORE = 0.01, 2
# A larger group makes more and smaller blocks than a network of a few hundred parameters can use.
MOST_ELEMENTS = 16
# The structured network's loss may be this much larger than the dense one's; seeds alone differ by more than 3.
TOLERATED_LOSS = 10.0
_NO_MAPS = "no signed permutation takes the domain to itself, so nothing was trained"
# Losses below this part of the untrained network's are rounding errors of no consequence.
NEGLIGIBLE_LOSS = 1e-14
# With a symmetry that the solution lacks, the loss stalls at what the asymmetry costs; a slow one goes on.
# Where none is good enough, the best has up to so many times the steps, while each doubling divides its loss by this.
LONGEST, STILL_FALLING = 4, 2.0


@networks_of_the_library()
def discover(
    problem: Problem | Domain | str,
    teacher: Teacher | Network | Sequence[Teacher | Network] | None = None,
    *,
    tests: str | Sequence[str] | None = None,
    seeds: int | None = None,
    steps: int | None = None,
    distillations: int | None = None,
    settings: StudentSettings | None = None,
    seed: int | None = None,
    seconds: float | None = None,
    options: Options | None = None,
) -> Discovery:
    """Find the symmetries of a problem's solution and the structure of the networks that have them.

    Candidates are the signed permutations about the domain's centre that take the domain to itself. Up to three tests:
    on the problem alone (`problem_symmetries`); on dense networks trained by Gauss-Newton, against their disagreement
    (`asymmetries`); on students distilled from the median of these networks (`distil`). `weigh` says how they make a
    verdict. The accepted group gives the structure, which is then trained as the dense networks were, at about
    equal parameters; if it ends with a clearly larger loss (`Trial`), the result is dense. Where nothing speaks for a
    symmetry, too.

    Where only the identity takes the domain to itself, the result is dense, and nothing is trained.

    Args:
        problem: up to 4 coordinates; or the name of a built-in one; or a domain, where it was solved elsewhere: then
            the given teachers are all there is, none are trained, and there is no trial.
        teacher: networks trained on the problem, by any library, or functions that take points (N, d) and give values
            (N, F), one or several; their median is distilled, and they count as further teachers. A `Network` among
            them, ``pf.Network(embedding=..., ansatz=...)``, says how networks are that are trained here, and which
            ends the structure has: its relations are those of features and of N, such that u has the symmetries.
        tests: which of "problem", "teacher", "student" are made; None: all; of a domain, which has no equations, the
            last, and with several teachers the last two. With "problem" alone nothing is trained.
        seeds: dense networks to train, None: 2. With the teacher at least two must be there, whose differences are the
            noise; those of one seed and the same layers hardly differ. The trial trains up to twice as many structured
            ones, and the best of them for up to four times the steps where none is good enough.
        steps: of Gauss-Newton, for each network, None: 80. Where the dense ones differ by more than 1 % after
            that, twice as many are trained, twice as long.
        distillations: how many are made, None: 1: of the given teacher if there is one, then of all trained ones
            together, then of each alone.
        settings: of the students, see `distil`; None takes its defaults.
        seed: of the first dense network, None: 0; the others' follow.
        seconds: limit for each network's training.
        options: ``backend`` and ``progress``; the others are for networks of one's own.

    Raises:
        InputError: unknown tests, too few seeds, a teacher that does not fit the problem, tests that a domain and its
            teachers do not allow, options that are out of range or have no effect on the tests made. Anything else that
            goes wrong (networks that diverge, students from which nothing can be read) is reported in ``notes``.
        KeyboardInterrupt: on Ctrl-C.
    """
    (given, network), is_solved = split_teachers(teacher), isinstance(problem, Domain)
    problem = problem_of(problem, given) if isinstance(problem, Domain) else as_problem(problem)
    given = in_double(problem, given)
    network.dense(problem)  # its embedding and ansatz fit the problem, or nothing is trained
    backend, progress = backend_and_progress(options)
    if is_solved:
        tests = tests_of_solution(tests, len(given), {"seeds": seeds, "steps": steps, "seconds": seconds})
    asked = checked_options(
        problem, TESTS if tests is None else tests, has_teacher=bool(given), seeds=seeds, steps=steps,
        distillations=distillations, settings=settings, seconds=seconds, seed=seed, backend=backend,
    )  # fmt: skip
    wanted, seeds, steps, seed = asked.tests, asked.seeds, asked.steps, asked.seed
    training = dict[str, Any](steps=steps, seconds=asked.seconds, backend=backend, progress=progress)
    clock, notes = _Clock(), list[str]()
    maps = problem.domain.symmetries()
    if not maps:
        return Discovery(problem, _dense(problem, network), (), (), notes=(_NO_MAPS,), backend=backend)
    on_problem: dict[SignedPermutation, list[ProblemSymmetry]] | None = None
    if "problem" in wanted:
        with clock("problem"):
            on_problem = {g: [] for g in maps}
            for result in problem_symmetries(problem):
                on_problem[result.symmetry.map].append(result)

    trained: list[Trained] = []
    if {"teacher", "student"} & set(wanted) and not is_solved:
        with clock("teachers"):
            trained, training["steps"], said = _teachers(problem, asked, {**training, "ends": network})
        notes += said
    nets = [*given, *(found.net for found in trained)]

    on_teachers: dict[SignedPermutation, teachers.Asymmetry] | None = None
    if "teacher" in wanted:
        if len(nets) >= 2:
            on_teachers = {found.symmetry.map: found for found in teachers.asymmetries(problem, nets, maps, backend)}
        else:
            notes.append("teacher: fewer than two networks were trained, so their noise is unknown")

    distilled: list[Distillation] = []
    on_students: list[list[Symmetry]] | None = None
    if "student" in wanted and nets:
        with clock("students"):
            committee: list[Teacher] = [found.net for found in trained]
            subjects = [part for part in (given, committee) if part]
            subjects += [[net] for net in committee if len(committee) > 1]
            of_ends = [[*subject, network] for subject in subjects[: asked.distillations]]
            distilled, said = _distilled(problem, of_ends, asked, backend, progress)
        notes += said
        if distilled:
            on_students = [shown for found in distilled for shown in _votes(found)]

    evidence = accepted_group(_weighed(problem, maps, on_problem, on_teachers, on_students))
    group = tuple(FoundSymmetry(row.symmetry, row.text, row.effect or 0.0) for row in evidence if row.accepted)
    structure, note = _structure(problem, [match.symmetry for match in group], network)
    notes += note

    trial = None
    if group and trained and not structure.is_dense:
        with clock("trial"):
            trial, failures = trial_of(problem, structure, trained, range(seed, seed + 2 * seeds), training)
        notes += [f"structured, {failure}" for failure in failures]
        if trial.rejected:
            evidence, group, structure = _withdrawn(evidence), (), _dense(problem, network)
    best = distilled[0] if distilled else None
    return Discovery(
        problem, structure, group, evidence, best, tuple(trained), trial, tuple(notes), clock.seconds, backend
    )  # fmt: skip


def _weighed(
    problem: Problem,
    maps: Sequence[SignedPermutation],
    on_problem: Mapping[SignedPermutation, list[ProblemSymmetry]] | None,
    on_teachers: Mapping[SignedPermutation, teachers.Asymmetry] | None,
    on_students: Sequence[Sequence[Symmetry]] | None,
) -> list[Evidence]:
    """A row for each map of which any of the tests that were made says something; None: the test was not made."""
    rows = []
    for g in maps:
        own = None if on_students is None else [[s for s in shown if s.map == g] for shown in on_students]
        ruled = None if on_problem is None else on_problem[g]
        seen = None if on_teachers is None else on_teachers[g]
        if ruled is not None or seen is not None or any(own or ()):
            rows.append(weigh(g.describe(problem.pde.coords), ruled, seen, own))
    return rows


def _withdrawn(evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """Nothing is accepted where the structured network is worse."""
    reason = "the structured network is worse ({})"
    return tuple(
        replace(row, accepted=False, reason=reason.format(row.reason)) if row.accepted else row for row in evidence
    )


def _teachers(
    problem: Problem, asked: DiscoveryOptions, training: Mapping[str, Any]
) -> tuple[list[Trained], int, list[str]]:
    """Dense networks by ascending loss, the steps of each, and what is to be said of it.

    Where they differ by much, more of them are trained, for longer.
    """
    seed, seeds, steps, notes = asked.seed, asked.seeds, asked.steps, list[str]()
    trained, failures = teachers.train(problem, range(seed, seed + seeds), **training)
    nets: list[Teacher] = [found.net for found in trained]
    if len(nets) > 1 and (noise := teachers.disagreement(problem, nets, training["backend"])) > DIFFERING:
        steps = MORE * asked.steps
        more = {**training, "steps": steps}
        trained, failures = teachers.train(problem, range(seed, seed + MORE * seeds), **more)
        notes.append(
            f"teachers differ by {noise:.1%} after {asked.steps} steps: {MORE * seeds} were trained for {steps}"
        )
    return sorted(trained, key=lambda found: found.loss), steps, [*notes, *(f"teacher, {text}" for text in failures)]


def _distilled(
    problem: Problem,
    subjects: Sequence[Sequence[Teacher | Network]],
    asked: DiscoveryOptions,
    backend: str,
    progress: bool,
) -> tuple[list[Distillation], list[str]]:
    """What students of each of the ``subjects`` show, and why others show nothing."""
    found, notes = list[Distillation](), list[str]()
    for number, subject in enumerate(subjects):
        settings = replace(asked.settings, seed=asked.settings.seed + number)
        try:
            found.append(distil(problem, subject, settings=settings, backend=backend, progress=progress))
        except (DiscoveryError, InputError) as error:
            notes.append(f"students: {error}")
    return found, notes


def _structure(problem: Problem, group: Sequence[Symmetry], network: Network) -> tuple[Structure, list[str]]:
    """That of the group, or of a subgroup of at most 16 elements, in the `usual_representation`.

    What an embedding or an ansatz does not allow to u is left out, and said.
    """
    used, notes, ends = list[Symmetry](), list[str](), network.dense(problem)
    # Reflections first: they act by signs alone.
    for symmetry in sorted(group, key=lambda s: s.map.permutation != tuple(range(s.map.size))):
        if len(close_group([*used, symmetry])) > MOST_ELEMENTS:
            continue
        try:
            if ends.has_ends:
                symmetries_of_network([*used, symmetry], problem.domain, ends.embedding, ends.ansatz)
        except InputError as error:
            notes.append(f"structure: without {symmetry.map.describe(problem.pde.coords)}: {error}")
            continue
        used.append(symmetry)
    if not used:
        return _dense(problem, network), notes
    depth = max(1, len(problem.default_layers) - 2)
    name = f"{problem.name} (discovered)"
    structure = structure_with_ends(used, problem.domain, ends, (1,) * depth, usual_representation(depth), name)
    if structure.is_dense:
        return _dense(problem, network), [*notes, "structure: the embedding gives u its symmetries by itself"]
    size = len(close_group(used))
    if size <= len(group):
        notes.append(f"structure: it has {size} of the {len(group) + 1} symmetries found, a subgroup")
    return structure, notes


def _dense(problem: Problem, network: Network) -> Structure:
    return replace(network.dense(problem), name=f"{problem.name} (dense)")


def trial_of(
    problem: Problem, structure: Structure, dense: Sequence[Trained], seeds: Sequence[int], training: dict[str, Any]
) -> tuple[Trial, list[str]]:
    """Structured networks, one after the other, until one is good enough: some seeds end in a bad minimum.

    Where none is, the best is trained again for longer, while that helps.
    """
    n_dense = dense[0].net.structure.n_parameters
    wide = structure.with_width(matching_width(structure, n_dense))
    dense_losses = tuple(found.loss for found in dense)
    typical = math.exp(sum(math.log(max(loss, sys.float_info.min)) for loss in dense_losses) / len(dense_losses))
    allowed = TOLERATED_LOSS * typical + NEGLIGIBLE_LOSS * untrained_loss(problem, wide, training["backend"])
    found, longer, failures = list[Trained](), list[float](), list[str]()
    for seed in seeds:
        trained, failed = teachers.train(problem, [seed], structure=wide, width=1, **training)
        found += trained
        failures += failed
        if found and min(own.loss for own in found) <= allowed:
            break
    loss, seed = min(((own.loss, own.seed) for own in found), default=(math.inf, 0))
    steps, most = 2 * training["steps"], LONGEST * training["steps"]
    while found and loss > allowed and steps <= most:
        trained, failed = teachers.train(problem, [seed], structure=wide, width=1, **{**training, "steps": steps})
        longer += [own.loss for own in trained]
        failures += failed
        if not trained or longer[-1] > loss / STILL_FALLING:
            break
        loss, steps = longer[-1], 2 * steps
    losses = tuple(own.loss for own in found)
    rejected = min([*losses, *longer], default=math.inf) > allowed
    parameters = wide.n_parameters, n_dense
    return Trial(parameters, training["steps"], losses, dense_losses, rejected, tuple(longer)), failures


def untrained_loss(problem: Problem, structure: Structure, backend: str) -> float:
    """The loss with which a network of this structure, of width 1, starts."""
    network = Network("psi", structure=structure, width=1, dtype="float64")
    net = build_network(problem, network, by_newton=True, backend=backend)
    none = problem.initial_coefficients(torch.float64)
    terms = problem.terms(torch.float64)
    found = get_backend(backend).loss_and_gradient(
        net.plan, net.theta.detach(), none, terms, problem.weights(torch.float64)
    )
    return problem.total_loss(found.losses.tolist())


def _votes(found: Distillation) -> list[list[Symmetry]]:
    """What each student on which symmetries were tried shows; without trials, what was read from the one chosen."""
    tried = [found.inputs.on_coordinates(attempt.symmetries) for attempt in found.attempts if attempt.trials]
    return tried or [[match.symmetry for match in found.symmetries]]


class _Clock:
    """Seconds by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, part: str) -> _Clock:
        self._part = part
        return self

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds[self._part] = time.perf_counter() - self._started
