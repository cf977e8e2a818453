"""Runs that end before their time: where, and what they leave behind."""

from __future__ import annotations

import psinn_fast as pf

# Where things break.
STEP = 8
# What `solve` writes without pictures.
FILES = {"checkpoint.safetensors", "weights.safetensors", "structure.json", "result.json", "history.csv"}


class Fault:
    """Raises once it is armed, at a step."""

    armed = True

    def __call__(self, step: int) -> None:
        if self.armed and step == STEP:
            raise KeyError("a bug")


def network(seed: int = 0) -> pf.MLP:
    return pf.MLP([2, 5, 1], seed=seed, dtype="float64")
