"""The reference flow as a file: nodes, triangles, velocity, pressure, parts of the boundary, and a checksum of them."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..frozen import frozen
from ..kernels import checks
from ..kernels.errors import CheckpointError, InputError
from ..storage.files import as_path, open_regular, write_atomically
from .channel import PARTS, Channel
from .interpolation import Interpolation

Numbers = npt.NDArray[np.float64]

SHIPPED = Path(__file__).with_name("cylinder.npz")
# Bytes; the shipped file has a third of it.
MOST = 2_000_000
# First bytes of every archive that holds something.
_ZIP = b"PK\x03\x04"
_AGAIN = "; install psinn-fast again, or make the file anew: python -m psinn_fast.flow_reference --out FILE"
_ARRAYS = {"nodes": "<f8", "triangles": "<i4", "velocity": "<f8", "pressure": "<f8", "boundary": "|u1"}


@dataclass(frozen=True, repr=False)
class ReferenceFlow:
    """A steady flow in a channel, symmetric about y = 0: u, p even, v odd in y.

    Called with points (..., 2) it gives u, v, p (..., 3): quadratic in every triangle, NaN outside of the channel and
    in the cylinder. A point that misses the nearest triangle by up to 1e-4 of its size counts as in it, so that points
    on the boundary may be rounded to float32.

    Args:
        channel: its geometry, viscosity and inflow.
        nodes: (N, 2).
        triangles: (T, 6): three corners a, b, c, then the nodes in the middles of ab, bc, ac; edges at the cylinder are
            curved.
        velocity: (N, 2), at the nodes.
        pressure: (N,).
        boundary: (N,): sums of the bits in `PARTS`: 1 inlet, 2 outlet, 4 walls, 8 cylinder; 0 inside.
        quantities: drag coefficient, pressure difference and fluxes on the finest mesh, see `quantities`.
    """

    channel: Channel
    nodes: Numbers
    triangles: npt.NDArray[np.int32]
    velocity: Numbers
    pressure: Numbers
    boundary: npt.NDArray[np.uint8]
    quantities: Mapping[str, float]

    def __call__(self, points: npt.ArrayLike) -> Numbers:
        """
        Raises:
            InputError: other than points (..., 2).
        """
        at = checks.real_array("points", points)
        if at.ndim == 0 or at.shape[-1] != 2:
            raise InputError(f"points: expected x and y of each point, (..., 2), got the shape {at.shape}")
        return self._interpolation(at.reshape(-1, 2)).reshape(*at.shape[:-1], 3)

    def on(self, part: str) -> Numbers:
        """(M, 2): the nodes on ``"inlet"``, ``"outlet"``, ``"walls"`` or ``"cylinder"``; corners are on two."""
        named = [name for name in PARTS if name != "axis"]
        return self.nodes[(self.boundary & PARTS[checks.choice("part", part, named)]) > 0]

    @cached_property
    def _interpolation(self) -> Interpolation:
        values = np.column_stack([self.velocity, self.pressure])
        return Interpolation(self.nodes, self.triangles.astype(np.int64), values)

    def __repr__(self) -> str:
        return f"ReferenceFlow({self.channel}, {len(self.nodes)} nodes, {len(self.triangles)} triangles)"


@cache
def reference_flow() -> ReferenceFlow:
    """The shipped flow of the paper's channel (Liu et al. 2025): mu = 0.02, Re = 3.3 by mean speed and diameter.

    Raises:
        CheckpointError: its file is missing or damaged.
    """
    return load_flow(SHIPPED)


def save_flow(flow: ReferenceFlow, path: str | Path) -> None:
    """
    Raises:
        OSError: it cannot be written.
    """
    arrays = {name: np.ascontiguousarray(getattr(flow, name), dtype=kind) for name, kind in _ARRAYS.items()}
    about = json.dumps({"channel": asdict(flow.channel), "quantities": dict(flow.quantities)})
    contents = io.BytesIO()
    texts = {"about": np.array(about), "sha256": np.array(_checksum(arrays, about))}
    np.savez_compressed(contents, **arrays, **texts)  # type: ignore[arg-type]  # NumPy's types know of one keyword
    write_atomically(path, contents.getvalue())


def load_flow(path: str | Path) -> ReferenceFlow:
    """
    Raises:
        CheckpointError: no such file, or one that is no flow, or damaged: of another checksum than it says.
    """
    try:
        with open(open_regular(as_path("path", path)), "rb") as file:
            contents = file.read(MOST + 1)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error}){_AGAIN}") from error
    try:
        entries = _entries(contents)
        about = json.loads(entries.pop("about"))
        channel, found = Channel(**about["channel"]), frozen(dict(about["quantities"]))
    except (ValueError, TypeError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise CheckpointError(f"{path}: is no flow, or damaged ({error}){_AGAIN}") from error
    for array in entries.values():
        array.setflags(write=False)
    return ReferenceFlow(channel, **entries, quantities=found)


def _entries(contents: bytes) -> dict[str, Any]:
    """The arrays, and what is said about them as JSON; ValueError unless they are what was saved."""
    if len(contents) > MOST:
        raise ValueError(f"more than {MOST} bytes")
    if not contents.startswith(_ZIP):  # NumPy would advise to unpickle it
        raise ValueError("it is no NumPy archive, .npz")
    with np.load(io.BytesIO(contents), allow_pickle=False) as file:
        expected = [*_ARRAYS, "about", "sha256"]
        if sorted(file.files) != sorted(expected):
            raise ValueError(f"expected the entries {expected}, got {file.files}")
        entries = {name: file[name] for name in expected}
    arrays, about = {name: entries[name] for name in _ARRAYS}, str(entries["about"])
    for name, kind in _ARRAYS.items():
        if arrays[name].dtype != np.dtype(kind):
            raise ValueError(f"{name}: expected numbers of type {kind}, got {arrays[name].dtype}")
    if _checksum(arrays, about) != str(entries["sha256"]):
        raise ValueError("its SHA-256 is another than it says")
    return {**arrays, "about": about}


def _checksum(arrays: Mapping[str, npt.NDArray[Any]], about: str) -> str:
    """SHA-256 of the text, and of every array's name, shape and bytes."""
    found = hashlib.sha256(about.encode())
    for name, array in arrays.items():
        found.update(f"{name} {array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()
