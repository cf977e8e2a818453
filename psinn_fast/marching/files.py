"""The folder of a march: a file for each window, which holds its own network and says what it continues."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..kernels.errors import CheckpointError, InputError, OutputWarning, one_line
from ..networks.continuation import Continuation, Window
from ..networks.known_entries import closed_form_entries, closed_form_of
from ..networks.mlp import PsiMLP
from ..networks.structure import Structure
from ..pictures.figures import save_figure
from ..problem.problem import Problem
from ..problems import as_problem
from ..storage import entries
from ..storage.files import BadJson, as_path, from_json, read_text, to_json, write_atomically
from ..storage.tensor_file import TensorFile, write_tensors
from ..training.history import History
from ..training.identity import differences, run_identity
from ..training.points.windows import times_of
from .marched import Marched, MarchedWindow

MARCH_SCHEMA, WINDOW_SCHEMA = "psinn_fast.march/1", "psinn_fast.march_window/1"
_MARCH_ENTRIES = ("schema", "ended", "windows", "tolerance", "notes", "foreseen", "identity")
# Of a march whose process was ended.
_UNENDED = ("begun", "under way")
MARCH, RESULT, PICTURE = "march.json", "result.json", "march.png"
_PATTERN = "window-*.safetensors"
_ENTRIES = (
    "structure", "continues", "start", "end", "residual", "reference", "steps", "seconds", "stopped_by", "held_out",
    "history_columns",
)  # fmt: skip


class MarchFolder:
    """Where a march is kept, window by window.

    Args:
        path: of the folder, which is made if need be.

    Raises:
        InputError: it cannot be written to.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = as_path("out", path)
        self._written = 0  # windows

    @property
    def path(self) -> Path:
        return self._path

    @property
    def exists(self) -> bool:
        return (self._path / MARCH).is_file()

    def begin(self, march: Marched) -> None:
        """``march``: no window of it is written yet.

        Raises:
            InputError: there is a march already, or the folder cannot be written to.
        """
        if self.exists or (self._path.is_dir() and any(self._path.glob(_PATTERN))):
            raise InputError(
                f"out: {self._path} has the windows of a march; options=pf.Options(resume=True) goes on with it, or "
                "give another folder"
            )
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            self._write(replace(march, windows=()), "begun")
        except OSError as error:
            raise InputError(f"out: cannot write to the folder {self._path} ({error.strerror or error})") from None

    def add(self, march: Marched) -> None:
        """The windows that are new, and that they are done. What cannot be written is said in an `OutputWarning`."""
        try:
            self._write(march, "under way")
        except OSError as error:
            warnings.warn(f"{self._path}: a window cannot be written ({error}); the march goes on", OutputWarning, 3)

    def conclude(self, result: Marched, pictures: bool, is_over: Callable[[], bool] = lambda: False) -> None:
        """What is known of it in the end, the picture unless it ``is_over`` by then. What cannot be written is said in
        an `OutputWarning`."""
        try:
            self._write(result, result.ended)
            write_atomically(self._path / RESULT, to_json(result.to_dict()) + "\n")
            if pictures and result.windows and not is_over():
                save_figure(result.figure(), self._path / PICTURE)
        except Exception as error:  # of drawing any: a picture is not worth what was trained
            warnings.warn(f"{self._path}: results cannot be written ({one_line(error)})", OutputWarning, 3)

    def save(self, result: Marched) -> None:
        """All of a march.

        Raises:
            InputError: see `begin`.
        """
        self.begin(result)
        self.conclude(result, pictures=True)

    def load(self, problem: Problem) -> Marched:
        """What is done, and what is known of it.

        Raises:
            CheckpointError: files that cannot be read, are damaged, of another problem, or do not continue each other.
        """
        where = self._path / MARCH
        try:
            data = from_json(read_text(where))
        except (OSError, UnicodeDecodeError, BadJson) as error:
            raise CheckpointError(f"{where}: cannot be read ({one_line(error)})") from None
        if entries.fields(str(where), data, ("schema",), None)["schema"] != MARCH_SCHEMA:
            raise CheckpointError(f"{where}: expected schema {MARCH_SCHEMA!r}")
        parts = entries.fields(str(where), data, _MARCH_ENTRIES)
        count = entries.integer(f"{where}: windows", parts["windows"])
        windows, before = list[MarchedWindow](), list[Window]()
        axis, start, _ = times_of(problem)
        for number in range(1, count + 1):
            windows.append(_read_window(self._path / _name(number), before, axis))
            own = windows[-1]
            if own.start != (windows[-2].end if number > 1 else start):
                raise CheckpointError(f"{self._path / _name(number)}: it does not begin where the one before it ends")
            before.append(Window.of(own.net, own.start, own.end))
        if windows:
            ends = windows[0].net.structure.n_inputs, windows[0].net.structure.n_outputs
            if ends != (len(problem.pde.coords), len(problem.pde.fields)):
                raise CheckpointError(f"{where}: its networks have {ends[0]} inputs and {ends[1]} outputs")
            saved = entries.fields("identity", parts["identity"], (), None)
            if different := list(differences(saved, _identity(problem, windows))):
                raise CheckpointError(f"{where}: it belongs to another problem ({'; '.join(different[:6])})")
        self._written = count
        ended, tolerance = entries.text("ended", parts["ended"]), parts["tolerance"]
        return Marched(
            problem, tuple(windows),
            None if tolerance is None else entries.number("tolerance", tolerance, 0.0),
            "interrupted" if ended in _UNENDED else ended,
            tuple(entries.texts("notes", parts["notes"])), tuple(entries.texts("foreseen", parts["foreseen"])),
        )  # fmt: skip

    def _write(self, march: Marched, ended: str) -> None:
        """First the windows that are not there, then that they are."""
        for number in range(self._written, len(march.windows)):
            _write_window(self._path / _name(number + 1), march.windows[number])
            self._written = number + 1
        data = {
            "schema": MARCH_SCHEMA,
            "ended": ended,
            "windows": len(march.windows),
            "tolerance": march.tolerance,
            "notes": list(march.notes),
            "foreseen": list(march.foreseen),
            "identity": _identity(march.problem, march.windows),
        }
        write_atomically(self._path / MARCH, to_json(data) + "\n")


def load_march(path: str | Path, problem: Problem | str) -> Marched:
    """A march that `march` or `Marched.save` wrote.

    Args:
        path: of the folder.
        problem: the one that was marched through, made anew.

    Raises:
        CheckpointError: files that cannot be read, are damaged, or of another problem.
    """
    problem, folder = as_problem(problem), MarchFolder(path)
    if not folder.exists:
        raise CheckpointError(f"{path}: there is no {MARCH} in it")
    return folder.load(problem)


def _name(number: int) -> str:
    return f"window-{number:04d}.safetensors"


def _identity(problem: Problem, windows: Sequence[MarchedWindow]) -> dict[str, Any]:
    if not windows:
        return {}
    found: dict[str, Any] = from_json(to_json(run_identity(problem, windows[0].net, {})))
    return found


def _write_window(path: Path, window: MarchedWindow) -> None:
    offset = None if window.net.structure.ansatz is None else window.net.structure.ansatz.offset
    continues = None
    if isinstance(offset, Continuation):
        continues = {"orders": list(offset.orders), "offset": closed_form_entries(offset.offset)}
    header: Mapping[str, Any] = {
        "structure": window.net.structure.to_entries(), "continues": continues, "start": window.start,
        "end": window.end, "residual": window.residual, "reference": window.reference, "steps": window.steps,
        "seconds": window.seconds, "stopped_by": window.stopped_by, "held_out": window.held_out,
        "history_columns": list(window.history.columns),
    }  # fmt: skip
    tensors = {"theta": window.net.theta, "history": window.history.to_tensor()}
    write_tensors(path, WINDOW_SCHEMA, header, tensors)


def _read_window(path: Path, before: Sequence[Window], axis: int) -> MarchedWindow:
    with TensorFile(path, WINDOW_SCHEMA) as file:
        header = entries.fields("header", file.header, _ENTRIES)
        continued = None
        if header["continues"] is not None:
            parts = entries.fields("continues", header["continues"], ("orders", "offset"))
            offset = closed_form_of("continues.offset", parts["offset"])
            continued = Continuation(before, axis, entries.integers("continues.orders", parts["orders"]), offset)
        try:
            structure = Structure.from_entries(header["structure"])  # knows what it continues by its digest
        except CheckpointError as error:
            raise CheckpointError(f"it is no continuation of the windows before it ({error})") from None
        if structure.ansatz is not None and continued not in (None, structure.ansatz.offset):
            raise CheckpointError("it is no continuation of the windows before it, but of others")
        theta = file.take("theta", (structure.n_parameters,))
        history = History(entries.texts("history_columns", header["history_columns"]))
        history.take_rows(file.take("history", (None, len(history.columns)), finite=False))
        file.finish()
        numbers = {name: entries.number(name, header[name]) for name in ("start", "end", "seconds", "reference")}
        residual = header["residual"]
        held_out = entries.fields("held_out", header["held_out"], (), None)
        return MarchedWindow(
            net=PsiMLP.with_theta(structure, theta),
            residual=float("nan") if residual is None else entries.number("residual", residual),
            steps=entries.integer("steps", header["steps"]),
            stopped_by=entries.text("stopped_by", header["stopped_by"]),
            held_out={name: None if own is None else entries.number(name, own) for name, own in held_out.items()},
            history=history,
            **numbers,
        )
