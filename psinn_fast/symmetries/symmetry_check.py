"""Which signed permutations of the inputs map a function to plus or minus itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from ..domains import Box, Domain
from ..kernels import checks
from ..kernels.errors import InputError, short
from ..kernels.language.channels import ChannelSet
from ..kernels.language.closed_form import ClosedForm
from ..kernels.network.ansatz import Known
from ..language.names import Names, split_names
from ..networks.by_torch import by_torch
from ..networks.groups import Symmetry
from ..networks.structure import Structure
from ..scaling.frames import in_frame

FloatArray = npt.NDArray[np.float64]
N_POINTS = 256
# What networks have whatever their weights, they have to rounding errors.
_ALWAYS = 1e-9


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        return f"{self.text} ({self.symmetry.parity}) to {self.error:.1e}"


def find_symmetries(
    f: Callable[[FloatArray], FloatArray], domain: Domain, *, tolerance: float = 1e-3, seed: int = 0
) -> list[FoundSymmetry]:
    """Test every signed permutation about the domain's centre that takes the domain to itself, at random points of it.

    A map counts when ||f_k(g x) - chi_k f_k(x)|| <= tolerance ||f_k(x)|| for every output k. Maps that do not take
    the domain to itself (a swap of unequal sides) are not tried: f may mean nothing outside.

    Args:
        f: takes points (N, d), gives values (N, m).
        domain: of more than 4 coordinates only reflections are tried.
        tolerance: relative.
        seed: of the points.

    Returns:
        What was found, by ascending error.

    Raises:
        InputError: values of the wrong shape or not finite.
    """
    d = len(domain.coords)
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


def structure_symmetries(
    structure: Structure, coords: Sequence[str], *, domain: Domain | None = None, seed: int = 0
) -> list[FoundSymmetry]:
    """Symmetries about its centre that every network of the structure has, whatever its parameters.

    Tested with random parameters at width 3: an accidental symmetry then has probability zero. With an embedding or an
    ansatz they are those of u as a function of the coordinates, about the centre of the ``domain``.

    Raises:
        InputError: an embedding or ansatz, and no domain.
    """
    return _symmetries_of(structure, coords, range(structure.n_outputs), domain, seed)


def field_symmetries(
    structure: Structure, coords: Names, fields: Names, *, domain: Domain | None = None, seed: int = 0
) -> dict[str, list[FoundSymmetry]]:
    """Symmetries about its centre that a structure gives each field by itself, in all of its networks.

    A field may have more of them than all fields have together: in a `direct_sum` each has those of its part.

    Args:
        coords, fields: names of inputs and of outputs.
        domain: for a structure with an embedding or an ansatz, whose u has its symmetries about a domain's centre.
        seed: of the random parameters and points at which it is seen.

    Raises:
        InputError: other numbers of names than the structure has inputs and outputs; an embedding or ansatz, and no
            domain.
    """
    coords, fields = split_names(coords, "coords"), split_names(fields, "fields")
    if not isinstance(structure, Structure):
        raise InputError(f"structure: expected a Structure, got {short(structure)}")
    if len(fields) != structure.n_outputs:
        raise InputError(f"fields: expected {structure.n_outputs} names, got {list(fields)}")
    return {field: _symmetries_of(structure, coords, [output], domain, seed) for output, field in enumerate(fields)}


def _symmetries_of(
    structure: Structure, coords: Sequence[str], outputs: Sequence[int], domain: Domain | None, seed: int
) -> list[FoundSymmetry]:
    """Of some of a structure's outputs together."""
    if len(coords) != structure.n_inputs:
        raise InputError(f"coords: expected {structure.n_inputs} names, got {len(coords)}")
    picked, embedding, ansatz = list(outputs), structure.embedding, structure.ansatz
    network = _random_network(structure, seed)
    if not structure.has_ends:
        box = Box(**dict.fromkeys(coords, (-1.0, 1.0)))
        return find_symmetries(lambda points: network(points)[:, picked], box, tolerance=_ALWAYS, seed=seed)
    if domain is None or domain.coords != tuple(coords):
        raise InputError(
            f"domain: a structure with an embedding or an ansatz has symmetries about the centre of a domain; expected "
            f"one of the coordinates {list(coords)}, got {short(domain)}"
        )
    frame = in_frame(structure, domain)
    centre, scale = np.array(frame.centre), np.array(frame.input_scale)
    value = ChannelSet.closure(structure.n_inputs, ())

    def known(own: Known, points: FloatArray) -> FloatArray:
        return np.asarray(own.jets(torch.from_numpy(np.array(points)), value)[0].numpy(), dtype=np.float64)

    def changing(points: FloatArray, features: ClosedForm | None) -> FloatArray:
        """What weights change of u."""
        found = network(((points if features is None else known(features, points)) - centre) / scale)
        return (found if ansatz is None else known(ansatz.factor, points) * found)[:, picked]

    found = find_symmetries(partial(changing, features=embedding), domain, tolerance=_ALWAYS, seed=seed)
    for other in () if embedding is None else embedding.elsewhere:
        own = find_symmetries(partial(changing, features=other), domain, tolerance=_ALWAYS, seed=seed)
        kept = {match.symmetry for match in own}
        found = [match for match in found if match.symmetry in kept]
    if ansatz is None:
        return found
    points = np.array(domain.random(N_POINTS, seed))
    offset = known(ansatz.offset, points)[:, picked]

    def has_it(symmetry: Symmetry) -> bool:
        image = known(ansatz.offset, domain.centre + symmetry.map(points - domain.centre))[:, picked]
        return bool((abs(image - offset * symmetry.character).max(0) <= _ALWAYS * abs(offset).max(0)).all())

    return [match for match in found if has_it(match.symmetry)]


def _random_network(structure: Structure, seed: int) -> Callable[[FloatArray], FloatArray]:
    """One of the structure's N, about the origin of what its first layer acts on."""
    # Slopes make no other functions.
    wide = replace(structure.plain.without_slopes.with_width(3), embedding=None, ansatz=None)
    theta = torch.randn(wide.n_parameters, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))

    def network(points: FloatArray) -> FloatArray:
        return np.asarray(by_torch(wide, theta, torch.from_numpy(np.array(points))).numpy(), dtype=np.float64)

    return network
