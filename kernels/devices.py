"""Devices by name, and on which of them backends compute."""

from __future__ import annotations

from contextlib import suppress

import torch

from .errors import InputError, short

# Types of devices: the CPU, NVIDIA GPUs.
DEVICE_TYPES = ("cpu", "cuda")


def named_device(device: torch.device | str) -> torch.device:
    """torch's device of that name, whether it is there or not.

    Raises:
        InputError: anything else, also a number, which torch takes where it finds a GPU.
    """
    if isinstance(device, (torch.device, str)):
        with suppress(RuntimeError):
            return torch.device(device)
    raise InputError(f"device: expected 'cpu', 'cuda' or e.g. 'cuda:1', got {short(device)}")


def check_there(device: torch.device) -> None:
    """
    Raises:
        InputError: torch can use NVIDIA GPUs here, and this is none of them.
    """
    if device.type != "cuda" or device.index is None or not torch.cuda.is_available():
        return
    count = torch.cuda.device_count()
    if device.index >= count:
        there = "only 'cuda:0' is there" if count == 1 else f"there are 'cuda:0' to 'cuda:{count - 1}'"
        raise InputError(f"device: got '{device}', {there}")


def computing_device(device: torch.device | str) -> torch.device:
    """The device of that name, of a type on which backends compute, whether it is there or not.

    Raises:
        InputError: no such device; one of another type.
    """
    found = named_device(device)
    if found.type not in DEVICE_TYPES:
        raise InputError(f"device: expected the CPU or an NVIDIA GPU ('cpu', 'cuda', 'cuda:1'), got '{found}'")
    return found
