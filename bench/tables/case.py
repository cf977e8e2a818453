"""What a row of the table is: a problem, how it is trained, how it is scored, what others reached."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

import psinn_fast as pf

Points = npt.NDArray[np.float64]
Makes = Callable[[pf.Problem], pf.Network]


@dataclass(frozen=True)
class Published:
    """The best relative L2 error that is published, by whom, on what; None: none is."""

    error: float | None
    by: str = ""
    on: str = ""


PINNACLE = "i207M/PINNacle, src/pde: relative L2 over all fields, 2,500 points (20,000 in three coordinates and more)"
JAXPI = "PredictiveIntelligenceLab/jaxpi, examples: relative L2 on the reference's grid"
GAUSS_NEWTON = pf.GaussNewton(100_000)


def solved(
    problem: pf.Problem, network: pf.Network, optimizer: Any, seed: int, seconds: float, wanted: float
) -> pf.Solution:
    """Training ends at the limit, where it converges, or at half of ``wanted``, by the history's own error."""
    options = pf.Options(callbacks=lambda progress: progress.row["relative_l2"] <= wanted / 2)
    return pf.solve(problem, network, replace(optimizer, seed=seed), seconds=seconds, seed=seed, options=options)


@dataclass(frozen=True)
class Marched:
    """As `solved`, window by window of time, by ``pf.march``, which knows no error on the way."""

    tolerance: float
    windows: Sequence[float] | int | str = "auto"

    def __call__(
        self, problem: pf.Problem, network: pf.Network, optimizer: Any, seed: int, seconds: float, wanted: float
    ) -> Any:
        chosen = replace(optimizer, seed=seed)
        return pf.march(
            problem, network, chosen, seconds=seconds, seed=seed, tolerance=self.tolerance, windows=self.windows
        )


@dataclass(frozen=True)
class Case:
    """A problem of the table.

    Args:
        statement: equation, domain and conditions, exactly.
        source: who poses it so, and how the score is defined there.
        problem: makes it, as a user would.
        networks: by name: a `Network`, or what makes one of the problem.
        optimizer: settings that all networks and seeds share.
        published: the best that is published, ``wanted`` what this table is to reach, within ``seconds``.
        points: where a network is scored: points (N, d) that no training sees.
        reference: the solution there, (N,) or (N, F).
        floor: the reference's own relative error, measured; 0: a closed form.
        score: network's and reference's values (N, F) -> relative error.
        train: problem, network, optimizer, seed, seconds, wanted (and below what is published) -> solution.
        besides: functions that a user writes beside these, such as those of embeddings.
    """

    name: str
    statement: str
    source: str
    problem: Callable[[], pf.Problem]
    networks: Mapping[str, pf.Network | Makes]
    optimizer: Any
    published: Published
    wanted: float
    seconds: float
    points: Callable[[], Points]
    reference: Callable[[Points], Points]
    floor: Callable[[], float] = lambda: 0.0
    score: Callable[[Points, Points], float] = field(default=lambda found, true: relative(found, true))
    train: Callable[..., Any] = field(default=solved)
    besides: tuple[Callable[..., object], ...] = ()

    @property
    def enough(self) -> float:
        """What is wanted, and published."""
        return self.wanted if self.published.error is None else min(self.wanted, self.published.error)

    @property
    def lines(self) -> int:
        """Of a user's code: bodies of functions, the network, the optimizer, `solve`."""
        return sum(len(user_lines(own)) for own in (self.problem, *self.besides)) + 3

    def settings(self, network: str) -> str:
        """What a row is made with: one of other settings is made anew."""
        made = self.networks[network]
        assert isinstance(made, (pf.Network, Discovered))
        text = ", ".join([repr(replace(made, embedding=None, ansatz=None)), *self._ends(made)])
        return "; ".join([text, repr(self.optimizer), *([repr(self.train)] if self.train is not solved else [])])

    def _ends(self, made: pf.Network | Discovered) -> list[str]:
        """Functions, which say nothing in text."""
        if made.embedding is None and made.ansatz is None:
            return []
        pde, found = self.problem().pde, list[str]()
        if made.embedding is not None:
            found.append(f"embedding {made.embedding.expressions(pde.coords)}")
        if made.ansatz is not None:
            found.append(f"ansatz {made.ansatz.parts(pde.coords, pde.fields)}")
        return found

    def described(self, network: str) -> str:
        """The network in a few words: layers, activation, what stands before it, and whether it marches in time."""
        made = self.networks[network]
        if isinstance(made, Discovered):
            depth = [] if made.hidden is None else [f"{made.hidden} hidden layers"]
            words = ["Psi-NN", *depth, made.activation or "tanh"]
        else:
            assert isinstance(made, pf.Network)
            assert made.layers is not None
            words = ["-".join(map(str, made.layers)), str(made.activation or "tanh")]
        words += [name for name in ("embedding", "ansatz") if getattr(made, name) is not None]
        return ", ".join([*words, *(["march"] if isinstance(self.train, Marched) else [])])

    def error(self, solution: Callable[[Points], Any]) -> float:
        points = self.points()
        true = np.asarray(self.reference(points))
        return self.score(np.asarray(solution(points)), true.reshape(len(points), -1))


def relative(found: Points, true: Points) -> float:
    """|found - true| / |true| over all points and fields."""
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


def grid(*axes: tuple[float, float, int]) -> Points:
    """All combinations of (low, high, n): even places, ends included."""
    mesh = np.meshgrid(*(np.linspace(*axis) for axis in axes), indexing="ij")
    return np.stack([own.ravel() for own in mesh], 1)


def cells(*axes: tuple[float, float, int]) -> Points:
    """The centres of the grid's cells: no place on the boundary."""
    inner = [(low + (high - low) / (2 * n), high - (high - low) / (2 * n), n) for low, high, n in axes]
    return grid(*inner)


@dataclass(frozen=True)
class Discovered:
    """Makes a Psi-NN with what `discover` finds that the problem has, without training.

    ``hidden``: how many hidden layers, None: as many as the discovered structure has. An ``embedding`` and an
    ``ansatz`` are the structure's.
    """

    width: int | None = None
    activation: str | None = None
    hidden: int | None = None
    embedding: pf.Embedding | None = field(default=None, repr=False)
    ansatz: pf.Ansatz | None = field(default=None, repr=False)

    def __call__(self, problem: pf.Problem) -> pf.Network:
        found = pf.discover(problem, pf.Network(embedding=self.embedding, ansatz=self.ansatz), tests="problem")
        structure = found.structure
        if self.hidden is not None:
            group = [match.symmetry for match in found.group]
            structure = pf.symmetric_structure(
                problem, group, (structure.layer_sizes[1],) * self.hidden, embedding=self.embedding, ansatz=self.ansatz
            )
        return pf.Network("psi", structure=structure, width=self.width, activation=self.activation)


def dense(*hidden: int, activation: str = "tanh", fields: int = 1, inputs: int = 2, **ends: Any) -> pf.Network:
    return pf.Network("pinn", layers=[inputs, *hidden, fields], activation=activation, **ends)


def user_lines(function: Callable[..., object]) -> list[str]:
    """Lines of a function's body that are neither blank nor its documentation."""
    function = function.func if isinstance(function, partial) else function
    lines = inspect.getsource(function).splitlines()
    body = [line for line in lines[1:] if line.strip()]
    if function.__doc__:
        ends = [i for i, line in enumerate(body) if '"""' in line]
        last = ends[0] if body[ends[0]].count('"""') == 2 else ends[1]
        body = body[last + 1 :]
    return body


def finite(number: float) -> float | None:
    """A number as JSON has them."""
    return number if math.isfinite(number) else None
