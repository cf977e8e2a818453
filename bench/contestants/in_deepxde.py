"""Problems of `deepxde_problems`, trained by DeepXDE with its network and with ours, one line changed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

os.environ.setdefault("DDE_BACKEND", "pytorch")

import deepxde as dde
import torch

from psinn_fast.integrations.deepxde import FNN

from ..deepxde_problems import EXAMPLES, Example
from ..suite.case import Array, Case
from ..suite.contestant import Contestant
from .torch_peers import flattened, keep_freed_memory
from .without_kernels import WithoutKernels

NEVER = 10**9


def example_of(case: Case) -> Example:
    """
    Raises:
        ValueError: the case has other layers.
    """
    (found,) = (example for example in EXAMPLES if case.equation == f"DeepXDE: {example.name}")
    if found.layers != case.layers:
        raise ValueError(f"{case.equation} has layers {found.layers}, got {case.layers}")
    return found


class Begins(dde.callbacks.Callback):  # type: ignore[misc]  # DeepXDE has no types
    """When steps begin: before the last one ends, losses are evaluated."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self) -> None:
        self.seconds.append(time.perf_counter())


class Training:
    """``network``: DeepXDE's or ours; `Case.points` inside, other points in proportion."""

    def __init__(self, network: Callable[..., Any], case: Case) -> None:
        dde.config.set_default_float(case.dtype)
        dde.config.set_default_autodiff("reverse")
        torch.set_default_device(None)  # DeepXDE moves it where there is a GPU
        keep_freed_memory()
        example = example_of(case)
        self.model = example.model(network, case.points / example.points)
        self.seconds = 0.0

    def loss_and_gradient(self) -> tuple[float, Array]:
        loss = self.model.outputs_losses_train(*self.model.data.train_next_batch())[1].sum()
        gradients = torch.autograd.grad(loss, list(self.model.net.parameters()))
        return float(loss.detach()), flattened(gradients)

    def steps(self, count: int) -> None:
        found, started = Begins(), time.perf_counter()
        self.model.train(iterations=count, display_every=NEVER, verbose=0, callbacks=[found])
        first, last = found.seconds[0], found.seconds[-1]
        self.seconds = (last - first) * count / (count - 1) if count > 1 else time.perf_counter() - started


CONTESTANTS: dict[str, Callable[[Case], Contestant]] = {
    "ours": partial(Training, FNN),
    "without kernels": lambda case: WithoutKernels(Training(FNN, case)),
    "deepxde": partial(Training, dde.nn.FNN),
}
