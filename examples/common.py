"""What the studies share: their options, angles between gradients, the file their picture goes to."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from psinn_fast import PsiMLP, Regularizer, get_backend
from psinn_fast.kernels.contract import Term

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = Path(__file__).parents[1] / "docs" / "studies"
NONE = torch.empty(0, dtype=torch.float64)


def parser(module: str, doc: str | None) -> argparse.ArgumentParser:
    """``--quick``, ``--out`` and ``--threads``; the picture's default place is docs/studies."""
    parser = argparse.ArgumentParser(prog=f"python -m examples.{module}", description=doc)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all")
    parser.add_argument("--out", type=Path, default=PICTURES / f"{module}.png", help="the picture")
    parser.add_argument("--threads", type=int, default=2)
    return parser


def save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


def new_figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def weights_only(net: PsiMLP, theta: Tensor) -> Tensor:
    """The entries of theta that are weights: penalties leave biases free."""
    return torch.cat([theta[part] for part in net.plan.weight_slices])


def angle(a: Tensor, b: Tensor) -> float:
    """Degrees between two vectors; 90 where one of them is zero. Above 90, a step along -a raises what b belongs to."""
    a, b = a.double(), b.double()
    size = float(a.norm() * b.norm())
    return math.degrees(math.acos(max(-1.0, min(1.0, float(a @ b) / size)))) if size else 90.0


def conflict(net: PsiMLP, theta: Tensor, terms: list[Term], weights: Tensor, regularizer: Regularizer) -> float:
    """Angle between the gradients of a loss and of a penalty, over the weights."""
    loss = get_backend().loss_and_gradient(net.plan, theta, NONE.to(theta), terms, weights).theta
    penalty = regularizer.value_and_gradient(net.plan, theta)[1]
    return angle(weights_only(net, loss), weights_only(net, penalty))
