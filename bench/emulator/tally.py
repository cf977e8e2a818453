"""What a launch did, by kind of instruction and by line of the source."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .chips import Launch
from .ptx import Instruction, Place

# By the first part of the opcode, and, of arithmetic, the type. What is not named: "other".
_KINDS = {
    **dict.fromkeys(("ex2", "lg2", "rcp", "rsqrt", "sqrt", "sin", "cos", "tanh"), "special"),
    **dict.fromkeys(("shfl", "redux", "vote", "match", "bar", "barrier", "fence", "membar"), "exchange"),
    **dict.fromkeys(("ldmatrix", "stmatrix"), "shared"),
    **dict.fromkeys(("setp", "selp", "min", "max", "slct"), "compare"),
    **dict.fromkeys(("bra", "ret", "exit", "call"), "branch"),
    **dict.fromkeys(("mov", "cvta"), "move"),
    "cvt": "convert",
    "mma": "mma",
}
_ARITHMETIC = ("add", "sub", "mul", "fma", "mad", "neg", "abs", "div", "copysign")
KINDS = (
    "fma", "fma64", "mma", "special", "shared", "global", "local", "exchange", "compare", "integer", "convert",
    "move", "branch",
)  # fmt: skip


@dataclass
class Tally:
    """Warp instructions by kind; passes through shared memory (`wavefronts`); 32 bytes of global memory, how often."""

    instructions: Counter[str] = field(default_factory=Counter)
    wavefronts: int = 0
    most_wavefronts: int = 0
    sectors: int = 0

    def __sub__(self, other: Tally) -> Tally:
        rest = Counter(self.instructions)
        rest.subtract(other.instructions)
        return Tally(
            rest,
            self.wavefronts - other.wavefronts,
            self.most_wavefronts - other.most_wavefronts,
            self.sectors - other.sectors,
        )


def kind_of(own: Instruction) -> str:
    opcode = own.opcode
    if opcode[0] in ("ld", "st", "atom", "red"):
        return next((space for space in ("shared", "global", "local") if space in opcode), "move")
    if opcode[0] in _ARITHMETIC:
        last = opcode[-1]
        return "fma64" if last == "f64" else "fma" if last.startswith("f") else "integer"
    return _KINDS.get(opcode[0], "integer")


def whole(launch: Launch) -> Tally:
    total = Tally()
    for _, own in _parts(launch):
        _add(total, own)
    return total


def by_line(launch: Launch) -> dict[Place, Tally]:
    """Lines of the kernel's source, and of Triton's own functions."""
    found: dict[Place, Tally] = {}
    for place, own in _parts(launch):
        _add(found.setdefault(place, Tally()), own)
    return found


def _add(total: Tally, own: Tally) -> None:
    total.instructions.update(own.instructions)
    total.wavefronts += own.wavefronts
    total.most_wavefronts += own.most_wavefronts
    total.sectors += own.sectors


def _parts(launch: Launch) -> Iterator[tuple[Place, Tally]]:
    counts = launch.counts
    for number, instruction in enumerate(launch.machine.instructions):
        if times := int(counts.executed[number]):
            passes = counts.wavefronts[number], counts.most_wavefronts[number], counts.sectors[number]
            yield instruction.place, Tally(Counter({kind_of(instruction): times}), *passes)


def source_of(place: Place) -> str:
    """The text of a line: of a generated module, or of a file."""
    loader: Any = getattr(sys.modules.get(Path(place.file).stem), "__loader__", None)
    try:
        is_generated = place.file.startswith("/dev/null") and loader is not None
        text: str = loader.get_source("") if is_generated else Path(place.file).read_text("utf-8")
        return text.splitlines()[place.line - 1].strip()
    except (OSError, IndexError):
        return ""


def listing(lines: Mapping[Place, Tally], most: int = 20) -> list[str]:
    """Those that take most passes through shared memory, or else most instructions."""
    ordered = sorted(lines.items(), key=lambda item: (-item[1].wavefronts, -item[1].instructions.total()))
    return ["passes through shared memory, warp instructions, products on tensor cores; place"] + [
        f"{own.wavefronts:>9} to {own.most_wavefronts:<9}{own.instructions.total():>9}{own.instructions['mma']:>7}  "
        f"{Path(place.file).name[:12]}:{place.line:<5} {source_of(place)[:80]}"
        for place, own in ordered[:most]
    ]
