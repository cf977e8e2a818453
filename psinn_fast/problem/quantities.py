"""What else is asked of a solution: numbers that follow from its values and derivatives, a drag, a flux, a mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..kernels import checks
from ..kernels.errors import InputError, short
from ..language.names import Names, split_words
from ..networks.derivatives import Derivatives, derivatives_at
from ..networks.mlp import PsiMLP

# at(points, "u u_x"): values and derivatives there, as arrays.
At = Callable[[npt.ArrayLike, Names], Derivatives[npt.NDArray[Any]]]


@dataclass(frozen=True)
class Quantity:
    """A number that follows from a solution, e.g. ``Quantity(lambda at: at(front, "p").p.mean(), reference=3.5)``.

    Args:
        function: of ``at(points, wanted)``, which gives values and derivatives by name, as `Solution.derivatives` does.
        reference: what it ought to be, if known.

    Raises:
        InputError: no function, or a reference that is no number.
    """

    function: Callable[[At], float]
    reference: float | None = None

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InputError(f"function: expected a function of at(points, wanted), got {short(self.function)}")
        if self.reference is not None:
            object.__setattr__(self, "reference", checks.number("reference", self.reference))


def checked_quantities(given: object) -> dict[str, Quantity]:
    """By name; functions alone have no reference.

    Raises:
        InputError: no mapping from names to quantities or functions.
    """
    if not isinstance(given, Mapping):
        raise InputError(f"quantities: expected a mapping from name to function, got {short(given)}")
    found = {}
    for name, value in given.items():
        if not isinstance(name, str) or len(split_words(name, "quantities")) != 1:
            raise InputError(f"quantities: expected a name of one word, got {short(name)}")
        try:
            found[name] = value if isinstance(value, Quantity) else Quantity(value)
        except InputError as error:
            raise InputError(f"quantities: {name}: {error}") from None
    return found


def measured(
    quantities: Mapping[str, Quantity],
    net: PsiMLP,
    coords: Names,
    fields: Names,
    time: str | None,
    parameters: tuple[str, ...],
) -> dict[str, float | None]:
    """Of a network, by name; None for what is no finite number there.

    Raises:
        InputError: a function fails, or gives no number.
    """

    def at(points: npt.ArrayLike, wanted: Names) -> Derivatives[npt.NDArray[Any]]:
        return derivatives_at(net, np.asarray(points), wanted, coords, fields, time, parameters)

    found: dict[str, float | None] = {}
    for name, quantity in quantities.items():
        try:
            value = quantity.function(at)
        except Exception as error:  # of a function of the user's, whatever it raises
            raise InputError(f"quantities: {name}: the function failed ({type(error).__name__}: {error})") from error
        given = checks.real_array(f"quantities: {name}: what the function gives", value)
        if given.shape != ():
            raise InputError(f"quantities: {name}: expected the function to give one number, got {short(value)}")
        found[name] = float(given) if math.isfinite(given) else None
    return found
