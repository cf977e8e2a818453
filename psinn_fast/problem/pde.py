"""PDEs: coordinates, fields, coefficients and a Python function of symbolic fields that returns the residuals."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import sympy as sp

from ..frozen import frozen
from ..kernels.errors import InputError, short
from ..kernels.language.channels import MAX_INPUTS
from ..language.cartesian import misread
from ..language.derivative_names import refuse_ambiguous, spatial_axes, time_of, undeclared_time
from ..language.fields import Operator, SymbolicField, coordinate_symbols, refuse_taken
from ..language.names import Names, normal, numbers_by_name, split_names
from ..language.own_symbols import symbols_in
from ..language.scope import Scope, entered
from ..language.tracing import Called, Traced, called, lowered
from ..portable import Portable
from .description import describe_pde
from .description_html import pde_html
from .meaning import Meaning

# A field of such a name could not be given a target: `Dirichlet(points, weight=0.0)`.
CONDITION_ARGUMENTS = (
    "points", "partners", "normals", "quantities", "residual", "equations", "weight", "name", "outside",
)  # fmt: skip

# Powers of larger ones would have millions of digits.
_LARGEST_INTEGER = 1e6


@dataclass(frozen=True, init=False)
class PDE(Portable):
    """Residuals that vanish on the solution.

    Args:
        coords: names of the coordinates, e.g. ``"x y"`` (1 to 8).
        fields: names of the unknown functions, e.g. ``"u v p"``.
        residual: a function whose parameters are named after fields, coordinates and coefficients, in any order; it
            returns one expression, a list, or a mapping from names of equations to either, so that conditions can ask
            for some of them (`Residual`). It is called once, when the PDE is made: what it reads may change later and
            changes nothing. Fields carry their derivatives as attributes: ``u.x``, ``u.xy``,
            ``u.xxyy``, ``u.lap``, which is Cartesian: over r and theta it is u_rr + u_thetatheta, and a warning
            says how the polar one is written. Use SymPy's functions (``sympy.sin``).
        coefficients: known numbers by name.
        unknown: coefficients to be found, by name with the value they start from: a plausible one, rather too large
                than too small for viscosities and diffusivities, not zero.
        time: the coordinate that is time, which ``u.lap`` leaves out; "auto": the one named t, if there is one; None:
            there is none.
        parameters: coordinates that the solution depends on without derivatives, such as a viscosity over a range:
            ``PDE("t x nu", "u", ..., parameters="nu")``. ``u.lap`` leaves them out, and their ends need no conditions.

    Raises:
        InputError: unusable or clashing names, a parameter of the function that is none of them, a coefficient that is
            not finite, a time or parameters that are no coordinates, a derivative along a parameter, a residual
            function that fails or returns no residual.

    Example:
        ``PDE("t x", "u", lambda u, nu: u.t + u * u.x - nu * u.xx, unknown={"nu": 0.1})``
    """

    coords: tuple[str, ...]
    fields: tuple[str, ...]
    residual: Callable[..., Any]
    coefficients: Mapping[str, float]
    unknown: Mapping[str, float]
    time: str | None
    parameters: tuple[str, ...]
    _records = ("_meaning",)

    def __init__(
        self,
        coords: Names,
        fields: Names,
        residual: Callable[..., Any],
        coefficients: Mapping[str, float] | None = None,
        unknown: Mapping[str, float] | None = None,
        *,
        time: str | None = "auto",
        parameters: Names = (),
    ) -> None:
        values: dict[str, Any] = {
            "coords": split_names(coords, "coords"),
            "fields": split_names(fields, "fields"),
            "residual": residual,
            "coefficients": frozen(_numbers({} if coefficients is None else coefficients, "coefficients")),
            "unknown": frozen(_numbers({} if unknown is None else unknown, "unknown")),
        }
        values["parameters"] = split_names(parameters, "parameters") if parameters else ()
        values["time"] = time_of(values["coords"], time)
        for name in values["parameters"]:
            if name not in values["coords"] or name == values["time"]:
                what = (
                    "is the time" if name == values["time"] else f"is none of the coordinates {list(values['coords'])}"
                )
                raise InputError(f"parameters: {name!r} {what}")
        for name, value in values.items():
            object.__setattr__(self, name, value)
        if len(self.coords) > MAX_INPUTS:
            raise InputError(
                f"coords: derivatives are available for 1 to {MAX_INPUTS} coordinates, got {len(self.coords)}"
            )
        refuse_taken(self.coords)
        refuse_ambiguous(self.coords)
        taken = [name for name in self.fields if name in CONDITION_ARGUMENTS]
        if taken:
            raise InputError(f"fields: {taken[0]!r} is an argument of the conditions; call the field something else")
        everything = [*self.coords, *self.fields, *self.coefficients, *self.unknown]
        twice = sorted({name for name in everything if everything.count(name) > 1})
        if twice:
            raise InputError(f"coords, fields, coefficients, unknown: the names {twice} are used twice")
        others = [name for name in self.coords if name not in self.parameters]
        if time == "auto" and self.time is None and (likely := undeclared_time(others)):
            warnings.warn(
                f"PDE: {likely!r} is taken for a coordinate of space: u.lap has its second derivative, there are "
                f"no windows of time and no causal weights. Say time={likely!r} if it is time, time=None if not",
                stacklevel=2,
            )
        # What the function reads may change: a PDE means what it says now.
        if text := self.misread(self.given.shorthands):
            warnings.warn(f"PDE: {text}", stacklevel=2)
        if taken := [name for name in self.equations if name in everything]:
            raise InputError(
                f"residual: the name {taken[0]!r} of an equation is a field's, coordinate's or coefficient's; call it "
                f"something else, e.g. 'equation_{taken[0]}'"
            )

    def _functions(self) -> dict[str, object]:
        return {"PDE: its residual": self.residual}

    def __getstate__(self) -> dict[str, Any]:
        try:
            meaning = {"_meaning": Meaning.anywhere(self.traced(), len(self.coords))}
        except InputError:  # no problem can have it
            meaning = {}
        return {**super().__getstate__(), **meaning}

    def without_unknowns(self) -> PDE:
        """The same PDE with its unknown coefficients fixed where they start."""
        known = {**self.coefficients, **self.unknown}
        return PDE(self.coords, self.fields, self.residual, known, time=self.time, parameters=self.parameters)

    def __str__(self) -> str:
        return describe_pde(self)

    def _repr_html_(self) -> str:
        """For notebooks."""
        return pde_html(self)

    @cached_property
    def given(self) -> Called:
        """What the residual function gave when the PDE was made. A pickle's is called again, which must mean the same.

        Raises:
            InputError: it fails, or returns no residual, or reads something that has changed.
        """
        given = called(lambda: self.call(self.residual), self.scope, "residual")
        if (earlier := self.__dict__.get("_meaning")) is not None:
            traced = self._lowered(given)
            if Meaning.anywhere(traced, len(self.coords)).differs(earlier):
                raise InputError(
                    "residual: the function reads something that has changed since the PDE was made (a global?), and "
                    f"is now {short(', '.join(traced.texts()))}; pass it as a coefficient, or make the PDE anew"
                )
        return given

    @property
    def equations(self) -> tuple[str, ...]:
        """The names of the equations; () where they have none."""
        return tuple(dict.fromkeys(self.given.equations))

    def traced(self) -> Traced:
        """The program of the PDE's residual.

        Raises:
            InputError: the residual asks for what the PDE does not have.
        """
        return self._lowered(self.given)

    def _lowered(self, given: Called) -> Traced:
        return lowered(given, self.fields, self.scope, 1, [], self.unknown_symbols(), "residual")

    def arguments_of(self, function: Callable[..., Any], given: Iterable[str] = ()) -> tuple[str, ...]:
        """Parameter names of a residual function: those that this PDE knows, or that are ``given``; others must have
        defaults."""
        parameters = parameters_of(function)
        if parameters is None:
            raise InputError(f"residual: {function!r} does not tell its parameters' names; wrap it in a lambda")
        own = {*self.coords, *self.fields, *self.coefficients, *self.unknown}
        if twice := sorted(own.intersection(given)):
            raise InputError(f"residual: {twice[0]!r} is data of the condition, and a name of the PDE's as well")
        known = own.union(given)
        for name, has_default in parameters.items():
            if name in known and has_default:
                raise InputError(
                    f"residual: its parameter {name!r} has a default and is declared as well; drop one of them"
                )
            if name not in known and not has_default:
                advice = ""
                if name.removeprefix("n_") in self.coords:
                    advice = (
                        f"; it would be a component of the normals, which points of a domain's boundary bring along: "
                        f"take those, or give {name}=..."
                    )
                raise InputError(
                    f"residual: its parameter {name!r} is neither a coordinate {list(self.coords)}, a field "
                    f"{list(self.fields)} nor a coefficient {[*self.coefficients, *self.unknown]}{advice}"
                )
        return tuple(name for name in parameters if name in known)

    def misread(self, shorthands: Sequence[str]) -> str | None:
        """What shorthands that a residual function uses mean, where the coordinates seem to be polar, or the like."""
        names = [self.coords[axis] for axis in self.spatial]
        if text := misread(shorthands, names):
            text += (
                f". If that is meant, name the coordinates: u.lap{''.join(names)}, or {' '.join(names)!r} as the "
                "last argument of pf.lap, pf.grad, pf.div"
            )
        return text

    @property
    def spatial(self) -> tuple[int, ...]:
        """The axes of all coordinates but time and parameters."""
        return tuple(axis for axis in spatial_axes(self.coords, self.time) if axis not in self._parameter_axes)

    @property
    def _parameter_axes(self) -> tuple[int, ...]:
        return tuple(map(self.coords.index, self.parameters))

    @property
    def scope(self) -> Scope:
        """What names mean in residual functions."""
        numbers = {name: _exact(value) for name, value in self.coefficients.items()}
        symbols = (*self.coordinate_symbols(), *self.unknown_symbols())
        named = {**numbers, **{symbol.name: symbol for symbol in symbols}}
        return Scope(self.coords, self.spatial, named, parameters=self._parameter_axes)

    def _scope_of(self, function: Callable[..., Any], arguments: Sequence[str]) -> Scope:
        """With the symbols that a residual function's code holds; plain ones, where it has no parameter for them."""
        own = {name: sp.Symbol(name) for name in self.coords if name not in arguments}
        # Of several, that which says least.
        for symbol in sorted(symbols_in(function), key=lambda s: (-len(s.assumptions0), str(s.assumptions0))):
            if (name := normal(symbol.name)) in (*self.coords, *self.unknown):
                own[name] = symbol
        return replace(self.scope, own=own)

    def coordinate_symbols(self, site: int = 0) -> tuple[sp.Symbol, ...]:
        return coordinate_symbols(self.coords, site)

    def unknown_symbols(self) -> tuple[sp.Symbol, ...]:
        return tuple(sp.Symbol(name, real=True) for name in self.unknown)

    def field_symbol(self, field: str, site: int = 0, where: tuple[sp.Symbol, ...] | None = None) -> SymbolicField:
        """``where``: other symbols of the coordinates than the PDE's."""
        if field not in self.fields:
            raise InputError(f"field {field!r} is not declared; the PDE's fields are {list(self.fields)}")
        return SymbolicField(field, Operator((0,) * len(self.coords)), self.coords, self.spatial, site, where)

    def call(self, function: Callable[..., Any], given: Mapping[str, sp.Symbol] | None = None) -> Any:
        """Call a residual function with what its parameters are named after; ``given``: by name, beside the PDE's."""
        given = given or {}
        arguments = self.arguments_of(function, given)
        scope = self._scope_of(function, arguments)
        fields = {field: self.field_symbol(field, where=scope.symbols) for field in self.fields}
        meaning = {**scope.named, **scope.own, **fields, **given}
        with entered(scope):
            return function(**{name: meaning[name] for name in arguments})


def parameters_of(function: Callable[..., Any]) -> dict[str, bool] | None:
    """Names of a residual function's parameters, and whether they have defaults; None where it does not tell.

    Raises:
        InputError: it is no function.
    """
    if not callable(function):
        raise InputError(f"residual: expected a function, got {type(function).__name__}")
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:
        return None
    return {name: parameter.default is not parameter.empty for name, parameter in parameters.items()}


def _exact(value: float) -> sp.Number:
    """Integers as such: limits of sums, orders of Bessel functions."""
    return sp.Integer(int(value)) if value.is_integer() and abs(value) <= _LARGEST_INTEGER else sp.Float(value, 17)


def _numbers(given: object, what: str) -> dict[str, float]:
    numbers = numbers_by_name(given, what)
    if numbers:
        split_names(tuple(numbers), what)
    return numbers
