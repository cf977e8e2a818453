"""From an instruction's text to what it does."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .arithmetic import operation
from .faults import Fault, NotModelled
from .memory import WARP, sectors, wavefronts
from .numbers import TYPES, Values, constant, type_of, width
from .ptx import Instruction, names_in
from .registers import HIGH, LOW, Mask, Names, Read, Registers
from .undefined import Spread, spread_of
from .warps import product, reduced, rows_of_matrices, shuffled, voted

if TYPE_CHECKING:
    from .machine import Threads

Act = Callable[["Threads", Mask], Any]
_ADDRESS = re.compile(r"\[\s*([^+\]\s]+)\s*(?:\+\s*(-?\w+))?\s*\]")
_SPACES = ("global", "shared", "local", "const", "param")
# Those that all threads of a warp or a program do together.
_OF_WARP = ("shfl", "redux", "vote", "ldmatrix", "stmatrix", "mma")
_HINTS = ("fence", "membar", "prefetch")


@dataclass(frozen=True)
class Step:
    """``act(threads, mask)``; of a branch, that gives who takes it, and ``target`` is where to.

    Attributes:
        decides: registers that say where memory is touched or which way threads go.
        reads: those whose numbers are computed with; ``writes``: those that get numbers.
        group: who must be there before it is done, "warp", "program" or "".
        spread: from where ``reads`` are undefined to where ``writes`` are.
    """

    act: Act
    decides: tuple[int, ...]
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    guard: Read | None
    is_negated: bool
    target: int | None
    group: str
    spread: Spread


def decoded(own: Instruction, names: Names, labels: Mapping[str, int], end: int) -> Step:
    """
    Raises:
        NotModelled: an unknown instruction, or form of one.
    """
    opcode, operands = own.opcode, own.operands
    guard = None if own.guard is None else names.read(own.guard, "pred")
    target, group = None, ""
    results: Sequence[str] = ()
    if opcode[0] in ("bra", "ret", "exit"):
        target = end if opcode[0] != "bra" else labels[operands[0]]
        act: Act = _branch if own.guard else lambda threads, mask: None
        operands = ()
    elif opcode[0] in ("bar", "barrier"):
        group, act = _barrier(opcode, operands)
        operands = ()
    else:
        group = "warp" if opcode[0] in _OF_WARP else ""
        act = _act(opcode, operands, names)
        n_results = 0 if opcode[0] in ("st", "stmatrix") else 1
        results, operands = operands[:n_results], operands[n_results:]
    is_memory = "param" not in opcode
    decides = [own.guard] if own.guard else []
    decides += [operand for operand in operands if operand.startswith("[") and is_memory]
    reads = [operand for operand in operands if not (operand.startswith("[") and is_memory)]
    return Step(
        act,
        names.registers(decides),
        names.registers(reads),
        names.registers(results),
        guard,
        own.is_negated,
        target,
        group,
        spread_of(opcode, own.operands, names),
    )


def _branch(threads: Threads, mask: Mask) -> Mask:
    return np.ones(len(threads.numbers), np.bool_) if mask is None else mask


def _barrier(opcode: Sequence[str], operands: Sequence[str]) -> tuple[str, Act]:
    if opcode[1] == "warp":

        def of_warps(threads: Threads, mask: Mask) -> None:
            threads.shared.warp_barrier(np.unique(threads.active(mask) // WARP))

        return "warp", of_warps
    if list(operands) != ["0"] or "red" in opcode or "arrive" in opcode:
        raise NotModelled(".".join(opcode))

    def of_programs(threads: Threads, mask: Mask) -> None:
        threads.shared.barrier(np.unique(threads.active(mask) // threads.per_program))

    return "program", of_programs


def _act(opcode: Sequence[str], operands: Sequence[str], names: Names) -> Act:
    if opcode[0] in _HINTS:
        return lambda threads, mask: None
    if opcode[0] in ("ld", "st"):
        return _access(opcode, operands, names)
    if opcode[0] in _OTHERS:
        return _OTHERS[opcode[0]](opcode, operands, names)
    if opcode[0] == "mov" and (special := _special(opcode, operands, names)):
        return special
    found = operation(opcode)
    if found is None:
        raise NotModelled(".".join(opcode))
    if len(operands) != len(found.operands) + 1:
        raise NotModelled(f"{'.'.join(opcode)} with {len(operands)} operands")
    target = names.number(operands[0])
    reads = [names.read(own, kind) for own, kind in zip(operands[1:], found.operands, strict=True)]
    function = found.function
    if len(reads) == 2:
        first, second = reads
        return lambda threads, mask: threads.registers.write(
            target, function(first(threads.registers), second(threads.registers)), mask
        )
    return lambda threads, mask: threads.registers.write(
        target, function(*[read(threads.registers) for read in reads]), mask
    )


def _special(opcode: Sequence[str], operands: Sequence[str], names: Names) -> Act | None:
    """Registers of the machine; numbers put together from halves, and taken apart."""
    to, of = operands
    if to.startswith("{") or of.startswith("{"):
        kind = opcode[-1]
        whole, half = type_of(kind), f"b{4 * width(kind)}"
        bits, part = whole.type(4 * width(kind)), type_of(half)
        if of.startswith("{"):
            low, high = (names.read(name, half) for name in names_in(of))
            target = names.number(to)
            return lambda threads, mask: threads.registers.write(
                target, low(threads.registers).astype(whole) | high(threads.registers).astype(whole) << bits, mask
            )
        read, (first, second) = names.read(of, kind), names_in(to)

        def take_apart(threads: Threads, mask: Mask) -> None:
            value = read(threads.registers)
            for name, own in ((first, value.astype(part)), (second, (value >> bits).astype(part))):
                if name != "_":
                    threads.registers.write(names.number(name), own, mask)

        return take_apart
    if of in _MACHINE:
        target, of_machine = names.number(to), _MACHINE[of]
        return lambda threads, mask: threads.registers.write(target, of_machine(threads), mask)
    if of.startswith("%") and not names.is_register(of):
        raise NotModelled(f"register {of}")
    return None


def _all_equal(number: int) -> Values:
    return np.array(number, np.uint32)


_MACHINE: dict[str, Callable[[Threads], Values]] = {
    "%tid.x": lambda threads: (threads.numbers % threads.per_program).astype(np.uint32),
    "%laneid": lambda threads: (threads.numbers % WARP).astype(np.uint32),
    "%warpid": lambda threads: (threads.numbers % threads.per_program // WARP).astype(np.uint32),
    "%ctaid.x": lambda threads: threads.program,
    "%ntid.x": lambda threads: _all_equal(threads.per_program),
    "%nctaid.x": lambda threads: _all_equal(threads.n_programs),
    **dict.fromkeys(("%ctaid.y", "%ctaid.z", "%tid.y", "%tid.z"), lambda threads: _all_equal(0)),
    **dict.fromkeys(("%nctaid.y", "%nctaid.z", "%ntid.y", "%ntid.z"), lambda threads: _all_equal(1)),
}


def _address(operand: str, names: Names, kind: str) -> tuple[Read, int]:
    found = _ADDRESS.fullmatch(operand)
    if found is None:
        raise NotModelled(f"address {operand}")
    return names.read(found[1], kind), int(found[2] or "0", 0)


def _places(read: Read, offset: int, registers: Registers, n: int, mask: Mask) -> Any:
    at = np.broadcast_to(read(registers), (n,)).astype(np.int64) + offset
    return at if mask is None else at[mask]


def _access(opcode: Sequence[str], operands: Sequence[str], names: Names) -> Act:
    """Loads and stores, of one number or a vector."""
    space = next((part for part in opcode if part in _SPACES), "")
    is_load, kind = opcode[0] == "ld", opcode[-1]
    value, where = operands if is_load else operands[::-1]
    if space == "param":
        return _parameter(is_load, kind, value, where, names)
    if not space or "async" in opcode:
        raise NotModelled(".".join(opcode))
    space = "global" if space == "const" else space
    parts = names_in(value)
    size, dtype = width(kind), TYPES[f"b{8 * width(kind)}"]
    address, offset = _address(where, names, "u32" if space == "shared" else "u64")
    whole = size * len(parts)
    targets = [names.number(name) if is_load and name != "_" else -1 for name in parts]
    reads = [] if is_load else [names.read_lowest(name, f"b{8 * size}") for name in parts]
    # A register may be wider than what is loaded into it.
    kinds = [names.dtypes[target] if target >= 0 else dtype for target in targets]
    loaded = type_of(kind) if kind[0] == "s" else dtype

    def access(threads: Threads, mask: Mask) -> None:
        n, who = len(threads.numbers), threads.active(mask)
        if not len(who):
            return
        at = _places(address, offset, threads.registers, n, mask)
        if space == "shared":
            absolute = threads.shared.check(at, whole, who)
            if threads.is_counting:
                _count_wavefronts(threads, at, whole, who)
        else:
            (threads.memory if space == "global" else threads.local).check(at, whole)
            absolute = at
            if threads.is_counting and space == "global":
                threads.counts.sectors[threads.pc] += sectors(at, whole, who)
        for k, target in enumerate(targets):
            places = absolute + k * size
            if not is_load:
                given = np.broadcast_to(reads[k](threads.registers), (n,))
                numbers = given if mask is None else given[mask]
                if space == "global":
                    threads.memory.store(places, numbers)
                else:
                    (threads.shared if space == "shared" else threads.local).store(places, numbers, who)
                if threads.undefined is not None:
                    _store_nothing(threads, space, places, size, who)
            elif target >= 0:
                if space == "global":
                    found = threads.memory.load(places, dtype)
                else:
                    found = (threads.shared if space == "shared" else threads.local).load(places, dtype, who)
                threads.registers.write(target, _spread(found.view(loaded).astype(kinds[k]), mask), mask)
                if space == "shared":
                    _mark_unwritten(threads, target, places, size, mask)

    return access


def _store_nothing(threads: Threads, space: str, places: Any, size: int, who: Any) -> None:
    """Numbers that nobody wrote may lie in shared memory, as long as nobody asks."""
    assert threads.undefined is not None
    where = threads.undefined[who]
    if space != "shared" and where.any():
        raise Fault(f"what nobody wrote goes to {space} memory")
    if size <= 4:
        threads.shared.forget(places[where != 0])
    else:
        threads.shared.forget(places[where & LOW != 0])
        threads.shared.forget(places[where & HIGH != 0] + 4)


def _mark_unwritten(threads: Threads, target: int, places: Any, size: int, mask: Mask) -> None:
    low = threads.shared.is_unwritten(places)
    high = threads.shared.is_unwritten(places + 4) if size > 4 else low
    if low.any() or high.any():
        threads.registers.mark(target, _spread(low * LOW | high * HIGH, mask), mask)


def _spread(found: Values, mask: Mask) -> Values:
    """For all threads, from those of a mask."""
    if mask is None:
        return found
    whole = np.zeros(mask.shape, found.dtype)
    whole[mask] = found
    return whole


def _count_wavefronts(threads: Threads, at: Any, size: int, who: Any) -> None:
    least, most = wavefronts(at, size, who)
    threads.counts.wavefronts[threads.pc] += least
    threads.counts.most_wavefronts[threads.pc] += most


def _parameter(is_load: bool, kind: str, value: str, where: str, names: Names) -> Act:
    """A kernel's own, or, of a function written out, a register that stands for it."""
    found = _ADDRESS.fullmatch(where)
    if found is None or int(found[2] or "0", 0):
        raise NotModelled(f"parameter {where}")
    name = found[1]
    if names.is_register(name):
        to, of = (value, name) if is_load else (name, value)
        target, read = names.number(to), names.read_lowest(of, f"b{8 * width(kind)}")
        dtype = names.dtypes[target]
        return lambda threads, mask: threads.registers.write(target, read(threads.registers).astype(dtype), mask)
    target = names.number(value)
    return lambda threads, mask: threads.registers.write(target, constant(str(threads.parameters[name]), kind), mask)


def _cvta(opcode: Sequence[str], operands: Sequence[str], names: Names) -> Act:
    target, read = names.number(operands[0]), names.read(operands[1], opcode[-1])
    return lambda threads, mask: threads.registers.write(target, read(threads.registers), mask)


def _full(read: Read, threads: Threads) -> Values:
    return np.broadcast_to(read(threads.registers), (len(threads.numbers),))


def _shfl(opcode: Sequence[str], operands: Sequence[str], names: Names) -> Act:
    to, *rest = operands[0].split("|")
    value, by, clamp = (names.read(own, "b32") for own in operands[1:4])
    target, found_there = names.number(to), names.number(rest[0]) if rest else None

    def act(threads: Threads, mask: Mask) -> None:
        found, is_there = shuffled(opcode[2], *(_full(own, threads) for own in (value, by, clamp)))
        threads.registers.write(target, found, mask)
        if found_there is not None:
            threads.registers.write(found_there, is_there, mask)

    return act


def _redux(opcode: Sequence[str], operands: Sequence[str], names: Names) -> Act:
    target, read = names.number(operands[0]), names.read(operands[1], opcode[-1])
    return lambda threads, mask: threads.registers.write(target, reduced(opcode[2], _full(read, threads)), mask)


def _vote(opcode: Sequence[str], operands: Sequence[str], names: Names) -> Act:
    target, read = names.number(operands[0]), names.read(operands[1], "pred")
    return lambda threads, mask: threads.registers.write(target, voted(opcode[2], _full(read, threads)), mask)


def _matrix(opcode: Sequence[str], operands: Sequence[str], names: Names) -> Act:
    if list(opcode[1:4]) != ["sync", "aligned", "m8n8"] or "trans" in opcode or opcode[-1] != "b16":
        raise NotModelled(".".join(opcode))
    is_load = opcode[0] == "ldmatrix"
    value, where = operands if is_load else operands[::-1]
    parts = names_in(value)
    address, offset = _address(where, names, "u32")
    numbers = [names.number(name) for name in parts]
    reads = [names.read(name, "b32") for name in parts]

    def act(threads: Threads, mask: Mask) -> None:
        at = _places(address, offset, threads.registers, len(threads.numbers), mask)
        who = threads.active(mask)
        for k, number in enumerate(numbers):
            own = rows_of_matrices(at, k)
            absolute = threads.shared.check(own, 4, who)
            if threads.is_counting:
                _count_wavefronts(threads, own, 4, who)
            if is_load:
                found = threads.shared.load(absolute, np.dtype(np.uint32), who)
                threads.registers.write(number, _spread(found, mask), mask)
                _mark_unwritten(threads, number, absolute, 4, mask)
            else:
                given = _full(reads[k], threads)
                threads.shared.store(absolute, given if mask is None else given[mask], who)
                if threads.undefined is not None:
                    _store_nothing(threads, "shared", absolute, 4, who)

    return act


def _mma(opcode: Sequence[str], operands: Sequence[str], names: Names) -> Act:
    own = product(opcode)
    kind = "f32" if own.kind == "tf32" else "f64"
    targets = [names.number(name) for name in names_in(operands[0])]
    a, b, c = ([names.read(name, kind) for name in names_in(operand)] for operand in operands[1:])

    def act(threads: Threads, mask: Mask) -> None:
        given = [[_full(read, threads) for read in reads] for reads in (a, b, c)]
        for target, found in zip(targets, own(*given), strict=True):
            threads.registers.write(target, found, mask)

    return act


_OTHERS: dict[str, Callable[[Sequence[str], Sequence[str], Names], Act]] = {
    "cvta": _cvta, "shfl": _shfl, "redux": _redux, "vote": _vote, "ldmatrix": _matrix, "stmatrix": _matrix,
    "mma": _mma,
}  # fmt: skip
