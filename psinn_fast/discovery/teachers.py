"""Dense networks trained on a problem, and which symmetries they show beyond their own errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from ..building import Network, build_network
from ..kernels.errors import DivergedError
from ..networks.groups import SignedPermutation, Symmetry
from ..networks.mlp import PsiMLP
from ..networks.structure import Structure
from ..problem.problem import Problem
from ..training.fitting import fit
from ..training.optimisers.gauss_newton import GaussNewton
from ..training.options import Options
from .given import Teacher, values

FloatArray = npt.NDArray[np.float64]

SUPPORTED, BROKEN, UNDECIDED = "supported", "broken", "undecided"
# Networks of this many parameters train in seconds and still resolve a handful of sine modes.
MOST_PARAMETERS = 450
# Of a symmetric solution, errors alone make a teacher asymmetric by about as much as two teachers differ.
SUPPORTED_BELOW, BROKEN_ABOVE = 4.0, 10.0
# However well they agree on it, an asymmetry of more than this is no symmetry; and teachers may share smaller errors.
LARGEST_EFFECT, LEAST_NOISE = 0.05, 1e-4
_N_POINTS = 1024


@dataclass(frozen=True)
class Trained:
    """One network trained on the problem: its own loss at all points (sum of weight * term), seconds, coefficients."""

    net: PsiMLP
    seed: int
    loss: float
    seconds: float
    coefficients: dict[str, float]


@dataclass(frozen=True)
class Asymmetry:
    """What the teachers say of u(g x) = chi u(x), at the field that supports it least.

    Attributes:
        effect: ||u(g x) - chi u(x)|| / ||u||, root mean square over the teachers.
        noise: ||u_1 - u_2|| / ||u||, root mean square over pairs of teachers, and at least 1e-4.
        verdict: "supported": effect <= 4 noise and <= 5%; "broken": effect > 10 noise; else "undecided".
    """

    symmetry: Symmetry
    effect: float
    noise: float
    verdict: str


def scaled_layers(problem: Problem, most: int = MOST_PARAMETERS, n_features: int | None = None) -> tuple[int, ...]:
    """The problem's dense layers, hidden ones scaled down until the network has at most ``most`` parameters.

    Args:
        n_features: what the first layer acts on; None: the coordinates.
    """
    first, *hidden, last = problem.default_layers
    for percent in range(100, 0, -1):
        inner = (*(max(1, round(n * percent / 100)) for n in hidden), last)
        if Structure.dense((n_features or first, *inner)).n_parameters <= most:
            break
    return (first, *inner)


def train(
    problem: Problem,
    seeds: Sequence[int],
    *,
    structure: Structure | None = None,
    width: int | None = None,
    steps: int,
    seconds: float | None,
    backend: str,
    progress: bool,
    ends: Network | None = None,
) -> tuple[list[Trained], list[str]]:
    """Gauss-Newton networks, dense ones without ``structure``; and a line for each that diverged.

    Args:
        ends: whose embedding and ansatz dense networks get; a structure has its own.
    """
    trained, failures = [], []
    if structure is None:
        ends = ends or Network()
        layers = scaled_layers(problem, n_features=ends.dense(problem).n_features)
        network = Network(layers=layers, dtype="float64", embedding=ends.embedding, ansatz=ends.ansatz)
    else:
        network = Network("psi", structure=structure, width=width, dtype="float64")
    options = Options(backend=backend, progress=progress)
    for seed in seeds:
        # Of unknown coefficients and a field, here the field is what counts.
        focus = 1.0 if problem.pde.unknown else "auto"
        optimizer = GaussNewton(steps, focus=focus, seed=seed)
        net = build_network(problem, network, by_newton=True, seed=seed, backend=backend)
        try:
            found = fit(problem, net, optimizer, seconds=seconds, options=options)
        except DivergedError as error:
            failures.append(f"seed {seed}: {error}")
            continue
        # Terms that hold by an ansatz were not trained.
        losses = [found.losses.get(name, 0.0) for name in problem.term_names]
        trained.append(Trained(net, seed, problem.total_loss(losses), found.seconds, found.coefficients))
    return trained, failures


def disagreement(problem: Problem, nets: Sequence[Teacher], backend: str = "auto") -> float:
    """||u_1 - u_2|| / ||u||, root mean square over pairs of networks, of the field where it is largest."""
    return float(_relative_noise(_values(problem, nets, backend)).max())


def asymmetries(
    problem: Problem, nets: Sequence[Teacher], maps: Sequence[SignedPermutation], backend: str = "auto"
) -> list[Asymmetry]:
    """Per map, the signs that fit the teachers best, and how well they do, at 1,024 points of the domain.

    Args:
        problem: gives the domain and its centre.
        nets: two or more; their differences are the noise.
        maps: about the centre.
        backend: which evaluates the networks, see `available_backends`.
    """
    points, centre = _points(problem), problem.domain.centre
    own = _values(problem, nets, backend)
    size = _size(own)
    noise = np.maximum(_relative_noise(own), LEAST_NOISE)
    found = []
    for g in maps:
        image = np.stack([values(net, centre + g(points - centre), backend) for net in nets])
        even, odd = (_rms(image - chi * own) / size for chi in (1, -1))
        effect = np.minimum(even, odd)
        worst = int(np.argmax(effect / noise))
        character = tuple(1 if is_even else -1 for is_even in even <= odd)
        verdict = _verdict(float(effect[worst]), float(noise[worst]))
        found.append(Asymmetry(Symmetry(g, character), float(effect[worst]), float(noise[worst]), verdict))
    return found


def _points(problem: Problem) -> FloatArray:
    return problem.domain.random(_N_POINTS, 0)


def _values(problem: Problem, nets: Sequence[Teacher], backend: str) -> FloatArray:
    """(teachers, N, F)."""
    return np.stack([values(net, _points(problem), backend) for net in nets])


def _relative_noise(own: FloatArray) -> FloatArray:
    """By field."""
    pairs = np.stack([a - b for a, b in combinations(own, 2)])
    return np.asarray(_rms(pairs) / _size(own))


def _size(own: FloatArray) -> FloatArray:
    return np.maximum(_rms(own), np.finfo(np.float64).tiny)


def _rms(own: FloatArray) -> FloatArray:
    """Root mean square over networks and points, by field."""
    return np.asarray(np.sqrt((own**2).mean(axis=(0, 1))))


def _verdict(effect: float, noise: float) -> str:
    if effect > BROKEN_ABOVE * noise:
        return BROKEN
    return SUPPORTED if effect <= min(SUPPORTED_BELOW * noise, LARGEST_EFFECT) else UNDECIDED
