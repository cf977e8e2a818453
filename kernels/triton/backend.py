"""The Triton backend: generated kernels on an NVIDIA GPU, or in Triton's interpreter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from ..contract.adam import AdamState
from ..contract.base import Backend
from ..contract.operations import LossAndGradient, Term, TrainReport
from ..contract.precision import IEEE
from ..errors import BackendUnavailable, InputError
from ..language.activations import ACTIVATIONS
from ..language.channels import ChannelSet
from ..language.program import Program
from ..language.regularizer import Regularizer
from ..memory import readable
from ..network.plan import Plan
from . import machine
from .borrowing import borrowed, on, remembered
from .configuration import PRECISIONS, Configuration, chip_name, choose
from .emission import Mode
from .fitting import first_likely, needs_parameters, no_room, smaller
from .layout import Layout, make_layout
from .point_kernel import PointKernel, Weights
from .schedule import grouped, make_schedule, single_group

if TYPE_CHECKING:
    from .training import StepKernels

# Numbers of a Jacobian's rows, by packed weight, that are on the device at once.
JACOBIAN_NUMBERS = 1 << 26
# Numbers of which Triton takes a multiple for a case of its own.
EVEN = 16

Result = TypeVar("Result")


@dataclass(eq=False)
class _Network:
    """A plan on a device. ``configurations``: of each kernel, since not all fit on the chip with the usual one."""

    plan: Plan
    layout: Layout
    weights: Weights
    configuration: Configuration
    configurations: dict[Any, Configuration] = field(default_factory=dict)


class TritonBackend(Backend, is_checked=False):
    """Generated Triton kernels. See `psinn_fast.kernels.contract.Backend` for what each operation takes and gives.

    With TRITON_INTERPRET=1 in the environment, before Triton is imported, they run on the CPU, slowly: for tests.

    Args:
        precision: of float32 products: "ieee"; "tf32x3", three tensor-core products for one; "tf32", ten bits.
        configuration: tile sizes, with the same precision; None chooses.

    Raises:
        InputError: unknown precision; a configuration of another one.
    """

    name = "triton"
    device_types = ("cuda",)
    widest, deepest, most_channels = 128, 9, 70
    # At 128 a kernel spills kilobytes a thread, as compiled: through memory these take longer than products by torch.
    best_width = 64
    activations = tuple(ACTIVATIONS)

    def __init__(self, precision: str = "ieee", configuration: Configuration | None = None) -> None:
        if precision not in PRECISIONS:
            raise InputError(f"precision: expected one of {', '.join(PRECISIONS)}, got {precision!r}")
        if configuration is not None and configuration.precision != precision:
            raise InputError(
                f"configuration: its precision is {configuration.precision!r}, the backend's {precision!r}; write "
                f"Configuration(..., precision={precision!r})"
            )
        self._precision, self._configuration = precision, configuration
        # The same backend, by the precision of its products.
        self._siblings: dict[str, TritonBackend] = {precision: self}
        self._prepared: dict[tuple[Any, ...], Any] = {}

    def with_precision(self, precision: str) -> TritonBackend:
        if precision not in self._siblings:
            other, own = copy(self), self._configuration
            other._precision, other._prepared = precision, {}
            other._configuration = None if own is None else replace(own, precision=precision)
            self._siblings.setdefault(precision, other)
        return self._siblings[precision]

    def products(self, dtype: torch.dtype, device: torch.device) -> str:
        return IEEE if dtype == torch.float64 else self._precision

    def unavailable(self) -> str | None:
        return machine.why_not()

    def unavailable_on(self, device: torch.device) -> str | None:
        return machine.why_not(device if device.type == "cuda" else None)

    def supports(self, plan: Plan, channels: ChannelSet, dtype: torch.dtype, device: torch.device) -> str | None:
        """Whether the chip has the memory for a kernel is known when it is compiled: that limit is found later."""
        stand_in = machine.stand_in()
        if stand_in is not None and device.type != "cpu":
            return f"theta: backend 'triton' needs tensors on the CPU, where {stand_in} runs it, got {device}"
        if stand_in is not None or self.unavailable_on(device) is not None:
            # What stands for a GPU has its limits; where nothing can run, that is what an operation will say.
            device = torch.device("cuda")
        return needs_parameters(self.name, plan) or super().supports(plan, channels, dtype, device)

    def _jets(self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> Tensor:
        network = self._network(plan, theta)
        out = theta.new_empty(x.shape[0], len(channels), plan.d_out)
        if x.shape[0]:
            self._run(network, Mode.JETS, theta, x, channels, [out])
        return out

    def _jets_backward(
        self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet, grad: Tensor, need_x: bool
    ) -> tuple[Tensor, Tensor | None]:
        network = self._network(plan, theta)
        x_bar = torch.zeros_like(x, memory_format=torch.contiguous_format) if need_x else None
        if not x.shape[0]:
            return torch.zeros_like(theta), x_bar
        extra = [readable(grad), theta if x_bar is None else x_bar]
        partials = self._run(network, Mode.JETS_BACKWARD, theta, x, channels, extra, need_x)
        layout = network.layout
        w_bar = network.weights.back.apply(partials[:, : layout.n_packed].sum(0))
        return layout.plan.pull_back(layout.plan.expand(theta), w_bar) if layout.reads_w else w_bar, x_bar

    def _loss_and_gradient(
        self,
        plan: Plan,
        theta: Tensor,
        coefficients: Tensor,
        terms: Sequence[Term],
        weights: Tensor,
        regularizer: Regularizer | None,
    ) -> LossAndGradient:
        return self._with_kernels(
            plan,
            theta,
            coefficients,
            terms,
            lambda kernels: kernels.loss_and_gradient(readable(theta), readable(coefficients), weights, regularizer),
        )

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
        return self._with_kernels(
            plan,
            state.theta,
            state.coefficients,
            terms,
            lambda kernels: kernels.train(state, weights, steps, regularizer),
        )

    def _residual_jacobian(self, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term) -> tuple[Tensor, Tensor]:
        program = term.program
        network = self._network(plan, theta)
        layout, back = network.layout, network.weights.back
        points, columns = term.points.detach(), term.columns.detach()
        n, m, k = points.shape[1], program.n_residuals, coefficients.numel()
        residuals, jacobian = theta.new_empty(n, m), theta.new_empty(n, m, plan.n_parameters + k)
        w = readable(layout.plan.expand(theta.detach()) if layout.reads_w else theta)
        unknown, tiles = readable(coefficients) if k else w, network.weights.tiles(w)

        def launch(configuration: Configuration) -> None:
            kernel = self._kernel(network, Mode.JACOBIAN, program.channels, program, k, configuration)
            # Parts begin where Triton finds addresses as even as a tensor's: else it compiles the kernel anew.
            step = max(configuration.block, JACOBIAN_NUMBERS // (m * kernel.row), EVEN) // EVEN * EVEN
            for start in range(0, n, step):
                part = slice(start, min(start + step, n))
                size = part.stop - part.start
                packed = theta.new_zeros(size, m, layout.n_packed + k)
                table, factors = single_group(size, configuration.block, configuration.programs, w.dtype, w.device)
                own_columns = readable(columns[part]) if program.n_columns else w
                data = [(readable(points[:, part]), own_columns, size)]
                kernel(w, tiles, unknown, w, table, factors, table, data, [residuals[part], packed])
                w_bar = back.apply(packed[..., : layout.n_packed]).reshape(size * m, -1)
                theta_bar = layout.plan.pull_back_rows(w, w_bar) if layout.reads_w else w_bar
                jacobian[part, :, : plan.n_parameters] = theta_bar.view(size, m, -1)
                jacobian[part, :, plan.n_parameters :] = packed[..., layout.n_packed :]

        self._fitting(network, Mode.JACOBIAN, [program.channels], program, theta, launch)
        return residuals, jacobian

    def _run(
        self, network: _Network, mode: Mode, theta: Tensor, x: Tensor, channels: ChannelSet, extra: Sequence[Tensor],
        need_x: bool = False,
    ) -> Tensor:  # fmt: skip
        """An operation on jets; the programs' partial gradients, where it makes any."""
        layout, x = network.layout, readable(x)
        w = readable(layout.plan.expand(theta.detach()) if layout.reads_w else theta)
        tiles = network.weights.tiles(w)

        def launch(configuration: Configuration) -> Tensor:
            kernel = self._kernel(network, mode, channels, None, 0, configuration, need_x)
            n = x.shape[0]
            table, factors = single_group(n, configuration.block, configuration.programs, w.dtype, w.device)
            partials = theta.new_empty(table.shape[0] if mode is Mode.JETS_BACKWARD else 1, kernel.row)
            kernel(w, tiles, w, partials, table, factors, table, [(x, x, n)], extra)
            return partials

        return self._fitting(network, mode, [channels], (channels, need_x), theta, launch)

    def _network(self, plan: Plan, theta: Tensor) -> _Network:
        reason = self.unavailable_on(theta.device)
        if reason is not None:
            raise BackendUnavailable(f"backend 'triton' cannot run here: {reason}")
        machine.say_untested()

        def make() -> _Network:
            # What is kept for a plan may not hold on to it.
            own = replace(plan)
            layout = make_layout(own, theta.dtype)
            precision = self.products(theta.dtype, theta.device)
            configuration = self._configuration or choose(layout, theta.dtype, theta.device, precision)
            return _Network(own, layout, Weights(layout, theta), configuration)

        found: _Network = remembered(self._prepared, ("network", theta.dtype, theta.device), [plan], make)
        return found

    def _kernel(
        self, network: _Network, mode: Mode, channels: ChannelSet, program: Program | None, n_unknown: int,
        configuration: Configuration, need_x: bool = False,
    ) -> PointKernel:  # fmt: skip
        def make() -> PointKernel:
            layout, weights = network.layout, network.weights
            return PointKernel(layout, weights, [(channels, program)], mode, n_unknown, configuration, need_x)

        key = "kernel", mode, channels, program, n_unknown, configuration, need_x
        made: PointKernel = remembered(self._prepared, key, [network], make)
        return made

    def _with_kernels(
        self,
        plan: Plan,
        theta: Tensor,
        coefficients: Tensor,
        terms: Sequence[Term],
        use: Callable[[StepKernels], Result],
    ) -> Result:
        """What ``use`` gives with the kernels, tables and buffers of a loss, which live as long as its terms."""
        network = self._network(plan, theta)
        from .fused_points import FusedPoints  # Triton itself
        from .training import StepKernels

        like, n_unknown = theta.detach(), coefficients.numel()
        members = tuple(dict.fromkeys(term.program for term in terms))

        def launch(configuration: Configuration) -> Result:
            def make() -> StepKernels:
                groups, places = grouped(terms)
                schedule = make_schedule(terms, places, configuration.block, configuration.programs)
                sources = [(group.channels, group.program) for group in groups]
                kernel = PointKernel(network.layout, network.weights, sources, Mode.LOSS, n_unknown, configuration)
                points = FusedPoints(network.layout, network.weights, kernel, groups, schedule, like, n_unknown)
                return StepKernels(network.plan, points, like, n_unknown)

            stream = torch.cuda.current_stream(theta.device).cuda_stream if theta.is_cuda else None
            # The tensors of a term may have been given other numbers of points.
            counts = tuple(term.n_points for term in terms)
            key = "loss", theta.dtype, theta.device, n_unknown, configuration, stream, counts
            with borrowed(self._prepared, key, [plan, *terms], make) as kernels:
                return use(kernels)

        return self._fitting(network, Mode.LOSS, [own.channels for own in members], members, theta, launch)

    def _fitting(
        self, network: _Network, mode: Mode, channel_sets: Sequence[ChannelSet], key: Any, theta: Tensor,
        launch: Callable[[Configuration], Result],
    ) -> Result:  # fmt: skip
        """What ``launch`` gives with the first configuration for which the chip has the memory.

        Where it is known that it has not, nothing is compiled.
        """
        from triton.runtime.errors import OutOfResources

        known, own = network.configurations, (mode, key)
        configuration = known.get(own, network.configuration)
        if own not in known:
            if (room := machine.room_for_program(theta.device)) is not None:
                chip, most = chip_name(theta.device), max(map(len, channel_sets))
                configuration = first_likely(network.layout, configuration, mode, most, theta.dtype, chip, room)
            known[own] = configuration
        while True:
            try:
                with on(theta.device):
                    return launch(configuration)
            except OutOfResources as error:
                found = smaller(configuration, theta.dtype)
                if found is None:
                    remedies = "narrower layers, fewer derivatives, float32"
                    raise no_room(network.plan.widest, theta.dtype, str(error), remedies) from error
                configuration = known[own] = found
