"""Operations 3 and 4: losses with gradients, and Adam steps of two launches, many of them in one CUDA graph."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..contract import AdamState, LossAndGradient, TrainReport
from ..plan import Plan
from ..regularizer import Regularizer
from .layout import Layout
from .point_kernel import Gather, PointKernel, Weights
from .schedule import Group, Schedule
from .update import adam

# Steps in one graph. Between graphs there is no synchronisation; the host looks after each slice.
GRAPH_STEPS = 50
SLICE_SECONDS = 0.2
# Parameters per program of the second kernel, and rows of partial gradients that it sums at once.
UPDATE_BLOCK, UPDATE_CHUNK = 32, 64


class StepKernels:
    """What the steps of one loss need: kernels, tables, buffers; made once per plan and terms.

    ``parameters`` holds theta and the unknown coefficients in one tensor, ``state`` the steps done and the failure.
    """

    def __init__(
        self,
        plan: Plan,
        layout: Layout,
        weights: Weights,
        kernel: PointKernel,
        groups: Sequence[Group],
        schedule: Schedule,
        like: Tensor,
        n_unknown: int,
    ) -> None:
        self.plan, self.layout, self.weights, self.schedule = plan, layout, weights, schedule
        self.n_theta, self.n_unknown = plan.n_parameters, n_unknown
        self.size = self.n_theta + n_unknown
        self.n_losses = schedule.scales.numel()
        self._kernel = kernel
        self._data = [(group.points, group.columns if group.columns.numel() else like, group.n_points) for group in groups]
        self.parameters = like.new_zeros(self.size)
        self.moments = like.new_zeros(2, self.size)
        self.kept = like.new_zeros(2, 3, self.size)
        self.partials = like.new_zeros(schedule.n_programs, kernel.row)
        # The value of the regulariser, then the gradient of what is not in ``partials``.
        self.penalty = like.new_zeros(1 + self.size)
        self.state = torch.zeros(2, dtype=torch.int64, device=like.device)
        self._w = like.new_zeros(layout.plan.expansion.shape[0]) if layout.reads_w else self.parameters
        self._back = _with_unknown(weights.back, layout.n_packed, n_unknown)

    def points_step(self, counts: bool) -> None:
        """The first kernel: partial losses and gradients at the present parameters."""
        if self.layout.reads_w:
            self._w.copy_(self.layout.plan.expand(self.parameters[: self.n_theta]))
        unknown = self.parameters[self.n_theta :] if self.n_unknown else self.parameters
        schedule = self.schedule
        self._kernel(
            self._w, unknown, self.partials, schedule.table, schedule.factors, self.state, self._data, (), counts
        )

    def other_gradients(self, regularizer: Regularizer | None) -> bool:
        """What Adam adds to the gradient in ``partials``, by torch: penalties, and everything where w is not linear."""
        if regularizer is None and not self.layout.reads_w:
            return False
        self.penalty.zero_()
        theta = self.parameters[: self.n_theta]
        if regularizer is not None:
            value, gradient = regularizer.value_and_gradient(self.plan, theta)
            self.penalty[0] = value
            self.penalty[1 : 1 + self.n_theta] = gradient
        if self.layout.reads_w:
            theta_bar, unknown_bar = self._summed()
            self.penalty[1 : 1 + self.n_theta] += theta_bar
            self.penalty[1 + self.n_theta :] = unknown_bar
        return True

    def _summed(self) -> tuple[Tensor, Tensor]:
        total = self.partials.sum(0)
        w_bar = self.weights.back.apply(total[: self.layout.n_packed])
        theta_bar = self.layout.plan.pull_back(self._w, w_bar) if self.layout.reads_w else w_bar
        return theta_bar, total[self.layout.n_packed : -1]

    def losses(self) -> Tensor:
        squares = self.partials[:, -1]
        spans = self.schedule.spans.tolist()
        parts = [squares[first:last].sum() for first, last in zip(spans, spans[1:], strict=False)]
        return torch.stack(parts) * self.schedule.scales

    def loss_and_gradient(
        self, theta: Tensor, coefficients: Tensor, regularizer: Regularizer | None
    ) -> LossAndGradient:
        self.load(theta, coefficients)
        self.points_step(counts=False)
        theta_bar, unknown_bar = self._summed()
        penalty = theta.new_zeros(())
        if regularizer is not None:
            penalty, gradient = regularizer.value_and_gradient(self.plan, theta)
            theta_bar = theta_bar + gradient
        return LossAndGradient(self.losses(), penalty, theta_bar.clone(), unknown_bar.clone())

    def load(self, theta: Tensor, coefficients: Tensor) -> None:
        self.parameters[: self.n_theta] = theta
        self.parameters[self.n_theta :] = coefficients

    def adam_step(self, settings: Tensor, milestones: Tensor, losses: Tensor, has_penalty: bool) -> None:
        """The second kernel."""
        schedule, back = self.schedule, self._back
        adam[(-(-self.size // UPDATE_BLOCK),)](
            self.parameters, self.moments, self.kept, self.partials, back.rows, back.factors, schedule.spans,
            schedule.scales, self.penalty, milestones, settings, losses, self.state,
            Q=self.size, ROW=self._kernel.row, SQUARES=self._kernel.row - 1,
            TERMS=0 if self.layout.reads_w else back.terms, N_LOSSES=self.n_losses, N_PROGRAMS=schedule.n_programs,
            N_MILESTONES=milestones.numel(), HAS_PENALTY=has_penalty, BLOCK=UPDATE_BLOCK, CHUNK=UPDATE_CHUNK,
            num_warps=4,
        )  # fmt: skip


def _with_unknown(back: Gather, n_packed: int, n_unknown: int) -> Gather:
    """The unknown coefficients' gradients follow the packed weights' in ``partials``, one entry each."""
    rows = back.rows.new_zeros(back.terms, n_unknown)
    rows[0] = torch.arange(n_packed, n_packed + n_unknown, dtype=rows.dtype, device=rows.device)
    factors = back.factors.new_zeros(back.terms, n_unknown)
    factors[0] = 1
    return Gather(torch.cat([back.rows, rows], 1).contiguous(), torch.cat([back.factors, factors], 1).contiguous())


def train(kernels: StepKernels, state: AdamState, steps: int, regularizer: Regularizer | None) -> TrainReport:
    """See `Backend.train`. Whatever ends it, ``state`` holds the last step done."""
    n_rows = kernels.n_losses + 1
    losses = state.theta.new_empty(steps, n_rows)
    if steps == 0:
        return TrainReport(losses.cpu(), None)
    _load(kernels, state)
    settings = torch.tensor(
        [state.lr, state.gamma, *state.betas, state.eps, state.step], dtype=torch.float64, device=losses.device
    )
    # At least one number: a pointer is needed even where nothing is read.
    milestones = torch.tensor(state.milestones, dtype=torch.int64, device=losses.device)

    def step() -> None:
        kernels.points_step(counts=True)
        has_penalty = kernels.other_gradients(regularizer)
        kernels.adam_step(settings, milestones, losses, has_penalty)

    start, failure = state.step, -1
    try:
        failure = _run(step, steps, kernels)
    finally:
        done, had_good = int(kernels.state[0]) - start, state.good is not None
        _unload(kernels, state, done, failed=failure >= 0 or int(kernels.state[1]) >= 0, had_good=had_good)
    if failure >= 0:
        return TrainReport(losses[: done - 1].cpu(), failure)
    return TrainReport(losses[:done].cpu(), None)


def _run(step: Callable[[], None], steps: int, kernels: StepKernels) -> int:
    """All steps, or those until a failure; its number or -1."""
    device = kernels.parameters.device
    if device.type != "cuda":
        for _ in range(steps):
            step()
            if int(kernels.state[1]) >= 0:
                break
        return int(kernels.state[1])
    done = min(steps, 2)
    for _ in range(done):
        step()  # compiles the kernels; nothing may be compiled while a graph is captured
    graph, size = None, min(GRAPH_STEPS, steps - done)
    if size > 1:
        torch.cuda.synchronize(device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(size):
                step()
    graphs_per_look = 1
    while done < steps:
        began = time.perf_counter()
        for _ in range(graphs_per_look):
            if graph is not None and steps - done >= size:
                graph.replay()
                done += size
            elif done < steps:
                step()
                done += 1
        if int(kernels.state[1]) >= 0:  # waits for the device: here Ctrl-C is served
            break
        seconds = time.perf_counter() - began
        graphs_per_look = max(1, min(2 * graphs_per_look, int(graphs_per_look * SLICE_SECONDS / max(seconds, 1e-6))))
    return int(kernels.state[1])


def _load(kernels: StepKernels, state: AdamState) -> None:
    kernels.load(state.theta, state.coefficients)
    kernels.moments[0], kernels.moments[1] = state.first_moment, state.second_moment
    kernels.state[0], kernels.state[1] = state.step, -1
    if state.good is not None:
        theta, coefficients, first, second = state.good
        kernels.kept[state.step % 2] = torch.stack([torch.cat([theta, coefficients]), first, second])


def _unload(kernels: StepKernels, state: AdamState, done: int, failed: bool, had_good: bool) -> None:
    """Back into the state. A failed step was counted but not done; what is good is the state before the step before."""
    n = kernels.n_theta
    state.step += done - failed
    if failed and done == 1 and not had_good:
        return  # the first step of all: nothing to go back to, nothing changed
    now = torch.cat([kernels.parameters[None], kernels.moments])
    if failed:
        now = kernels.kept[state.step % 2]
        state.step -= 1
        state.good = None
    elif done:
        kept = kernels.kept[state.step % 2]
        state.good = (kept[0, :n].clone(), kept[0, n:].clone(), kept[1].clone(), kept[2].clone())
    state.theta.copy_(now[0, :n])
    state.coefficients.copy_(now[0, n:])
    state.first_moment.copy_(now[1])
    state.second_moment.copy_(now[2])
