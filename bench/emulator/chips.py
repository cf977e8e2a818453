"""Chips that Triton compiles for and the emulator stands for: launches on tensors that lie on the CPU.

Triton takes them for a GPU of its own: what it specialises kernels for, and what it refuses for want of shared memory,
is decided as on the chip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.backends.driver import DriverBase
from triton.runtime.cache import get_cache_manager

from psinn_fast.kernels.triton import machine as triton_machine

from .machine import Counts, Machine
from .memory import WARP
from .ptx import kernel

KB = 1024


@dataclass(frozen=True)
class Chip:
    """``number``: 89 for sm_89; ``shared``: bytes that a program may have; ``processors``: of the card named."""

    number: int
    card: str
    shared: int
    processors: int


# CUDA C++ Programming Guide, "Technical Specifications per Compute Capability"; the cards' data sheets.
CHIPS = {
    chip.number: chip
    for chip in (
        Chip(80, "A100", 163 * KB, 108),
        Chip(86, "RTX 3080", 99 * KB, 68),
        Chip(89, "RTX 4080", 99 * KB, 76),
        Chip(90, "H100", 227 * KB, 132),
        Chip(120, "RTX 5080", 99 * KB, 84),
    )
}


@dataclass(frozen=True)
class Launch:
    """What a launch did. ``programs`` of ``threads`` each."""

    name: str
    programs: int
    threads: int
    machine: Machine
    counts: Counts


class EmulatedChip(DriverBase):  # type: ignore[misc]  # Triton has no types
    """What Triton takes for a chip's driver.

    Attributes:
        launches: one after another; where ``keeps`` is false, none.
        is_counting: wavefronts and sectors as well.
        change: is given a kernel's PTX before it is run, and gives what is run instead: planted faults.
    """

    def __init__(
        self, chip: Chip, *, is_counting: bool = False, keeps: bool = True,
        change: Callable[[str], str] = lambda text: text,
    ) -> None:  # fmt: skip
        self.chip, self.is_counting, self.keeps, self.change = chip, is_counting, keeps, change
        self.launches: list[Launch] = []
        self.utils = self
        self.launcher_cls = self._launcher

    @classmethod
    def is_active(cls) -> bool:
        return False  # never found by itself

    def map_python_to_cpp_type(self, ty: str) -> str:
        return ty

    def get_benchmarker(self) -> Any:
        raise NotImplementedError("an emulated chip has no clock")

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cpu")

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self.chip.number, WARP)

    def get_current_device(self) -> int:
        """Triton keeps kernels by device: every chip is one of its own."""
        return self.chip.number

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_device_properties(self, device: int) -> dict[str, int]:
        return {"max_shared_mem": self.chip.shared, "multiprocessor_count": self.chip.processors}

    def load_binary(self, *_: Any) -> tuple[Any, ...]:
        """Module, function, registers, spills, threads: nothing of it is needed."""
        return 0, 0, 0, 0, 1024

    def _launcher(self, src: Any, metadata: Any) -> Callable[..., None]:
        """Triton keeps it with the kernel, for whichever emulated chip of this kind is active then."""
        group = get_cache_manager(metadata.hash).get_group(f"{metadata.name}.json")
        text = Path(group[f"{metadata.name}.ptx"]).read_text(encoding="utf-8")
        kinds = [str(kind) for kind in src.signature.values()]

        def launch(x: int, y: int, z: int, _stream: int, _function: Any, *rest: Any) -> None:
            assert (y, z) == (1, 1), "the kernels' grids have one axis"
            chip: EmulatedChip = triton.runtime.driver.active
            machine = machine_of(chip.change(text), metadata.shared, metadata.num_warps * WARP)
            values = [value for kind, value in zip(kinds, rest[-len(kinds) :], strict=True) if kind != "constexpr"]
            chip._launch(machine, x, values)

        return launch

    def _launch(self, machine: Machine, programs: int, values: Sequence[Any]) -> None:
        tensors = [value for value in values if isinstance(value, torch.Tensor)]
        arguments = [value.data_ptr() if isinstance(value, torch.Tensor) else int(value) for value in values]
        # Behind Triton's own come scratch memories, of which our kernels want none.
        arguments += [0] * (len(machine.kernel.parameters) - len(arguments))
        counts = machine.run(programs, arguments, extents(tensors), is_counting=self.is_counting)
        if self.keeps:
            threads = machine.threads
            self.launches.append(Launch(machine.kernel.name, programs, threads, machine, counts))


@lru_cache(maxsize=256)
def machine_of(text: str, shared: int, threads: int) -> Machine:
    """That of a kernel's PTX, decoded once."""
    return Machine(kernel(text), shared, threads)


def extents(tensors: Sequence[torch.Tensor]) -> dict[int, npt.NDArray[np.uint8]]:
    """The bytes that tensors span, by their first addresses; those that overlap or touch in one memory as one."""
    spans: dict[int, list[tuple[int, int]]] = {}
    storages: dict[int, npt.NDArray[np.uint8]] = {}
    for tensor in tensors:
        if not tensor.numel():
            continue
        storage = tensor.untyped_storage()
        start = storage.data_ptr()
        storages[start] = torch.empty(0, dtype=torch.uint8).set_(storage).numpy()
        length = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
        begin = tensor.data_ptr() - start
        spans.setdefault(start, []).append((begin, begin + length * tensor.element_size()))
    found: dict[int, npt.NDArray[np.uint8]] = {}
    for start, own in spans.items():
        merged: list[tuple[int, int]] = []
        for begin, end in sorted(own):
            if merged and begin <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(end, merged[-1][1])
            else:
                merged.append((begin, end))
        found |= {start + begin: storages[start][begin:end] for begin, end in merged}
    return found


@contextmanager
def emulated(
    chip: int, *, is_counting: bool = False, keeps: bool = True, change: Callable[[str], str] = lambda text: text
) -> Iterator[EmulatedChip]:
    """Within, Triton compiles for this chip, and the Triton backend takes tensors on the CPU.

    Raises:
        RuntimeError: TRITON_INTERPRET=1 was set when Triton or a kernel was imported: nothing would be compiled.
    """
    from psinn_fast.kernels.triton import functions

    if functions.IS_INTERPRETED.value:
        raise RuntimeError("emulated: Triton was imported with TRITON_INTERPRET=1; unset it")
    driver = EmulatedChip(CHIPS[chip], is_counting=is_counting, keeps=keeps, change=change)
    triton.runtime.driver.set_active(driver)
    try:
        with patch.object(triton_machine, "stand_in", lambda: f"an emulated sm_{chip} ({CHIPS[chip].card})"):
            yield driver
    finally:
        # Not `reset_active`, which looks for a GPU.
        triton.runtime.driver._active = None
