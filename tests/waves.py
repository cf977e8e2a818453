"""A wave that travels, for tests of marches: the problem, the network, the solution."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import psinn_fast as pf

Points = npt.NDArray[np.float64]
BOX = pf.Box(t=(0, 1), x=(-1, 1))
START = BOX.face("t", "low", 21)
WAVES = pf.Network("pinn", layers=[2, 6, 1], embedding=pf.Embedding.periodic(x=2.0))


def travelling(points: Points) -> Points:
    return np.asarray(np.sin(np.pi * (points[:, 1] - points[:, 0])))


def first(t: Points, x: Points) -> Points:
    return np.asarray(np.sin(np.pi * x))


def advection(*more: pf.Condition, box: pf.Box = BOX, **settings: Any) -> pf.Problem:
    pde = pf.PDE("t x", "u", lambda u: u.t + u.x, **settings)
    conditions = more or (pf.Dirichlet(START, u=first, name="initial"),)
    return pf.Problem("advection", pde, box, [pf.Residual(box.random(200, 0)), *conditions], exact=travelling)
