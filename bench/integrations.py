"""Other libraries' training with their network and with ours, one line changed: ``python -m bench.integrations``.

Every example of `deepxde_problems` and `pina_problems`, at its usual size, trained by its own library in float32. What
is timed is a step as its user waits for it: the library's loop, its points and losses included.

Losses are compared in float64 first. Rounds alternate; ratios are taken within one. What no kernel can shorten is timed
as well: the same steps with kernels that give their first results again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.language.channels import ChannelSet

from .check import WrongPeer
from .environment import environment
from .section import Row, attempt
from .timing import at_least, cell, keep_freed_memory, spread

LIBRARIES = ("deepxde", "pina")
BAR = 2.5
# Relative, of the losses of float64 steps.
LOSS_TOLERANCE = 1e-5
CHECKED_STEPS = 20


@dataclass(frozen=True)
class Trained:
    """The losses of the steps, and seconds per step: from the end of the first to the end of the last."""

    losses: list[float]
    seconds: float


@dataclass(frozen=True)
class Training:
    """``run(is_ours, steps, dtype, share)``: from the start, with that share of the usual points."""

    library: str
    name: str
    layers: tuple[int, ...]
    is_barred: bool
    run: Callable[[bool, int, str, float], Trained]


def _pina() -> Iterator[Training]:
    import pina

    from psinn_fast.integrations.pina import FeedForward

    from .pina_problems import EXAMPLES, Example

    def run(example: Example, is_ours: bool, steps: int, dtype: str, share: float) -> Trained:
        torch.set_default_dtype(getattr(torch, dtype))
        found = example.run(FeedForward if is_ours else pina.model.FeedForward, steps, share)
        return Trained(found.losses, found.seconds_per_step)

    for example in EXAMPLES:
        yield Training(
            "pina", example.name, example.layers, example.is_barred, lambda *how, example=example: run(example, *how)
        )


def _deepxde() -> Iterator[Training]:
    os.environ.setdefault("DDE_BACKEND", "pytorch")
    import deepxde as dde

    from psinn_fast.integrations.deepxde import FNN

    from .deepxde_problems import EXAMPLES, Example

    class Steps(dde.callbacks.Callback):  # type: ignore[misc]  # DeepXDE has no types
        """When steps begin: before the last one ends, losses are evaluated."""

        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float] = []

        def on_epoch_begin(self) -> None:
            self.seconds.append(time.perf_counter())

    def run(example: Example, is_ours: bool, steps: int, dtype: str, share: float) -> Trained:
        found = Steps()
        with redirect_stdout(StringIO()):
            dde.config.set_default_float(dtype)
            model = example.model(FNN if is_ours else dde.nn.FNN, share)
            # Losses are kept where DeepXDE prints them, for which it evaluates them again: not while steps are timed.
            every = 1 if dtype == "float64" else 10 * steps
            history, _ = model.train(iterations=steps + 1, display_every=every, callbacks=[found])
        losses = [float(np.sum(loss)) for loss in history.loss_train]
        return Trained(losses, (found.seconds[-1] - found.seconds[1]) / (steps - 1))

    for example in EXAMPLES:
        yield Training(
            "deepxde", example.name, example.layers, example.barred, lambda *how, example=example: run(example, *how)
        )


def check(training: Training, share: float) -> float:
    """The largest relative difference of the losses.

    Raises:
        WrongPeer: they differ.
    """
    ours, theirs = (np.array(training.run(own, CHECKED_STEPS, "float64", share).losses) for own in (True, False))
    difference = float(np.abs(ours / theirs - 1).max())
    if not difference <= LOSS_TOLERANCE:
        raise WrongPeer(f"{training.name}: losses differ by {difference:.1e}")
    return difference


@contextmanager
def kernels_that_take_no_time() -> Iterator[None]:
    """Every operation gives what it gave first for the same channels and shapes; of one network at a time."""
    with ExitStack() as changed:
        for name in ("_jets", "_jets_backward", "_residuals_backward"):
            changed.enter_context(patch.object(CpuBackend, name, _first_results(getattr(CpuBackend, name))))
        yield


def _first_results(operation: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[tuple[object, ...], Any] = {}

    def again(engine: CpuBackend, *arguments: Any) -> Any:
        key = tuple(
            item.shape if isinstance(item, torch.Tensor) else item if isinstance(item, ChannelSet) else type(item)
            for item in arguments
        )
        if key not in known:
            known[key] = operation(engine, *arguments)
        return known[key]

    return again


def measure(training: Training, rounds: int, steps: int, share: float) -> Row:
    difference = check(training, share)
    keep_freed_memory()
    ways: dict[str, Callable[[], AbstractContextManager[None]]] = {
        "theirs": nullcontext,
        "ours": nullcontext,
        "without_kernels": kernels_that_take_no_time,
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, change in ways.items():
            with change():
                seconds[way].append(training.run(way != "theirs", steps, "float32", share).seconds)
    times = {way: np.array(own) for way, own in seconds.items()}
    speedup = times["theirs"] / times["ours"]
    return {
        "loss_difference": difference,
        "milliseconds": {way: spread(own * 1e3) for way, own in times.items()},
        "speedup": at_least(speedup, BAR) if training.is_barred else spread(speedup),
    }


def line(row: Row) -> str:
    name = f"{row['library']:9}{row['case']:30}"
    if "failure" in row:
        return f"{name}FAILED {row['failure']}"
    times = "".join(f"{row['milliseconds'][way]['median']:9.2f}" for way in ("theirs", "ours", "without_kernels"))
    return f"{name}{times}  {cell(row['speedup'], 1, 1)}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.integrations", description=__doc__)
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=LIBRARIES)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=30, help="steps per round, two at least")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="of the usual points")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "integrations.json")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    usual, rows = torch.get_default_dtype(), []
    trainings: dict[str, Callable[[], Iterator[Training]]] = {"deepxde": _deepxde, "pina": _pina}
    for library in options.libraries:
        for training in trainings[library]():
            row: Row = {"library": library, "case": training.name, "layers": training.layers}
            rows.append(attempt(row, lambda own=training: measure(own, options.rounds, options.steps, options.share)))
            print(line(rows[-1]), flush=True)
    torch.set_default_dtype(usual)
    about: dict[str, Any] = {name: value for name, value in vars(options).items() if name != "out"}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**about, **environment(options.threads), "rows": rows}, indent=1)
    options.out.write_text(text + "\n", encoding="utf-8")
    return int(any("failure" in row for row in rows))


if __name__ == "__main__":
    sys.exit(main())
