"""Channel sets: closure, order, and Faa di Bruno's formula against SymPy."""

from __future__ import annotations

from itertools import product

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.language.channels import Channel, ChannelSet, Laplacian, Monomial, channel_order

INDICES = [
    index for d in (1, 2, 3) for index in product(range(5), repeat=d) if 1 <= sum(index) <= 4
]  # every derivative up to order 4 of a function of 1 to 3 inputs


def below(index: tuple[int, ...]) -> set[tuple[int, ...]]:
    return set(product(*(range(order + 1) for order in index)))


@pytest.mark.parametrize("index", INDICES)
def test_chain_rule_is_sympys(index: tuple[int, ...]) -> None:
    d = len(index)
    x, f = sp.symbols(f"x0:{d}"), sp.Function("f")
    z = sp.Function("z")(*x)
    channels = ChannelSet.closure(d, [index])
    symbols = {channel: sp.Symbol("z" + "".join(map(str, channel))) for channel in channels.channels}

    steps = [axis for axis, order in zip(x, index, strict=True) for _ in range(order)]
    expected = sp.diff(f(z), *steps).doit()
    for channel, symbol in reversed(symbols.items()):  # higher derivatives first: they contain the lower ones
        orders = [(axis, order) for axis, order in zip(x, channel, strict=True) if order]
        expected = expected.subs(sp.Derivative(z, *orders), symbol) if orders else expected
    value = sp.Symbol("value")
    expected = expected.subs(z, value).doit()

    ours = sum(
        sp.Derivative(f(value), (value, k))
        * sum(m.coefficient * sp.prod([symbols[channels.channels[b]] for b in m.factors]) for m in monomials)
        for k, monomials in channels.chain_rule[channels.position(index)].items()
    )
    # f and its derivatives as plain symbols, whichever way SymPy wrote them.
    test_function = sp.exp(2 * value) + value**5
    difference = (ours - expected).subs(f, sp.Lambda(value, test_function)).doit()
    assert sp.simplify(difference) == 0


def test_laplacian_rule() -> None:
    channels = ChannelSet.closure(3, [Laplacian((2, 0))])
    lap = channels.position(Laplacian((0, 2)))
    x, z = channels.position((1, 0, 0)), channels.position((0, 0, 1))
    assert channels.chain_rule[lap] == {
        1: (Monomial(1.0, (lap,)),),
        2: (Monomial(1.0, (x, x)), Monomial(1.0, (z, z))),
    }
    assert len(channels) == 4


@given(
    d=st.integers(1, 4),
    data=st.data(),
)
@settings(max_examples=60)
def test_closure_is_closed_and_minimal(d: int, data: st.DataObject) -> None:
    all_indices = [index for index in product(range(5), repeat=d) if sum(index) <= 4]
    wanted = data.draw(st.lists(st.sampled_from(all_indices), max_size=4))
    axes = data.draw(st.sets(st.integers(0, d - 1)))
    units = [tuple(int(i == axis) for i in range(d)) for axis in axes]
    asked: list[Channel] = [*wanted, *([Laplacian(tuple(axes))] if axes else [])]
    channels = ChannelSet.closure(d, asked)
    expected = {(0,) * d}.union(units, *(below(index) for index in wanted))
    found = {channel for channel in channels.channels if not isinstance(channel, Laplacian)}
    assert found == expected
    assert len(channels) == len(expected) + bool(axes)
    # Everything that the chain rule reads is in the set, and the value comes first.
    for rule in channels.chain_rule:
        assert all(0 <= b < len(channels) for monomials in rule.values() for m in monomials for b in m.factors)
    assert channels.channels[0] == (0,) * d
    assert channels.order == max([sum(index) for index in found] + [2 * bool(axes)])


def test_order_of_the_channels() -> None:
    channels = ChannelSet.closure(2, [Laplacian((0, 1)), (1, 2), (2, 0), Laplacian((1,))])
    assert channels.channels == (
        (0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (1, 2), Laplacian((0, 1)), Laplacian((1,))
    )  # fmt: skip
    assert [channel_order(channel) for channel in channels.channels] == [0, 1, 1, 2, 2, 2, 3, 2, 2]
    assert [channels.position(channel) for channel in channels.channels] == list(range(9))


def test_the_wanted_order_does_not_matter() -> None:
    wanted = [(2, 1), (0, 3), (1, 1)]
    assert ChannelSet.closure(2, wanted) == ChannelSet.closure(2, reversed(wanted))
    assert hash(ChannelSet.closure(2, wanted)) == hash(ChannelSet.closure(2, [*wanted, (1, 0)]))


def test_nothing_wanted_gives_the_value() -> None:
    assert ChannelSet.closure(3, []).channels == ((0, 0, 0),)
    assert ChannelSet.closure(3, []).nonlinear == ()


@pytest.mark.parametrize("index", [(4,), (2, 2), (1, 1, 2), (1, 1, 1, 1)])
def test_partials_are_derivatives_of_the_monomials(index: tuple[int, ...]) -> None:
    channels = ChannelSet.closure(len(index), [index, Laplacian(tuple(range(len(index))))])
    z = sp.symbols(f"z0:{len(channels)}")

    def polynomial(monomials: tuple[Monomial, ...]) -> sp.Expr:
        return sum((m.coefficient * sp.prod([z[b] for b in m.factors]) for m in monomials), sp.Integer(0))

    assert {part.order for part in channels.nonlinear} == set(range(2, sum(index) + 1))
    for part in channels.nonlinear:
        total = polynomial(part.monomials)
        for b in range(len(channels)):
            assert sp.expand(sp.diff(total, z[b]) - polynomial(part.partials.get(b, ()))) == 0


@pytest.mark.parametrize(
    ("n_inputs", "wanted", "message"),
    [
        (0, [], "n_inputs: derivatives are available for 1 to 8 inputs, got 0"),
        (9, [], "n_inputs: derivatives are available for 1 to 8 inputs, got 9"),
        (2, [(1,)], r"channels: expected 2 orders >= 0, got \(1,\)"),
        (2, [(1, -1)], r"channels: expected 2 orders >= 0, got \(1, -1\)"),
        (2, [(3, 2)], r"channels: derivative orders go up to 4, got \(3, 2\)"),
        (2, [Laplacian(())], r"channels: Laplacian axes must be among 0\.\.1, got \(\)"),
        (2, [Laplacian((0, 2))], r"channels: Laplacian axes must be among 0\.\.1, got \(0, 2\)"),
        (2, [Laplacian((-1,))], r"channels: Laplacian axes must be among 0\.\.1, got \(-1,\)"),
    ],
)
def test_bad_input(n_inputs: int, wanted: list[Channel], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ChannelSet.closure(n_inputs, wanted)
