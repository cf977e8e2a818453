"""Copies and pickles of what holds functions: executors send problems to other processes and solutions back."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping
from copy import deepcopy
from functools import partial
from types import FrameType
from typing import Any, ClassVar

from .frozen import frozen

# These pickle functions by what they do.
_BY_VALUE = ("cloudpickle", "dill")


class Portable:
    """A frozen dataclass that holds functions. Copied and pickled are its fields.

    A pickle holds the names of functions, so they must be found under these: a lambda or a function within another is
    refused. A copy shares them, and what has been computed from them.

    ``_records``: names of entries that are no fields and are copied and pickled too, where they are there.
    """

    _records: ClassVar[tuple[str, ...]] = ()

    def _functions(self) -> Mapping[str, object]:
        """The functions among the fields, by what messages call them."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        """
        Raises:
            pickle.PicklingError: a function without a name of its own.
        """
        for what, function in self._functions().items():
            refuse_local(what, function)
        return self._fields()

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        # Neither pickles nor copies of arrays are read-only.
        self.__dict__.update({name: frozen(value) for name, value in state.items()})

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        made = memo[id(self)] = object.__new__(type(self))
        made.__setstate__(deepcopy(self._fields(), memo))
        # What was computed from functions is what they said, whatever they would say now.
        made.__dict__.update({name: value for name, value in self.__dict__.items() if name not in made.__dict__})
        return made

    def _fields(self) -> dict[str, Any]:
        names: Mapping[str, object] = self.__dataclass_fields__  # type: ignore[attr-defined]  # of every dataclass
        return {name: self.__dict__[name] for name in (*names, *self._records) if name in self.__dict__}


def refuse_local(what: str, function: object) -> None:
    """
    Raises:
        pickle.PicklingError: a lambda, or a function within a function, also as part of a `partial`.
    """
    if isinstance(function, partial):
        for part in (function.func, *function.args, *function.keywords.values()):
            refuse_local(what, part)
    name = getattr(function, "__qualname__", "")
    if callable(function) and "<" in name and not _is_by_value():
        raise pickle.PicklingError(
            f"{what} is {name}, which a pickle cannot name: define it at the top level of a module, or give it its "
            "surroundings by functools.partial"
        )


def _is_by_value() -> bool:
    """Whether one of these is at work; that some library has imported it does not say so."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] in _BY_VALUE:
            return True
        frame = frame.f_back
    return False
