"""References that take seconds are kept in a folder of the user's: of PSINN_FAST_CACHE, or ~/.cache/psinn_fast."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
# Of the references' formulas: a change of these makes what is stored worthless.
VERSION = 1


def folder() -> Path:
    return Path(os.environ.get("PSINN_FAST_CACHE") or Path.home() / ".cache" / "psinn_fast") / "tables"


@cache
def stored(compute: Callable[..., Mapping[str, Numbers]], *settings: float | str) -> Mapping[str, Numbers]:
    """``compute(*settings)``, from the file that an earlier call has left, if there is one that can be read."""
    text = f"{VERSION} {compute.__module__} {compute.__qualname__} {settings!r}"
    path = folder() / f"{compute.__name__}_{hashlib.sha256(text.encode()).hexdigest()[:16]}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError):
        found = compute(*settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npz", delete=False) as file:
        np.savez(file, allow_pickle=False, **found)
    os.replace(file.name, path)  # two processes may compute the same: each leaves a whole file
    return found
