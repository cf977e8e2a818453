"""What every contestant is, and which there are: by name, without importing their libraries."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from .case import Array, Case, Data
from .posed import POSED

LEARNING_RATE = 1e-3
BETAS, EPSILON = (0.9, 0.999), 1e-8
# Knows no problem, and is the same in all.
YARDSTICK = "yardstick"
# What they compute is nothing to compare.
UNCHECKED = (YARDSTICK, "without kernels")


class NotServed(Exception):
    """A contestant has no means for this case: it takes no part, which is no failure."""


class Contestant(Protocol):
    """A training step of one case, from its initial weights. Gradients in the order of `case.flat`."""

    def loss_and_gradient(self) -> tuple[float, Array]: ...

    def steps(self, count: int) -> None:
        """That many steps; returns when they are done."""


@runtime_checkable
class Prepares(Protocol):
    """A contestant that compiles for each number of steps: not while they are timed."""

    def prepare(self, count: int) -> bool:
        """Whether there was anything to do."""


@runtime_checkable
class Clocked(Protocol):
    """A contestant whose library does much before its first step and after its last, which is no part of a step: it
    says itself what the steps of its last call took."""

    @property
    def seconds(self) -> float: ...


@runtime_checkable
class KnowsWork(Protocol):
    """A contestant that can say what a step of it is: columns for its row."""

    def work(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Entry:
    """``module``: of `bench.contestants`, with ``make``; empty for those that take part in problems of `POSED` only.
    ``package``: what it needs beside numpy, by its package's name.

    ``tied``: whether it knows tied networks (`Case.structure`). ``least_steps``: in one call of `Contestant.steps`, for
    what the library does at the beginning and the end of each to be a few hundredths of it at most. ``iteration``:
    module and maker where `Case.optimiser` is "gauss-newton".
    """

    name: str
    title: str
    module: str
    make: str
    package: str
    tied: bool = False
    least_steps: int = 1
    iteration: tuple[str, str] | None = None

    @property
    def is_own(self) -> bool:
        return self.package == "psinn_fast"

    def build(self, case: Case) -> Contestant:
        """
        Raises:
            NotServed: it has no such optimiser, or no tied networks, or no such problem.
        """
        found: Contestant
        if (posed := POSED.get(case.equation)) is not None and self.name != YARDSTICK:
            makers = importlib.import_module(f"bench.contestants.{posed.module}").CONTESTANTS
            if self.name not in makers:
                raise NotServed(f"{self.title} takes no part in {case.equation}")
            found = makers[self.name](case)
            return found
        if not self.module:
            raise NotServed(f"{self.title} takes no part in {case.equation}")
        if case.structure is not None and not self.tied:
            raise NotServed(f"{self.title} has no tied networks")
        module, name = self.module, self.make
        if case.optimiser == "gauss-newton":
            if self.iteration is None:
                raise NotServed(f"{self.title} has no Gauss-Newton here")
            module, name = self.iteration
        make = getattr(importlib.import_module(f"bench.contestants.{module}"), name)
        found = make(case) if self.name == YARDSTICK else make(case, Data.of(case))
        return found


ENTRIES = {
    entry.name: entry
    for entry in (
        Entry(
            "ours", "psinn_fast", "ours", "Ours", "psinn_fast", tied=True, iteration=("gauss_newton", "OurIteration")
        ),
        Entry("step by step", "psinn_fast, a call for each step", "ours", "StepByStep", "psinn_fast", tied=True),
        Entry("one point per orbit", "psinn_fast, one point of each orbit", "", "", "psinn_fast"),
        Entry("without kernels", "psinn_fast, kernels that take no time", "", "", "psinn_fast"),
        Entry("gathered", "PsiLinear, W put together", "", "", "psinn_fast"),
        Entry("products", "PsiLinear, fewer products", "", "", "psinn_fast"),
        Entry("linear", "nn.Linear", "", "", "torch"),
        Entry("accelerate", "torch, pf.accelerate", "torch_loops", "Accelerate", "psinn_fast"),
        Entry("layer", "torch, our layers", "torch_loops", "Layer", "psinn_fast", tied=True),
        Entry("derivatives", "torch, pf.derivatives", "torch_loops", "Derivatives", "psinn_fast", tied=True),
        Entry("fuse", "torch, pf.fuse", "torch_loops", "Fuse", "psinn_fast", tied=True),
        Entry("fuse and fit", "psinn_fast, pf.fuse", "torch_loops", "FuseAndFit", "psinn_fast", tied=True),
        Entry(
            YARDSTICK,
            "fixed multiply-adds",
            "yardstick",
            "Yardstick",
            "numpy",
            tied=True,
            iteration=("yardstick", "Yardstick"),
        ),
        Entry("nested", "torch, nested autograd", "torch_peers", "Nested", "torch"),
        Entry("taylor", "torch, Taylor by hand", "torch_peers", "Taylor", "torch"),
        Entry("compiled", "torch.compile, Taylor by hand", "torch_peers", "CompiledTaylor", "torch"),
        Entry("make_fx", "make_fx + torch.compile, nested", "torch_peers", "MakeFx", "torch"),
        Entry("func", "torch.func", "torch_peers", "Func", "torch", iteration=("gauss_newton", "TorchIteration")),
        Entry("jet", "jet-for-pytorch", "jet_peer", "Jet", "jet-for-pytorch"),
        Entry("jax", "JAX jit, Taylor by hand", "jax_peers", "Taylor", "jax"),
        Entry("jax nested", "JAX jit, nested", "jax_peers", "Nested", "jax"),
        Entry("folx", "folx, forward Laplacian", "jax_peers", "Folx", "folx"),
        Entry("deepxde", "DeepXDE", "deepxde_peer", "DeepXDE", "deepxde", least_steps=50),
        Entry("pina", "PINA", "pina_peer", "PINA", "pina-mathlab", least_steps=200),
        Entry("jinns", "jinns", "jinns_peer", "Jinns", "jinns"),
        Entry("physicsnemo", "PhysicsNeMo", "physicsnemo_peer", "PhysicsNeMo", "nvidia-physicsnemo"),
    )
}
