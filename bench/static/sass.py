"""Instructions of a compiled kernel by class, inside and outside its loop over tiles."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

# By the first part of the opcode. What is not named here: "other" (moves, votes, conversions of types, branches).
CLASSES = {
    "fma": ("FFMA", "FMUL", "FADD", "FFMA2", "FMUL2", "FADD2"),
    "fma64": ("DFMA", "DMUL", "DADD"),
    "mma": ("HMMA", "IMMA", "QGMMA", "HGMMA"),
    "mma64": ("DMMA",),
    "mufu": ("MUFU",),
    "shared": ("LDS", "STS", "LDSM", "STSM"),
    "global": ("LDG", "STG", "LDGSTS", "ATOMG", "RED"),
    "local": ("LDL", "STL"),
    "exchange": ("SHFL", "BAR", "MEMBAR", "WARPSYNC", "BSYNC", "BSSY"),
    "compare": ("FSEL", "FSETP", "FMNMX", "FCHK", "DSETP", "SEL", "PLOP3", "FMNMX3", "DMNMX"),
    "integer": ("IADD3", "IMAD", "LOP3", "LEA", "SHF", "ISETP", "IMNMX", "PRMT", "IABS", "IADD", "UIADD3", "UIMAD",
                "ULEA", "ULOP3", "USHF", "UISETP", "VIADD", "VIMNMX", "UPRMT", "SHL", "SHR", "BFE", "LOP", "IMAD64",
                "IADD64", "LEA64", "SGXT", "BMSK"),
    "move": ("MOV", "UMOV", "CS2R", "S2R", "S2UR", "R2UR", "UCS2R", "MOVM", "R2P", "P2R"),
}  # fmt: skip
CLASS_OF = {opcode: name for name, opcodes in CLASSES.items() for opcode in opcodes}

LABEL = re.compile(r"^\s*(\.L_[\w.]+):")
INSTRUCTION = re.compile(r"^\s*(?:/\*[0-9a-f]+\*/)?\s*(?:@!?\w+\s+)?([A-Z][A-Z0-9]*)((?:\.\w+)*)(.*?);")
TARGET = re.compile(r"`\((\.L_[\w.]+)\)")


@dataclass(frozen=True)
class Listing:
    """Warp instructions by class: of one pass through the tile loop, and of everything else in the kernel."""

    loop: Counter[str]
    rest: Counter[str]


def read(text: str) -> Listing:
    """From what ``nvdisasm -c`` prints. The tile loop is the longest stretch that a branch jumps back over."""
    labels: dict[str, int] = {}
    classes: list[str] = []
    back: list[tuple[int, int]] = []
    for line in text.splitlines():
        if label := LABEL.match(line):
            labels[label[1]] = len(classes)
        elif instruction := INSTRUCTION.match(line):
            opcode, modifiers, rest = instruction.groups()
            classes.append(_class_of(opcode, modifiers))
            target = TARGET.search(rest) if opcode == "BRA" else None
            if target is not None and target[1] in labels:
                back.append((labels[target[1]], len(classes)))
    # Behind its end a kernel jumps to itself for ever: no loop.
    loops = [(start, end) for start, end in back if end - start > 1]
    start, end = max(loops, key=lambda span: span[1] - span[0], default=(0, 0))
    return Listing(Counter(classes[start:end]), Counter(classes[:start]) + Counter(classes[end:]))


def _class_of(opcode: str, modifiers: str) -> str:
    if opcode == "NOP":
        return "nop"
    # IMAD.MOV and IMAD.SHL are how moves and shifts share the work with other pipes.
    if opcode == "IMAD" and modifiers.startswith(".MOV"):
        return "move"
    return CLASS_OF.get(opcode, "other")
