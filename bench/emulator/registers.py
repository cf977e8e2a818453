"""The registers of all threads, and what operands say of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .faults import Fault, NotModelled
from .numbers import TYPES, Values, constant, is_constant, type_of

Bools: TypeAlias = npt.NDArray[np.bool_]
# Which threads an instruction is for; None: all.
Mask: TypeAlias = "Bools | None"
Read: TypeAlias = "Callable[[Registers], Values]"
# Of each thread, which half of a register it is about: LOW, HIGH, or ALL of it.
Halves: TypeAlias = npt.NDArray[np.uint8]
LOW, HIGH, ALL = np.uint8(1), np.uint8(2), np.uint8(3)
_WORD = re.compile(r"[%\w$@.]+")
# What a register holds in threads that have not written it.
NOBODYS = 0xCDCDCDCDCDCDCDCD


class Registers:
    """An array for each register, with a number for each of ``n`` threads; arrays are replaced, never changed.

    Args:
        never: registers that no instruction writes: whatever they hold is undefined.

    Attributes:
        values: by the register's number; None: no thread has written it.
        undefined: where a register holds what nobody wrote, or what was computed from that; see undefined.py.
    """

    def __init__(self, dtypes: list[np.dtype[Any]], n: int, never: Iterable[int] = ()) -> None:
        self.values: list[Values | None] = [None] * len(dtypes)
        self.undefined: dict[int, Halves] = {}
        self._dtypes, self._shape = dtypes, (n,)
        for number in never:
            self.values[number] = self._nobodys(number)
            self.undefined[number] = np.full(n, ALL)

    def write(self, number: int, value: Values, mask: Mask) -> None:
        dtype = self._dtypes[number]
        if value.dtype is not dtype:
            value = value.view(dtype)
        if mask is None:
            self.values[number] = value if value.shape == self._shape else np.broadcast_to(value, self._shape)
            if self.undefined:
                self.undefined.pop(number, None)
            return
        old = self.values[number]
        if old is None:
            old = self._nobodys(number)
            self.undefined[number] = np.full(self._shape, ALL)
        self.values[number] = np.where(mask, value, old)
        if number in self.undefined:
            self._set_undefined(number, np.where(mask, np.uint8(0), self.undefined[number]))

    def mark(self, number: int, where: Halves, mask: Mask) -> None:
        """That a register holds nothing there, in threads of a mask."""
        own = where if mask is None else np.where(mask, where, np.uint8(0))
        self._set_undefined(number, self.undefined[number] | own if number in self.undefined else own)

    def undefined_in(self, numbers: Iterable[int], mask: Mask) -> Halves | None:
        """Where one of the registers is, in threads of a mask; None: nowhere."""
        found: Halves | None = None
        for number in numbers:
            own = self.undefined.get(number)
            if own is not None:
                found = own if found is None else found | own
        if found is not None and mask is not None:
            found = np.where(mask, found, np.uint8(0))
        return found if found is not None and found.any() else None

    def _set_undefined(self, number: int, where: Halves) -> None:
        if where.any():
            self.undefined[number] = where
        else:
            self.undefined.pop(number, None)

    def _nobodys(self, number: int) -> Values:
        return np.broadcast_to(np.array(NOBODYS, np.uint64).astype(self._dtypes[number]), self._shape)


class Names:
    """What operands are called: registers by number, arrays and parameters by where they lie."""

    def __init__(self, kinds: Mapping[str, str], addresses: Mapping[str, int]) -> None:
        self._numbers = {name: number for number, name in enumerate(kinds)}
        self.dtypes = [TYPES[kind] for kind in kinds.values()]
        self._addresses = addresses

    def number(self, name: str) -> int:
        if name not in self._numbers:
            raise NotModelled(f"operand {name}")
        return self._numbers[name]

    def is_register(self, name: str) -> bool:
        return name in self._numbers

    def registers(self, operands: Iterable[str]) -> tuple[int, ...]:
        """Those that operands name, vectors and addresses too."""
        words = [word for operand in operands for word in _WORD.findall(operand) if word in self._numbers]
        return tuple(dict.fromkeys(self._numbers[word] for word in words))

    def read(self, operand: str, kind: str) -> Read:
        """How to get an operand's numbers as this type."""
        if is_constant(operand):
            value = constant(operand, kind)
            return lambda registers: value
        if operand in self._addresses:
            address = constant(str(self._addresses[operand]), kind)
            return lambda registers: address
        number, dtype = self.number(operand), type_of(kind)
        own = self.dtypes[number]
        if own.itemsize != dtype.itemsize or (own == np.bool_) != (dtype == np.bool_):
            raise NotModelled(f"operand {operand} as {kind}")
        if own == dtype:
            return lambda registers: _written(registers.values[number])
        return lambda registers: _written(registers.values[number]).view(dtype)

    def read_lowest(self, operand: str, kind: str) -> Read:
        """The same, of a register that may be wider."""
        dtype = type_of(kind)
        if is_constant(operand) or self.dtypes[self.number(operand)].itemsize == dtype.itemsize:
            return self.read(operand, kind)
        number = self.number(operand)
        return lambda registers: _written(registers.values[number]).astype(dtype)


def _written(value: Values | None) -> Values:
    if value is None:
        raise Fault("a register is read that no thread has written")
    return value
