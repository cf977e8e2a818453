"""The paper's way to R: a teacher, students that imitate it, clusters of their weights, the structure these show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from ..kernels.errors import InputError
from ..networks import PsiMLP
from ..problem import Problem
from ..structure import Structure
from ..training.metrics import evaluate
from .clustering import check_threshold
from .extraction import DiscoveryError, Extraction, extract_structure
from .student import Student, StudentSettings, converge, imitation, train_student
from .symmetry_check import FoundSymmetry, find_symmetries, structure_symmetries

FloatArray = npt.NDArray[np.float64]
# Extracting and converging again what is left settles after two or three rounds.
_ROUNDS = 4
# A trained teacher has its symmetries only to within its own error.
TEACHER_TOLERANCE = 0.05


@dataclass(frozen=True)
class Attempt:
    """One student and what was read from it; ``extraction`` is None where nothing could be, and ``failure`` says why.

    ``dropped``: copies, dead and constant neurons, over all rounds.
    """

    student: Student
    extraction: Extraction | None
    dropped: tuple[int, int, int] = (0, 0, 0)
    failure: str | None = None


@dataclass(frozen=True)
class Distillation:
    """What was found.

    Attributes:
        structure: of the student with the lowest loss, block sizes 1.
        chosen: that attempt; ``attempts``: all of them.
        imitation_error: relative L2 distance of the chosen student, and of its clustered weights, from the teacher.
        symmetries: those that *every* network of the structure has, about the origin.
        teacher_symmetries: those of the teacher itself, within 5%.
        missed: symmetries of the teacher that the structure does not have.
    """

    structure: Structure
    chosen: Attempt
    attempts: tuple[Attempt, ...]
    imitation_error: tuple[float, float]
    symmetries: tuple[FoundSymmetry, ...]
    teacher_symmetries: tuple[FoundSymmetry, ...]
    threshold: float

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
            f"student {student.seed + 1} of {len(self.attempts)} (losses {losses}), gradient {student.gradient:.0e}; "
            f"threshold {self.threshold:g}",
            "neurons dropped: {} copies, {} dead, {} constant".format(*self.chosen.dropped),
            "distance from the teacher: student {:.1%}, with tied weights {:.1%}".format(*self.imitation_error),
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


def distil(
    problem: Problem,
    teacher: PsiMLP,
    *,
    settings: StudentSettings | None = None,
    threshold: float = 0.1,
    backend: str = "auto",
    progress: bool = False,
) -> Distillation:
    """Distil a trained teacher into regularised students, cluster their weights, and read off the structure.

    Per start: the student is trained to imitate (`train_student`), its structure extracted (`extract_structure`), the
    simplified student converged again, and so on until nothing more is dropped. The start of lowest loss wins.

    Args:
        problem: gives the domain on which the student imitates.
        teacher: a network trained on the problem.
        settings: of the students; None takes the problem's hidden sizes and the defaults.
        threshold: cut distance of the clustering; 0.1 in the paper.
        backend: see `available_backends`.
        progress: show bars on stderr.

    Raises:
        DiscoveryError: no student shows a structure (each one's reason is listed).
        InputError: a teacher that does not fit the problem or has nothing to imitate.

    Source: Liu et al. 2025, doi 10.1038/s41467-025-64624-3; Adam alone leaves clusters blurred, hence the L-BFGS.
    """
    if (teacher.structure.n_inputs, teacher.structure.n_outputs) != (len(problem.pde.coords), len(problem.pde.fields)):
        raise InputError(f"teacher: it does not have the inputs and outputs of problem {problem.name!r}")
    check_threshold(threshold)
    settings = settings or StudentSettings(tuple(problem.student or (8, 8, 8)))
    task, spread = imitation(problem, lambda points: evaluate(teacher, points), settings.grid)
    attempts = tuple(_attempt(task, settings, seed, threshold, backend, progress) for seed in range(settings.starts))
    readable = [attempt for attempt in attempts if attempt.extraction is not None]
    if not readable:
        reasons = "; ".join(f"start {attempt.student.seed + 1}: {attempt.failure}" for attempt in attempts)
        raise DiscoveryError(f"no student shows a structure ({reasons})")
    chosen = min(readable, key=lambda attempt: attempt.student.loss)
    extraction = chosen.extraction
    assert extraction is not None
    structure = replace(extraction.structure, name=f"{problem.name} (discovered)")

    points = problem.domain.unseen_grid(31)
    target = evaluate(teacher, points)
    tied = PsiMLP(extraction.structure, dtype=torch.float64)
    with torch.no_grad():
        tied.theta.copy_(extraction.theta)
    errors = [
        float(np.linalg.norm(evaluate(net, points) * spread - target) / np.linalg.norm(target))
        for net in (chosen.student.net, tied)
    ]
    return Distillation(
        structure,
        chosen,
        attempts,
        (errors[0], errors[1]),
        tuple(structure_symmetries(structure, problem.pde.coords)),
        tuple(_teacher_symmetries(problem, lambda points: evaluate(teacher, points))),
        threshold,
    )


def matching_width(structure: Structure, n_parameters: int) -> int:
    """The width whose number of independent parameters comes closest to ``n_parameters``."""
    width = 1
    while structure.with_width(width + 1).n_parameters <= n_parameters:
        width += 1
    below, above = (abs(structure.with_width(w).n_parameters - n_parameters) for w in (width, width + 1))
    return width if below <= above else width + 1


def _attempt(
    task: Problem, settings: StudentSettings, seed: int, threshold: float, backend: str, progress: bool
) -> Attempt:
    student = train_student(task, settings, seed, backend, progress)
    dropped = (0, 0, 0)
    try:
        for _ in range(_ROUNDS):
            extraction = extract_structure(student.weights, threshold)
            counts = extraction.n_merged, extraction.n_dead, extraction.n_constant
            dropped = (dropped[0] + counts[0], dropped[1] + counts[1], dropped[2] + counts[2])
            if not any(counts):
                break
            student = converge(task, _network(extraction), settings, seed, backend, progress)
        else:
            extraction = extract_structure(student.weights, threshold)
    except DiscoveryError as error:
        return Attempt(student, None, dropped, str(error))
    return Attempt(student, extraction, dropped)


def _network(extraction: Extraction) -> PsiMLP:
    sizes = (extraction.simplified[0][0].shape[1], *(len(bias) for _, bias in extraction.simplified))
    structure = Structure.dense(sizes)
    net = PsiMLP(structure, dtype=torch.float64)
    with torch.no_grad():
        net.theta.copy_(
            structure.expand_adjoint([(torch.from_numpy(w), torch.from_numpy(b)) for w, b in extraction.simplified])
        )
    return net


def _teacher_symmetries(problem: Problem, teacher: Callable[[FloatArray], FloatArray]) -> Sequence[FoundSymmetry]:
    """Those that map the domain to itself about the origin, where structures act."""
    centre = problem.domain.centre
    found = find_symmetries(
        teacher,
        problem.pde.coords,
        centre=centre.tolist(),
        half_widths=((problem.domain.high - problem.domain.low) / 2).tolist(),
        tolerance=TEACHER_TOLERANCE,
    )
    # A map about the centre is one about the origin where it leaves the centre in place.
    return [match for match in found if np.allclose(match.symmetry.map(centre), centre)]


def _names(found: Sequence[FoundSymmetry]) -> str:
    return "; ".join(f"{match.text} ({_parity(match)})" for match in found) or "none"


def _parity(match: FoundSymmetry) -> str:
    words = ["even" if sign > 0 else "odd" for sign in match.symmetry.character]
    return words[0] if len(set(words)) == 1 else ", ".join(words)
