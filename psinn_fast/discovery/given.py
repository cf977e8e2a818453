"""Teachers that were trained elsewhere: networks of any kind, and functions of points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..building import Network
from ..domains import Domain
from ..kernels import checks
from ..kernels.errors import InputError, short
from ..language.derivative_names import time_of
from ..networks.mlp import PsiMLP
from ..problem.conditions import Data
from ..problem.problem import Problem
from ..training.checks import check_meets
from ..training.metrics import evaluate
from .student import pde_of_data

FloatArray = npt.NDArray[np.float64]
# A network of this library; any other torch module, and a NumPy function, that take points (N, d) and give (N, F).
Teacher: TypeAlias = PsiMLP | nn.Module | Callable[[FloatArray], Any]
_TRIED = 16
# What discovery takes of a `Network`.
_ENDS = ("embedding", "ansatz")
# Of the grid on which a problem made of teachers has their values.
_POINTS = 961


def values(teacher: Teacher, points: FloatArray, backend: str = "auto") -> FloatArray:
    """(N, F) at points (N, d); modules are evaluated as they are, in the dtype and on the device of their weights.

    Raises:
        InputError: other shapes or no real numbers.
    """
    if isinstance(teacher, PsiMLP):
        return evaluate(teacher, points, backend)
    given: Any = points.copy()
    if isinstance(teacher, nn.Module):
        weight = next(teacher.parameters(), torch.empty(0, dtype=torch.float64))
        given = torch.as_tensor(given, dtype=weight.dtype, device=weight.device)
    with torch.no_grad():
        found = checks.real_array("teacher", teacher(given))
    if found.ndim != 2 or len(found) != len(points) or not found.shape[1]:
        raise InputError(f"teacher: expected values ({len(points)}, F) at points {points.shape}, got {found.shape}")
    return found


def as_teachers(given: object) -> list[Teacher]:
    """One teacher or several, as a list.

    Raises:
        InputError: it is none.
    """
    several: list[Any] = [*given] if isinstance(given, (list, tuple)) else [] if given is None else [given]
    for teacher in several:
        if not callable(teacher):
            raise InputError(
                f"teacher: expected a network, or a function that takes points (N, d) and gives values (N, F), got "
                f"{short(teacher)}"
            )
    return several


def split_teachers(given: object) -> tuple[list[Teacher], Network]:
    """Teachers, and the `Network` among them: how those that are trained, students and structure are built.

    Raises:
        InputError: something else; several of these, or one that says more than an embedding of known features and an
            ansatz.
    """
    several: list[Any] = [*given] if isinstance(given, (list, tuple)) else [given]
    networks = [one for one in several if isinstance(one, Network)]
    if len(networks) > 1:
        raise InputError(f"teacher: expected one pf.Network, got {len(networks)}")
    for one in networks:
        said = [name for name, own in vars(one).items() if name not in _ENDS and own != getattr(Network(), name)]
        if said:
            raise InputError(
                f"teacher: of a pf.Network discovery takes the embedding and the ansatz alone, not {', '.join(said)}: "
                "settings=pf.StudentSettings(hidden=(8, 8)) sets the sizes of students, the problem's "
                "recipe=pf.Recipe(layers=[2, 8, 8, 1]) those of other networks; types and activation are its own"
            )
        check_known(one)
    others = [one for one in several if one is not None and not isinstance(one, Network)]
    return as_teachers(others), networks[0] if networks else Network()


def check_known(network: Network) -> None:
    """
    Raises:
        InputError: its embedding has numbers that are to be found: teachers would not agree on what students see.
    """
    for name in () if network.embedding is None else network.embedding.unknown:
        raise InputError(
            f"embedding: discovery takes known features, and {name!r} is to be found; solve the problem first, and "
            "give what net.learned says"
        )


def check_teacher(problem: Problem, teacher: Teacher) -> None:
    """It has the problem's inputs and outputs, and no other periods.

    Raises:
        InputError: it does not.
    """
    if isinstance(teacher, PsiMLP):
        check_meets(problem, teacher, "teacher")
        return
    found, expected = values(teacher, problem.domain.random(_TRIED, 0)).shape[1], len(problem.pde.fields)
    if found != expected:
        raise InputError(f"teacher: problem {problem.name!r} has {expected} outputs, the teacher {found}")


def in_double(problem: Problem, teachers: Sequence[Teacher]) -> list[Teacher]:
    """The same, checked (`check_teacher`); networks of this library are copied to float64."""
    for teacher in teachers:
        check_teacher(problem, teacher)
    return [deepcopy(teacher).double() if isinstance(teacher, PsiMLP) else teacher for teacher in teachers]


def problem_of(domain: Domain, teachers: Sequence[Teacher]) -> Problem:
    """The problem "solution": the median of the teachers on a grid, as data; its fields are u, or u1, u2, ...

    Raises:
        InputError: no teacher, or values that are not finite or of different numbers of outputs.
    """
    if not teachers:
        raise InputError(
            "teacher: expected trained networks or functions, the solution that the domain alone says nothing of"
        )
    points = domain.grid(round(_POINTS ** (1 / len(domain.coords))))
    found = [values(teacher, points) for teacher in teachers]
    sizes = sorted({own.shape[1] for own in found})
    if len(sizes) > 1:
        raise InputError(f"teacher: expected equally many outputs of all, got {sizes}")
    if not np.isfinite(found).all():
        raise InputError("teacher: expected finite values in the domain, got NaN or infinity")
    pde = pde_of_data(domain.coords, sizes[0], time_of(domain.coords))
    targets = dict(zip(pde.fields, np.median(found, axis=0).T, strict=True))
    return Problem("solution", pde, domain, [Data(points, **targets)])
