"""The text of a PTX module as instructions: one kernel, functions that it calls written out in their places.

PTX is described in NVIDIA's "Parallel Thread Execution ISA". What is read here is what Triton prints by LLVM.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from .faults import NotModelled

# A register's kind by what it was declared as: bits, or a predicate.
BITS = {"pred": "pred", "b16": "b16", "b32": "b32", "b64": "b64", "s16": "b16", "u16": "b16", "s32": "b32",
        "u32": "b32", "f32": "b32", "s64": "b64", "u64": "b64", "f64": "b64"}  # fmt: skip
_SECTION = re.compile(r"\.section\s+[.\w]+\s*\{[^}]*\}")
_OF_MODULE = re.compile(r"^\s*\.(?:version|target|address_size|maxntid|reqntid|maxnreg|minnctapersm)\b[^\n;]*", re.M)
_BY_LINE = re.compile(r"^\s*\.(?:loc|file)\b[^\n;]*", re.M)
_HEADER = re.compile(r"\.(entry|func)\b\s*(\([^)]*\))?\s*([\w$]+)\s*\(([^)]*)\)[^;{]*")
_PARAMETER = re.compile(r"\.param\s+(?:\.align\s+\d+\s+)?\.(\w+)[^,\n]*?([\w$]+)(?:\[(\d+)\])?\s*(?:,|$)", re.M)
_ARRAY = re.compile(
    r"(?:\.visible\s+|\.extern\s+|\.weak\s+)*\.(shared|local|global|const)\s+(?:\.align\s+(\d+)\s+)?\.(\w+)\s+([\w$]+)\s*"
    r"(?:\[(\d*)\])?\s*(?:=\s*\{?([^}]*)\}?)?$"
)
_GUARD = re.compile(r"@(!?)\s*(%?[\w$]+)\s+")


@dataclass(frozen=True)
class Place:
    """Of a statement in the source that Triton was given; ``line`` 0: nobody's."""

    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        """Without folders, which are a machine's own: this goes into results."""
        return f"{Path(self.file).name}:{self.line}"


@dataclass(frozen=True)
class Instruction:
    """``opcode``: "fma.rn.f32" in parts. ``guard``: the register that must be true, or with ``is_negated`` false."""

    opcode: tuple[str, ...]
    operands: tuple[str, ...]
    guard: str | None
    is_negated: bool
    text: str
    place: Place


@dataclass(frozen=True)
class Array:
    """In memory: ``size`` bytes, 0 where the launch says how many; ``data``: what they are at first."""

    space: str
    size: int
    data: bytes = b""


@dataclass
class Body:
    """Instructions, where labels point, and what is declared: registers by kind, arrays."""

    instructions: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    registers: dict[str, str] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Function:
    """``parameters``: (type, name), results of a function first."""

    name: str
    is_kernel: bool
    parameters: tuple[tuple[str, str], ...]
    results: int
    body: Body


def kernel(text: str) -> Function:
    """The one kernel of a module.

    Raises:
        NotModelled: there is none or are several, or statements that are not understood.
    """
    text = _OF_MODULE.sub("", _SECTION.sub("", re.sub(r"//[^\n]*", "", text)))
    files = dict(re.findall(r'^\s*\.file\s+(\d+)\s+"([^"]+)"', text, re.M))
    text = _BY_LINE.sub(lambda found: found[0] + ";", text)
    functions: dict[str, Function] = {}
    outside, at = "", 0
    for header in _HEADER.finditer(text):
        if header.start() < at or text[header.end() : header.end() + 1] != "{":  # a declaration, or inside of one
            continue
        outside += text[at : header.start()]
        at = _closing(text, header.end()) + 1
        kind, results, name, given = header.groups()
        own = [*_parameters(results or ""), *_parameters(given)]
        body = _body(text[header.end() + 1 : at - 1], files)
        functions[name] = Function(name, kind == "entry", tuple(own), len(_parameters(results or "")), body)
    kernels = [function for function in functions.values() if function.is_kernel]
    if len(kernels) != 1:
        raise NotModelled(f"a module with {len(kernels)} kernels")
    found = kernels[0]
    for statement in (outside + text[at:]).split(";"):
        if array := _ARRAY.search(statement.strip()):
            found.body.arrays.update([_array(array)])
    return replace(found, body=_written_out(found.body, functions))


def _closing(text: str, opening: int) -> int:
    depth = 0
    for at in range(opening, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return at
    raise NotModelled("a function that does not end")


def _parameters(text: str) -> list[tuple[str, str]]:
    return [(kind, name) for kind, name, _ in _PARAMETER.findall(text.strip("() \n"))]


def _array(found: re.Match[str]) -> tuple[str, Array]:
    space, _, kind, name, count, data = found.groups()
    width = int(kind[1:]) // 8
    numbers = [int(number, 0) for number in data.split(",")] if data else []
    content = b"".join(number.to_bytes(width, "little", signed=number < 0) for number in numbers)
    size = int(count) * width if count else width if count is None else 0
    return name, Array(space, size, content.ljust(size, b"\0") if data else b"")


def _body(text: str, files: dict[str, str]) -> Body:
    """Statements end with a semicolon, labels with a colon; braces at the start of one open a scope of registers."""
    body, place = Body(), Place()
    scopes: list[dict[str, str]] = [{}]
    for statement in _statements(text):
        if statement == "{":
            scopes.append({})
        elif statement == "}":
            scopes.pop()
        elif statement.endswith(":"):
            body.labels[statement[:-1]] = len(body.instructions)
        elif statement.startswith(".loc "):
            number, line = statement.split()[1:3]
            place = Place(files.get(number, ""), int(line))
        elif statement.startswith(".reg"):
            _declare(statement, body, scopes)
        elif array := _ARRAY.match(statement):
            body.arrays.update([_array(array)])
        elif not statement.startswith("."):
            body.instructions.append(_instruction(statement, scopes, place))
        elif statement.split()[0] not in (".param", ".pragma", ".file"):
            raise NotModelled(f"directive {statement!r}")
    return body


def _statements(text: str) -> Iterator[str]:
    start = at = 0
    while at < len(text):
        letter, is_first = text[at], not text[start:at].strip()
        if is_first and letter in "{}":
            yield letter
            start = at + 1
        elif letter == ";":
            if statement := " ".join(text[start:at].split()):
                yield statement
            start = at + 1
        elif letter == ":" and re.fullmatch(r"\s*[\w$]+", text[start:at]):
            yield text[start : at + 1].strip()
            start = at + 1
        at += 1


def _declare(statement: str, body: Body, scopes: list[dict[str, str]]) -> None:
    """``.reg .b32 %r<7>`` or ``.reg .f32 e``: within a scope a register of its own."""
    found = re.fullmatch(r"\.reg\s+\.(\w+)\s+(.*)", statement)
    if found is None or found[1] not in BITS:
        raise NotModelled(f"directive {statement!r}")
    for name in re.split(r"\s*,\s*", found[2]):
        if family := re.fullmatch(r"(%?[\w$]+)<(\d+)>", name):
            body.registers |= {f"{family[1]}{k}": BITS[found[1]] for k in range(int(family[2]))}
        else:
            own = name if len(scopes) == 1 else f"{name}@{len(body.instructions)}"
            scopes[-1][name] = own
            body.registers[own] = BITS[found[1]]


def _instruction(statement: str, scopes: list[dict[str, str]], place: Place) -> Instruction:
    named = {old: new for scope in scopes for old, new in scope.items() if old != new}
    text = re.sub(r"[%\w$@]+", lambda word: named.get(word[0], word[0]), statement) if named else statement
    guard, is_negated = None, False
    if found := _GUARD.match(text):
        is_negated, guard, text = found[1] == "!", found[2], text[found.end() :]
    opcode, _, operands = text.partition(" ")
    # Of the program's own: without clusters there is no other.
    parts = tuple(opcode.replace("shared::cta", "shared").split("."))
    return Instruction(parts, tuple(_operands(operands)), guard, is_negated, statement, place)


def _operands(text: str) -> list[str]:
    """Split at commas outside of braces, brackets and parentheses."""
    found, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        depth += (letter in "{[(") - (letter in "}])")
        if letter == "," and depth == 0:
            found.append(text[start:at].strip())
            start = at + 1
    return [*found, last] if (last := text[start:].strip()) else found


def names_in(operand: str) -> list[str]:
    """Of a vector ``{a, b}``, or the one operand."""
    return [name.strip() for name in operand.strip("{}() ").split(",") if name.strip()]


def _written_out(body: Body, functions: dict[str, Function]) -> Body:
    """Calls replaced by what they call, with registers, labels and parameters of their own."""
    if not any(own.opcode[0] == "call" for own in body.instructions):
        return body
    found = Body(registers=dict(body.registers), arrays=dict(body.arrays))
    # Where the instruction of each number begins, then where all of them end.
    starts: list[int] = []
    for own in body.instructions:
        starts.append(len(found.instructions))
        if own.opcode[0] != "call":
            found.instructions.append(own)
            continue
        *results, name, given = own.operands if len(own.operands) == 3 else (*own.operands, "()")[:2]
        if name not in functions:
            raise NotModelled(f"call of {name}")
        called = functions[name]
        inner = _written_out(called.body, functions)
        mark = f"@{len(found.instructions)}"
        arguments = [*(part for result in results for part in names_in(result)), *names_in(given)]
        renamed = {name: f"{name}{mark}" for name in (*inner.registers, *inner.labels)}
        renamed |= {own_name: there for (_, own_name), there in zip(called.parameters, arguments, strict=True)}
        end = f"$end{mark}"
        first = len(found.instructions)
        for instruction in inner.instructions:
            found.instructions.append(_renamed(instruction, renamed, end))
        found.labels |= {f"{label}{mark}": first + at for label, at in inner.labels.items()}
        found.labels[end] = len(found.instructions)
        found.registers |= {f"{name}{mark}": kind for name, kind in inner.registers.items()}
        # Wide enough for any: calls use the same names for numbers of other types.
        found.registers |= dict.fromkeys(arguments, "b64")
        found.arrays |= inner.arrays
    starts.append(len(found.instructions))
    found.labels |= {label: starts[at] for label, at in body.labels.items()}
    return found


def _renamed(own: Instruction, names: dict[str, str], end: str) -> Instruction:
    if own.opcode[0] == "ret":
        return replace(own, opcode=("bra",), operands=(end,), guard=names.get(own.guard or "", own.guard))

    def other(word: re.Match[str]) -> str:
        return names.get(word[0], word[0])

    operands = tuple(re.sub(r"[%\w$@]+", other, operand) for operand in own.operands)
    return replace(own, operands=operands, guard=names.get(own.guard or "", own.guard))
