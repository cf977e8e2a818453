"""Where networks are trained: "cpu", "cuda", "cuda:1"."""

from __future__ import annotations

import torch

from .kernels.devices import check_there, computing_device, named_device
from .kernels.errors import InputError

__all__ = ["find_device", "named_device"]


def find_device(device: torch.device | str) -> torch.device:
    """The device of that name.

    Raises:
        InputError: no such device in this machine, or none that psinn_fast can use.
    """
    found = computing_device(device)
    if found.type == "cpu":
        return found
    if not torch.cuda.is_available():
        built = "" if torch.version.cuda else ": this torch is built without CUDA"
        raise InputError(f"device: got '{found}', but torch can use no GPU here{built}")
    check_there(found)
    return found
