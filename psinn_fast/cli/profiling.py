"""``psinn-fast profile``: where the time of a problem's operations goes, and which lines show more."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from ..kernels import BY_TRITON, at_work, check_compiler, get_backend
from ..kernels.contract import AdamState, Backend, Term
from ..kernels.contract.precision import check_precision
from ..kernels.errors import InputError
from ..kernels.labels import PREFIX
from ..networks.mlp import PsiMLP
from ..pictures.flame import Whole, flame
from ..problem.problem import Problem
from ..scaling.natural_units import as_trained
from ..storage.files import writable_file
from ..symmetries.problem_symmetry import problem_symmetries
from ..training.points.point_orbits import one_point_per_orbit
from .advice import advice
from .step_parts import PYTHON, Parts, Spared, iteration_parts, step_parts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Calls of each operation that are timed, and once more while the profiler watches.
CALLS = 5
# Rows of a Jacobian at most: those of all points may take gigabytes.
JACOBIAN_ROWS = 1000
# What watching may be seen to add: it adds a hundredth, and what a busy machine takes comes to that.
CREDIBLE = 0.1
# Lines of a table.
MOST_LINES = 15
LR = 1e-3
TRAIN = "train, a step"
Work = dict[str, Callable[[], object]]
# What encloses the parts of a step.
GROUPS = {
    "through the network": ("points", "first layer", "products", "relations", "activations", "residuals"),
    "gradients": ("weight gradients", "sums"),
    "once a step": ("packing", "waiting", "reduction", "optimiser", PYTHON),
}


@dataclass(frozen=True)
class Timed:
    """``microseconds``: of one of the ``calls``; ``share``: of the table's time; None: of nothing."""

    name: str
    calls: int
    microseconds: float
    share: float | None = None


@dataclass(frozen=True)
class Profile:
    """What was timed. ``operations``: wall time, no profiler; ``kernels``: by the profiler, on a GPU what ran there,
    on a CPU torch's operations and ours, each without what it calls. ``step``: of training, by part, where the backend
    counts that; ``iteration``: of Gauss-Newton."""

    device: str
    backend: str
    parameters: int
    points: int
    operations: tuple[Timed, ...]
    kernels: tuple[Timed, ...]
    spared: Spared
    step: Parts | None = None
    iteration: Parts | None = None
    advice: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def report(self) -> str:
        where = "kernels on the GPU" if self.device != "cpu" else "torch's operations and ours on the CPU"
        head = f"{self.parameters} parameters, {self.points:,} points, backend {self.backend}, {self.device}"
        lines = [head, "", *_table("operation (wall time, no profiler)", self.operations), ""]
        if self.step is not None:
            lines += [*_parts_table("a step of training, by part", self.step), ""]
        if self.iteration is not None:
            lines += [*_parts_table("an iteration of Gauss-Newton, float64", self.iteration), ""]
        lines += [*self._spared(), *self.advice, ""]
        return "\n".join([*lines, *_table(f"{where} (by torch.profiler)", self.kernels)])

    def _spared(self) -> list[str]:
        (written, computed), (every, folded) = self.spared.multiplications, self.spared.points
        return [
            f"Multiplications per point and channel: {written} written out, {computed} computed (R, shared products).",
            f"Points: {every:,} given, {folded:,} computed (one of each orbit of the network's symmetry).",
        ]

    def flame(self) -> Figure:
        """A picture of ``step`` and ``iteration``.

        Raises:
            InputError: neither is there.
        """
        wholes: list[Whole] = []
        if self.step is not None:
            groups = {
                group: {name: self.step.seconds[name] for name in names if name in self.step.seconds}
                for group, names in GROUPS.items()
            }
            wholes.append(("a step of training", groups))
        if self.iteration is not None:
            parts = dict(sorted(self.iteration.seconds.items(), key=lambda item: -item[1]))
            wholes.append(("an iteration of Gauss-Newton", {"all": parts}))
        if not wholes:
            raise InputError(f"picture: backend {self.backend!r} does not say where a step's time goes")
        return flame(wholes)


def profiled(
    problem: Problem,
    net: PsiMLP,
    backend: str,
    precision: str,
    *,
    steps: int,
    trace: str | Path | None = None,
    iterations: bool = True,
) -> Profile:
    """Times what training and evaluation ask of a backend, as `fit` asks it: in natural units, a point per orbit.

    Compiling and recording of graphs come first and are not timed. ``trace``: a file for the timeline, in Chrome's
    format, which Perfetto shows. ``iterations``: whether those of Gauss-Newton are timed, too.

    Raises:
        BackendUnavailable, BackendLimit: the backend cannot do it.
        InputError: ``trace`` cannot be written; a precision that networks of float64 do not have.
    """
    if trace is not None:  # known before the work, not after it
        writable_file("trace", trace)
    device = net.theta.device
    engine = get_backend(backend, device, check_precision(precision, net.theta.dtype))
    if engine.name in BY_TRITON:  # else Triton's interpreter would be timed
        check_compiler()
    asked = _Asked.of(problem, net, engine)
    work = asked.work(steps)
    for run in work.values():
        run()
    seconds = {name: median(_seconds(run, device) for _ in range(CALLS)) for name, run in work.items()}
    if device.type == "cpu":  # what the profiler says of itself; on a GPU errors would be among it
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    with profile(activities=activities) as watched:
        for run in work.values():
            run()
        _finish(device)
    if trace is not None:
        watched.export_chrome_trace(str(trace))
    counts = {name: steps if name == TRAIN else 1 for name in work}
    operations = tuple(Timed(name, CALLS * counts[name], 1e6 * own / counts[name]) for name, own in seconds.items())
    kernels = on_gpu(watched.events()) if device.type == "cuda" else on_cpu(watched.key_averages())
    step = asked.step_parts(steps)
    iteration = iteration_parts(problem, net, backend) if iterations else None
    said = tuple(asked.advice(step)) if step is not None else ()
    names = str(device), at_work(engine)
    return Profile(*names, net.theta.numel(), asked.points, operations, kernels, asked.spared, step, iteration, said)


@dataclass(frozen=True)
class _Asked:
    """What training asks of a backend. ``every``: points before one of each orbit is taken."""

    problem: Problem
    net: PsiMLP
    engine: Backend
    terms: Sequence[Term]
    every: int

    @classmethod
    def of(cls, problem: Problem, net: PsiMLP, engine: Backend) -> _Asked:
        problem = as_trained(problem, net, "auto")
        given = problem.terms(net.theta.dtype, net.theta.device)
        terms = one_point_per_orbit(problem, net, given, engine)
        return cls(problem, net, engine, terms, sum(term.n_points for term in given))

    @property
    def points(self) -> int:
        return sum(term.n_points for term in self.terms)

    @property
    def spared(self) -> Spared:
        plan = self.net.plan
        computed = sum(layer.multiplications for layer in plan.layers)
        return Spared((sum(plan.expanded_multiplications), computed), (self.every, self.points))

    def _state(self) -> AdamState:
        like = self.net.theta.dtype, self.net.theta.device
        return AdamState(self.net.theta.detach().clone(), self.problem.initial_coefficients(*like).clone(), LR)

    def _weights(self) -> torch.Tensor:
        return self.problem.weights(self.net.theta.dtype, self.net.theta.device)

    def step_parts(self, steps: int) -> Parts | None:
        return step_parts(self.engine, self.net.plan, self._state(), self.terms, self._weights(), steps)

    def advice(self, step: Parts) -> list[str]:
        net = self.net
        symmetries = (
            sum(found.verdict == "holds" and found.text != "identity" for found in problem_symmetries(self.problem))
            if net.structure.is_dense
            else 0
        )
        is_float64 = net.theta.dtype == torch.float64
        return advice(step, self.spared, symmetries, net.structure.is_dense, is_float64, torch.get_num_threads())

    def work(self, steps: int) -> Work:
        """What is timed, by name."""
        engine, plan, theta, terms, weights = (
            self.engine,
            self.net.plan,
            self.net.theta.detach(),
            self.terms,
            self._weights(),
        )
        state, largest = (
            self._state(),
            max(self.terms, key=lambda term: term.n_points if term.quadrature is None else 0),
        )
        coefficients, rows = state.coefficients.clone(), slice(0, JACOBIAN_ROWS)
        x, channels = largest.points[0], largest.program.channels
        return {
            TRAIN: lambda: engine.train(plan, state, terms, weights, steps),
            "loss_and_gradient": lambda: engine.loss_and_gradient(plan, theta, coefficients, terms, weights),
            f"residual_jacobian, {min(JACOBIAN_ROWS, largest.n_points):,} points": lambda: engine.residual_jacobian(
                plan, theta, coefficients, largest, rows
            ),
            f"jets, {largest.n_points:,} points": lambda: engine.jets(plan, theta, x, channels),
        }


def _seconds(run: Callable[[], object], device: torch.device) -> float:
    _finish(device)
    started = time.perf_counter()
    run()
    _finish(device)
    return time.perf_counter() - started


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def on_gpu(events: Iterable[Any]) -> tuple[Timed, ...]:
    """Kernels and copies by name, those of recorded graphs too, from the profiler's events."""
    by_name: dict[str, list[float]] = {}
    for event in events:
        # Labels are shown on the GPU's side as well, around what ran for them.
        if event.device_type == DeviceType.CUDA and not event.name.startswith(PREFIX):
            by_name.setdefault(event.name, []).append(event.time_range.elapsed_us())
    return _shared((name, len(times), sum(times)) for name, times in by_name.items())


def on_cpu(averages: Iterable[Any]) -> tuple[Timed, ...]:
    """torch's operations and ours, each without those that it calls."""
    return _shared((event.key, event.count, event.self_cpu_time_total) for event in averages)


def _shared(found: Iterable[tuple[str, int, float]]) -> tuple[Timed, ...]:
    """From (name, calls, microseconds of all of them), the longest first."""
    rows = sorted(found, key=lambda row: -row[2])
    total = sum(row[2] for row in rows) or 1.0
    return tuple(Timed(name, calls, spent / calls, spent / total) for name, calls, spent in rows)


def _table(title: str, rows: Sequence[Timed]) -> list[str]:
    heads = "share" if any(row.share is not None for row in rows) else ""
    lines = [f"{title:56}{'calls':>8}{'us a call':>12}{heads:>8}".rstrip()]
    for row in rows[:MOST_LINES]:
        share = "" if row.share is None else f"{row.share:.1%}"
        lines.append(f"{row.name[:55]:56}{row.calls:>8}{row.microseconds:>12.1f}{share:>8}".rstrip())
    left = len(rows) - MOST_LINES
    return [*lines, f"and {left} more"] if left > 0 else lines


def _parts_table(title: str, parts: Parts) -> list[str]:
    rows = sorted(parts.seconds.items(), key=lambda item: -item[1])
    head = f"{title:56}{'us':>20}{'share':>8}"
    lines = [f"{name:56}{1e6 * own:>20.1f}{own / parts.total:>8.1%}" for name, own in rows if own > 0]
    last = [f"{'all':56}{1e6 * parts.total:>20.1f}"]
    if parts.share_of_peak is not None:
        last.append(f"Products alone run at {parts.share_of_peak:.0%} of this machine's multiply-adds.")
        added = f"Watching added {parts.overhead:+.1%} to the time of a step"
        doubt = "" if abs(parts.overhead) <= CREDIBLE else ", which it cannot: the machine is busy, measure again"
        last.append(f"{added}{doubt}.")
    return [head, *lines, *last]


def further(network: str, device: torch.device) -> list[str]:
    """The lines that show more of a kernel; ``network``: problem and network as `psinn-fast solve` takes them."""
    chip = "{}{}".format(*torch.cuda.get_device_capability(device)) if device.type == "cuda" else "89"
    run = f"psinn-fast solve {network} --device cuda --optimizer adam --quiet"
    return [
        "what the first kernel of a step waits for, by Nsight Compute:",
        "  ncu --set full --graph-profiling node --kernel-name 'regex:^psinn_(loss|jet|adjoint)' --launch-skip 2"
        f" --launch-count 1 --kill yes --export psinn {run} --steps 10",
        "the timeline, by Nsight Systems:",
        f"  nsys profile --trace cuda,nvtx --cuda-graph-trace node --output psinn {run} --steps 2000",
        "which resource should bind in layers up to 64 wide, by the model, without a GPU, in a checkout of psinn_fast:",
        f"  python -m bench.static.own {network} --chips {chip}",
    ]
