"""`solve` and the methods' networks."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small import small_laplace

from psinn_fast import (
    MLP,
    PDE,
    Adam,
    Box,
    GaussNewton,
    InputError,
    Network,
    Options,
    Problem,
    PsiMLP,
    Recipe,
    Regularizer,
    Residual,
    Solution,
    Structure,
    Tuning,
    Verdict,
    load_network,
    published_structure,
    solve,
)
from psinn_fast.building import build_network
from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.errors import say_once
from psinn_fast.pictures.figures import save_figure
from psinn_fast.pictures.solution import solution_figure
from psinn_fast.pipeline import comparison_table
from psinn_fast.training.metrics import error_metrics, evaluate


def test_methods_build_what_they_say() -> None:
    problem = small_laplace()
    pinn = build_network(problem, "pinn")
    assert isinstance(pinn, MLP)
    assert pinn.structure.layer_sizes == (2, 6, 6, 1)
    psi = build_network(problem, Network("psi", width=5))
    assert psi.structure == published_structure("laplace").with_width(5)


def test_pinn_post_is_the_sum_of_the_network_and_its_mirror_image() -> None:
    post = build_network(small_laplace(), Network("pinn-post", dtype="float64"), seed=4)
    assert post.structure.n_parameters == Structure.dense([2, 6, 6, 1]).n_parameters
    (w1, b1), (w2, b2), (w3, b3) = post.structure.expand(post.theta.detach())
    single = MLP([2, 6, 6, 1], dtype=torch.float64)
    with torch.no_grad():
        single.theta.copy_(torch.cat([w1[:6].flatten(), b1[:6], w2[:6, :6].flatten(), b2[:6], w3[0, :6], b3]))
    x = torch.randn(20, 2, dtype=torch.float64)
    mirrored = x * torch.tensor([1.0, -1.0], dtype=torch.float64)
    torch.testing.assert_close(post(x), single(x) + single(mirrored) - b3, rtol=0, atol=1e-14)


@pytest.mark.trajectory
@pytest.mark.pictures
def test_solution_reports_and_saves_everything(tmp_path: Path) -> None:
    solution = solve(small_laplace(), "psi", Adam(30), out=tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result == solution.to_dict()
    assert list(result) == [
        "schema", "problem", "method", "activation", "optimizer", "optimizer_chosen", "weighting", "backend", "dtype",
        "precision", "device", "seed", "parameters", "steps", "seconds", "relative_l2", "rmse", "mse", "max_error",
        "boundary_rmse", "part_rmse", "quantities", "coefficients", "learned", "loss",
        "held_out", "possible_errors",
        "status", "ended", "warnings", "notes", "stopped_by", "solver",
        "bound_by", "seconds_by_part",
    ]  # fmt: skip
    assert (result["problem"], result["method"], result["steps"], result["status"]) == (
        "small", "psi", 30, solution.status,
    )  # fmt: skip
    assert solution.ended == "done"
    assert set(result["loss"]) == {"residual", "dirichlet"}
    for name in ("solution.png", "loss.png", "loss_map.png", "structure.png", "R.png"):
        assert (tmp_path / name).read_bytes()[:4] == b"\x89PNG"
    assert torch.equal(load_network(tmp_path / "weights.safetensors").theta, solution.net.theta)
    assert Structure.load(tmp_path / "structure.json") == solution.net.structure
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 32


def test_warnings_are_marked_in_the_table() -> None:
    found = solve(small_laplace(), "psi", Adam(1))
    known = {**found.metrics, "relative_l2": 0.01}
    solution = replace(found, verdict=Verdict(), metrics=known)
    doubted = replace(solution, verdict=Verdict(warnings=("the residual between the points is 11 times larger",)))
    assert doubted.status == "done, but the residual between the points is 11 times larger"
    table = comparison_table([("Psi-NN", solution), ("PINN", doubted)]).splitlines()
    assert table[1].startswith("Psi-NN ")
    assert table[2].startswith("PINN * ")
    assert table[3] == "* PINN: the residual between the points is 11 times larger"


@pytest.mark.automatic
def test_networks_beyond_the_kernels_go_to_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CpuBackend, "widest", 8)  # 4096: a wider network takes half a minute here
    problem = replace(small_laplace(3), recipe=Recipe(layers=(2, 9, 1)))
    say_once.cache_clear()
    with pytest.warns(RuntimeWarning, match="backend 'cpu' is not used, but 'reference': plan: .* 8 wide, got 9"):
        by_auto = solve(problem, Network(dtype="float64"), Adam(1))
    by_reference = solve(problem, Network(dtype="float64"), Adam(1), options=Options(backend="reference"))
    assert by_auto.loss == by_reference.loss
    assert by_auto.metrics == by_reference.metrics
    save_figure(solution_figure(problem, by_auto.net), tmp_path / "solution.png")
    with pytest.raises(InputError, match="8 wide, got 9"):
        solve(problem, optimizer=Adam(1), options=Options(backend="cpu"))


def test_the_chosen_backend_does_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(*arguments: object) -> None:
        raise AssertionError("another backend was chosen")

    monkeypatch.setattr(CpuBackend, "jets", other)
    solution = solve(small_laplace(5), optimizer=Adam(1), out=tmp_path, options=Options(backend="reference"))
    assert solution.setup.backend == "reference"
    assert solution.metrics == error_metrics(solution.net, solution.problem, backend="reference")
    assert (tmp_path / "solution.png").exists()


def test_coefficients_found_are_shown() -> None:
    solution = solve("burgers-inverse", Network(layers=[2, 4, 1]), Adam(1))
    assert f"nu = {solution.coefficients['nu']:.6g}" in str(solution)


def test_metrics_against_their_definitions() -> None:
    problem = small_laplace()
    net = MLP([2, 6, 6, 1], seed=0, dtype=torch.float64)
    points = problem.domain.unseen_grid(201)
    error = evaluate(net, points) - problem.exact(points)
    metrics = error_metrics(net, problem)
    assert metrics["mse"] == pytest.approx(np.mean(error**2))
    assert metrics["rmse"] == pytest.approx(math.sqrt(np.mean(error**2)))
    assert metrics["max_error"] == pytest.approx(np.abs(error).max())
    assert metrics["relative_l2"] == pytest.approx(np.linalg.norm(error) / np.linalg.norm(problem.exact(points)))
    edge = problem.domain.unseen_boundary(201)
    assert metrics["boundary_rmse"] == pytest.approx(np.sqrt(np.mean((evaluate(net, edge) - problem.exact(edge)) ** 2)))


@pytest.mark.pictures
def test_zero_exact_solution_has_absolute_errors_and_json_has_neither_nan_nor_infinity(tmp_path: Path) -> None:
    """A field that is zero everywhere beside one that is not, and a problem where all are."""
    box = Box(x=(0, 1))
    for values, relative in (([[1.0, 0.0]], {"v": None}), ([[0.0, 0.0]], {"u": None, "v": None})):
        pde = PDE("x", "u v", lambda u, v: [u.xx, v.xx])
        problem = Problem("two", pde, box, [Residual(box.grid(9))], exact=lambda x, values=values: x * values)
        out = tmp_path / str(len(relative))
        solution = solve(problem, Network(layers=[1, 3, 2]), Adam(2), out=out)
        result = json.loads((out / "result.json").read_text(), parse_constant=pytest.fail)
        assert relative.items() <= result["relative_l2"].items()
        assert all(result[name]["v"] > 0 for name in ("rmse", "mse", "max_error", "boundary_rmse"))
        assert "v:- " in comparison_table((("pinn", solution),))
    assert np.isnan(solution.history["relative_l2"]).all()


def test_relative_errors_of_small_solutions() -> None:
    """1e-200 squared is zero, 1e-200 is not."""
    box = Box(x=(0, 1))
    problem = Problem("small", PDE("x", "u", lambda u: u.xx), box, [Residual(box.grid(9))], exact=lambda x: 1e-200 * x)
    zero = MLP([1, 3, 1], dtype=torch.float64)
    torch.nn.init.zeros_(zero.theta)
    assert error_metrics(zero, problem)["relative_l2"] == pytest.approx(1.0)


@pytest.mark.trajectory
def test_same_seed_same_weights_other_seed_other_weights() -> None:
    first, again, other = (solve(small_laplace(), "psi", Adam(20), seed=seed).net.theta for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", ["poisson", "burgers", "burgers-inverse", "laplace"])
def test_built_in_problems_train_with_every_method(name: str) -> None:
    for method in ("pinn", "pinn-post", "psi"):
        result = solve(name, method, Adam(2)).to_dict()
        assert math.isfinite(result["relative_l2"])
        assert set(result["coefficients"]) == ({"nu"} if name == "burgers-inverse" else set())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Network("magic"), "method: expected one of ['pinn', 'pinn-post', 'psi'], got 'magic'"),
        (lambda: solve(small_laplace(), "magic"), "network: expected one of ['pinn', 'pinn-post', 'psi'], a Network, "),
        (lambda: solve(small_laplace(), optimizer="sgd"), "optimizer: expected one of ['adam', 'gauss-newton', "),
        (lambda: Network(dtype="float16"), "dtype: expected one of ['float32', 'float64'], got 'float16'"),
        (lambda: Network("pinn", width=3), "width: has no meaning for method 'pinn', only for psi"),
        (lambda: Network("psi", layers=[2, 3, 1]), "layers: has no meaning for method 'psi'"),
        (
            lambda: solve(small_laplace(), Network(layers=[3, 4, 1])),
            "layers: problem 'small' has 2 inputs and 1 outputs, got [3, 1]",
        ),
        (lambda: Network(layers=[2]), "layers"),
        (lambda: Network(layers=[2, 0, 1]), "layers: expected at least two positive integers"),
        (lambda: solve(small_laplace(), published_structure("flow")), "structure: problem 'small' has 2 inputs and 1"),
        (lambda: solve(small_laplace(), options=Options(resume=True)), "resume: needs the output folder"),
        (lambda: Adam(-5), "steps: expected None or an integer >= 0, got -5"),
        (lambda: Adam(lr=float("nan")), "lr: expected None or a finite number > 0, got nan"),
        (lambda: solve(small_laplace(), options=Options(backend="triton9")), "backend: expected one of"),
        (lambda: GaussNewton(-5), "steps: expected an integer >= 0, got -5"),
        (
            lambda: solve(small_laplace(), "pinn", GaussNewton(), options=Options(regularizer=Regularizer("l2", 1.0))),
            "regularizer: gauss-newton takes none",
        ),
    ],
)
def test_bad_input(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError) as info:
        call()
    assert message in str(info.value)


def test_resume_without_checkpoint_and_unwritable_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="resume: there is no checkpoint in"):
        solve(small_laplace(), out=tmp_path, options=Options(resume=True))
    for optimizer in ("adam", "adam+gauss-newton"):
        with pytest.raises(InputError, match="resume: there is no checkpoint in"):
            solve(small_laplace(), optimizer=optimizer, out=tmp_path / "new" / "run", options=Options(resume=True))
    assert list(tmp_path.iterdir()) == []  # nothing is made
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(InputError, match="out: cannot write to the folder"):
        solve(small_laplace(), out=file / "sub")


def test_problem_without_structure_or_symmetry() -> None:
    from dataclasses import replace

    plain = replace(small_laplace(), recipe=Recipe(), symmetries=())
    with pytest.raises(InputError, match="has no published one; give one, or run discover"):
        build_network(plain, "psi")
    with pytest.raises(InputError, match="'pinn-post' needs a known symmetry"):
        build_network(plain, "pinn-post")
    assert isinstance(build_network(plain, Network("psi", structure=published_structure("laplace"))), PsiMLP)


def test_gauss_newton_by_name_and_with_settings(tmp_path: Path) -> None:
    solution = solve(small_laplace(), "psi", GaussNewton(5), out=tmp_path)
    assert solution.net.theta.dtype == torch.float64
    result = json.loads((tmp_path / "result.json").read_text())
    assert [result[name] for name in ("optimizer", "dtype", "steps", "stopped_by", "solver")] == [
        "gauss-newton", "float64", 5, "steps", "cholesky",
    ]  # fmt: skip
    assert (tmp_path / "loss.png").exists()
    other = solve(small_laplace(), Network("psi", dtype="float32"), GaussNewton(5, tuning=Tuning(acceleration=False)))
    assert (other.setup.optimizer, other.steps, other.net.theta.dtype) == ("gauss-newton", 5, torch.float32)


def test_gauss_newton_takes_the_width_that_it_can_afford() -> None:
    def size(width: int | None) -> int:
        return solve("poisson", Network("psi", width=width), GaussNewton(0)).net.structure.n_parameters

    assert 400 < size(None) <= 500 < size(12)


@pytest.mark.trajectory
def test_adam_then_gauss_newton_resumes_in_either_part(tmp_path: Path) -> None:
    def run(out: Path | None, steps: int = 12, seconds: float | None = None, resume: bool = False) -> Solution:
        both = [Adam(40), GaussNewton(steps)]
        return solve(small_laplace(), "psi", both, seconds=seconds, out=out, options=Options(resume=resume))

    whole = run(None)
    assert (whole.steps, whole.history["step"][-1]) == (52, 52)
    assert whole.history["step"] == sorted(whole.history["step"])
    assert {"lr", "damping"} <= set(whole.history.columns)
    early = run(tmp_path / "early", seconds=0)
    assert (early.ended, early.steps) == ("time limit", 0)
    again = run(tmp_path / "early", resume=True)
    assert torch.equal(again.net.theta, whole.net.theta)
    # Half of the second part, then the rest.
    run(tmp_path / "late", steps=6)
    again = run(tmp_path / "late", resume=True)
    assert torch.equal(again.net.theta, whole.net.theta)
    assert again.steps == 52
