"""The student's weight penalty, in the parameters of a smaller network that stands for the whole student."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..kernels.language.regularizer import Regularizer
from ..networks.structure import Structure

FloatArray = npt.NDArray[np.float64]
# Norms are sqrt(n^2 + this^2) - this: smooth where a layer, column or weight becomes zero.
_SMOOTH = {"l2": 1e-6, "l1": 1e-4, "growl": 1e-4}


class Penalty:
    """sum_g scale_g ||w||_g, a sum of norms ||w||_g = sqrt(sum_k C_gk theta_k^2), for all kinds of `Regularizer`.

    The network may be tied, and each hidden neuron j may stand for m_j equal neurons of the student, which share its
    outgoing weights: W_ij is then m_i m_j entries W_ij / m_j. So the penalty is the one that the student, all of its
    neurons and weights written out, would have under those ties, and losses may be compared between students that
    are tied in different ways.

        l2     a group is a layer's W, C_gk the sum of m_i / m_j over the entries (i, j) with symbol k
        l1     a group is a parameter, scale_k the sum of m_i
        growl  a group is a column, its C_gk summing m_i / m_j^2; scale_g sums lambda over its m_j ranks

    Args:
        copies: m_j per hidden layer; they need not be integers.
    """

    def __init__(self, regularizer: Regularizer, structure: Structure, copies: Sequence[FloatArray]) -> None:
        counts = [np.ones(structure.n_features), *copies, np.ones(structure.n_outputs)]
        self._kind, self._smooth = regularizer.kind, _SMOOTH[regularizer.kind]
        self._strength = regularizer.strength
        groups, scales = [], []
        self._columns: list[FloatArray] = []
        for number, (m_in, m_out) in enumerate(pairwise(counts)):
            uses = abs(structure.relation_matrix(number)).tocsr()
            entries = np.broadcast_to(m_out[:, None], (len(m_out), len(m_in)))
            if regularizer.kind == "l2":
                groups.append((uses.T @ (entries / m_in).ravel())[None])
                scales.append(np.ones(1))
            elif regularizer.kind == "l1":
                weighed = uses.T @ entries.ravel()
                used = np.flatnonzero(weighed)
                groups.append(np.eye(structure.n_parameters)[used])
                scales.append(weighed[used])
            else:
                of_column = np.eye(len(m_in))[:, None] * (entries / m_in**2)
                groups.append(of_column.reshape(len(m_in), -1) @ uses.toarray())
                scales.append(np.ones(len(m_in)))
                self._columns.append(m_in)
        self._groups = torch.from_numpy(np.concatenate(groups))
        self._scales = torch.from_numpy(np.concatenate(scales)) * self._strength

    def value_and_gradient(self, theta: Tensor) -> tuple[float, Tensor]:
        norms = self._norms(theta)
        scales = self._ranked(norms)
        return float(scales @ (norms - self._smooth)), theta * ((scales / norms) @ self._groups)

    def hessian(self, theta: Tensor, *, convex: bool) -> Tensor:
        """Second derivatives, positive semidefinite.

        ``convex``: for l1 and growl, those of the quadratic that touches the norms from above at theta, as in
        iteratively reweighted least squares. Their own are zero beside a kink and would send steps across it.
        """
        norms = self._norms(theta)
        scales = self._ranked(norms)
        hessian = torch.diag((scales / norms) @ self._groups)
        if self._kind == "l2" or not convex:
            arms = self._groups * theta
            hessian -= (arms * (scales / norms**3)[:, None]).T @ arms
        return hessian

    def _norms(self, theta: Tensor) -> Tensor:
        return (self._groups @ theta.square() + self._smooth**2).sqrt()

    def _ranked(self, norms: Tensor) -> Tensor:
        """scale_g; for growl the mean of lambda_i = (p - i + 1) / p over a column's ranks, times their number."""
        if self._kind != "growl":
            return self._scales
        parts, start = [], 0
        for copies in self._columns:
            order = np.argsort(-norms[start : start + len(copies)].numpy(), kind="stable")
            before = np.cumsum(copies[order]) - copies[order]
            total, scale = copies.sum(), np.empty(len(copies))
            scale[order] = copies[order] * (total - before - (copies[order] - 1) / 2) / total
            parts.append(scale)
            start += len(copies)
        return self._scales * torch.from_numpy(np.concatenate(parts))
