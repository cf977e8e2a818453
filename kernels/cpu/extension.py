"""The compiled part of the CPU backend: is it there, and which instruction set does it use."""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from ..errors import BackendUnavailable, InputError

# Forces an instruction set, e.g. "baseline": to compare results, or around a faulty machine.
ISA_VARIABLE = "PSINN_FAST_ISA"


@cache
def native() -> Any | None:
    """The extension module, or None where it was not built. Loaded on first use, not at import."""
    try:
        module = import_module("._native", __package__)
    except ImportError:
        return None
    # On Linux. Elsewhere, and where torch was built without OpenMP, the kernels have threads of their own.
    module.borrow_openmp(torch_library())
    return module


def torch_library() -> str:
    """The file of torch's own kernels, which are linked with its OpenMP."""
    return str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so")


def loaded() -> Any:
    """The extension module.

    Raises:
        BackendUnavailable: it was not built.
    """
    module = native()
    if module is None:
        raise BackendUnavailable(f"backend 'cpu' cannot run here: {why_not()}")
    return module


def why_not() -> str | None:
    """None if the kernels are there, or what to do about it."""
    if native() is not None:
        return None
    return "the C++ kernels were not built; install a C++17 compiler (GCC or Clang) and install psinn_fast again"


def instruction_sets() -> tuple[str, ...]:
    """What this machine can run, best first; the last, "baseline", runs everywhere."""
    module = native()
    return _instruction_sets_of(module) if module is not None else ()


@cache
def _instruction_sets_of(module: Any) -> tuple[str, ...]:
    return tuple(module.instruction_sets())


def chosen_instruction_set() -> str:
    """The best one, or the one that the environment variable PSINN_FAST_ISA asks for.

    Raises:
        InputError: it asks for one this machine does not have.
    """
    known = instruction_sets()
    wanted = os.environ.get(ISA_VARIABLE) or known[0]
    if wanted not in known:
        raise InputError(f"{ISA_VARIABLE}: expected one of {', '.join(known)} on this machine, got {wanted!r}")
    return wanted
