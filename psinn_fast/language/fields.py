"""Fields as SymPy functions u(x, y): derivatives as attributes, ``u.x``, ``u.lap.x``, and by SymPy, ``u.diff(x)``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeGuard

import sympy as sp

from ..kernels.errors import InputError
from ..kernels.language.channels import MAX_ORDER, Channel, Laplacian, MultiIndex
from .cartesian import use
from .derivative_names import LAPLACIAN, chains, derivative_name, laplacian, parse_derivative
from .names import normal

# Attributes of a field that are no derivatives, beside those of every SymPy function.
_OTHERS = ("name", "field", "coords", "spatial", "operator", "site")
# What is said where symbols are called with coordinates, as functions of these are.
NOT_CALLED = (
    "fields and expressions are written without their coordinates: u, not u(x, y); pf.distance(domain) * u, not "
    "pf.distance(domain)(x, y) * u"
)


class UnknownDerivative(InputError, AttributeError):
    """Also an AttributeError, so that ``hasattr`` works on fields."""


@lru_cache(maxsize=256)
def refuse_taken(coords: tuple[str, ...]) -> None:
    """Coordinates whose names can be put together to something that every `SymbolicField` has: n, or h, a and s.

    Raises:
        InputError: names the attribute and the coordinates.
    """
    for steps in chains(coords):
        name = "".join(steps)
        if hasattr(SymbolicField, name) or name in _OTHERS:
            culprits = " or ".join(sorted(set(steps)))
            raise InputError(f"coords: u.{name} means something else to SymPy's symbols; rename {culprits}")


class Operator(NamedTuple):
    """A derivative: ``orders`` by axis, times Laplacians, each over two or more axes."""

    orders: MultiIndex
    laplacians: tuple[tuple[int, ...], ...] = ()

    @property
    def order(self) -> int:
        return sum(self.orders) + 2 * len(self.laplacians)

    @property
    def channel(self) -> Channel | None:
        """What the kernels carry as one channel; None for a sum of several."""
        if not self.laplacians:
            return self.orders
        return Laplacian(self.laplacians[0]) if self.order == 2 else None

    def times(self, channel: Channel) -> Operator:
        if isinstance(channel, Laplacian):
            return self._replace(laplacians=tuple(sorted((*self.laplacians, channel.axes))))
        return self._replace(orders=tuple(a + b for a, b in zip(self.orders, channel, strict=True)))

    def over(self, other: Operator) -> Operator | None:
        """What makes this derivative from the ``other`` one; None if nothing does."""
        orders = tuple(a - b for a, b in zip(self.orders, other.orders, strict=True))
        rest = Counter(self.laplacians)
        rest.subtract(other.laplacians)
        if min((*orders, *rest.values())) < 0:
            return None
        return Operator(orders, tuple(sorted(rest.elements())))

    def of(self, expression: sp.Expr, where: Sequence[sp.Symbol]) -> sp.Expr:
        """The derivative of an expression by the coordinates ``where``."""
        for axes in self.laplacians:
            if isinstance(expression, SymbolicField):
                expression = expression._laplacian(axes)
            else:
                expression = sp.Add(*(sp.diff(expression, where[axis], 2) for axis in axes))
        for symbol, order in zip(where, self.orders, strict=True):
            expression = sp.diff(expression, symbol, order) if order else expression
        return expression

    def expanded(self) -> dict[MultiIndex, int]:
        """The plain derivatives that it is the sum of, and how often it has each."""
        terms = Counter({self.orders: 1})
        for axes in self.laplacians:
            more: Counter[MultiIndex] = Counter()
            for orders, n in terms.items():
                for axis in axes:
                    more[tuple(order + 2 * (i == axis) for i, order in enumerate(orders))] += n
            terms = more
        return dict(terms)


@lru_cache(maxsize=256)
def coordinate_symbols(coords: tuple[str, ...], site: int = 0) -> tuple[sp.Symbol, ...]:
    return tuple(sp.Symbol(name + "'" * site, real=True) for name in coords)


@lru_cache(maxsize=4096)
def _field_name(field: str, operator: Operator, coords: tuple[str, ...], spatial: tuple[int, ...]) -> str:
    laplacians = (derivative_name(Laplacian(axes), coords, spatial) for axes in operator.laplacians)
    parts = (field, *laplacians, derivative_name(operator.orders, coords, spatial))
    return "_".join(part for part in parts if part)


class SymbolicField(sp.Expr):  # type: ignore[misc]  # SymPy ships no types
    """A derivative of a field, D u(x, y): for SymPy, something that depends on the coordinates.

    Attributes of it are its derivatives, which have attributes again: ``u.x``, ``u.xx``, ``u.x.y``, ``u.lap``,
    ``u.lap.x``, up to order 4 in total. SymPy differentiates it by the coordinates; ``sympy.diff(expression, u.x)``
    takes it for a variable. What is substituted for a field is differentiated where its derivatives were.

    Args:
        field: its name.
        operator: the derivative D.
        coords: names of the coordinates.
        spatial: the axes of its Laplacian.
        site: at which of a condition's points.
        where: the coordinates' symbols: the library's, a user's own of the same names, or SymPy's placeholders.
    """

    is_real = True
    is_commutative = True
    is_number = False
    _diff_wrt = True
    field: str
    operator: Operator
    coords: tuple[str, ...]
    spatial: tuple[int, ...]
    site: int

    def __new__(
        cls,
        field: str,
        operator: Operator,
        coords: tuple[str, ...],
        spatial: tuple[int, ...],
        site: int = 0,
        where: tuple[sp.Symbol, ...] | None = None,
    ) -> SymbolicField:
        self: SymbolicField = sp.Expr.__new__(cls, *(where or coordinate_symbols(coords, site)))
        self.field, self.operator, self.coords, self.spatial, self.site = field, operator, coords, spatial, site
        self.name = _field_name(field, operator, coords, spatial) + "'" * site
        return self

    def _state(self) -> tuple[Any, ...]:
        return self.field, self.operator, self.coords, self.spatial, self.site

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (*self._state(), self.args)

    def _hashable_content(self) -> tuple[Any, ...]:
        return (self.name, *self._state(), *self.args)

    def class_key(self) -> tuple[int, int, str]:
        """By which SymPy sorts: each name is a function of its own; substitutions take derivatives first."""
        return 4, -self.operator.order, self.name

    def _sympystr(self, printer: Any) -> str:
        return self.name

    def __getattr__(self, name: str) -> SymbolicField:
        if name.startswith("_") or name in _OTHERS:
            raise AttributeError(name)
        channel = parse_derivative(name, self.coords, self.spatial)
        if channel is None and name == LAPLACIAN:
            raise UnknownDerivative(f"{self.name}.{name}: there is no spatial coordinate, only {self.coords[0]}")
        if channel is None:
            first = self.coords[0]
            raise UnknownDerivative(
                f"{self.name}.{name}: not a derivative; the coordinates are {', '.join(self.coords)} "
                f"(write {self.name}.{first}, {self.name}.{first * 2}, {self.name}.{LAPLACIAN})"
            )
        if name == LAPLACIAN:
            use("u.lap")
        return self._times(channel, name)

    def _times(self, channel: Channel, name: str) -> SymbolicField:
        operator = self.operator.times(channel)
        if operator.order > MAX_ORDER:
            raise UnknownDerivative(f"{self.name}.{name}: derivative orders go up to {MAX_ORDER}")
        return SymbolicField(self.field, operator, self.coords, self.spatial, self.site, self.args)

    def _laplacian(self, axes: Sequence[int]) -> SymbolicField:
        """The sum of second derivatives over at least one axis."""
        channel = laplacian(axes, len(self.coords))
        assert channel is not None
        return self._times(channel, LAPLACIAN + "".join(self.coords[axis] for axis in axes))

    def _eval_derivative(self, symbol: sp.Symbol) -> sp.Expr:
        if symbol not in self.args:
            return sp.S.Zero
        axis = self.args.index(symbol)
        try:
            return self._times(tuple(int(i == axis) for i in range(len(self.coords))), self.coords[axis])
        except UnknownDerivative as error:
            # SymPy would swallow an AttributeError.
            raise InputError(str(error)) from None

    def _eval_subs(self, old: sp.Basic, new: sp.Expr) -> sp.Expr | None:
        """With another expression for the field, or for one of its derivatives that this one is a derivative of."""
        if isinstance(old, sp.Symbol) and not isinstance(old, (sp.Dummy, sp.Wild)):
            self._refuse_namesake(old, new)
        if not self._is_of_same(old):
            return None
        rest = self.operator.over(old.operator)
        if rest is not None:
            return self._derivative(rest, new)
        terms = self.operator.expanded() if self.operator.laplacians else {}
        parts = {orders: Operator(orders).over(old.operator) for orders in terms}
        if not any(parts.values()):
            return None
        return sp.Add(*(
            terms[orders] * (self._with(Operator(orders)) if part is None else self._derivative(part, new))
            for orders, part in parts.items()
        ))  # fmt: skip

    def _xreplace(self, rule: Any) -> tuple[sp.Basic, bool]:
        if self not in rule and (field := self._with(Operator((0,) * len(self.coords)))) in rule:
            return self._derivative(self.operator, rule[field]), True
        return super()._xreplace(rule)  # type: ignore[no-any-return]  # SymPy ships no types

    def match(self, pattern: Any, old: bool = False) -> Any:
        """As SymPy does, but by `replace`, which looks at each part of an expression, a derivative would be missed."""
        if self != pattern and self._is_of_same(pattern) and self.operator.over(pattern.operator):
            raise InputError(
                f"replace: {pattern} is in {self} too; use subs, which differentiates what takes its place"
            )
        return super().match(pattern, old)

    def matches(self, expr: Any, repl_dict: Any = None, old: bool = False) -> Any:
        """SymPy compares the arguments alone, which all derivatives have in common."""
        return dict(repl_dict or {}) if self == expr else None

    def _is_of_same(self, other: object) -> TypeGuard[SymbolicField]:
        """Whether it is the same field at the same place, or a derivative of it."""
        return isinstance(other, SymbolicField) and (other.field, other.site, other.args) == (
            self.field, self.site, self.args,
        )  # fmt: skip

    def _with(self, operator: Operator) -> SymbolicField:
        return SymbolicField(self.field, operator, self.coords, self.spatial, self.site, self.args)

    def _derivative(self, operator: Operator, expression: sp.Expr) -> sp.Expr:
        try:
            return _Pending.of(self, operator, expression, *self.args)
        except UnknownDerivative as error:
            raise InputError(str(error)) from None

    def _refuse_namesake(self, symbol: sp.Symbol, new: sp.Expr) -> None:
        """A symbol of the user's own that SymPy would find nowhere: substituting it would change nothing."""
        name = normal(symbol.name)
        if name == self.field:
            raise InputError(
                f"subs: the symbol {name} is not the field {name}; substitute for that, the function's parameter"
            )
        if symbol not in self.args:
            self._at(*(new if isinstance(s, sp.Symbol) and normal(s.name) == name else s for s in self.args))

    def _eval_evalf(self, prec: int) -> None:
        """It has no value."""

    @property
    def func(self) -> Any:
        """What makes it from its arguments again; SymPy takes what can be called itself for an operator."""
        return self._at

    def _at(self, *where: Any) -> SymbolicField:
        if where == self.args:
            return self
        named = coordinate_symbols(self.coords, self.site)
        # SymPy's algorithms put placeholders in, and take them out again.
        if not all(
            isinstance(s, sp.Symbol) and (isinstance(s, sp.Dummy) or normal(s.name) == own.name)
            for s, own in zip(where, named, strict=True)
        ):
            places = ", ".join(map(str, where))
            raise InputError(
                f"{self.name}({places}): fields are taken at a condition's points, not elsewhere; give a condition at "
                "those points, or Periodic for two points at once"
            )
        return SymbolicField(self.field, self.operator, self.coords, self.spatial, self.site, where)


class _Pending(sp.Expr):  # type: ignore[misc]  # SymPy ships no types
    """A derivative of an expression that holds SymPy's placeholders; taken as soon as they are replaced.

    SymPy puts them in where it differentiates by a field, and for simultaneous substitutions.
    """

    is_real = True
    is_commutative = True
    field: SymbolicField
    operator: Operator

    @classmethod
    def of(cls, field: SymbolicField, operator: Operator, expression: sp.Expr, *where: sp.Symbol) -> sp.Expr:
        """
        Args:
            field: instead of which the expression is.
            operator: the derivative of it.
            expression, where: the arguments.
        """
        if not expression.atoms(sp.Dummy):
            return operator.of(expression, field._at(*where).args)
        self: _Pending = sp.Expr.__new__(cls, expression, *where)
        self.field, self.operator = field, operator
        return self

    def _hashable_content(self) -> tuple[Any, ...]:
        return (self.field, self.operator, *self.args)

    @property
    def func(self) -> Any:
        return partial(_Pending.of, self.field, self.operator)

    def _sympystr(self, printer: Any) -> str:
        return f"D({printer._print(self.args[0])})"

    def _eval_derivative(self, symbol: sp.Symbol) -> sp.Expr:
        expression, *where = self.args
        if symbol in where:
            axis = where.index(symbol)
            once = tuple(int(i == axis) for i in range(len(where)))
            return _Pending.of(self.field, self.operator.times(once), expression, *where)
        return _Pending.of(self.field, self.operator, sp.diff(expression, symbol), *where)
