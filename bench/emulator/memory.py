"""Global, shared and local memory, and what may go wrong there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .faults import Fault
from .numbers import Values

Addresses = npt.NDArray[np.int64]
Threads = npt.NDArray[np.int64]
WORD, SECTOR, BANKS, WARP = 4, 32, 32, 32
# What lies in memory before anybody writes: as a number it is none that a kernel would make.
UNWRITTEN = 0xAB


class GlobalMemory:
    """The bytes of ``extents``, by their first addresses; none overlap."""

    def __init__(self, extents: Mapping[int, npt.NDArray[np.uint8]]) -> None:
        self._starts = np.array(sorted(extents), np.int64)
        self._bytes = [extents[start] for start in self._starts.tolist()]
        self._ends = self._starts + np.array([len(own) for own in self._bytes], np.int64)

    def load(self, at: Addresses, dtype: np.dtype[Any]) -> Values:
        found = np.empty(at.shape, dtype)
        for places, memory, index in self._within(at, dtype):
            found[places] = memory[index]
        return found

    def store(self, at: Addresses, values: Values) -> None:
        for places, memory, index in self._within(at, values.dtype):
            memory[index] = values[places]

    def check(self, at: Addresses, size: int) -> None:
        """
        Raises:
            Fault: not all ``size`` bytes lie in one extent, or the address is no multiple of that.
        """
        if (at % size).any():
            raise Fault(f"misaligned access to global memory: {int(at[at % size != 0][0]):#x} for {size} bytes")
        extent = self._extent(at)
        outside = (extent < 0) | (at + size > self._ends[extent]) if len(self._starts) else np.ones(at.shape, np.bool_)
        if outside.any():
            raise Fault(f"global memory out of bounds: {size} bytes {self._where(int(at[outside][0]))}")

    def _extent(self, at: Addresses) -> npt.NDArray[np.int64]:
        return np.searchsorted(self._starts, at, side="right") - 1

    def _within(self, at: Addresses, dtype: np.dtype[Any]) -> Iterator[tuple[Any, Values, Addresses]]:
        """For each extent that is touched: by which of the addresses, its memory, places in it."""
        extent = self._extent(at)
        first = int(extent[0])
        for number in [first] if (extent == first).all() else np.unique(extent).tolist():
            memory = self._bytes[number]
            places = extent == number
            whole = memory[: len(memory) // dtype.itemsize * dtype.itemsize].view(dtype)
            yield places, whole, (at[places] - self._starts[number]) // dtype.itemsize

    def _where(self, address: int) -> str:
        """As seen from the nearest tensor."""
        gaps = [
            (start - address if address < start else address - end, number)
            for number, (start, end) in enumerate(zip(self._starts.tolist(), self._ends.tolist(), strict=True))
        ]
        if not gaps:
            return f"at {address:#x}, of no tensor"
        start, end = (int(own[min(gaps)[1]]) for own in (self._starts, self._ends))
        where = f"{start - address} bytes before" if address < start else f"{address - start} bytes into"
        return f"{where} a tensor of {end - start}"


class SharedMemory:
    """Of ``n_programs``, ``size`` bytes each, with what is known of who wrote and read each word, and when.

    Time is counted in barriers: two threads of a program that touch a word within one interval, one of them writing
    another number, race; two of one warp only if they have not met at a barrier of their warp.

    Attributes:
        races: such words; ``conflicts``: numbers lost because other threads wrote others in the same instruction, as do
            copies of a sum that were added up in another order.
    """

    def __init__(self, n_programs: int, size: int, threads: int) -> None:
        self.size = size
        self.padded = -(-max(size, 1) // 16) * 16
        self._threads = threads
        self.bytes = np.full(n_programs * self.padded, UNWRITTEN, np.uint8)
        n_words, n_threads = n_programs * self.padded // WORD, n_programs * threads
        self._program_time = np.ones(n_programs, np.int64)
        self._warp_time = np.ones(n_threads // WARP, np.int64)
        self._writer = np.full(n_words, -1, np.int64)
        # When, by the program's and by the warp's barriers.
        self._written = np.zeros((2, n_words), np.int64)
        # One reader of each word, -2 where others of its warp, -3 where others of other warps read it as well.
        self._reader, self._reader_warp = np.full(n_words, -1, np.int64), np.full(n_words, -1, np.int64)
        self._read = np.zeros((2, n_words), np.int64)
        self.races = self.conflicts = 0

    def barrier(self, programs: npt.NDArray[np.int64]) -> None:
        self._program_time[programs] += 1

    def warp_barrier(self, warps: npt.NDArray[np.int64]) -> None:
        self._warp_time[warps] += 1

    def check(self, at: Addresses, size: int, threads: Threads) -> Addresses:
        """Where a program's own addresses are among all of them.

        Raises:
            Fault: out of bounds, or no multiple of ``size``.
        """
        if (at < 0).any() or (at + size > self.size).any():
            wrong = at[(at < 0) | (at + size > self.size)][0]
            raise Fault(f"shared memory out of bounds: {size} bytes at {int(wrong)} of {self.size}")
        if (at % size).any():
            raise Fault(f"misaligned access to shared memory: {int(at[(at % size) != 0][0])} for {size} bytes")
        return at + threads // self._threads * self.padded

    def is_unwritten(self, at: Addresses) -> npt.NDArray[np.bool_]:
        """Whether the word there is one that nobody has written."""
        found: npt.NDArray[np.bool_] = self._writer[at // WORD] < 0
        return found

    def forget(self, at: Addresses) -> None:
        """The words there are nothing that anybody wrote."""
        self._writer[at // WORD] = -1

    def load(self, at: Addresses, dtype: np.dtype[Any], threads: Threads) -> Values:
        for word in range(max(1, dtype.itemsize // WORD)):
            self._note_reads(at // WORD + word, threads)
        return self.bytes.view(dtype)[at // dtype.itemsize]

    def store(self, at: Addresses, values: Values, threads: Threads) -> None:
        memory, index = self.bytes.view(values.dtype), at // values.dtype.itemsize
        changed = memory[index] != values
        memory[index] = values
        # Where Triton keeps a number in several threads, all of them write it.
        self.conflicts += int((memory[index] != values).sum())
        for word in range(max(1, values.dtype.itemsize // WORD)):
            self._note_writes(at // WORD + word, threads, changed)

    def _note_reads(self, words: Addresses, threads: Threads) -> None:
        warps = threads // WARP
        self.races += int(self._clash(self._writer[words], self._written[:, words], threads).sum())
        now = self._program_time[threads // self._threads], self._warp_time[warps]
        is_old = self._read[0, words] != now[0]
        others = ~is_old & (self._reader_warp[words] != warps)
        of_warp = ~is_old & ~others & (self._reader[words] != threads) & (self._read[1, words] == now[1])
        self._reader[words] = np.where(others, -3, np.where(of_warp, -2, threads))
        self._reader_warp[words] = np.where(others, -3, warps)
        self._read[:, words] = now

    def _note_writes(self, words: Addresses, threads: Threads, changed: npt.NDArray[np.bool_]) -> None:
        warps = threads // WARP
        now = self._program_time[threads // self._threads], self._warp_time[warps]
        races = self._clash(self._writer[words], self._written[:, words], threads)
        is_now = self._read[0, words] == now[0]
        of_others = is_now & (self._reader_warp[words] != warps)
        of_warp = is_now & ~of_others & (self._reader[words] != threads) & (self._read[1, words] == now[1])
        self.races += int((changed & (races | of_others | of_warp)).sum())
        self._writer[words] = threads
        self._written[:, words] = now

    def _clash(self, others: Threads, when: npt.NDArray[np.int64], threads: Threads) -> npt.NDArray[np.bool_]:
        """Whether another thread did something to the word with no barrier since."""
        warps = threads // WARP
        is_now = when[0] == self._program_time[threads // self._threads]
        is_other_warp = others // WARP != warps
        is_unmet: npt.NDArray[np.bool_] = (
            is_now & (others != threads) & (is_other_warp | (when[1] == self._warp_time[warps]))
        )
        return is_unmet & (others >= 0)


class LocalMemory:
    """``size`` bytes of every thread's own."""

    def __init__(self, n_threads: int, size: int) -> None:
        self._size = size
        self._bytes = np.full((n_threads, -(-max(size, 1) // 16) * 16), UNWRITTEN, np.uint8)

    def load(self, at: Addresses, dtype: np.dtype[Any], threads: Threads) -> Values:
        found: Values = self._bytes.view(dtype)[threads, at // dtype.itemsize]
        return found

    def store(self, at: Addresses, values: Values, threads: Threads) -> None:
        self._bytes.view(values.dtype)[threads, at // values.dtype.itemsize] = values

    def check(self, at: Addresses, size: int) -> None:
        """
        Raises:
            Fault: out of bounds, or no multiple of ``size``.
        """
        if (at < 0).any() or (at + size > self._size).any() or (at % size).any():
            raise Fault(f"local memory: {size} bytes at {int(at[0])} of {self._size}")


def wavefronts(at: Addresses, size: int, threads: Threads) -> tuple[int, int]:
    """Passes through shared memory that one access of these threads takes: at least, at most.

    A pass serves one word of every bank. The first number merges what all threads of a warp want; the second one takes
    them in parts that want 128 bytes: quarters of a warp where each wants 16. What a chip does lies between.
    """
    words = (at[:, None] + np.arange(0, max(size, WORD), WORD)) // WORD
    parts = max(1, WARP * size // 128)
    least = _passes(words, threads // WARP)
    return least, least if parts == 1 else _passes(words, threads * parts // WARP)


def _passes(words: Addresses, groups: npt.NDArray[np.int64]) -> int:
    """Summed over groups of threads: the most distinct words in one bank."""
    flat, group = words.ravel(), np.repeat(groups, words.shape[1])
    order = np.lexsort((flat, group))
    flat, group = flat[order], group[order]
    is_new = np.ones(len(flat), np.bool_)
    is_new[1:] = (flat[1:] != flat[:-1]) | (group[1:] != group[:-1])
    _, dense = np.unique(group[is_new], return_inverse=True)
    counts = np.bincount(dense * BANKS + flat[is_new] % BANKS, minlength=(int(dense.max()) + 1) * BANKS)
    return int(counts.reshape(-1, BANKS).max(1).sum())


def sectors(at: Addresses, size: int, threads: Threads) -> int:
    """Pieces of 32 bytes of global memory that the warps ask for."""
    first = np.arange(0, max(size, 1), SECTOR)
    pieces = (threads[:, None] // WARP << 48) + (at[:, None] + first >> 5)
    return len(np.unique(pieces))
