"""How a problem is best trained, if nothing else is asked for, and what is reported of its solutions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..frozen import frozen
from ..kernels import checks
from ..kernels.errors import InputError, short
from ..language.names import numbers_by_name
from ..networks.structure import Structure, check_layer_sizes
from .quantities import At, Quantity, checked_quantities


@dataclass(frozen=True)
class Paper:
    """What the paper does with a problem, and reports of it (Liu et al. 2025).

    Args:
        lr, steps, milestones: its training by Adam; the rate drops to a tenth at each milestone.
        errors: the errors it reports, by method ("PINN", "PINN-post", "Psi-NN"); of several fields by method, then by
            field. It does not say how they are normalised.
        coefficients: the unknown coefficients it finds, by name, then by method.
    """

    lr: float
    steps: int
    errors: Mapping[str, float | Mapping[str, float]] = field(default_factory=dict)
    milestones: Sequence[int] = ()
    coefficients: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr", checks.number("lr", self.lr, above=0))
        object.__setattr__(self, "steps", checks.integer("steps", self.steps, 0))
        object.__setattr__(self, "milestones", checks.integers("milestones", self.milestones, 1))
        errors, found = self.errors, self.coefficients
        if not isinstance(found, Mapping):
            raise InputError(f"coefficients: expected a mapping from name to numbers by method, got {short(found)}")
        own: Mapping[str, Any]
        if isinstance(errors, Mapping) and errors and all(isinstance(part, Mapping) for part in errors.values()):
            own = {method: numbers_by_name(part, f"errors: {method}", least=0) for method, part in errors.items()}
        else:
            own = numbers_by_name(errors, "errors", least=0)
        object.__setattr__(self, "errors", frozen(own))
        numbers = {name: numbers_by_name(by_method, f"coefficients: {name}") for name, by_method in found.items()}
        object.__setattr__(self, "coefficients", frozen(numbers))


@dataclass(frozen=True)
class Recipe:
    """Defaults for networks and training of one problem, and what its results say.

    Args:
        structure: for the method ``psi``, if one is published.
        layers: sizes of the dense network; None: two hidden layers of 32.
        width: of structures; None: by the cost of a step (`default_width`).
        student: hidden sizes of the student for discovery; None: (8, 8, 8).
        lr, steps: of Adam.
        paper: what the paper does and reports, where it has this problem.
        quantities: what results say beside errors, by name: functions of ``at(points, wanted)``, or `Quantity` for one
            that has a reference.

    Raises:
        InputError: settings that are no numbers in their range, or of another type.
    """

    structure: Structure | None = None
    layers: Sequence[int] | None = None
    width: int | None = None
    student: Sequence[int] | None = None
    lr: float = 1e-3
    steps: int = 20_000
    paper: Paper | None = None
    quantities: Mapping[str, Quantity | Callable[[At], float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, kind in (("structure", Structure), ("paper", Paper)):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise InputError(f"{name}: expected a {kind.__name__}, got {short(value)}")
        checked: dict[str, Any] = {
            "layers": None if self.layers is None else check_layer_sizes(self.layers),
            "width": None if self.width is None else checks.integer("width", self.width, 1),
            "student": None if self.student is None else checks.integers("student", self.student, 1),
            "lr": checks.number("lr", self.lr, above=0),
            "steps": checks.integer("steps", self.steps, 0),
            "quantities": frozen(checked_quantities(self.quantities)),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def check(self, n_inputs: int, n_outputs: int) -> None:
        """
        Raises:
            InputError: layers or structure of other numbers of inputs and outputs than the problem has.
        """
        found = {
            "layers": None if self.layers is None else (self.layers[0], self.layers[-1]),
            "structure": None if self.structure is None else (self.structure.n_inputs, self.structure.n_outputs),
        }
        for name, ends in found.items():
            if ends is not None and ends != (n_inputs, n_outputs):
                raise InputError(f"{name}: the problem has {n_inputs} inputs and {n_outputs} outputs, got {list(ends)}")

    @property
    def student_layers(self) -> tuple[int, ...]:
        """Hidden sizes of the student."""
        return tuple(self.student or (8, 8, 8))
