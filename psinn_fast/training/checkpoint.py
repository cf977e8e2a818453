"""Saved networks and checkpoints: safetensors with JSON in the header. Nothing here unpickles.

safetensors is imported where files are: training that saves nothing does without it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..kernels.errors import CheckpointError, InputError
from ..networks import PsiMLP, TanhMLP
from ..structure import Structure
from .history import History

NETWORK_SCHEMA = "psinn_fast.network/1"
CHECKPOINT_SCHEMA = "psinn_fast.checkpoint/2"


def save_network(path: str | Path, net: PsiMLP, coefficients: Mapping[str, float] | None = None) -> None:
    """Write theta, the structure and, for inverse problems, the coefficients found."""
    header = {"structure": json.loads(net.structure.to_json()), "coefficients": dict(coefficients or {})}
    _write(Path(path), {"theta": net.theta.detach()}, NETWORK_SCHEMA, header)


def load_network(path: str | Path) -> PsiMLP:
    """The network that `save_network` wrote, with its dtype, on the CPU.

    Raises:
        CheckpointError: not readable, not one of ours, or damaged.
    """
    tensors, header = _read(Path(path), NETWORK_SCHEMA, ("theta",))
    try:
        structure = Structure.from_json(json.dumps(header["structure"]))
        dtype = tensors["theta"].dtype
        net = TanhMLP(structure, dtype=dtype) if structure.is_dense else PsiMLP(structure, dtype=dtype)
        with torch.no_grad():
            net.theta.copy_(tensors["theta"])
    except (KeyError, InputError, RuntimeError) as error:
        raise CheckpointError(f"{path}: damaged ({error})") from None
    return net


def save_checkpoint(
    path: Path, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any], history: History, identity: Mapping[str, Any]
) -> None:
    """What a resumed run needs to go on as if it had not stopped. ``identity`` says what run this is."""
    header = {"numbers": dict(numbers), "identity": dict(identity), "history_columns": list(history.columns)}
    _write(path, {**tensors, "history": history.to_tensor()}, CHECKPOINT_SCHEMA, header)


def load_checkpoint(
    path: Path, history: History, identity: Mapping[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and numbers of a checkpoint; its history goes into ``history``.

    Raises:
        CheckpointError: not readable, not one of ours, or of a run with another identity (the message says where).
    """
    tensors, header = _read(path, CHECKPOINT_SCHEMA, ("history",))
    saved = header.get("identity", {})
    wanted = json.loads(json.dumps(dict(identity)))
    different = [key for key in {**saved, **wanted} if saved.get(key) != wanted.get(key)]
    if different:
        details = "; ".join(
            f"{key}: saved {_short(saved.get(key))}, now {_short(wanted.get(key))}" for key in different
        )
        raise CheckpointError(f"{path}: it belongs to another run ({details})")
    if tuple(header["history_columns"]) != history.columns:
        raise CheckpointError(f"{path}: its history has the columns {header['history_columns']}")
    history.rows = [tuple(row) for row in tensors.pop("history").tolist()]
    return tensors, header["numbers"]


def _write(path: Path, tensors: Mapping[str, Tensor], schema: str, header: Mapping[str, Any]) -> None:
    """Atomic: a reader finds the old file or the new one, never half of one."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    partial = path.with_name(path.name + ".partial")
    contents = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(contents, partial, metadata={"psinn_fast": json.dumps({"schema": schema, **header})})
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be written ({error})") from None


def _read(path: Path, schema: str, names: tuple[str, ...]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # safe_open is no mapping: it cannot be iterated.
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from None
    try:
        header = json.loads(metadata.get("psinn_fast", "null"))
    except json.JSONDecodeError:
        header = None
    if not isinstance(header, dict) or header.get("schema") != schema:
        found = header.get("schema") if isinstance(header, dict) else "no psinn_fast header"
        raise CheckpointError(f"{path}: expected a file of schema {schema!r}, got {found}")
    missing = [name for name in names if name not in tensors]
    if missing:
        raise CheckpointError(f"{path}: damaged, it lacks {missing}")
    return tensors, header


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
