"""Generated kernels as files: Triton reads a function's source from the file it lies in.

A file's name is the hash of its text, so what is there is right, and processes may share the folder.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType

# Where generated sources are kept.
CACHE_VARIABLE = "PSINN_FAST_CACHE"


def cache_folder() -> Path:
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "psinn_fast"


@cache
def module_of(text: str) -> ModuleType:
    """Write ``text`` to a file of its own, unless it is there already, and import it."""
    name = f"psinn_fast_generated_{hashlib.sha256(text.encode()).hexdigest()[:24]}"
    path = _written(text, name)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _written(text: str, name: str) -> Path:
    try:
        folder = cache_folder() / "triton"
        folder.mkdir(parents=True, exist_ok=True)
        return _write(text, folder / f"{name}.py")
    except OSError:  # no home, or not ours to write
        return _write(text, Path(tempfile.mkdtemp(prefix="psinn_fast_")) / f"{name}.py")


def _write(text: str, path: Path) -> Path:
    if not (path.exists() and path.read_text() == text):
        # Renamed into place: another process never sees half a file.
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False) as file:
            file.write(text)
        os.replace(file.name, path)
    return path
