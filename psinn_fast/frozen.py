"""What does not change once it is made: problems are traced when they are made, a later change would not be trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

import numpy as np
import torch

Key = TypeVar("Key")
Value = TypeVar("Value")


class FrozenDict(dict[Key, Value]):
    """A dictionary that refuses every change. Unlike `types.MappingProxyType` it is its own, and is pickled."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError(
            f"{dict(self)} belongs to a PDE, condition, problem or domain, which does not change once it is made: make "
            "another one, e.g. by dataclasses.replace"
        )

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)


def frozen(value: Any) -> Any:
    """The value, its arrays read-only and its mappings frozen; also those within tuples and mappings."""
    if isinstance(value, np.ndarray):
        value.setflags(write=False)
    elif isinstance(value, Mapping):
        return FrozenDict({name: frozen(part) for name, part in value.items()})
    elif type(value) is tuple:
        return tuple(map(frozen, value))
    return value


def unchanging(value: Any) -> Any:
    """A copy that nobody can change: of arrays, lists, tuples, sets, dictionaries, bytearrays, and those within.

    Other objects stay what they are.
    """
    if isinstance(value, np.ndarray):
        return frozen(np.array(value))
    if isinstance(value, Mapping):
        return FrozenDict({name: unchanging(part) for name, part in value.items()})
    if isinstance(value, list) or type(value) is tuple:
        return tuple(map(unchanging, value))
    if isinstance(value, (set, frozenset)):
        return frozenset(value)
    if isinstance(value, torch.Tensor):  # which cannot be frozen, but is nobody else's
        return value.detach().clone()
    return bytes(value) if isinstance(value, bytearray) else value
