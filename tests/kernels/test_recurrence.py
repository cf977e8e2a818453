"""Rows of products of two numbers: the recurrence gives what the chain rule gives, the product Leibniz' rule."""

from __future__ import annotations

from itertools import product
from math import prod

import pytest
import torch

from psinn_fast.kernels.language.activations import TANH
from psinn_fast.kernels.language.channels import Channel, ChannelSet, Laplacian
from psinn_fast.kernels.language.jet_product import JetProduct
from psinn_fast.kernels.language.recurrence import Recurrence, Row
from psinn_fast.kernels.reference import wired
from psinn_fast.kernels.reference.activation_jet import adjoint, jet

SETS: dict[str, tuple[int, list[Channel]]] = {
    "value": (1, []),
    "fourth": (1, [(4,)]),
    "first": (2, [(1, 0), (0, 1)]),
    "all to 4": (2, [(i, 4 - i) for i in range(5)]),
    "biharmonic": (2, [(4, 0), (2, 2), (0, 4)]),
    "Laplacian and more": (2, [Laplacian((0, 1)), (2, 1)]),
    "two Laplacians": (3, [Laplacian((0, 2)), Laplacian((0, 1, 2)), (1, 1, 1), (0, 3, 0)]),
    "all of 4 in 4": (4, [index for index in product(range(5), repeat=4) if sum(index) == 4]),
}


def run(rows: tuple[Row, ...], v: torch.Tensor) -> None:
    for row in rows:
        total = v[row.result].clone() if row.adds else torch.zeros_like(v[0])
        v[row.result] = sum((own.coefficient * v[own.a] * v[own.b] for own in row.products), total)


@pytest.mark.parametrize("name", SETS)
def test_it_is_the_chain_rule(name: str) -> None:
    channels = ChannelSet.closure(*SETS[name])
    recurrence, n = Recurrence.of(channels), len(channels)
    generator = torch.Generator().manual_seed(0)
    z, h_bar = torch.randn(2, n, 7, 1, generator=generator, dtype=torch.float64)
    h, saved = jet(z, TANH, channels)
    z_bar = adjoint(z, saved, h_bar, TANH, channels)
    numbers = 2 * n + recurrence.n_slopes
    v = torch.full((2 * numbers, 7), torch.nan, dtype=torch.float64)  # what is read before it is made shows
    v[:n] = z[..., 0]
    v[n] = torch.tanh(v[0])
    v[2 * n] = 1 - v[n] ** 2
    run(recurrence.forward, v)
    torch.testing.assert_close(v[n : 2 * n], h[..., 0], rtol=1e-12, atol=1e-12)
    v[numbers + n : numbers + 2 * n] = h_bar[..., 0]
    run(recurrence.adjoint, v)
    torch.testing.assert_close(v[numbers : numbers + n], z_bar[..., 0], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", SETS)
def test_products_of_jets(name: str) -> None:
    channels = ChannelSet.closure(*SETS[name])
    rows, n = JetProduct.of(channels), len(channels)
    a, b, c, b_bar, c_bar = torch.randn(5, n, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    v = torch.cat([a, b, c, torch.full_like(a, torch.nan), b_bar, c_bar])
    run(rows.forward, v)
    torch.testing.assert_close(v[2 * n : 3 * n], c + wired.product(a, b, channels), rtol=1e-12, atol=1e-12)
    run(rows.adjoint, v)
    torch.testing.assert_close(v[3 * n : 4 * n], wired.product_adjoint(b, c_bar, channels), rtol=1e-12, atol=1e-12)
    right = b_bar + wired.product_adjoint(a, c_bar, channels)
    torch.testing.assert_close(v[4 * n : 5 * n], right, rtol=1e-12, atol=1e-12)


def test_factors_make_the_coefficients() -> None:
    recurrence = Recurrence.of(ChannelSet.closure(*SETS["all to 4"]))
    for row in (*recurrence.forward, *recurrence.adjoint):
        factors = row.factors()
        for number, own in enumerate(row.products):
            assert prod(factors[number:]) == pytest.approx(own.coefficient, rel=1e-15)
    # Few of them are left to multiply by: equal coefficients lie side by side.
    assert sum(factor != 1 for row in recurrence.adjoint for factor in row.factors()) < 40
