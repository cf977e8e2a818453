"""The width that a Psi-NN takes where nobody says: by what a step costs."""

from __future__ import annotations

import pytest
from small import optimizers

from bench.widths import PROBLEMS
from psinn_fast import PDE, Box, Dirichlet, Network, Problem, Recipe, Residual, Structure, discover, get_problem, solve
from psinn_fast.building import build_network
from psinn_fast.widths import NEWTON_COST, default_width


def plain(structure: Structure | None = None, width: int | None = None) -> Problem:
    box = Box(x=(-1, 1), y=(-1, 1))
    conditions = [Residual(box.grid(9)), Dirichlet(box.boundary(9), u=0.0)]
    pde = PDE("x y", "u", lambda u: u.xx + u.yy - 1)
    return Problem("plain", pde, box, conditions, recipe=Recipe(structure=structure, width=width))


@pytest.mark.parametrize(
    ("name", "by_newton", "by_adam"),
    [("laplace", 8, 8), ("poisson", 9, 20), ("burgers", 8, 10), ("cylinder", 9, 20)],
)
def test_built_in_problems_keep_theirs(name: str, by_newton: int, by_adam: int) -> None:
    problem = get_problem(name)
    assert problem.recipe.structure is not None
    assert default_width(problem, problem.recipe.structure, by_newton=True) == by_newton
    assert default_width(problem, problem.recipe.structure, by_newton=False) == by_adam


# Within these widths the error is at most three times the least (bench/results/widths.json).
@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("clamped-plate", 4, 4),
        ("annulus", 4, 10),
        ("allen-cahn", 10, 14),
        ("helmholtz", 8, 12),
        ("heat-3", 4, 8),
        ("heat-4", 4, 6),
    ],
)
def test_large_groups_are_narrow_and_small_ones_wide(name: str, least: int, most: int) -> None:
    problem = PROBLEMS[name]()
    structure = discover(problem, tests=("problem",)).structure
    assert least <= default_width(problem, structure, by_newton=True) <= most


def test_a_structure_without_relations_is_a_dense_network_of_the_ordinary_size() -> None:
    problem = plain()
    found = Structure.dense(problem.default_layers, "plain (dense)")
    for optimizer in ("adam", "gauss-newton"):
        net = solve(problem, Network("psi", structure=found), optimizers(optimizer, 1)).net
        assert net.structure.layer_sizes == problem.default_layers
        assert net.theta.numel() == build_network(problem, "pinn").theta.numel() == 1185


def test_adam_takes_no_more_multiplications_than_the_dense_network() -> None:
    problem = plain()
    structure = discover(problem, tests=("problem",)).structure
    sizes = build_network(problem, Network("psi", structure=structure)).structure.layer_sizes
    assert sizes == (2, 32, 32, 1)


def test_blocks_that_are_scaled_already_are_not_scaled_again() -> None:
    """The structure of a solution gives the network that was trained."""
    problem = get_problem("burgers")
    trained = build_network(problem, "psi").structure
    assert build_network(problem, trained).structure == trained
    assert problem.recipe.structure is not None
    by_newton = default_width(problem, problem.recipe.structure, by_newton=True)
    assert default_width(problem, problem.recipe.structure.with_width(by_newton), by_newton=True) == 1
    for width, expected in ((2, 5), (5, 2), (7, 1), (10, 1), (20, 1)):
        assert default_width(problem, problem.recipe.structure.with_width(width), by_newton=False) == expected


def test_the_problems_own_width_counts_where_it_is_affordable() -> None:
    structure = discover(plain(), tests=("problem",)).structure
    assert default_width(plain(width=2), structure, by_newton=True) == 2
    assert default_width(plain(width=50), structure, by_newton=False) == 50
    affordable = default_width(plain(width=50), structure, by_newton=True)
    assert structure.with_width(affordable).n_parameters ** 2 <= 2 * NEWTON_COST
    assert affordable == default_width(plain(), structure, by_newton=True)
