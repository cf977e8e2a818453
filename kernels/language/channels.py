"""Derivative channels of a jet, and the chain rule through tanh for any set of them (Faa di Bruno).

A channel is one derivative that is carried through the network beside the value: a multi-index ``(2, 1)`` for
d^3/dx^2 dy, or `Laplacian` for the sum of second derivatives over some axes, carried as one channel (the "forward
Laplacian"; Li et al. 2023, Dangel et al. 2025 "collapsed Taylor mode").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, product
from math import comb, prod
from typing import NamedTuple

from ..errors import InputError

MAX_ORDER = 4
MAX_INPUTS = 8

MultiIndex = tuple[int, ...]


class Laplacian(NamedTuple):
    """sum_i d^2/dx_i^2 over ``axes``."""

    axes: tuple[int, ...]


Channel = MultiIndex | Laplacian


class Monomial(NamedTuple):
    """coefficient * product of the pre-activation's channels ``factors`` (positions in the channel set)."""

    coefficient: float
    factors: tuple[int, ...]


class NonlinearPart(NamedTuple):
    """f^(order)(z) * sum of ``monomials``, a part of h_channel; ``partials[b]`` is the sum's derivative by z_b."""

    channel: int
    order: int
    monomials: tuple[Monomial, ...]
    partials: dict[int, tuple[Monomial, ...]]


def channel_order(channel: Channel) -> int:
    return 2 if isinstance(channel, Laplacian) else sum(channel)


@dataclass(frozen=True)
class ChannelSet:
    """An ordered set of channels, closed downwards: every derivative is there that the chain rule needs.

    Args:
        n_inputs: number of coordinates, 1 to 8.
        channels: the value first; build it with `closure`, which sorts and completes.
    """

    n_inputs: int
    channels: tuple[Channel, ...]

    @classmethod
    def closure(cls, n_inputs: int, wanted: Iterable[Channel]) -> ChannelSet:
        """The smallest set that contains ``wanted``.

        Raises:
            InputError: more than 8 inputs, an index of the wrong length, an order above 4, a Laplacian without axes.
        """
        if not 1 <= n_inputs <= MAX_INPUTS:
            raise InputError(f"n_inputs: derivatives are available for 1 to {MAX_INPUTS} inputs, got {n_inputs}")
        needed: set[MultiIndex] = {(0,) * n_inputs}
        laplacians: set[Laplacian] = set()
        for channel in wanted:
            if isinstance(channel, Laplacian):
                axes = tuple(sorted(set(channel.axes)))
                if not axes or axes[0] < 0 or axes[-1] >= n_inputs:
                    raise InputError(f"channels: Laplacian axes must be among 0..{n_inputs - 1}, got {channel.axes}")
                laplacians.add(Laplacian(axes))
                needed.update(_unit(n_inputs, axis) for axis in axes)
                continue
            if len(channel) != n_inputs or min(channel) < 0:
                raise InputError(f"channels: expected {n_inputs} orders >= 0, got {tuple(channel)}")
            if sum(channel) > MAX_ORDER:
                raise InputError(f"channels: derivative orders go up to {MAX_ORDER}, got {tuple(channel)}")
            needed.update(product(*(range(order + 1) for order in channel)))
        # By order, then x before y; collapsed channels last.
        indices = sorted(needed, key=lambda index: (sum(index), tuple(-order for order in index)))
        return cls(n_inputs, (*indices, *sorted(laplacians)))

    def __len__(self) -> int:
        return len(self.channels)

    def position(self, channel: Channel) -> int:
        return self._positions[channel]

    @cached_property
    def _positions(self) -> dict[Channel, int]:
        return {channel: i for i, channel in enumerate(self.channels)}

    @cached_property
    def order(self) -> int:
        """Highest derivative order."""
        return max(channel_order(channel) for channel in self.channels)

    @cached_property
    def units(self) -> tuple[tuple[int, int], ...]:
        """(axis, position) of the first derivatives in the set."""
        return tuple((channel.index(1), c) for c, channel in enumerate(self.channels) if channel_order(channel) == 1)

    @cached_property
    def runs(self) -> tuple[tuple[slice, int], ...]:
        """(positions, order) of consecutive channels of one order, which share a derivative of tanh."""
        runs, start = [], 0
        for order, members in groupby(channel_order(channel) for channel in self.channels):
            stop = start + len(list(members))
            runs.append((slice(start, stop), order))
            start = stop
        return tuple(runs)

    @cached_property
    def leading(self) -> tuple[NonlinearPart, ...]:
        """The nonlinear parts that are left where all derivatives of z above the first vanish."""
        return tuple(part for part in self.nonlinear if part.order == channel_order(self.channels[part.channel]))

    @cached_property
    def nonlinear(self) -> tuple[NonlinearPart, ...]:
        """The parts of `chain_rule` with k >= 2 (the part of k = 1 is always the channel itself)."""
        return tuple(
            NonlinearPart(c, k, monomials, _partial_derivatives(monomials))
            for c, rule in enumerate(self.chain_rule)
            for k, monomials in rule.items()
            if k >= 2
        )

    @cached_property
    def chain_rule(self) -> tuple[dict[int, tuple[Monomial, ...]], ...]:
        """For h = f(z), h_c = sum_k f^(k)(z) * sum of the monomials ``chain_rule[c][k]`` in z's channels.

        Faa di Bruno: one monomial per set partition of the differentiations, its factors the blocks' derivatives.
        """
        return tuple(dict(self._rule(channel)) for channel in self.channels)

    @cached_property
    def product_rule(self) -> tuple[tuple[tuple[float, int, int], ...], ...]:
        """Leibniz: for h = a b, h_c = sum of n a_p b_q over the (n, p, q) in ``product_rule[c]``."""
        return tuple(tuple(self._parts(channel)) for channel in self.channels)

    def _parts(self, channel: Channel) -> Iterator[tuple[float, int, int]]:
        if isinstance(channel, Laplacian):
            whole = self.position(channel)
            yield from ((1.0, whole, 0), (1.0, 0, whole))
            for axis in channel.axes:
                yield 2.0, (slope := self.position(_unit(self.n_inputs, axis))), slope
            return
        for part in product(*(range(order + 1) for order in channel)):
            rest = tuple(order - own for order, own in zip(channel, part, strict=True))
            yield float(prod(map(comb, channel, part))), self.position(part), self.position(rest)

    def _rule(self, channel: Channel) -> Iterator[tuple[int, tuple[Monomial, ...]]]:
        if isinstance(channel, Laplacian):
            yield 1, (Monomial(1.0, (self.position(channel),)),)
            squares = ((self.position(_unit(self.n_inputs, axis)),) * 2 for axis in channel.axes)
            yield 2, tuple(Monomial(1.0, square) for square in squares)
            return
        steps = [axis for axis, order in enumerate(channel) for _ in range(order)]
        counts: Counter[tuple[int, ...]] = Counter()
        for partition in _set_partitions(steps):
            blocks = (tuple(block.count(axis) for axis in range(self.n_inputs)) for block in partition)
            counts[tuple(sorted(self.position(block) for block in blocks))] += 1
        for k in range(1, len(steps) + 1):
            yield k, tuple(Monomial(float(n), factors) for factors, n in sorted(counts.items()) if len(factors) == k)


def _partial_derivatives(monomials: Iterable[Monomial]) -> dict[int, tuple[Monomial, ...]]:
    collected: dict[int, dict[tuple[int, ...], float]] = {}
    for coefficient, factors in monomials:
        for b, power in Counter(factors).items():
            rest = list(factors)
            rest.remove(b)
            terms = collected.setdefault(b, {})
            terms[tuple(rest)] = terms.get(tuple(rest), 0.0) + coefficient * power
    return {b: tuple(Monomial(c, factors) for factors, c in terms.items()) for b, terms in collected.items()}


def _unit(n_inputs: int, axis: int) -> MultiIndex:
    return tuple(int(i == axis) for i in range(n_inputs))


def _set_partitions(items: list[int]) -> Iterator[list[list[int]]]:
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for partition in _set_partitions(rest):
        yield [[first], *partition]
        for i, block in enumerate(partition):
            yield [*partition[:i], [first, *block], *partition[i + 1 :]]
