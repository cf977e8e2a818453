"""Cases that are no equation on a box: their contestants pose them themselves, from the case alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Posed:
    """``module``: of `bench.contestants`, with CONTESTANTS, what makes each of them by its name from the case.

    ``reference``: the contestant that says what is right; None for whom `measure.reference_of` takes.
    """

    module: str
    reference: str | None = None


# By `Case.equation`.
POSED = {
    "linear layer": Posed("linear_layers", "linear"),
    "cylinder": Posed("flow"),
}
