"""Options out of range or without effect are refused before anything is done, whichever path is taken."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from helpers import refused
from small import newton, small_laplace

import psinn_fast
from psinn_fast import (
    LBFGS,
    MLP,
    Adam,
    GaussNewton,
    InputError,
    Network,
    Options,
    Paper,
    Problem,
    PsiMLP,
    Recipe,
    Regularizer,
    Solution,
    Structure,
    StudentSettings,
    Tuning,
    discover,
    error_metrics,
    fit,
    get_backend,
    get_problem,
    problem_symmetries,
    published_structure,
    relation_matrix_figure,
    run_pipeline,
    save_network,
    solution_figure,
    solve,
    structure_figure,
)
from psinn_fast.discovery.distillation import distil
from psinn_fast.networks.groups import SignedPermutation, Symmetry, structure_from_group

NET = MLP([2, 3, 1], seed=0)
EVEN = Symmetry(SignedPermutation.flip(2, 1), (1,))


PENALTY = Options(regularizer=Regularizer("l2", 1.0))
# Options by what they belong to.
NETWORK = ("method", "structure", "width", "layers", "dtype", "device")
SETTINGS = ("backend", "scaling", "regularizer", "resume", "progress")


def solved(problem: Problem, **arguments: Any) -> Solution:
    """`solve`, with options of networks, of Adam and `Options` by their own names."""
    own = {name: arguments.pop(name) for name in list(arguments) if name in NETWORK}
    options = {name: arguments.pop(name) for name in list(arguments) if name in SETTINGS}
    adam = {name: arguments.pop(name) for name in list(arguments) if name in ("steps", "lr", "milestones")}
    optimizer = Adam(**adam) if adam else arguments.pop("optimizer", "adam")
    return solve(problem, Network(**own), optimizer, options=Options(**options), **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 10.0}, "steps: expected None or an integer >= 0, got 10.0"),
        ({"steps": True}, "steps: expected None or an integer >= 0, got True"),
        ({"lr": "1e-3"}, "lr: expected None or a finite number > 0, got '1e-3'"),
        ({"lr": True}, "lr: expected None or a finite number > 0, got True"),
        ({"steps": 9, "milestones": (3, 3)}, "milestones: expected increasing steps, got [3, 3]"),
        ({"steps": 9, "milestones": (5, 3)}, "milestones: expected increasing steps, got [5, 3]"),
        ({"steps": 9, "milestones": (-1,)}, "milestones[0]: expected an integer >= 1, got -1"),
        ({"steps": 9, "milestones": (0,)}, "milestones[0]: expected an integer >= 1, got 0"),
        ({"steps": 9, "milestones": (9,)}, "milestones: 9 has no effect on a training of 9 steps"),
        ({"steps": 9, "milestones": 5}, "milestones: expected a sequence of integers >= 1, got 5"),
        ({"seconds": math.nan}, "seconds: expected None or a number >= 0, got nan"),
        ({"seconds": -1}, "seconds: expected None or a number >= 0, got -1"),
        ({"seconds": "5"}, "seconds: expected None or a number >= 0, got '5'"),
        ({"seed": -1}, "seed: expected an integer from 0 to 4294967295, got -1"),
        ({"seed": 1.0}, "seed: expected an integer from 0"),
        ({"seed": None}, "seed: expected an integer from 0"),
        ({"dtype": torch.bfloat16}, "dtype: expected one of ['float32', 'float64'], got torch.bfloat16"),
        ({"dtype": 64}, "dtype: expected one of"),
        ({"method": "psi", "width": 0}, "width: expected an integer >= 1, got 0"),
        ({"method": "psi", "width": 2.0}, "width: expected an integer >= 1, got 2.0"),
        ({"method": "psi", "optimizer": "gauss-newton", "width": True}, "width: expected an integer >= 1, got True"),
        ({"method": "pinn", "structure": published_structure("laplace")}, "structure: has no meaning for method"),
        ({"method": "psi", "structure": "paper"}, "structure: expected a Structure, got 'paper'"),
        ({"method": "pinn-post", "width": 2}, "width: has no meaning for method 'pinn-post'"),
        ({"method": "pinn-post", "layers": [2, 1]}, "layers: method 'pinn-post' needs a hidden layer, got [2, 1]"),
        ({"layers": 5}, "layers: expected at least two positive integers, e.g. [2, 8, 8, 1], got 5"),
        ({"layers": [2, 4.0, 1]}, "layers: expected at least two positive integers"),
        ({"layers": [2, 4, 2]}, "layers: problem 'small' has 2 inputs and 1 outputs, got [2, 2]"),
        ({"optimizer": []}, "optimizer: expected at least one, e.g. [pf.Adam(1_000), pf.GaussNewton()]"),
        ({"optimizer": [Adam(5), "sgd"]}, "optimizer: expected one of ['adam', 'gauss-newton', 'adam+gauss-newton', "),
        ({"optimizer": Adam}, "optimizer: expected one of"),
        ({"optimizer": "gauss-newton", "regularizer": Regularizer("l2", 1.0)}, "regularizer: gauss-newton takes none"),
        ({"regularizer": 1e-3}, "regularizer: expected a Regularizer or None, got 0.001"),
        ({"method": "psi", "regularizer": Regularizer("growl", 1.0)}, "kind: 'growl' needs dense layers"),
        ({"resume": "no"}, "resume: expected True (from the file or folder that the call names), False, or a result"),
        ({"progress": 2}, "progress: expected True or False, got 2"),
        ({"out": 5}, "out: expected the path of a file or folder, got 5"),
        ({"out": ""}, "out: expected the path of a file or folder, got ''"),
        ({"backend": None}, "backend: expected one of"),
        ({"device": 1.5}, "device: expected 'cpu', 'cuda' or e.g. 'cuda:1', got 1.5"),
    ],
)  # fmt: skip
def test_solve(arguments: dict[str, Any], message: str) -> None:
    refused(message, lambda: solved(small_laplace(), **arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": 100}, "optimizer: expected one of ['adam', 'gauss-newton', 'adam+gauss-newton', 'lbfgs', 'ssb"),
        ({"net": torch.nn.Linear(2, 1)}, "net: expected a PsiMLP or MLP, got Linear (see PsiMLP.from_sequential)"),
        ({"net": MLP([3, 2, 1])}, "net: problem 'small' has 2 inputs and 1 outputs, the network 3 and 1"),
        ({"coefficients": {"nu": 1.0}}, "coefficients: the unknown coefficients are [], got 'nu'"),
        ({"coefficients": [1.0]}, "coefficients: expected a mapping from name to number, got list"),
        ({"options": Options(resume=True)}, "resume: needs the file to continue from (checkpoint)"),
        ({"options": {"resume": True}}, "options: expected pf.Options(...) or None, got {'resume': True}"),
        ({"checkpoint": 5}, "checkpoint: expected"),
        ({"seconds": math.nan}, "seconds: expected None or a number >= 0, got nan"),
        ({"optimizer": GaussNewton(), "options": PENALTY}, "regularizer: gauss-newton takes none"),
        ({"problem": "heat"}, "problem: expected a Problem or one of ['laplace', 'poisson', 'burgers', "),
    ],
)  # fmt: skip
def test_fit(arguments: dict[str, Any], message: str) -> None:
    refused(message, lambda: fit(**{"problem": small_laplace(), "net": NET, "optimizer": Adam(1), **arguments}))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gamma": 0.5}, "gamma: has no meaning without milestones"),
        ({"gamma": 0.0, "milestones": (5,)}, "gamma: expected a finite number > 0, got 0.0"),
        ({"gamma": math.nan, "milestones": (5,)}, "gamma: expected a finite number > 0, got nan"),
        (
            {"gamma": 1e200, "milestones": (2, 5)},
            "gamma: 1e+200 makes the rate infinite by the last of its 2 milestones",
        ),
        ({"betas": (0.9, 1.0)}, "betas: expected two numbers >= 0 and < 1"),
        ({"betas": (0.9,)}, "betas: expected two numbers"),
        ({"betas": (-0.1, 0.9)}, "betas: expected two numbers"),
        ({"betas": "ab"}, "betas: expected real numbers, got texts"),
        ({"eps": 0.0}, "eps: expected a finite number > 0, got 0.0"),
    ],
)
def test_schedule(arguments: dict[str, Any], message: str) -> None:
    refused(message, lambda: Adam(10, **arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 1.0}, "steps: expected an integer >= 0, got 1.0"),
        ({"starts": True}, "starts: expected 'auto' or an integer >= 1, got True"),
        ({"points": 0}, "points: expected 'auto', 'all' or an integer >= 1, got 0"),
        ({"resample": 2.5}, "resample: expected None or an integer >= 1, got 2.5"),
        ({"focus": "much"}, "focus: expected 'auto' or a finite number >= 0, got 'much'"),
        ({"focus": math.inf}, "focus: expected 'auto' or a finite number >= 0, got inf"),
        ({"balance": "yes"}, "balance: expected True or False, got 'yes'"),
        ({"acceleration": None}, "acceleration: expected True or False, got None"),
        ({"damping": -1.0}, "damping: expected a finite number > 0, got -1.0"),
        ({"precision": torch.float16}, "precision: expected one of ['float64', 'float32'], got torch.float16"),
        ({"loss_target": -1.0}, "loss_target: expected a finite number >= 0, got -1.0"),
        ({"gradient_tolerance": None}, "gradient_tolerance: expected a finite number >= 0, got None"),
        ({"step_tolerance": math.nan}, "step_tolerance: expected a finite number >= 0, got nan"),
        ({"seed": -1}, "seed: expected an integer from 0 to 4294967295, got -1"),
        ({"points": "all", "focus": 1.0}, "focus: has no effect with points='all'"),
    ],
)
def test_gauss_newton(arguments: dict[str, Any], message: str) -> None:
    refused(message, lambda: newton(**arguments))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StudentSettings((8, 0)), "hidden[1]: expected an integer >= 1, got 0"),
        (lambda: StudentSettings((8.0,)), "hidden[0]: expected an integer >= 1, got 8.0"),
        (lambda: StudentSettings(8), "hidden: expected a sequence of integers >= 1, got 8"),
        (lambda: StudentSettings(regularizer="l2"), "regularizer: expected a Regularizer, got 'l2'"),
        (lambda: StudentSettings(grid=1), "grid: expected None or an integer >= 2, got 1"),
        (lambda: StudentSettings(steps=1.5), "steps: expected an integer >= 0, got 1.5"),
        (lambda: StudentSettings(starts=0), "starts: expected an integer >= 1, got 0"),
        (lambda: StudentSettings(tolerance=math.nan), "tolerance: expected a finite number > 0, got nan"),
        (lambda: StudentSettings(symmetry_rise=-1), "symmetry_rise: expected a finite number > 0, got -1"),
        (lambda: Regularizer("l2", math.nan), "strength: expected a finite number >= 0, got nan"),
        (lambda: Regularizer("l2", True), "strength: expected a finite number >= 0, got True"),
        (lambda: Regularizer("l3", 1.0), "kind: expected one of ['l2', 'l1', 'growl'], got 'l3'"),
        (lambda: MLP([2, 3, 1], seed=-1), "seed: expected an integer from 0"),
        (lambda: MLP([2, 3, 1], dtype=torch.float16), "dtype: expected one of"),
        (lambda: MLP([2, 3, 1], init="zeros"), "init: expected one of ['default', 'xavier'], got 'zeros'"),
        (lambda: MLP([2, True, 1]), "layers: expected at least two positive integers"),
        (lambda: MLP([2, 3, 1], device="gpu"), "device: "),
        (lambda: PsiMLP("paper"), "structure: expected a Structure, got str"),
        (lambda: PsiMLP(published_structure("laplace"), 1.0), "width: expected an integer >= 1, got 1.0"),
        (lambda: structure_from_group([EVEN], (1, 0)), "hidden[1]: expected an integer >= 1, got 0"),
        (lambda: structure_from_group([EVEN], (1.0,)), "hidden[0]: expected an integer >= 1, got 1.0"),
        (lambda: structure_from_group(["flip"]), "generators: expected symmetries, got 'flip'"),
        (lambda: SignedPermutation.flip(2, 2), "axes: expected an integer from 0 to 1, got 2"),
        (lambda: SignedPermutation.flip(2, -1), "axes: expected an integer from 0 to 1, got -1"),
        (lambda: SignedPermutation.flip(2, True), "axes: expected an integer from 0 to 1, got True"),
        (lambda: SignedPermutation((1.0, 0.0), (1, 1)), "permutation[0]: expected an integer >= 0, got 1.0"),
        (lambda: SignedPermutation((True, False), (1, 1)), "permutation[0]: expected an integer >= 0, got True"),
        (lambda: SignedPermutation("10", (1, 1)), "permutation: expected a sequence of integers >= 0, got '10'"),
        (lambda: SignedPermutation((1, 0), (1, True)), "signs[1]: expected an integer >= -1, got True"),
        (lambda: Symmetry("flip", (1,)), "map: expected a SignedPermutation, got 'flip'"),
        (lambda: Symmetry(SignedPermutation.flip(2, 1), 1), "character: expected a sequence of integers >= -1, got 1"),
        (lambda: structure_figure(NET), "structure: expected a Structure, got MLP"),
        (lambda: relation_matrix_figure("paper"), "structure: expected a Structure, got str"),
        (lambda: get_backend(["cpu"]), "backend: expected one of"),
        (lambda: save_network("w.safetensors", torch.nn.Linear(2, 1)), "net: expected a PsiMLP or MLP, got Linear"),
        (lambda: NET(np.zeros((3, 2))), "x: expected a torch.Tensor, got ndarray"),
        (lambda: LBFGS(-1), "steps: expected an integer >= 0, got -1"),
        (lambda: LBFGS(1, tolerance=math.nan), "tolerance: expected a finite number >= 0"),
        (lambda: problem_symmetries("laplace", tolerance=0.0), "tolerance: expected a finite number > 0, got 0.0"),
        (lambda: problem_symmetries("laplace", seed=-1), "seed: expected an integer from 0"),
        (lambda: StudentSettings(threshold=-1.0), "threshold: expected 'auto' or a finite number > 0, got -1.0"),
        (lambda: StudentSettings(threshold=math.nan), "threshold: expected 'auto' or a finite number > 0, got nan"),
        (lambda: StudentSettings(threshold="0.1"), "threshold: expected 'auto' or a finite number > 0, got '0.1'"),
        (lambda: StudentSettings(threshold=True), "threshold: expected 'auto' or a finite number > 0"),
        (lambda: error_metrics(torch.nn.Linear(2, 1), "laplace"), "net: expected a PsiMLP or MLP, got Linear"),
        (lambda: error_metrics(MLP([3, 2, 1]), "laplace"), "net: problem 'laplace' has 2 inputs and 1 outputs"),
        (lambda: get_problem("burgers", {"nu": "0.1"}), "nu: viscosity: expected a finite number > 0, got '0.1'"),
        (lambda: get_problem("burgers", 0.1), "settings: expected a mapping from name to number, got float"),
        (lambda: replace(small_laplace(), recipe=Recipe(layers=[3, 4, 1])), "layers: the problem has 2 inputs"),
        (lambda: Recipe(paper=Paper(1e-3, 5, [0.1])), "errors: expected a mapping from name to number, got list"),
        (lambda: Paper(1e-3, 5, {"psi": -1.0}), "errors: psi: expected a finite number >= 0, got -1.0"),
        (lambda: Paper(1e-3, 5, {"psi": {"u": -1.0}}), "errors: psi: u: expected a finite number >= 0, got -1.0"),
        (lambda: Paper(1e-3, 5, {"psi": {"u": 1.0}, "pinn": 1.0}), "errors: psi: expected a finite number"),
        (lambda: Paper(1e-3, 5, milestones=[0]), "milestones[0]: expected an integer >= 1, got 0"),
        (lambda: Paper(1e-3, 5, coefficients=0.1), "coefficients: expected a mapping from name to numbers by method"),
        (lambda: Paper(1e-3, 5, coefficients={"nu": 0.1}), "coefficients: nu: expected a mapping from name to number"),
        (lambda: Paper(0, 5), "lr: expected a finite number > 0, got 0"),
        (lambda: Recipe(paper={"lr": 1e-3}), "paper: expected a Paper, got {'lr': 0.001}"),
        (lambda: Recipe(structure="paper"), "structure: expected a Structure, got 'paper'"),
        (lambda: Recipe(width=0), "width: expected an integer >= 1, got 0"),
        (lambda: Recipe(lr=-1), "lr: expected a finite number > 0, got -1"),
        (lambda: Recipe(steps=None), "steps: expected an integer >= 0, got None"),
        (lambda: replace(small_laplace(), symmetries=[EVEN, "odd"]), "symmetries: expected Symmetry(map of 2 inputs"),
        (lambda: replace(small_laplace(), recipe=Recipe(Structure.dense([3, 1]))), "structure: the problem has 2 in"),
        (lambda: replace(small_laplace(), name=7), "name: expected a str, got 7"),
    ],
)  # fmt: skip
def test_settings_of_classes_and_functions(make: Callable[[], object], message: str) -> None:
    refused(message, make)


def test_settings_of_adam_are_public() -> None:
    assert psinn_fast.Adam is psinn_fast.training.Adam is Adam
    assert fit(small_laplace(3), MLP([2, 3, 1]), psinn_fast.Adam(1)).steps == 1


@pytest.mark.parametrize("options", [{"progress": True}, Options, True, "auto"], ids=str)
def test_options_of_another_type(options: Any) -> None:
    net = MLP([2, 3, 1])
    for asked in (
        lambda: solve(small_laplace(), options=options),
        lambda: fit(small_laplace(), net, options=options),
        lambda: discover(small_laplace(), options=options),
        lambda: run_pipeline(small_laplace(), options=options),
    ):
        refused("options: expected pf.Options(...) or None, got", asked)


def test_numpy_numbers_are_numbers() -> None:
    plain = solve(small_laplace(), Network(layers=[2, 5, 1]), Adam(6, lr=2.0**-9, milestones=(3,)), seed=3)
    same = solve(
        small_laplace(), Network(layers=np.array([2, 5, 1])),
        Adam(np.int64(6), lr=np.float32(2.0**-9), milestones=np.array([3])), seed=np.int64(3),
        seconds=np.float32(1e9), options=Options(resume=np.False_),
    )  # fmt: skip
    assert torch.equal(plain.net.theta, same.net.theta)
    assert type(same.setup.seed) is int
    for dtype in ("float64", torch.float64, np.float64, np.dtype("float64")):
        wide = solve(small_laplace(), Network("psi", width=np.int32(2), dtype=dtype), Adam(1))
        assert wide.net.theta.dtype == torch.float64
        assert wide.to_dict()["dtype"] == "float64"
    newton = GaussNewton(np.int64(2), points=np.int64(50), seed=np.uint8(1), tuning=Tuning(damping=np.float32(0.5)))
    assert (
        solve(small_laplace(), optimizer=newton).steps
        == solve(small_laplace(), optimizer=GaussNewton(torch.tensor(2))).steps
        == 2
    )
    assert StudentSettings(np.array([4, 4]), starts=np.int64(1)).hidden == (4, 4)
    assert structure_from_group([EVEN], np.array([1, 1])).n_inputs == 2
    swap = Symmetry(SignedPermutation(np.array([1, 0]), np.array([1, 1])), np.array([1]))
    assert swap == Symmetry(SignedPermutation((1, 0), (1, 1)), (1,))
    json.dumps([swap.map.permutation, swap.map.signs, swap.character])
    net = PsiMLP(published_structure("laplace"), np.int64(2), seed=np.int64(1), dtype="float64")
    assert torch.equal(net.theta, PsiMLP(published_structure("laplace"), 2, seed=1, dtype=torch.float64).theta)
    burgers = get_problem("burgers", {"nu": np.float32(0.25)})
    assert burgers.pde.coefficients == {"nu": 0.25}


def test_built_in_problems_are_known_by_name_wherever_a_problem_is_taken() -> None:
    found = discover("laplace", tests="problem")
    assert str(found.structure) == str(discover(get_problem("laplace"), tests=["problem"]).structure)
    assert len(problem_symmetries("laplace")) == len(problem_symmetries(get_problem("laplace")))
    assert error_metrics(NET, "laplace") == error_metrics(NET, get_problem("laplace"))
    assert fit("laplace", NET, Adam(0)).steps == 0
    assert len(solution_figure("laplace", NET).axes) == len(solution_figure(get_problem("laplace"), NET).axes)


@pytest.mark.parametrize("function", [solve, discover, run_pipeline, fit, problem_symmetries, distil])
@pytest.mark.parametrize("wrong", ["heat", 5, None, lambda: None])
def test_what_is_no_problem(function: Callable[..., object], wrong: object) -> None:
    others = {"net": NET, "teacher": NET, "optimizer": Adam(1)}
    parameters = inspect.signature(function).parameters.values()
    needed = [p.name for p in parameters if p.name != "problem" and p.default is inspect.Parameter.empty]
    with pytest.raises(InputError, match=r"problem: expected a Problem or one of \['laplace',"):
        function(wrong, **{name: others[name] for name in needed})
