"""The paper's way to R: a teacher, students that imitate it, clusters of their weights, the structure these show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..building import Network
from ..kernels import networks_of_the_library
from ..kernels.errors import InputError
from ..networks.groups import SignedPermutation, Symmetry
from ..networks.structure import Structure
from ..problem.problem import Problem
from ..problems import as_problem
from ..symmetries.symmetry_check import FoundSymmetry, find_symmetries, structure_symmetries
from ..training.metrics import evaluate
from ..training.progress import TrainingProgress
from .extraction import DiscoveryError, Extraction
from .given import Teacher, check_teacher, split_teachers, values
from .inputs import StudentInputs
from .reading import MOST_RISE, SymmetryTrial, simplify, symmetrise, tie_clusters
from .student import (
    Student,
    StudentSettings,
    converge,
    imitated_points,
    imitation,
    points_per_axis,
    train_student,
)

FloatArray = npt.NDArray[np.float64]
# A trained teacher has its symmetries only to within its own error.
TEACHER_TOLERANCE = 0.05
# Cut distance for merging copies where the threshold is found automatically; every later tie is verified.
_MERGE = 0.05
# Symmetries are tried on so many students, those of lowest loss.
_SHORTLIST = 3
# A student with more of the target's variance left than this has not imitated anything.
_COLLAPSED = 0.5


@dataclass(frozen=True)
class Attempt:
    """One student and what was read from it; ``extraction`` is None where nothing could be, and ``failure`` says why.

    ``dropped``: copies, dead and constant neurons, over all rounds. ``trials``: symmetries tried on it, where its
    loss was among the lowest.
    """

    student: Student
    extraction: Extraction | None
    dropped: tuple[int, int, int] = (0, 0, 0)
    failure: str | None = None
    trials: tuple[SymmetryTrial, ...] = ()

    @property
    def symmetries(self) -> tuple[Symmetry, ...]:
        """Those tried that cost next to nothing, about the centre of the student's inputs."""
        return tuple(trial.match.symmetry for trial in self.trials if trial.accepted)


@dataclass(frozen=True, repr=False)
class Distillation:
    """What was found.

    Attributes:
        structure: block sizes 1, about the domain's centre, or of an embedding's features.
        chosen: the attempt it was read from, with the student after symmetries and before clusters were tied;
            ``attempts``: all, with the students before both.
        tied: the student with the structure's ties, converged again.
        imitation_error: relative L2 distance of the chosen student, and of the tied one, from the teacher.
        symmetries: those that *every* network of the structure has, about the centre.
        teacher_symmetries: those of the teacher itself, within 5%.
        missed: symmetries of the teacher that the structure does not have.
        threshold: cut distance of the clustering, given or found.
        inputs: what the students saw.
        scatter: mean square of several teachers' distances from their median, of unit variance; 0 for one.
        trials: every symmetry tried on the chosen student, with what tying it cost.
    """

    structure: Structure
    chosen: Attempt
    attempts: tuple[Attempt, ...]
    tied: Student
    imitation_error: tuple[float, float]
    symmetries: tuple[FoundSymmetry, ...]
    teacher_symmetries: tuple[FoundSymmetry, ...]
    threshold: float
    inputs: StudentInputs
    scatter: float = 0.0

    def __repr__(self) -> str:
        structure = str(self.structure).splitlines()[0]
        return f"Distillation: symmetries {_names(self.symmetries)}; {structure}; report() says why"

    @property
    def centre(self) -> tuple[float, ...]:
        return self.structure.centre

    @property
    def coords(self) -> tuple[str, ...]:
        """Names of the students' inputs."""
        return self.inputs.names

    @property
    def trials(self) -> tuple[SymmetryTrial, ...]:
        return self.chosen.trials

    @property
    def missed(self) -> tuple[FoundSymmetry, ...]:
        found = {match.symmetry for match in self.symmetries}
        return tuple(match for match in self.teacher_symmetries if match.symmetry not in found)

    def report(self) -> str:
        """The finding in words."""
        extraction = self.chosen.extraction
        assert extraction is not None
        student = self.chosen.student
        losses = ", ".join(f"{attempt.student.loss:.4e}" for attempt in self.attempts)
        lines = [
            f"student of seed {student.seed}, {len(self.attempts)} starts (losses {losses}), "
            f"gradient {student.gradient:.0e}; threshold {self.threshold:.3g}",
            "neurons dropped: {} copies, {} dead, {} constant".format(*self.chosen.dropped),
            f"loss: {student.loss:.4e}, with tied weights {self.tied.loss:.4e}; teachers' scatter {self.scatter:.1e}",
            "distance from the teacher: student {:.1%}, with tied weights {:.1%}".format(*self.imitation_error),
            *(
                f"tied under {trial.match.symmetry.map.describe(self.coords)}: {trial.ratio:.3f} times the loss, "
                f"{'accepted' if trial.accepted else 'refused'}"
                for trial in self.trials
            ),
            str(self.structure),
            *(f"  {line}" for line in extraction.relations[:12]),
        ]
        if len(extraction.relations) > 12:
            lines.append(f"  ... and {len(extraction.relations) - 12} more relations")
        lines.append("symmetries of every network with this structure: " + _names(self.symmetries))
        lines.append(f"symmetries of the teacher (within {TEACHER_TOLERANCE:.0%}): " + _names(self.teacher_symmetries))
        if self.missed:
            lines.append("the structure misses: " + _names(self.missed))
        return "\n".join(lines)


@networks_of_the_library()
def distil(
    problem: Problem | str,
    teacher: Teacher | Network | Sequence[Teacher | Network],
    *,
    settings: StudentSettings | None = None,
    backend: str = "auto",
    progress: bool = False,
) -> Distillation:
    """Distil a trained teacher into regularised students, cluster their weights, and read off the structure.

    Per start a student is trained to imitate (`train_student`) and freed of what it does not need (`simplify`). Then,
    on the three of lowest loss, symmetries are tried (`symmetrise`), and those that narrowly fail on the others too;
    the student with most of them, and of these the one of lowest loss, has its clusters tied as coarsely as its loss
    allows (`tie_clusters`).

    Args:
        problem: gives the domain on which the student imitates.
        teacher: a network trained on the problem, or a function (`Teacher`); or several, whose median is imitated,
            point by point: what some of them alone have wrong, also a symmetry that they alone break, is not in it. A
            `Network` among them says with which embedding and ansatz students are: they see its features, up to 8, and
            imitate N of u = g + d N.
        settings: of the students; None takes the problem's hidden sizes and the defaults.
        backend: see `available_backends`.
        progress: show a bar on stderr.

    Raises:
        DiscoveryError: no student imitates the teacher or shows a structure (each one's reason is listed).
        InputError: a teacher that does not fit the problem or has nothing to imitate.

    Source: Liu et al. 2025, doi 10.1038/s41467-025-64624-3; what is added, and why, is in docs/discovery.md.
    """
    problem = as_problem(problem)
    nets, network = split_teachers(teacher)
    inputs = StudentInputs(problem, network.dense(problem))
    for net in nets:
        check_teacher(problem, net)
    if not nets:
        raise InputError("teacher: expected at least one network")

    def field(points: FloatArray) -> FloatArray:
        return np.asarray(np.median([values(net, points, backend) for net in nets], axis=0))

    settings = settings or StudentSettings(problem.recipe.student_layers)
    threshold = settings.threshold
    cut = _MERGE if isinstance(threshold, str) else threshold
    task, spread = imitation(problem, field, settings.grid, inputs)
    sites = imitated_points(inputs, settings.grid)
    own = np.stack([inputs.network(sites, values(net, sites, backend)) for net in nets])
    scatter = float((((own - np.median(own, axis=0)) / spread) ** 2).sum(-1).mean())
    attempts = []
    with TrainingProgress(f"{problem.name} students", settings.starts, progress) as bar:
        for number in range(settings.starts):
            attempts.append(_attempt(task, settings, settings.starts * settings.seed + number, cut, backend))
            bar.update(number + 1, f"loss {min(attempt.student.loss for attempt in attempts):.4e}")
    readable = _readable(attempts)
    chosen = readable[0]
    extraction = chosen.extraction
    assert extraction is not None
    if threshold == "auto":
        maps = inputs.maps
        with TrainingProgress(f"{problem.name} symmetries", len(readable), progress) as bar:
            tried = _tried(task, readable, maps, settings, backend, scatter, bar)
        for before, after in zip(readable, tried, strict=False):
            attempts[attempts.index(before)] = replace(before, trials=after.trials)
        chosen = max(tried, key=lambda attempt: (len(attempt.symmetries), -attempt.student.loss))
        tied, extraction, cut = tie_clusters(task, chosen.student, settings, backend)
    else:
        tied = converge(
            task, extraction.structure, extraction.weights, extraction.copies, settings, chosen.student.seed, backend
        )
    chosen = replace(chosen, extraction=extraction)
    chosen, *every = (_of_coordinates(inputs, attempt) for attempt in (chosen, *attempts))
    assert chosen.extraction is not None
    structure = replace(chosen.extraction.structure, name=f"{problem.name} (discovered)")
    points = problem.domain.unseen_grid(points_per_axis(problem))
    target = field(points)
    shown = [
        inputs.fields(points, evaluate(student.net, inputs.seen(points), backend) * spread)
        for student in (chosen.student, tied)
    ]
    errors = [float(np.linalg.norm(own - target) / np.linalg.norm(target)) for own in shown]
    return Distillation(
        structure,
        chosen,
        tuple(every),
        tied,
        (errors[0], errors[1]),
        tuple(structure_symmetries(structure, problem.pde.coords, domain=problem.domain)),
        tuple(_teacher_symmetries(problem, field)),
        cut,
        inputs,
        scatter,
    )


def matching_width(structure: Structure, n_parameters: int) -> int:
    """The width whose number of independent parameters comes closest to ``n_parameters``."""
    width = 1
    while structure.with_width(width + 1).n_parameters <= n_parameters:
        width += 1
    below, above = (abs(structure.with_width(w).n_parameters - n_parameters) for w in (width, width + 1))
    return width if below <= above else width + 1


def _attempt(task: Problem, settings: StudentSettings, seed: int, threshold: float, backend: str) -> Attempt:
    student = train_student(task, settings, seed, backend)
    try:
        simple, extraction, dropped = simplify(task, student, settings, threshold, backend)
    except DiscoveryError as error:
        return Attempt(student, None, failure=str(error))
    return Attempt(simple, extraction, dropped)


def _tried(
    task: Problem,
    readable: Sequence[Attempt],
    maps: Sequence[SignedPermutation],
    settings: StudentSettings,
    backend: str,
    scatter: float,
    bar: TrainingProgress,
) -> list[Attempt]:
    """The first few of ``readable``, symmetrised; and more of them where a symmetry has failed narrowly on all."""
    lowest = readable[0].student.loss
    tried: list[Attempt] = []

    def attempt_next(maps: Sequence[SignedPermutation]) -> None:
        attempt = readable[len(tried)]
        student, trials = symmetrise(task, attempt.student, maps, lowest, settings, backend, scatter)
        tried.append(replace(attempt, student=student, trials=trials))
        bar.update(len(tried), f"{sum(trial.accepted for trial in trials)} accepted")

    while len(tried) < min(_SHORTLIST, len(readable)):
        attempt_next(maps)
    # A tie that narrowly fails may be free on another student.
    near = {t.match.symmetry.map for attempt in tried for t in attempt.trials if t.ratio <= MOST_RISE}
    plausible = [g for g in maps if g in near]
    while len(tried) < len(readable) and near > {s.map for attempt in tried for s in attempt.symmetries}:
        attempt_next(plausible)
    return tried


def _of_coordinates(inputs: StudentInputs, attempt: Attempt) -> Attempt:
    """The same, what was read in the students' inputs said in the domain's own."""
    extraction = attempt.extraction
    if extraction is None:
        return attempt
    return replace(attempt, extraction=replace(extraction, structure=inputs.of_network(extraction.structure)))


def _readable(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Those that show something, by ascending loss."""
    readable = [attempt for attempt in attempts if attempt.extraction is not None]
    if not readable:
        reasons = "; ".join(f"seed {attempt.student.seed}: {attempt.failure}" for attempt in attempts)
        raise DiscoveryError(f"no student shows a structure ({reasons})")
    readable.sort(key=lambda attempt: attempt.student.loss)
    best = readable[0].student
    if best.mean_square > _COLLAPSED * best.net.structure.n_outputs:
        left = best.mean_square / best.net.structure.n_outputs
        raise DiscoveryError(
            f"the best of {len(attempts)} students leaves {left:.0%} of the teacher's variance: it has collapsed or is "
            "too small. Use less regularisation, more neurons or more starts"
        )
    return readable


def _teacher_symmetries(problem: Problem, teacher: Callable[[FloatArray], FloatArray]) -> list[FoundSymmetry]:
    return find_symmetries(
        teacher,
        problem.domain,
        tolerance=TEACHER_TOLERANCE,
    )


def _names(found: Sequence[FoundSymmetry]) -> str:
    return "; ".join(f"{match.text} ({match.symmetry.parity})" for match in found) or "none"
