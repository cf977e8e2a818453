"""Networks at points as users have them: NumPy in, NumPy out, some at a time, without a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy.typing as npt
import torch
from torch import Tensor

from ..kernels import checks
from ..kernels.errors import InputError

if TYPE_CHECKING:
    from .mlp import PsiMLP

# Numbers that one layer makes of the points taken at a time; 32 MB in float64.
_NUMBERS = 1 << 22


def at_points(
    net: PsiMLP,
    points: npt.ArrayLike | Tensor,
    compute: Callable[[Tensor], Tensor],
    n_values: int,
    n_channels: int = 1,
) -> npt.NDArray[Any] | Tensor:
    """``compute(x)``, of points (n, d) in the network's dtype and on its device, at points (..., d): (..., n_values).

    An array, or for a tensor a tensor on its device; of the network's dtype.

    Args:
        n_channels: how many derivatives it takes, itself included; with the widest layer that says how many points are
            taken at a time.

    Raises:
        InputError: points of another number of coordinates, complex, NaN, infinite, or so for the network's dtype; a
            tensor that requires grad.
    """
    if isinstance(points, Tensor) and points.requires_grad:
        raise InputError(
            "points: they require grad, and what is evaluated here has no graph; write points.detach(), or for "
            "gradients net(points) or pf.derivatives(net, points, ...)"
        )
    given, d, theta = checks.numbers("points", points), net.structure.n_inputs, net.theta
    if given.shape[-1:] != (d,):
        more = f"; write points[:, None] for {given.size} points" if d == 1 and given.ndim == 1 else ""
        raise InputError(f"points: expected shape (..., {d}), got {given.shape}{more}")
    flat = given.reshape(-1, d)
    rows = max(1, _NUMBERS // (n_channels * net.plan.widest))
    found = torch.empty(len(flat), n_values, dtype=theta.dtype, device="cpu")
    with torch.no_grad():
        for start in range(0, len(flat), rows):
            x = torch.tensor(flat[start : start + rows], dtype=theta.dtype, device=theta.device)
            if not bool(x.isfinite().all()):
                raise InputError(f"points: some are too large for {theta.dtype}, the network's dtype")
            found[start : start + rows] = compute(x)
    found = found.view(*given.shape[:-1], n_values)
    return found.to(points.device) if isinstance(points, Tensor) else found.numpy()
