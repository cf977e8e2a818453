"""From a student's dense weights to the structure they show, with no human in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..kernels import checks
from ..kernels.errors import InputError, PsinnFastError
from ..kernels.network.symbols import SymbolLayer, renumber
from ..networks.structure import Structure
from .clustering import Clusters, FloatArray, IntArray, cluster_magnitudes
from .relations import describe_relations

Layer = tuple[FloatArray, FloatArray]


class DiscoveryError(PsinnFastError):
    """A network from which no structure can be read; the message says why and what to change."""


@dataclass(frozen=True, eq=False)
class Extraction:
    """What a student's weights say.

    Attributes:
        structure: the relations, with blocks of size 1; `Structure.with_width` scales them.
        weights: (W, b) per layer of the clustered network: every entry 0 or plus or minus its cluster's centre.
        simplified: (W, b) per layer after merging and dropping neurons, but before tying: a start for converging the
            smaller student further.
        clusters: per layer, clusters of the weights and of the biases of the simplified network.
        relations: readable lines, see `describe_relations`.
        copies: per hidden layer, how many neurons of the student each neuron stands for.
        n_dead: neurons dropped because they feed nothing.
        n_constant: neurons dropped because nothing feeds them; their value went into the next bias.
        n_merged: neurons dropped because they equal another one up to sign.
    """

    structure: Structure
    weights: tuple[Layer, ...]
    simplified: tuple[Layer, ...]
    clusters: tuple[tuple[Clusters, Clusters], ...]
    relations: tuple[str, ...]
    copies: tuple[FloatArray, ...]
    n_dead: int
    n_constant: int
    n_merged: int

    @property
    def theta(self) -> Tensor:
        """The independent parameters (float64) with which `structure` expands to `weights`."""
        tied = [(torch.as_tensor(weight), torch.as_tensor(bias)) for weight, bias in self.weights]
        signs = [(weight.sign(), bias.sign()) for weight, bias in tied]
        # R^T w counts each parameter as often as it occurs; R^T sign(w) is that count, up to the parameter's sign.
        return self.structure.expand_adjoint(tied) / self.structure.expand_adjoint(signs).abs()


def extract_structure(
    weights: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]],
    threshold: float = 0.1,
    name: str = "discovered",
    copies: Sequence[npt.ArrayLike] | None = None,
) -> Extraction:
    """Cluster, simplify and read off the relations of a tanh network.

    Every tensor is clustered by itself (`cluster_magnitudes`). Then, one change at a time and with new clusters after
    each, until nothing changes:

    1. neurons with the same symbols up to sign, bias included, become one (tanh is odd): rows are averaged, columns
       of the next layer summed with the signs;
    2. a neuron whose incoming symbols are all zero is the constant tanh(b): folded into the next bias;
    3. a neuron whose outgoing symbols are all zero is dropped.

    Copies are merged first and from the input on, because the student splits one weight among the copies of a neuron:
    each share may look like zero, the sum does not. Last, each neuron's free sign is chosen so that its first
    weight is positive (equal and flipped rows then show), and neurons with the same magnitudes become neighbours.

    Small neurons work in the linear range of tanh, where copies may drift apart at no cost. So after a simplification
    it pays to converge the student again, starting from `Extraction.simplified`, and to extract once more.

    None of this can lose a symmetry that the clusters have: a symmetry acts on the neurons by signed permutations,
    which map clusters, copies, constants and dead neurons to their like, and a choice of signs or order only
    conjugates it. A larger threshold ties more and loses accuracy; a smaller one splits what should be equal, and
    only that breaks symmetries.

    Args:
        weights: (W, b) per layer, W of shape (n_out, n_in), inputs first; the last layer is linear.
        threshold: cut distance of the clustering.
        name: of the structure.
        copies: per hidden layer, how many neurons each one already stands for; None: one each.

    Raises:
        InputError: shapes that do not fit, NaN or infinity, or a bad threshold.
        DiscoveryError: a hidden layer has no neuron left.

    Source: Liu et al. 2025, doi 10.1038/s41467-025-64624-3; there this step was done by hand.
    """
    threshold = checks.number("threshold", threshold, above=0)
    layers = _checked(weights)
    network = _Network(layers, threshold, _checked_copies(copies, layers))
    while network.merge_copies() or network.fold_constants() or network.drop_dead():
        pass
    network.arrange()
    clusters = network.clusters()
    structure = Structure(
        tuple(
            SymbolLayer.of(renumber(weight.symbols.tolist()), renumber([bias.symbols.tolist()])[0])
            for weight, bias in clusters
        ),
        name,
    )
    return Extraction(
        structure,
        tuple((weight.tied, bias.tied) for weight, bias in clusters),
        tuple(network.layers),
        clusters,
        describe_relations(structure),
        tuple(network.copies),
        network.n_dead,
        network.n_constant,
        network.n_merged,
    )


class _Network:
    """The weights while they are being simplified. Each step returns whether it changed anything."""

    def __init__(self, layers: list[Layer], threshold: float, copies: list[FloatArray]) -> None:
        self.layers = layers
        self.copies = copies
        self.threshold = threshold
        self.n_dead = self.n_constant = self.n_merged = 0

    def symbols(self, layer: int) -> tuple[IntArray, IntArray]:
        weight, bias = self.layers[layer]
        return cluster_magnitudes(weight, self.threshold).symbols, cluster_magnitudes(bias, self.threshold).symbols

    def clusters(self) -> tuple[tuple[Clusters, Clusters], ...]:
        return tuple(
            (cluster_magnitudes(weight, self.threshold), cluster_magnitudes(bias, self.threshold))
            for weight, bias in self.layers
        )

    def merge_copies(self) -> bool:
        for number in range(len(self.layers) - 1):
            weight_symbols, bias_symbols = self.symbols(number)
            signs = _leading_signs(weight_symbols)
            copies: dict[tuple[int, ...], list[int]] = {}
            for i in np.flatnonzero(signs):
                row = (*(signs[i] * weight_symbols[i]).tolist(), int(signs[i] * bias_symbols[i]))
                copies.setdefault(row, []).append(int(i))
            groups = [*copies.values(), *([int(i)] for i in np.flatnonzero(signs == 0))]
            if len(groups) < len(signs):
                mix = np.zeros((len(groups), len(signs)))
                for row_index, group in enumerate(sorted(groups)):
                    mix[row_index, group] = np.where(signs[group] == 0, 1, signs[group])
                average = mix * self.copies[number]
                average /= np.abs(average).sum(axis=1, keepdims=True)
                self.n_merged += len(signs) - len(groups)
                self._transform(number, average, mix.T)
                return True
        return False

    def fold_constants(self) -> bool:
        for number in range(len(self.layers) - 1):
            constant = (self.symbols(number)[0] == 0).all(axis=1)
            if constant.any():
                feeds = self.symbols(number + 1)[0][:, constant].any(axis=0)
                weight, bias = self.layers[number + 1]
                values = np.tanh(self.layers[number][1][constant])
                self.layers[number + 1] = (weight, bias + weight[:, constant] @ values)
                self.n_constant += int(feeds.sum())
                self.n_dead += int((~feeds).sum())
                self._keep(number, ~constant, "nothing feeds them")
                return True
        return False

    def drop_dead(self) -> bool:
        for number in range(len(self.layers) - 1):
            dead = (self.symbols(number + 1)[0] == 0).all(axis=0)
            if dead.any():
                self.n_dead += int(dead.sum())
                self._keep(number, ~dead, "they feed nothing")
                return True
        return False

    def arrange(self) -> None:
        """Choose the free signs and the order of the hidden neurons."""
        for number in range(len(self.layers) - 1):
            symbols = self.symbols(number)[0]
            signs = _leading_signs(symbols)
            keys = [(sorted(row), row) for row in np.abs(symbols).tolist()]
            order = sorted(range(len(keys)), key=keys.__getitem__)
            mix = np.diag(signs.astype(np.float64))[order]
            self._transform(number, mix, mix.T)

    def _keep(self, number: int, kept: npt.NDArray[np.bool_], why: str) -> None:
        if not kept.any():
            raise DiscoveryError(
                f"hidden layer {number + 1}: no neuron is left, at threshold {self.threshold:g} {why}. The student "
                "has collapsed or the threshold is too large; use less regularisation or a smaller threshold"
            )
        select = np.eye(len(kept))[kept]
        self._transform(number, select, select.T)

    def _transform(self, number: int, incoming: FloatArray, outgoing: FloatArray) -> None:
        weight, bias = self.layers[number]
        after, after_bias = self.layers[number + 1]
        self.layers[number] = (incoming @ weight, incoming @ bias)
        self.layers[number + 1] = (after @ outgoing, after_bias)
        self.copies[number] = np.abs(outgoing.T) @ self.copies[number]


def _leading_signs(symbols: IntArray) -> IntArray:
    """Sign of each row's first non-zero symbol; 0 for a zero row."""
    first = (symbols != 0).argmax(axis=1)
    signs: IntArray = np.sign(symbols[np.arange(len(symbols)), first])
    return signs


def _checked(weights: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]]) -> list[Layer]:
    layers: list[Layer] = []
    for number, (weight, bias) in enumerate(weights):
        w, b = np.asarray(weight, dtype=np.float64), np.asarray(bias, dtype=np.float64)
        if w.ndim != 2 or 0 in w.shape or b.shape != w.shape[:1]:
            raise InputError(
                f"weights[{number}]: expected W (n_out, n_in) and b (n_out,), got shapes {w.shape} and {b.shape}"
            )
        if layers and len(layers[-1][1]) != w.shape[1]:
            raise InputError(
                f"weights[{number}]: takes {w.shape[1]} values, but the layer before gives {len(layers[-1][1])}"
            )
        layers.append((w, b))
    if not layers:
        raise InputError("weights: expected at least one (W, b), got none")
    return layers


def _checked_copies(copies: Sequence[npt.ArrayLike] | None, layers: Sequence[Layer]) -> list[FloatArray]:
    sizes = [len(bias) for _, bias in layers[:-1]]
    if copies is None:
        return [np.ones(n) for n in sizes]
    counts = [np.asarray(count, dtype=np.float64) for count in copies]
    if [count.shape for count in counts] != [(n,) for n in sizes] or any((count <= 0).any() for count in counts):
        raise InputError(f"copies: expected positive counts of shapes {[(n,) for n in sizes]}, got {copies!r}")
    return counts
