"""Terms that hold whatever the weights are, by ansatz, embedding or relations: there is nothing to train in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..domains import Domain
from ..kernels import get_backend
from ..kernels.contract import Term
from ..kernels.errors import InputError
from ..kernels.language.channels import ChannelSet
from ..kernels.language.program import Jet
from ..kernels.network.ansatz import Ansatz
from ..networks.initialisation import drawn
from ..networks.mlp import PsiMLP
from ..networks.structure import Structure
from ..problem.conditions import EQUATION
from ..problem.problem import Problem
from ..scaling.frames import in_frame
from .points.regions import other_sites, term_at

# Residuals below this part of the range of those of random fields are rounding errors, of so many networks.
_ROUNDING, _NETWORKS = 1e-9, 3
# So are those below this part of the largest, where numbers are given in float64 and in float32.
_DOUBLE, _SINGLE = 2.0**-49, 2.0**-20
# Numbers of fewer bits than float32 has are whole ones, halves and the like, in either precision.
_BITS = 16
# Points at a time, those of regions beside the given ones, and neurons of random fields.
_CHUNK, _OTHERS, _NEURONS = 4096, 256, 16
# Residuals of random networks that differ by this part of the range do so by no rounding errors.
_VARIES = 1e-3
# A corner of a wall, where a factor is zero by chance, is less than this part of its points.
_PART = 0.1
# Factors of networks below this leave nothing of them; what may be a rounding error of numbers of order 1.
_FAINT, _TINY = 1e-6, 1e-14


def terms_that_hold(problem: Problem, net: PsiMLP) -> tuple[str, ...]:
    """Terms that hold by the network's ansatz, embedding or relations: what is even is periodic.

    Looked at are all given points, others of the regions that they stand for, and several values of unknown
    coefficients. Terms of weight 0 are none of these.

    Raises:
        InputError: behind an ansatz or embedding, a term that no weights change, and which does not hold; one that
            holds at its points, but not between them; all hold.
    """
    if net.plan.is_network and net.structure.is_dense:
        return ()
    probe, held = _Probe(problem, net), []
    counting = [n for n, own in enumerate(problem.conditions) if own.weight > 0 and bool(own.counts.any())]
    for number in counting:
        given = probe.seen(probe.terms[number])
        if given.varies(given.small):
            continue
        between = probe.between(number)
        small = given.small if between is None else torch.maximum(given.small, between.small)
        off = [0.0 if own is None else own.off(small) for own in (given, between)]
        if not any(off) and (between is None or not between.varies(small)):
            held.append(number)
        elif not net.plan.is_network:
            raise InputError(probe.refusal(given, between, small))
    if held and len(held) == len(counting):
        raise InputError(
            "problem: all its terms hold by the network's making, whatever its weights: nothing is left to train"
        )
    return tuple(problem.term_names[number] for number in held)


def is_lifted(structure: Structure, domain: Domain) -> bool:
    """Whether an ansatz has an offset, with which u = 0 is none of its functions."""
    if structure.ansatz is None:
        return False
    points = torch.from_numpy(np.array(domain.random(_OTHERS, 0)))
    return bool(structure.ansatz.offset.jets(points, ChannelSet.closure(points.shape[1], ())).any())


def is_zero_somewhere(structure: Structure, problem: Problem) -> bool:
    """Whether an ansatz has a factor that is zero at a part of some condition's points, for a field that this reads."""
    if structure.ansatz is None:
        return False
    factor, channels = structure.ansatz.factor, ChannelSet.closure(structure.n_inputs, ())
    inside = torch.from_numpy(np.array(problem.domain.random(_OTHERS, 0)))
    small = _ROUNDING * factor.jets(inside, channels)[0].abs().amax(0)
    for condition, term in zip(problem.conditions, problem.terms(torch.float64), strict=True):
        if condition.weight > 0 and condition.kind != EQUATION:
            share = (factor.jets(term.points[0], channels)[0].abs() <= small).double().mean(0)
            if any(share[own.field] >= _PART for own in term.program.inputs if isinstance(own, Jet)):
                return True
    return False


def without(problem: Problem, held: Sequence[str]) -> Problem:
    """The problem without these terms: where a Jacobian is rounding errors, weighed like others these would be all that
    training sees."""
    if not held:
        return problem
    kept = [number for number, name in enumerate(problem.term_names) if name not in held]
    entries = {name: tuple(getattr(problem, name)[number] for number in kept)
               for name in ("conditions", "traced", "loss_units")}  # fmt: skip
    return problem.altered(**entries)


@dataclass(frozen=True)
class _Seen:
    """Of a term at points: ``residuals`` (networks, rows, m), by how much they differ between networks (m,), and what
    of them is rounding errors (m,)."""

    term: Term
    rows: Tensor
    residuals: Tensor
    spread: Tensor
    small: Tensor

    def varies(self, small: Tensor) -> bool:
        """Whether weights or coefficients change it."""
        return not bool((self.spread <= small).all())

    def off(self, small: Tensor) -> float:
        """By how much it does not hold; 0: by rounding errors."""
        return float(torch.where(self.residuals.abs() <= small, 0.0, self.residuals.abs()).max())

    @property
    def worst(self) -> Tensor | None:
        """The point (d,) where it is off most; None: it is one of a sum."""
        if self.term.quadrature is not None:
            return None
        return self.term.points[0, self.rows[self.residuals.abs().amax((0, 2)).argmax()]]

    @property
    def where(self) -> str:
        return "" if self.worst is None else f" at ({', '.join(f'{x:.6g}' for x in self.worst.tolist())})"


class _Probe:
    """Residuals of random networks, and of random fields as large that nothing is known of."""

    def __init__(self, problem: Problem, net: PsiMLP) -> None:
        self._problem, self._net, self._engine = problem, net, get_backend("reference")
        self.terms = problem.terms(torch.float64)
        start, rng = problem.initial_coefficients(torch.float64), np.random.default_rng(0)
        steps = torch.from_numpy(rng.normal(0, 1, (_NETWORKS, len(start)))) * start.abs().clamp(min=1.0)
        steps[0] = 0
        self._coefficients = start + steps
        own = net.structure
        plain = Structure.dense((own.n_inputs, _NEURONS, own.n_outputs))
        fields = replace(in_frame(plain, problem.domain), output_scale=own.output_scale)
        self._fields = fields.plan
        self._theta = {
            is_free: [_drawn(structure, seed) for seed in range(_NETWORKS)]
            for is_free, structure in ((False, own), (True, fields))
        }

    def seen(self, term: Term) -> _Seen:
        """The term at all of its points, or at some where these show that it varies."""
        m = term.program.n_residuals
        low, high = (torch.full((m,), sign * torch.inf, dtype=torch.float64) for sign in (1, -1))
        found, rows, spread = list[Tensor](), list[Tensor](), torch.zeros(m, dtype=torch.float64)
        for some in _rows(term):
            chunk = _chosen(term, some)
            free, own = self._residuals(chunk, is_free=True), self._residuals(chunk)
            is_known = torch.isfinite(free)
            low = torch.minimum(low, torch.where(is_known, free, torch.inf).amin((0, 1)))
            high = torch.maximum(high, torch.where(is_known, free, -torch.inf).amax((0, 1)))
            spread = torch.maximum(spread, (own - own[0]).abs().nan_to_num(torch.inf).amax((0, 1)))
            found.append(own)
            rows.append(some)
            if bool((spread > _VARIES * (high - low)).any()):
                break
        extent = torch.where(high >= low, high - low, 1.0)
        largest = torch.where(high >= low, torch.maximum(high.abs(), low.abs()), 1.0)
        small = torch.maximum(_ROUNDING * extent, (_SINGLE if _is_single(term) else _DOUBLE) * largest)
        return _Seen(term, torch.cat(rows), torch.cat(found, 1), spread, small)

    def between(self, number: int) -> _Seen | None:
        """A term at other points of the region that its points stand for; None where they stand for themselves."""
        condition = self._problem.conditions[number]
        if condition.quadrature is not None:
            return None
        term = term_at(self._problem, number, other_sites(condition, _OTHERS, np.random.default_rng(number)))
        if term is None:
            return None
        known = torch.isfinite(term.columns).all(1) & torch.isfinite(self._residuals(term)).all(2).all(0)
        return self.seen(_chosen(term, torch.nonzero(known)[:, 0])) if bool(known.any()) else None

    def refusal(self, given: _Seen, between: _Seen | None, small: Tensor) -> str:
        """Why a term that does not hold cannot be trained, and what to do."""
        term, ansatz, off = given.term, self._net.structure.ansatz, given.off(small)
        what = "embedding" if ansatz is None else "ansatz"
        if not off:
            assert between is not None
            return (
                f"{what}: term {term.name!r} holds at its {term.n_points} points whatever the weights are, and not "
                f"between them, where it is off by {between.off(small):.3g}{between.where}: give it more points, or "
                "correct what is known"
            )
        where = f"off by {off:.3g}{given.where}"
        fixed = f"{what}: it fixes what term {term.name!r} reads, which is {where}, and no weights change that"
        if off < _TINY:
            fixed += " (if it is a rounding error, give 0.0 there)"
        if ansatz is None:
            return f"{fixed}; take another embedding, or leave out the term"
        return f"{fixed}; {self._advice(given, ansatz)}"

    def _advice(self, given: _Seen, ansatz: Ansatz) -> str:
        """Which of g and d to change."""
        channels = ChannelSet.closure(given.term.points.shape[2], ())
        inside = torch.from_numpy(np.array(self._problem.domain.random(_CHUNK, 0)))
        largest = ansatz.factor.jets(inside, channels)[0].abs().amax(0)
        fields = sorted({own.field for own in given.term.program.inputs if isinstance(own, Jet)})
        for field in fields:
            if largest[field] < _FAINT:
                size = f"{float(largest[field]):.2g}"
                return f"d of {self._problem.pde.fields[field]} is at most {size} in the domain: scale it, d / {size}"
        if given.worst is not None:
            here = ansatz.factor.jets(given.worst[None], channels)[0, 0].abs()
            if bool((here[fields] > _ROUNDING * largest[fields]).all()):
                return "correct g, or what the term asks for"
        return "correct g, or let d differ from 0 there"

    def _residuals(self, term: Term, is_free: bool = False) -> Tensor:
        """(networks, rows, m)."""
        plan = self._fields if is_free else self._net.plan
        pairs = zip(self._theta[is_free], self._coefficients, strict=True)
        return torch.stack([self._engine.residuals(plan, theta, free, term) for theta, free in pairs])


def _drawn(structure: Structure, seed: int) -> Tensor:
    """theta of a random network; unknown numbers of its embedding are where they start in one of them alone."""
    theta = drawn(structure, "default", (), seed)
    if structure.embedding is not None and structure.embedding.unknown:
        form = (structure.embedding, *structure.embedding.elsewhere)[seed]
        last = len(structure.ahead)
        theta[last - len(form.unknown) : last] = torch.tensor([value for _, value in form.unknown]).double()
    return theta


def _rows(term: Term) -> Iterator[Tensor]:
    """All points of a term, some at a time that are spread over it; those of an integral at once."""
    parts = 1 if term.quadrature is not None else -(-term.n_points // _CHUNK)
    for part in range(parts):
        yield torch.arange(part, term.n_points, parts)


def _chosen(term: Term, rows: Tensor) -> Term:
    if len(rows) == term.n_points:
        return term
    return replace(term, points=term.points[:, rows].contiguous(), columns=term.columns[rows].contiguous())


def _is_single(term: Term) -> bool:
    """Whether numbers of a term were given in float32: points along an axis, or a column."""
    given = torch.cat([term.columns, *term.points], 1)
    mantissas = torch.frexp(given)[0] * 2.0**_BITS
    return bool(((given == given.float().double()).all(0) & (mantissas != mantissas.round()).any(0)).any())
