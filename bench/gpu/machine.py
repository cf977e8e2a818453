"""The machine: chip, driver, versions; what its arithmetic and memory can do at most; what a launch costs."""

from __future__ import annotations

import subprocess
from functools import partial
from importlib import metadata

import torch

from bench.environment import environment

from .clock import finish, seconds_of, time_blocks
from .fma import MultiplyAdds
from .lines import Row
from .settings import Settings, Task
from .timing import spread

COPY_BYTES = 1 << 30
SEEN = "name,driver_version,clocks.max.sm,clocks.max.mem,power.limit,memory.total"
LAUNCHES = 1000


def tasks(settings: Settings) -> list[Task]:
    return [
        Task("environment", lambda _: _environment(settings)),
        Task("multiply-adds", lambda _: _multiply_adds(settings)),
        Task("copy", lambda _: _copy(settings)),
        Task("launch", lambda _: _launch(settings)),
    ]


def _environment(settings: Settings) -> Row:
    row = {**environment(), "triton": metadata.version("triton"), "jax": _version("jax"), "device": settings.device}
    if settings.device == "cpu":
        return row
    found = torch.cuda.get_device_properties(0)
    row["chip"] = {
        "name": found.name,
        "capability": f"sm_{found.major}{found.minor}",
        "processors": found.multi_processor_count,
        "memory_bytes": found.total_memory,
        "l2_bytes": found.L2_cache_size,
    }
    row["cuda"] = torch.version.cuda
    row["driver"] = _nvidia_smi()
    return row


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _nvidia_smi() -> dict[str, str] | str:
    """What the driver says of the first chip. Nothing is changed."""
    command = ["nvidia-smi", f"--query-gpu={SEEN}", "--format=csv,noheader", "--id=0"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return f"not known: {type(error).__name__}"
    return dict(zip(SEEN.split(","), map(str.strip, done.stdout.split(",")), strict=False))


def multiply_adds(settings: Settings) -> MultiplyAdds:
    """Four programs of eight warps on every processor, all of them at once: no tail. Milliseconds."""
    if settings.quick:
        return MultiplyAdds(settings.device, 2, 2)
    return MultiplyAdds(settings.device, 4 * torch.cuda.get_device_properties(0).multi_processor_count, 2048)


def _multiply_adds(settings: Settings) -> Row:
    kernel = multiply_adds(settings)
    kernel.steps(1)
    finish(settings)
    error = kernel.error()
    if not error < 1e-4:
        raise ArithmeticError(f"the multiply-adds are wrong by {error:.1e} (relative)")
    seconds = time_blocks({"": kernel}, settings)[""]
    return {"multiply_adds_per_second": spread(kernel.per_step / seconds), "error": error}


class Copy:
    def __init__(self, settings: Settings) -> None:
        self.size = 1 << 16 if settings.quick else COPY_BYTES
        # Not zeros: some chips move those faster.
        self._source = torch.randint(256, (self.size,), dtype=torch.uint8, device=settings.device)
        self._target = torch.empty_like(self._source)

    def steps(self, count: int) -> None:
        for _ in range(count):
            self._target.copy_(self._source)


def _copy(settings: Settings) -> Row:
    copy = Copy(settings)
    seconds = time_blocks({"": copy}, settings)[""]
    return {"bytes_per_second": spread(2 * copy.size / seconds), "counted": "bytes read and written"}


class Launches:
    """A tiny kernel, launched from Python one by one; or the same launches replayed as a CUDA graph."""

    def __init__(self, settings: Settings) -> None:
        self._kernel = MultiplyAdds(settings.device, 1, 1)
        self._graph: torch.cuda.CUDAGraph | None = None

    def capture(self) -> None:
        self._kernel.steps(1)
        torch.cuda.synchronize()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._kernel.steps(LAUNCHES)

    def steps(self, count: int) -> None:
        for _ in range(count):
            if self._graph is None:
                self._kernel.steps(LAUNCHES)
            else:
                self._graph.replay()


def _launch(settings: Settings) -> Row:
    """Microseconds per launch, from Python and in a graph; and of waiting for one launch alone."""
    if settings.quick:
        return {"absent": "left out by --quick"}
    eager, graph = Launches(settings), Launches(settings)
    graph.capture()
    times = time_blocks({"python": eager, "graph": graph}, settings)
    row: Row = {f"{name}_microseconds": spread(values / LAUNCHES * 1e6) for name, values in times.items()}
    one = MultiplyAdds(settings.device, 1, 1)
    wait = partial(seconds_of, one, 1, settings)
    return row | {"launch_and_wait_microseconds": spread([wait() * 1e6 for _ in range(200)])}
