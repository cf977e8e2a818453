"""Which width of a Psi-NN Gauss-Newton should take: ``python -m bench.widths`` (about an hour).

Errors of networks of one discovered structure and several widths after equal seconds, medians of seeds, beside the
width that `solve` chooses and the dense network. Seconds are those of the processor, on one thread, so that a busy
machine changes little.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import numpy.typing as npt
import sympy as sp
import torch

import psinn_fast as pf
from psinn_fast.training.metrics import evaluate

from .environment import environment
from .front_problems import allen_cahn
from .section import Row, errors_over_seeds, save

FloatArray = npt.NDArray[np.float64]
WIDTHS = (2, 3, 4, 6, 8, 10, 12, 14, 16)


def clamped_plate(n: int = 31) -> pf.Problem:
    """Fourth order: u_xxxx + 2 u_xxyy + u_yyyy = q on [-1, 1]^2, u = u_n = 0: u = (1 - x^2)^2 (1 - y^2)^2."""
    box = pf.Box(x=(-1, 1), y=(-1, 1))

    def residual(u: sp.Expr, x: sp.Symbol, y: sp.Symbol) -> sp.Expr:
        w = (1 - x**2) ** 2 * (1 - y**2) ** 2
        load = sp.diff(w, x, 4) + 2 * sp.diff(w, x, 2, y, 2) + sp.diff(w, y, 4)
        return u.xxxx + 2 * u.xxyy + u.yyyy - load

    faces = [(coord, end) for coord in "xy" for end in ("low", "high")]
    held = [pf.Dirichlet(box.face(coord, end, n), u=0.0, name=f"held_{coord}_{end}") for coord, end in faces]
    slope: dict[str, Callable[[sp.Expr], sp.Expr]] = {"x": lambda u: u.x, "y": lambda u: u.y}
    clamped = [
        pf.Residual(box.face(coord, end, n), slope[coord], name=f"clamped_{coord}_{end}") for coord, end in faces
    ]
    return pf.Problem(
        "clamped-plate", pf.PDE("x y", "u", residual), box, [pf.Residual(box.grid(n)), *held, *clamped],
        exact=lambda p: ((1 - p[:, :1] ** 2) ** 2 * (1 - p[:, 1:] ** 2) ** 2),
    )  # fmt: skip


def annulus(n: int = 61, circle: int = 200) -> pf.Problem:
    """Laplace on 0.4 < r < 1, u = ln r / ln 0.4 + (r^4 - r^-4) cos 4 phi / (1 - 0.4^-8): points are given as arrays."""
    inner = 0.4
    box = pf.Box(x=(-1, 1), y=(-1, 1))

    def exact(p: FloatArray) -> FloatArray:
        r = np.maximum(np.hypot(p[:, 0], p[:, 1]), 0.5 * inner)
        phi = np.arctan2(p[:, 1], p[:, 0])
        wave = (r**4 - r**-4) * np.cos(4 * phi) / (1 - inner**-8)
        return np.asarray(np.log(r) / math.log(inner) + wave)[:, None]

    grid = box.grid(n)
    r = np.hypot(grid[:, 0], grid[:, 1])
    angles = np.linspace(0, 2 * np.pi, circle, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], 1)
    return pf.Problem(
        "annulus", pf.PDE("x y", "u", lambda u: u.xx + u.yy), box,
        [
            pf.Residual(grid[(r > inner) & (r < 1)]),
            pf.Dirichlet(inner * ring, u=exact(inner * ring)[:, 0], name="inner"),
            pf.Dirichlet(ring, u=exact(ring)[:, 0], name="outer"),
        ],
        exact=exact,
    )  # fmt: skip


def helmholtz(a1: int = 1, a2: int = 4) -> pf.Problem:
    """u_xx + u_yy + u = q on [-1, 1]^2, u = sin(a1 pi x) sin(a2 pi y)."""
    box = pf.Box(x=(-1, 1), y=(-1, 1))

    def residual(u: sp.Expr, x: sp.Symbol, y: sp.Symbol) -> sp.Expr:
        wave = sp.sin(a1 * sp.pi * x) * sp.sin(a2 * sp.pi * y)
        return u.xx + u.yy + u - (1 - (a1 * sp.pi) ** 2 - (a2 * sp.pi) ** 2) * wave

    return pf.Problem(
        "helmholtz", pf.PDE("x y", "u", residual), box,
        [pf.Residual(box.grid(101)), pf.Dirichlet(box.boundary(101), u=0.0, name="walls")],
        exact=lambda p: (np.sin(a1 * np.pi * p[:, :1]) * np.sin(a2 * np.pi * p[:, 1:])),
    )  # fmt: skip


def heat(d: int, kappa: float = 0.1, n: int = 15) -> pf.Problem:
    """u_t = kappa lap u in ``d`` space dimensions, u = 0 on the walls of [-1, 1]^d: a product of cosines, decaying."""
    names = "xyz"[:d]
    box = pf.Box(t=(0, 1), **dict.fromkeys(names, (-1, 1)))
    n = n if d < 3 else 9

    def exact(*columns: FloatArray) -> FloatArray:
        t, *space = columns
        waves = [np.cos(np.pi * x / 2) for x in space]
        return np.asarray(np.exp(-kappa * d * np.pi**2 / 4 * t) * np.prod(waves, axis=0))

    walls = [pf.Dirichlet(box.face(x, end, n), u=0.0, name=f"{x}_{end}") for x in names for end in ("low", "high")]
    return pf.Problem(
        f"heat-{d + 1}-inputs",
        pf.PDE("t " + " ".join(names), "u", lambda u: u.t - kappa * sum(getattr(u, 2 * x) for x in names)),
        box,
        [pf.Residual(box.grid(n)), pf.Dirichlet(box.face("t", "low", n), u=exact, name="initial"), *walls],
        exact=lambda p: exact(*p.T)[:, None],
    )


PROBLEMS: dict[str, Callable[[], pf.Problem]] = {
    "clamped-plate": clamped_plate,
    "annulus": annulus,
    "allen-cahn": allen_cahn,
    "helmholtz": helmholtz,
    "heat-3": partial(heat, 2),
    "heat-4": partial(heat, 3),
}


def error(problem: pf.Problem, net: pf.PsiMLP) -> float:
    """Relative L2 on an unseen grid; of the annulus on its own points."""
    assert problem.exact is not None
    points = problem.domain.unseen_grid({2: 121, 3: 31, 4: 13}[len(problem.domain.coords)])
    if problem.name == "annulus":
        r = np.hypot(points[:, 0], points[:, 1])
        points = points[(r > 0.4) & (r < 1)]
    exact = problem.exact(points)
    return float(np.linalg.norm(evaluate(net, points) - exact) / np.linalg.norm(exact))


def run(name: str, width: int | str, seed: int, *, seconds: float) -> Row:
    """One training on one thread; ``width``: a number, "default" or "dense"."""
    torch.set_num_threads(1)
    problem = PROBLEMS[name]()
    network = pf.Network("pinn")
    if isinstance(width, int) or width == "default":
        found = pf.discover(problem, tests=("problem",)).structure
        network = pf.Network("psi", structure=found, width=width if isinstance(width, int) else None)
    with mock.patch("time.perf_counter", time.process_time):
        solution = pf.solve(problem, network, pf.GaussNewton(100_000, seed=seed), seconds=seconds, seed=seed)
    return {
        "parameters": solution.net.structure.n_parameters,
        "layers": list(solution.net.structure.layer_sizes),
        "iterations": solution.steps,
        "relative_l2": error(problem, solution.net),
        "loss": sum(solution.losses.values()),
        "stopped_by": solution.stopped_by,
    }


def line(row: Row) -> str:
    errors = [f"{found['relative_l2']:.1e}" for found in row["runs"] if "relative_l2" in found]
    failed = len(row["runs"]) - len(errors)
    first: Row = next((found for found in row["runs"] if "layers" in found), {})
    network = f"{'-'.join(map(str, first.get('layers', ())))} ({first.get('parameters', 0)})"
    end = " ".join(errors) + (f"  {failed} FAILED" if failed else "")
    return f"{row['problem']:14}{row['width']!s:>8}  {network:24}{row.get('median', math.nan):9.1e}  {end}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.widths", description=__doc__)
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--widths", nargs="+", default=["dense", "default", *map(str, WIDTHS)])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, one thread each")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "widths.json")
    options = parser.parse_args(arguments)
    widths = [int(width) if width.isdigit() else width for width in options.widths]
    measured_on = environment(threads=1)
    cases = [
        ({"problem": problem, "width": width}, partial(run, problem, width, seconds=options.seconds))
        for problem in options.problems
        for width in widths
    ]
    rows = errors_over_seeds(cases, options.seeds, options.jobs, line)
    return save(
        options.out, rows, command="python -m bench.widths", seeds=options.seeds, processor_seconds=options.seconds,
        **measured_on,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
