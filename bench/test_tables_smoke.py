"""The table's references are right, its harness works: python -m pytest bench/test_tables_smoke.py."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import sympy
from scipy.integrate import trapezoid

import psinn_fast as pf
from psinn_fast.problems.burgers import cole_hopf

from .section import Row
from .tables import __main__ as tables
from .tables import (
    cavity,
    cavity_flow,
    elliptic,
    heat,
    holes,
    many_dimensions,
    periodic,
    report,
    running,
    stored,
    transport,
)
from .tables.case import Case, cells, grid, relative
from .tables.registry import CASES
from .tables.running import Run
from .tables.spectral import Equation, at_points

Points = npt.NDArray[np.float64]
# Central differences of eighth order, of f' and f''.
_FIRST = np.array([1 / 280, -4 / 105, 1 / 5, -4 / 5, 0, 4 / 5, -1 / 5, 4 / 105, -1 / 280])
_SECOND = np.array([-1 / 560, 8 / 315, -1 / 5, 8 / 5, -205 / 72, 8 / 5, -1 / 5, 8 / 315, -1 / 560])
_STEP = 4e-3


class Around:
    """A function and its differences at random points of a box: d(axis), d(axis, axis); u is the function itself."""

    def __init__(self, function: Callable[[Points], Points], *box: tuple[float, float], field: int = 0) -> None:
        self.function = lambda points: np.asarray(function(points)).reshape(len(points), -1)[:, field]
        low, high = zip(*box, strict=True)
        self.points = np.random.default_rng(0).uniform(low, high, (20, len(box)))
        self.u = self.function(self.points)

    def d(self, axis: int, twice: bool = False) -> Points:
        step = _STEP * np.eye(self.points.shape[1])[axis]
        values = np.stack([self.function(self.points + k * step) for k in range(-4, 5)])
        return (_SECOND / _STEP**2 if twice else _FIRST / _STEP) @ values


def test_smoke_tables_closed_forms_solve_their_equations() -> None:
    unit, circle = (0.1, 0.9), (0.1, 6.0)
    moving = Around(lambda points: transport.convected(points, 8.0), unit, circle)
    reacting = Around(transport.reacted, unit, circle)
    swinging = Around(lambda points: transport.swung(points, 3), unit, unit)
    standing = Around(elliptic.standing, unit, unit)
    decaying = Around(heat.decayed, (0.1, 4.0), unit, unit)
    steep = Around(lambda points: cole_hopf(points, 0.1), (0.1, 0.9), (-0.9, 0.9))
    x, y = standing.points.T
    source = (1 - 17 * math.pi**2) * np.sin(math.pi * x) * np.sin(4 * math.pi * y)
    residuals = {
        "convection": moving.d(0) + 8 * moving.d(1),
        "reaction": reacting.d(0) - 5 * reacting.u * (1 - reacting.u),
        "wave": (swinging.d(0, True) - 4 * swinging.d(1, True)) / 100,
        "helmholtz": (standing.d(0, True) + standing.d(1, True) + standing.u - source) / 100,
        "heat": decaying.d(0) - decaying.d(1, True) / (500 * math.pi) ** 2 - decaying.d(2, True) / math.pi**2,
        "burgers": steep.d(0) + steep.u * steep.d(1) - 0.1 * steep.d(1, True),
    }
    assert {name: abs(residual).max() < 1e-8 for name, residual in residuals.items()} == dict.fromkeys(residuals, True)


# Of these there are closed forms; what the others begin with is looked at below.
CLOSED = [
    case
    for case in CASES
    if case.name not in (*periodic.SOLVED, "Burgers, nu = 0.01")
    and not any(word in case.name for word in ("cavity", "exact data"))
]


@pytest.mark.parametrize("case", CLOSED, ids=lambda case: case.name)
def test_smoke_tables_references_have_the_values_given(case: Case) -> None:
    problem = case.problem()
    for condition in problem.conditions:
        for name, target in getattr(condition, "targets", {}).items():
            points = np.asarray(condition.sites[0])
            noisy = "inverse" in case.name and name == "u"
            if name not in problem.pde.fields or noisy or (not callable(target) and np.ndim(target)):
                continue
            known = target(*points.T) if callable(target) else np.full(len(points), target)
            true = np.asarray(case.reference(points)).reshape(len(points), -1)[:, problem.pde.fields.index(name)]
            assert abs(known - true).max() < 1e-11
    assert case.points().shape[1] == len(problem.pde.coords)
    assert problem.domain.contains(case.points()).all()
    assert case.lines < 20


def test_smoke_tables_spectral_solver_has_order_four() -> None:
    speed, dispersion = 0.5, 1e-3
    width = math.sqrt(speed / (4 * dispersion))

    def soliton(x: Points) -> Points:
        return np.asarray(3 * speed / np.cosh(width * x) ** 2)

    equation = Equation(-1.0, 2.0, lambda k: 1j * dispersion * k**3, lambda u: -(u**2) / 2, True, soliton)
    x = equation.nodes(256)
    moved = soliton((x - speed + 1) % 2 - 1)
    coarse, fine = (relative(equation.solved(256, steps, 1, 256)[-1], moved) for steps in (200, 400))
    assert fine < 2e-6
    assert 12 < coarse / fine < 25


def test_smoke_tables_spectral_solver_of_a_reaction() -> None:
    equation = Equation(0.0, 1.0, lambda k: 5 + 0 * k, lambda u: -5 * u**3, False, lambda x: 0 * x + 0.1)
    grown = 1 / math.sqrt(1 + (1 / 0.1**2 - 1) * math.exp(-10))
    assert equation.solved(8, 200, 1, 8)[-1] == pytest.approx(grown, rel=1e-7)


def test_smoke_tables_interpolation() -> None:
    axis_t, axis_x = np.linspace(0, 1, 65), np.arange(64) / 64
    table = np.sin(2 * math.pi * axis_x)[None] * np.exp(axis_t)[:, None]
    points = np.random.default_rng(0).uniform(0, 1, (500, 2))
    points[:3] = np.array([[0.0, 0.0], [1.0, 0.999], [0.25, 0.5]])
    true = np.sin(2 * math.pi * points[:, 1]) * np.exp(points[:, 0])
    assert abs(at_points(table, 0.0, 1.0, points) - true).max() < 1e-10
    nodes = grid((0.0, 1.0, 65), (0.0, 63 / 64, 64))
    assert abs(at_points(table, 0.0, 1.0, nodes) - table.ravel()).max() < 1e-15


@pytest.mark.parametrize("name", periodic.SOLVED)
def test_smoke_tables_periodic_references(name: str) -> None:
    solved = periodic.SOLVED[name]
    assert np.isfinite(solved.equation.start(solved.equation.nodes(solved.kept))).all()
    assert solved.steps % solved.levels == 0
    assert solved.modes % solved.kept == 0


def test_smoke_tables_holes() -> None:
    found = holes.fitted()
    assert found["error"] < 1e-12
    around = Around(lambda points: holes.potential(points, found["coefficients"]), (-0.1, 0.1), (-0.1, 0.1))
    assert abs(around.d(0, True) + around.d(1, True)).max() < 1e-8
    turned = around.points[:, ::-1] * [1, -1]
    assert holes.potential(turned, found["coefficients"]) == pytest.approx(around.u, abs=1e-13)


def test_smoke_tables_ball_of_five_dimensions() -> None:
    ball = many_dimensions.Ball5()
    assert ball.measure("sphere") == pytest.approx(8 * math.pi**2 / 3, rel=5e-3)
    points, normals = ball.boundary(500, "sphere"), ball.boundary(500, "sphere").normals
    assert normals is not None
    assert abs((np.asarray(points) ** 2).sum(1) - 1).max() < 1e-12
    assert np.asarray(normals) == pytest.approx(np.asarray(points))
    inside = many_dimensions.in_ball(4096)[:, 1:]
    # Of even points the mean of x^2 is 1 / 7 along each axis.
    assert (inside**2).mean(0) == pytest.approx(np.full(5, 1 / 7), rel=0.06)
    assert (np.asarray(points) ** 2).mean(0) == pytest.approx(np.full(5, 1 / 5), rel=0.06)


def test_smoke_tables_stored_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PSINN_FAST_CACHE", str(tmp_path))
    calls = []

    def compute(factor: float) -> dict[str, Points]:
        calls.append(factor)
        return {"values": factor * np.arange(3.0)}

    for factor in (2.0, 2.0, 3.0):
        stored.stored.cache_clear()
        assert stored.stored(compute, factor)["values"][2] == 2 * factor
    assert calls == [2.0, 3.0]
    for path in stored.folder().iterdir():
        path.write_bytes(b"cut off")
    stored.stored.cache_clear()
    assert stored.stored(compute, 2.0)["values"][1] == 2


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Runs are made up: what was asked for."""
    asked: list[Run] = []

    def attempted(run: Run) -> Row:
        asked.append(run)
        if run.seed == 2:
            return {"failure": "DivergedError: on purpose"}
        if run.seed == 3:
            raise KeyboardInterrupt
        error = 1e-7 * (1 + run.seed)
        return {"relative_l2": error, "seconds": 1.0, "parameters": 501, "curve": [(0.1, 1.0), (1.0, error)]}

    monkeypatch.setattr(tables, "attempted", attempted)
    return asked


def test_smoke_tables_goes_on_where_it_stopped(here: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "nested" / "tables.json"
    arguments = ["reaction", "--networks", "dense", "--out", str(out), "--threads", "1"]
    assert tables.main([*arguments, "--seeds", "0", "3", "1"]) == 130
    assert [run.seed for run in here] == [0, 3]
    assert tables.main([*arguments, "--seeds", "0", "1"]) == 0
    assert [run.seed for run in here] == [0, 3, 1]
    (row,) = json.loads(out.read_text())["rows"]
    assert (row["median"], row["worst"], row["meets"], row["beats"]) == (1.5e-7, 2e-7, True, True)
    assert tables.main([*arguments, "--seeds", "0", "1", "2"]) == 1
    (row,) = json.loads(out.read_text())["rows"]
    assert (row["worst"], row["meets"]) == (None, False)
    assert tables.main([*arguments, "--seeds", "0", "--seconds", "5"]) == 0  # of other limits than the others
    assert [run["limit"] for run in json.loads(out.read_text())["rows"][0]["runs"]] == [5]
    assert not list(tmp_path.rglob("*.partial"))
    capsys.readouterr()
    assert tables.main(["--out", str(out), "--markdown"]) == 0
    assert "| reaction, rho = 5 | 2-20-20-1, tanh | 501 |" in capsys.readouterr().out
    assert tables.main(["--out", str(out), "--picture"]) == 0
    assert out.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"


def test_smoke_tables_refuses_unknown_problems(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        tables.main(["Burger's", "--out", str(tmp_path / "tables.json")])
    assert 'no problem has "Burger\'s" in its name' in capsys.readouterr().err


def test_smoke_tables_cavity_flow_meets_its_conditions() -> None:
    found = cavity_flow.solved("parabolic", 10.0, 3, 0)
    x = np.linspace(0, 1, 9)
    lid, floor = (cavity_flow.flow_at(np.stack([x, 0 * x + y], 1), 3, 0, **found) for y in (1.0, 0.0))
    assert lid[:, 0] == pytest.approx(4 * x * (1 - x), abs=1e-12)
    assert abs(floor[:, :2]).max() < 1e-12
    assert floor[0, 2] == 0
    box = (0.3, 0.35), (0.3, 0.35)
    u, v = (Around(lambda points: cavity_flow.flow_at(points, 3, 0, **found), *box, field=k) for k in (0, 1))
    assert abs(u.d(0) + v.d(1)).max() < 0.05


class Derivatives:
    """Of an expression, by names as equations have them: psi.xxy."""

    def __init__(self, expression: sympy.Expr) -> None:
        self.expression = expression

    def __getattr__(self, name: str) -> sympy.Expr:
        return self.expression.diff(*map(sympy.Symbol, name))


def test_smoke_tables_vorticity_equation() -> None:
    """Kovasznay's flow solves the Navier-Stokes equations."""
    x, y, nu = sympy.Symbol("x"), sympy.Symbol("y"), sympy.Rational(1, 40)
    rate = 1 / (2 * nu) - sympy.sqrt(1 / (4 * nu**2) + 4 * sympy.pi**2)
    psi = y - sympy.exp(rate * x) * sympy.sin(2 * sympy.pi * y) / (2 * sympy.pi)
    for own, viscosity, is_solved in ((psi, nu, True), (psi, 2 * nu, False), (psi + x * y**2, nu, False)):
        residual = cavity.vorticity_equation(Derivatives(own), viscosity)
        assert (abs(residual.subs({x: 0.3, y: 0.2}).evalf()) < 1e-10) == is_solved


def test_smoke_tables_stream_function_keeps_the_walls() -> None:
    """Whatever the network: u = 1 on the lid but for a thousandth of it, 0 elsewhere, and no flow through walls."""
    case = next(case for case in CASES if case.name == "cavity, Re = 1000")
    made = case.networks["dense"]
    assert isinstance(made, pf.Network)
    net = pf.build_network(case.problem(), replace(made, dtype="float64"))
    sides = np.linspace(0, 1, 41)
    lid, floor = (cavity.velocities(net, np.stack([sides, 0 * sides + y], 1)) for y in (1.0, 0.0))
    left, right = (cavity.velocities(net, np.stack([0 * sides + x, sides], 1)) for x in (0.0, 1.0))
    assert lid[1:-1, 0] == pytest.approx(1, abs=5e-3)
    assert max(abs(own).max() for own in (lid[:, 1], floor, left, right)) < 1e-12
    points = cavity.in_corners()
    assert case.problem().domain.contains(points).all()
    distance = np.sqrt((1 - points[:, 1]) ** 2 + np.minimum(points[:, 0], 1 - points[:, 0]) ** 2)
    assert np.quantile(distance, [0, 0.5, 1]) == pytest.approx([0.002, 0.02, 0.2], rel=0.2)


def test_smoke_tables_kink_of_allen_cahn() -> None:
    """What training starts from differs near the ends alone, where it is flat and has the same value and mean."""
    x = 1 - np.logspace(0, -6, 20_001)
    start = x**2 * np.cos(math.pi * x)
    found = periodic.smoothed(0 * x, x)
    off = abs(found - start)
    assert off.max() < 2e-3
    assert off[-1] < 3e-6
    assert off[x < 0.98].max() < 1e-12
    assert abs(np.diff(found)[-1] / np.diff(x)[-1]) < 0.01 < 1.9 < abs(np.diff(start)[-1] / np.diff(x)[-1])
    assert abs(trapezoid(found - start, x)) < 1e-2 * trapezoid(off, x)


def test_smoke_tables_a_process_that_fails_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert running.attempted(Run("reaction, rho = 5", "dense", 0, 1.0, 1)) == {"failure": "exit status 1: no message"}


@pytest.mark.usefixtures("unjudged")
def test_smoke_tables_trains() -> None:
    case = next(case for case in CASES if case.name.startswith("reaction"))
    row = running.trained(case, Run(case.name, "dense", 0, 0.3, 1))
    assert 0 < row["relative_l2"] < 2
    assert row["parameters"] == 501
    assert row["curve"]


def test_smoke_tables_curves_keep_their_ends() -> None:
    curve = [(1.0, 5.0), (1.01, 4.0), (1.06, 3.0), (1.07, 2.0)]
    assert running.thinned(curve) == [(1.0, 5.0), (1.06, 3.0), (1.07, 2.0)]
    assert running.thinned([]) == []


def test_smoke_tables_points_of_cells() -> None:
    assert cells((0.0, 1.0, 2), (0.0, 2.0, 1)).tolist() == [[0.25, 1.0], [0.75, 1.0]]


def test_smoke_tables_docs_have_the_table_of_the_file() -> None:
    """docs/tables.md and README.md are updated by hand from ``python -m bench.tables --markdown``."""
    top = Path(__file__).parents[1]
    rows = json.loads(tables.OUT.read_text(encoding="utf-8"))["rows"]
    assert report.markdown(rows) in (top / "docs" / "tables.md").read_text(encoding="utf-8")
    assert report.in_short(rows) in (top / "README.md").read_text(encoding="utf-8")
    for row in rows:
        for case in (case for case in CASES if case.name == row["problem"]):
            assert row["settings"] == case.settings(row["network"])
