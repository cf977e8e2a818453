"""The peers at their best on a GPU; each in the formulations of laplace/formulations.py."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from .laplace.case import Case
from .laplace.compiled import FormStep, WholeStep
from .laplace.eager import NestedAutogradStep
from .laplace.formulations import FORMULATIONS, Formulation
from .laplace.jax_peer import JaxStep, why_no_jax
from .settings import Settings
from .training_step import Step

# Steps of a peer in one graph, and of JAX in one loop.
INNER_STEPS = 20
NO_FORM = "usual"
Make = Callable[[], Step]


class Restartable(Step, Protocol):
    def restart(self) -> None: ...


class CapturedStep:
    """Another peer's steps in CUDA graphs captured by hand: the host's time counts for nothing."""

    def __init__(self, inner: Restartable) -> None:
        self._inner = inner
        # The stream of the capture too: what libraries keep by stream is made in the warm-up.
        self._stream = torch.cuda.Stream()
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            inner.steps(3)  # compiles, and makes Adam's state
        torch.cuda.current_stream().wait_stream(self._stream)
        self._many, self._one = self._capture(INNER_STEPS), self._capture(1)
        inner.restart()

    def _capture(self, count: int) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        # Other threads (JAX has some) may call CUDA meanwhile.
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            self._inner.steps(count)
        return graph

    def steps(self, count: int) -> None:
        loops, rest = divmod(count, INNER_STEPS)
        for _ in range(loops):
            self._many.replay()
        for _ in range(rest):
            self._one.replay()

    def loss_and_gradient(self) -> tuple[float, Tensor]:
        return self._inner.loss_and_gradient()

    def parameters(self) -> Tensor:
        return self._inner.parameters()


def families(case: Case, settings: Settings) -> dict[str, dict[str, Make]]:
    """Peers by name, each with the ways to write it. Of tied networks only those that need no compiler."""
    forms = dict(list(FORMULATIONS.items())[:1]) if settings.quick else FORMULATIONS

    def each(make: Callable[[Formulation], Step]) -> dict[str, Make]:
        return {name: partial(make, form) for name, form in forms.items()}

    found: dict[str, dict[str, Make]] = {
        "nested": {NO_FORM: lambda: NestedAutogradStep(case)},
        "taylor": each(lambda form: FormStep(case, form)),
        "taylor, graph": each(lambda form: _captured(FormStep(case, form), settings)),
    }
    if case.structure is not None:
        return found
    if not settings.quick:
        torch._dynamo.config.recompile_limit = 1000  # all cases share their functions' code
    # No compiler in a smoke run, which is about the code around it.
    whole: dict[str, Any] | None = None if settings.quick else {}
    overhead = None if settings.quick else {"mode": "reduce-overhead"}
    return found | {
        "compiled, reduce-overhead": each(lambda form: FormStep(case, form, overhead)),
        "compiled, graph": each(lambda form: _captured(WholeStep(case, form, whole), settings)),
        "jax": each(lambda form: JaxStep(case, form, 2 if settings.quick else INNER_STEPS)),
    }


def _captured(step: Restartable, settings: Settings) -> Step:
    return step if settings.interpret else CapturedStep(step)


def why_absent(peer: str, settings: Settings) -> str | None:
    return why_no_jax("cpu" if settings.interpret else "gpu") if peer == "jax" else None
