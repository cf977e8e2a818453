"""What `solve` gives: a trained network, how it was trained, and how accurate it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast, overload

import numpy.typing as npt
from torch import Tensor

from .language.names import Names
from .networks.derivatives import Derivatives, derivatives_at
from .problem.problem import Problem
from .training.doubts import Metric, inaccurate
from .training.result import FitResult

RESULT_SCHEMA = "psinn_fast.result/1"


@dataclass(frozen=True)
class Setup:
    """How a network was trained.

    Attributes:
        method: "psi", for instance, or "given" for a network of the user's.
        optimizer: by name.
        weighting: by name; None: none was asked for.
        backend: which one did the work ("cpu+reference" where two did).
        dtype: that was taken.
        seed: of the first weights.
        precision: that products had (`Ending`).
        activation: of hidden layers.
        chosen: why these optimisers were chosen, by "auto"; None: they were given.
    """

    method: str
    optimizer: str
    weighting: str | None
    backend: str
    dtype: str
    seed: int
    precision: str
    activation: str
    chosen: str | None = None


@dataclass(frozen=True, repr=False, kw_only=True)
class Solution(FitResult):
    """What `solve` found: a `FitResult` with the problem, and how it was trained.

    Printed, it says what was trained, how accurate it is where that is known, and ``status``.

    Attributes:
        problem: that was solved.
        setup: how.
        metrics: errors, see `error_metrics`. ``metrics["quantities"]``: where the problem has any (`Recipe`), what they
            are for the network; None for one that is no finite number.
    """

    problem: Problem
    setup: Setup
    metrics: dict[str, Metric]

    @overload
    def derivatives(self, points: Tensor, wanted: Names) -> Derivatives[Tensor]: ...
    @overload
    def derivatives(self, points: npt.ArrayLike, wanted: Names) -> Derivatives[npt.NDArray[Any]]: ...
    def derivatives(
        self, points: npt.ArrayLike | Tensor, wanted: Names
    ) -> Derivatives[npt.NDArray[Any]] | Derivatives[Tensor]:
        """Values and derivatives at points (..., d), named by the problem's fields and coordinates: arrays (...).

        Without a graph, some points at a time; for tensors tensors, see `PsiMLP.predict`.

        Args:
            wanted: e.g. ``"u u_x u_lap"``, as for `psinn_fast.derivatives`.

        Raises:
            InputError: names or points that do not fit, an order above 4.
        """
        pde = self.problem.pde
        return derivatives_at(self.net, points, wanted, pde.coords, pde.fields, pde.time, pde.parameters)

    @property
    def warnings(self) -> tuple[str, ...]:
        return *super().warnings, *inaccurate(self.metrics)

    @property
    def allowed(self) -> str:
        """``possible_errors`` as text, e.g. ``u 1.3e-06``."""
        return ", ".join(f"{name} {error:.1e}" for name, error in self.possible_errors.items())

    @property
    def quantities(self) -> dict[str, float | None]:
        """What the problem asks for besides, by name."""
        return cast(dict[str, "float | None"], self.metrics.get("quantities", {}))

    def described_quantities(self) -> str:
        """With their references, e.g. ``drag = 20.5 (reference 20.57, -0.34 %)``."""
        references = {name: quantity.reference for name, quantity in self.problem.quantities.items()}
        return ", ".join(_beside(name, value, references.get(name)) for name, value in self.quantities.items())

    def __repr__(self) -> str:
        error = self.metrics["relative_l2"]
        known = "" if error is None else f"relative L2 {error if isinstance(error, dict) else format(error, '.3e')}, "
        allowed = f"residuals allow {self.allowed}, " if self.allowed else ""
        losses = ", ".join(f"{name} {loss:.2e}" for name, loss in self.losses.items())
        learned = (*self.coefficients.items(), *self.net.learned.items())
        found = "".join(f", {name} = {value:.6g}" for name, value in learned)
        asked = f", {self.described_quantities()}" if self.quantities else ""
        chosen = f" (chosen: {self.setup.chosen})" if self.setup.chosen else ""
        bound = f", most of the time: {self.bound_by}" if self.bound_by else ""
        return (
            f"Solution of {self.problem.name} by {self.setup.method}, {self.net.structure.n_parameters} parameters, "
            f"{self.setup.activation}, {self.setup.optimizer}{chosen}, {self.setup.dtype} ({self.setup.precision}): "
            f"{known}{allowed}losses {losses}{found}{asked}{bound}; status: {self.status}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, as ``--json`` prints them."""
        return {
            "schema": RESULT_SCHEMA,
            "problem": self.problem.name,
            "method": self.setup.method,
            "activation": self.setup.activation,
            "optimizer": self.setup.optimizer,
            "optimizer_chosen": self.setup.chosen,
            "weighting": self.setup.weighting,
            "backend": self.setup.backend,
            "dtype": self.setup.dtype,
            "precision": self.setup.precision,
            "device": str(self.net.theta.device),
            "seed": self.setup.seed,
            "parameters": self.net.structure.n_parameters,
            "steps": self.steps,
            "seconds": round(self.seconds, 3),
            **self.metrics,
            "quantities": self.quantities,
            "coefficients": self.coefficients,
            "learned": self.net.learned,
            "loss": self.losses,
            "held_out": self.held_out,
            "possible_errors": self.possible_errors,
            "status": self.status,
            "ended": self.ended,
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "stopped_by": self.stopped_by,
            "solver": self.solver,
            "bound_by": self.bound_by,
            "seconds_by_part": {name: round(seconds, 3) for name, seconds in self.end.seconds_by_part.items()},
        }


def _beside(name: str, value: float | None, reference: float | None) -> str:
    """A quantity beside what it ought to be."""
    text = f"{name} = {'-' if value is None else format(value, '.6g')}"
    if reference is None:
        return text
    off = f", {100 * (value / reference - 1):+.2g} %" if reference and value is not None else ""
    return f"{text} (reference {reference:.6g}{off})"
