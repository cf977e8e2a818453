"""The runs of a reproduction as data: what each trains, by what, and where its files are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..building import Network
from ..discovery.teachers import scaled_layers
from ..kernels import checks
from ..kernels.errors import InputError, short
from ..networks.structure import Structure
from ..pipeline import by_the_paper
from ..problem.problem import Problem
from ..training.optimisers.adam import Adam
from ..training.optimisers.gauss_newton import GaussNewton
from .cases import Case

PAPER, OURS = "paper", "ours"
SETTINGS = {PAPER: "Adam, as in the paper", OURS: "Gauss-Newton"}
PINN, POST, PSI = "PINN", "PINN-post", "Psi-NN"
FOUND, CARRIED = "Psi-NN, discovered R", "Psi-NN, transferred R"
METHODS = {PINN: "pinn", POST: "pinn-post", PSI: "psi", FOUND: "psi", CARRIED: "psi"}
COMPARED = {PAPER: (PINN, POST, PSI), OURS: (PINN, POST, PSI, FOUND)}
# Runs of each network.
N_SEEDS = 3
# Of `--quick`, which shows that all of it works.
QUICK_ADAM, QUICK_NEWTON, QUICK_SECONDS = 300, 8, 10.0
# Parameters of the dense networks that Gauss-Newton trains.
MOST_BY_NEWTON = 600


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        cases: of the paper's tables.
        seeds: how many runs of each network.
        settings: "paper", "ours" or both.
        steps: of Adam, by problem, where fewer are wanted than the paper took.
        seconds: limit of each training by Gauss-Newton; None: the case's own.
        quick: a few steps of everything, to see that it works.
    """

    cases: tuple[Case, ...]
    seeds: int = N_SEEDS
    settings: tuple[str, ...] = (OURS, PAPER)
    steps: Mapping[str, int] = field(default_factory=dict)
    seconds: float | None = None
    quick: bool = False

    def adam(self, case: Case, problem: Problem) -> Adam:
        """As the paper trains, or its first so many steps."""
        assert problem.recipe.paper is not None
        steps = problem.recipe.paper.steps
        most = min(steps, QUICK_ADAM) if self.quick else self.steps.get(case.problem, steps)
        return by_the_paper(problem.recipe.paper, most)


def chosen_steps(steps: object, cases: Sequence[Case]) -> dict[str, int]:
    """
    Raises:
        InputError: no mapping from the name of a problem to a number of steps.
    """
    if steps is None:
        return {}
    names = sorted({case.problem for case in cases})
    if not isinstance(steps, Mapping):
        raise InputError(f"steps: expected a mapping from problem to Adam's steps, got {short(steps)}")
    for name in steps:
        checks.choice("steps", name, names)
    return {name: checks.integer(f"steps: {name}", value, 1) for name, value in steps.items()}


@dataclass(frozen=True)
class Run:
    """One network, trained once. ``label``: the method as tables name it."""

    case: Case
    setting: str
    label: str
    seed: int

    @property
    def place(self) -> Path:
        """Its folder, in that of the reproduction."""
        name = self.label.lower().replace(",", "").replace(" ", "-")
        return Path(self.case.key) / self.setting / name / f"seed-{self.seed}"

    @property
    def dtype(self) -> str:
        return "float32" if self.setting == PAPER else "float64"

    @property
    def text(self) -> str:
        return f"{self.case.title}, {SETTINGS[self.setting]}, {self.label}, seed {self.seed}"

    def layers(self, problem: Problem) -> tuple[int, ...] | None:
        """Of a dense network; None: it is none. Gauss-Newton gets one whose steps cost about as much as a Psi-NN's."""
        if self.label not in (PINN, POST):
            return None
        return problem.default_layers if self.setting == PAPER else scaled_layers(problem, MOST_BY_NEWTON)

    def network(self, problem: Problem, found: Structure | None) -> Network:
        """``found``: discovered or transferred, for the labels that need it."""
        return Network(
            METHODS[self.label],
            layers=self.layers(problem),
            structure=found if self.label in (FOUND, CARRIED) else None,
            dtype=self.dtype,
        )

    def optimizer(self, wanted: Wanted, problem: Problem) -> Adam | GaussNewton:
        if self.setting == PAPER:
            return wanted.adam(self.case, problem)
        return GaussNewton(QUICK_NEWTON, seed=self.seed) if wanted.quick else GaussNewton(seed=self.seed)

    def seconds(self, wanted: Wanted) -> float | None:
        """The limit; None: none."""
        if self.setting == PAPER:
            return None
        if wanted.quick:
            return QUICK_SECONDS
        return self.case.seconds if wanted.seconds is None else wanted.seconds

    def description(self, wanted: Wanted, problem: Problem) -> dict[str, Any]:
        """What makes this run another one if it changes, plain."""
        optimizer = self.optimizer(wanted, problem)
        own: dict[str, Any] = {"steps": optimizer.steps, "seconds": self.seconds(wanted)}
        if self.label == CARRIED and self.case.transfer is not None:
            own["transfer"] = dict(self.case.transfer.parts)
        if layers := self.layers(problem):
            own["layers"] = list(layers)
        if isinstance(optimizer, Adam):
            own |= {"lr": optimizer.lr, "milestones": list(optimizer.milestones)}
        return {
            "case": self.case.key, "problem": self.case.problem, "settings": dict(self.case.settings),
            "setting": self.setting, "method": self.label, "optimizer": optimizer.name, "seed": self.seed,
            "quick": wanted.quick, **own,
        }  # fmt: skip


def planned(wanted: Wanted) -> list[Run]:
    """All runs: seed after seed, so that a report of one seed of everything is there first."""
    return [
        Run(case, setting, label, seed)
        for seed in range(wanted.seeds)
        for setting in wanted.settings
        for case in wanted.cases
        for label in (*COMPARED[setting], *([CARRIED] if setting == OURS and case.transfer else []))
        if setting == OURS or case.adam_seeds is None or seed < case.adam_seeds
    ]
