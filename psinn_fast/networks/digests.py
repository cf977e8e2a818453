"""What a state_dict says of the structure that its weights belong to."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from ..storage.files import to_json
from .structure import Structure

# Where a state_dict has what `get_extra_state` gives.
EXTRA = "_extra_state"


def digest(structure: Structure) -> Tensor:
    """Of all but its name; a tensor, which all that copies weights can copy."""
    entries = structure.to_entries()
    del entries["name"]
    numbers = list(hashlib.sha256(to_json(entries).encode()).digest())
    return torch.tensor(numbers, dtype=torch.uint8, device="cpu")


def is_digest_of(found: object, structure: Structure) -> bool:
    """Also after sums that round, as averages of weights are."""
    own = digest(structure)
    return (
        isinstance(found, Tensor)
        and found.shape == own.shape
        and torch.equal(found.cpu().double().round(), own.double())
    )
