"""PhysicsNeMo 2 as its documentation writes a PINN: a `PDE` of SymPy expressions, `PhysicsInformer`, a loop of torch's.

Settings: ``grad_method="autodiff"``, the only exact one on scattered points. The network is torch's, as PhysicsNeMo's
own needs torchvision, and does the same; Adam is torch's fused one. There are derivatives up to the second by x, y and
z, which stand for an equation's coordinates in their order.
"""

from __future__ import annotations

from typing import Any

import sympy
from physicsnemo.sym.eq.pde import PDE
from physicsnemo.sym.eq.phy_informer import PhysicsInformer
from torch import Tensor

from ..suite.case import Case, Data
from ..suite.contestant import NotServed
from ..suite.equations import Equation
from .torch_peers import TorchStep

NAMES, MOST_ORDER = "xyz", 2


class Posed(PDE):
    def __init__(self, equation: Equation) -> None:
        self.dim = len(equation.coordinates)
        symbols = sympy.symbols(list(NAMES[: self.dim]))
        u = sympy.Function("u")(*symbols)
        by_name = dict(zip(equation.coordinates, symbols, strict=True))
        found: dict[str, Any] = {"u": u, "lap": sum(u.diff(symbols[axis], 2) for axis in equation.space)}
        found |= {need: u.diff(*(by_name[letter] for letter in need)) for need in equation.needs if need != "lap"}
        self.equations = {"residual": equation.residual(sympy, symbols, found)}


class PhysicsNeMo(TorchStep):
    def __init__(self, case: Case, data: Data) -> None:
        equation = data.equation
        if len(equation.coordinates) > len(NAMES) or equation.order > MOST_ORDER:
            raise NotServed("PhysicsInformer has derivatives up to the second, by at most three coordinates")
        super().__init__(case, data)
        self.x.requires_grad_()
        self._informer = PhysicsInformer(["residual"], Posed(equation), "autodiff", device="cpu")

    def loss(self) -> Tensor:
        inputs = {"coordinates": self.x, "u": self.net(self.x)}
        inputs |= {name: self.x[:, axis, None] for axis, name in enumerate(NAMES[: self.x.shape[1]])}
        residual: Tensor = self._informer.forward(inputs)["residual"]
        return residual.square().mean() + (self.net(self.edge) - self.values).square().mean()
