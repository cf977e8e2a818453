"""Lid-driven cavities: PINNacle's, whose lid is at rest at its corners, by velocities and pressure, and jaxpi's, whose
lid is not, by a stream function."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy
import torch

import psinn_fast as pf

from . import cavity_flow
from .case import GAUSS_NEWTON, PINNACLE, Case, Published, cells, dense, relative, solved
from .stored import stored

Points = npt.NDArray[np.float64]
# Degree and layers of the references, and of those that they are compared with. The corners of a lid that does not
# slow down leak by the width of the last layer: a stream function that should vanish is 2e-4 with three, 1e-5 with six.
EVEN, EVEN_FINER = (4, 3), (6, 3)
UNEVEN, UNEVEN_COARSER = (6, 6), (6, 5)


def cavity() -> pf.Problem:
    box = pf.Box(x=(0, 1), y=(0, 1))
    walls = ["x_low", "x_high", "y_low"]
    conditions = [
        pf.Residual(box.random(4000, seed=0)),
        pf.Dirichlet(box.boundary(101, "y_high"), u=lambda x, y: 4 * x * (1 - x), v=0.0, name="lid"),
        pf.Dirichlet(box.boundary(101, walls), u=0.0, v=0.0, name="walls"),
        pf.Dirichlet([[0.0, 0.0]], p=0.0, name="level"),
    ]
    pde = pf.PDE("x y", "u v p", _navier_stokes, {"nu": 1 / 100})
    return pf.Problem("cavity", pde, box, conditions, exact=parabolic)


def _navier_stokes(u: object, v: object, p: object, nu: object) -> list[object]:
    flow = sympy.Matrix([u, v])
    inertia = [flow.dot(pf.grad(own)) for own in (u, v)]
    return [pf.div(flow), inertia[0] + p.x - nu * u.lap, inertia[1] + p.y - nu * v.lap]  # type: ignore[attr-defined, operator]  # SymPy ships no types


def about_corners(is_even: bool) -> pf.Embedding:
    """What Stokes flows are made of in the lid's corners (Moffatt 1964): velocities of s theta and a pressure of log r,
    r from the corner, theta from the lid and s from the wall, where the lid's velocity falls like s to 0; where it does
    not, velocities of theta alone as well. Smooth within a thousandth."""

    def features(x: sympy.Expr, y: sympy.Expr) -> tuple[sympy.Expr, ...]:
        found, depth = [x, y], 1 - y
        for s in (x, 1 - x):
            r = sympy.sqrt(s**2 + depth**2 + 1e-6)
            theta = 2 * sympy.atan(depth / (s + r))
            found += [s * theta, depth * theta, sympy.log(r)]
            found += [] if is_even else [theta, s / r]
        return tuple(found)

    return pf.Embedding(features)


def uneven_cavity(reynolds: float = 1000.0) -> pf.Problem:
    """Of the stream function, u = psi_y and v = -psi_x: what is zero on all walls leaks in no corner."""
    box = pf.Box(x=(0, 1), y=(0, 1))
    conditions = [
        pf.Residual(box.graded(4000, seed=0, part="y_high", reach=0.1), weight=away_from_corners),
        pf.Residual(in_corners(), weight=away_from_corners, name="corners"),
    ]
    pde = pf.PDE("x y", "psi", vorticity_equation, {"nu": 1 / reynolds})
    return pf.Problem("cavity", pde, box, conditions)


def vorticity_equation(psi: Any, nu: Any) -> Any:
    """(w . grad) omega = nu lap omega with omega = -lap psi."""
    carried = psi.y * (psi.xxx + psi.xyy) - psi.x * (psi.xxy + psi.yyy)
    return carried - nu * (psi.xxxx + 2 * psi.xxyy + psi.yyyy)


def away_from_corners(x: Points, y: Points) -> Points:
    """Third derivatives of the velocity are like 1 / r^3 in the lid's corners: squares of residuals weigh r^6 there. In
    the others eddies are ever smaller, and none of them moves the rest: r^4."""
    upper, lower = ((y - own) ** 2 + np.minimum(x, 1 - x) ** 2 for own in (1, 0))
    return np.asarray((upper / (upper + 0.1**2)) ** 3 * (lower / (lower + 0.1**2)) ** 2)


def in_corners() -> Points:
    """Points in the lid's corners, as many between r and 2 r for all r."""
    distance, turn = np.random.default_rng(0).random((2, 1200))
    r, theta = 0.002 * 100**distance, np.pi / 2 * turn
    x = np.where(np.arange(1200) < 600, r * np.cos(theta), 1 - r * np.cos(theta))
    return np.stack([x, 1 - r * np.sin(theta)], 1)


def no_slip() -> pf.Ansatz:
    """psi with u = 1 on the lid, 0 at the other walls, v = 0 at all, and in the corners r times a function of theta."""

    def ansatz(psi: Any, x: Any, y: Any) -> Any:
        walls, lid = (1 - y) * y**2, 1 - y
        for s in (x, 1 - x):
            r = sympy.sqrt(s**2 + (1 - y) ** 2 + 1e-6)
            walls, lid = walls * (s / r) ** 2, lid / r
        return walls * (lid * psi - 1)

    return pf.Ansatz(psi=ansatz)


@dataclass(frozen=True)
class ByReynolds:
    """As `solved`, for smaller Reynolds numbers before, each from the last one's network.

    ``before``: these, with shares of the time that is left. It ends at half of ``wanted`` by the speed's error.
    """

    before: tuple[tuple[float, float], ...] = ((100.0, 0.1), (400.0, 0.15))

    def __call__(
        self, problem: pf.Problem, network: Any, optimizer: Any, seed: int, seconds: float, wanted: float
    ) -> Flow:
        spent, steps, curve = 0.0, 0, list[dict[str, float]]()
        for reynolds, share in self.before:
            found = solved(uneven_cavity(reynolds), network, optimizer, seed, share * (seconds - spent), 0.0)
            network, spent, steps = found.net, spent + found.seconds, steps + found.steps
        points = score_points()
        true = uniform(points)

        def is_enough(progress: pf.Progress) -> bool:
            error = speed(velocities(progress.net, points), true)
            curve.append({"seconds": spent + progress.row["seconds"], "relative_l2": error})
            return error <= wanted / 2

        options = pf.Options(callbacks=is_enough)
        chosen = replace(optimizer, seed=seed)
        last = pf.solve(problem, network, chosen, seconds=seconds - spent, seed=seed, options=options)
        return Flow(last.net, spent + last.seconds, steps + last.steps, last.ended, last.verdict.warnings, curve)


@dataclass(frozen=True)
class Flow:
    """The velocity of a stream function, and how it was trained: see `pf.Solution`."""

    net: pf.PsiMLP
    seconds: float
    steps: int
    ended: str
    warnings: Sequence[str]
    history: Sequence[dict[str, float]]

    def __call__(self, points: Points) -> Points:
        return velocities(self.net, points)


def velocities(net: pf.PsiMLP, points: Points) -> Points:
    """u and v of a stream function (N, 2)."""
    found = pf.derivatives(net, torch.from_numpy(points), "psi_x psi_y", coords="x y", fields="psi")
    return torch.stack([found.psi_y, -found.psi_x], 1).reshape(len(points), 2).detach().numpy()


def parabolic(points: Points, settings: tuple[int, int] = EVEN) -> Points:
    """u, v, p at Re = 100, the lid's velocity 4 x (1 - x), p = 0 at (0, 0)."""
    return _flow("parabolic", 100.0, points, settings)


def uniform(points: Points, settings: tuple[int, int] = UNEVEN) -> Points:
    """u, v, p at Re = 1000, the lid's velocity 1."""
    return _flow("uniform", 1000.0, points, settings)


def _flow(lid: str, reynolds: float, points: Points, settings: tuple[int, int]) -> Points:
    found = stored(cavity_flow.solved, lid, reynolds, *settings)
    return cavity_flow.flow_at(points, *settings, found["flow"], found["pressure"])


def score_points() -> Points:
    """Even places, none at the lid's corners, where the velocity is either of two."""
    return cells((0.0, 1.0, 101), (0.0, 1.0, 101))


def speed(found: Points, true: Points) -> float:
    """The relative L2 error of sqrt(u^2 + v^2), as jaxpi scores."""
    off, whole = (np.hypot(*values[:, :2].T) for values in (found, true))
    return math.sqrt(((off - whole) ** 2).sum() / (whole**2).sum())


CASES = (
    Case(
        "cavity, Re = 100",
        "(w . grad) w + grad p = lap w / 100, div w = 0 on (0, 1)^2, w = (4 x (1 - x), 0) at y = 1, 0 at the other "
        "walls, p = 0 at (0, 0)",
        PINNACLE + ": of u, v and p together",
        cavity,
        {"dense": dense(24, 24, fields=3, embedding=about_corners(is_even=True))},
        GAUSS_NEWTON,
        Published(3.6e-2, "PINNacle, LAAF"),
        1e-3,
        600,
        score_points,
        parabolic,
        lambda: relative(parabolic(score_points()), parabolic(score_points(), EVEN_FINER)),
        besides=(_navier_stokes, about_corners),
    ),
    Case(
        "cavity, Re = 1000",
        "(w . grad) w + grad p = lap w / 1000, div w = 0 on (0, 1)^2, w = (1, 0) at y = 1, 0 at the other walls",
        "PredictiveIntelligenceLab/jaxpi, examples/ldc: relative L2 of the speed",
        uneven_cavity,
        {"dense": dense(24, 24, embedding=about_corners(is_even=False), ansatz=no_slip())},
        GAUSS_NEWTON,
        Published(None, "PirateNets: 4.2e-2 at Re = 3200"),
        1e-2,
        600,
        score_points,
        uniform,
        lambda: speed(uniform(score_points(), UNEVEN_COARSER), uniform(score_points())),
        speed,
        ByReynolds(),
        (vorticity_equation, away_from_corners, in_corners, about_corners, no_slip),
    ),
)
