"""Problems whose symmetry is known, and problems that have none: what `bench.discovery` measures discovery on.

Exact solutions by construction; sources follow from them. Symmetries are about the centre of the domain.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import sympy as sp

from psinn_fast import (
    PDE,
    Ansatz,
    Box,
    Dirichlet,
    Disk,
    Embedding,
    Network,
    Periodic,
    Problem,
    Recipe,
    Residual,
    SignedPermutation,
    Symmetry,
    get_problem,
)
from psinn_fast.networks.groups import close_group
from psinn_fast.problems.burgers import cole_hopf

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A problem with the symmetry it has.

    Args:
        name: in tables.
        kind: "paper", "new", "ends" (networks behind an embedding, within an ansatz) or "control" (no symmetry, or only
            part of what it might seem to have).
        make: the problem.
        generators: of its symmetry about the domain's centre; none: it has no symmetry.
        network: its embedding and ansatz are those of all networks.
    """

    name: str
    kind: str
    make: Callable[[], Problem]
    generators: tuple[Symmetry, ...] = ()
    network: Network | None = None

    @property
    def group(self) -> frozenset[Symmetry]:
        """All symmetries, the identity excluded."""
        if not self.generators:
            return frozenset()
        (_, *others) = close_group(self.generators).items()
        return frozenset(Symmetry(g, signs) for g, signs in others)


def _even(size: int, *axes: int) -> Symmetry:
    return Symmetry(SignedPermutation.flip(size, *axes), (1,))


def _odd(size: int, *axes: int) -> Symmetry:
    return Symmetry(SignedPermutation.flip(size, *axes), (-1,))


_SWAP = SignedPermutation((1, 0), (1, 1))


def _dirichlet_problem(name: str, pde: PDE, box: Box, exact: Callable[..., FloatArray], n: int = 41) -> Problem:
    """``exact`` of the coordinates' columns is the solution, and the data on all faces."""
    faces = [
        Dirichlet(box.face(coord, end, n), u=exact, name=f"{coord}_{end}")
        for coord in box.coords
        for end in ("low", "high")
    ]
    return Problem(
        name,
        pde,
        box,
        [Residual(box.grid(n)), *faces],
        exact=lambda x: exact(*x.T)[:, None],
        recipe=Recipe(layers=(2, 16, 16, 1), student=(10, 10, 10)),
    )


def laplace_asymmetric() -> Problem:
    """u_xx + u_yy = 0 on [-1, 1]^2 with the data of u = e^{0.7 x} sin(0.7 y + 0.4) + 0.3 (x^2 - y^2) + 0.2 x y."""

    def exact(x: FloatArray, y: FloatArray) -> FloatArray:
        return np.asarray(np.exp(0.7 * x) * np.sin(0.7 * y + 0.4) + 0.3 * (x**2 - y**2) + 0.2 * x * y)

    box = Box(x=(-1, 1), y=(-1, 1))
    return _dirichlet_problem("laplace-asymmetric", PDE("x y", "u", lambda u: u.xx + u.yy), box, exact)


def poisson_random(seed: int = 0) -> Problem:
    """u_xx + u_yy = f on [0, 1]^2, u = 0 on the boundary: nine sine modes with seeded normal coefficients.

    u = sum c_km sin(k pi x) sin(m pi y) / (k^2 + m^2), f its Laplacian.
    """
    coefficients = np.random.default_rng(seed).standard_normal((3, 3))
    modes = [(k, m, float(coefficients[k - 1, m - 1]) / (k * k + m * m)) for k in range(1, 4) for m in range(1, 4)]

    def exact(x: FloatArray, y: FloatArray) -> FloatArray:
        return np.asarray(sum(c * np.sin(k * math.pi * x) * np.sin(m * math.pi * y) for k, m, c in modes))

    def residual(u: sp.Expr, x: sp.Symbol, y: sp.Symbol) -> sp.Expr:
        source = sum(
            -c * (k * k + m * m) * sp.pi**2 * sp.sin(k * sp.pi * x) * sp.sin(m * sp.pi * y) for k, m, c in modes
        )
        return u.xx + u.yy - source

    box = Box(x=(0, 1), y=(0, 1))
    return _dirichlet_problem("poisson-random", PDE("x y", "u", residual), box, exact)


def burgers_shifted(nu: float = 0.1 / math.pi, shift: float = 0.3) -> Problem:
    """u_t + u u_x = nu u_xx, periodic in x, u(0, x) = -sin(pi (x - shift)): odd about the shift, not about 0."""
    box = Box(t=(0, 1), x=(-1, 1))
    low, high = (box.face("x", end, 101) for end in ("low", "high"))
    return Problem(
        "burgers-shifted",
        PDE("t x", "u", lambda u, nu: u.t + u * u.x - nu * u.xx, coefficients={"nu": nu}),
        box,
        [
            Residual(box.grid(101)),
            Dirichlet(box.face("t", "low", 101), u=lambda t, x: -np.sin(math.pi * (x - shift)), name="initial"),
            Periodic(low, high, "u u_x"),
        ],
        exact=lambda points: cole_hopf(points - [0.0, shift], nu),
        recipe=Recipe(layers=(2, 16, 16, 1), student=(10, 10, 10)),
    )


def quadratic() -> Problem:
    """u_xx + u_yy = 2 on [-1, 1]^2 with the data of u = x^2 + y: even in x, and nothing else."""
    box = Box(x=(-1, 1), y=(-1, 1))
    return _dirichlet_problem(
        "quadratic", PDE("x y", "u", lambda u: u.xx + u.yy - 2), box, lambda x, y: np.asarray(x**2 + y)
    )


def heat_plate(kappa: float = 0.1, n: int = 15) -> Problem:
    """Three inputs: u_t = kappa (u_xx + u_yy) on [0, 1] x [-1, 1]^2, u = 0 on the walls; even in x, odd in y.

    u = sum over k = 1, 3 of e^{-kappa (k^2 / 4 + 1) pi^2 t} cos(k pi x / 2) sin(pi y) / k.
    """
    modes = (1, 3)

    def exact(t: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
        decay = [np.exp(-kappa * (k * k / 4 + 1) * math.pi**2 * t) / k for k in modes]
        return np.asarray(
            sum(d * np.cos(k * math.pi * x / 2) * np.sin(math.pi * y) for d, k in zip(decay, modes, strict=True))
        )

    box = Box(t=(0, 1), x=(-1, 1), y=(-1, 1))
    walls = [
        Dirichlet(box.face(coord, end, n), u=0.0, name=f"{coord}_{end}") for coord in "xy" for end in ("low", "high")
    ]
    return Problem(
        "heat-plate",
        PDE("t x y", "u", lambda u, kappa: u.t - kappa * (u.xx + u.yy), coefficients={"kappa": kappa}),
        box,
        [Residual(box.grid(n)), Dirichlet(box.face("t", "low", n), u=exact, name="initial"), *walls],
        exact=lambda x: exact(*x.T)[:, None],
        recipe=Recipe(layers=(3, 16, 16, 1), student=(12, 12, 12)),
    )


def sound(n: int = 41) -> Problem:
    """Two outputs: p_t + v_x = 0, v_t + p_x = 0 on [0, 1] x [-1, 1], p = 0 at the ends; p even and v odd in x.

    p = sum c_k cos(k pi x / 2) cos(k pi t / 2), v = sum c_k sin(k pi x / 2) sin(k pi t / 2), k = 1, 3; c = 1, 0.3.
    """
    modes = ((1, 1.0), (3, 0.3))

    def pressure(t: FloatArray, x: FloatArray) -> FloatArray:
        return np.asarray(sum(c * np.cos(k * math.pi * x / 2) * np.cos(k * math.pi * t / 2) for k, c in modes))

    def velocity(t: FloatArray, x: FloatArray) -> FloatArray:
        return np.asarray(sum(c * np.sin(k * math.pi * x / 2) * np.sin(k * math.pi * t / 2) for k, c in modes))

    box = Box(t=(0, 1), x=(-1, 1))
    return Problem(
        "sound",
        PDE("t x", "p v", lambda p, v: [p.t + v.x, v.t + p.x]),
        box,
        [
            Residual(box.grid(n)),
            Dirichlet(box.face("t", "low", n), p=pressure, v=0.0, name="initial"),
            Dirichlet(box.face("x", "low", n), p=0.0, name="x_low"),
            Dirichlet(box.face("x", "high", n), p=0.0, name="x_high"),
        ],
        exact=lambda x: np.stack([pressure(*x.T), velocity(*x.T)], 1),
        recipe=Recipe(layers=(2, 16, 16, 2), student=(12, 12, 12)),
    )


def bent_plate(n: int = 31) -> Problem:
    """Fourth order: (u_xxxx + 2 u_xxyy + u_yyyy) / (25 pi^4) = q on [0, 1]^2, simply supported; q = u.

    u = sin(pi x) sin(2 pi y) - sin(2 pi x) sin(pi y): odd under the swap and odd under the joint reflection about
    the centre, but neither even nor odd under either reflection alone.
    """

    def exact(x: FloatArray, y: FloatArray) -> FloatArray:
        s = math.pi
        return np.asarray(np.sin(s * x) * np.sin(2 * s * y) - np.sin(2 * s * x) * np.sin(s * y))

    def residual(u: sp.Expr, x: sp.Symbol, y: sp.Symbol) -> sp.Expr:
        s = sp.pi
        load = sp.sin(s * x) * sp.sin(2 * s * y) - sp.sin(2 * s * x) * sp.sin(s * y)
        return (u.xxxx + 2 * u.xxyy + u.yyyy) / (25 * s**4) - load

    box = Box(x=(0, 1), y=(0, 1))
    faces = [(coord, end) for coord in "xy" for end in ("low", "high")]
    held = [Dirichlet(box.face(coord, end, n), u=0.0, name=f"held_{coord}_{end}") for coord, end in faces]
    bending = {"x": lambda u: u.xx / 10, "y": lambda u: u.yy / 10}
    free = [Residual(box.face(coord, end, n), bending[coord], name=f"free_{coord}_{end}") for coord, end in faces]
    return Problem(
        "bent-plate",
        PDE("x y", "u", residual),
        box,
        [Residual(box.grid(n)), *held, *free],
        exact=lambda x: exact(*x.T)[:, None],
        recipe=Recipe(layers=(2, 16, 16, 1), student=(12, 12, 12)),
    )


def channel_off_axis() -> Problem:
    """The flow of `cylinder` with the cylinder 0.03 above the axis: no symmetry."""
    channel = Box(x=(0, 1.1), y=(-0.2, 0.2)) - Disk((0.2, 0.03), 0.05).renamed({"rim": "cylinder"})
    domain = channel.renamed({"y_low": "walls", "y_high": "walls"})

    def equations(u: sp.Expr, v: sp.Expr, p: sp.Expr) -> dict[str, sp.Expr]:
        return {
            "momentum_x": u * u.x + v * u.y + p.x - u.lap / 50,
            "momentum_y": u * v.x + v * v.y + p.y - v.lap / 50,
            "continuity": u.x + v.y,
        }

    return Problem(
        "channel-off-axis",
        PDE("x y", "u v p", equations),
        domain,
        [
            Residual(domain.random(4096, seed=0)),
            Dirichlet(domain.boundary(101, "x_low"), u=lambda x, y: 1 - (y / 0.2) ** 2, v=0.0, name="inlet"),
            Dirichlet(domain.boundary(256, "cylinder"), u=0.0, v=0.0, name="cylinder"),
            Dirichlet(domain.boundary(402, "walls"), u=0.0, v=0.0, name="walls"),
            Dirichlet(domain.boundary(101, "x_high"), p=0.0, name="outlet"),
        ],
        recipe=Recipe(layers=(2, 20, 20, 20, 3)),
    )


def heat_ring(shift: float = 0.0) -> Problem:
    """u_t = 0.05 u_xx on [0, 1] x [-1, 1], periodic in x: odd in x without a shift s, without symmetry with one.

    u = sin(pi (x - s)) + 0.3 sin(2 pi (x - s)) at t = 0.
    """

    def exact(t: FloatArray, x: FloatArray) -> FloatArray:
        waves = [(k, c * np.exp(-0.05 * (k * math.pi) ** 2 * t)) for k, c in ((1, 1.0), (2, 0.3))]
        return np.asarray(sum(c * np.sin(k * math.pi * (x - shift)) for k, c in waves))

    box = Box(t=(0, 1), x=(-1, 1))
    return Problem(
        "heat-ring",
        PDE("t x", "u", lambda u: u.t - 0.05 * u.xx),
        box,
        [
            Residual(box.grid(31)),
            Dirichlet(box.face("t", "low", 31), u=exact, name="initial"),
            Periodic(box.face("x", "low", 31), box.face("x", "high", 31), "u u_x"),
        ],
        exact=lambda points: exact(*points.T)[:, None],
        recipe=Recipe(layers=(2, 16, 16, 1), student=(10, 10, 10)),
    )


def ring_ends(shift: float = 0.0) -> Network:
    """Exact period and initial state."""

    def field(u: sp.Expr, t: sp.Expr, x: sp.Expr) -> sp.Expr:
        angle = sp.pi * (x - shift)
        return sp.sin(angle) + sp.Rational(3, 10) * sp.sin(2 * angle) + t * u

    return Network(embedding=Embedding.periodic(x=2.0), ansatz=Ansatz(u=field))


def pillow() -> Problem:
    """u_xx + u_yy = f on [-1, 1]^2, u = 0 at the walls: even under the swap and under the joint reflection.

    u = (1 - x^2) (1 - y^2) (1 + 2 x y).
    """

    def exact(x: FloatArray, y: FloatArray) -> FloatArray:
        return np.asarray((1 - x**2) * (1 - y**2) * (1 + 2 * x * y))

    x, y = sp.symbols("x y")
    solution = (1 - x**2) * (1 - y**2) * (1 + 2 * x * y)
    source = solution.diff(x, 2) + solution.diff(y, 2)
    box = Box(x=(-1, 1), y=(-1, 1))
    return _dirichlet_problem("pillow", PDE("x y", "u", lambda u: u.lap - source), box, exact, 31)


_ZERO_AT_WALLS = Network(ansatz=Ansatz(u=lambda u, x, y: (1 - x**2) * (1 - y**2) * u))
_BURGERS = (_odd(2, 1),)
CASES: tuple[Case, ...] = (
    Case("laplace", "paper", partial(get_problem, "laplace"), (_even(2, 1), _odd(2, 0))),
    Case("poisson", "paper", partial(get_problem, "poisson"), (Symmetry(_SWAP, (1,)), _even(2, 0, 1))),
    Case("burgers", "paper", partial(get_problem, "burgers"), _BURGERS),
    *(
        Case(f"burgers-inverse {k}", "paper", partial(get_problem, "burgers-inverse", {"nu": k / math.pi}), _BURGERS)
        for k in (0.01, 0.04, 0.08)
    ),
    Case("cylinder", "paper", partial(get_problem, "cylinder"), (Symmetry(SignedPermutation.flip(2, 1), (1, -1, 1)),)),
    Case("heat-plate", "new", heat_plate, (_even(3, 1), _odd(3, 2))),
    Case("sound", "new", sound, (Symmetry(SignedPermutation.flip(2, 1), (1, -1)),)),
    Case("bent-plate", "new", bent_plate, (Symmetry(_SWAP, (-1,)), _odd(2, 0, 1))),
    Case("heat-ring", "ends", heat_ring, (_odd(2, 1),), ring_ends()),
    Case("pillow", "ends", pillow, (Symmetry(_SWAP, (1,)), _even(2, 0, 1)), _ZERO_AT_WALLS),
    Case("heat-ring-shifted", "control", partial(heat_ring, 0.3), network=ring_ends(0.3)),
    Case("laplace-asymmetric", "control", laplace_asymmetric),
    Case("poisson-random", "control", poisson_random),
    Case("burgers-shifted", "control", burgers_shifted),
    Case("channel-off-axis", "control", channel_off_axis),
    Case("quadratic", "control", quadratic, (_even(2, 0),)),
)
BY_NAME = {case.name: case for case in CASES}
