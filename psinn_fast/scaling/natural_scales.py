"""How large a problem's fields, unknown coefficients and residuals are, to an order of magnitude, before it is solved.

Found as one would by hand: a field is as large as the values given for it, or as it has to be for its part of an
equation to balance the rest. The parts are those of random fields, through the residuals' programs, so that nothing is
asked of their form. The fields are sums of waves with slopes up to pi in coordinates of order 1 (`in_frame`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..kernels.contract import Term
from ..kernels.language.channels import Channel, Laplacian
from ..kernels.language.program import Coefficient, Input, Jet, Program
from ..kernels.language.torch_program import slopes, torch_program
from ..networks.structure import Structure
from ..problem.given_columns import ROOT
from ..problem.problem import Problem
from .frames import in_frame

FloatArray = npt.NDArray[np.float64]

# Given values this many times farther from zero than from each other start at their middle, if that is at least so
# many sizes away from zero.
_FAR, _AWAY = 4.0, 3.0
# Fields of sizes between one over this and this are of order 1; coefficients.
_ORDINARY, _UNUSUAL = 30.0, 1e3
# Random fields, the waves that each consists of, and points of each term that sizes are taken from.
_DRAWS, _WAVES, _POINTS = 4, 4, 64
# Sizes are looked for between 10 to the power of minus and plus this, until known to this part of a power of ten.
_DECADES, _CLOSE = 30.0, 0.05
# What is left of an equation is rounding error if it is less than this part of the equation without any field; so is
# a field of less than this part of its start.
_ROUNDING = 1e-9
# Given values count as at least this part of their field's mean square.
_LEAST_GIVEN = 1e-2
# Residuals whose squares float32 can hold with room to spare.
_FLOAT32 = 1e-15, 1e15
# The channel of a field itself.
_VALUE = 0


@dataclass(frozen=True)
class Scales:
    """u_f = start_f + sizes_f N_f; ``coefficients``: sizes of the free numbers behind the unknown ones; ``residuals``:
    root mean squares for random N, by term; ``balanced``: sizes of the free numbers as equations ask for them, before
    they are rounded, 0 where none does."""

    start: FloatArray
    sizes: FloatArray
    coefficients: FloatArray
    residuals: tuple[FloatArray, ...] = ()
    balanced: tuple[float, ...] = ()


def natural_scales(problem: Problem, may_start: Sequence[bool] | None = None) -> Scales:
    """Sizes of a problem's fields, unknown coefficients and residuals.

    - A field whose given values lie far from zero and close to each other starts at their middle.
    - It is as large as its given values, and as every equation asks for in which no other field's size is open and no
      coefficient is unknown. If there are none of either, as those with unknown coefficients ask for, which are taken
      where they start; then as its own start; then as equations with two open sizes, the other field taken as zero, and
      so on; and if nothing says anything, of size 1.
    - A coefficient without bounds is as large as it has to be for its part of an equation to balance the rest.
    - Sizes of fields between 1/30 and 30 and of coefficients between 1/1000 and 1000 become 1, others powers of ten.

    Args:
        may_start: which fields may start elsewhere than at zero; None: all.
    """
    probe = _Probe(problem)
    n_fields = len(problem.pde.fields)
    start, given, middles = np.zeros(n_fields), np.zeros(n_fields), probe.given_middles()
    for field, values in probe.given_values().items():
        middle, spread = middles[field], (values.max() - values.min()) / 2
        if abs(middle) > _FAR * spread and (may_start is None or may_start[field]):
            start[field] = middle
        given[field] = abs(values - start[field]).max()
    guesses, bounded = np.array(problem.unknowns.start(guessed=True)), problem.unknowns.bounds
    scales = Scales(start, np.zeros(n_fields), guesses)
    while (scales.sizes == 0).any() and (asked := _asked_for(probe, scales, given)).any():
        scales = replace(scales, sizes=np.maximum(scales.sizes, asked))
    sizes = _rounded(np.where(scales.sizes > 0, scales.sizes, 1.0), _ORDINARY)
    scales = replace(scales, start=np.where(abs(start) > _AWAY * sizes, start, 0.0), sizes=sizes)
    is_free = np.array([name not in bounded for name in problem.pde.unknown], dtype=bool)
    balanced = np.array([probe.unit(k, scales) for k in range(len(guesses))])
    units = np.where(balanced > 0, balanced, np.where(guesses != 0, abs(guesses), 1.0))
    scales = replace(scales, coefficients=np.where(is_free, units, guesses))
    residuals = tuple(probe.sizes(i, scales) for i in range(len(probe.terms)))
    rounded = np.where(is_free, _rounded(units, _UNUSUAL), 1.0)
    return replace(scales, coefficients=rounded, residuals=residuals, balanced=tuple(balanced.tolist()))


def given_middles(problem: Problem) -> FloatArray:
    """By field, the middle of the values that are given for it; 0 where none are."""
    return _Probe(problem).given_middles()


class NaturalLosses(NamedTuple):
    """By term: ``losses``, and whether it does nothing but ``give`` values of fields."""

    losses: tuple[float, ...]
    gives: tuple[bool, ...]


def natural_losses(problem: Problem) -> NaturalLosses:
    """Of each term, the loss that says nothing is solved: its mean square for random fields of natural size.

    A term that gives values has it in proportion where all that is given for its field is smaller than that: errors are
    small beside the data, not beside what a field might have been. 0 where a residual is not finite for random fields.
    """
    probe, scales = _Probe(problem), natural_scales(problem)
    given = dict[int, float]()
    for equation in probe.equations:
        if equation.given is not None:
            (field,) = equation.fields
            given[field] = max(given.get(field, 0.0), float((equation.given**2).mean()))
    losses = [0.0] * len(probe.terms)
    for equation in probe.equations:
        natural = float(scales.residuals[equation.term][equation.residual] ** 2)
        if equation.given is not None:
            (field,) = equation.fields
            part = given[field] / float(scales.sizes[field] ** 2)
            natural *= min(1.0, max(part, _LEAST_GIVEN)) if part else 1.0
        losses[equation.term] += natural if math.isfinite(natural) else 0.0
    others = {equation.term for equation in probe.equations if equation.given is None}
    return NaturalLosses(tuple(losses), tuple(number not in others for number in range(len(losses))))


def float32_error(problem: Problem, scales: Scales) -> tuple[float, str]:
    """What float32 makes of the residuals of random fields of natural size: the largest relative error, and of which
    term. Infinity where squares of residuals do not fit into float32.

    Coordinates far from zero compared with their range lose their digits; sizes such as 1e-20 vanish when squared.
    """
    exact, rounded = _Probe(problem), _Probe(problem, torch.float32)
    worst = 0.0, ""
    for i, term in enumerate(exact.terms):
        expected, found = exact.residuals(i, scales), rounded.residuals(i, scales).double()
        size = expected.square().mean(0).sqrt()
        error = (found - expected).square().mean(0).sqrt() / size
        is_lost = ~torch.isfinite(error) | (size < _FLOAT32[0]) | (size > _FLOAT32[1])
        error = torch.where(is_lost & torch.isfinite(size) & (size > 0), math.inf, error)
        worst = max(worst, (float(error.nan_to_num(0.0, posinf=math.inf).max()), term.name))
    return worst


def _asked_for(probe: _Probe, scales: Scales, given: FloatArray) -> FloatArray:
    """Sizes of open fields by the equations with the fewest open ones that ask for any; 0 where none does."""
    is_open = scales.sizes == 0
    asked = np.where(is_open, given, 0.0)
    for n_open, unknown in product(range(1, int(is_open.sum()) + 1), (False, True)):
        for equation in probe.equations:
            fields = [field for field in equation.fields if is_open[field]]
            if len(fields) == n_open and equation.given is None and unknown == bool(equation.coefficients):
                for field in fields:
                    asked[field] = max(asked[field], probe.size(field, equation, scales))
        asked[asked < _ROUNDING * abs(scales.start)] = 0
        if unknown and n_open == 1 and not asked.any():
            asked = np.where(is_open, abs(scales.start), 0.0)
        if asked.any():
            return asked
    return np.zeros_like(given)


class _Equation(NamedTuple):
    """One residual of a term, and on what it depends; ``given``: the values of a field, if it says nothing else."""

    term: int
    residual: int
    fields: frozenset[int]
    coefficients: frozenset[int]
    given: FloatArray | None


class _Probe:
    """A problem's residuals at some of its points, for random smooth fields of coordinates of order 1."""

    def __init__(self, problem: Problem, dtype: torch.dtype = torch.float64) -> None:
        d, self._n_fields = len(problem.pde.coords), len(problem.pde.fields)
        frame = in_frame(Structure.dense((d, self._n_fields)), problem.domain)
        rng = np.random.default_rng(0)
        slopes = rng.uniform(-math.pi, math.pi, (_DRAWS, self._n_fields, _WAVES, d)) / frame.input_scale
        shifts = rng.uniform(-math.pi, math.pi, (_DRAWS, self._n_fields, _WAVES)) - slopes @ frame.centre
        self._slopes, self._shifts = (torch.from_numpy(numbers).to(dtype) for numbers in (slopes, shifts))
        self._full, self._given = problem.terms(dtype), [condition.columns for condition in problem.conditions]
        self.terms = [_repeated(term) for term in self._full]
        self._jets = [self._jets_of(term) for term in self.terms]

    @cached_property
    def equations(self) -> list[_Equation]:
        return [
            _equation(term, i, k, self._n_fields, ROOT in self._given[i])
            for i, term in enumerate(self._full)
            for k in range(term.program.n_residuals)
        ]

    def given_values(self) -> dict[int, FloatArray]:
        """All values that are given for a field, by field."""
        found: dict[int, list[FloatArray]] = {}
        for equation in self.equations:
            if equation.given is not None:
                found.setdefault(min(equation.fields), []).append(equation.given)
        return {field: np.concatenate(values) for field, values in found.items()}

    def given_middles(self) -> FloatArray:
        """By field; 0 where no value is given."""
        middles = np.zeros(self._n_fields)
        for field, values in self.given_values().items():
            middles[field] = (values.max() + values.min()) / 2
        return middles

    def residuals(self, term: int, scales: Scales) -> Tensor:
        """(N, m) where u = start + sizes N."""
        start, sizes, coefficients = (
            torch.from_numpy(numbers).to(self._slopes) for numbers in (scales.start, scales.sizes, scales.coefficients)
        )
        jets = self._jets[term] * sizes
        jets[:, _VALUE] += start
        return _residuals(self.terms[term], jets, coefficients)

    def sizes(self, term: int, scales: Scales) -> FloatArray:
        """(m,): root mean squares; of an integral, which it has where nothing cancels."""
        found = self.residuals(term, scales).square().mean(0).sqrt().numpy()
        quadrature = self._full[term].quadrature
        return found if quadrature is None else found * float(quadrature.abs().sum())

    def size(self, field: int, equation: _Equation, scales: Scales) -> float:
        """Of a field: where its part of an equation is as large as the rest; 0 if that is nowhere."""
        own = np.arange(len(scales.sizes)) == field
        return self._balanced(equation, lambda size: replace(scales, sizes=np.where(own, size, scales.sizes)))

    def unit(self, coefficient: int, scales: Scales) -> float:
        """The same of a coefficient; of several equations, the most."""
        own = np.arange(len(scales.coefficients)) == coefficient

        def with_value(value: float) -> Scales:
            return replace(scales, coefficients=np.where(own, value, scales.coefficients))

        containing = (equation for equation in self.equations if coefficient in equation.coefficients)
        return max((self._balanced(equation, with_value) for equation in containing), default=0.0)

    def _balanced(self, equation: _Equation, at: Callable[[float], Scales]) -> float:
        def residual(scales: Scales) -> Tensor:
            return self.residuals(equation.term, scales)[:, equation.residual]

        rest = residual(at(0.0))
        size = _rms(rest)
        nothing = replace(at(0.0), start=0 * at(0.0).start, sizes=0 * at(0.0).sizes)
        if not _ROUNDING * _rms(residual(nothing)) < size < math.inf:
            return 0.0

        def is_smaller(exponent: float) -> bool:
            return _rms(residual(at(10.0**exponent)) - rest) < size  # false for NaN

        low, high = -_DECADES, _DECADES
        if not is_smaller(low) or is_smaller(high):
            return 0.0
        while high - low > _CLOSE:
            middle = (low + high) / 2
            low, high = (middle, high) if is_smaller(middle) else (low, middle)
        return float(10.0 ** ((low + high) / 2))

    def _jets_of(self, term: Term) -> Tensor:
        """(n_sites, C, N, F): every random field at its own repetition of the points."""
        parts = []
        for waves, shifts, x in zip(self._slopes, self._shifts, term.points.chunk(_DRAWS, 1), strict=True):
            phases = torch.einsum("snd,fwd->snfw", x, waves) + shifts
            parts.append(
                torch.stack([_derivative(channel, waves, phases) for channel in term.program.channels.channels], 1)
            )
        return torch.cat(parts, 2)


def _derivative(channel: Channel, slopes: Tensor, phases: Tensor) -> Tensor:
    """Of sqrt(2 / n) times the sum of n waves sin(slope x + shift), with a mean square of 1."""
    if isinstance(channel, Laplacian):
        d = slopes.shape[-1]
        pure = [tuple(2 * int(i == axis) for i in range(d)) for axis in channel.axes]
        return torch.stack([_derivative(orders, slopes, phases) for orders in pure]).sum(0)
    factors = slopes.pow(slopes.new_tensor(channel)).prod(-1) * math.sqrt(2 / _WAVES)
    return (factors * torch.sin(phases + math.pi / 2 * sum(channel))).sum(-1)


def _repeated(term: Term) -> Term:
    """The term at some of its points, each a row, which come as often as there are random networks."""
    picked = np.unique(np.linspace(0, term.n_points - 1, _POINTS).round().astype(np.int64))
    index = torch.from_numpy(np.tile(picked, _DRAWS))
    return replace(term.pointwise, points=term.points[:, index], columns=term.columns[index])


def _equation(term: Term, number: int, residual: int, n_fields: int, is_weighted: bool) -> _Equation:
    program, n = term.program, term.n_points
    read = _read(program, program.residuals[residual])
    jets = [kind for kind in read if isinstance(kind, Jet)]
    coefficients = frozenset(kind.number for kind in read if isinstance(kind, Coefficient))
    given = None
    if len(jets) == 1 and jets[0].channel == _VALUE and not coefficients:
        # c (u - v) has the same slope c at all points and for all u.
        place = [program.inputs[register] for register, _ in program.gradients].index(jets[0])
        zeros = term.points.new_zeros((program.n_sites, len(program.channels), n, n_fields))
        # Those that other residuals of the term read.
        numbers = [kind.number for kind in program.inputs if isinstance(kind, Coefficient)]
        free = term.points.new_zeros(1 + max(numbers, default=-1))
        both = (slopes(program, residual, zeros + u, term.points, term.columns, free) for u in (0.0, 1.0))
        c = torch.stack([torch.as_tensor(own[place]).expand(n) for own in both])
        values = -_residuals(term, zeros, free)[:, residual]
        if is_weighted:  # weights by point are factors of c, and no part of u - v
            counts = c[0] != 0
            c, values = c[:, counts] / c[0, counts], values[counts] / c[0, counts]
        if c.numel() and bool((c == c[0, 0]).all()) and bool(c[0, 0] != 0):
            given = (values / c[0, 0]).numpy()
    return _Equation(number, residual, frozenset(kind.field for kind in jets), coefficients, given)


def _read(program: Program, register: int) -> list[Input]:
    """What the value of a register depends on."""
    n, needed, stack = len(program.inputs), set[int](), [register]
    while stack:
        register = stack.pop()
        if register not in needed:
            needed.add(register)
            if register >= n:
                _, a, b, _ = program.instructions[register - n]
                stack += [operand for operand in (a, b) if operand >= 0]
    return [program.inputs[register] for register in sorted(needed) if register < n]


def _residuals(term: Term, jets: Tensor, coefficients: Tensor) -> Tensor:
    """(N, m)."""
    values = torch_program(term.program).residuals(jets, term.points, term.columns, coefficients)
    return torch.stack([torch.as_tensor(value, dtype=jets.dtype).expand(term.n_points) for value in values], 1)


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


def _rounded(sizes: FloatArray, ordinary: float) -> FloatArray:
    """Powers of ten; 1 for what is of order 1."""
    is_ordinary = (sizes > 1 / ordinary) & (sizes < ordinary)
    return np.where(is_ordinary, 1.0, 10.0 ** np.round(np.log10(sizes)))
