"""tanh of a jet by products of two numbers each: for any channel set, and at high order less work than the chain rule.

With w = 1 - h^2, h = tanh z satisfies dh/dx_i = w dz/dx_i, so that by Leibniz' rule

    h_a = sum_{b <= a - e_i} binom(a - e_i, b) w_b z_(a - b),      w_b = -sum_{c <= b} binom(b, c) h_c h_(b - c),

for any i with a_i > 0; of a Laplacian, h_L = w_0 z_L + sum_i w_(e_i) z_(e_i). (Griewank & Walther, Evaluating
Derivatives, 2008, chapter 13, for one variable.) All derivatives to order 4 in four variables take 337 such products,
and their adjoint, the same list read backwards, twice as many; Faa di Bruno's monomials have 870 factors and 1,196.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from math import comb, prod
from typing import NamedTuple

from .channels import Channel, ChannelSet, Laplacian, MultiIndex


class Product(NamedTuple):
    """coefficient * v[a] * v[b]."""

    coefficient: float
    a: int
    b: int


class Row(NamedTuple):
    """v[result] = (v[result] if ``adds`` else 0) + the sum of ``products``, the largest coefficients first."""

    result: int
    adds: bool
    products: tuple[Product, ...]

    @classmethod
    def of(cls, result: int, adds: bool, products: Iterable[Product]) -> Row:
        return cls(result, adds, tuple(sorted(products, key=lambda own: -abs(own.coefficient))))

    def factors(self) -> tuple[float, ...]:
        """By which to multiply the sum of v[a] * v[b] so far after each of the products; mostly 1."""
        coefficients = [product.coefficient for product in self.products]
        return tuple(own / following for own, following in pairwise([*coefficients, 1.0]))


@dataclass(frozen=True)
class Recurrence:
    """Rows over one array of numbers v, C channels and W of the derivatives w_b:

        z (C), h (C), w (W), then the adjoints in the order z_bar (C), h_bar (C), w_bar (W).

    Given z, h_0 = tanh z_0 and w_0 = 1 - h_0^2, the ``forward`` rows make all other h and w. Given these and h_bar, the
    ``adjoint`` rows make z_bar; they change h_bar.
    """

    n_channels: int
    n_slopes: int
    forward: tuple[Row, ...]
    adjoint: tuple[Row, ...]

    @classmethod
    def of(cls, channels: ChannelSet) -> Recurrence:
        return _Recurrence(channels).made()


class _Recurrence:
    def __init__(self, channels: ChannelSet) -> None:
        self._channels = channels
        n = len(channels)
        value = (0,) * channels.n_inputs
        rules = {channel: tuple(self._slopes_times_z(channel)) for channel in channels.channels if channel != value}
        # w_b where some rule reads it; the value, which is given, first.
        read = {b for rule in rules.values() for _, b, _ in rule} | {value}
        slopes = sorted(read, key=lambda index: (sum(index), tuple(-order for order in index)))
        self._h = {channel: n + c for c, channel in enumerate(channels.channels)}
        self._w = {index: 2 * n + k for k, index in enumerate(slopes)}
        self._rules = rules

    def made(self) -> Recurrence:
        n, channels = len(self._channels), self._channels
        value, *others = self._w
        # Channels come by rising order, and a rule for order k reads w up to order k - 1.
        rows: list[Row] = []
        waiting = list(others)
        for channel in channels.channels[1:]:
            rule = self._rules[channel]
            for index in [index for index in waiting if any(index == b for _, b, _ in rule)]:
                waiting.remove(index)
                rows.append(self._slope(index))
            products = [Product(c, self._w[b], channels.position(z)) for c, b, z in rule]
            rows.append(Row.of(self._h[channel], False, products))
        adjoint = _adjoint([self._slope(value), *rows], 2 * n + len(self._w), n, self._h[value], self._w[value])
        return Recurrence(n, len(self._w), tuple(rows), adjoint)

    def _slopes_times_z(self, channel: Channel) -> Iterator[tuple[float, MultiIndex, Channel]]:
        """(coefficient, b, a - b) of the products w_b z_(a - b) whose sum is h_a."""
        value = (0,) * self._channels.n_inputs
        if isinstance(channel, Laplacian):
            yield 1.0, value, channel
            for axis in channel.axes:
                unit = tuple(int(i == axis) for i in range(len(value)))
                yield 1.0, unit, unit
            return
        # The axis that leaves the fewest products.
        axis = min((i for i, order in enumerate(channel) if order), key=lambda i: (channel[i] * prod(
            order + 1 for j, order in enumerate(channel) if j != i), i))  # fmt: skip
        rest = tuple(order - (i == axis) for i, order in enumerate(channel))
        for b in product(*(range(order + 1) for order in rest)):
            yield _binomial(rest, b), b, tuple(order - own for order, own in zip(channel, b, strict=True))

    def _slope(self, index: MultiIndex) -> Row:
        """w_b = [b = 0] - sum_c binom(b, c) h_c h_(b - c); the constant is left out."""
        sums: Counter[tuple[int, int]] = Counter()
        for c in product(*(range(order + 1) for order in index)):
            pair = self._h[c], self._h[tuple(order - own for order, own in zip(index, c, strict=True))]
            sums[min(pair), max(pair)] -= _binomial(index, c)
        return Row.of(self._w[index], False, [Product(float(total), *pair) for pair, total in sums.items()])


def _binomial(index: MultiIndex, part: MultiIndex) -> int:
    return prod(comb(order, own) for order, own in zip(index, part, strict=True))


def _adjoint(rows: list[Row], n_numbers: int, n_channels: int, h0: int, w0: int) -> tuple[Row, ...]:
    """The rows read backwards, gathered by number: each of those that a number is read by has its adjoint by then."""
    parts: dict[int, list[Product]] = {}
    for row in rows:
        bar = n_numbers + row.result
        for coefficient, a, b in row.products:
            if a == b:
                parts.setdefault(a, []).append(Product(2 * coefficient, bar, a))
            else:
                parts.setdefault(a, []).append(Product(coefficient, bar, b))
                parts.setdefault(b, []).append(Product(coefficient, bar, a))
    made = [row.result for row in rows]
    order = [*reversed(made), h0]
    bars = [
        Row.of(n_numbers + number, number < 2 * n_channels, parts.get(number, []))
        for number in order
        if number >= 2 * n_channels or number in parts
    ]
    inputs = [Row.of(n_numbers, False, [Product(1.0, n_numbers + h0, w0)])]
    inputs += [Row.of(n_numbers + c, False, parts.get(c, [])) for c in range(1, n_channels)]
    return (*bars, *inputs)
