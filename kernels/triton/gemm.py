"""Networks too wide for one kernel: products by torch (cuBLAS), generated kernels between them, whole steps in graphs.

In a step of wide layers products are most of the work, and a thread block has no room for what a fused kernel keeps of
them. Here jets go through memory between layers, 2^25 numbers of a layer at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..contract import AdamState, LossAndGradient, Term, TrainReport
from ..contract.precision import torch_products
from ..contract.sums import Batch, batches, losses_and_gradient
from ..language.regularizer import Regularizer
from ..network.plan import Plan
from ..reference.activation_jet import ChainRule
from ..reference.backend import ReferenceBackend
from ..reference.taped import Taped
from . import machine
from .borrowing import borrowed, on
from .fitting import needs_parameters
from .point_kernel import Gather

if TYPE_CHECKING:
    from .training import StepKernels

# Alive at once of what a layer reads or writes: 128 MB in float32.
NUMBERS = 1 << 25


class GemmBackend(ReferenceBackend, is_checked=False):
    """Losses, gradients and training as the reference computes them, by other kernels; the rest is the reference's.

    Products are as exact as torch's (`torch.backends.cuda.matmul`). With TRITON_INTERPRET=1 it runs on the CPU, for
    tests.
    """

    name = "gemm"
    device_types = ("cuda",)
    numbers = NUMBERS

    def __init__(self) -> None:
        self._prepared: dict[tuple[Any, ...], Any] = {}

    def unavailable(self) -> str | None:
        return machine.why_not()

    def unavailable_on(self, device: torch.device) -> str | None:
        return machine.why_not(device if device.type == "cuda" else None)

    def supports(self, plan: Plan, channels: Any, dtype: torch.dtype, device: torch.device) -> str | None:
        if lacking := needs_parameters(self.name, plan):
            return lacking
        if machine.stand_in() is not None and device.type == "cpu":
            return None
        return super().supports(plan, channels, dtype, device)

    def _loss_and_gradient(
        self,
        plan: Plan,
        theta: Tensor,
        coefficients: Tensor,
        terms: Sequence[Term],
        weights: Tensor,
        regularizer: Regularizer | None,
    ) -> LossAndGradient:
        with on(theta.device):
            return super()._loss_and_gradient(plan, theta, coefficients, terms, weights, regularizer)

    def _rule(self) -> ChainRule:
        from .pointwise import GENERATED  # Triton itself

        return GENERATED

    def _train(
        self,
        plan: Plan,
        state: AdamState,
        terms: Sequence[Term],
        weights: Tensor,
        steps: int,
        regularizer: Regularizer | None,
    ) -> TrainReport:
        if steps == 0:
            return TrainReport(torch.empty(0, len(terms) + 1, dtype=state.theta.dtype), None)
        from .training import StepKernels  # Triton itself

        theta, n_unknown = state.theta.detach(), state.coefficients.numel()

        def make() -> StepKernels:
            points = GemmPoints(plan, terms, theta, n_unknown)
            return StepKernels(replace(plan), points, theta, n_unknown)

        # A graph has products as they were when it was recorded, on the stream of that time.
        products = torch_products(theta.dtype, theta.device)
        stream = torch.cuda.current_stream(theta.device).cuda_stream if theta.is_cuda else None
        counts = tuple(term.n_points for term in terms)  # tensors of a term may have been given others
        key = theta.dtype, theta.device, n_unknown, products, stream, counts
        with on(theta.device), borrowed(self._prepared, key, [plan, *terms], make) as kernels:
            return kernels.train(state, weights, steps, regularizer)


class GemmPoints:
    """Losses and gradients of all terms by torch, ready for a CUDA graph: see `training.PointsOfStep`.

    ``partials`` has a row for each term, with its loss alone.
    """

    # Ctrl-C waits for a graph: with a million points a step takes a tenth of a second.
    graph_steps = 10
    update_block = 256
    row = 1
    is_summed_by_torch = True

    def __init__(self, plan: Plan, terms: Sequence[Term], like: Tensor, n_unknown: int) -> None:
        # Copies: what is kept for a plan and terms may not hold on to them.
        self._plan, self._terms, self._n_unknown = replace(plan), [replace(term) for term in terms], n_unknown
        self._composed = self._plan.composed
        self.n_programs = len(terms)
        self.owners = torch.arange(len(terms), dtype=torch.int32, device=like.device)
        self.scales = like.new_ones(len(terms))
        size = plan.n_parameters + n_unknown
        nothing = torch.zeros(1, size, dtype=torch.int32, device=like.device)
        self.back = self.scatter = Gather(nothing, like.new_zeros(1, size))
        self.tiles = like.new_zeros(1)
        # Copies, whose addresses graphs remember.
        self._batches = batches(self._composed, self._terms, self.scales, NUMBERS)
        self._gradients = like.new_zeros(0), like.new_zeros(0)

    def weigh(self, weights: Tensor) -> None:
        fresh = batches(self._composed, self._terms, weights, NUMBERS)
        for own, new in zip(_tensors(self._batches), _tensors(fresh), strict=True):
            own.copy_(new)

    def refresh(self) -> bool:
        """`weigh` copies the points, whoever changed them."""
        return False

    def prepare(self, theta: Tensor) -> None:
        pass

    def run(self, theta: Tensor, unknown: Tensor, partials: Tensor, state: Tensor) -> None:
        from .pointwise import GENERATED
        from .update import FAILURE, STEP

        step, failure = (state[at.value : at.value + 1] for at in (STEP, FAILURE))
        step += failure < 0
        network = Taped(self._composed, theta, GENERATED)
        known = unknown[: self._n_unknown]
        found = losses_and_gradient(network, self._plan, theta, known, self._terms, self._batches, None)
        partials[:, 0] = found.losses
        self._gradients = found.theta, found.coefficients

    def summed(self, partials: Tensor) -> tuple[Tensor, Tensor]:
        return self._gradients


def _tensors(prepared: Sequence[Batch]) -> Iterator[Tensor]:
    for batch in prepared:
        yield batch.x
        for group in batch.groups:
            yield from (group.points, group.columns, group.factors)
