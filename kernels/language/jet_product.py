"""The product c = a b of two jets and its adjoint, as rows of products of two numbers (recurrence.py)."""

from __future__ import annotations

from dataclasses import dataclass

from .channels import ChannelSet
from .recurrence import Product, Row


@dataclass(frozen=True)
class JetProduct:
    """Rows over one array of numbers v, C channels of each of a, b, c, a_bar, b_bar, c_bar.

    The ``forward`` rows add a b to c, by Leibniz' rule; the ``adjoint`` rows make a_bar of c_bar, and add to b_bar.
    """

    forward: tuple[Row, ...]
    adjoint: tuple[Row, ...]

    @classmethod
    def of(cls, channels: ChannelSet) -> JetProduct:
        n = len(channels)
        a, b, c, a_bar, b_bar, c_bar = range(0, 6 * n, n)
        forward, to_a, to_b = ([list[Product]() for _ in range(n)] for _ in range(3))
        for number, parts in enumerate(channels.product_rule):
            for coefficient, p, q in parts:
                forward[number].append(Product(coefficient, a + p, b + q))
                to_a[p].append(Product(coefficient, b + q, c_bar + number))
                to_b[q].append(Product(coefficient, a + p, c_bar + number))
        return cls(
            tuple(Row.of(c + number, True, products) for number, products in enumerate(forward)),
            (
                *(Row.of(a_bar + number, False, products) for number, products in enumerate(to_a)),
                *(Row.of(b_bar + number, True, products) for number, products in enumerate(to_b)),
            ),
        )
