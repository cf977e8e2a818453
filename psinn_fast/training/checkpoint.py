"""Saved networks and checkpoints: what is in them, and how it is checked."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..kernels.contract.precision import IEEE, check_precision
from ..kernels.errors import CheckpointError, CheckpointWarning, InputError, OutputWarning, short
from ..language.names import numbers_by_name
from ..networks.mlp import MLP, PsiMLP, check_network
from ..networks.structure import Structure
from ..storage import entries
from ..storage.files import as_path, from_json, to_json
from ..storage.tensor_file import FLOATING, TensorFile, write_tensors
from .history import History
from .identity import differences

# The network in an output folder.
WEIGHTS = "weights.safetensors"
NETWORK_SCHEMA = "psinn_fast.network/2"
CHECKPOINT_SCHEMA = "psinn_fast.checkpoint/3"
CHECKPOINT_SECONDS = 30.0
_MOST_DIFFERENCES = 6


class Expected(NamedTuple):
    """A tensor of a checkpoint. ``shape``: None, or with None in it, where any will do; so the dtype."""

    shape: tuple[int | None, ...] | None
    dtype: torch.dtype | None = torch.float64
    finite: bool = True
    optional: bool = False


class Expectations(NamedTuple):
    """What a checkpoint must hold: tensors, and numbers with a function of `entries` that checks each."""

    tensors: Mapping[str, Expected]
    numbers: Mapping[str, Callable[[str, Any], Any]]


def save_network(path: str | Path, net: PsiMLP, coefficients: Mapping[str, Any] | None = None) -> None:
    """Write theta, the structure and, for inverse problems, the coefficients found.

    Raises:
        InputError: weights that are NaN or infinite, which no one could load; coefficients that are no finite numbers
            by name.
        CheckpointError: the file cannot be written.
    """
    check_network(net)
    if not bool(torch.isfinite(net.theta).all()):
        raise InputError(f"net: its weights are NaN or infinite, {path} is not written")
    if isinstance(coefficients, Mapping):  # those that a user's own loop trains: their present values are what is meant
        coefficients = {k: v.detach() if isinstance(v, Tensor) else v for k, v in coefficients.items()}
    numbers = numbers_by_name({} if coefficients is None else coefficients, "coefficients")
    for name in coefficients or ():
        if not isinstance(name, str) or not name.isidentifier():
            raise InputError(f"coefficients: expected names of letters and digits, got {short(name)}")
    header = {"structure": net.structure.to_entries(), "coefficients": numbers}
    try:
        write_tensors(path, NETWORK_SCHEMA, header, {"theta": net.theta})
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written ({error})") from error


def load_network(path: str | Path, *, precision: str = IEEE) -> PsiMLP:
    """The network that `save_network` wrote, with its dtype, on the CPU.

    Args:
        path: of the file.
        precision: as for `PsiMLP`: the file does not say.

    Raises:
        InputError: ``precision`` is none, or ``"tf32x3"`` for a network of float64.
        CheckpointError: not readable, not one of ours, or damaged: the message names the file and the entry.
    """
    check_precision(precision)
    if isinstance(path, (str, os.PathLike)) and os.path.isdir(path):
        own = Path(path) / WEIGHTS
        advice = f"its network is {own}" if own.is_file() else f"without {WEIGHTS}"
        raise CheckpointError(f"{path}: cannot be read (it is a folder, {advice})")
    with TensorFile(path, NETWORK_SCHEMA) as file:
        header = entries.fields("header", file.header, ("structure", "coefficients"))
        for name, value in entries.fields("coefficients", header["coefficients"], (), None).items():
            entries.text("coefficients", name)
            if value is not None:  # what was not finite
                entries.number(f"coefficients.{name}", value)
        structure = Structure.from_entries(header["structure"])
        theta = file.take("theta", (structure.n_parameters,))
        file.finish()
        net = (MLP if structure.is_dense else PsiMLP).with_theta(structure, theta)
    net.precision = precision
    return net


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What a checkpoint holds, in memory: where a training was, from which it can be continued."""

    identity: Mapping[str, Any]
    columns: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]
    tensors: Mapping[str, Tensor]
    numbers: Mapping[str, Any]


class Checkpoint:
    """The file from which one run can be resumed; without a path, none.

    The first `write` must succeed, so that what is wrong shows before the work. A later one that fails, on a full disk
    for instance, is said once and tried again the next time: the file holds what was written last.

    Args:
        path: of the file, or None.
        history: is saved and restored along.
        identity: gives what a run must agree in to go on from the file (`run_identity`).
    """

    def __init__(self, path: str | Path | None, history: History, identity: Callable[[], Mapping[str, Any]]) -> None:
        self._path = None if path is None else as_path("checkpoint", path)
        self._history = history
        self._made = identity
        self._written_at: float | None = None
        self._failed = ""

    @cached_property
    def _identity(self) -> dict[str, Any]:
        found: dict[str, Any] = from_json(to_json(self._made()))
        return found

    @property
    def path(self) -> Path | None:
        """Where what was last given to `write` is kept; None where there is no such file."""
        return None if self._failed else self._path

    @property
    def exists(self) -> bool:
        return self._path is not None and self._path.exists()

    def is_due(self, seconds: float) -> bool:
        """Half a minute of training has passed since the last `write`, failed or not."""
        return self._path is not None and seconds - (self._written_at or 0.0) > CHECKPOINT_SECONDS

    def write(self, seconds: float, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """All that a resumed run needs to go on as if it had not stopped. ``seconds``: of training until now.

        Raises:
            CheckpointError: the first one cannot be written.
        """
        if self._path is None:
            return
        is_first, self._written_at = self._written_at is None, seconds
        if not is_first:  # someone may have removed its folder
            with suppress(OSError):
                self._path.parent.mkdir(parents=True, exist_ok=True)
        header = {
            "numbers": dict(numbers), "identity": self._identity, "history_columns": list(self._history.columns),
        }  # fmt: skip
        try:
            write_tensors(self._path, CHECKPOINT_SCHEMA, header, {**tensors, "history": self._history.to_tensor()})
        except OSError as error:
            if is_first:
                raise CheckpointError(f"{self._path}: cannot be written ({error})") from None
            if not self._failed:
                message = f"{self._path}: cannot be written ({error}); training goes on, and tries again"
                warnings.warn(message, CheckpointWarning, stacklevel=2)
            self._failed = str(error)
        else:
            self._failed = ""

    def conclude(self) -> None:
        """Say so if the last `write` failed: no other follows."""
        if self._failed:
            left = "it holds an earlier step" if self.exists else "there is none any more"
            message = f"{self._path}: cannot be written ({self._failed}); {left}"
            warnings.warn(message, OutputWarning, stacklevel=3)

    def load(self, expect: Callable[[Mapping[str, Any]], Expectations]) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and numbers of the file; its history goes into ``history``.

        Args:
            expect: from the file's numbers, which are not checked yet, to what the file must hold.

        Raises:
            CheckpointError: not readable, not one of ours, damaged, or of a run with another identity (the message
                says where).
        """
        assert self._path is not None
        with TensorFile(self._path, CHECKPOINT_SCHEMA) as file:
            header = entries.fields("header", file.header, ("numbers", "identity", "history_columns"))
            given = self._checked(header["identity"], header["history_columns"], header["numbers"])
            tensors, checks = expect(given)
            entries.fields("numbers", given, list(checks))
            numbers = {name: check(f"numbers.{name}", given[name]) for name, check in checks.items()}
            found = {
                name: file.take(name, shape, FLOATING if dtype is None else (dtype,), finite)
                for name, (shape, dtype, finite, optional) in tensors.items()
                if name in file or not optional
            }
            rows = file.take("history", (None, len(self._history.columns)), (torch.float64,), finite=False)
            file.finish()
            self._history.take_rows(rows)
        return found, numbers

    def snapshot(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> Snapshot:
        """What `write` would write, in memory."""
        copied = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        plain = from_json(to_json(dict(numbers)))
        return Snapshot(self._identity, self._history.columns, tuple(self._history.rows), copied, plain)

    def take(
        self, snapshot: Snapshot, expect: Callable[[Mapping[str, Any]], Expectations]
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """`load` from a snapshot, which was checked when it was made.

        Raises:
            CheckpointError: it is of a run with another identity.
        """
        given = self._checked(snapshot.identity, list(snapshot.columns), snapshot.numbers)
        expect(given)
        self._history.rows = list(snapshot.rows)
        return {name: tensor.clone() for name, tensor in snapshot.tensors.items()}, dict(given)

    def _checked(self, identity: Any, columns: Any, numbers: Any) -> dict[str, Any]:
        """The numbers of a run that is this one."""
        saved, own = entries.texts("history_columns", columns), list(self._history.columns)
        if saved != own and sorted(saved) == sorted(own):
            orders = [list(History(one).terms) for one in (saved, own)]
            raise CheckpointError(f"it has the problem's terms in another order: saved {orders[0]}, now {orders[1]}")
        different = list(differences(entries.fields("identity", identity, (), None), self._identity))
        if different:
            raise CheckpointError(f"it belongs to another run ({'; '.join(different[:_MOST_DIFFERENCES])})")
        if saved != own:
            raise CheckpointError(f"its history has the columns {short(saved)}, not {own}")
        return entries.fields("numbers", numbers, (), None)
