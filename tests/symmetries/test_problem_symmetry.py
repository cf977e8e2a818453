"""Symmetries of problems by themselves: equations, regions, boundary conditions, data, sources, periodic pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import sympy as sp

from psinn_fast import (
    PDE,
    Box,
    Condition,
    Data,
    Dirichlet,
    InputError,
    Neumann,
    Periodic,
    Problem,
    Residual,
    get_problem,
    problem_symmetries,
)

SQUARE = Box(x=(-1, 1), y=(-1, 1))
LAPLACE = PDE("x y", "u", lambda u: u.xx + u.yy)


def verdicts(problem: Problem, verdict: str) -> set[tuple[str, tuple[int, ...]]]:
    return {(m.text, m.symmetry.character) for m in problem_symmetries(problem) if m.verdict == verdict}


def reason(problem: Problem, text: str, *character: int) -> str:
    (found,) = [m for m in problem_symmetries(problem) if (m.text, m.symmetry.character) == (text, character)]
    return found.reason


def on_square(*conditions: Condition, pde: PDE = LAPLACE, box: Box = SQUARE) -> Problem:
    return Problem("test", pde, box, [Residual(box.grid(11)), *conditions])


ODD_X, EVEN_Y, BOTH = ("x -> -x", (-1,)), ("y -> -y", (1,)), ("x -> -x, y -> -y", (-1,))
SWAP, INVERSION, ANTISWAP = ("x -> y, y -> x", (1,)), ("x -> -x, y -> -y", (1,)), ("x -> -y, y -> -x", (1,))


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("laplace", {}, {ODD_X, EVEN_Y, BOTH}),
        ("poisson", {}, {SWAP, INVERSION, ANTISWAP}),
        ("burgers", {}, {ODD_X}),
        *(("burgers-inverse", {"nu": k / math.pi}, {ODD_X}) for k in (0.01, 0.04, 0.08)),
    ],
)
def test_built_in_problems(name: str, settings: dict[str, float], expected: set[tuple[str, tuple[int, ...]]]) -> None:
    problem = get_problem(name, settings)
    assert verdicts(problem, "holds") == expected
    assert verdicts(problem, "undecided") == set()


def test_broken_boundary_data() -> None:
    """Even in y but for one corner of the data, and by how much."""

    def edge(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.cos(x + 0.3) * np.cosh(y) + 0.1 * (y > 0.9) * (x == 1)

    problem = on_square(Dirichlet(SQUARE.boundary(11), u=edge))
    assert verdicts(problem, "holds") == set()
    assert "dirichlet: at (1, -1) off by 0.1" in reason(problem, "y -> -y", 1)


def test_partly_symmetric() -> None:
    pde = PDE("x y", "u", lambda u: u.xx + u.yy - 2)
    problem = on_square(Dirichlet(SQUARE.boundary(11), u=lambda x, y: x**2 + y), pde=pde)
    assert verdicts(problem, "holds") == {("x -> -x", (1,))}
    assert verdicts(problem, "undecided") == set()


def test_source_without_symmetry() -> None:
    rng = np.random.default_rng(0)
    a, k, phase = rng.normal(size=5), rng.normal(size=(5, 2)), rng.uniform(0, 6, 5)

    def residual(u, x, y):  # SymPy's symbols
        return u.lap - sum(a[i] * sp.sin(k[i, 0] * x + k[i, 1] * y + phase[i]) for i in range(5))

    problem = on_square(Dirichlet(SQUARE.boundary(11), u=0.0), pde=PDE("x y", "u", residual))
    assert {m.verdict for m in problem_symmetries(problem)} == {"broken"}
    assert reason(problem, "x -> -x", 1).startswith("residual: at (")


def test_shifted_initial_condition() -> None:
    box = Box(t=(0, 1), x=(-1, 1))
    problem = on_square(
        Dirichlet(box.face("t", "low", 41), u=lambda t, x: -np.sin(np.pi * (x - 0.2)), name="initial"),
        pde=PDE("t x", "u", lambda u: u.t + u * u.x - 0.1 * u.xx),
        box=box,
    )
    assert {m.verdict for m in problem_symmetries(problem)} == {"broken"}
    assert "initial: at (0, " in reason(problem, "x -> -x", -1)


def test_a_domain_with_unequal_sides_has_no_swap() -> None:
    box = Box(x=(0, 1), y=(0, 2))
    problem = on_square(Dirichlet(box.boundary(11), u=0.0), pde=PDE("x y", "u", lambda u: u.lap + 1), box=box)
    assert verdicts(problem, "holds") == {("x -> -x", (1,)), ("y -> -y", (1,)), INVERSION}
    assert len(problem_symmetries(problem)) == 6


def test_three_inputs() -> None:
    """All 48 maps of the cube for one sine mode about its centre; with another factor in z, 16 of them."""
    cube = Box(x=(0, 1), y=(0, 1), z=(0, 1))

    def solved(factor: Callable[[sp.Symbol], sp.Expr]) -> Problem:
        pde = PDE("x y z", "u", lambda u, x, y, z: u.lap - sp.sin(sp.pi * x) * sp.sin(sp.pi * y) * factor(z))
        return Problem("cube", pde, cube, [Residual(cube.grid(7)), Dirichlet(cube.boundary(5), u=0.0)])

    assert len(verdicts(solved(lambda z: sp.sin(sp.pi * z)), "holds")) == 47
    found = verdicts(solved(lambda z: sp.cos(sp.pi * z)), "holds")
    assert len(found) == 15
    assert {("z -> -z", (-1,)), ("x -> y, y -> x", (1,)), ("x -> -x", (1,))} < found


def test_a_sign_for_each_of_two_outputs() -> None:
    """Stokes-like: p and u even in y, v odd, the divergence and two momentum equations."""

    def residual(u, v, p):  # SymPy's symbols
        return [u.x + v.y, u.lap - p.x, v.lap - p.y]

    problem = on_square(
        Dirichlet(SQUARE.face("x", "low", 11), u=lambda x, y: 1 - y**2, v=0.0, name="inflow"),
        Dirichlet(SQUARE.face("y", "low", 11), u=0.0, v=0.0, name="wall"),
        Dirichlet(SQUARE.face("y", "high", 11), u=0.0, v=0.0, name="wall"),
        Dirichlet(SQUARE.face("x", "high", 11), p=0.0, name="outflow"),
        pde=PDE("x y", "u v p", residual),
    )
    assert verdicts(problem, "holds") == {("y -> -y", (1, -1, 1))}


def test_exchanged_residuals() -> None:
    """The swap exchanges the equations of u_x + v and u_y + w only with the fields, which keep their places."""
    problem = on_square(pde=PDE("x y", "u v", lambda u, v: [u.x + v, u.y + v]))
    assert ("x -> y, y -> x", (1, 1)) in verdicts(problem, "holds")
    assert ("x -> y, y -> x", (1, -1)) in verdicts(problem, "broken")


def test_neumann_normals_turn_with_the_map() -> None:
    faces = [
        Neumann(SQUARE.face(c, end, 9), normal, u=1.0, name=f"{c}_{end}")
        for c, axis in (("x", 0), ("y", 1))
        for end, normal in (("low", -np.eye(2)[axis]), ("high", np.eye(2)[axis]))
    ]
    problem = on_square(*faces, pde=PDE("x y", "u", lambda u: u.lap - 2))
    assert {text for text, _ in verdicts(problem, "holds")} == {m.text for m in problem_symmetries(problem)}
    other_way = Neumann(SQUARE.face("x", "low", 9), [-1.0, 0.0], u=-1.0, name="x_low")
    problem = on_square(other_way, *faces[1:], pde=PDE("x y", "u", lambda u: u.lap - 2))
    assert verdicts(problem, "holds") == {("y -> -y", (1,))}
    # -1 leaves the flux of u, which is 1 on one side and -1 on the other, as it is; the source is what breaks it.
    assert reason(problem, "x -> -x", -1).startswith("residual")
    assert reason(problem, "x -> -x", 1).startswith("x_low: at (-1, ")


def test_periodic_pairs_may_change_places() -> None:
    box = Box(t=(0, 1), x=(-1, 1))
    pairs = Periodic(box.face("x", "low", 9), box.face("x", "high", 9), "u u_x")
    initial = Dirichlet(box.face("t", "low", 9), u=lambda t, x: np.cos(np.pi * x), name="initial")
    problem = on_square(initial, pairs, pde=PDE("t x", "u", lambda u: u.t - 0.1 * u.xx), box=box)
    assert verdicts(problem, "holds") == {("x -> -x", (1,))}
    shifted = Periodic(box.face("x", "low", 9), box.face("x", "high", 9) - [0, 0.5], "u")
    problem = on_square(initial, shifted, pde=PDE("t x", "u", lambda u: u.t - 0.1 * u.xx), box=box)
    assert verdicts(problem, "holds") == set()
    assert "periodic: 9 of 9 points have no counterpart" in reason(problem, "x -> -x", 1)


def test_random_points_stand_for_their_region() -> None:
    points = SQUARE.random(300, 0)
    problem = Problem("test", LAPLACE, SQUARE, [Residual(points), Dirichlet(SQUARE.boundary(9), u=lambda x, y: x * y)])
    assert ("x -> -x", (-1,)) in verdicts(problem, "holds")
    half = Problem("test", LAPLACE, SQUARE, [Residual(points[points[:, 0] < 0])])
    assert verdicts(half, "holds") == {("y -> -y", (1,)), ("y -> -y", (-1,))}
    assert "points have no counterpart" in reason(half, "x -> -x", 1)


def test_a_condition_on_one_side_only_is_undecided() -> None:
    robin = Residual(SQUARE.face("x", "low", 9), lambda u: u.x + 2 * u, name="robin")
    problem = on_square(robin)
    assert ("y -> -y", (1,)) in verdicts(problem, "holds")
    assert ("x -> -x", (1,)) in verdicts(problem, "undecided")
    assert reason(problem, "x -> -x", 1) == "robin: 9 of 9 points have no counterpart"


@pytest.mark.parametrize(
    ("points", "values", "verdict", "words"),
    [
        ([[0.3, 0.2], [-0.3, 0.2]], [1.0, -1.0], "holds", "all conditions"),
        ([[0.3, 0.2], [-0.3, 0.2]], [1.0, -0.9], "broken", "sensors: at (0.3, 0.2) off by 0.1, 0.1 of the largest"),
        ([[0.3, 0.2], [-0.4, 0.2]], [1.0, -1.0], "undecided", "sensors: 2 of 2 points have no counterpart"),
        ([[0.3, 0.2], [-0.3, 0.2], [0.7, 0.7]], [1.0, -1.0, 2.0], "undecided", "sensors: 1 of 3 points have no"),
        # On the line that the map leaves in place, an odd function is zero.
        ([[0.0, 0.2]], [1.0], "broken", "sensors: at (0, 0.2) off by 2"),
        ([[0.0, 0.2]], [0.0], "holds", "all conditions"),
    ],
)
def test_measurements(points: Sequence[Sequence[float]], values: Sequence[float], verdict: str, words: str) -> None:
    pde = PDE("x y", "u", lambda u, a: u.xx + a * u.yy, unknown={"a": 0.5})
    problem = on_square(Data(points, u=values, name="sensors"), pde=pde)
    assert ("x -> -x", (-1,)) in verdicts(problem, verdict)
    assert words in reason(problem, "x -> -x", -1)


def test_small_units_and_rounding() -> None:
    """Values of 1e-8 are compared with each other, not with 1; and sin(pi) is zero."""
    pde = PDE("x y", "u", lambda u: u.lap)
    problem = on_square(Dirichlet(SQUARE.boundary(9), u=lambda x, y: 1e-8 * (x + 0.01 * y**2)), pde=pde)
    assert ("x -> -x", (-1,)) in verdicts(problem, "broken")
    problem = on_square(Dirichlet(SQUARE.boundary(9), u=lambda x, y: np.sin(np.pi * (x + 1)) * (y + 2)), pde=pde)
    assert ("x -> -x", (-1,)) in verdicts(problem, "holds")


def test_a_term_without_weight_says_nothing() -> None:
    problem = on_square(
        Dirichlet(SQUARE.boundary(9), u=lambda x, y: x),
        Data([[0.5, 0.5], [-0.5, 0.5]], u=[1.0, 3.0], weight=0.0),
    )
    assert ("x -> -x", (-1,)) in verdicts(problem, "holds")


def test_residuals_that_random_fields_cannot_have() -> None:
    """log u at negative u: what is finite is compared; where nothing is, nothing is claimed."""
    pde = PDE("x y", "u", lambda u: u.lap - sp.log(u))
    assert ("x -> -x", (1,)) in verdicts(on_square(pde=pde), "holds")
    never = PDE("x y", "u", lambda u: u.lap + sp.log(-(u**2) - 1))
    assert "NaN or infinite for random fields" in reason(on_square(pde=never), "x -> -x", 1)


@pytest.mark.parametrize("tolerance", [0.0, math.nan])
def test_bad_tolerance(tolerance: float) -> None:
    with pytest.raises(InputError, match="tolerance: expected a finite number > 0"):
        problem_symmetries(on_square(), tolerance=tolerance)


def scattered_walls(box: Box = SQUARE, n: int = 60, seed: int = 0) -> dict[str, np.ndarray]:
    """Random points on the faces of a square: none is the mirror image of another."""
    rng = np.random.default_rng(seed)
    walls = {}
    for axis, coord in enumerate(box.coords):
        for end, value in (("low", box.low[axis]), ("high", box.high[axis])):
            points = rng.uniform(box.low, box.high, (n, 2))
            points[:, axis] = value
            walls[f"{coord}_{end}"] = points
    return walls


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_constant_needs_no_counterpart(value: float) -> None:
    walls = [Dirichlet(points, u=value, name=name) for name, points in scattered_walls().items()]
    problem = on_square(*walls, pde=PDE("x y", "u", lambda u: u.xx + u.yy - 1))
    assert {("x -> -x", (1,)), EVEN_Y, SWAP, INVERSION, ANTISWAP} <= verdicts(problem, "holds")
    assert ODD_X in verdicts(problem, "broken")


def test_constants_of_a_slope_need_no_counterpart_either() -> None:
    normals = {"x_low": (-1, 0), "x_high": (1, 0), "y_low": (0, -1), "y_high": (0, 1)}
    walls = [Neumann(points, normals[name], u=0.5, name=name) for name, points in scattered_walls().items()]
    problem = on_square(*walls, pde=PDE("x y", "u", lambda u: u.xx + u.yy - u - 1))
    assert {EVEN_Y, SWAP} <= verdicts(problem, "holds")


def test_other_constants_on_the_other_side_break() -> None:
    sides = scattered_walls()
    walls = [Dirichlet(points, u=float(name == "x_low"), name=name) for name, points in sides.items()]
    found = verdicts(on_square(*walls), "broken")
    assert {(text, (sign,)) for text in ("x -> -x",) for sign in (1, -1)} <= found
    assert EVEN_Y in verdicts(on_square(*walls), "holds")


def test_a_constant_on_one_side_only_has_no_counterpart() -> None:
    wall = scattered_walls()["x_low"]
    assert ("x -> -x", (1,)) in verdicts(on_square(Dirichlet(wall, u=0.0)), "undecided")


def test_a_few_measurements_of_one_value_stand_for_no_region() -> None:
    points = [[0.3, 0.4], [-0.5, 0.1], [0.2, -0.7]]
    assert EVEN_Y in verdicts(on_square(Data(points, u=0.0)), "undecided")


def stokes(*gauges: Condition) -> Problem:
    """A channel: u even, v odd and p even in y; p is determined up to a constant but for the gauges."""

    def residual(u: sp.Expr, v: sp.Expr, p: sp.Expr) -> list[sp.Expr]:
        return [p.x - u.xx - u.yy - 2, p.y - v.xx - v.yy, u.x + v.y]

    walls = Dirichlet(SQUARE.boundary(11), u=lambda x, y: 1 - y**2, v=0.0, name="walls")
    return Problem("stokes", PDE("x y", "u v p", residual), SQUARE, [Residual(SQUARE.grid(11)), walls, *gauges])


CHANNEL = ("y -> -y", (1, -1, 1))


@pytest.mark.parametrize("value", [0.0, -2.5])
@pytest.mark.parametrize("kind", [Dirichlet, Data])
def test_a_gauge_point_off_the_axis_decides_against_nothing(kind: Callable[..., Condition], value: float) -> None:
    assert CHANNEL in verdicts(stokes(), "holds")
    assert CHANNEL in verdicts(stokes(kind([[0.3, 0.7]], p=value, name="gauge")), "holds")


def test_an_odd_field_is_odd_up_to_the_constant_of_its_gauge() -> None:
    """u_xx = f, f odd, slopes given at both ends, u fixed at one point: u is odd about its value in the middle."""
    line = Box(x=(-1, 1))
    pde = PDE("x", "u", lambda u, x: u.xx - x)
    ends = Neumann([[-1.0], [1.0]], [[-1.0], [1.0]], u=np.array([-0.5, 0.5]), name="ends")

    def with_gauge(x: float, value: float) -> Problem:
        return Problem("line", pde, line, [Residual(line.grid(21)), ends, Dirichlet([[x]], u=value, name="gauge")])

    assert ("x -> -x", (-1,)) in verdicts(with_gauge(0.0, 0.0), "holds")
    assert ("x -> -x", (-1,)) in verdicts(with_gauge(0.4, 0.0), "undecided")
    assert "fixes a constant" in reason(with_gauge(0.4, 0.0), "x -> -x", -1)


def test_two_lone_points_of_one_field_are_measurements() -> None:
    points = ([[0.3, 0.7]], [[-0.2, 0.1]])
    problem = stokes(*(Data(x, p=1.0, name=f"gauge{i}") for i, x in enumerate(points)))
    assert CHANNEL in verdicts(problem, "undecided")


def test_a_lone_point_of_a_field_that_is_determined_is_a_measurement() -> None:
    problem = on_square(Dirichlet(SQUARE.boundary(11), u=0.0), Data([[0.3, 0.7]], u=0.1))
    assert EVEN_Y in verdicts(problem, "undecided")


def exchanged(u: sp.Expr) -> dict[str, sp.Expr]:
    return {"along_x": u.xx - u, "along_y": u.yy - u, "mixed": u.xy}


@pytest.mark.parametrize(
    ("parts", "kept"),
    [
        (["along_x along_y mixed"], True),
        (["along_x", "along_y", "mixed"], True),
        (["along_x mixed", "along_y"], True),
        (["along_x", "mixed"], False),
    ],
)
def test_maps_may_exchange_equations_of_different_terms(parts: list[str], kept: bool) -> None:
    pde = PDE("x y", "u", exchanged)
    inside = [Residual(SQUARE.grid(11), equations=names) for names in parts]
    problem = Problem("pair", pde, SQUARE, [*inside, Dirichlet(SQUARE.boundary(11), u=1.0)])
    assert SWAP in verdicts(problem, "holds" if kept else "broken")
    assert EVEN_Y in verdicts(problem, "holds")


def test_an_equation_may_be_mapped_to_a_term_of_all() -> None:
    """Its own points lie on one side; on the other the equation is one of several."""
    points = np.array(SQUARE.grid(11))
    alone = Residual(points[points[:, 1] > 0.1], equations="mixed", name="alone")
    problem = Problem("pair", PDE("x y", "u", exchanged), SQUARE, [Residual(points, name="all"), alone])
    assert EVEN_Y in verdicts(problem, "holds")
