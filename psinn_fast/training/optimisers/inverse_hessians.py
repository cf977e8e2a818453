"""What quasi-Newton methods keep of the curvature: an approximation H of the inverse Hessian, learnt from steps.

A step s that changes the gradient by y says that H y = s. H is symmetric, and positive definite as long as every
y . s > 0. On any device, in float32 and float64; the identity at first.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...storage import entries
from ..checkpoint import Expectations, Expected


class InverseHessian(ABC):
    """H (n, n), by what it does."""

    @abstractmethod
    def times(self, gradient: Tensor) -> Tensor:
        """H g (n,)."""

    @abstractmethod
    def learn(self, step: float, s: Tensor, y: Tensor) -> None:
        """Take the pair s = -step H g (n,), of the g that `times` was given last, and y (n,), with y . s > 0."""

    @abstractmethod
    def forget(self) -> None:
        """H is the identity again."""

    @property
    @abstractmethod
    def is_blank(self) -> bool:
        """Whether nothing was learnt, not even how large H is."""

    @abstractmethod
    def saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and numbers (JSON) that `restore` takes."""

    @abstractmethod
    def expected(self) -> Expectations:
        """How these tensors look, and checks of the numbers."""

    @abstractmethod
    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Go on from where `saved` was called, to the last bit."""


class LimitedMemory(InverseHessian):
    """L-BFGS: the BFGS update (Nocedal & Wright 2006, 6.17) by the last m pairs, of gamma I.

    The two-loop recursion (Nocedal & Wright, algorithm 7.4) by products of matrices. Pairs are divided by
    sqrt(y . s), to which the update is indifferent; S and Y (k, n) hold them from the oldest to the newest, R is the
    upper triangle of S Y^T, with ones on its diagonal. Each loop is a triangular system of k:

        R u = S g,   q = gamma (g - Y^T u),   R^T w = u - Y q,   H g = q + S^T w,   gamma = 1 / y . y of the newest.

    The compact form (7.24) also needs Y Y^T, whose condition number is the square of Y's.

    Args:
        memory: m, pairs at most.
        like: (n,) a tensor of the variables' dtype and device.
    """

    def __init__(self, memory: int, like: Tensor) -> None:
        self._memory = memory
        # A ring: pair number i is in row i mod m. R is kept from the oldest to the newest.
        self._pairs = like.new_zeros(2, memory, like.numel())
        self._products = like.new_zeros(memory, memory)
        self._count = 0

    @property
    def is_blank(self) -> bool:
        return self._count == 0

    def forget(self) -> None:
        self._count = 0

    def times(self, gradient: Tensor) -> Tensor:
        if self.is_blank:
            return gradient
        k, oldest = self._sizes
        steps, changes, r = self._pairs[0, :k], self._pairs[1, :k], self._products[:k, :k]
        newest = changes[(self._count - 1) % self._memory]
        right = (steps @ gradient).roll(-oldest)
        u = torch.linalg.solve_triangular(r, right[:, None], upper=True, unitriangular=True)[:, 0]
        q = torch.addmv(gradient, changes.T, u.roll(oldest), alpha=-1) / (newest @ newest)
        right = u - (changes @ q).roll(-oldest)
        w = torch.linalg.solve_triangular(r.T, right[:, None], upper=False, unitriangular=True)[:, 0]
        return torch.addmv(q, steps.T, w.roll(oldest))

    def learn(self, step: float, s: Tensor, y: Tensor) -> None:
        if self._count >= self._memory:
            self._products[:-1, :-1] = self._products[1:, 1:].clone()
        row = self._count % self._memory
        size = 1 / math.sqrt(float(s @ y))
        torch.mul(s, size, out=self._pairs[0, row])
        torch.mul(y, size, out=self._pairs[1, row])
        self._count += 1
        k, oldest = self._sizes
        self._products[:k, k - 1] = (self._pairs[0, :k] @ self._pairs[1, row]).roll(-oldest)

    @property
    def _sizes(self) -> tuple[int, int]:
        """How many pairs there are, and the row of the oldest."""
        if self._count <= self._memory:
            return self._count, 0
        return self._memory, self._count % self._memory

    def saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {"pairs": self._pairs, "products": self._products}, {"pairs": self._count}

    def expected(self) -> Expectations:
        tensors = {"pairs": self._pairs, "products": self._products}
        shapes = {name: Expected(tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}
        return Expectations(shapes, {"pairs": entries.integer})

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        self._pairs.copy_(tensors["pairs"])
        self._products.copy_(tensors["products"])
        self._count = numbers["pairs"]


class SelfScaled(InverseHessian):
    """The self-scaled Broyden update (Al-Baali & Khalfan 2005; Urban, Stefanou & Pons 2025), of a dense matrix.

        H <- (H - H y (H y)^T / y . H y + phi v v^T) / tau + s s^T / y . s,
        v = sqrt(y . H y) (s / y . s - H y / y . H y)

    phi = tau = 1 is BFGS; `_tau_and_phi` has the choice of self-scaling.

    H = Z Z^T is kept as its factor Z (n, n): on these losses the condition number of H exceeds 1e16, where an H that is
    updated itself becomes indefinite. With t = -step Z^T g, e = Z^T y (s = Z t, y . s = t . e) and w = Z^-1 v,
    orthogonal to e, the update is Z M Z^T. M is I / tau but on the plane of e and w, where in their directions, with
    h = y . H y / y . s and a = |w|^2,

        M = [[1, sqrt(a)], [sqrt(a), a + h (1 + phi a) / tau]] / h,

    and its root is (M + sqrt(det M) I) / sqrt(tr M + 2 sqrt(det M)). So a step costs four products of Z with a vector
    and a change of Z by rank two.

    Args:
        like: (n,) a tensor of the variables' dtype and device.
    """

    def __init__(self, like: Tensor) -> None:
        self._n = like.numel()
        self._factor = torch.eye(self._n, dtype=like.dtype, device=like.device)
        self._half = like
        self._is_blank = True

    @property
    def is_blank(self) -> bool:
        return self._is_blank

    def forget(self) -> None:
        torch.eye(self._n, out=self._factor)
        self._is_blank = True

    def times(self, gradient: Tensor) -> Tensor:
        self._half = self._factor.T @ gradient
        return self._factor @ self._half

    def learn(self, step: float, s: Tensor, y: Tensor) -> None:
        t, e = -step * self._half, self._factor.T @ y
        te, size = torch.stack([t @ e, torch.linalg.vector_norm(e)]).tolist()
        if not te > 0:  # the pair is lost in the rounding of Z
            return
        self._is_blank = False
        along, across = e / size, t * (size / te) - e / size  # the latter is w
        root_a = float(torch.linalg.vector_norm(across))
        a, h = root_a**2, size * size / te
        tau, phi = _tau_and_phi(a, h, self._n)
        last = a / h + (1 + phi * a) / tau
        root = math.sqrt((1 + phi * a) / (tau * h))
        divisor, kept = math.sqrt(1 / h + last + 2 * root), 1 / math.sqrt(tau)
        mixed = root_a / h / divisor
        change = [[(1 / h + root) / divisor - kept, mixed], [mixed, (last + root) / divisor - kept]]
        ahead = self._factor @ along
        plane = torch.stack([along, across / root_a if root_a else across])
        moved = torch.stack([ahead, (s * (size / te) - ahead) / root_a if root_a else across])
        self._factor.addmm_(moved.T @ self._factor.new_tensor(change), plane, beta=kept)

    def saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {"factor": self._factor}, {"blank": self._is_blank}

    def expected(self) -> Expectations:
        factor = Expected(tuple(self._factor.shape), self._factor.dtype)
        return Expectations({"factor": factor}, {"blank": entries.boolean})

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        self._factor.copy_(tensors["factor"])
        self._is_blank = numbers["blank"]


def _tau_and_phi(a: float, h: float, n: int) -> tuple[float, float]:
    """Urban, Stefanou & Pons 2025, formulas 13 to 23, of a = b h - 1 with b = s . B s / y . s, B = H^-1.

    BFGS (1, 1) where s and H y are parallel.
    """
    if n == 1 or a < 1e-14:
        return 1.0, 1.0
    b = (1 + a) / h
    least = min(1.0, h * (1 - math.sqrt(a / (1 + a))))
    theta = max((least - 1) / a, min(1 / least, (1 - b) / b))
    sigma = 1 + a * theta
    tau = min(1.0, 1 / b) * sigma ** (-1 / (n - 1))
    tau = min(tau, sigma) if theta <= 0 else min(tau, min(1.0, 1 / b) / theta)
    return tau, (1 - theta) / sigma
