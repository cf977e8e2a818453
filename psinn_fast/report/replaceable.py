"""Which files of an output folder may be replaced: those that psinn_fast wrote, by what they say, or what is beside."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..discovery.found import DISCOVERY_SCHEMA
from ..kernels.errors import CheckpointError, InputError
from ..networks.structure_entries import SCHEMAS as STRUCTURE_SCHEMAS
from ..results import RESULT_SCHEMA
from ..storage.files import BadJson, from_json, read_text
from ..storage.tensor_file import TensorFile
from ..training.checkpoint import CHECKPOINT_SCHEMA, NETWORK_SCHEMA, WEIGHTS
from ..training.history import COMMON_COLUMNS

CHECKPOINT = "checkpoint.safetensors"
PICTURES_OF_STRUCTURES = ("structure.png", "R.png")
RESULTS = (WEIGHTS, "structure.json", "result.json", "history.csv")
LOSS_MAP = "loss_map.png"
SOLUTION = (CHECKPOINT, *RESULTS, "solution.png", "loss.png", LOSS_MAP, *PICTURES_OF_STRUCTURES)
FLOW = "flow.png"
DISCOVERY = ("structure.json", "discovery.txt", "discovery.json", "discovery.png", *PICTURES_OF_STRUCTURES)
COMPARISON = ("comparison.json", "comparison.txt", "comparison.png", "overview.png")
COMPARISON_SCHEMA = "psinn_fast.comparison/1"
# Of files that say what they are.
_SCHEMAS: dict[str, tuple[str, ...]] = {
    CHECKPOINT: (CHECKPOINT_SCHEMA,), WEIGHTS: (NETWORK_SCHEMA,), "structure.json": STRUCTURE_SCHEMAS,
    "result.json": (RESULT_SCHEMA,), "discovery.json": (DISCOVERY_SCHEMA,), "comparison.json": (COMPARISON_SCHEMA,),
}  # fmt: skip


def check_no_strangers(folder: Path, names: Iterable[str]) -> None:
    """Nothing of someone else's would be replaced.

    Raises:
        InputError: a file of one of the names is none of ours.
    """
    foreign = strangers(folder, names)
    if foreign:
        raise InputError(
            f"out: {folder} has files that psinn_fast did not write, and that would be replaced: {', '.join(foreign)}; "
            "move them away, or give another folder"
        )


def strangers(folder: Path, names: Iterable[str]) -> list[str]:
    """Those of the ``names`` under which there is something that psinn_fast did not write.

    Files that say what they are must say the right thing. Others, such as pictures, are ours beside one of those.
    Empty files are nobody's.
    """
    there = {name for name in names if (path := folder / name).is_file() and path.stat().st_size}
    ours = {name for name in {*there, *_SCHEMAS} if _says_it_is_ours(folder / name)}
    is_ours = bool(ours)
    return [name for name in names if name in there - ours and (name in _SCHEMAS or not is_ours)]


def _says_it_is_ours(path: Path) -> bool:
    schemas = _SCHEMAS.get(path.name, ())
    if not path.is_file():
        return False
    try:
        if path.suffix == ".safetensors":
            with TensorFile(path, schemas[0]):
                return True
        if path.suffix == ".csv":
            with path.open(encoding="utf-8") as file:
                return file.readline().startswith(",".join(COMMON_COLUMNS[:2]))
        found = from_json(read_text(path)) if schemas else None
    except (CheckpointError, BadJson, OSError, UnicodeDecodeError):
        return False
    return isinstance(found, dict) and found.get("schema") in schemas
