"""What a function would read if it were called: closures, globals, attributes, containers, also of other functions.

It is called later than it is given, and may then read what has become something else: a loop's variable, for instance.
Compared are values that say what they are (numbers, texts, arrays, expressions, code, and what is made of them), as far
as a function's code names them; nothing of the user's is called for that.
"""

from __future__ import annotations

import dis
import enum
import hashlib
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from numbers import Number
from types import CodeType, FunctionType, MemberDescriptorType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import sympy as sp
import torch

from ..kernels.errors import short

_PLAIN = (Number, str, bytes, type(None))
_CONTAINERS = (dict, list, tuple, deque, set, frozenset)
_WHOLE = (*_PLAIN, sp.Basic, sp.MatrixBase, np.ndarray, torch.Tensor)
_NOTHING = object()
_LOCAL = ("LOAD_FAST", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF")
# Of packages and the standard library nothing changes that a residual would hold.
_FOREIGN = {*sys.stdlib_module_names, "sympy", "numpy", "scipy", "torch", "mpmath", "psinn_fast"} - {"__main__"}
# Methods that change a container.
_CHANGING = {"append", "add", "extend", "insert", "setdefault", "update"}
# Entries of a container, values of a function, and functions and objects within each other that are looked at.
_ENTRIES, _VALUES, _DEPTH = 256, 2_000, 8
# Numbers of an array that is looked at where others count by which they are.
_SMALL = 4096

# An attribute by its name, an entry by its key.
Step = str | tuple[Any]


@dataclass(frozen=True)
class _Names:
    """What a function's code, with that of functions within it, loads: a name, then attributes and entries of it."""

    globals: frozenset[tuple[Step, ...]]
    locals: frozenset[tuple[Step, ...]]
    stored: frozenset[str]
    changes_containers: bool


@dataclass(frozen=True)
class Reads:
    """Values by where they are read: ``k``, ``self.k``, ``params['k']``."""

    values: Mapping[str, Any]
    may_grow: frozenset[str] = field(repr=False)

    @classmethod
    def of(cls, function: object, first: object = None, arrays: bool = True) -> Reads:
        """
        Args:
            first: its first argument, if that is known.
            arrays: whether tensors and large arrays count by what is in them; else by which they are.
        """
        found = _Finder(arrays)
        found.function("", function, first, 0)
        return cls(found.values, frozenset(found.may_grow))

    def __deepcopy__(self, memo: object) -> Reads:
        return self

    def changes(self, earlier: Reads) -> Iterator[tuple[str, str, str]]:
        """Where something else is read than earlier, and both values; what was not there earlier does not count."""
        for place, old in earlier.values.items():
            new = self.values.get(place, old)
            grown = place in self.may_grow and isinstance(new, _Keys) and new.keys[: len(old.keys)] == old.keys
            is_same = old == new or (old != old and new != new)  # NaN is what it was
            if not grown and not is_same:
                yield place, short(old), short(new)


@dataclass(frozen=True)
class _Keys:
    """Of a container."""

    keys: tuple[str, ...]

    def __repr__(self) -> str:
        return f"with the entries {', '.join(self.keys)}"


@dataclass(frozen=True, eq=False)
class _Same:
    """An object, and no other that is equal to it."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)

    def __repr__(self) -> str:
        return f"the {type(self.value).__name__} at {id(self.value):#x}"


@dataclass(frozen=True)
class _Digest:
    what: str
    digest: str

    def __repr__(self) -> str:
        return f"{self.what} ({self.digest[:8]})"


class _Finder:
    def __init__(self, arrays: bool) -> None:
        self._arrays = arrays
        self.values: dict[str, Any] = {}
        self.may_grow: set[str] = set()
        self._seen: set[tuple[int, int]] = set()
        self._names: _Names | None = None

    def function(self, place: str, function: object, own: object, depth: int) -> None:
        """``own``: its first argument, where that is known."""
        if depth > _DEPTH:
            return
        if isinstance(function, partial):
            self.function(place, function.func, None, depth + 1)
            for name, value in [*enumerate(function.args), *function.keywords.items()]:
                self.value(name if isinstance(name, str) else f"argument {name}", value, depth + 1)
        elif isinstance(function, MethodType):
            self.function(place, function.__func__, function.__self__, depth + 1)
        elif isinstance(function, (staticmethod, classmethod)):
            self.function(place, function.__func__, None, depth + 1)
        elif isinstance(function, FunctionType):
            if place:
                self.values[place] = _Digest(f"the function {function.__qualname__}", _digest(function.__code__))
            if not _is_foreign(function.__module__) and (id(function), id(own)) not in self._seen:
                self._seen.add((id(function), id(own)))
                self._code(function, own, depth)
        elif isinstance(function, type):
            self.values[place] = _Digest(function.__qualname__, function.__module__)
        elif isinstance(wrapped := _own(function).get("__wrapped__"), FunctionType):  # of functools.cache
            self.function(place, wrapped, own, depth + 1)
        elif isinstance(call := _attribute(type(function), "__call__"), FunctionType):
            self.function("", call, function, depth + 1)

    def _code(self, function: FunctionType, own: object, depth: int) -> None:
        code, names = function.__code__, _names(function.__code__)
        given = dict(_filled(zip(code.co_freevars, function.__closure__ or (), strict=True)))
        defaults = function.__defaults__ or ()
        given.update(zip(code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount], defaults, strict=True))
        given.update(function.__kwdefaults__ or {})
        if own is not None and code.co_argcount:
            given[code.co_varnames[0]] = own
        for where, loaded in ((function.__globals__, names.globals), (given, names.locals)):
            for name, *steps in sorted(loaded, key=str):
                if name in where and name not in names.stored:
                    outer, self._names = self._names, names
                    self._follow(str(name), where[name], steps, depth)
                    self._names = outer
        if "super" in code.co_names:
            for kind in type(own).__mro__[1:]:
                for name in sorted(_own(kind).keys() & set(code.co_names)):
                    if isinstance(method := _own(kind)[name], FunctionType):
                        self.function("", method, own, depth + 1)

    def _follow(self, place: str, value: Any, steps: list[Step], depth: int) -> None:
        for step in steps:
            if isinstance(step, tuple):
                if not isinstance(value, (dict, list, tuple)):
                    break
                found = _entry(value, step[0])
                place = f"{place}[{step[0]!r}]"
            else:
                if isinstance(value, (*_WHOLE, *_CONTAINERS)):  # a method of it
                    break
                if isinstance(value, ModuleType) and _is_foreign(value.__name__):
                    return
                is_stored = self._names is not None and f".{step}" in self._names.stored
                found = _NOTHING if is_stored else _attribute(value, step)
                place = f"{place}.{step}"
            if found is _NOTHING:
                return
            if isinstance(found, property):
                self.function("", found.fget, value, depth + 1)
                return
            if isinstance(found, FunctionType) and not isinstance(value, ModuleType) and step not in _own(value):
                self.function(place, found, value, depth + 1)
                return
            value = found
        self.value(place, value, depth)

    def value(self, place: str, value: Any, depth: int) -> None:
        if depth > _DEPTH or len(self.values) > _VALUES:
            return
        if isinstance(value, enum.Enum):
            self.values[place] = _Digest(str(value), type(value).__module__)
        elif isinstance(value, np.generic):
            self.values[place] = value.item()
        elif isinstance(value, (*_PLAIN, sp.Basic)):
            self.values[place] = value
        elif isinstance(value, sp.MatrixBase):
            self.values[place] = value.as_immutable()
        elif isinstance(value, (np.ndarray, torch.Tensor)):
            if self._arrays or (isinstance(value, np.ndarray) and value.size <= _SMALL):
                self._array(place, value)
            else:
                self.values[place] = _Same(value)
        elif isinstance(value, _CONTAINERS):
            self._container(place, value, depth)
        elif isinstance(value, ModuleType):
            return
        elif callable(value):
            self.function(place, value, None, depth + 1)
            self._parts(place, value, depth)
        else:
            self._parts(place, value, depth)

    def _parts(self, place: str, value: Any, depth: int) -> None:
        """Of an object that is passed on as a whole."""
        if isinstance(value, (FunctionType, MethodType, partial, type)) or (id(value), 0) in self._seen:
            return
        if _is_foreign(type(value).__module__) and not isinstance(value, SimpleNamespace):
            return
        self._seen.add((id(value), 0))
        for name, part in list(_own(value).items()):
            if not callable(part):
                self.value(f"{place}.{name}", part, depth + 1)

    def _array(self, place: str, value: Any) -> None:
        try:
            array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
        except (RuntimeError, TypeError):  # neither dense nor of numbers that NumPy has
            return
        if not array.dtype.hasobject:
            kind = f"array of shape {array.shape} and type {array.dtype}"
            self.values[place] = _Digest(kind, hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest())

    def _container(self, place: str, value: Any, depth: int) -> None:
        if isinstance(value, (set, frozenset)):
            value = sorted(value, key=repr) if all(isinstance(item, _PLAIN) for item in value) else []
        entries = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
        if len(entries) > _ENTRIES:
            if all(isinstance(item, _PLAIN) for entry in entries for item in entry):
                digest = hashlib.sha256(repr(value).encode()).hexdigest()
                self.values[place] = _Digest(f"{type(value).__name__} of {len(entries)} entries", digest)
            return
        self.values[place] = _Keys(tuple(short(key) for key, _ in entries if isinstance(key, _PLAIN)))
        if self._names is not None and self._names.changes_containers:
            self.may_grow.add(place)
        for key, part in entries:
            if isinstance(key, _PLAIN):
                self.value(f"{place}[{key!r}]", part, depth + 1)


def _entry(container: Any, key: Any) -> Any:
    try:
        return container[key]
    except (LookupError, TypeError):
        return _NOTHING


def _attribute(value: Any, name: str) -> Any:
    """As the object or its class has it, without running properties and the like."""
    for owner in (_own(value), *map(_own, (value if isinstance(value, type) else type(value)).__mro__)):
        if name in owner:
            found = owner[name]
            return getattr(value, name, _NOTHING) if isinstance(found, MemberDescriptorType) else found  # of __slots__
    return getattr(value, name, _NOTHING) if isinstance(value, torch.nn.Module) else _NOTHING


def _own(value: Any) -> Mapping[str, Any]:
    try:
        own: Mapping[str, Any] = vars(value)
    except TypeError:
        return {}
    return own


def _filled(cells: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    for name, cell in cells:
        try:
            yield name, cell.cell_contents
        except ValueError:  # not assigned yet
            continue


def _is_foreign(module: str | None) -> bool:
    return (module or "").partition(".")[0] in _FOREIGN


@lru_cache(maxsize=4096)
def _names(code: CodeType) -> _Names:
    globals_, locals_, stored = set[tuple[Step, ...]](), set[tuple[Step, ...]](), set[str]()
    changes = bool(_CHANGING.intersection(code.co_names))
    instructions = list(dis.get_instructions(code))
    for i, instruction in enumerate(instructions):
        name = instruction.opname
        if name in ("LOAD_GLOBAL", "LOAD_NAME"):
            globals_.add((instruction.argval, *_steps(instructions, i + 1)))
        elif name.startswith(_LOCAL):
            loaded = instruction.argval if isinstance(instruction.argval, tuple) else (instruction.argval,)
            locals_.update((one,) for one in loaded[:-1])
            locals_.add((loaded[-1], *_steps(instructions, i + 1)))
        elif name == "STORE_GLOBAL" or (name == "STORE_DEREF" and instruction.argval in code.co_freevars):
            stored.add(instruction.argval)
        elif name == "STORE_ATTR":
            stored.add(f".{instruction.argval}")
        elif name == "STORE_SUBSCR":
            changes = True
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner = _names(constant)
            globals_ |= inner.globals
            locals_ |= inner.locals
            stored |= inner.stored
            changes |= inner.changes_containers
    return _Names(frozenset(globals_), frozenset(locals_), frozenset(stored), changes)


def _steps(instructions: list[dis.Instruction], i: int) -> Iterator[Step]:
    """Attributes and constant entries that are taken at once of what was loaded."""
    while i < len(instructions):
        instruction = instructions[i]
        if instruction.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            yield instruction.argval
            i += 1
        elif (
            instruction.opname == "LOAD_CONST"
            and instructions[i + 1].opname == "BINARY_SUBSCR"
            and isinstance(instruction.argval, (str, int))
        ):
            yield (instruction.argval,)
            i += 2
        else:
            return


@lru_cache(maxsize=4096)
def _digest(code: CodeType) -> str:
    """Of what it does, wherever it stands."""
    constants = [_digest(part) if isinstance(part, CodeType) else repr(part) for part in code.co_consts]
    text = repr((code.co_code.hex(), code.co_names, code.co_varnames, code.co_freevars, constants))
    return hashlib.sha256(text.encode()).hexdigest()
