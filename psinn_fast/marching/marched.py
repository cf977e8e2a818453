"""What `march` gives: a network for each window of time, and together a solution at all times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..kernels import checks
from ..kernels.errors import InputError
from ..language.names import Names
from ..markup import badge, block, lines, table, title
from ..networks.derivatives import Derivatives, derivatives_at
from ..networks.mlp import PsiMLP
from ..pictures.animation import Animation, animate
from ..pictures.slices import At
from ..pictures.solution import figure_of
from ..problem.problem import Problem
from ..training.doubts import Metric, inaccurate
from ..training.extrapolation import warn_of_outside
from ..training.history import History
from ..training.metrics import METRICS, ErrorMeter
from ..training.points.windows import cut, times_of

if TYPE_CHECKING:  # loaded only where something is drawn
    from matplotlib.figure import Figure

Points = npt.NDArray[np.float64]
RESULT_SCHEMA = "psinn_fast.march_result/1"


@dataclass(frozen=True)
class MarchedWindow:
    """A window of time that is done.

    Attributes:
        start, end: times between which ``net`` gives u.
        net: the window's network.
        residual: at points that training did not see, relative to ``reference`` (docs/marching.md).
        reference: that of a state that does not change, in the problem's units.
        steps, seconds, stopped_by, held_out, history: of its training, as in a `FitResult`.
    """

    start: float
    end: float
    net: PsiMLP = field(repr=False)
    residual: float
    reference: float
    steps: int
    seconds: float
    stopped_by: str
    held_out: dict[str, float | None] = field(repr=False)
    history: History = field(repr=False)


@dataclass(frozen=True, repr=False)
class Marched:
    """What `march` found.

    Attributes:
        problem: that was marched through.
        windows: in order of time, from its first time on.
        tolerance: of each window's residual.
        ended: "done", "time limit", "interrupted", or "failed"; but for "done" later times are missing.
        notes: what else is to be said.
        foreseen: warnings that hold whatever was trained, such as that boundary conditions are missing.
    """

    problem: Problem
    windows: tuple[MarchedWindow, ...]
    tolerance: float | None
    ended: str
    notes: tuple[str, ...] = ()
    foreseen: tuple[str, ...] = ()

    @property
    def time(self) -> str:
        """The name of the coordinate."""
        return str(self.problem.pde.time)

    @property
    def until(self) -> float:
        """The time that is reached."""
        return self.windows[-1].end if self.windows else times_of(self.problem)[1]

    @property
    def edges(self) -> tuple[float, ...]:
        """The times between which the windows lie."""
        return (times_of(self.problem)[1], *(window.end for window in self.windows))

    @property
    def steps(self) -> int:
        return sum(window.steps for window in self.windows)

    @property
    def seconds(self) -> float:
        """Of the windows' training."""
        return sum(window.seconds for window in self.windows)

    @property
    def residual(self) -> float:
        """The largest of all windows."""
        return max((window.residual for window in self.windows), default=float("nan"))

    @overload
    def __call__(self, points: Tensor) -> Tensor: ...
    @overload
    def __call__(self, points: npt.ArrayLike) -> npt.NDArray[Any]: ...
    def __call__(self, points: npt.ArrayLike | Tensor) -> npt.NDArray[Any] | Tensor:
        """The fields at points (..., d), as of `Solution`: (..., F), in float64; a warning likewise.

        Raises:
            InputError: points at times that the windows do not cover; otherwise as `PsiMLP.predict`.
        """
        given = self._given(points)
        found = self._found(given.reshape(-1, given.shape[-1]))
        self._warn_of_outside(given)
        shaped = found.reshape(*given.shape[:-1], found.shape[-1])
        return torch.from_numpy(shaped).to(points.device) if isinstance(points, Tensor) else shaped

    @overload
    def derivatives(self, points: Tensor, wanted: Names) -> Derivatives[Tensor]: ...
    @overload
    def derivatives(self, points: npt.ArrayLike, wanted: Names) -> Derivatives[npt.NDArray[Any]]: ...
    def derivatives(
        self, points: npt.ArrayLike | Tensor, wanted: Names
    ) -> Derivatives[npt.NDArray[Any]] | Derivatives[Tensor]:
        """Values and derivatives at points (..., d), by names as for `Solution.derivatives`: (...) each.

        Where two windows meet, those of the later one.

        Raises:
            InputError: as for a call; unknown names.
        """
        given, pde = self._given(points), self.problem.pde
        names = pde.coords, pde.fields, self.time, pde.parameters
        flat = given.reshape(-1, given.shape[-1])
        found = dict[str, Points]()

        def take(window: MarchedWindow, rows: npt.NDArray[np.bool_]) -> None:
            for name, values in derivatives_at(window.net, flat[rows], wanted, *names).items():
                _put(found.setdefault(name, np.empty(len(flat))), rows, values)

        self._by_window(flat, take)
        self._warn_of_outside(given)
        shaped = {name: values.reshape(given.shape[:-1]) for name, values in found.items()}
        if isinstance(points, Tensor):
            return Derivatives({name: torch.from_numpy(values).to(points.device) for name, values in shaped.items()})
        return Derivatives(shaped)

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """Errors as of `Solution`, over the times that are covered; None of each where no window is done."""
        if not self.windows:
            return dict.fromkeys(METRICS, None)
        return ErrorMeter(self.covered).of(self._found)

    @cached_property
    def covered(self) -> Problem:
        """The problem on the times that the windows cover.

        Raises:
            InputError: there is no window.
        """
        if not self.windows:
            raise self._nothing()
        return cut(self.problem, times_of(self.problem)[1], self.until)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What speaks against trusting it."""
        found = list[str]()
        _, _, high = times_of(self.problem)
        if self.until < high:
            found.append(f"it came to {self.time} = {self.until:.6g} of {high:g}")
        found += self.foreseen
        bad = [n for n, own in enumerate(self.windows, 1) if self.tolerance and not own.residual <= self.tolerance]
        if bad:
            worst = max(self.windows, key=lambda own: own.residual)
            found.append(
                f"the residual of {len(bad)} of {len(self.windows)} windows is above {self.tolerance:g}, at most "
                f"{worst.residual:.1e} from {self.time} = {worst.start:.4g} to {worst.end:.4g}"
            )
        return (*found, *(inaccurate(self.metrics) if self.windows else ()))

    @property
    def status(self) -> str:
        """``done``, or ``done, but`` what speaks against it."""
        doubts = "; ".join([*self.warnings, *self.notes])
        return f"{self.ended}, but {doubts}" if doubts else self.ended

    def save(self, path: str | Path) -> None:
        """Write a folder of files, as `march` does with ``out``; `load_march` reads it.

        Raises:
            InputError: it has a march already, or cannot be written to.
        """
        from .files import MarchFolder  # which knows what it reads

        MarchFolder(path).save(self)

    def figure(self, title: str = "", *, fields: Names | None = None, at: At | None = None) -> Figure:
        """The solution at the times that are covered, beside the exact one where that is known.

        Args:
            fields, at: as for `Solution.show`.

        Raises:
            InputError: no window; otherwise as `Solution.show`.
        """
        named = title or f"{self.problem.name}, march"
        return figure_of(self.covered, self._found, named, fields, at)

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
        """As `Solution.animate`, over the times that are covered."""
        return animate(self.covered, self._found, along, path, fields=fields, at=at, frames=frames, fps=fps)

    def __repr__(self) -> str:
        error = self.metrics["relative_l2"] if self.windows else None
        known = "" if error is None else f"relative L2 {error if isinstance(error, dict) else format(error, '.3e')}, "
        size = f"{self.windows[0].net.structure.n_parameters} parameters each, " if self.windows else ""
        return (
            f"March of {self.problem.name} in {len(self.windows)} windows, {size}{known}largest residual "
            f"{self.residual:.1e}, {self.seconds:.1f} s; status: {self.status}"
        )

    def _repr_html_(self) -> str:
        """For notebooks: status, error, and a row for every window."""
        error = self.metrics["relative_l2"] if self.windows else None
        by_field = error if isinstance(error, dict) else {"": error}
        known = ", ".join(f"{name} {value:.3e}".strip() for name, value in by_field.items() if value is not None)
        rows = [
            (f"{own.start:.4g} to {own.end:.4g}", f"{own.residual:.1e}", f"{own.steps} in {own.seconds:.3g} s")
            for own in self.windows
        ]
        about = f"{len(self.windows)} windows, largest residual {self.residual:.1e}, {self.seconds:.3g} s"
        return block(
            title(f"March of {self.problem.name}", about),
            badge(self.status, is_good=not self.warnings and self.ended == "done"),
            lines([f"relative L2 error {known}"] if known else []),
            table(rows, (self.time, "residual", "steps")),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        names = ("start", "end", "residual", "steps", "seconds", "stopped_by", "held_out")
        return {
            "schema": RESULT_SCHEMA,
            "problem": self.problem.name,
            "windows": [{name: getattr(window, name) for name in names} for window in self.windows],
            "steps": self.steps,
            "seconds": round(self.seconds, 3),
            **(self.metrics if self.windows else {}),
            "residual": self.residual,
            "tolerance": self.tolerance,
            "ended": self.ended,
            "status": self.status,
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }

    def _found(self, flat: Points) -> Points:
        """The fields at points (N, d): (N, F)."""
        found = np.empty((len(flat), len(self.problem.pde.fields)))
        self._by_window(flat, lambda window, rows: _put(found, rows, window.net.predict(flat[rows])))
        return found

    def _warn_of_outside(self, points: Points) -> None:
        """Once for a call of what calls this."""
        may_repeat = self.windows[0].net.structure.embedding is not None
        warn_of_outside(self.problem.domain, points, self._found, may_repeat, stacklevel=3)

    def _given(self, points: npt.ArrayLike | Tensor) -> Points:
        if isinstance(points, Tensor) and points.requires_grad:
            raise InputError("points: they require grad, and a march has no graph; write points.detach()")
        given, d = checks.numbers("points", points), len(self.problem.pde.coords)
        if given.shape[-1:] != (d,):
            raise InputError(f"points: expected shape (..., {d}), got {given.shape}")
        return given

    def _nothing(self) -> InputError:
        return InputError(f"march: no window is done, so nothing is known behind {self.time} = {self.until:g}")

    def _by_window(self, flat: Points, take: Callable[[MarchedWindow, npt.NDArray[np.bool_]], None]) -> None:
        axis, low, high = times_of(self.problem)
        times, slack = flat[:, axis], 1e-9 * (high - low)
        if len(times) and not (times.min() >= low - slack and times.max() <= self.until + slack):
            raise InputError(
                f"points: expected {self.time} from {low:g} to {self.until:g}, where the windows are, got "
                f"{times.min():.6g} to {times.max():.6g}"
            )
        if not self.windows:
            raise self._nothing()
        number = np.clip(np.searchsorted(self.edges, times, side="right") - 1, 0, len(self.windows) - 1)
        # Of no points one window says what there is no value of.
        for k in np.unique(number) if len(number) else (0,):
            take(self.windows[k], number == k)


def _put(found: Points, rows: npt.NDArray[np.bool_], values: Any) -> None:
    found[rows] = values
