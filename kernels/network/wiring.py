"""How the layers of a network are wired: one after the other, gated, or with connections past each of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from ..errors import InputError, short

PLAIN = "plain"
# H_l = a(z_l) U + (1 - a(z_l)) V with U = a(W_u phi + b_u), V = a(W_v phi + b_v) of the inputs phi (Wang, Teng &
# Perdikaris 2021, "modified MLP").
GATED = "gated"
# H_l = H_(l-1) + a(z_l) from the second hidden layer on.
RESIDUAL = "residual"
WIRINGS = (PLAIN, GATED, RESIDUAL)


class Sized(Protocol):
    @property
    def fan_in(self) -> int: ...
    @property
    def fan_out(self) -> int: ...


def encoders(wiring: str) -> int:
    """How many layers, before all others, act on the inputs besides the first hidden one: those that make U and V."""
    return 2 if wiring == GATED else 0


def check_wiring(wiring: object, layers: Sequence[Sized]) -> None:
    """
    Raises:
        InputError: an unknown wiring; layers that do not fit each other as they are wired.
    """
    if wiring not in WIRINGS:
        raise InputError(f"wiring: expected one of {list(WIRINGS)}, got {short(wiring)}")
    first = encoders(str(wiring))
    chain = layers[first:]
    for number, (before, after) in enumerate(pairwise(chain), start=first + 1):
        if before.fan_out != after.fan_in:
            raise InputError(
                f"layers: layer {number} gives {before.fan_out} values, layer {number + 1} takes {after.fan_in}"
            )
    hidden = {layer.fan_out for layer in (*layers[:first], *chain[:-1])}
    if wiring != PLAIN and len(chain) < 2:
        raise InputError(f"layers: {wiring} ones are hidden, and there is no hidden layer")
    if wiring != PLAIN and len(hidden) != 1:
        raise InputError(f"layers: {wiring} layers are hidden ones of one width, got {sorted(hidden)}")
    if any(layer.fan_in != chain[0].fan_in for layer in layers[:first]):
        raise InputError(f"layers: the first {first + 1} of a gated network act on the same inputs")
