"""What the paper compares, as data: its problems, and what is known of numbers that differ from the paper's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..kernels import checks
from ..kernels.errors import InputError
from ..language.names import Names, split_words
from ..networks.groups import SignedPermutation
from ..problem.problem import Problem
from ..problems import PROBLEMS, get_problem


@dataclass(frozen=True)
class Transfer:
    """R of other problems for one of several fields: `direct_sum` of what has their symmetry under ``map`` alone.

    ``parts``: from names of fields to the key of the case on which their R is discovered.
    """

    parts: Mapping[str, str]
    map: SignedPermutation


@dataclass(frozen=True)
class Case:
    """A line of the paper's tables.

    Attributes:
        key: its folder's name.
        problem, settings: of `get_problem`.
        title: in headings.
        seconds: limit of each training by Gauss-Newton.
        transfer: how its structure follows from other cases, where it does.
        adam_seeds: at most so many seeds by Adam, where one takes hours; None: all.
        reasons: sentences on why numbers differ from the paper's, as far as that is known.
    """

    key: str
    problem: str
    title: str
    settings: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 60.0
    transfer: Transfer | None = None
    adam_seeds: int | None = None
    reasons: tuple[str, ...] = ()

    def made(self) -> Problem:
        return get_problem(self.problem, self.settings)


_MEASUREMENTS = (
    "The paper does not say where its 20 measurements lie; here they are evenly spaced, ends included. They leave a "
    "valley of fields and viscosities with nearly no loss, so that nu depends on where a run enters it and on how long "
    "it goes on."
)
_VISCOSITIES = tuple(
    Case(
        f"burgers-inverse-{share:g}", "burgers-inverse", f"Burgers, inverse, nu = {share:g}/pi",
        {"nu": share / math.pi}, reasons=(_MEASUREMENTS,),
    )
    for share in (0.01, 0.04, 0.08)
)  # fmt: skip

CASES = (
    Case(
        "laplace", "laplace", "Laplace",
        reasons=(
            "The loss of Adam at a constant rate jumps from step to step, and errors are those of the last one.",
            "The released Psi-NN has 329 parameters and not 321, since it trains the biases of mirrored blocks "
            "separately, which breaks the symmetry that the published structure keeps here.",
        ),
    ),
    *_VISCOSITIES,
    Case(
        "poisson", "poisson", "Poisson",
        reasons=(
            "The paper's errors of all three networks lie within 5 % of 0.0251, the root mean square of the exact "
            "solution, which is the RMSE of a network that gives 0. A public rerun of the released settings found "
            "relative L2 errors of 0.285 (PINN), 0.086 (PINN-post) and 0.079 (Psi-NN).",
        ),
    ),
    Case(
        "cylinder", "cylinder", "Flow past a cylinder",
        seconds=600.0,
        adam_seeds=1,
        transfer=Transfer({"u p": "laplace", "v": "burgers-inverse-0.01"}, SignedPermutation.flip(2, 1)),
        reasons=(
            "The reference solution is one of our own by finite elements, not the paper's.",
            "By Adam, networks that are symmetric by construction stay in a state with backflow through the outlet, "
            "which the dense one leaves within some thousand steps. In trials of 12,000 steps that held for the "
            "published structure from other seeds, at the nodes of the reference, with v = 0 at the outlet and in "
            "scaled coordinates, and for the discovered structure from two seeds. By Gauss-Newton none stays there.",
        ),
    ),
)  # fmt: skip


def chosen_cases(problems: Names | None) -> tuple[Case, ...]:
    """Those of some problems, by name; None: of all that are built in.

    Raises:
        InputError: a name that none of them has.
    """
    there = tuple(case for case in CASES if case.problem in PROBLEMS)
    if problems is None:
        return there
    wanted = split_words(problems, "problems")
    names = list(dict.fromkeys(name for case in there for name in (case.problem, case.key)))
    if not wanted:
        raise InputError(f"problems: expected some of {names}, got none")
    for name in wanted:
        checks.choice("problems", name, names)
    return tuple(case for case in there if {case.problem, case.key} & set(wanted))


def case_of(key: str) -> Case | None:
    """By its folder's name."""
    return next((case for case in CASES if case.key == key), None)


def sources(case: Case) -> dict[str, Case]:
    """By names of fields, the cases from which its structure is carried over."""
    parts = {} if case.transfer is None else case.transfer.parts
    return {fields: own for fields, key in parts.items() if (own := case_of(key)) is not None}
