"""Whether Triton and an NVIDIA GPU are here, both new enough, or Triton's interpreter in place of the GPU."""

from __future__ import annotations

import os
import re
import shutil
import sysconfig
import warnings
from functools import cache
from importlib import import_module
from pathlib import Path

import torch

OLDEST_TRITON, NEWEST_TESTED_TRITON, OLDEST_CHIP = (3, 6), (3, 9), (8, 0)
VARIABLE = "TRITON_INTERPRET"
# Backends whose kernels Triton compiles, or something in its place runs.
BY_TRITON = "triton", "gemm"


def is_interpreted() -> bool:
    """Whether Triton's interpreter is on, as Triton reads the variable."""
    return os.environ.get(VARIABLE, "").lower() in ("1", "true", "on", "y", "yes")


def stand_in() -> str | None:
    """What runs kernels on the CPU, in place of a GPU; None where nothing does. Our emulator puts itself here."""
    return f"Triton's interpreter ({VARIABLE}={os.environ[VARIABLE]})" if is_interpreted() else None


@cache
def was_interpreted() -> bool:
    """Whether the interpreter was on when Triton was imported, whose own functions are interpreted then."""
    triton = import_module("triton")
    return not isinstance(triton.language.softmax, triton.JITFunction)


def why_not(device: torch.device | None = None) -> str | None:
    """None if kernels can run on this GPU (None: torch's present one), or what is in the way."""
    _, reason = installed_triton()
    if reason is not None:
        return reason
    if stand_in() is not None:
        is_late = is_interpreted() and not was_interpreted()
        return f"{VARIABLE} was set after Triton had been imported; set it before Python starts" if is_late else None
    # Which GPU that is may change between two calls.
    has_gpu = torch.version.hip is None and torch.cuda.is_available()
    index = torch.cuda.current_device() if has_gpu and (device is None or device.index is None) else None
    own = device if index is None else torch.device("cuda", index)
    return why_not_gpu(own) or why_not_build() or why_not_compiled()


def why_not_compiled() -> str | None:
    """None if Triton compiles kernels, for a GPU that need not be here, or why it does not."""
    _, reason = installed_triton()
    if reason is None and (is_interpreted() or was_interpreted()):
        return f"Triton's interpreter is on, which compiles nothing; unset {VARIABLE} before Python starts"
    return reason


@cache
def installed_triton() -> tuple[tuple[int, ...], str | None]:
    """Triton's (major, minor), and why it cannot be used."""
    try:
        triton = import_module("triton")
    except ImportError as error:
        if getattr(error, "name", None) not in (None, "triton"):  # there, but lacking something
            return (), f"Triton cannot be imported ({error})"
        return (), (
            "Triton is not installed; a CUDA build of PyTorch brings the one that fits, `pip install triton` another "
            "(on Linux)"
        )
    except Exception as error:  # whatever a file of that name does
        return (), f"what Python imports as `triton` fails: {type(error).__name__}: {error}"
    found = re.match(r"(\d+)\.(\d+)", str(getattr(triton, "__version__", "")))
    if found is None or not hasattr(triton, "jit"):
        # A folder of that name is a package, too, as long as there is no other.
        places = [getattr(triton, "__file__", None), *getattr(triton, "__path__", ())]
        place = next((str(place) for place in places if place), "an unknown place")
        return (), f"what Python imports as `triton` is not Triton, but {place}; rename that, or start elsewhere"
    version = int(found[1]), int(found[2])
    if version < OLDEST_TRITON:
        return version, f"Triton {_dotted(version)} is too old; {_dotted(OLDEST_TRITON)} and newer work"
    return version, None


@cache
def why_not_gpu(device: torch.device | None) -> str | None:
    """None if this GPU is one that Triton compiles for, or why it is not."""
    if torch.version.hip is not None or not torch.cuda.is_available():
        return "no NVIDIA GPU that torch can use"
    chip = torch.cuda.get_device_capability(device)
    if chip < OLDEST_CHIP:
        name = torch.cuda.get_device_name(device)
        return f"{name} is too old (sm_{chip[0]}{chip[1]}); sm_80 (A100, RTX 30) and newer work"
    return None


@cache
def room_for_program(device: torch.device) -> int | None:
    """Bytes of shared memory that a program may have there; None where there is no chip."""
    if device.type != "cuda" or stand_in() is not None:
        return None
    index = torch.cuda.current_device() if device.index is None else device.index
    properties = import_module("triton").runtime.driver.active.utils.get_device_properties(index)
    return int(properties["max_shared_mem"])


@cache
def why_not_build() -> str | None:
    """None if what launches a kernel can be built: Triton compiles a few lines of C for every one of them."""
    if os.name == "nt":  # Triton for Windows brings a compiler
        return None
    named = os.environ.get("CC")
    if not any(shutil.which(name) for name in ([named] if named else ["cc", "gcc", "clang"])):
        wanted = f"the one that CC names, {named!r}, is not there" if named else "none of cc, gcc, clang is there"
        return f"Triton needs a C compiler to launch kernels, and {wanted}; install gcc (Debian: apt install gcc)"
    headers = sysconfig.get_path("include")
    if not Path(headers, "Python.h").is_file():
        return (
            f"Triton needs Python's headers to launch kernels, and there is no {headers}/Python.h; install them "
            "(Debian: apt install python3-dev), or take a Python that has them (conda, uv)"
        )
    return None


@cache
def say_untested() -> None:
    """One warning where Triton is newer than what was tried."""
    version, _ = installed_triton()
    if version > NEWEST_TESTED_TRITON:
        tested = f"{_dotted(OLDEST_TRITON)} to {_dotted(NEWEST_TESTED_TRITON)}"
        warnings.warn(
            f"psinn_fast is tested with Triton {tested}, not yet with {_dotted(version)}", RuntimeWarning, stacklevel=2
        )


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
