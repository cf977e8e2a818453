"""Symmetries that a problem has by itself: equations, domain, boundary conditions and data, without any training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations, product

import numpy as np
import numpy.typing as npt

from ..kernels import checks
from ..language.tracing import Traced
from ..networks.groups import SignedPermutation, Symmetry
from ..problem.conditions import EQUATION, Condition
from ..problem.problem import Problem
from ..problems import as_problem
from .sampled_term import GAPS, FloatArray, Jets, SampledTerm

HOLDS, BROKEN, UNDECIDED = "holds", "broken", "undecided"
# Two points are one if they are closer than this, relative to the domain.
_SAME_POINT = 1e-9
# What is added to a field to see whether an equation fixes its constant.
_SHIFT = 1.7
# Values below this part of the largest in the problem are rounding errors: sin(pi) for 0.
_NEGLIGIBLE = 1e-6


@dataclass(frozen=True)
class ProblemSymmetry:
    """One map about the domain's centre with one sign per field, u_f(g x) = chi_f u_f(x), tested on a problem.

    Attributes:
        symmetry: the map and chi.
        text: the map in words.
        verdict: "holds": every condition maps to one of the problem's conditions, so with u also chi u(g x) solves the
            problem, and a unique solution has the symmetry. "broken": some condition does not. "undecided": nothing
            contradicts, but some boundary values or measurements have no counterpart to compare with.
        reason: which condition, where, how much.
        difference: by how much values differ, relative to the largest; inf where the equations themselves do; 0 where
            nothing differs.
    """

    symmetry: Symmetry
    text: str
    verdict: str
    reason: str
    difference: float


def problem_symmetries(
    problem: Problem | str, *, tolerance: float = 1e-6, seed: int = 0
) -> tuple[ProblemSymmetry, ...]:
    """Test every signed permutation about the domain's centre that maps the domain to itself, with every character.

    With u also v(x) = chi u(g x) is a solution if each residual, applied to v, is a residual applied to u: for term i
    and its point x there must be a term j with r_i(x; T J) = +- r_j(g x; J) for any jet J of u at g x, T J being that
    of v at x (the chain rule: a signed permutation of derivatives). Residuals are those of the traced programs, jets
    and unknown coefficients are random numbers.

    Points at which an equation has to hold stand for the region that they fill, so the equation is compared at mapped
    points wherever these lie among its points; so it is with given values (`Dirichlet`, `Neumann`, `Data`) that are the
    same at all points of a term, if these are dense, and with functions on regions of a domain that is no box. Other
    given values are only known at their points, and need one exactly at the mapped place. Weights play no part: they
    shift errors, not the solution.

    An integral needs one over the image of its region, or over the mapped points if it has weights of its own.

    A single point that fixes a constant which nothing else determines (a gauge: the pressure at one point) needs no
    counterpart for fields of sign +: u(g x) - u(x) is then a constant c, and g has a finite order n, so n c = 0. A
    field of sign - has its sign only up to that constant, so there the symmetry is undecided.

    Args:
        problem: up to 4 coordinates.
        tolerance: values that differ by less, relative to the largest, are equal.
        seed: of the jets.

    Raises:
        InputError: a tolerance that is not positive and finite.
    """
    problem = as_problem(problem)
    tolerance, seed = checks.number("tolerance", tolerance, above=0), checks.seed("seed", seed)
    every = [
        Symmetry(g, character)
        for g in problem.domain.symmetries()
        for character in product((1, -1), repeat=len(problem.pde.fields))
    ]
    return judged_symmetries(problem, every, problem.domain.centre, tolerance=tolerance, seed=seed)


def judged_symmetries(
    problem: Problem,
    symmetries: Iterable[Symmetry],
    centre: Sequence[float] | FloatArray,
    *,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> tuple[ProblemSymmetry, ...]:
    """`problem_symmetries` of some, about any centre; what is mapped out of the domain has no counterpart."""
    rng = np.random.default_rng(seed)
    terms = [
        SampledTerm(problem, condition, traced, rng) for condition, traced in _parts(problem) if condition.weight > 0
    ]
    comparison = _Comparison(problem, terms, np.asarray(centre, dtype=np.float64), tolerance, rng)
    return tuple(comparison.test(symmetry.map, symmetry.character) for symmetry in symmetries)


def _parts(problem: Problem) -> Iterator[tuple[Condition, Traced]]:
    """The conditions; where some ask for some of the equations, each equation by itself: maps may exchange them."""
    is_split = any(condition.equations for condition in problem.conditions)
    for condition, traced in zip(problem.conditions, problem.traced, strict=True):
        if not is_split or condition.kind != EQUATION:
            yield condition, traced
        else:
            for name in dict.fromkeys(traced.equations):
                part = replace(condition, equations=(name,))
                yield part, part.traced(problem.pde, problem.unknowns)


@dataclass(frozen=True)
class _Image:
    """Another term at the mapped points of a term, with the sites in one of their orders.

    ``is_there``: points that lie among the other's, ``is_exact``: on one of them; ``values`` (3, n, m): its residuals
    there, for each of the jets.
    """

    other: SampledTerm
    is_there: npt.NDArray[np.bool_]
    is_exact: npt.NDArray[np.bool_]
    values: FloatArray


class _Comparison:
    def __init__(
        self,
        problem: Problem,
        terms: Sequence[SampledTerm],
        centre: FloatArray,
        tolerance: float,
        rng: np.random.Generator,
    ) -> None:
        self.problem, self.terms, self.centre, self.tolerance = problem, terms, centre, tolerance
        self.same_point = _SAME_POINT * float(np.linalg.norm(problem.domain.high - problem.domain.low))
        self.coefficients = rng.uniform(0.5, 1.5, len(problem.pde.unknown))
        d, order = len(problem.pde.coords), max(term.program.channels.order for term in terms) if terms else 0
        self.indices = [i for i in product(range(order + 1), repeat=d) if sum(i) <= order]
        # Per term: no field at all, which leaves sources and given values, then two random ones.
        self.jets = [[self._jets(term, rng, size) for size in (0.0, 1.0, 1.0)] for term in terms]
        own = [term.at(term.picked, jets[0], self.coefficients) for term, jets in zip(terms, self.jets, strict=True)]
        self.sizes = [_largest(values) for values in own]
        self.gauges = self._gauges(own)
        # Of one map at a time, by term: they are the same for every character.
        self._images: tuple[SignedPermutation | None, dict[int, list[_Image]]] = None, {}

    def _jets(self, term: SampledTerm, rng: np.random.Generator, size: float) -> Jets:
        shape = (term.n_sites, len(term.picked), len(self.problem.pde.fields))
        return {index: size * rng.standard_normal(shape) for index in self.indices}

    def _gauges(self, own: Sequence[FloatArray]) -> dict[int, list[int]]:
        """Terms of a single point that fix constants which no other term determines, with their fields."""
        fields = range(len(self.problem.pde.fields))
        changes = [
            [self._changes(i, field, values) for field in fields] for i, values in enumerate(own)
        ]  # (term, field): whether the residual depends on the field's own constant
        gauges = {}
        for i, term in enumerate(self.terms):
            fixed = [field for field in fields if changes[i][field]]
            others = [changes[j] for j in range(len(self.terms)) if j != i]
            is_lone = term.has_values and term.n_sites == 1 and len(term.picked) == 1
            if is_lone and fixed and not any(other[field] for other in others for field in fixed):
                gauges[i] = fixed
        return gauges

    def _changes(self, i: int, field: int, values: FloatArray) -> bool:
        """Whether term i changes where a constant is added to a field. ``values``: its residuals at the first jets."""
        term, zero = self.terms[i], (0,) * len(self.problem.pde.coords)
        for number, before in ((1, None), (0, values)):
            jets = self.jets[i][number]
            before = term.at(term.picked, jets, self.coefficients) if before is None else before
            shifted = {**jets, zero: jets[zero] + _SHIFT * (np.arange(jets[zero].shape[-1]) == field)}
            after = term.at(term.picked, shifted, self.coefficients)
            if not np.allclose(before, after, rtol=1e-9, atol=1e-9, equal_nan=True):
                return True
        return False

    def test(self, g: SignedPermutation, character: tuple[int, ...]) -> ProblemSymmetry:
        text = g.describe(self.problem.pde.coords)
        lacking: list[str] = []
        for i in range(len(self.terms)):
            broken, difference, missing = self._test_term(i, g, character)
            if broken:
                return ProblemSymmetry(Symmetry(g, character), text, BROKEN, broken, difference)
            lacking += [missing] if missing else []
        if lacking:
            return ProblemSymmetry(Symmetry(g, character), text, UNDECIDED, "; ".join(lacking), 0.0)
        return ProblemSymmetry(Symmetry(g, character), text, HOLDS, "all conditions map to conditions", 0.0)

    def _test_term(self, i: int, g: SignedPermutation, character: tuple[int, ...]) -> tuple[str, float, str]:
        """(what breaks the symmetry, by how much, what has no counterpart), texts empty where there is nothing."""
        term, n = self.terms[i], len(self.terms[i].picked)
        if i in self.gauges and all(character[field] == 1 for field in self.gauges[i]):
            return "", 0.0, ""
        own = np.stack([
            term.at(term.picked, _pulled_back(jets, g, character), self.coefficients) for jets in self.jets[i]
        ])  # fmt: skip
        usable = np.isfinite(own[1:]).all(axis=(0, 2))
        if not usable.any():
            return "", 0.0, f"{term.name}: NaN or infinite for random fields"
        best, size = np.full(n, np.inf), np.zeros(n)
        contradicted, nearly = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        for image in self._images_of(i, g):
            gaps = _value_gaps(own, image.values)
            sizes = max(self.sizes[i], self.sizes[self.terms.index(image.other)])
            found = image.is_there & usable & ~np.isnan(gaps)
            # The same equation with other values, or another equation where the own one should hold.
            against = found & (np.isfinite(gaps) | (image.other is term and not term.has_values))
            nearly |= against
            contradicted |= against & (image.is_exact | (not term.has_values))
            better = found & (gaps < best)
            best[better], size[better] = gaps[better], sizes
        tolerated = self.tolerance * np.maximum(size, _NEGLIGIBLE * max(self.sizes))
        fails = usable & ~(best <= tolerated)
        # Constant values: a few points next to a corner may lie among those of the other side.
        if 2 * (fails & nearly).sum() > fails.sum():
            contradicted |= nearly
        if (fails & contradicted).any():
            worst = int(np.argmax(np.where(fails & contradicted, best, -1.0)))
            if math.isinf(best[worst]):
                return f"{term.name}: another equation at the mapped points", math.inf, ""
            # Relative to the largest value, in which both terms have their part.
            relative = float(best[worst] / size[worst])
            where = ", ".join(f"{x:.3g}" for x in term.points[0, worst])
            return f"{term.name}: at ({where}) off by {best[worst]:.2g}, {relative:.2g} of the largest", relative, ""
        missing = int(fails.sum())
        if missing and i in self.gauges:
            return "", 0.0, f"{term.name}: it fixes a constant, up to which a field has the sign -"
        return "", 0.0, f"{term.name}: {missing} of {n} points have no counterpart" if missing else ""

    def _mapped(self, g: SignedPermutation, points: FloatArray) -> FloatArray:
        return self.centre + g(points - self.centre)

    def _images_of(self, i: int, g: SignedPermutation) -> list[_Image]:
        if self._images[0] != g:
            self._images = g, {}
        if i not in self._images[1]:
            self._images[1][i] = list(self._images_of_term(i, g))
        return self._images[1][i]

    def _images_of_term(self, i: int, g: SignedPermutation) -> Iterator[_Image]:
        term = self.terms[i]
        mapped = self._mapped(g, term.points)
        # The domain's image is itself, and so are its normals.
        normals = None if term.normals is None else g(term.normals[term.picked])
        for other in self.terms:
            if other.n_sites != term.n_sites or (other.quadrature is None) != (term.quadrature is None):
                continue
            if term.quadrature is not None and not other.is_image_of(term, partial(self._mapped, g), self.same_point):
                continue
            exactly = not (term.stands_for_region and other.stands_for_region)
            reach = self.same_point if exactly else max(self.same_point, GAPS * other.gap)
            for order in permutations(range(term.n_sites)):
                sites = list(order)
                points = mapped[sites]
                distance, numbers = other.tree.query(np.concatenate(list(points), axis=1))
                is_there = distance <= reach
                if not is_there.any():
                    continue
                values = []
                for jets in self.jets[i]:
                    there = {index: value[sites] for index, value in jets.items()}
                    if exactly:
                        values.append(other.at(numbers, there, self.coefficients))
                    else:
                        values.append(other.anywhere(points, normals, there, self.coefficients))
                yield _Image(other, is_there, distance <= self.same_point, np.stack(values))


def _pulled_back(jets: Jets, g: SignedPermutation, character: tuple[int, ...]) -> Jets:
    """Jets of v(x) = chi u(g x) from those of u at g x: d/dx_p = sign_i d/dy_i where y_i = sign_i x_p."""
    pulled = {}
    for index in jets:
        image = tuple(index[p] for p in g.permutation)
        sign = math.prod(s**k for s, k in zip(g.signs, image, strict=True))
        pulled[index] = jets[image] * (sign * np.array(character))
    return pulled


def _value_gaps(ours: FloatArray, theirs: FloatArray) -> FloatArray:
    """Per point, how far the residuals (3, n, m) of two terms are apart, up to their signs and order.

    Draw 0 is without a field; from draws 1 and 2 follows whether a difference depends on the field, in which case the
    equations differ: inf.
    """
    if not (np.isfinite(ours[0]).all() and np.isfinite(theirs[0]).all()):
        ours, theirs = ours[[1, 1, 2]], theirs[[1, 1, 2]]  # e.g. 1 / u
    sign = np.array([1.0, -1.0])
    difference = ours[:, :, :, None, None] - sign * theirs[:, :, None, :, None]  # (3, n, m, m', 2)
    change = np.abs(ours[1] - ours[2])[:, :, None] + np.abs(theirs[1] - theirs[2])[:, None]
    rounding = 1e-12 * (np.abs(ours[1:]).max(0)[:, :, None] + np.abs(theirs[1:]).max(0)[:, None])
    is_constant = np.abs(difference[1] - difference[2]) <= (1e-9 * change + rounding)[..., None]
    gaps = np.where(is_constant, np.abs(difference[0]), np.inf).min(axis=-1)
    return np.asarray(np.maximum(gaps.min(axis=2).max(axis=1), gaps.min(axis=1).max(axis=1)))


def _largest(values: FloatArray) -> float:
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else 0.0


__all__ = ["BROKEN", "HOLDS", "UNDECIDED", "ProblemSymmetry", "problem_symmetries"]
