"""Hierarchical clustering of the magnitudes of one weight tensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage

from ..kernels import checks
from ..kernels.errors import InputError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Clusters:
    """Clusters of |w|: w ~ sign(symbols) * centres[|symbols| - 1], and 0 where the symbol is 0.

    Attributes:
        labels: shape of the tensor; 0 is the zero cluster, 1, 2, ... the others by ascending centre.
        centres: mean |w| of clusters 1, 2, ....
        symbols: labels with the signs of the entries put back.
    """

    labels: IntArray
    centres: FloatArray
    symbols: IntArray

    @property
    def tied(self) -> FloatArray:
        """The tensor with every entry replaced by its signed centre."""
        centres = np.concatenate([[0.0], self.centres])
        tied: FloatArray = np.sign(self.symbols) * centres[self.labels]
        return tied


def cluster_magnitudes(values: npt.ArrayLike, threshold: float = 0.1) -> Clusters:
    """Cluster |w| by Ward linkage, cut at a distance.

    Two clusters of n1 and n2 entries merge while sqrt(2 n1 n2 / (n1 + n2)) |mean1 - mean2| <= threshold, closest
    first. The value 0 takes part as one more entry, and what ends up in its cluster is zero: so a lone weight vanishes
    when |w| <= threshold, the same distance at which two lone weights are tied, and many equal small weights, being
    better evidence of a value, survive below it. One rule serves zeros and ties, and no weight's sign enters it.

    Args:
        values: weights of one tensor, any shape with at least one entry.
        threshold: cut distance, positive; 0.1 in the paper.

    Raises:
        InputError: no entries, NaN or infinity, or a threshold that is not positive and finite.

    Source: Liu et al. 2025, doi 10.1038/s41467-025-64624-3 (Ward linkage, centre = mean |w|).
    """
    weights = np.asarray(values, dtype=np.float64)
    if weights.size == 0:
        raise InputError(f"values: expected at least one weight, got shape {weights.shape}")
    n_bad = int(np.count_nonzero(~np.isfinite(weights)))
    if n_bad:
        raise InputError(f"values: expected finite weights, got {n_bad} NaN or infinite of {weights.size}")
    threshold = checks.number("threshold", threshold, above=0)
    magnitudes = np.append(np.abs(weights).ravel(), 0.0)
    found = fcluster(linkage(magnitudes[:, None], method="ward"), t=threshold, criterion="distance")
    kinds, inverse = np.unique(found, return_inverse=True)
    means = np.bincount(inverse, weights=magnitudes) / np.bincount(inverse)
    zero = inverse[-1]
    others = sorted((k for k in range(len(kinds)) if k != zero), key=lambda k: float(means[k]))
    rename = np.zeros(len(kinds), dtype=np.int64)
    rename[others] = np.arange(1, len(others) + 1)
    labels = rename[inverse[:-1]].reshape(weights.shape)
    return Clusters(labels, means[others], labels * np.sign(weights).astype(np.int64))
