"""``psinn-fast profile``: where the time of a problem's operations goes, and which lines show more."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from ..kernels import BY_TRITON, at_work, check_compiler, get_backend
from ..kernels.contract import AdamState, Backend
from ..kernels.contract.precision import check_precision
from ..kernels.errors import InputError
from ..kernels.labels import PREFIX
from ..networks.mlp import PsiMLP
from ..problem.problem import Problem
from ..scaling.natural_units import as_trained
from ..training.points.point_orbits import one_point_per_orbit

# Calls of each operation that are timed, and once more while the profiler watches.
CALLS = 5
# Rows of a Jacobian at most: those of all points may take gigabytes.
JACOBIAN_ROWS = 1000
# Lines of a table.
MOST_LINES = 15
LR = 1e-3
TRAIN = "train, a step"
Work = dict[str, Callable[[], object]]


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
    on a CPU torch's operations and ours, each without what it calls."""

    device: str
    backend: str
    parameters: int
    points: int
    operations: tuple[Timed, ...]
    kernels: tuple[Timed, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def report(self) -> str:
        where = "kernels on the GPU" if self.device != "cpu" else "torch's operations and ours on the CPU"
        head = f"{self.parameters} parameters, {self.points:,} points, backend {self.backend}, {self.device}"
        return "\n".join(
            [head, "", *_table("operation (wall time, no profiler)", self.operations), "",
             *_table(f"{where} (by torch.profiler)", self.kernels)]
        )  # fmt: skip


def profiled(
    problem: Problem, net: PsiMLP, backend: str, precision: str, *, steps: int, trace: str | Path | None = None
) -> Profile:
    """Times what training and evaluation ask of a backend, as `fit` asks it: in natural units, a point per orbit.

    Compiling and recording of graphs come first and are not timed. ``trace``: a file for the timeline, in Chrome's
    format, which Perfetto shows.

    Raises:
        BackendUnavailable, BackendLimit: the backend cannot do it.
        InputError: ``trace`` cannot be written; a precision that networks of float64 do not have.
    """
    if trace is not None:  # known before the work, not after it
        try:
            Path(trace).touch()
        except OSError as error:
            raise InputError(f"trace: cannot write to {trace} ({error.strerror})") from error
    device = net.theta.device
    engine = get_backend(backend, device, check_precision(precision, net.theta.dtype))
    if engine.name in BY_TRITON:  # else Triton's interpreter would be timed
        check_compiler()
    work, points = _operations(problem, net, engine, steps)
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
    parts = {name: steps if name == TRAIN else 1 for name in work}
    operations = tuple(Timed(name, CALLS * parts[name], 1e6 * own / parts[name]) for name, own in seconds.items())
    kernels = on_gpu(watched.events()) if device.type == "cuda" else on_cpu(watched.key_averages())
    return Profile(str(device), at_work(engine), net.theta.numel(), points, operations, kernels)


def _operations(problem: Problem, net: PsiMLP, engine: Backend, steps: int) -> tuple[Work, int]:
    """What is timed, by name, and the number of points that all terms have."""
    problem = as_trained(problem, net, "auto")
    plan, theta = net.plan, net.theta.detach()
    like = theta.dtype, theta.device
    terms = one_point_per_orbit(problem, net, problem.terms(*like), engine)
    weights, coefficients = problem.weights(*like), problem.initial_coefficients(*like)
    state = AdamState(theta.clone(), coefficients.clone(), LR)
    largest = max(terms, key=lambda term: term.n_points if term.quadrature is None else 0)
    rows = slice(0, JACOBIAN_ROWS)
    x, channels = largest.points[0], largest.program.channels
    work: Work = {
        TRAIN: lambda: engine.train(plan, state, terms, weights, steps),
        "loss_and_gradient": lambda: engine.loss_and_gradient(plan, theta, coefficients, terms, weights),
        f"residual_jacobian, {min(JACOBIAN_ROWS, largest.n_points):,} points": lambda: engine.residual_jacobian(
            plan, theta, coefficients, largest, rows
        ),
        f"jets, {largest.n_points:,} points": lambda: engine.jets(plan, theta, x, channels),
    }
    return work, sum(term.n_points for term in terms)


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
