"""The chain rule through an activation for a channel set, and its adjoint, as source (reference/activation_jet.py).

Names stand for tensors of any one shape.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from ..language.activations import Activation
from ..language.channels import ChannelSet, Monomial, channel_order
from .lines import Lines


def monomials(terms: Iterable[Monomial], z: Sequence[str]) -> str:
    """Their sum, in brackets."""
    found = []
    for coefficient, factors in terms:
        product = " * ".join(z[factor] for factor in factors)
        scaled = f"{coefficient!r} * {product}" if product else repr(coefficient)
        found.append(product if coefficient == 1 else scaled)
    return "(" + " + ".join(found) + ")"


def keep(lines: Lines, activation: Activation, z: str) -> str:
    """An expression of what is kept of a pre-activation."""
    return _printed(lines, activation.to_keep(), {"z": f"({z})"}, [activation.kept])[0]


def derivatives(lines: Lines, activation: Activation, kept: str, order: int) -> list[str]:
    """a^(k)(z) for k = 0..order, from the name of what was kept."""
    orders = range(order + 1)
    names = [f"f{k}" for k in orders]
    return _printed(lines, activation.from_kept(orders), {activation.kept: kept}, names, are_set=True)


def _printed(
    lines: Lines, steps: Iterable[tuple[str, str]], known: dict[str, str], wanted: Sequence[str], are_set: bool = False
) -> list[str]:
    """What stands for the wanted names, in variables of their own if ``are_set``."""
    for name, expression in steps:
        text = re.sub(r"[a-z]\w*", lambda found: known.get(found[0], found[0]), expression)
        text = re.sub(r"(?<![\w.])\d+(?![\w.])", lambda found: f"{found[0]}.0", text)
        is_name = expression in known
        known[name] = text if is_name or not are_set else lines.new(text)
    return [known[name] for name in wanted]


def highest(channels: ChannelSet, some: Collection[int]) -> int:
    """The order of the highest derivative among some channels."""
    return max(channel_order(channels.channels[c]) for c in some)


def jets(
    lines: Lines, activation: Activation, channels: ChannelSet, kept: str, z: Sequence[str], leaving: Collection[int]
) -> dict[int, str]:
    """The jet of a(z), for the channels that leave; ``kept``: of z_0, which is not read."""
    f = derivatives(lines, activation, kept, highest(channels, leaving))
    found = {}
    for c in leaving:
        terms = [f[0] if c == 0 else f"{f[1]} * {z[c]}"]
        terms += [f"{f[p.order]} * {monomials(p.monomials, z)}" for p in channels.nonlinear if p.channel == c]
        found[c] = " + ".join(terms)
    return found


def jets_adjoint(
    lines: Lines, activation: Activation, channels: ChannelSet, kept: str, z: Sequence[str], h_bar: Mapping[int, str]
) -> list[str]:
    """The adjoint of every channel of z, from those of the channels of a(z) that have one."""
    f = derivatives(lines, activation, kept, 1 + highest(channels, h_bar.keys()))
    out: list[list[str]] = [[f"{f[1]} * {h_bar[c]}"] if c in h_bar else [] for c in range(len(channels))]
    out[0] += [f"{f[2]} * {z[c]} * {bar}" for c, bar in h_bar.items() if c > 0]
    for part in channels.nonlinear:
        if part.channel not in h_bar:
            continue
        bar = h_bar[part.channel]
        out[0].append(f"{f[part.order + 1]} * {bar} * {monomials(part.monomials, z)}")
        common = lines.new(f"{f[part.order]} * {bar}")
        for target, terms in part.partials.items():
            out[target].append(f"{common} * {monomials(terms, z)}")
    return [" + ".join(terms) or f"tl.zeros_like({z[0]})" for terms in out]
