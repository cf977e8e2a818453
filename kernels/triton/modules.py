"""Generated kernels as modules. Triton reads a function's source by `inspect`, which asks the module's loader for it.

Nothing is read from files: what runs is the text that this process made, whoever may write to whatever folder.
"""

from __future__ import annotations

import hashlib
import sys
from functools import cache
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from types import ModuleType


class _Text(Loader):
    """Of one module, whose source is at hand."""

    def __init__(self, text: str, path: str) -> None:
        self._text, self._path = text, path

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._text, self._path, "exec"), module.__dict__)

    def get_source(self, name: str) -> str:
        return self._text


@cache
def module_of(text: str) -> ModuleType:
    """``text`` as a module, under a name that belongs to it alone."""
    name = f"psinn_fast_generated_{hashlib.sha256(text.encode()).hexdigest()[:24]}"
    # A path that no file can have: `linecache` would prefer the file.
    loader = _Text(text, f"/dev/null/{name}.py")
    module = module_from_spec(ModuleSpec(name, loader))
    sys.modules[name] = module  # where `inspect` looks for it
    loader.exec_module(module)
    return module
