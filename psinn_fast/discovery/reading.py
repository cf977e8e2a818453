"""What a student's weights show, and what of it survives: tie, converge again, accept if the loss does not rise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..networks.groups import SignedPermutation
from ..networks.structure import Structure
from ..problem.problem import Problem
from .extraction import DiscoveryError, Extraction, extract_structure
from .matching import Match, match_neurons, tied_copies, tied_structure
from .student import Student, StudentSettings, converge

FloatArray = npt.NDArray[np.float64]
# Extracting and converging again what is left settles after two or three rounds.
_ROUNDS = 4
# Loss above this times the acceptable one is not made acceptable by Newton's method.
_HOPELESS = 1.2
# No tie that costs more is accepted, however the teachers differ: where there is no symmetry, a tie doubles the loss.
MOST_RISE = 1.3
# Cut distances tried, largest first: halved every other time, down to 2e-3.
_THRESHOLDS = tuple(0.5 * 2.0 ** (-k / 2) for k in range(17))


@dataclass(frozen=True)
class SymmetryTrial:
    """A symmetry that was tried on a student: its neurons matched, the orbits tied, the tied student converged.

    Attributes:
        match: the symmetry, and how far the student was from it before.
        ratio: loss of the tied student over that of the best untied one; infinite where no weight is left.
        accepted: whether the ratio was at most 1 + `StudentSettings.symmetry_rise`, and something for teachers that
            differ.
    """

    match: Match
    ratio: float
    accepted: bool


def simplify(
    task: Problem, student: Student, settings: StudentSettings, threshold: float, backend: str = "auto"
) -> tuple[Student, Extraction, tuple[int, int, int]]:
    """Merge copies, drop dead and constant neurons, converge what is left, until nothing more goes.

    Returns:
        The smaller student, what the threshold shows in it, and the copies, dead and constant neurons dropped.

    Raises:
        DiscoveryError: nothing is left of a layer.
    """
    dropped = np.zeros(3, dtype=int)
    for number in range(_ROUNDS):
        extraction = extract_structure(student.weights, threshold, copies=student.copies)
        counts = extraction.n_merged, extraction.n_dead, extraction.n_constant
        if number and not any(counts):
            break
        dropped += counts
        sizes = (extraction.simplified[0][0].shape[1], *(len(bias) for _, bias in extraction.simplified))
        # A student that will lose more neurons need not be converged yet.
        student = converge(
            task, Structure.dense(sizes), extraction.simplified, extraction.copies, settings, student.seed, backend,
            hopeless=0.0 if any(counts) else None,
        )  # fmt: skip
    extraction = extract_structure(student.weights, threshold, copies=student.copies)
    return student, extraction, (int(dropped[0]), int(dropped[1]), int(dropped[2]))


def symmetrise(
    task: Problem,
    student: Student,
    maps: Sequence[SignedPermutation],
    lowest: float,
    settings: StudentSettings,
    backend: str = "auto",
    scatter: float = 0.0,
) -> tuple[Student, tuple[SymmetryTrial, ...]]:
    """Tie the orbits of every map that costs next to nothing; the most plausible first, each on top of those before.

    In a minimum that is not symmetric, but near one that is, pairs of neurons are equal only to some percent, or one of
    them is missing. So it is not the distance that decides, but the loss of the tied student: where the teacher has the
    symmetry there is a tied minimum nearby, often a lower one, and where it has not the tied student cannot imitate it.

    Args:
        maps: the candidates.
        lowest: loss of the best untied student.
        scatter: mean square of the teachers' distances from their median. A student within it imitates as well as they.
    """
    allowed = min((1 + settings.symmetry_rise) * lowest + scatter, MOST_RISE * lowest)
    accepted: list[Match] = []
    trials = []
    first = [match_neurons(student.weights, student.copies, g) for g in maps]
    for g in [match.symmetry.map for match in sorted(first, key=lambda match: match.mismatch)]:
        match = match_neurons(student.weights, student.copies, g)
        matches = [*accepted, match]
        structure = tied_structure(student.weights, matches)
        if not structure.n_parameters:
            trials.append(SymmetryTrial(match, math.inf, False))
            continue
        tied = converge(
            task, structure, student.weights, tied_copies(student.copies, matches), settings, student.seed, backend,
            hopeless=_HOPELESS * allowed,
        )  # fmt: skip
        is_good = tied.loss <= allowed
        trials.append(SymmetryTrial(match, tied.loss / lowest, is_good))
        if is_good:
            student, accepted = tied, matches
    return student, tuple(trials)


def tie_clusters(
    task: Problem, student: Student, settings: StudentSettings, backend: str = "auto"
) -> tuple[Student, Extraction, float]:
    """The largest cut distance that costs the student, tied and converged again, at most ``settings.cluster_rise``.

    Equal weights stay equal at every distance, so no symmetry that the student has exactly is lost.

    Returns:
        The tied student, what was read, and the distance.

    Raises:
        DiscoveryError: there is none, down to 2e-3.
    """
    for threshold in _THRESHOLDS:
        try:
            extraction = extract_structure(student.weights, threshold, copies=student.copies)
        except DiscoveryError:
            continue
        tied = converge(
            task, extraction.structure, extraction.weights, extraction.copies, settings, student.seed, backend,
            hopeless=_HOPELESS * student.loss,
        )  # fmt: skip
        if tied.loss <= (1 + settings.cluster_rise) * student.loss:
            return replace(tied, steps=student.steps + tied.steps), extraction, threshold
    raise DiscoveryError(
        f"student of seed {student.seed}: no ties within {_THRESHOLDS[-1]:g} are free: its loss rises by more than "
        f"{settings.cluster_rise:.0%}. It is not converged, or has more weights than it needs; use more regularisation"
    )
