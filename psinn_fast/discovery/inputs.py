"""What students see, coordinates or the features of an embedding, and what they imitate: u, or N of u = g + d N."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from ..domains import Box
from ..kernels.errors import InputError
from ..kernels.language.channels import MAX_INPUTS, ChannelSet
from ..networks.groups import SignedPermutation, Symmetry
from ..networks.structure import Structure
from ..problem.problem import Problem
from ..scaling.frames import features_in
from ..symmetries.induced import Action, action_of, centre_of_features

FloatArray = npt.NDArray[np.float64]
# Half-widths of inputs that students see as they are; else ratios of unequal ones as they see them.
_NARROWEST, _WIDEST, _APART = 0.25, 4.0, 1.1
# Features whose middle is nearer to 0, relative to their half-width, are seen from 0.
_CENTRED = 0.1
# Where the factor of an ansatz is a smaller part of its largest, (u - g) / d says nothing.
_SMALL_FACTOR = 0.02


@dataclass(frozen=True, eq=False)
class StudentInputs:
    """The inputs of a problem's students, and how maps of the coordinates act on them.

    Inputs are seen from a centre, so that reflections about it can show in the weights, and `in_units`.

    Args:
        ends: a structure with the embedding and the ansatz of the networks.

    Raises:
        InputError: more than 8 features.
    """

    problem: Problem
    ends: Structure

    def __post_init__(self) -> None:
        if self.ends.n_features > MAX_INPUTS:
            raise InputError(
                f"embedding: students see up to {MAX_INPUTS} features, this one has {self.ends.n_features}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        if self.ends.embedding is None:
            return self.problem.pde.coords
        return tuple(f"f{i + 1}" for i in range(self.ends.n_features))

    @cached_property
    def actions(self) -> tuple[Action, ...]:
        """Of the maps that take the domain to itself, those that embedding and ansatz allow u to have."""
        found, ends = [], self.ends
        for g in self.problem.domain.symmetries():
            try:
                found.append(action_of(g, self.problem.domain, ends.embedding, ends.ansatz, ends.n_outputs))
            except InputError:  # said where the structure is made
                continue
        return tuple(found)

    @cached_property
    def maps(self) -> tuple[SignedPermutation, ...]:
        """Of the inputs, those that change any."""
        own = dict.fromkeys(action.features for action in self.actions)
        return tuple(g for g in own if g != SignedPermutation.identity(g.size))

    @cached_property
    def centre(self) -> FloatArray:
        if self.ends.embedding is None:
            return self.problem.domain.centre
        seen = features_in(self.ends, self.problem.domain)
        low, high = seen.min(0), seen.max(0)
        middle = np.where(abs(low + high) <= _CENTRED * (high - low), 0.0, (low + high) / 2)
        return np.array(centre_of_features(self.actions, middle)) if self.actions else middle

    @cached_property
    def box(self) -> Box:
        """Of the inputs as they are seen."""
        half = in_units(self._half, self._half)
        return Box(**{name: (-float(h), float(h)) for name, h in zip(self.names, half, strict=True)})

    def seen(self, points: FloatArray) -> FloatArray:
        """At points (N, d): (N, n)."""
        return in_units(self._features(points) - self.centre, self._half)

    def is_imitated(self, points: FloatArray) -> npt.NDArray[np.bool_]:
        """At which points (N, d) u says what N is: (N,)."""
        factor = abs(self._known(points)[1])
        return np.asarray((factor > _SMALL_FACTOR * factor.max(0)).all(1))

    def network(self, points: FloatArray, u: FloatArray) -> FloatArray:
        """N from u at points (N, d): (N, F)."""
        offset, factor = self._known(points)
        return np.asarray((u - offset) / factor)

    def fields(self, points: FloatArray, network: FloatArray) -> FloatArray:
        """u from N at points (N, d): (N, F)."""
        offset, factor = self._known(points)
        return np.asarray(offset + factor * network)

    def on_coordinates(self, shown: Sequence[Symmetry]) -> list[Symmetry]:
        """The symmetries that u has if N has those shown, about the domain's centre."""
        signs = {symmetry.map: symmetry.character for symmetry in shown}
        signs[SignedPermutation.identity(len(self.names))] = (1,) * self.ends.n_outputs
        known = [(action, signs[action.features]) for action in self.actions if action.features in signs]
        return [action.of_fields(own) for action, own in known if action.allows(own)]

    def of_network(self, structure: Structure) -> Structure:
        """What was read from a student, as a network of the coordinates."""
        return replace(
            structure,
            centre=tuple(self.centre.tolist()),
            embedding=self.ends.embedding,
            ansatz=self.ends.ansatz,
        )

    def _features(self, points: FloatArray) -> FloatArray:
        embedding = self.ends.embedding
        return points if embedding is None else embedding.values(torch.from_numpy(np.array(points))).numpy()

    def _known(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """g and d: (N, F) each."""
        shape = len(points), self.ends.n_outputs
        if (ansatz := self.ends.ansatz) is None:
            return np.zeros(shape), np.ones(shape)
        x, value = torch.from_numpy(np.array(points)), ChannelSet.closure(points.shape[1], ())
        return ansatz.offset.jets(x, value)[0].numpy(), ansatz.factor.jets(x, value)[0].numpy()

    @cached_property
    def _half(self) -> FloatArray:
        domain = self.problem.domain
        if self.ends.embedding is None:
            return np.asarray((domain.high - domain.low) / 2)
        reach = abs(features_in(self.ends, domain) - self.centre).max(0)
        # Equal ones differ a little at random points.
        return np.array([float(f"{value:.2g}") for value in reach])


def in_units(offsets: FloatArray, half: FloatArray) -> FloatArray:
    """Offsets from a centre as students see them. Where a half-width is not between 1/4 and 4, they are in units of
    about the half-widths, equal ones alike and unequal ones not: inputs that the problem cannot exchange must not look
    as if it could.
    """
    if ((half >= _NARROWEST) & (half <= _WIDEST)).all():
        return np.asarray(offsets)
    ranks = np.array([int((np.unique(half) < own * (1 - 1e-9)).sum()) for own in half])
    return np.asarray(offsets / half * _APART**ranks)
