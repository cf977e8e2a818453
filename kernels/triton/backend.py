"""The Triton backend: all five operations in generated kernels on an NVIDIA GPU, or in Triton's interpreter."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any
from weakref import finalize

import torch
from torch import Tensor

from ..channels import ChannelSet
from ..contract import AdamState, LossAndGradient, Term, TrainReport, check_jets, check_like, check_size, check_terms
from ..errors import BackendUnavailable, InputError
from ..plan import Plan
from ..program import Program
from ..regularizer import Regularizer
from .configuration import PRECISIONS, Configuration, choose
from .emission import Mode
from .layout import Layout, make_layout
from .point_kernel import PointKernel, Weights
from .schedule import grouped, make_schedule

WIDEST, DEEPEST, MOST_CHANNELS = 128, 9, 70
OLDEST_TRITON, OLDEST_CHIP = (3, 6), (8, 0)
# Numbers of a Jacobian's rows, by packed weight, that are on the device at once.
JACOBIAN_NUMBERS = 1 << 26


def is_interpreted() -> bool:
    return os.environ.get("TRITON_INTERPRET") == "1"


class TritonBackend:
    """Generated Triton kernels. See `psinn_fast.kernels.contract.Backend` for what each operation takes and gives.

    With TRITON_INTERPRET=1 in the environment, before Triton is imported, they run on the CPU, slowly: for tests.

    Args:
        precision: of float32 products: "ieee"; "tf32x3", three tensor-core products for one; "tf32", ten bits.
        configuration: tile sizes; None chooses.

    Raises:
        InputError: unknown precision.
    """

    name = "triton"
    device_types: tuple[str, ...] | None = ("cuda",)

    def __init__(self, precision: str = "ieee", configuration: Configuration | None = None) -> None:
        if precision not in PRECISIONS:
            raise InputError(f"precision: expected one of {', '.join(PRECISIONS)}, got {precision!r}")
        self._precision, self._configuration = precision, configuration
        self._prepared: dict[tuple[Any, ...], Any] = {}

    def unavailable(self) -> str | None:
        try:
            triton = import_module("triton")
        except ImportError:
            return "Triton is not installed; on Linux, `pip install triton`, or a CUDA build of PyTorch, brings it"
        version = tuple(int(part) for part in triton.__version__.split(".")[:2])
        if version < OLDEST_TRITON:
            return f"Triton {triton.__version__} is too old; 3.6 and newer work"
        if is_interpreted():
            return None
        if not torch.cuda.is_available():
            return "no NVIDIA GPU that torch can use"
        chip = torch.cuda.get_device_capability()
        if chip < OLDEST_CHIP:
            return f"{torch.cuda.get_device_name()} is too old (sm_{chip[0]}{chip[1]}); sm_80 (A100, RTX 30) and newer work"
        return None

    @torch.no_grad()
    def jets(self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> Tensor:
        check_jets(plan, theta, x, channels)
        out = theta.new_empty(x.shape[0], len(channels), plan.d_out)
        if x.shape[0]:
            self._run(Mode.JETS, plan, theta, x.detach().contiguous(), channels, [out])
        return out

    @torch.no_grad()
    def jets_backward(
        self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet, grad: Tensor, need_x: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        check_jets(plan, theta, x, channels)
        check_like("grad", grad, theta, (x.shape[0], len(channels), plan.d_out))
        x_bar = torch.zeros_like(x) if need_x else None
        if not x.shape[0]:
            return torch.zeros_like(theta), x_bar
        extra = [grad.detach().contiguous(), theta if x_bar is None else x_bar]
        theta_bar = self._run(Mode.JETS_BACKWARD, plan, theta, x.detach().contiguous(), channels, extra, need_x)
        return theta_bar, x_bar

    @torch.no_grad()
    def loss_and_gradient(
        self,
        plan: Plan,
        theta: Tensor,
        coefficients: Tensor,
        terms: Sequence[Term],
        regularizer: Regularizer | None = None,
    ) -> LossAndGradient:
        check_terms(plan, theta, coefficients, terms)
        from .training import StepKernels  # Triton itself

        if regularizer is not None:
            regularizer.check(plan)
        kernels = self.prepared(StepKernels, plan, theta, coefficients.numel(), terms)
        return kernels.loss_and_gradient(theta.detach(), coefficients.detach(), regularizer)

    @torch.no_grad()
    def train(
        self,
        plan: Plan,
        state: AdamState,
        terms: Sequence[Term],
        steps: int,
        regularizer: Regularizer | None = None,
    ) -> TrainReport:
        check_terms(plan, state.theta, state.coefficients, terms)
        if steps < 0:
            raise InputError(f"steps: expected a number >= 0, got {steps}")
        if regularizer is not None:
            regularizer.check(plan)
        from .training import StepKernels, train

        kernels = self.prepared(StepKernels, plan, state.theta, state.coefficients.numel(), terms)
        return train(kernels, state, steps, regularizer)

    @torch.no_grad()
    def residual_jacobian(
        self, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term, rows: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        check_terms(plan, theta, coefficients, [term])
        layout, weights = self._weights(plan, theta)
        points, columns = term.points[:, rows].detach().contiguous(), term.columns[rows].detach().contiguous()
        n, m, k = points.shape[1], term.program.n_residuals, coefficients.numel()
        check_size(n, n * m * (plan.n_parameters + k), theta)
        residuals, jacobian = theta.new_empty(n, m), theta.new_empty(n, m, plan.n_parameters + k)
        configuration = self._choose(layout, theta)
        kernel = self._kernel(Mode.JACOBIAN, layout, weights, [(term.program.channels, term.program)], k, configuration)
        w = layout.plan.expand(theta) if layout.reads_w else theta.detach().contiguous()
        step = max(configuration.block, JACOBIAN_NUMBERS // (m * kernel.row))
        for start in range(0, n, step):
            part = slice(start, min(start + step, n))
            size = part.stop - part.start
            packed = theta.new_zeros(size, m, layout.n_packed + k)
            table, factors = self._single(size, configuration, theta)
            data = [(points[:, part].contiguous(), columns[part].contiguous(), size)]
            kernel(w, _some(coefficients, theta), theta, table, factors, table, data, [residuals[part], packed])
            w_bar = weights.back.apply(packed[..., : layout.n_packed]).reshape(size * m, -1)
            theta_bar = layout.plan.pull_back_rows(w, w_bar) if layout.reads_w else w_bar
            jacobian[part, :, : plan.n_parameters] = theta_bar.view(size, m, -1)
            jacobian[part, :, plan.n_parameters :] = packed[..., layout.n_packed :]
        return residuals, jacobian

    def _run(
        self, mode: Mode, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet, extra: Sequence[Tensor],
        need_x: bool = False,
    ) -> Tensor:  # fmt: skip
        """An operation on jets; the gradient for theta (nonsense for JETS)."""
        layout, weights = self._weights(plan, theta)
        configuration = self._choose(layout, theta)
        kernel = self._kernel(mode, layout, weights, [(channels, None)], 0, configuration, need_x)
        table, factors = self._single(x.shape[0], configuration, theta)
        partials = theta.new_empty(table.shape[0] if mode is Mode.JETS_BACKWARD else 1, kernel.row)
        w = layout.plan.expand(theta).contiguous() if layout.reads_w else theta.detach().contiguous()
        kernel(w, theta, partials, table, factors, table, [(x, x, x.shape[0])], extra)
        w_bar = weights.back.apply(partials[:, : layout.n_packed].sum(0))
        return layout.plan.pull_back(w, w_bar) if layout.reads_w else w_bar

    def _single(self, n: int, configuration: Configuration, like: Tensor) -> tuple[Tensor, Tensor]:
        """The table of one group of n points."""
        tiles = -(-n // configuration.block)
        count = min(tiles, configuration.programs)
        edges = [min(n, tiles * k // count * configuration.block) for k in range(count + 1)]
        rows = [[0, first, last] for first, last in zip(edges, edges[1:], strict=False)]
        table = torch.tensor(rows, dtype=torch.int32, device=like.device)
        return table, like.new_ones(count)

    def _choose(self, layout: Layout, theta: Tensor) -> Configuration:
        return self._configuration or choose(layout, theta.dtype, theta.device, self._precision)

    def _weights(self, plan: Plan, theta: Tensor) -> tuple[Layout, Weights]:
        reason = self.unavailable()
        if reason is not None:
            raise BackendUnavailable(f"backend 'triton' cannot run here: {reason}")
        if theta.device.type != ("cpu" if is_interpreted() else "cuda"):
            place = "the CPU (TRITON_INTERPRET=1)" if is_interpreted() else "a GPU"
            raise InputError(f"theta: backend 'triton' needs tensors on {place}, got {theta.device}")
        if plan.widest > WIDEST:
            raise InputError(f"plan: backend 'triton' takes layers up to {WIDEST} wide, got {plan.widest}")
        if len(plan.layers) > DEEPEST:
            raise InputError(f"plan: backend 'triton' takes up to {DEEPEST} layers, got {len(plan.layers)}")

        def make() -> tuple[Layout, Weights]:
            layout = make_layout(plan)
            return layout, Weights(layout, theta)

        found: tuple[Layout, Weights] = self._remember(("weights", theta.dtype, theta.device), [plan], make)
        return found

    def _kernel(
        self, mode: Mode, layout: Layout, weights: Weights, groups: Sequence[tuple[ChannelSet, Program | None]],
        n_unknown: int, configuration: Configuration, need_x: bool = False,
    ) -> PointKernel:  # fmt: skip
        def make() -> PointKernel:
            return PointKernel(layout, weights, groups, mode, n_unknown, configuration, need_x)

        made: PointKernel = self._remember(
            ("kernel", mode, tuple(groups), n_unknown, configuration, need_x), [layout, weights], make
        )
        return made

    def prepared(
        self, make: Callable[..., Any], plan: Plan, theta: Tensor, n_unknown: int, terms: Sequence[Term]
    ) -> Any:
        """Kernels, tables and buffers of a loss, as long as its terms live."""
        layout, weights = self._weights(plan, theta)

        def build() -> Any:
            configuration = self._choose(layout, theta)
            groups, places = grouped(terms)
            schedule = make_schedule(terms, places, configuration.block, configuration.programs)
            members = [(group.channels, group.program) for group in groups]
            kernel = PointKernel(layout, weights, members, Mode.LOSS, n_unknown, configuration)
            return make(plan, layout, weights, kernel, groups, schedule, theta, n_unknown)

        # Points may be changed in place, but joined copies of them would not follow.
        versions = tuple((term.points._version, term.columns._version) for term in terms)
        return self._remember(("loss", theta.dtype, theta.device, n_unknown, versions), [plan, *terms], build)

    def _remember(self, key: tuple[Any, ...], owners: Sequence[Any], make: Callable[[], Any]) -> Any:
        """What ``make`` gives, once for these owners (by identity), for as long as all of them live."""
        full = (*key, *map(id, owners))
        if full not in self._prepared:
            self._prepared[full] = make()
            for owner in owners:
                finalize(owner, self._prepared.pop, full, None)
        return self._prepared[full]


def _some(tensor: Tensor, like: Tensor) -> Tensor:
    """A pointer is needed even where nothing is read."""
    return tensor.detach().contiguous() if tensor.numel() else like
