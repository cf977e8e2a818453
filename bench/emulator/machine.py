"""Runs one kernel: all threads of some programs at once, warps in lock step.

Where threads part, those at the lowest instruction go on until they are where the others wait, which is where the
compiler joins them: barriers need all threads of their program, exchanges all of their warp.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .decoding import Step, decoded
from .faults import Fault, NotModelled
from .memory import WARP, GlobalMemory, LocalMemory, SharedMemory
from .ptx import Array, Function, Instruction, Place
from .registers import Halves, Mask, Names, Registers
from .rounds import Rounds

# Arrays of the module lie here: no tensor does.
MODULE_MEMORY = 1 << 60
# Threads at a time; programs beyond that run after them.
MOST_THREADS = 16384
Pcs = npt.NDArray[np.int64]


@dataclass
class Counts:
    """What a launch did.

    Attributes:
        executed: of each instruction, warps times times.
        wavefronts, most_wavefronts: of each instruction that touches shared memory, see `wavefronts`; where counted.
        sectors: of each that touches global memory; ``rounds``: see `Rounds`, where counted.
        races, conflicts: see `SharedMemory`.
    """

    executed: npt.NDArray[np.int64]
    wavefronts: Counter[int] = field(default_factory=Counter)
    most_wavefronts: Counter[int] = field(default_factory=Counter)
    sectors: Counter[int] = field(default_factory=Counter)
    races: int = 0
    conflicts: int = 0
    rounds: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.executed + other.executed,
            self.wavefronts + other.wavefronts,
            self.most_wavefronts + other.most_wavefronts,
            self.sectors + other.sectors,
            self.races + other.races,
            self.conflicts + other.conflicts,
            max(self.rounds, other.rounds),
        )


@dataclass
class Threads:
    """What the threads that run together have.

    Attributes:
        numbers: 0 to n; ``program``: whose each is.
        pc: the instruction that they are at; ``undefined``: where what it reads is nothing that anybody wrote.
    """

    numbers: npt.NDArray[np.int64]
    registers: Registers
    memory: GlobalMemory
    shared: SharedMemory
    local: LocalMemory
    parameters: Mapping[str, int]
    program: npt.NDArray[np.uint32]
    n_programs: int
    per_program: int
    counts: Counts
    is_counting: bool
    pc: int = 0
    undefined: Halves | None = None

    def active(self, mask: Mask) -> npt.NDArray[np.int64]:
        return self.numbers if mask is None else self.numbers[mask]


class Machine:
    """A kernel, decoded. ``shared``: bytes of shared memory of a program; ``threads`` of one."""

    def __init__(self, kernel: Function, shared: int, threads: int) -> None:
        self.kernel, self.threads = kernel, threads
        addresses, self._module_arrays = _placed(kernel)
        self._shared, self._local = max(shared, _size(kernel, "shared")), _size(kernel, "local")
        self._names = Names(kernel.body.registers, addresses)
        body = kernel.body
        self._steps = [_decoded(own, self._names, body.labels, len(body.instructions)) for own in body.instructions]
        written = {number for step in self._steps for number in step.writes}
        self._never = sorted({number for step in self._steps for number in (*step.reads, *step.decides)} - written)

    @property
    def instructions(self) -> Sequence[Instruction]:
        return self.kernel.body.instructions

    def run(
        self, n_programs: int, arguments: Sequence[int], extents: Mapping[int, npt.NDArray[np.uint8]], *,
        is_counting: bool = False,
    ) -> Counts:  # fmt: skip
        """A launch.

        Args:
            arguments: integers and addresses, in the kernel's order.
            extents: the memory that there is, see `GlobalMemory`; written to.
            is_counting: wavefronts and sectors as well, which takes time.

        Raises:
            Fault: the kernel does what it must not do.
        """
        memory = GlobalMemory({**extents, **self._module_arrays})
        parameters = {name: value for (_, name), value in zip(self.kernel.parameters, arguments, strict=True)}
        total = Counts(np.zeros(len(self._steps), np.int64))
        at_once = max(1, MOST_THREADS // self.threads)
        with np.errstate(all="ignore"):
            for first in range(0, n_programs, at_once):
                count = min(at_once, n_programs - first)
                total += self._programs(first, count, n_programs, parameters, memory, is_counting)
        return total

    def _programs(
        self, first: int, count: int, n_programs: int, parameters: Mapping[str, int], memory: GlobalMemory,
        is_counting: bool,
    ) -> Counts:  # fmt: skip
        n = count * self.threads
        numbers = np.arange(n, dtype=np.int64)
        threads = Threads(
            numbers,
            Registers(self._names.dtypes, n, self._never),
            memory,
            SharedMemory(count, self._shared, self.threads),
            LocalMemory(n, self._local),
            parameters,
            (first + numbers // self.threads).astype(np.uint32),
            n_programs,
            self.threads,
            Counts(np.zeros(len(self._steps), np.int64)),
            is_counting,
        )
        self._go(threads)
        threads.counts.races, threads.counts.conflicts = threads.shared.races, threads.shared.conflicts
        return threads.counts

    def _go(self, threads: Threads) -> None:
        """From the first instruction until all threads have returned."""
        executed, end, n = threads.counts.executed, len(self._steps), len(threads.numbers)
        rounds = Rounds(len(self._names.dtypes))
        pc = 0
        # Where each thread is; None: all are at ``pc``.
        pcs: Pcs | None = None
        mask: Mask = None
        while pc < end or pcs is not None:
            if pcs is not None:
                if (pcs == end).all():
                    return
                pc, own = self._next(pcs, end, threads)
                mask = own
                if own.all():
                    pcs = mask = None
            step = self._steps[pc]
            executed[pc] += n // WARP if mask is None else int(mask.reshape(-1, WARP).any(1).sum())
            threads.pc = pc
            try:
                taken = self._do(step, threads, mask)
            except Fault as fault:
                raise Fault(f"{fault}; {self._words(pc)}") from None
            if threads.is_counting:
                rounds.note(self.instructions[pc], step)
                threads.counts.rounds = rounds.most
            pc, pcs = _onwards(step, pc, pcs, mask, taken)

    def _do(self, step: Step, threads: Threads, mask: Mask) -> Mask:
        """One instruction; of a branch with a guard, who takes it."""
        registers = threads.registers
        threads.undefined = None
        if not registers.undefined:
            found: Mask = step.act(threads, self._guarded(step, registers, mask))
            return found
        if registers.undefined_in(step.decides, mask) is not None:
            raise Fault("what nobody wrote decides what is done")
        guarded = self._guarded(step, registers, mask)
        threads.undefined = registers.undefined_in(step.reads, guarded)
        spread = () if threads.undefined is None else step.spread(threads, threads.undefined)
        taken: Mask = step.act(threads, guarded)
        for number, where in zip(step.writes, spread, strict=False):
            registers.mark(number, where, guarded)
        return taken

    def _guarded(self, step: Step, registers: Registers, mask: Mask) -> Mask:
        """For which threads an instruction with a guard is."""
        if step.guard is None:
            return mask
        own: npt.NDArray[np.bool_] = step.guard(registers) ^ step.is_negated
        return own if mask is None else own & mask

    def _next(self, pcs: Pcs, end: int, threads: Threads) -> tuple[int, npt.NDArray[np.bool_]]:
        """The lowest instruction that threads may do, and which threads those are."""
        lowest = int(pcs.min())
        for pc in np.unique(pcs[pcs != end]).tolist() if self._steps[lowest].group else [lowest]:
            here: npt.NDArray[np.bool_] = pcs == pc
            size = {"": 0, "warp": WARP, "program": threads.per_program}[self._steps[pc].group]
            if not size:
                return pc, here
            groups = here.reshape(-1, size)
            complete = (groups | (pcs == end).reshape(-1, size)).all(1) & groups.any(1)
            if complete.any():
                return pc, here & np.repeat(complete, size)
        waiting = sorted({self._words(own) for own in np.unique(pcs).tolist() if own != end})
        raise Fault(f"threads wait for each other: {'; '.join(waiting)}")

    def _words(self, pc: int) -> str:
        own = self.instructions[pc]
        return f"{own.text!r} of {own.place}" if own.place != Place() else repr(own.text)


def _onwards(step: Step, pc: int, pcs: Pcs | None, mask: Mask, taken: Mask) -> tuple[int, Pcs | None]:
    """Where threads are after an instruction."""
    if step.target is None:
        return pc + 1, None if pcs is None else np.where(_mask(mask), pc + 1, pcs)
    if pcs is not None:
        onwards = np.where(_mask(mask), step.target if taken is None else pc + 1, pcs)
        return pc, onwards if taken is None else np.where(taken, step.target, onwards)
    if taken is None or taken.all():
        return step.target, None
    return (pc, np.where(taken, step.target, pc + 1)) if taken.any() else (pc + 1, None)


def _mask(mask: Mask) -> npt.NDArray[np.bool_]:
    assert mask is not None, "threads that are apart are not all"
    return mask


def _padded(array: Array) -> int:
    return -(-array.size // 16) * 16


def _size(kernel: Function, space: str) -> int:
    return sum(_padded(array) for array in kernel.body.arrays.values() if array.space == space)


def _placed(kernel: Function) -> tuple[dict[str, int], dict[int, npt.NDArray[np.uint8]]]:
    """Where the module's arrays lie: in shared and local memory one behind the other, others in memory of their own."""
    addresses: dict[str, int] = {}
    memory: dict[int, npt.NDArray[np.uint8]] = {}
    free = {"shared": 0, "local": 0, "global": MODULE_MEMORY, "const": MODULE_MEMORY + (1 << 40)}
    for name, array in kernel.body.arrays.items():
        addresses[name] = free[array.space]
        free[array.space] += _padded(array)
        if array.space in ("global", "const") and array.size:
            memory[addresses[name]] = np.frombuffer(array.data or bytes(array.size), np.uint8).copy()
    return addresses, memory


def _decoded(own: Instruction, names: Names, labels: Mapping[str, int], end: int) -> Step:
    try:
        return decoded(own, names, labels, end)
    except NotModelled as error:
        raise NotModelled(f"{error}, in {own.text!r} of {own.place}: the emulator does not know it") from None
