"""How often a kernel waits for global memory, one time after the other: a chain of latencies, whatever else it does.

A load waits for the numbers in its address, for the branches before it, and, where threads exchange numbers by shared
memory, for those. Loads that wait for the same may be under way together.
"""

from __future__ import annotations

from collections.abc import Sequence

from .decoding import Step
from .ptx import Instruction


class Rounds:
    """``depth`` of a register: how many loads, one after the other, its number needed; ``most``: of any load."""

    def __init__(self, n_registers: int) -> None:
        self._depth = [0] * n_registers
        self._branches = self._shared = self.most = 0

    def note(self, own: Instruction, step: Step) -> None:
        """An instruction that is done."""
        opcode = own.opcode
        depth = max([self._branches, *(self._depth[number] for number in (*step.reads, *step.decides))])
        if opcode[0] == "bra":
            self._branches = depth
        if _touches(opcode, ("st", "stmatrix"), "shared"):
            self._shared = max(self._shared, depth)
        if _touches(opcode, ("ld", "ldmatrix"), "shared"):
            depth = max(depth, self._shared)
        if _touches(opcode, ("ld",), "global"):
            depth += 1
            self.most = max(self.most, depth)
        for number in step.writes:
            self._depth[number] = depth


def _touches(opcode: Sequence[str], names: Sequence[str], space: str) -> bool:
    return opcode[0] in names and space in opcode
