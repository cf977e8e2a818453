"""Names of parts of domains that are made of several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..kernels.errors import InputError, short


class Label(NamedTuple):
    """What a part is called in the domain that it comes from, and which of those that were combined this is."""

    name: str
    source: int = 0


def names_of(labels: Iterable[Label]) -> dict[Label, str]:
    """Of all labels: a name that several domains have is followed by a number, 1 for the first of them."""
    every = list(dict.fromkeys(labels))
    sources: dict[str, list[int]] = {}
    for name, source in sorted(every):
        sources.setdefault(name, []).append(source)
    return {
        label: label.name + (str(sources[label.name].index(label.source) + 1) if len(sources[label.name]) > 1 else "")
        for label in every
    }


def refuse_clashes(what: str, names: Iterable[str]) -> None:
    """
    Raises:
        InputError: two parts have one name, since one of them was called what numbers make of another.
    """
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"{what}: two parts would be called {twice[0]!r}; give one another name by renamed(...)")


def listed(part: object) -> Sequence[object]:
    """The names in a list or a tuple of some, or what else is given as the one.

    Raises:
        InputError: a list without names, or with one twice, or of what is no text.
    """
    if not isinstance(part, (list, tuple)):
        return [part]
    if not part or not all(isinstance(name, str) for name in part):
        raise InputError(f"part: expected names of parts in a list, or None for all parts, got {short(part)}")
    if twice := [name for name, count in Counter(part).items() if count > 1]:
        raise InputError(f"part: expected no name twice, got {twice[0]!r} in {short(part)}")
    return part
