"""Problems of `pina_problems`, trained by PINA with its network and with ours, one line changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from pina.model import FeedForward as TheirFeedForward

from psinn_fast.integrations.pina import FeedForward

from ..pina_problems import EXAMPLES, Example, Steps, train
from ..suite.case import Array, Case
from ..suite.contestant import Contestant
from .pina_peer import Kept
from .torch_peers import keep_freed_memory
from .without_kernels import WithoutKernels


def example_of(case: Case) -> Example:
    """
    Raises:
        ValueError: the case has other layers.
    """
    (found,) = (example for example in EXAMPLES if case.equation == f"PINA: {example.name}")
    if found.layers != case.layers:
        raise ValueError(f"{case.equation} has layers {found.layers}, got {case.layers}")
    return found


class Training:
    """``network``: PINA's or ours; `Case.points` inside, other points in proportion. Each call of `steps` is a run of
    the trainer, in which an epoch is a step; it starts Adam anew."""

    def __init__(self, network: Callable[..., Any], case: Case) -> None:
        torch.set_default_dtype(getattr(torch, case.dtype))
        keep_freed_memory()
        example = example_of(case)
        self._solver = example.solver(network, case.points / example.points)
        self.seconds = 0.0

    def loss_and_gradient(self) -> tuple[float, Array]:
        """By a step of the trainer, which is taken back."""
        kept, moved = Kept(), [*self._solver.parameters(), *self._unknown()]
        before = [parameter.detach().clone() for parameter in moved]
        train(self._solver, 1, kept)
        with torch.no_grad():
            for parameter, value in zip(moved, before, strict=True):
                parameter.copy_(value)
        return kept.loss, kept.flat()

    def _unknown(self) -> list[torch.Tensor]:
        return list(getattr(self._solver.problem, "unknown_parameters", {}).values())

    def steps(self, count: int) -> None:
        found, started = Steps(), time.perf_counter()
        train(self._solver, count, found)
        first, last = found.seconds[0], found.seconds[-1]
        self.seconds = (last - first) * count / (count - 1) if count > 1 else time.perf_counter() - started


CONTESTANTS: dict[str, Callable[[Case], Contestant]] = {
    "ours": partial(Training, FeedForward),
    "without kernels": lambda case: WithoutKernels(Training(FeedForward, case)),
    "pina": partial(Training, TheirFeedForward),
}
