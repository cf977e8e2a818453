"""How symmetries of u act on its network: on the features of an embedding, and through an ansatz."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from ..domains import Domain
from ..kernels.errors import InputError
from ..kernels.language.channels import ChannelSet
from ..kernels.language.closed_form import ClosedForm
from ..kernels.network.ansatz import Ansatz, Known
from ..networks.groups import SignedPermutation, Symmetry, close_group, structure_from_group
from ..networks.structure import Structure

FloatArray = npt.NDArray[np.float64]
# Points at which functions are compared; what differs by less than this part of its largest value is equal, or by
# rounding errors of numbers that hardly vary.
_POINTS, _EQUAL, _ROUNDING = 128, 1e-9, 1e-13


@dataclass(frozen=True)
class Action:
    """What a map g of the coordinates does to a network: phi(g x) = P phi(x) + shift, d_f(g x) = signs_f d_f(x).

    Attributes:
        given: g, about the domain's centre.
        features: P.
        shift: one number per feature; what a centre c of the features takes away, (I - P) c.
        signs: of the factors of an ansatz, one per field; +1 without.
        offsets: per field, which signs the offset allows to u: (1, -1) where g_f is zero.
    """

    given: SignedPermutation
    features: SignedPermutation
    shift: tuple[float, ...]
    signs: tuple[int, ...]
    offsets: tuple[tuple[int, ...], ...]

    def of_network(self, character: Sequence[int]) -> Symmetry:
        """The symmetry that N has if u has these signs."""
        return Symmetry(self.features, tuple(a * b for a, b in zip(character, self.signs, strict=True)))

    def allows(self, character: Sequence[int]) -> bool:
        """Whether u has a symmetry where N has one with these signs."""
        return all(
            own in allowed for own, allowed in zip(self.of_fields(character).character, self.offsets, strict=True)
        )

    def of_fields(self, character: Sequence[int]) -> Symmetry:
        """The symmetry that u has if N has these signs."""
        return Symmetry(self.given, tuple(a * b for a, b in zip(character, self.signs, strict=True)))


def action_of(
    g: SignedPermutation, domain: Domain, embedding: ClosedForm | None, ansatz: Ansatz | None, n_fields: int
) -> Action:
    """
    Raises:
        InputError: the map makes of some feature none of the features, up to sign and a constant; it makes of an offset
            or a factor of the ansatz another function. The reason is in the message.
    """
    text = g.describe(domain.coords)
    points = np.array(domain.random(_POINTS, 0))
    images = domain.centre + g(points - domain.centre)
    features = embedding or ClosedForm.identity(len(domain.coords))
    p, shift = _on_features(text, _values(features, points), _values(features, images))
    for other in features.elsewhere:
        found, apart = _on_features(text, _values(other, points), _values(other, images))
        if found != p or not np.allclose(apart, shift, rtol=0, atol=_EQUAL):
            names = " and ".join(name for name, _ in other.unknown)
            raise InputError(f"embedding: what {text} makes of its features depends on {names}, which is to be found")
    signs: tuple[int, ...] = (1,) * n_fields
    offsets: tuple[tuple[int, ...], ...] = ((1, -1),) * n_fields
    if ansatz is not None:
        offsets = tuple(
            _parities(f"ansatz: field {f + 1}: its offset g is neither even nor odd under {text}", *columns)
            for f, columns in enumerate(_pairs(ansatz.offset, points, images))
        )
        factors = [
            _parities(f"ansatz: field {f + 1}: its factor d is neither even nor odd under {text}", *columns)
            for f, columns in enumerate(_pairs(ansatz.factor, points, images))
        ]
        signs = tuple(own[0] for own in factors)
    return Action(g, p, shift, signs, offsets)


def centre_of_features(actions: Sequence[Action], near: FloatArray | None = None) -> tuple[float, ...]:
    """c with P c + shift = c for all of them, about which they act by P alone: the nearest one to ``near``, or to 0.

    Raises:
        InputError: there is none.
    """
    n = actions[0].features.size
    matrices = [np.eye(n) - action.features(np.eye(n)).T for action in actions]
    shifts, stacked = np.concatenate([action.shift for action in actions]), np.concatenate(matrices)
    start = np.zeros(n) if near is None else near
    centre = start + np.linalg.lstsq(stacked, shifts - stacked @ start, rcond=None)[0]
    size = max(1.0, float(abs(shifts).max()))
    if not (abs(stacked @ centre - shifts) <= _EQUAL * size).all():
        raise InputError("embedding: the maps have no common centre among its features")
    return tuple(float(value) for value in np.where(abs(centre) <= _EQUAL * size, 0.0, centre))


def symmetries_of_network(
    symmetries: Sequence[Symmetry], domain: Domain, embedding: ClosedForm | None, ansatz: Ansatz | None
) -> tuple[tuple[Symmetry, ...], tuple[float, ...]]:
    """What N has to have so that u = g + d N(phi) has the given symmetries, and the centre of the features.

    Maps that change no feature are left out: N has these symmetries by itself.

    Raises:
        InputError: what an embedding or ansatz does not allow; the reason is in the message.
    """
    found, actions = list[Symmetry](), list[Action]()
    for symmetry in symmetries:
        text = symmetry.map.describe(domain.coords)
        action = action_of(symmetry.map, domain, embedding, ansatz, len(symmetry.character))
        for f, (sign, allowed) in enumerate(zip(symmetry.character, action.offsets, strict=True)):
            if sign not in allowed:
                is_even = "even" if allowed[0] > 0 else "odd"
                raise InputError(
                    f"ansatz: field {f + 1}: its offset g is {is_even} under {text}, where u should have the sign "
                    f"{sign:+d}"
                )
        own = action.of_network(symmetry.character)
        if own.map == SignedPermutation.identity(own.map.size):
            if min(own.character) < 0:
                raise InputError(
                    f"embedding: {text} changes no feature, so a network with the signs {list(symmetry.character)} "
                    "under it would be zero; add a feature that is odd"
                )
            continue
        found.append(own)
        actions.append(action)
    if found:
        close_group(found)  # or the signs contradict each other
    if embedding is None:
        return tuple(found), tuple(domain.centre.tolist())
    return tuple(found), centre_of_features(actions) if actions else ()


def structure_with_ends(
    symmetries: Sequence[Symmetry],
    domain: Domain,
    ends: Structure,
    hidden: Sequence[int],
    representation: str = "regular",
    name: str | None = None,
) -> Structure:
    """`structure_from_group` with the embedding and ansatz of ``ends``, for symmetries of u about the domain's centre.

    Raises:
        InputError: see `symmetries_of_network`, `structure_from_group`.
    """
    embedding, ansatz = ends.embedding, ends.ansatz
    if not ends.has_ends:
        return structure_from_group(symmetries, hidden, representation, name, tuple(domain.centre.tolist()))
    own, centre = symmetries_of_network(symmetries, domain, embedding, ansatz)
    if own:
        found = structure_from_group(own, hidden, representation, name, centre)
    else:
        found = Structure.dense((ends.n_features, *hidden, ends.n_outputs), name or "dense")
    return replace(found, embedding=embedding, ansatz=ansatz)


def _on_features(text: str, own: FloatArray, image: FloatArray) -> tuple[SignedPermutation, tuple[float, ...]]:
    """P and the shift, from features (N, m) at points and their images."""
    middle, moved = own.mean(0), image.mean(0)
    a, b = image - moved, own - middle
    squares, products = (b**2).sum(0), a.T @ b
    taken = np.zeros(own.shape[1], dtype=bool)
    permutation, signs, shift = list[int](), list[int](), list[float]()
    for i in range(own.shape[1]):
        apart = np.where(taken, np.inf, squares - 2 * abs(products[i]))
        j = int(apart.argmin())
        sign = 1 if products[i, j] >= 0 else -1
        rounding = _ROUNDING * max(abs(image[:, i]).max(), abs(own[:, j]).max())
        if not abs(a[:, i] - sign * b[:, j]).max() <= _EQUAL * abs(a[:, i]).max() + rounding:
            raise InputError(
                f"embedding: {text} makes of feature {i + 1} none of the features, up to sign and a constant, so no "
                "relation of the network gives u this symmetry; waves are even or odd about the domain's centre if "
                "this is their origin"
            )
        taken[j] = True
        permutation.append(j)
        signs.append(sign)
        shift.append(float(moved[i] - sign * middle[j]))
    return SignedPermutation(tuple(permutation), tuple(signs)), tuple(shift)


def _parities(reason: str, own: FloatArray, image: FloatArray) -> tuple[int, ...]:
    """The signs with which a function (N,) equals its image."""
    size = _EQUAL * abs(own).max()
    found = tuple(sign for sign in (1, -1) if (abs(image - sign * own) <= size).all())
    if not found:
        raise InputError(f"{reason}, so no relation of the network gives u this symmetry")
    return found


def _pairs(known: Known, points: FloatArray, images: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
    return list(zip(_values(known, points).T, _values(known, images).T, strict=True))


def _values(known: Known, points: FloatArray) -> FloatArray:
    value = ChannelSet.closure(points.shape[1], ())
    return np.asarray(known.jets(torch.from_numpy(np.array(points)), value)[0].numpy(), dtype=np.float64)
