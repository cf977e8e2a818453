"""The files of an output folder: weights, structure, result.json, history, pictures.

After training nothing that goes wrong with a file may cost what was computed. So files are written one by one, the
weights first; what cannot be written is said in one `OutputWarning`, and the rest is written all the same.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from ..discovery.found import Discovery
from ..kernels import get_backend
from ..kernels.errors import InputError, OutputWarning, one_line
from ..networks.structure import Structure
from ..pictures.figures import save_figure
from ..pictures.flow import flow_figure, is_flow
from ..pictures.histories import history_figure
from ..pictures.loss_map import loss_map_figure
from ..pictures.overview import overview_figure
from ..pictures.solution import solution_figure
from ..pictures.structures import relation_matrix_figure, structure_figure
from ..results import Solution
from ..storage.files import as_path, to_json, try_to_write, write_atomically
from ..training.abort import Aborted, look_up
from ..training.checkpoint import WEIGHTS, save_network
from .evidence_plot import discovery_figure
from .replaceable import COMPARISON, COMPARISON_SCHEMA, DISCOVERY, FLOW, LOSS_MAP, SOLUTION, strangers

if TYPE_CHECKING:  # loaded only where something is drawn
    from matplotlib.figure import Figure


def save_solution(solution: Solution, out: str | Path, pictures: bool = True) -> None:
    """weights.safetensors, structure.json, result.json, history.csv; solution.png, loss.png, loss_map.png (where the
    residuals are), structure.png, R.png; of a plane flow in another domain than a box flow.png.

    Raises:
        InputError: it is no `Solution`, or ``out`` no path.
    """
    _check("solution", solution, Solution, "what solve returns")
    with _Folder(out, (*SOLUTION, FLOW)) as folder:
        folder.write(WEIGHTS, lambda path: save_network(path, solution.net, solution.coefficients))
        folder.write("structure.json", solution.net.structure.save)
        folder.write_text("result.json", to_json(solution.to_dict()) + "\n")
        folder.write_text("history.csv", solution.history.to_csv())
        if pictures:
            title = f"{solution.problem.name}, {solution.setup.method}, step {solution.steps}"
            folder.draw(
                "solution.png", lambda: solution_figure(solution.problem, solution.net, title, _backend(solution))
            )
            if is_flow(solution.problem):
                folder.draw(FLOW, lambda: flow_figure(solution.problem, solution.net, title, _backend(solution)))
            if len(solution.history):
                folder.draw("loss.png", lambda: history_figure({solution.setup.method: solution.history}, terms=True))
            folder.draw(LOSS_MAP, lambda: _loss_map(solution))
            _draw_structure(folder, solution.net.structure)


def save_discovery(discovery: Discovery, out: str | Path) -> None:
    """structure.json with its pictures, discovery.txt (the report), discovery.json and discovery.png (the evidence).

    Raises:
        InputError: it is no `Discovery`, or ``out`` no path.
    """
    _check("discovery", discovery, Discovery, "what discover returns")
    with _Folder(out, DISCOVERY) as folder:
        folder.write("structure.json", discovery.structure.save)
        folder.write_text("discovery.txt", discovery.report() + "\n")
        folder.write_text("discovery.json", to_json(discovery.to_dict()) + "\n")
        folder.draw("discovery.png", lambda: discovery_figure(discovery))
        _draw_structure(folder, discovery.structure)


def save_comparison(rows: Sequence[tuple[str, Solution]], table: str, out: str | Path) -> None:
    """comparison.json, comparison.txt, loss curves of all, and an overview of the first Psi-NN."""
    with _Folder(out, COMPARISON) as folder:
        results = {name: row.to_dict() for name, row in rows}
        folder.write_text("comparison.json", to_json({"schema": COMPARISON_SCHEMA, "results": results}) + "\n")
        folder.write_text("comparison.txt", table + "\n")
        folder.draw("comparison.png", lambda: history_figure({name: row.history for name, row in rows}))
        tied = [row for _, row in rows if row.setup.method == "psi"]
        if tied:
            folder.draw("overview.png", lambda: overview_figure(tied[0].problem, tied[0].net, _backend(tied[0])))


def check_writable(path: str | Path) -> Path:
    """The folder, which is not made yet: where it would have to be made can be written to.

    Raises:
        InputError: it cannot.
    """
    folder = as_path("out", path)
    try:
        try_to_write(_existing(folder))
    except OSError as error:
        raise _unwritable(folder, error) from None
    return folder


def writable_folder(path: str | Path) -> Path:
    """The folder, made if need be.

    Raises:
        InputError: it cannot be made or written to.
    """
    folder = as_path("out", path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try_to_write(folder)
    except OSError as error:
        raise _unwritable(folder, error) from None
    return folder


def _existing(folder: Path) -> Path:
    """The nearest one above, or itself; what is there and is no folder, a broken link for instance, counts."""
    try:
        os.lstat(folder)
    except FileNotFoundError:
        return folder if folder == folder.parent else _existing(folder.parent)
    return folder


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(f"out: cannot write to the folder {folder} ({error.strerror or error})")


def _loss_map(solution: Solution) -> Figure:
    name = f"{solution.problem.name}, where the loss is"
    return loss_map_figure(solution.problem, solution.net, solution.coefficients, name, _backend(solution))


def _backend(solution: Solution) -> str:
    """The solution's own, but "auto", which has others for what is too large, if that chose it or two were at work."""
    own = solution.setup.backend
    return "auto" if "+" in own or own == get_backend("auto", solution.net.theta.device).name else own


def _check(name: str, value: object, kind: type, source: str) -> None:
    if not isinstance(value, kind):
        raise InputError(f"{name}: expected a {kind.__name__}, {source}, got {type(value).__name__}")


def _draw_structure(folder: _Folder, structure: Structure) -> None:
    folder.draw("structure.png", lambda: structure_figure(structure))
    folder.draw("R.png", lambda: relation_matrix_figure(structure))


class _Folder:
    """``with _Folder(path, names) as folder``: files by name; on leaving, a warning that names those that were not
    written, for instance since there is a file of someone else's of that name."""

    def __init__(self, path: str | Path, names: Sequence[str]) -> None:
        self._path, self._failures = as_path("out", path), list[str]()
        self._foreign = strangers(self._path, names)

    def __enter__(self) -> _Folder:
        with contextlib.suppress(OSError):  # the files will say so
            self._path.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._failures:
            message = f"{self._path}: could not write {', '.join(self._failures)}"
            warnings.warn(message, OutputWarning, stacklevel=3)

    def write(self, name: str, write: Callable[[Path], object]) -> None:
        if name in self._foreign:
            self._failures.append(f"{name} (what is there psinn_fast did not write)")
            return
        try:
            write(self._path / name)
        except Aborted:  # on request
            return
        except Exception as error:  # of drawing any: a picture is not worth what was trained
            cause = error.__cause__ or error
            self._failures.append(f"{name} ({getattr(cause, 'strerror', None) or one_line(cause)})")

    def write_text(self, name: str, text: str) -> None:
        self.write(name, lambda path: write_atomically(path, text))

    def draw(self, name: str, make: Callable[[], Figure]) -> None:
        """A picture, which is left out once its user wants to end (`abortable`)."""

        def write(path: Path) -> None:
            look_up()
            save_figure(make(), path)

        self.write(name, write)
