"""Discovery by problem, teachers and trial: what it finds, and what it says when something goes wrong."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
import torch
from helpers import random_theta
from small import small_laplace

from psinn_fast import (
    MLP,
    PDE,
    Box,
    Dirichlet,
    Discovery,
    DiscoveryError,
    InputError,
    Problem,
    PsiMLP,
    Recipe,
    Residual,
    SignedPermutation,
    Symmetry,
    discover,
    structure_from_group,
)
from psinn_fast.discovery import discover as module
from psinn_fast.discovery.discover import trial_of, untrained_loss
from psinn_fast.discovery.teachers import (
    MOST_PARAMETERS,
    asymmetries,
    scaled_layers,
    train,
)
from psinn_fast.networks.structure import Structure
from psinn_fast.report.evidence_plot import discovery_figure
from psinn_fast.symmetries.problem_symmetry import ProblemSymmetry
from psinn_fast.symmetries.symmetry_check import structure_symmetries

FLIP_X, FLIP_Y = SignedPermutation.flip(2, 0), SignedPermutation.flip(2, 1)
ODD_X, EVEN_X = Symmetry(FLIP_X, (-1,)), Symmetry(FLIP_X, (1,))
EVEN_Y, ODD_XY = Symmetry(FLIP_Y, (1,)), Symmetry(FLIP_X @ FLIP_Y, (-1,))


def test_teachers_asymmetry_against_their_noise() -> None:
    """Networks odd in x whose weights differ by 1%."""
    structure = structure_from_group([ODD_X], (3, 3))
    nets = [PsiMLP(structure, dtype=torch.float64) for _ in range(2)]
    with torch.no_grad():
        for factor, net in zip((1.0, 1.01), nets, strict=True):
            net.theta.copy_(factor * random_theta(structure, 0))
    found = {a.symmetry.map: a for a in asymmetries(small_laplace(), nets, [FLIP_X, FLIP_Y])}
    assert found[FLIP_X].symmetry == ODD_X
    assert found[FLIP_X].verdict == "supported"
    assert found[FLIP_X].effect < 1e-12
    assert 1e-3 < found[FLIP_X].noise < 0.1
    assert found[FLIP_Y].verdict == "broken"
    assert found[FLIP_Y].effect > 10 * found[FLIP_Y].noise
    # Networks that have nothing in common support nothing, and break nothing either.
    others = [MLP([2, 4, 1], seed=seed, dtype=torch.float64) for seed in (1, 2)]
    assert {a.verdict for a in asymmetries(small_laplace(), others, [FLIP_X, FLIP_Y])} == {"undecided"}


@pytest.mark.trajectory
def test_teachers_that_differ_get_company_and_time() -> None:
    found = discover(small_laplace(), tests=("teacher",), steps=3)
    assert [teacher.seed for teacher in sorted(found.teachers, key=lambda t: t.seed)] == [0, 1, 2, 3]
    assert re.search(r"teachers differ by [\d.]+% after 3 steps: 4 were trained for 6", " ".join(found.notes))
    assert found.trial is None or found.trial.steps == 6


def test_teachers_layers_are_scaled_down() -> None:
    assert scaled_layers(small_laplace()) == (2, 6, 6, 1)
    problem = replace(small_laplace(), recipe=Recipe(layers=(2, 80, 40, 40, 1)))
    layers = scaled_layers(problem)
    assert (
        Structure.dense(layers).n_parameters
        <= MOST_PARAMETERS
        < Structure.dense([2, 2 * layers[1], 40, 1]).n_parameters
    )
    assert layers[1] == pytest.approx(2 * layers[2], abs=2)


@pytest.fixture(scope="module")
def laplace() -> Discovery:
    return discover(small_laplace(), tests=("problem", "teacher"), steps=60)


@pytest.mark.trajectory
def test_discover_finds_the_whole_group(laplace: Discovery) -> None:
    assert {match.symmetry for match in laplace.group} == {ODD_X, EVEN_Y, ODD_XY}
    assert {m.symmetry for m in structure_symmetries(laplace.structure, ["x", "y"])} == {ODD_X, EVEN_Y, ODD_XY}
    assert len(laplace.evidence) == 7
    assert all(row.effect < 0.05 and row.problem == "holds" for row in laplace.evidence if row.accepted)
    assert laplace.distillation is None
    assert laplace.trial is not None
    assert not laplace.trial.rejected
    assert len(laplace.teachers) == 2
    assert laplace.teachers[0].loss == min(laplace.trial.dense)


@pytest.mark.trajectory
def test_report_numbers_and_picture(laplace: Discovery) -> None:
    report = laplace.report()
    for words in ("small: y -> -y (even)", "W1 = ", "evidence, maps about (0, 0)", "rejected", "trial, loss after 60"):
        assert words in report
    found = json.loads(json.dumps(laplace.to_dict()))
    assert found["evidence"][0]["map"] == "y -> -y"
    assert found["trial"]["rejected"] is False
    labels = [axis.get_xlabel() for axis in discovery_figure(laplace).get_axes()]
    assert any("asymmetry" in label for label in labels)


@pytest.mark.trajectory
def test_partly_symmetric() -> None:
    """u = x^2 + y is even in x and nothing else."""
    box = Box(x=(-1, 1), y=(-1, 1))
    problem = Problem(
        "parabola",
        PDE("x y", "u", lambda u: u.xx + u.yy - 2),
        box,
        [Residual(box.grid(9)), Dirichlet(box.boundary(9), u=lambda x, y: x**2 + y)],
        recipe=Recipe(layers=(2, 5, 5, 1)),
    )
    found = discover(problem, tests=("problem", "teacher"), steps=60)
    assert [match.symmetry for match in found.group] == [EVEN_X]
    # The teachers alone say the same.
    found = discover(problem, tests=("teacher",), steps=60)
    assert [match.symmetry for match in found.group] == [EVEN_X]


@pytest.mark.trajectory
def test_without_symmetry_the_structure_is_dense() -> None:
    box = Box(x=(-1, 1), y=(-1, 1))
    problem = Problem(
        "tilted",
        PDE("x y", "u", lambda u: u.lap),
        box,
        [Residual(box.grid(9)), Dirichlet(box.boundary(9), u=lambda x, y: np.exp(x) * np.cos(y + 0.4))],
        recipe=Recipe(layers=(2, 5, 5, 1)),
    )
    found = discover(problem, tests=("problem", "teacher"), steps=60)
    assert found.group == ()
    assert found.structure.is_dense
    assert found.structure.layer_sizes == (2, 5, 5, 1)
    assert found.trial is None
    assert "no symmetry, the structure is dense" in found.report()
    assert discovery_figure(found).get_axes()


def test_an_untrained_loss_has_a_value_where_residuals_need_not() -> None:
    """Or no structure would ever be rejected: log(u) of a field about 0."""
    box = Box(x=(-1, 1), y=(-1, 1))
    pde = PDE("x y", "u", lambda u: u.lap - sp.log(u))
    problem = Problem("log", pde, box, [Residual(box.grid(9)), Dirichlet(box.boundary(9), u=1.0)])
    assert 0 < untrained_loss(problem, Structure.dense([2, 8, 8, 1]), "auto") < 100


@pytest.mark.trajectory
def test_a_wrong_structure_is_rejected_by_the_trial() -> None:
    problem, training = small_laplace(), {"steps": 60, "seconds": None, "backend": "auto", "progress": False}
    dense, _ = train(problem, [0], **training)
    for symmetry, rejected in ((EVEN_Y, False), (Symmetry(FLIP_Y, (-1,)), True)):
        structure = structure_from_group([symmetry], (1, 1))
        trial, _ = trial_of(problem, structure, dense, range(4), training)
        assert trial.rejected is rejected
        assert len(trial.structured) == 4 or not rejected


@pytest.mark.trajectory
def test_a_structure_that_trains_slowly_is_kept() -> None:
    """Its loss after the trial's steps is far above the dense one's, and falls when it has more."""
    problem, training = small_laplace(), {"steps": 30, "seconds": None, "backend": "auto", "progress": False}
    dense, _ = train(problem, [0], **{**training, "steps": 40})
    trial, _ = trial_of(problem, structure_from_group([EVEN_Y], (1, 1)), dense, [2], training)
    assert min(trial.structured) > 10 * trial.dense[0]
    assert not trial.rejected
    assert trial.longer[-1] < 10 * trial.dense[0]
    assert f"{trial.longer[0]:.1e} after 60" in trial.text()


@pytest.mark.trajectory
@pytest.mark.parametrize("asymmetry", [1e-2, 3e-3])
def test_a_small_asymmetry_is_not_taken_for_slow_training(asymmetry: float) -> None:
    """u = x^3 - 3 x y^2 and so much of x y, which is odd in y: no even network has less than its mean square."""
    box = Box(x=(-1, 1), y=(-1, 1))
    points = box.boundary(11)
    given = Dirichlet(points, u=lambda x, y: x**3 - 3 * x * y**2 + asymmetry * x * y)
    problem = replace(small_laplace(), conditions=[Residual(box.grid(11)), given], symmetries=[], exact=None)
    training = {"steps": 40, "seconds": None, "backend": "auto", "progress": False}
    dense, _ = train(problem, [0], **{**training, "steps": 80})
    trial, _ = trial_of(problem, structure_from_group([EVEN_Y], (1, 1)), dense, [2], training)
    assert trial.rejected
    assert trial.longer
    x, y = np.asarray(points).T
    assert min(*trial.structured, *trial.longer) > 0.99 * asymmetry**2 * np.mean((x * y) ** 2)


@pytest.mark.trajectory
def test_a_rejected_structure_gives_way_to_the_dense_one(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = ProblemSymmetry(Symmetry(FLIP_Y, (-1,)), "y -> -y", "holds", "so it says", 0.0)
    others = [ProblemSymmetry(Symmetry(g, (c,)), "", "broken", "", 1.0)
              for g in (FLIP_X, FLIP_X @ FLIP_Y) for c in (1, -1)]  # fmt: skip
    even = ProblemSymmetry(EVEN_Y, "y -> -y", "broken", "so it says", 1.0)
    monkeypatch.setattr(module, "problem_symmetries", lambda problem: [wrong, even, *others])
    monkeypatch.setattr(Box, "symmetries", lambda box: (FLIP_Y, FLIP_X, FLIP_X @ FLIP_Y))
    monkeypatch.setattr(module, "distil", lambda *_, **__: (_ for _ in ()).throw(DiscoveryError("nothing to read")))
    found = discover(small_laplace(), tests=("problem", "student"), steps=60)
    assert found.trial is not None
    assert found.trial.rejected
    assert found.structure.is_dense
    assert found.group == ()
    assert "the structured network is worse (the problem has it)" in found.evidence[0].reason
    assert "students: nothing to read" in found.notes


@pytest.mark.trajectory
def test_diverged_teachers_are_reported() -> None:
    """log(u - 1.5) is NaN for every network at its start: what the problem says is left."""
    box = Box(x=(-1, 1), y=(-1, 1))
    problem = Problem(
        "log",
        PDE("x y", "u", lambda u: u.lap - sp.log(u - 1.5)),
        box,
        [Residual(box.grid(13))],
        recipe=Recipe(layers=(2, 3, 1)),
    )
    found = discover(problem, tests=("problem", "teacher"), steps=3)
    assert any("teacher, seed 0: training diverged" in note for note in found.notes)
    assert any("their noise is unknown" in note for note in found.notes)
    assert found.teachers == ()
    assert EVEN_X in {match.symmetry for match in found.group}


@pytest.mark.trajectory
def test_a_given_teacher_is_used_and_left_as_it_is() -> None:
    teacher = PsiMLP(structure_from_group([EVEN_Y], (2, 2)), 2, seed=0, dtype=torch.float32)
    before = teacher.theta.detach().clone()
    found = discover(small_laplace(), teacher, tests=("teacher",), seeds=1, steps=5)
    assert teacher.theta.dtype == torch.float32
    assert torch.equal(teacher.theta, before)
    assert len(found.teachers) == 1
    assert all(row.noise is not None for row in found.evidence)


def test_two_outputs_and_the_problem_alone() -> None:
    box = Box(x=(0, 2), y=(-1, 1))
    problem = Problem(
        "channel", PDE("x y", "u v p", lambda u, v, p: [u.x + v.y, u.lap - p.x, v.lap - p.y]), box,
        [
            Residual(box.grid(7)),
            Dirichlet(box.face("x", "low", 7), u=lambda x, y: 1 - y**2, v=0.0),
            Dirichlet(box.face("x", "high", 7), p=0.0),
        ],
    )  # fmt: skip
    found = discover(problem, tests=("problem",))
    (match,) = found.group
    assert match.symmetry == Symmetry(FLIP_Y, (1, -1, 1))
    assert found.structure.centre == (1.0, 0.0)
    assert match.symmetry in {m.symmetry for m in structure_symmetries(found.structure, ["x", "y"])}
    assert "y -> -y (even, odd, even)" in found.report()
    assert (found.teachers, found.trial, found.distillation) == ((), None, None)


def test_of_a_large_group_a_subgroup_makes_the_structure() -> None:
    cube = Box(x=(0, 1), y=(0, 1), z=(0, 1))
    problem = Problem("cube", PDE("x y z", "u", lambda u: u.lap + 1), cube,
                      [Residual(cube.grid(5)), Dirichlet(cube.boundary(4), u=0.0)])  # fmt: skip
    found = discover(problem, tests=("problem",))
    assert len(found.group) == 47
    assert found.structure.layers[0].rows == (1,) * 16
    assert found.notes == ("structure: it has 16 of the 48 symmetries found, a subgroup",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tests": ()}, "tests: expected some of"),
        ({"tests": ("magic",)}, r"tests: expected one of \['problem', 'teacher', 'student'\], got 'magic'"),
        ({"distillations": 0}, "distillations: expected an integer >= 1"),
        ({"seeds": 1}, "seeds: expected an integer >= 2"),
        ({"teacher": MLP([3, 2, 1])}, "teacher: problem 'small' has 2 inputs"),
    ],
)
def test_bad_input(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        discover(small_laplace(), **options)


def test_a_discovery_is_printed_in_one_line() -> None:
    found = discover(small_laplace(), tests="problem")
    text = repr(found)
    assert "\n" not in text
    assert len(text) < 400
    assert text.startswith("Discovery of small: symmetries ")
    assert all(match.text in text for match in found.group)
