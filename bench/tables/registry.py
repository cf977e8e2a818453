"""The rows of the table. Settings are chosen once per problem, never per seed."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

import psinn_fast as pf
from psinn_fast.problems.burgers import cole_hopf

from .case import Case, Published, cells, dense, discovered, grid
from .elliptic import four_holes, helmholtz, outside_of_holes, standing, with_holes
from .heat import conducting, decayed, heat_inverse, multiscale, poisson_inverse, warming
from .holes import fitted
from .stored import stored
from .transport import burgers, convected, convection, reacted, reaction, swung, wave

_AXIS, _CIRCLE = (0.0, 1.0, 101), (0.0, 2 * math.pi, 101)
_GAUSS_NEWTON = pf.GaussNewton(100_000)
_FORMERS = "AdityaLab/pinnsformer, demo notebooks: relative L2 on 101 x 101 points"
_PINNACLE = "i207M/PINNacle, src/pde: relative L2 over all fields, 2,500 points (20,000 in three coordinates)"
# From Cole-Hopf by 30 digits at twelve places, of either viscosity (`tests/bench`): 3e-16.
_ROUNDING = 3e-16


def _holes_floor() -> float:
    """An error at the boundary bounds that inside, by the maximum principle."""
    points = outside_of_holes(cells((-0.5, 0.5, 101), (-0.5, 0.5, 101)))
    return float(stored(fitted)["error"] / np.sqrt((with_holes(points) ** 2).mean()))


def _burgers(name: str, nu: float, published: Published, wanted: float, seconds: float, optimizer: object) -> Case:
    return Case(
        name,
        f"u_t + u u_x = {name.partition('= ')[2]} u_xx on (0, 1) x (-1, 1), u = -sin(pi x) at t = 0, 0 at x = -1 and 1",
        "Raissi, Perdikaris & Karniadakis 2019; relative L2 against Cole-Hopf on an even grid",
        partial(burgers, nu),
        {"dense": dense(20, 20, 20), "psi": discovered()},
        optimizer,
        published,
        wanted,
        seconds,
        lambda: grid((0.0, 1.0, 101), (-1.0, 1.0, 513)),
        partial(cole_hopf, nu=nu),
        lambda: _ROUNDING,
    )


CASES = (
    Case(
        "convection, beta = 50",
        "u_t + 50 u_x = 0 on (0, 1) x (0, 2 pi), u = sin x at t = 0, periodic in x",
        _FORMERS,
        convection,
        {"dense": dense(20, 20, activation="sin")},
        _GAUSS_NEWTON,
        Published(2.7e-2, "PINNsFormer", "1,060 s on a GPU"),
        1e-6,
        120,
        lambda: grid(_AXIS, _CIRCLE),
        partial(convected, speed=50.0),
    ),
    Case(
        "advection, speed 80",
        "u_t + 80 u_x = 0 on (0, 1) x (0, 2 pi), u = sin x at t = 0, periodic in x",
        "jaxpi, examples/adv: relative L2 on 200 x 128 points",
        partial(convection, 80.0),
        {"dense": dense(20, 20, activation="sin")},
        _GAUSS_NEWTON,
        Published(6.9e-4, "jaxpi"),
        1e-6,
        120,
        lambda: grid((0.0, 1.0, 200), (0.0, 2 * math.pi, 128)),
        partial(convected, speed=80.0),
    ),
    Case(
        "reaction, rho = 5",
        "u_t = 5 u (1 - u) on (0, 1) x (0, 2 pi), u = exp(-(x - pi)^2 / (2 (pi/4)^2)) at t = 0, u periodic in x",
        _FORMERS,
        reaction,
        {"dense": dense(20, 20), "psi": discovered()},
        _GAUSS_NEWTON,
        Published(3.0e-2, "PINNsFormer", "249 s on a GPU"),
        1e-6,
        120,
        lambda: grid(_AXIS, _CIRCLE),
        reacted,
    ),
    Case(
        "wave, beta = 3",
        "u_tt = 4 u_xx on (0, 1)^2, u = sin(pi x) + sin(3 pi x) / 2 and u_t = 0 at t = 0, u = 0 at x = 0 and 1",
        _FORMERS,
        partial(wave, 3),
        {"dense": dense(20, 20, activation="sin"), "psi": discovered(activation="sin")},
        _GAUSS_NEWTON,
        Published(5.8e-2, "PINNsFormer with NTK weights", "a GPU"),
        1e-6,
        120,
        lambda: grid(_AXIS, _AXIS),
        partial(swung, overtone=3),
    ),
    Case(
        "wave, a = 4",
        "u_tt = 4 u_xx on (0, 1)^2, u = sin(pi x) + sin(4 pi x) / 2 and u_t = 0 at t = 0, u = 0 at x = 0 and 1",
        _PINNACLE,
        partial(wave, 4),
        {"dense": dense(20, 20, activation="sin")},
        _GAUSS_NEWTON,
        Published(9.8e-2, "PINNacle, NTK weights"),
        1e-6,
        120,
        lambda: cells((0.0, 1.0, 50), (0.0, 1.0, 50)),
        partial(swung, overtone=4),
    ),
    Case(
        "Helmholtz",
        "lap u + u = (1 - 17 pi^2) sin(pi x) sin(4 pi y) on (-1, 1)^2, u = 0 at the boundary",
        "Wang, Teng & Perdikaris 2021, a1 = 1, a2 = 4: relative L2 on an even grid",
        helmholtz,
        {"dense": dense(20, 20, activation="sin"), "psi": discovered(activation="sin")},
        _GAUSS_NEWTON,
        Published(1e-3, "Wang, Teng & Perdikaris (order of magnitude)"),
        1e-8,
        60,
        lambda: grid((-1.0, 1.0, 100), (-1.0, 1.0, 100)),
        standing,
    ),
    _burgers(
        "Burgers, nu = 0.01/pi",
        0.01 / math.pi,
        Published(8e-9, "self-scaled Broyden (Kiyani et al. 2025)"),
        1e-7,
        300,
        _GAUSS_NEWTON,
    ),
    _burgers(
        "Burgers, nu = 0.01",
        0.01,
        Published(1.9e-12, "DSGNAR (Webb, Jerad & Cartis 2026), periodic", "144 s on an H100"),
        1e-11,
        600,
        _GAUSS_NEWTON,
    ),
    Case(
        "Laplace with four holes",
        "lap u = 0 on (-1/2, 1/2)^2 less disks of radius 1/10 about (+-0.3, +-0.3), u = 1 on the sides, 0 on "
        "the circles",
        _PINNACLE + ", Poisson2D_Classic",
        four_holes,
        {"dense": dense(24, 24), "psi": discovered()},
        _GAUSS_NEWTON,
        Published(1.2e-2, "PINNacle, NTK weights"),
        1e-5,
        120,
        lambda: outside_of_holes(cells((-0.5, 0.5, 101), (-0.5, 0.5, 101))),
        with_holes,
        _holes_floor,
    ),
    Case(
        "heat, multi-scale",
        "u_t = u_xx / (500 pi)^2 + u_yy / pi^2 on (0, 5) x (0, 1)^2, u = sin(20 pi x) sin(pi y) at t = 0, "
        "0 at the walls",
        _PINNACLE,
        multiscale,
        {"dense": dense(24, 24, inputs=3, activation="sin")},
        _GAUSS_NEWTON,
        Published(6.2e-2, "PINNacle, plain PINN"),
        1e-4,
        300,
        lambda: cells((0.0, 5.0, 27), (0.0, 1.0, 27), (0.0, 1.0, 27)),
        decayed,
    ),
    Case(
        "Poisson-inverse",
        "div(a grad u) = f on (0, 1)^2, u = sin(pi x) sin(pi y) with normal noise of 0.1 at 50 x 50 places, "
        "a = 1 / (1 + x^2 + y^2 + (x - 1)^2 + (y - 1)^2), given at the boundary",
        _PINNACLE,
        poisson_inverse,
        {"dense": dense(8, 8, fields=2)},
        _GAUSS_NEWTON,
        Published(2.5e-2, "PINNacle"),
        1e-3,
        300,
        lambda: cells((0.0, 1.0, 50), (0.0, 1.0, 50)),
        conducting,
    ),
    Case(
        "heat-inverse",
        "u_t - div(a grad u) = f on (0, 1) x (-1, 1)^2, u = exp(-t) sin(pi x) sin(pi y) with normal noise of 0.1 at "
        "2,500 places, a = 2 + sin(pi x) sin(pi y), which does not depend on t, given at the walls; places "
        "are our own",
        _PINNACLE,
        heat_inverse,
        {"dense": dense(12, 12, fields=2, inputs=3)},
        _GAUSS_NEWTON,
        Published(5.3e-2, "PINNacle"),
        1e-3,
        300,
        lambda: cells((0.0, 1.0, 27), (-1.0, 1.0, 27), (-1.0, 1.0, 27)),
        warming,
    ),
)  # fmt: skip
