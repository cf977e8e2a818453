"""Which signed permutations of the inputs map a function to plus or minus itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ..kernels import checks
from ..kernels.errors import InputError
from ..structure import Structure
from ..symmetry import Symmetry, maps_of_box

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
    f: Callable[[FloatArray], FloatArray],
    coords: Sequence[str],
    *,
    centre: Sequence[float] | None = None,
    half_widths: Sequence[float] | None = None,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> list[FoundSymmetry]:
    """Test every signed permutation of the inputs, the identity excluded, on random points of a box.

    A map counts when ||f_k(g x) - chi_k f_k(x)|| <= tolerance ||f_k(x)|| for every output k. Maps that do not take
    the box to itself (a swap of unequal sides) are not tried: f may mean nothing outside.

    Args:
        f: takes points (N, d), gives values (N, m).
        coords: names of the d <= 4 inputs.
        centre: centre of the box, default the origin.
        half_widths: half the sides of the box, default 1 each.
        tolerance: relative.
        seed: of the points.

    Returns:
        What was found, by ascending error.

    Raises:
        InputError: more than 4 inputs, lengths that do not fit, or values of the wrong shape or not finite.
    """
    d = len(coords)
    if not 1 <= d <= 4:
        raise InputError(f"coords: expected 1 to 4 inputs, got {d}")
    tolerance, seed = checks.number("tolerance", tolerance, above=0), checks.seed("seed", seed)
    middle = _vector("centre", centre, d, 0.0)
    sides = _vector("half_widths", half_widths, d, 1.0)
    if not (sides > 0).all():
        raise InputError(f"half_widths: expected positive numbers, got {sides.tolist()}")
    offsets = np.random.default_rng(seed).uniform(-1, 1, (N_POINTS, d)) * sides

    def values_at(points: FloatArray) -> FloatArray:
        values = checks.real_array("f", f(points + middle))
        if values.ndim != 2 or len(values) != len(points) or not values.shape[1]:
            raise InputError(f"f: expected values of shape ({len(points)}, m), got {values.shape}")
        if not np.isfinite(values).all():
            raise InputError("f: expected finite values in the box, got NaN or infinity")
        return values

    values = values_at(offsets)
    scale = np.maximum(np.linalg.norm(values, axis=0), np.finfo(np.float64).tiny)
    found = []
    for g in maps_of_box(sides):
        image = values_at(g(offsets))
        even, odd = (np.linalg.norm(image - chi * values, axis=0) / scale for chi in (1, -1))
        error = float(np.minimum(even, odd).max())
        if error <= tolerance:
            character = tuple(1 if is_even else -1 for is_even in even <= odd)
            found.append(FoundSymmetry(Symmetry(g, character), g.describe(coords), error))
    return sorted(found, key=lambda match: match.error)


def structure_symmetries(structure: Structure, coords: Sequence[str], *, seed: int = 0) -> list[FoundSymmetry]:
    """Symmetries about its centre that every network of the structure has, whatever its parameters.

    Tested with random parameters at width 3: an accidental symmetry then has probability zero.
    """
    if len(coords) != structure.n_inputs:
        raise InputError(f"coords: expected {structure.n_inputs} names, got {len(coords)}")
    wide = structure.plain.with_width(3)
    theta = torch.randn(wide.n_parameters, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    layers = [(weight.numpy(), bias.numpy()) for weight, bias in wide.expand(theta)]

    def network(points: FloatArray) -> FloatArray:
        h = points
        for weight, bias in layers[:-1]:
            h = np.tanh(h @ weight.T + bias)
        weight, bias = layers[-1]
        return np.asarray(h @ weight.T + bias, dtype=np.float64)

    return find_symmetries(network, coords, tolerance=1e-9, seed=seed)


def _vector(name: str, given: Sequence[float] | None, d: int, default: float) -> FloatArray:
    vector = np.full(d, default) if given is None else checks.real_array(name, given)
    if vector.shape != (d,) or not np.isfinite(vector).all():
        raise InputError(f"{name}: expected {d} finite numbers, got {given}")
    return vector
