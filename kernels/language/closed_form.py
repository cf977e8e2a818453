"""Functions of the coordinates in closed form, as straight-line code, with their derivatives by Taylor mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import accumulate

import torch
from torch import Tensor

from ..errors import InputError
from .activations import TANH
from .channels import ChannelSet
from .program import UNARY, Instruction, arity

# By position in the channel set; what is not there is zero at all points.
_Jet = dict[int, Tensor]
# Where both are equal, neither slope is right.
_PIECES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"max": torch.gt, "min": torch.lt}


@dataclass(frozen=True)
class ClosedForm:
    """Numbers that follow from the coordinates x_1, ..., x_d of a point.

    Args:
        n_inputs: d.
        instructions: registers are numbered: first the coordinates, then the unknown numbers, then one per instruction
            (`Program` has coordinates and instructions likewise).
        outputs: the registers of the results.
        periods: (axis, period) after which all results were made to repeat; no code reads them.
        unknown: (name, start) of numbers that are trained, the same at all points.

    Raises:
        InputError: operations that are unknown, or read what is not computed yet.
    """

    n_inputs: int
    instructions: tuple[Instruction, ...]
    outputs: tuple[int, ...]
    periods: tuple[tuple[int, float], ...] = ()
    unknown: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        for position, (op, a, b, _) in enumerate(self.instructions, start=self.n_given):
            if any(not 0 <= register < position for register in (a, b)[: arity(op)]):
                raise InputError(f"instructions: {op} reads a register that is not computed yet")
        if any(not 0 <= register < self.n_given + len(self.instructions) for register in self.outputs):
            raise InputError("outputs: a register that is not there")

    @classmethod
    def identity(cls, n: int) -> ClosedForm:
        """The coordinates themselves."""
        return cls(n, (), tuple(range(n)))

    @property
    def n_outputs(self) -> int:
        return len(self.outputs)

    @property
    def n_given(self) -> int:
        """How many registers no instruction writes."""
        return self.n_inputs + len(self.unknown)

    @cached_property
    def elsewhere(self) -> tuple[ClosedForm, ...]:
        """The same functions with other unknown numbers: what holds for these, too, holds for all. None without any."""
        factors = (1.1, 0.87) if self.unknown else ()
        return tuple(
            replace(self, unknown=tuple((name, start * factor if start else factor) for name, start in self.unknown))
            for factor in factors
        )

    def jets(self, x: Tensor, channels: ChannelSet, unknown: Tensor | None = None) -> Tensor:
        """Values and derivatives at points x (N, d): (C, N, n_outputs); torch differentiates them to any order.

        Args:
            unknown: the numbers of these names, (K,), or for each point (N, K); None: where they start.
        """
        found = self._jets(x, channels, unknown)
        zero = x.new_zeros(())
        rows = [torch.stack([jet.get(c, zero).expand(x.shape[0]) for jet in found], -1) for c in range(len(channels))]
        return torch.stack(rows)

    def values(self, x: Tensor, unknown: Tensor | None = None) -> Tensor:
        """At points x (N, d): (N, n_outputs); ``unknown``: as for `jets`."""
        return self.jets(x, ChannelSet.closure(self.n_inputs, ()), unknown)[0]

    def support(self, channels: ChannelSet) -> tuple[frozenset[int], ...]:
        """Of each output: which channels are not zero at all points, whatever these are."""
        return tuple(map(frozenset, self._jets(torch.zeros(1, self.n_inputs, dtype=torch.float64), channels)))

    @cached_property
    def reads(self) -> tuple[frozenset[int], ...]:
        """Of each output: the axes that it depends on."""
        return tuple(frozenset(axis for axis in own if axis < self.n_inputs) for own in self._reads)

    @cached_property
    def unread(self) -> tuple[str, ...]:
        """Unknown numbers on which no output depends."""
        read = frozenset[int]().union(*self._reads)
        return tuple(name for k, (name, _) in enumerate(self.unknown) if self.n_inputs + k not in read)

    @cached_property
    def _reads(self) -> tuple[frozenset[int], ...]:
        axes = [frozenset((register,)) for register in range(self.n_given)]
        for op, a, b, _ in self.instructions:
            operands = (a, b)[: arity(op)]
            axes.append(frozenset[int]().union(*(axes[register] for register in operands)))
        return tuple(axes[register] for register in self.outputs)

    def _jets(self, x: Tensor, channels: ChannelSet, unknown: Tensor | None = None) -> list[_Jet]:
        one = x.new_ones(())
        if unknown is None:
            unknown = x.new_tensor([start for _, start in self.unknown])
        registers: list[_Jet] = [
            {0: x[:, axis], **{c: one for own, c in channels.units if own == axis}} for axis in range(self.n_inputs)
        ]
        # At each point one: a power by a number without points is taken for a constant.
        registers += [{0: own.expand(x.shape[0])} for own in unknown.unbind(-1)]
        for instruction in self.instructions:
            registers.append(_applied(instruction, registers, x, channels))
        return [registers[register] for register in self.outputs]


def _applied(instruction: Instruction, registers: Sequence[_Jet], x: Tensor, channels: ChannelSet) -> _Jet:
    op, a, b, value = instruction
    if op == "const":
        return {0: x.new_full((), value)}
    z = registers[a]
    match op:
        case "neg":
            return {c: -own for c, own in z.items()}
        case "sign":
            return {0: torch.sign(z[0])}
        case "abs":
            slope = torch.sign(z[0])
            return {c: own * slope for c, own in z.items()}
        case _ if op in UNARY:
            return _composed(op, z, channels)
    other = registers[b]
    match op:
        case "add":
            return {**z, **other, **{c: z[c] + other[c] for c in z.keys() & other.keys()}}
        case "gt":
            return {0: (z[0] > other[0]).to(x.dtype)}
        case "max" | "min":
            is_first, zero = _PIECES[op](z[0], other[0]), x.new_zeros(())
            return {c: torch.where(is_first, z.get(c, zero), other.get(c, zero)) for c in z | other}
        case "mul":
            return _product(z, other, channels)
        case "div":
            return _product(z, _composed("reciprocal", other, channels), channels)
    if len(other) == 1 and other[0].dim() == 0:
        return _chained(_power(z[0], other[0], channels.order), z, channels)
    return _composed("exp", _product(other, _composed("log", z, channels), channels), channels)


def _product(a: _Jet, b: _Jet, channels: ChannelSet) -> _Jet:
    found: _Jet = {}
    for c, parts in enumerate(channels.product_rule):
        terms = [n * (a[p] * b[q]) for n, p, q in parts if p in a and q in b]
        if terms:
            found[c] = reduce(torch.add, terms)
    return found


def _composed(name: str, z: _Jet, channels: ChannelSet) -> _Jet:
    return _chained(_derivatives(name, z[0], channels.order), z, channels)


def _chained(f: Sequence[Tensor], z: _Jet, channels: ChannelSet) -> _Jet:
    """h_c = sum_k f_k * sum of monomials in z's channels."""
    found = {0: f[0]}
    for c, rule in enumerate(channels.chain_rule):
        terms = [
            reduce(torch.mul, (z[factor] for factor in factors), n * f[k])
            for k, monomials in rule.items()
            for n, factors in monomials
            if all(factor in z for factor in factors)
        ]
        if c and terms:
            found[c] = reduce(torch.add, terms)
    return found


def _derivatives(name: str, z: Tensor, order: int) -> Sequence[Tensor]:
    """f, f', ..., f^(order) at z."""
    match name:
        case "exp":
            return [torch.exp(z)] * (order + 1)
        case "log":
            return [torch.log(z), *_power(z, -torch.ones_like(z), max(order - 1, 0))]
        case "sqrt":
            root = torch.sqrt(z)
            return list(accumulate(range(order), lambda f, k: (0.5 - k) * f / z, initial=root))
        case "reciprocal":
            return _power(z, z.new_full((), -1.0), order)
        case "sin" | "cos":
            sin, cos = torch.sin(z), torch.cos(z)
            circle = [sin, cos, -sin, -cos]
            return [circle[(k + (name == "cos")) % 4] for k in range(order + 1)]
        case "sinh" | "cosh":
            pair = [torch.sinh(z), torch.cosh(z)]
            return [pair[(k + (name == "cosh")) % 2] for k in range(order + 1)]
        case "tanh":
            return TANH.derivatives(TANH.keep(z), order)
        case "tan":
            t = torch.tan(z)
            slope = 1 + t * t
            return [t, slope, 2 * t * slope, 2 * slope * (1 + 3 * t * t), 8 * t * slope * (2 + 3 * t * t)][: order + 1]
    u = 1 / (1 + z * z)
    higher = [-2 * z * u**2, (6 * z * z - 2) * u**3, 24 * z * (1 - z * z) * u**4]
    return [torch.atan(z), u, *higher][: order + 1]


def _power(z: Tensor, exponent: Tensor, order: int) -> list[Tensor]:
    """z^p and its derivatives. Those of a polynomial end, also at z = 0."""
    p = float(exponent.flatten()[0]) if exponent.numel() else 1.0  # of no points
    factors = accumulate(range(order), lambda factor, k: factor * (p - k), initial=1.0)
    return [factor * z ** (p - k) if factor else torch.zeros_like(z) for k, factor in enumerate(factors)]
