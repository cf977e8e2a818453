"""Tensors as kernels read them, at their address."""

from __future__ import annotations

import torch
from torch import Tensor

from .errors import InputError

_NO_DISPATCH = torch._C._disabled_torch_dispatch_impl


def readable(tensor: Tensor) -> Tensor:
    """The same numbers, contiguous, as they lie in memory, without history; the tensor itself where it is that already.

    A view may owe its numbers a sign (``z.conj().imag``) and look contiguous: torch's operations pay it, an address
    does not tell of it. (A conjugation only complex numbers can owe, which are none of the kernels'.)

    Raises:
        InputError: there is no memory: a tensor inside a transform of torch.func, a fake or meta tensor, a subclass
            with operations of its own.
    """
    if tensor.requires_grad:  # a call to torch costs half a microsecond
        tensor = tensor.detach()
    if tensor.is_neg():
        tensor = tensor.resolve_neg()
    tensor = tensor.contiguous()
    if tensor.numel() and not _address(tensor):
        raise InputError(
            f"expected a tensor with numbers in memory, got {type(tensor).__name__} without any (fake, meta, masked, "
            "or inside a transform of torch.func): kernels cannot be traced or transformed"
        )
    return tensor


def _address(tensor: Tensor) -> int:
    """0 where there is none."""
    # Such classes describe tensors without numbers, or change what the numbers mean.
    if type(tensor).__torch_dispatch__ is not _NO_DISPATCH:
        return 0
    try:
        return tensor.data_ptr()
    except RuntimeError:  # no storage
        return 0
