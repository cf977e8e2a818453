"""Jumps and kinks of what is known of a network: features of an embedding, g and d of an ansatz, inside of a domain.

A residual that asks u_xx at points says nothing of a place where u_x jumps: the derivative of the jump lies between the
points, wherever these are. So Abs(x - a) in a network lets u kink at a, while all residuals vanish.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..domains.domain import Domain
from ..kernels.language.channels import Channel, ChannelSet, Laplacian, MultiIndex
from ..kernels.language.closed_form import ClosedForm
from ..kernels.language.program import Instruction, Jet
from ..kernels.network.ansatz import Known
from ..networks.structure import Structure
from ..problem.checks.line_jumps import jumps_within, offsets
from ..problem.problem import Problem

# Points inside between which arguments change their signs; pairs of them for each argument; halvings of their distance.
_POINTS, _PAIRS, _HALVINGS = 4096, 32, 60
# How near the two sides are, and what is on the boundary, of the domain's size; what is rounding, of the largest value.
_STEP, _BESIDE, _ROUNDING = 1e-7, 1e-3, 1e-9
# Operations that change branch where an argument is zero, or equals the other one, as users write them.
_BY_SIGN = {"abs": "Abs", "sign": "sign", "reciprocal": "a division", "pow": "a division"}
_BY_DIFFERENCE = {"max": "Max", "min": "Min", "gt": "a Heaviside or Piecewise"}
_CHANGES, _ORDERS = {0: "jumps", 1: "kinks"}, ("", "first", "second", "third", "fourth")


class _Asked(NamedTuple):
    """A derivative that some residual asks of a field."""

    field: int
    orders: MultiIndex


class _Kink(NamedTuple):
    """Of output number ``output``: its derivative of order ``order`` jumps by ``function``, one of order ``asked`` is
    asked."""

    output: int
    order: int
    asked: int
    function: str
    where: str


def unseen_kinks(problem: Problem, structure: Structure) -> tuple[str, ...]:
    """Warnings of features, and of g and d, of which a derivative jumps inside of the domain across a surface that an
    equation differentiates it across: of each the first that is found."""
    asked = tuple(dict.fromkeys(_asked(problem)))
    if not asked:
        return ()
    ends: list[tuple[str, Known | None]] = [("embedding: feature {}", structure.embedding)]
    if structure.ansatz is not None:
        ends += [("ansatz: {}: g", structure.ansatz.offset), ("ansatz: {}: d", structure.ansatz.factor)]
    found = []
    for what, known in ends:
        if not isinstance(known, ClosedForm):
            continue
        of_fields = known is not structure.embedding
        for kink in _kinks(known, problem.domain, asked, of_fields):
            name = what.format(problem.pde.fields[kink.output] if of_fields else kink.output + 1)
            change = _CHANGES.get(kink.order, f"has a {_ORDERS[kink.order]} derivative that jumps")
            found.append(
                f"{name} {change} where {kink.where}, by {kink.function}, and no residual sees "
                f"it: {_ORDERS[kink.asked]} derivatives at points say nothing of that place (smooth it, or give "
                "conditions there)"
            )
    return tuple(found)


def _asked(problem: Problem) -> Iterator[_Asked]:
    """Derivatives that terms with points inside of the domain ask."""
    for condition, traced in zip(problem.conditions, problem.traced, strict=True):
        if problem.domain.on_boundary(condition.sites[0]).all():
            continue
        program = traced.program
        for register, _ in program.gradients:
            jet = program.inputs[register]
            if isinstance(jet, Jet):
                for orders in _multi_indices(program.channels.channels[jet.channel], program.channels.n_inputs):
                    if sum(orders):
                        yield _Asked(jet.field, orders)


def _multi_indices(channel: Channel, n: int) -> list[MultiIndex]:
    if isinstance(channel, Laplacian):
        return [tuple(2 * (i == axis) for i in range(n)) for axis in channel.axes]
    return [channel]


def _kinks(known: ClosedForm, domain: Domain, asked: Sequence[_Asked], of_fields: bool) -> Iterator[_Kink]:
    """Of each output the first; ``of_fields``: outputs are those of fields, of which others are asked."""
    switches, functions = _switches(known)
    if not functions:
        return
    inside = torch.from_numpy(np.array(domain.random(_POINTS, 0)))
    numbers, places = _places(switches, inside, domain)
    done = set[int]()
    if not len(places):
        return
    for axis in range(known.n_inputs):
        # What jumps, by the largest order that is asked of it across this axis.
        below = dict[tuple[int | None, MultiIndex], int]()
        for field, orders in asked:
            if orders[axis]:
                less = tuple(order - (i == axis) for i, order in enumerate(orders))
                for lower in product(*(range(order + 1) for order in less)):
                    key = (field if of_fields else None, lower)
                    below[key] = max(below.get(key, 0), sum(orders))
        if not below:
            continue
        channels = ChannelSet.closure(known.n_inputs, [orders for _, orders in below])
        jumping = _jumping(known, inside, places, axis, channels, domain)
        for (of_field, lower), order in sorted(below.items(), key=lambda item: sum(item[0][1])):
            hits = jumping[channels.position(lower)]
            for row, output in np.argwhere(hits).tolist():
                if output in done or of_field not in (None, output):
                    continue
                done.add(output)
                reads = sorted(switches.reads[numbers[row]])
                where = ", ".join(f"{domain.coords[i]} = {float(places[row, i]):.6g}" for i in reads)
                yield _Kink(output, sum(lower), order, functions[numbers[row]], where)


def _switches(known: ClosedForm) -> tuple[ClosedForm, list[str]]:
    """What changes its sign where an operation changes branch, as outputs, and the functions that do."""
    instructions = list(known.instructions)
    found = dict[int, str]()

    def add(op: str, a: int, b: int = -1) -> int:
        instructions.append(Instruction(op, a, b, 0.0))
        return known.n_given + len(instructions) - 1

    for op, a, b, _ in known.instructions:
        if op in _BY_SIGN:
            found.setdefault(a, _BY_SIGN[op])
        elif op == "div":
            found.setdefault(b, "a division")
        elif op == "tan":
            found.setdefault(add("cos", a), "tan")
        elif op in _BY_DIFFERENCE:
            found.setdefault(add("add", a, add("neg", b)), _BY_DIFFERENCE[op])
    form = replace(known, instructions=tuple(instructions), outputs=tuple(found))
    moving = [i for i, axes in enumerate(form.reads) if axes]
    outputs = tuple(form.outputs[i] for i in moving)
    return replace(form, outputs=outputs), [found[register] for register in outputs]


def _places(switches: ClosedForm, inside: Tensor, domain: Domain) -> tuple[npt.NDArray[np.int64], Tensor]:
    """Numbers of switches (K,), and places (K, d) inside of the domain where they change their signs."""
    values = switches.values(inside)
    size = torch.from_numpy(np.array(domain.high - domain.low))
    numbers, lefts, rights = [], [], []
    for number in range(switches.n_outputs):
        own = values[:, number]
        low, high = torch.nonzero(own < 0)[:, 0], torch.nonzero(own > 0)[:, 0]
        if not (len(low) and len(high)):
            continue
        # The nearest ones, and others all over the domain.
        low = low[own[low].argsort(descending=True)]
        chosen = torch.cat([low[: _PAIRS // 2], low[:: max(1, 2 * len(low) // _PAIRS)]])
        left = inside[chosen]
        lefts.append(left)
        rights.append(inside[high[torch.cdist(left / size, inside[high] / size).argmin(1)]])
        numbers += [number] * len(left)
    if not numbers:
        return np.zeros(0, dtype=np.int64), inside[:0]
    column = torch.tensor(numbers)
    left, right = torch.cat(lefts), torch.cat(rights)
    for _ in range(_HALVINGS):
        middle = (left + right) / 2
        is_left = switches.values(middle).gather(1, column[:, None]) < 0
        left, right = torch.where(is_left, middle, left), torch.where(is_left, right, middle)
    x = right.numpy()
    kept = domain.contains(x) & ~(domain.on_boundary(x, _BESIDE) | domain.on_boundary(x))
    return column.numpy()[kept], right[torch.from_numpy(kept)]


def _jumping(
    known: ClosedForm, inside: Tensor, places: Tensor, axis: int, channels: ChannelSet, domain: Domain
) -> npt.NDArray[np.bool_]:
    """(C, K, n_outputs): which derivatives jump at which places along an axis."""
    away = torch.from_numpy(offsets(_STEP * float(domain.high[axis] - domain.low[axis])))
    around = places[:, None, None].repeat(1, *away.shape, 1)
    around[..., axis] += away
    found = known.jets(around.reshape(-1, known.n_inputs), channels)
    found = found.reshape(len(channels), len(places), *away.shape, known.n_outputs)
    values = found.permute(0, 1, 4, 2, 3)  # sides and offsets last
    largest = torch.nan_to_num(known.jets(inside, channels), nan=0.0, posinf=0.0, neginf=0.0).abs().amax(1)
    nearest = values[..., -1]
    is_more = (nearest[..., 1] - nearest[..., 0]).abs() > _ROUNDING * largest[:, None]
    jumps = jumps_within(values.reshape(-1, *away.shape).numpy()).reshape(is_more.shape)
    return np.asarray(jumps & is_more.numpy(), dtype=bool)
