"""`compile_kernels`: what a problem's training needs of a GPU's compiler, before it is trained."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from .building import Network
from .kernels import get_backend
from .kernels.compiling import told_of_compiling
from .problem.problem import Problem
from .solving import solve
from .training.options import Options
from .training.protocol import Optimizer


class Compiled(NamedTuple):
    """``kernels``: how many a run needs that this process had not used; ``seconds``: until they were ready."""

    kernels: int
    seconds: float


def compile_kernels(
    problem: Problem | str,
    network: Network,
    optimizers: Sequence[Optimizer],
    precision: str | None = None,
    scaling: str | None = "auto",
) -> Compiled:
    """Compile the Triton kernels of a problem, as `solve` needs them, by training for as few steps as are given.

    They stay in Triton's cache, for all later processes of this user: other seeds, weights and numbers of points need
    no others. What is trained is thrown away.

    Args:
        problem, network: as for `solve`; the network's device is a GPU.
        optimizers: which train, of a step or two each.
        precision, scaling: as for `Options`.

    Raises:
        InputError: no such GPU.
        BackendUnavailable: Triton cannot run on it; the message says why.
        BackendLimit: the network is beyond the kernels' limits.
    """
    get_backend("triton", network.device)  # type: ignore[arg-type]  # a device, since it was checked
    count = 0

    def note() -> None:
        nonlocal count
        count += 1

    began = time.perf_counter()
    with told_of_compiling(note):
        options = Options(backend="triton", precision=precision, scaling=scaling, progress=False)
        solve(problem, network, optimizers, options=options)
    return Compiled(count, time.perf_counter() - began)
