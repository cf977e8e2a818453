"""What `solve` gives: a trained network, how it was trained, and how accurate it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, overload

import numpy.typing as npt
from torch import Tensor

from .domains import Domain
from .language.names import Names
from .networks.derivatives import Derivatives, derivatives_at
from .pictures.animation import Animation, animate
from .pictures.canvas import Points
from .pictures.show import shown
from .pictures.slices import At
from .problem.problem import Problem
from .training.doubts import Metric, inaccurate
from .training.metrics import evaluate
from .training.result import FitResult

if TYPE_CHECKING:  # loaded only where something is drawn
    from matplotlib.figure import Figure

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

        Without a graph, some points at a time; for tensors tensors, see `PsiMLP.predict`. A warning where some are
        outside of the domain.

        Args:
            wanted: e.g. ``"u u_x u_lap"``, as for `psinn_fast.derivatives`.

        Raises:
            InputError: names or points that do not fit, an order above 4.
        """
        pde = self.problem.pde
        found = derivatives_at(self.net, points, wanted, pde.coords, pde.fields, pde.time, pde.parameters)
        self._warn_of_outside(points)
        return found

    def show(self, fields: Names | None = None, at: At | None = None) -> Figure:
        """The fields, their errors where the exact solution is known, where the residuals are, and the history.

        Args:
            fields: by name, ``"u p"``; None: all.
            at: values of coordinates, which are not drawn then: ``{"t": 0.3}``, or several of one, ``{"t": [0, 1]}``.

        Returns:
            A matplotlib figure, which notebooks show, and `save_figure` writes.

        Raises:
            InputError: other fields or coordinates, values beyond the domain.
        """
        title = f"{self.problem.name}, {self.setup.method}, step {self.steps}"
        return shown(self.problem, self.net, self.coefficients, self.history, title, fields, at)

    def animate(
        self,
        along: str,
        path: str | Path,
        *,
        fields: Names | None = None,
        at: At | None = None,
        frames: int = 40,
        fps: float = 10.0,
    ) -> Animation:
        """An animated GIF of the fields, and of exact solution and error where this is known, ``along`` a coordinate,
        such as time, over two others or one. Colours and axes mean the same in all frames.

        Args:
            path: of the file, ``.gif``.
            fields: by name; None: all.
            at: one value each of other coordinates, which are not drawn then.
            frames: how many, 2 to 1,000.
            fps: frames a second.

        Returns:
            Where the file is; notebooks show it.

        Raises:
            InputError: another coordinate or field, no coordinate left to draw, numbers out of range, another suffix.
            OSError: the file cannot be written.
        """
        return animate(self.problem, self._found, along, path, fields=fields, at=at, frames=frames, fps=fps)

    def _found(self, points: Points) -> Points:
        return evaluate(self.net, points)

    @property
    def domain(self) -> Domain:
        return self.problem.domain

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

    def _heading(self) -> tuple[str, str]:
        return f"Solution of {self.problem.name}", f"by {self.setup.method}, {super()._heading()[1]}"

    def _facts(self) -> list[tuple[str, str]]:
        setup, error = self.setup, self.metrics["relative_l2"]
        by_field = error if isinstance(error, dict) else {"": error}
        known = ", ".join(f"{name} {value:.3e}".strip() for name, value in by_field.items() if value is not None)
        chosen = f" (chosen: {setup.chosen})" if setup.chosen else ""
        return [
            ("relative L2 error", known),
            ("optimiser", f"{setup.optimizer}{chosen}, {setup.dtype} ({setup.precision}), seed {setup.seed}"),
            ("weighting", setup.weighting or ""),
            ("quantities", self.described_quantities() if self.quantities else ""),
        ]

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
