"""Where networks are trained: "cpu", "cuda", "cuda:1"."""

from __future__ import annotations

import torch

from .kernels.devices import computing_device, named_device
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
    count = torch.cuda.device_count()
    if found.index is not None and found.index >= count:
        there = "only 'cuda:0' is there" if count == 1 else f"there are 'cuda:0' to 'cuda:{count - 1}'"
        raise InputError(f"device: got '{found}', {there}")
    return found
