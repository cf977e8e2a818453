"""The chain rule through tanh for a whole channel set, and its adjoint, as source (kernels/reference/tanh_jet.py).

Names stand for tensors of any one shape.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

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


def derivatives(lines: Lines, t: str, order: int) -> list[str]:
    """tanh^(k)(z) for k = 0..order, as polynomials in t = tanh z."""
    f = [t]
    if order >= 1:
        f.append(lines.new(f"1.0 - {t} * {t}"))
    forms = (
        "-2.0 * {t} * {f1}",
        "{f1} * (4.0 - 6.0 * {f1})",
        "{t} * ({f1} * (24.0 * {f1} - 8.0))",
        "{f1} * (16.0 + {t} * {t} * (120.0 * {t} * {t} - 120.0))",
    )
    for form in forms[: max(0, order - 1)]:
        f.append(lines.new(form.format(t=t, f1=f[1])))
    return f


def highest(channels: ChannelSet, some: Collection[int]) -> int:
    """The order of the highest derivative among some channels."""
    return max(channel_order(channels.channels[c]) for c in some)


def jets(lines: Lines, channels: ChannelSet, t: str, z: Sequence[str], leaving: Collection[int]) -> dict[int, str]:
    """The jet of tanh z, for the channels that leave; ``t``: tanh z_0."""
    f = derivatives(lines, t, highest(channels, leaving))
    found = {}
    for c in leaving:
        terms = [t if c == 0 else f"{f[1]} * {z[c]}"]
        terms += [f"{f[p.order]} * {monomials(p.monomials, z)}" for p in channels.nonlinear if p.channel == c]
        found[c] = " + ".join(terms)
    return found


def jets_adjoint(lines: Lines, channels: ChannelSet, t: str, z: Sequence[str], h_bar: Mapping[int, str]) -> list[str]:
    """The adjoint of every channel of z, from those of the channels of tanh z that have one."""
    f = derivatives(lines, t, 1 + highest(channels, h_bar.keys()))
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
