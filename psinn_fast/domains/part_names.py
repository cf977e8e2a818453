"""Names of parts of domains that are made of several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def distinct(names: Sequence[Sequence[str]]) -> Iterator[str]:
    """The names of all domains, one after the other; one that several have is numbered: "rim" twice is "rim1", "rim2".

    Numbers that would make a name that is there are left out.
    """
    every = [name for own in names for name in own]
    numbers = dict.fromkeys(every, 0)
    for name in every:
        if every.count(name) == 1:
            yield name
            continue
        numbers[name] += 1
        while f"{name}{numbers[name]}" in numbers:
            numbers[name] += 1
        yield f"{name}{numbers[name]}"
