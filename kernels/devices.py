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


def computing_device(device: torch.device | str) -> torch.device:
    """The device of that name, of a type on which backends compute, whether it is there or not.

    Raises:
        InputError: no such device; one of another type.
    """
    found = named_device(device)
    if found.type not in DEVICE_TYPES:
        raise InputError(f"device: expected the CPU or an NVIDIA GPU ('cpu', 'cuda', 'cuda:1'), got '{found}'")
    return found
