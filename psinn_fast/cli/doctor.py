"""What this machine offers, for ``psinn-fast doctor``."""

from __future__ import annotations

import os
import platform
from importlib import metadata

import torch

from ..kernels import available_backends, get_backend
from ..kernels.contract.precision import OFFERED
from ..kernels.cpu.extension import chosen_instruction_set, instruction_sets
from ..kernels.triton import machine as triton_machine
from ..machine import processor_name

# Of tests/interpreted.py.
EMULATE = "PSINN_FAST_EMULATE"


def doctor_report() -> dict[str, str]:
    """Versions, processor, threads, GPU, and every backend with the reason where it cannot run."""
    report = {"psinn_fast": metadata.version("psinn_fast"), "python": platform.python_version()}
    for package in ("torch", "numpy", "scipy", "sympy", "triton"):
        try:
            report[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            report[package] = "not installed"
    report["processor"] = processor_name()
    report["threads"] = f"{torch.get_num_threads()} of {os.cpu_count()} cores"
    report["gpu"] = _gpu()
    if os.environ.get(EMULATE) and triton_machine.stand_in() is None:
        report["emulator"] = f"not here: {EMULATE} is for the project's own tests alone"
    report["cpu instruction set"] = _instruction_set()
    for name, reason in available_backends().items():
        report[f"{name} backend"] = _available(name) if reason is None else f"not available: {reason}"
    report["float32 products"] = _products()
    report["auto backend"] = get_backend("auto").name
    if torch.cuda.is_available():
        report["auto backend on the gpu"] = get_backend("auto", torch.device("cuda")).name
    return report


def _available(name: str) -> str:
    if name in triton_machine.BY_TRITON and (found := triton_machine.stand_in()) is not None:
        return f"available, on the CPU: {found} stands for a GPU, slowly, for tests"
    return "available"


def _products() -> str:
    """Of which precision they are, by backend, as it is and as it may be asked for (``--precision``)."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = dict[str, str]()
    for name, reason in available_backends().items():
        if reason is None:
            asked = (get_backend(name, device, precision).products(torch.float32, device) for precision in OFFERED)
            found[name] = " or ".join(dict.fromkeys(asked))
    return ", ".join(f"{name}: {precisions}" for name, precisions in found.items())


def _gpu() -> str:
    if not torch.cuda.is_available():
        return "none that torch can use"
    major, minor = torch.cuda.get_device_capability()
    return f"{torch.cuda.get_device_name()} (sm_{major}{minor})"


def _instruction_set() -> str:
    known = instruction_sets()
    if not known:
        return "none: kernels not built"
    return f"{chosen_instruction_set()} (this machine has {', '.join(known)})"
