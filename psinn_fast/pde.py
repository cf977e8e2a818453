"""PDEs: coordinates, fields, coefficients and a Python function of symbolic fields that returns the residuals."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import sympy as sp

from .kernels import checks
from .kernels.errors import InputError
from .portable import Portable
from .tracing import SymbolicField, time_of

Names = str | Sequence[str]
# A field of such a name could not be given a target: `Dirichlet(points, weight=0.0)`.
CONDITION_ARGUMENTS = ("points", "partners", "normals", "quantities", "residual", "weight", "name", "outside")


def split_names(names: Names, what: str) -> tuple[str, ...]:
    """``"x y"``, ``"x, y"`` or ``["x", "y"]`` to a tuple of valid, distinct Python names."""
    parts = tuple(names.replace(",", " ").split()) if isinstance(names, str) else tuple(names)
    for name in parts:
        if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name) or "_" in name:
            raise InputError(f"{what}: expected names of letters and digits, got {name!r}")
    if not parts or len(set(parts)) < len(parts):
        raise InputError(f"{what}: expected at least one name and no name twice, got {list(parts)}")
    return parts


@dataclass(frozen=True, init=False)
class PDE(Portable):
    """Residuals that vanish on the solution.

    Args:
        coords: names of the coordinates, e.g. ``"x y"`` (1 to 4).
        fields: names of the unknown functions, e.g. ``"u v p"``.
        residual: a function whose parameters are named after fields, coordinates and coefficients, in any order; it
            returns one expression or a list. Fields carry their derivatives as attributes: ``u.x``, ``u.xy``,
            ``u.xxyy``, ``u.lap``. Use SymPy's functions (``sympy.sin``).
        coefficients: known numbers by name.
        unknown: coefficients to be found, by name with the value they start from.
        time: the coordinate that is time, which ``u.lap`` leaves out; "auto": the one named t, if there is one; None:
            there is none.

    Raises:
        InputError: unusable or clashing names, a parameter that is none of them, a coefficient that is not finite, a
            time that is no coordinate.

    Example:
        ``PDE("t x", "u", lambda u, nu: u.t + u * u.x - nu * u.xx, unknown={"nu": 0.0})``
    """

    coords: tuple[str, ...]
    fields: tuple[str, ...]
    residual: Callable[..., Any]
    coefficients: Mapping[str, float]
    unknown: Mapping[str, float]
    time: str | None

    def __init__(
        self,
        coords: Names,
        fields: Names,
        residual: Callable[..., Any],
        coefficients: Mapping[str, float] | None = None,
        unknown: Mapping[str, float] | None = None,
        *,
        time: str | None = "auto",
    ) -> None:
        values: dict[str, Any] = {
            "coords": split_names(coords, "coords"),
            "fields": split_names(fields, "fields"),
            "residual": residual,
            "coefficients": _finite(coefficients or {}, "coefficients"),
            "unknown": _finite(unknown or {}, "unknown"),
        }
        values["time"] = time_of(values["coords"], time)
        for name, value in values.items():
            object.__setattr__(self, name, value)
        if len(self.coords) > 4:
            raise InputError(f"coords: derivatives are available for 1 to 4 coordinates, got {len(self.coords)}")
        for steps in (steps for order in range(1, 5) for steps in product(self.coords, repeat=order)):
            # u.<name> must be the derivative and not something that every SymPy symbol has.
            name = "".join(steps)
            if hasattr(SymbolicField, name) or name in ("field", "channel", "site", "coords"):
                culprits = " or ".join(sorted(set(steps)))
                raise InputError(f"coords: u.{name} means something else to SymPy's symbols; rename {culprits}")
        taken = [name for name in self.fields if name in CONDITION_ARGUMENTS]
        if taken:
            raise InputError(f"fields: {taken[0]!r} is an argument of the conditions; call the field something else")
        everything = [*self.coords, *self.fields, *self.coefficients, *self.unknown]
        twice = sorted({name for name in everything if everything.count(name) > 1})
        if twice:
            raise InputError(f"coords, fields, coefficients, unknown: the names {twice} are used twice")
        self.arguments_of(residual)

    def _functions(self) -> dict[str, object]:
        return {"PDE: its residual": self.residual}

    def without_unknowns(self) -> PDE:
        """The same PDE with its unknown coefficients fixed where they start."""
        return PDE(self.coords, self.fields, self.residual, {**self.coefficients, **self.unknown}, time=self.time)

    def arguments_of(self, function: Callable[..., Any]) -> tuple[str, ...]:
        """Parameter names of a residual function, all of them known to this PDE."""
        if not callable(function):
            raise InputError(f"residual: expected a function, got {type(function).__name__}")
        try:
            names = tuple(inspect.signature(function).parameters)
        except ValueError:
            raise InputError(
                f"residual: {function!r} does not tell its parameters' names; wrap it in a lambda"
            ) from None
        known = {*self.coords, *self.fields, *self.coefficients, *self.unknown}
        for name in names:
            if name not in known:
                raise InputError(
                    f"residual: its parameter {name!r} is neither a coordinate {list(self.coords)}, a field "
                    f"{list(self.fields)} nor a coefficient {[*self.coefficients, *self.unknown]}"
                )
        return names

    def coordinate_symbols(self, site: int = 0) -> tuple[sp.Symbol, ...]:
        return tuple(sp.Symbol(name + "'" * site, real=True) for name in self.coords)

    def unknown_symbols(self) -> tuple[sp.Symbol, ...]:
        return tuple(sp.Symbol(name, real=True) for name in self.unknown)

    def field_symbol(self, field: str, site: int = 0) -> SymbolicField:
        if field not in self.fields:
            raise InputError(f"field {field!r} is not declared; the PDE's fields are {list(self.fields)}")
        return SymbolicField(field, (0,) * len(self.coords), self.coords, site, self.time)

    def call(self, function: Callable[..., Any]) -> Any:
        """Call a residual function with what its parameters are named after."""
        scope: dict[str, Any] = {field: self.field_symbol(field) for field in self.fields}
        scope.update(zip(self.coords, self.coordinate_symbols(), strict=True))
        scope.update({name: sp.Float(value, 17) for name, value in self.coefficients.items()})
        scope.update(zip(self.unknown, self.unknown_symbols(), strict=True))
        return function(**{name: scope[name] for name in self.arguments_of(function)})


def _finite(values: Mapping[str, object], what: str) -> dict[str, float]:
    if not isinstance(values, Mapping):
        raise InputError(f"{what}: expected a mapping from name to number, got {type(values).__name__}")
    names = split_names(list(values), what) if values else ()
    return {name: checks.number(f"{what}: {name}", value) for name, value in zip(names, values.values(), strict=True)}
