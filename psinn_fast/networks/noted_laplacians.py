"""Second derivatives of a program that enter through their sum alone, as one channel (forward Laplacian)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ..kernels.language.channels import Channel, Laplacian, channel_order


class Leaf(NamedTuple):
    """A derivative as an input, before the order of the channels is known."""

    field: int
    channel: Channel


class Step(NamedTuple):
    """An instruction; ``operands``: registers of steps from 0 on, of inputs from -1 downwards."""

    op: str
    operands: tuple[int, ...] = ()
    value: float = 0.0


class Steps(NamedTuple):
    """A program.

    Attributes:
        inputs: with their types: a column and a coefficient of one number are equal tuples.
        gradients: (an input, the register of what it is multiplied by).
        outputs: registers whose numbers are wanted, which the first ``n_forward`` steps compute.
    """

    inputs: tuple[tuple[type, Any], ...]
    steps: tuple[Step, ...]
    gradients: tuple[tuple[int, int], ...]
    outputs: tuple[int, ...]
    n_forward: int


def with_laplacians(given: Steps) -> Steps:
    """The same with fewer channels, if there is nothing above second order, and all fields have the same sums."""
    leaves = {-1 - k: own for k, (_, own) in enumerate(given.inputs) if isinstance(own, Leaf)}
    if any(isinstance(leaf.channel, Laplacian) or channel_order(leaf.channel) > 2 for leaf in leaves.values()):
        return given
    pure: dict[int, dict[int, int]] = {}
    for register, (field, channel) in leaves.items():
        if 2 in channel:
            pure.setdefault(field, {})[channel.index(2)] = register
    all_axes = {tuple(sorted(own)) for own in pure.values()}
    if len(all_axes) != 1 or len(axes := all_axes.pop()) < 2:
        return given
    found = given
    for field, by_axis in pure.items():
        changed = _collapsed(found, Leaf(field, Laplacian(axes)), {given.inputs[-1 - own] for own in by_axis.values()})
        if changed is None:
            return given
        found = changed
    return found


def _collapsed(given: Steps, laplacian: Leaf, parts: set[tuple[type, Any]]) -> Steps | None:
    """With one input for the sum of several; None where they are needed one by one."""
    old = {-1 - k for k, own in enumerate(given.inputs) if own in parts}
    factors = {value for own, value in given.gradients if own in old}
    if len(factors) != 1 or sum(own in old for own, _ in given.gradients) != len(old):
        return None
    sums = _sums(given.steps, old)
    whole = {register for register, own in sums.items() if own == old}
    kept = [k for k in range(len(given.steps)) if k not in sums]
    inputs = [own for own in given.inputs if own not in parts] + [(Leaf, laplacian)]
    at = {-1 - k: -1 - inputs.index(own) for k, own in enumerate(given.inputs) if own not in parts}
    at |= {k: number for number, k in enumerate(kept)} | dict.fromkeys(whole, -len(inputs))
    read = {operand for k in kept for operand in given.steps[k].operands}
    if not at.keys() >= read | factors | {*given.outputs}:
        return None
    steps = [given.steps[k]._replace(operands=tuple(at[own] for own in given.steps[k].operands)) for k in kept]
    gradients = [(at[own], at[value]) for own, value in given.gradients if own not in old]
    return Steps(
        tuple(inputs),
        tuple(steps),
        (*gradients, (-len(inputs), at[factors.pop()])),
        tuple(at[own] for own in given.outputs),
        sum(k < given.n_forward for k in kept),
    )


def _sums(steps: Iterable[Step], parts: set[int]) -> dict[int, set[int]]:
    """The registers that add up different ones of the parts and nothing else, and which, the parts themselves too."""
    found = {part: {part} for part in parts}
    for k, step in enumerate(steps):
        if step.op == "add" and all(own in found for own in step.operands):
            first, second = (found[own] for own in step.operands)
            if not first & second:
                found[k] = first | second
    return found
