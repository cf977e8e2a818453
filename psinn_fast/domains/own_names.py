"""Names that a class of the library has a meaning for: one of a user's own would be overwritten, or break a method."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache, cached_property

from ..kernels.errors import InputError

# What every domain says by an attribute, but for boxes, which know it; checked where it is used.
_GIVEN = "parts"
# Methods that every domain has of its own: what is wrong with them is said when they are called.
_OWN = ("contains", "boundary_at", "shrunk")


def refuse_taken(cls: type, name: str) -> None:
    """
    Raises:
        InputError: ``self.name = ...`` in a subclass, where the library has another meaning for the name.
    """
    if name in _taken(cls):
        raise InputError(f"{cls.__name__}: self.{name} = ...: {_advice(cls, name)}")


def refuse_taken_names(cls: type) -> None:
    """
    Raises:
        InputError: in the body of a subclass a name of the library's is a value, or a method with other parameters.
    """
    for name, value in () if _is_ours(cls) else vars(cls).items():
        if name not in _taken(cls):
            continue
        theirs = _theirs(cls, name)
        if isinstance(theirs, (property, cached_property)):
            fits = isinstance(value, (property, cached_property))
        else:
            fits = inspect.isfunction(theirs) and _takes_as_many(name, value, theirs)
        if name.startswith("_") or not fits:
            raise InputError(f"{cls.__name__}: its {name}: {_advice(cls, name)}")


@cache
def _taken(cls: type) -> frozenset[str]:
    """Attributes and methods of those of its bases that belong to the library."""
    ours = [base for base in cls.__mro__ if _is_ours(base)]
    names = {name for base in ours for name in (*vars(base), *inspect.get_annotations(base))}
    is_box = any(vars(base).get("is_box", False) for base in ours)
    return frozenset(name for name in names if not name.startswith("__") and (name != _GIVEN or is_box))


def _is_ours(cls: type) -> bool:
    return cls.__module__.startswith(f"{__name__.rpartition('.')[0]}.")


def _theirs(cls: type, name: str) -> object:
    """What the library's own class has of that name; None where it is set when a domain is made."""
    return next((vars(base)[name] for base in cls.__mro__[1:] if _is_ours(base) and name in vars(base)), None)


def _takes_as_many(name: str, value: object, theirs: Callable[..., object]) -> bool:
    if name in _OWN or not callable(value):
        return callable(value) or isinstance(value, (staticmethod, classmethod))
    wanted = list(inspect.signature(theirs).parameters.values())
    try:
        inspect.signature(value).bind(*(0 for p in wanted if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)))
    except (TypeError, ValueError):
        return False
    return True


def _advice(cls: type, name: str) -> str:
    theirs = _theirs(cls, name)
    if inspect.isfunction(theirs):
        meaning = f"a method {name}({', '.join(list(inspect.signature(theirs).parameters)[1:])})"
    else:
        meaning = "set by super().__init__" if name in ("low", "high", "coords") else "an attribute"
    return (
        f"{name!r} is a name of the library's own ({meaning}), which it would take the place of; call yours something "
        f"else, e.g. my_{name.strip('_')}"
    )
