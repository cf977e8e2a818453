"""Which signed permutations of the inputs map a function to plus or minus itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ..domains import Box, Domain
from ..kernels import checks
from ..kernels.errors import InputError, short
from ..kernels.language.activations import activation_of
from ..language.names import Names, split_names
from ..networks.groups import Symmetry
from ..networks.structure import Structure

FloatArray = npt.NDArray[np.float64]
N_POINTS = 256


@dataclass(frozen=True)
class FoundSymmetry:
    """A map g with f(g x) = chi f(x), chi = +1 or -1 per output.

    Attributes:
        symmetry: the map (about the centre) and chi.
        text: the map in words, e.g. ``y -> -y``; coordinates are measured from the centre.
        error: largest relative error over the outputs.
    """

    symmetry: Symmetry
    text: str
    error: float


def find_symmetries(
    f: Callable[[FloatArray], FloatArray], domain: Domain, *, tolerance: float = 1e-3, seed: int = 0
) -> list[FoundSymmetry]:
    """Test every signed permutation about the domain's centre that takes the domain to itself, at random points of it.

    A map counts when ||f_k(g x) - chi_k f_k(x)|| <= tolerance ||f_k(x)|| for every output k. Maps that do not take
    the domain to itself (a swap of unequal sides) are not tried: f may mean nothing outside.

    Args:
        f: takes points (N, d), gives values (N, m).
        domain: of up to 4 coordinates.
        tolerance: relative.
        seed: of the points.

    Returns:
        What was found, by ascending error.

    Raises:
        InputError: more than 4 coordinates, or values of the wrong shape or not finite.
    """
    d = len(domain.coords)
    if d > 4:
        raise InputError(f"domain: expected 1 to 4 coordinates, got {d}")
    tolerance, seed = checks.number("tolerance", tolerance, above=0), checks.seed("seed", seed)
    middle = domain.centre
    if domain.is_box:
        offsets = np.random.default_rng(seed).uniform(-1, 1, (N_POINTS, d)) * (domain.high - domain.low) / 2
    else:
        offsets = domain.random(N_POINTS, seed) - middle

    def values_at(points: FloatArray) -> FloatArray:
        values = checks.real_array("f", f(points + middle))
        if values.ndim != 2 or len(values) != len(points) or not values.shape[1]:
            raise InputError(f"f: expected values of shape ({len(points)}, m), got {values.shape}")
        if not np.isfinite(values).all():
            raise InputError("f: expected finite values in the domain, got NaN or infinity")
        return values

    values = values_at(offsets)
    scale = np.maximum(np.linalg.norm(values, axis=0), np.finfo(np.float64).tiny)
    found = []
    for g in domain.symmetries():
        image = values_at(g(offsets))
        even, odd = (np.linalg.norm(image - chi * values, axis=0) / scale for chi in (1, -1))
        error = float(np.minimum(even, odd).max())
        if error <= tolerance:
            character = tuple(1 if is_even else -1 for is_even in even <= odd)
            found.append(FoundSymmetry(Symmetry(g, character), g.describe(domain.coords), error))
    return sorted(found, key=lambda match: match.error)


def structure_symmetries(structure: Structure, coords: Sequence[str], *, seed: int = 0) -> list[FoundSymmetry]:
    """Symmetries about its centre that every network of the structure has, whatever its parameters.

    Tested with random parameters at width 3: an accidental symmetry then has probability zero.
    """
    return _symmetries_of(_random_network(structure, coords, seed), coords, seed)


def field_symmetries(
    structure: Structure, coords: Names, fields: Names, *, seed: int = 0
) -> dict[str, list[FoundSymmetry]]:
    """Symmetries about its centre that a structure gives each field by itself, in all of its networks.

    A field may have more of them than all fields have together: in a `direct_sum` each has those of its part.

    Args:
        coords, fields: names of inputs, up to 4, and of outputs.
        seed: of the random parameters and points at which it is seen.

    Raises:
        InputError: more than 4 inputs, or other numbers of names than the structure has inputs and outputs.
    """
    coords, fields = split_names(coords, "coords"), split_names(fields, "fields")
    if not isinstance(structure, Structure):
        raise InputError(f"structure: expected a Structure, got {short(structure)}")
    if len(fields) != structure.n_outputs:
        raise InputError(f"fields: expected {structure.n_outputs} names, got {list(fields)}")
    network = _random_network(structure, coords, seed)

    def one(output: int) -> Callable[[FloatArray], FloatArray]:
        return lambda points: network(points)[:, output : output + 1]

    return {field: _symmetries_of(one(output), coords, seed) for output, field in enumerate(fields)}


def _symmetries_of(
    network: Callable[[FloatArray], FloatArray], coords: Sequence[str], seed: int
) -> list[FoundSymmetry]:
    return find_symmetries(network, Box(**dict.fromkeys(coords, (-1.0, 1.0))), tolerance=1e-9, seed=seed)


def _random_network(structure: Structure, coords: Sequence[str], seed: int) -> Callable[[FloatArray], FloatArray]:
    """One of the structure's, about the origin."""
    if len(coords) != structure.n_inputs:
        raise InputError(f"coords: expected {structure.n_inputs} names, got {len(coords)}")
    wide = structure.plain.with_width(3)
    theta = torch.randn(wide.n_parameters, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    layers = [(weight.numpy(), bias.numpy()) for weight, bias in wide.expand(theta)]
    activation = activation_of(structure.activation)

    def network(points: FloatArray) -> FloatArray:
        h = points
        for weight, bias in layers[:-1]:
            h = activation.value(torch.from_numpy(h @ weight.T + bias)).numpy()
        weight, bias = layers[-1]
        return np.asarray(h @ weight.T + bias, dtype=np.float64)

    return network
