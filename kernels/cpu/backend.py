"""The CPU backend: fused C++ kernels."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..contract.adam import AdamState
from ..contract.base import Backend
from ..contract.operations import LossAndGradient, PulledBack, Term, TrainReport
from ..contract.precision import IEEE
from ..contract.remembered import OfPoints
from ..contract.watching import Watched
from ..language.activations import ACTIVATIONS
from ..language.channels import MAX_INPUTS, ChannelSet
from ..language.closed_form import ClosedForm
from ..language.regularizer import Regularizer
from ..memory import readable
from ..network.plan import Plan
from ..network.wiring import WIRINGS
from ..reference.differentiable import point_gradient
from .extension import chosen_instruction_set, loaded, why_not
from .packing import is_embedded, packed_channels, packed_penalty, packed_plan, packed_program

# Steps without a look at Ctrl-C.
SLICE_SECONDS = 0.2
# For which the machine's multiply-adds are measured.
PEAK_SECONDS = 0.05


class CpuBackend(Backend, is_checked=False):
    """C++ on the CPU. See `psinn_fast.kernels.contract.Backend` for what each operation takes and gives.

    Uses up to ``torch.get_num_threads()`` threads, as many as it measures to be quickest. That number alone says in
    which parts sums are made: with the same number the same call gives the same bits.

    Args:
        isa: an instruction set; None takes the best, or what PSINN_FAST_ISA says.
    """

    name = "cpu"
    device_types = ("cpu",)
    # What the arrays in src/engine.h and src/tile.h hold; a width beyond this is a slip.
    widest, deepest, most_channels = 4096, 64, 85
    activations = tuple(ACTIVATIONS)
    most_inputs = MAX_INPUTS
    takes_embeddings = True
    wirings = WIRINGS

    def __init__(self, isa: str | None = None) -> None:
        self._isa = isa

    def unavailable(self) -> str | None:
        return why_not()

    def products(self, dtype: torch.dtype, device: torch.device) -> str:
        return IEEE

    @contextmanager
    def watched(self, dtype: torch.dtype) -> Iterator[Watched]:
        module, found = loaded(), Watched()
        watch = module.Watch()
        watch.start()
        try:
            yield found
        finally:
            watch.stop()
            found.seconds, found.steps = watch.seconds()
            peak = module.peak_float32 if dtype == torch.float32 else module.peak_float64
            isa = module.isa(self._isa or chosen_instruction_set())
            found.multiply_adds_per_second = peak(isa, torch.get_num_threads(), PEAK_SECONDS)

    def _jets(self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> Tensor:
        engine = self._engine(theta, plan)
        theta, x = readable(theta), readable(x)
        out = theta.new_empty(x.shape[0], len(channels), plan.d_out)
        if x.shape[0]:
            points, keep = _points(plan, x[None], channels)
            engine("jets", packed_channels(channels), theta.data_ptr(), points, out.data_ptr())
            del keep
        return out

    def _jets_backward(
        self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet, grad: Tensor, need_x: bool
    ) -> tuple[Tensor, Tensor | None]:
        engine = self._engine(theta, plan)
        theta, x, grad = readable(theta), readable(x), readable(grad)
        theta_bar, x_bar = torch.zeros_like(theta), None
        if need_x:
            x_bar = point_gradient(plan, theta, x, channels, grad) if is_embedded(plan) else torch.zeros_like(x)
        if x.shape[0]:
            points, keep = _points(plan, x[None], channels)
            engine(
                "jets_backward", packed_channels(channels), theta.data_ptr(), points, grad.data_ptr(),
                theta_bar.data_ptr(), 0 if x_bar is None or is_embedded(plan) else x_bar.data_ptr(),
            )  # fmt: skip
            del keep
        return theta_bar, x_bar

    def _loss_and_gradient(
        self,
        plan: Plan,
        theta: Tensor,
        coefficients: Tensor,
        terms: Sequence[Term],
        weights: Tensor,
        regularizer: Regularizer | None,
    ) -> LossAndGradient:
        engine = self._engine(theta, plan)
        theta, coefficients = readable(theta), readable(coefficients)
        native_terms, keep = _terms(plan, terms, weights)
        losses, penalty = theta.new_empty(len(terms)), theta.new_empty(())
        theta_bar, coefficients_bar = torch.empty_like(theta), torch.empty_like(coefficients)
        engine(
            "loss_and_gradient", native_terms, theta.data_ptr(), coefficients.data_ptr(), coefficients.numel(),
            packed_penalty(regularizer, plan), losses.data_ptr(), penalty.data_ptr(), theta_bar.data_ptr(),
            coefficients_bar.data_ptr(),
        )  # fmt: skip
        del keep
        return LossAndGradient(losses, penalty, theta_bar, coefficients_bar)

    def _train(
        self,
        plan: Plan,
        state: AdamState,
        terms: Sequence[Term],
        weights: Tensor,
        steps: int,
        regularizer: Regularizer | None,
    ) -> TrainReport:
        engine = self._engine(state.theta, plan)
        losses = state.theta.new_empty(steps, len(terms) + 1)
        if steps == 0:
            return TrainReport(losses, None)
        native_terms, keep = _terms(plan, terms, weights)
        penalty = packed_penalty(regularizer, plan)
        is_first = state.good is None
        if is_first:
            state.keep_good()  # makes room
        # One number that the kernel keeps: steps done, right whatever interrupts them.
        start, count, failure = state.step, array("q", [0]), -1
        row_bytes = losses.element_size() * losses.shape[1]
        try:
            with _in_place(state) as pointers:
                # Back in Python after each slice: signals are served there.
                while (done := count[0]) < steps and failure < 0:
                    failure = engine(
                        "train", native_terms, pointers, state.coefficients.numel(),
                        (state.lr, state.gamma, *state.betas, state.eps), list(state.milestones), start + done, penalty,
                        steps - done, SLICE_SECONDS, losses.data_ptr() + done * row_bytes, count.buffer_info()[0],
                    )  # fmt: skip
        finally:
            done = count[0]
            state.step = start + done
            if is_first and not done:
                state.good = None
        del keep
        if failure >= 0:
            state.restore_good()
        return TrainReport(losses[:done].clone() if done < steps else losses, failure if failure >= 0 else None)

    def _residuals_backward(
        self, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term, s: Tensor, need_x: bool, need_r: bool
    ) -> PulledBack:
        if need_x and is_embedded(plan):
            return super()._residuals_backward(plan, theta, coefficients, term, s, need_x, need_r)
        engine = self._engine(theta, plan)
        theta, coefficients, s = readable(theta), readable(coefficients), readable(s)
        (native_term,), keep = _terms(plan, [term], theta.new_ones(1))
        theta_bar, coefficients_bar = torch.empty_like(theta), torch.empty_like(coefficients)
        x_bar = torch.empty_like(term.points, memory_format=torch.contiguous_format) if need_x else None
        r = theta.new_empty(term.n_points, term.program.n_residuals) if need_r else None
        engine(
            "residuals_backward", native_term, theta.data_ptr(), coefficients.data_ptr(), coefficients.numel(),
            s.data_ptr(), theta_bar.data_ptr(), coefficients_bar.data_ptr(), 0 if x_bar is None else x_bar.data_ptr(),
            0 if r is None else r.data_ptr(),
        )  # fmt: skip
        del keep
        return PulledBack(theta_bar, coefficients_bar, x_bar, r)

    def _residual_jacobian(self, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term) -> tuple[Tensor, Tensor]:
        engine = self._engine(theta, plan)
        theta, coefficients = readable(theta), readable(coefficients)
        columns, n, m = readable(term.columns), term.n_points, term.program.n_residuals
        points, keep = _points(plan, term.points, term.program.channels)
        residuals = theta.new_empty(n, m)
        jacobian = theta.new_empty(n, m, plan.n_parameters + coefficients.numel())
        engine(
            "jacobian", packed_program(term.program), theta.data_ptr(), coefficients.data_ptr(),
            coefficients.numel(), points, columns.data_ptr(), residuals.data_ptr(), jacobian.data_ptr(),
        )  # fmt: skip
        del keep
        return residuals, jacobian

    def _add_gram(self, gram: Tensor, jacobian: Tensor, r: Tensor) -> None:
        if readable(gram) is not gram:  # the kernel adds to memory
            super()._add_gram(gram, jacobian, r)
            return
        module, (rows, n) = loaded(), jacobian.shape
        jacobian, r = readable(jacobian), readable(r)
        name = "gram_float32" if jacobian.dtype == torch.float32 else "gram_float64"
        getattr(module, name if gram.dtype == jacobian.dtype else f"{name}_in_float64")(
            module.isa(self._isa or chosen_instruction_set()), torch.get_num_threads(), jacobian.data_ptr(),
            r.data_ptr(), rows, n, gram.data_ptr(),
        )  # fmt: skip

    def _engine(self, theta: Tensor, plan: Plan) -> Any:
        """operation(name, arguments...) for theta's dtype."""
        module = loaded()
        suffix = "_float32" if theta.dtype == torch.float32 else "_float64"
        fixed = packed_plan(plan), module.isa(self._isa or chosen_instruction_set()), torch.get_num_threads()

        def call(operation: str, *arguments: Any) -> Any:
            return getattr(module, operation + suffix)(*fixed, *arguments)

        return call


class _in_place:
    """Addresses of a state's tensors; those that cannot be written to as they are are copied and written back."""

    def __init__(self, state: AdamState) -> None:
        assert state.good is not None
        self._tensors = [state.theta, state.coefficients, state.first_moment, state.second_moment, *state.good]
        self._flat = [readable(tensor) for tensor in self._tensors]

    def __enter__(self) -> list[int]:
        return [tensor.data_ptr() for tensor in self._flat]

    def __exit__(self, *_: object) -> None:
        for tensor, flat in zip(self._tensors, self._flat, strict=True):
            if flat is not tensor and flat.data_ptr() != tensor.data_ptr():
                tensor.copy_(flat)
            elif not tensor.is_inference():
                # A graph that still needs the old numbers must notice.
                torch.autograd.graph.increment_version(tensor)


_FEATURES = OfPoints()
# Addresses of coordinates and features, and how many points there are.
_Points = tuple[int, int, int]


def _terms(
    plan: Plan, terms: Sequence[Term], weights: Tensor
) -> tuple[list[tuple[Any, _Points, int, float]], list[Tensor]]:
    """The terms for the extension, and the tensors that must live as long as it runs."""
    result, keep = [], []
    for term, weight in zip(terms, weights.tolist(), strict=True):
        columns = readable(term.columns)
        points, own = _points(plan, term.points, term.program.channels)
        keep += [*own, columns]
        result.append((packed_program(term.program), points, columns.data_ptr(), weight))
    return result, keep


def _points(plan: Plan, given: Tensor, channels: ChannelSet) -> tuple[_Points, list[Tensor]]:
    """Points (n_sites, N, d) for the extension, and the tensors that must live as long as it runs."""
    points = readable(given)
    if not is_embedded(plan):
        return (points.data_ptr(), 0, points.shape[1]), [points]
    embedding = plan.embedding or ClosedForm.identity(plan.d_in)

    def made() -> Tensor:
        jets = [embedding.jets(own.double(), channels) for own in points]
        return torch.stack([own.permute(2, 0, 1) for own in jets]).to(points.dtype).contiguous()

    features = _FEATURES((embedding, channels), points, made)
    return (points.data_ptr(), features.data_ptr(), points.shape[1]), [points, features]
