"""Operations 3 and 4: losses with gradients, and Adam steps of two launches, many of them in one CUDA graph."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..contract import AdamState, LossAndGradient, TrainReport
from ..errors import InputError
from ..labels import label
from ..language.regularizer import Regularizer
from ..network.plan import Plan
from .functions import IS_INTERPRETED
from .point_kernel import Gather
from .rates import step_rates
from .update import DONE, FAILURE, STEP, adam, collect

# The host looks after each slice of steps; between the graphs of one there is no synchronisation.
SLICE_SECONDS = 0.2
# Steps that the tables of rates and losses have rows for, at least. Calls of few steps use them one after the other:
# most of them have nothing to send to the device, which the host would wait for.
LEAST_ROOM = 4096
# Rows of partial gradients that the second kernel sums at once: many, since what costs is to wait for memory again and
# again. In the interpreter programs run one after another.
UPDATE_CHUNK = 64 if IS_INTERPRETED.value else 256


class PointsOfStep(Protocol):
    """The first half of a step: losses and gradients of all terms, at weights that lie on the device.

    Attributes:
        graph_steps: how many steps go into one CUDA graph.
        update_block: parameters per program of the second kernel.
        n_programs, row: the shape of ``partials``, whose last column has sums of squared residuals.
        owners: (n_programs,), the term of each row; scales: (T,), 1 / number of points.
        back: R^T, from the other columns to the parameters.
        scatter, tiles: where the second kernel writes the parameters for the first one.
        is_summed_by_torch: gradients are what `summed` gives, not R^T of ``partials``; tiles are written by `run`.
    """

    graph_steps: int
    update_block: int
    n_programs: int
    row: int
    owners: Tensor
    scales: Tensor
    back: Gather
    scatter: Gather
    tiles: Tensor
    is_summed_by_torch: bool

    def weigh(self, weights: Tensor) -> None:
        """Take these weights (T,) from now on."""
        ...

    def refresh(self) -> bool:
        """Follow points that were changed; whether their memory is another one now, which graphs do not know."""
        ...

    def prepare(self, theta: Tensor) -> None:
        """Write tiles, if it is not `run` that does."""
        ...

    def run(self, theta: Tensor, unknown: Tensor, partials: Tensor, state: Tensor) -> None:
        """Write ``partials``, and count the step in ``state`` (update.py)."""
        ...

    def summed(self, partials: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients for theta and the unknown coefficients, after `run`."""
        ...


class StepKernels:
    """What the steps of one loss need: kernels, tables, buffers, CUDA graphs; made once per plan and terms.

    Graphs remember addresses: every tensor that a step touches stays where it is. ``parameters`` holds theta and the
    unknown coefficients in one tensor, ``state`` is described in update.py; ``_counters`` are its numbers, where the
    host knows them. Tensors are copied on the device in every call, whoever changed them; numbers are sent there, and
    waited for, only where they are others than those of the call before.
    """

    def __init__(self, plan: Plan, points: PointsOfStep, like: Tensor, n_unknown: int) -> None:
        self.plan, self.points = plan, points
        self.n_theta, self.n_unknown = plan.n_parameters, n_unknown
        self.size = self.n_theta + n_unknown
        self.n_losses = points.scales.numel()
        self.parameters = like.new_zeros(self.size)
        self._unknown = self.parameters[self.n_theta :]
        self.moments = like.new_zeros(2, self.size)
        self.kept = like.new_zeros(2, 3, self.size)
        self.partials = like.new_zeros(points.n_programs, points.row)
        # Value and gradient of what neither ``partials`` nor the second kernel have.
        self.others = like.new_zeros(1 + self.size)
        self.state = torch.zeros(4, dtype=torch.int64, device=like.device)
        self.settings = like.new_zeros(5)
        self.rates, self.history = like.new_empty(0, 2), like.new_empty(0, self.n_losses + 1)
        self._counters: list[int] | None = None
        self._given_settings: tuple[float, ...] | None = None
        # What ``rates`` were made from, and the step of their first row, which is that of ``history`` too.
        self._rated: tuple[object, ...] | None = None
        self._first = 0
        self._graphs: dict[tuple[Regularizer | None, int], Callable[[], None]] = {}
        self._compiled: set[Regularizer | None] = set()
        self._slice_steps = points.graph_steps
        self._n_layers, self._n_blocks = len(plan.weight_slices), -(-self.size // points.update_block)
        self._layers = self._layer_of_parameters()
        self.sizes = like.new_zeros(2, self._n_blocks, self._n_layers)

    def loss_and_gradient(
        self, theta: Tensor, coefficients: Tensor, weights: Tensor, regularizer: Regularizer | None
    ) -> LossAndGradient:
        self._refresh()
        self._counters = None  # the kernel counts this as a step
        self.points.weigh(weights)
        self._unknown.copy_(coefficients)  # where `train` reads them: another alignment would be compiled anew
        self.points.prepare(theta)
        self._points_step(theta)
        losses, gradient = theta.new_empty(self.n_losses), theta.new_empty(self.size)
        points = self.points
        collect[(self._n_blocks,)](
            self.partials, points.back.rows, points.back.factors, points.owners, points.scales, losses, gradient,
            **self._constants(),
        )  # fmt: skip
        theta_bar, unknown_bar = gradient.tensor_split([self.n_theta])
        if points.is_summed_by_torch:
            theta_bar, unknown_bar = points.summed(self.partials)
        penalty = theta.new_zeros(())
        if regularizer is not None:
            penalty, slope = regularizer.value_and_gradient(self.plan, theta)
            theta_bar = theta_bar + slope
        return LossAndGradient(losses, penalty, theta_bar, unknown_bar)

    def train(self, state: AdamState, weights: Tensor, steps: int, regularizer: Regularizer | None) -> TrainReport:
        """See `Backend.train`. Whatever ends it, ``state`` holds the last step done."""
        check_no_capture(self.parameters.device)
        self._load(state, steps, regularizer)
        self.points.weigh(weights)
        try:
            self._run(steps, regularizer)
        finally:
            report = self._unload(state)
        return report

    def _run(self, steps: int, regularizer: Regularizer | None) -> None:
        """All steps, or a few more than those until a failure, after which kernels do nothing."""
        self._counters = None
        if regularizer not in self._compiled:
            self._step(regularizer)  # nothing may be compiled while a graph is captured
            self._compiled.add(regularizer)
            steps -= 1
        while steps > 0:
            began = time.perf_counter()
            left = min(steps, self._slice_steps)
            steps -= left
            self._counters = None
            while left:
                size = self.points.graph_steps if left >= self.points.graph_steps else 1
                replay = self._graph(regularizer, size)
                with label(f"graph of {size} steps"):
                    replay()
                left -= size
            if self._look()[FAILURE.value] >= 0:  # waits for the device: here Ctrl-C is served
                return
            share = SLICE_SECONDS / max(time.perf_counter() - began, 1e-6)
            self._slice_steps = max(self.points.graph_steps, int(self._slice_steps * min(share, 2)))

    def _look(self) -> list[int]:
        """The numbers of ``state``; waits for all steps under way, unless they are known."""
        if self._counters is None:
            self._counters = [int(number) for number in read(self.state).tolist()]
        return self._counters

    def _load(self, state: AdamState, steps: int, regularizer: Regularizer | None) -> None:
        """Buffers as the state says, with rows of rates and losses for ``steps`` more."""
        self._refresh()
        self._make_room(state, steps)
        counters = [state.step, -1, state.step, self._first]
        if self._counters != counters:
            self._counters = None
            self.state.copy_(sent(counters, self.state))
            self._counters = counters
        beta1, beta2 = state.betas
        settings = 1 - beta1, beta2, 1 - beta2, state.eps, regularizer.strength if regularizer else 0.0
        if self._given_settings != settings:
            self._given_settings = None
            self.settings.copy_(sent(settings, self.settings))
            self._given_settings = settings
        torch.cat([state.theta, state.coefficients], out=self.parameters)
        torch.cat([state.first_moment, state.second_moment], out=self.moments.view(-1))
        if kind := _kind(regularizer):
            self.sizes[(state.step + 1) % 2] = self._sizes(kind)
        self.points.prepare(self.parameters[: self.n_theta])
        if state.good is not None:
            torch.cat(state.good, out=self.kept[state.step % 2].view(-1))

    def _make_room(self, state: AdamState, steps: int) -> None:
        """In the tables of rates and losses, from row ``state.step - self._first`` on."""
        rated = state.lr, state.gamma, tuple(state.milestones), tuple(state.betas)
        room = self.history.shape[0]
        if self._rated == rated and self._first <= state.step <= self._first + room - steps:
            return
        if room < steps:
            room = max(LEAST_ROOM, 1 << (steps - 1).bit_length())
            self.rates, self.history = self.rates.new_empty(room, 2), self.history.new_empty(room, self.n_losses + 1)
            self._graphs.clear()
        self._rated = None
        self.rates.copy_(sent(step_rates(state, room), self.rates))
        self._rated, self._first = rated, state.step

    def _unload(self, state: AdamState) -> TrainReport:
        """Into the state: the last step done or, after a failure, the one before it, whose losses were good."""
        start, counters = state.step, self._look()
        failure, done, row = counters[FAILURE.value], counters[DONE.value], start - self._first
        if failure >= 0:
            # Blocks with a good gradient may have counted the failed step.
            done = counters[STEP.value] - 1
            if done > start or state.good is not None:
                kept = self.kept[done % 2]
                self._put(state, kept[0], kept[1:])
                state.step, state.good = done - 1, None
            return TrainReport(read(self.history[row : row + done - start]), failure)
        if done > start:
            self._put(state, self.parameters, self.moments)
            state.step, n, kept = done, self.n_theta, self.kept[done % 2].clone()
            state.good = kept[0, :n], kept[0, n:], kept[1], kept[2]
        return TrainReport(read(self.history[row : row + done - start]), None)

    def _put(self, state: AdamState, parameters: Tensor, moments: Tensor) -> None:
        state.theta.copy_(parameters[: self.n_theta])
        state.coefficients.copy_(parameters[self.n_theta :])
        state.first_moment.copy_(moments[0])
        state.second_moment.copy_(moments[1])

    def _graph(self, regularizer: Regularizer | None, steps: int) -> Callable[[], None]:
        """Does so many steps."""
        key = regularizer, steps
        if key not in self._graphs:

            def work() -> None:
                for _ in range(steps):
                    self._step(regularizer)

            self._graphs[key] = captured(work, self.parameters.device)
        return self._graphs[key]

    def _step(self, regularizer: Regularizer | None) -> None:
        """Two launches; with "growl", and where w is not linear in theta, some of torch's between them."""
        self._points_step(self.parameters[: self.n_theta])
        has_others = self._other_gradients(regularizer)
        points = self.points
        adam[(self._n_blocks,)](
            self.parameters, self.moments, self.kept, self.partials, points.back.rows, points.back.factors,
            points.owners, points.scales, self.others, self._layers, self.sizes, self.settings, self.rates,
            self.history, self.state, points.tiles, points.scatter.rows, points.scatter.factors, **self._constants(),
            COPIES=0 if points.is_summed_by_torch else points.scatter.terms, HAS_OTHERS=has_others,
            KIND=_kind(regularizer), LAYERS=self._n_layers, BLOCKS=self._n_blocks,
        )  # fmt: skip

    def _constants(self) -> dict[str, int]:
        points = self.points
        return {
            "Q": self.size,
            "ROW": points.row,
            "SQUARES": points.row - 1,
            "TERMS": 0 if points.is_summed_by_torch else points.back.terms,
            "N_LOSSES": self.n_losses,
            "PADDED": 1 << (self.n_losses - 1).bit_length(),
            "N_PROGRAMS": points.n_programs,
            "BLOCK": points.update_block,
            "CHUNK": min(UPDATE_CHUNK, 1 << (points.n_programs - 1).bit_length()),
            "num_warps": 4,
        }

    def _points_step(self, theta: Tensor) -> None:
        """The first kernel: partial losses and gradients. Tiles are those of theta: the second kernel sees to that."""
        unknown = self._unknown if self.n_unknown else self.parameters
        self.points.run(theta, unknown, self.partials, self.state)

    def _other_gradients(self, regularizer: Regularizer | None) -> bool:
        """What Adam adds to the gradient in ``partials``, by torch: "growl", and everything where w is not linear."""
        by_torch = regularizer is not None and not _kind(regularizer)
        if not by_torch and not self.points.is_summed_by_torch:
            return False
        self.others.zero_()
        if regularizer is not None and by_torch:
            value, gradient = regularizer.value_and_gradient(self.plan, self.parameters[: self.n_theta])
            self.others[0] = value
            self.others[1 : 1 + self.n_theta] = gradient
        if self.points.is_summed_by_torch:
            theta_bar, unknown_bar = self.points.summed(self.partials)
            self.others[1 : 1 + self.n_theta] += theta_bar
            self.others[1 + self.n_theta :] = unknown_bar
        return True

    def _layer_of_parameters(self) -> Tensor:
        """(Q,): whose penalty a parameter has a part in; the number of layers for biases and unknown coefficients."""
        found = torch.full((self.size,), self._n_layers, dtype=torch.int32, device=self.parameters.device)
        for layer, part in enumerate(self.plan.weight_slices):
            found[part] = layer
        return found

    def _sizes(self, kind: str) -> Tensor:
        """(blocks, layers): what `adam` leaves for the next step, at the parameters as they are."""
        size = self.parameters.square() if kind == "l2" else self.parameters.abs()
        found = size.new_zeros(self._n_blocks, self._n_layers + 1)
        block = torch.arange(self.size, device=size.device) // self.points.update_block
        # The last column has what no penalty counts.
        return found.index_put_((block, self._layers.long()), size, accumulate=True)[:, :-1]

    def _refresh(self) -> None:
        if self.points.refresh():
            self._graphs.clear()


def sent(numbers: Sequence[float] | npt.NDArray[np.float64], like: Tensor) -> Tensor:
    """On the device; the host waits for it."""
    return torch.as_tensor(numbers, dtype=like.dtype).to(like.device)


def read(tensor: Tensor) -> Tensor:
    """On the host, which waits for the device."""
    return tensor.to("cpu", copy=True)


def check_no_capture(device: torch.device) -> None:
    """
    Raises:
        InputError: this thread records a CUDA graph of its own, in which the host cannot wait for the device.
    """
    if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
        raise InputError(
            "train: it records CUDA graphs itself, and cannot be part of another one; call it outside of "
            "torch.cuda.graph(...)"
        )


# A capture begins with waiting for the device, which is forbidden while another thread captures.
_CAPTURING = threading.Lock()


def captured(work: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """``work`` as one CUDA graph, to be launched at once; in the interpreter, itself."""
    if device.type != "cuda":
        return work
    with _CAPTURING:
        return _captured(work, device)


def _captured(work: Callable[[], None], device: torch.device) -> Callable[[], None]:
    graph = torch.cuda.CUDAGraph()
    # torch leaves Stream without types.
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    # Other threads may go on allocating memory meanwhile.
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        work()
    return graph.replay


def _kind(regularizer: Regularizer | None) -> str:
    """Of the penalty, if the second kernel computes it; "growl" sorts, which is torch's."""
    return regularizer.kind if regularizer is not None and regularizer.kind != "growl" else ""
