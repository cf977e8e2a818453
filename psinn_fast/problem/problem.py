"""A problem: a PDE, where it lives, what its solution satisfies, and the solution itself where it is known."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cached_property
from itertools import count
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch

from ..domains import Domain
from ..frozen import frozen
from ..kernels import checks
from ..kernels.contract import Term, total_loss
from ..kernels.errors import InputError
from ..language.expressions import short as shortened
from ..language.tracing import Traced, source_of
from ..networks.groups import Symmetry
from ..networks.mlp import PsiMLP
from ..portable import Portable
from .bounds import Interval, Unknowns
from .checks.assumptions import refuse_false_assumptions
from .checks.dependence import check_dependence
from .checks.factors import refuse_factors
from .checks.inward_normals import refuse_inward_normals
from .checks.settings import (
    check_exact,
    check_known,
    check_names,
    check_parameters,
    check_points,
    check_targets,
    check_use,
    checked_settings,
)
from .checks.unseen_jumps import refuse_unseen_jumps
from .checks.unseen_sources import unseen_sources
from .conditions import EQUATION, Condition
from .corners import towards_corners
from .description import describe_problem
from .description_html import problem_html
from .meaning import same_numbers
from .pde import PDE
from .quantities import Quantity, measured
from .recipe import Recipe

Points = npt.NDArray[np.float64]
Loss = TypeVar("Loss", float, float | None)


@dataclass(frozen=True)
class Problem(Portable):
    """What to solve.

    Args:
        name: used in files and messages.
        pde: coordinates, fields, residual, coefficients.
        domain: where the PDE lives, errors are measured and pictures drawn; its coordinates are the PDE's, in order.
        conditions: the loss terms; equal names are numbered.
        exact: points (N, d) -> values (N, F), or (N,) for one field: the exact or a reference solution, if known; NaN
            where it says nothing. Tried on a few of the conditions' points at once.
        guess: where Gauss-Newton starts unknown coefficients, by name, if not where the PDE says: it goes to a minimum
            nearby, so an order of magnitude helps it.
        bounds: (low, high) of unknown coefficients, by name, between which they stay in every optimiser, e.g.
            ``{"nu": (0, None)}``; None is no bound. A start on or outside of them is replaced by the guess.
        true_coefficients: true values of the unknown coefficients, if known.
        symmetries: known generators of the solution's symmetry, about the domain's centre; the method ``pinn-post``
            needs them.
        recipe: defaults for networks and training (`Recipe`).

    Raises:
        InputError: coordinates that do not match, no conditions, a condition that does not fit the PDE, points outside
            the domain, unknown coefficients that multiply whole equations, an exact solution of a wrong shape, settings
            that are no numbers in their range.
    """

    name: str
    pde: PDE
    domain: Domain
    conditions: Sequence[Condition]
    exact: Callable[[Points], Points] | None = None
    true_coefficients: Mapping[str, float] = field(default_factory=dict)
    guess: Mapping[str, float] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    symmetries: Sequence[Symmetry] = ()
    recipe: Recipe = field(default_factory=Recipe)
    _records = ("_exact",)

    def __post_init__(self) -> None:
        settings = checked_settings(self)
        for name, value in settings.items():
            object.__setattr__(self, name, frozen(value))
        conditions = [towards_corners(condition, self.pde) for condition in _numbered(self.conditions)]
        object.__setattr__(self, "conditions", tuple(conditions))
        self.unknowns.start(guessed=True)  # a start that is not within its bounds is refused
        check_names(self)
        check_parameters(self)
        _ = self.traced  # a condition that does not fit the PDE is refused here, not at the first step
        refuse_false_assumptions(self)
        check_use(self)
        check_known(self)
        check_targets(self)
        check_points(self)
        refuse_inward_normals(self)
        check_dependence(self)
        refuse_factors(self)
        refuse_unseen_jumps(self)
        if self.exact is not None:
            self.__dict__["_exact"] = check_exact(self)
        for text in (*self._misread(), *self.unseen_sources):
            warnings.warn(text, stacklevel=3)  # where the problem is made

    @classmethod
    def unchecked(cls, name: str, pde: PDE, domain: Domain, conditions: Sequence[Condition]) -> Problem:
        """Of a loss that is as it is: what problems are refused for is not asked."""
        made = object.__new__(cls)
        defaults = {entry.name: entry.default_factory() for entry in fields(cls) if callable(entry.default_factory)}
        plain = {entry.name: entry.default for entry in fields(cls) if entry.default is not MISSING}
        given = {"name": name, "pde": pde, "domain": domain, "conditions": tuple(conditions)}
        made.__dict__.update({key: frozen(value) for key, value in {**plain, **defaults, **given}.items()})
        return made

    def _functions(self) -> dict[str, object]:
        asked = {f"quantity {name!r}": quantity.function for name, quantity in self.quantities.items()}
        return {f"problem {self.name!r}: exact": self.exact, **asked}

    def exact_at(self, points: Points) -> Points:
        """The exact solution at points (N, d): (N, F), NaN where it says nothing.

        Raises:
            InputError: the function fails, or returns other than (N, F) real numbers, or (N,) for one field; or gives
                other values than when the problem was made.
        """
        if "_exact" in self.__dict__:
            known, values = self.__dict__["_exact"]
            if not same_numbers(self._exact_at(known), values):
                raise InputError(
                    "exact: the function gives other values now than when the problem was made; it reads something "
                    "that has changed (a loop's variable?) or random numbers: write lambda points, k=k: ..., or make "
                    "the problem anew"
                )
        return self._exact_at(points)

    def _exact_at(self, points: Points) -> Points:
        assert self.exact is not None
        try:
            returned = self.exact(np.array(points))  # a copy, which it may change
        except Exception as error:
            raise InputError(
                f"exact: the function failed on points of shape {points.shape} ({type(error).__name__}: {error}); it "
                f"is called with one array of points, (N, {points.shape[1]}), and gives (N, {len(self.pde.fields)})"
            ) from error
        values = checks.real_array("exact", returned)
        shape = (len(points), len(self.pde.fields))
        if values.shape == shape[:1] and shape[1] == 1:
            values = values[:, None]
        if values.shape != shape:
            also = f" or ({shape[0]},)" if shape[1] == 1 else ""
            raise InputError(
                f"exact: expected values of shape {shape}{also} for points {points.shape}, got {values.shape}"
            )
        return values

    def describe(self) -> str:
        """What will be trained, term by term: residuals as traced, derivatives they need, points, weights."""
        return describe_problem(self)

    def __str__(self) -> str:
        return self.describe()

    def _repr_html_(self) -> str:
        """For notebooks."""
        return problem_html(self)

    @cached_property
    def traced(self) -> tuple[Traced, ...]:
        return tuple(condition.traced(self.pde, self.unknowns) for condition in self.conditions)

    def _misread(self) -> Iterator[str]:
        """Warnings of conditions whose own residuals use Cartesian shorthands where coordinates seem to be others."""
        for condition, traced in zip(self.conditions, self.traced, strict=True):
            if condition.kind != EQUATION and (text := self.pde.misread(traced.shorthands)):
                yield f"term {condition.name!r}: {text}"

    @cached_property
    def unseen_sources(self) -> tuple[str, ...]:
        """Warnings of sources that the conditions' points miss."""
        return unseen_sources(self)

    @cached_property
    def loss_units(self) -> tuple[float, ...]:
        """By term: its mean square of residuals as they are given, over that of those trained (`in_natural_units`)."""
        return (1.0,) * len(self.conditions)

    def altered(self, **entries: Any) -> Problem:
        """The same problem with other entries, computed ones too: nothing is traced or checked again."""
        made = object.__new__(Problem)
        made.__dict__.update(self.__dict__, **entries)
        return made

    def total_loss(self, losses: Sequence[float]) -> float:
        """Of every term's mean square, their weighted sum; terms of weight 0, which may have none, do not count."""
        return total_loss(losses, [condition.weight for condition in self.conditions])

    def losses_as_given(self, losses: Sequence[Loss]) -> dict[str, Loss]:
        """By name of the terms; None stays None."""
        scaled = (loss if loss is None else loss * unit for loss, unit in zip(losses, self.loss_units, strict=True))
        return dict(zip(self.term_names, scaled, strict=True))

    @cached_property
    def unknowns(self) -> Unknowns:
        """The unknown coefficients; programs take the free numbers behind them."""
        return Unknowns(self.pde.unknown, self.guess, cast(Mapping[str, Interval], self.bounds))

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """What results say beside errors, by name."""
        return cast(Mapping[str, Quantity], self.recipe.quantities)

    def quantities_of(self, net: PsiMLP) -> dict[str, float | None]:
        """`quantities` of a network, by name; None for what is no finite number there.

        Raises:
            InputError: a function fails, or gives no number; a network of other inputs and outputs.
        """
        return measured(self.quantities, net, self.pde.coords, self.pde.fields, self.pde.time, self.pde.parameters)

    @property
    def default_layers(self) -> tuple[int, ...]:
        return tuple(self.recipe.layers or (len(self.pde.coords), 32, 32, len(self.pde.fields)))

    @property
    def term_names(self) -> tuple[str, ...]:
        return tuple(condition.name for condition in self.conditions)

    def terms(self, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> list[Term]:
        """The loss terms as every backend takes them. Points and columns are computed in float64, then rounded."""
        terms = []
        for i, condition in enumerate(self.conditions):
            condition.refuse_other_targets()
            term = self.term_at(i, condition.sites, condition.columns, dtype, device)
            if condition.quadrature is not None:
                term = replace(term, quadrature=torch.tensor(condition.quadrature, dtype=dtype, device=device))
            if not bool(torch.isfinite(term.points).all()):
                raise InputError(_too_large(condition.name, "points", dtype))
            if not bool(torch.isfinite(term.columns).all()):
                exactly = self.term_at(i, condition.sites, condition.columns, torch.float64, device)
                if bool(torch.isfinite(exactly.columns).all()):
                    raise InputError(_too_large(condition.name, "targets or source terms", dtype))
                raise InputError(f"term {condition.name!r}: {self._poles(i)}")
            terms.append(term)
        return terms

    def _poles(self, number: int) -> str:
        """Which source term or coefficient of a condition is no number, and where first."""
        condition, traced = self.conditions[number], self.traced[number]
        sources = traced.columns
        bad = ~np.isfinite(sources(condition.sites))
        which = int(bad.any(0).argmax())
        first = int(bad[:, which].argmax())
        at = ", ".join(f"{x:.10g}" for x in condition.sites[0][first])
        expression = sources.expressions[which]
        what = "source term" if expression in map(source_of, traced.residuals) else "coefficient"
        return (
            f"its {what} {shortened(expression)} is NaN or infinite at {int(bad[:, which].sum())} "
            f"of {len(bad)} points, first at ({at})"
        )

    def term_at(
        self,
        number: int,
        sites: Sequence[Points],
        given: Mapping[str, Points],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Term:
        """The term of a condition at any points, each a row; ``given``: what the condition's columns are there."""
        condition, traced = self.conditions[number], self.traced[number]
        computed = traced.columns(sites)
        columns = np.concatenate([np.stack([*given.values()], 1), computed], 1) if given else computed
        return Term(
            condition.name,
            traced.program,
            torch.tensor(np.stack(sites), dtype=dtype, device=device),
            torch.tensor(columns, dtype=dtype, device=device),
        )

    def weights(self, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> torch.Tensor:
        """(T,): the weights of the conditions in the total loss, as backends take them."""
        return torch.tensor([condition.weight for condition in self.conditions], dtype=dtype, device=device)

    def initial_coefficients(
        self, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
    ) -> torch.Tensor:
        """Where the free numbers behind the unknown coefficients start, in the PDE's order."""
        return torch.tensor(self.unknowns.start(), dtype=dtype, device=device)


def _too_large(name: str, what: str, dtype: torch.dtype) -> str:
    return f"term {name!r}: its {what} are too large for {dtype}; use dtype='float64' or other units"


def _numbered(conditions: Sequence[Condition]) -> list[Condition]:
    """Names that occur more than once get the next number that is free."""
    names = [condition.name for condition in conditions]
    taken = {name for name in names if names.count(name) == 1}
    result = []
    for condition in conditions:
        if names.count(condition.name) > 1:
            name = next(free for i in count(1) if (free := f"{condition.name}{i}") not in taken)
            condition = condition.renamed(name)
        taken.add(condition.name)
        result.append(condition)
    return result
