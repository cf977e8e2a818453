"""The command line as a user meets it."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
import torch
from programs import COMMAND_LINE, run_program

from psinn_fast import load_network, published_structure
from psinn_fast.cli.commands import main
from psinn_fast.kernels import get_backend

FAST = ["--steps", "3", "--quiet", "--threads", "1"]


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert "reference backend" in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["auto backend"] == get_backend("auto").name


def test_solve_json_is_one_object_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["solve", "burgers-inverse", "--method", "psi", "--set", "nu=0.04/pi", *FAST[:2], "--json"]) == 0
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert (result["problem"], result["method"], result["steps"]) == ("burgers-inverse", "psi", 3)
    assert set(result["coefficients"]) == {"nu"}
    assert "burgers-inverse psi" in printed.err  # the progress bar


def test_solve_with_a_weighting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["solve", "burgers", "--set", "nu=0.1", *FAST, "--json", "--out", str(tmp_path)]
    assert main([*arguments, "--weighting", "causal"]) == 0
    assert json.loads(capsys.readouterr().out)["weighting"] == "causal"
    assert "weight_residual" in (tmp_path / "history.csv").read_text().splitlines()[0].split(",")
    assert main(["solve", "laplace", *FAST, "--weighting", "causal"]) == 2
    assert "weighting: causal needs to know which coordinate of 'laplace' is time" in capsys.readouterr().err


@pytest.mark.pictures
def test_solve_table_files_and_structure_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    published_structure("laplace").save(tmp_path / "s.json")
    out = tmp_path / "out"
    arguments = ["solve", "laplace", "--method", "psi", "--structure", str(tmp_path / "s.json"), "--width", "3"]
    assert main([*arguments, *FAST, "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "W1 = [[a, b], [a, -b]]" in text
    assert "relative L2" in text
    assert "the paper's L2 errors: PINN 1.159e-03" in text
    assert {path.name for path in out.iterdir()} == {
        "result.json", "weights.safetensors", "structure.json", "history.csv", "checkpoint.safetensors",
        "solution.png", "loss.png", "loss_map.png", "structure.png", "R.png",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["solve", "heat"],
            "problem: expected one of ['laplace', 'poisson', 'burgers', 'burgers-inverse', 'cylinder'], got 'heat'",
        ),
        (["solve", "laplace", "--set", "nu=1"], "set: problem 'laplace' has the settings [], got 'nu'"),
        (["solve", "burgers", "--set", "nu"], "set: expected NAME=VALUE"),
        (["solve", "burgers", "--set", "nu=__import__('os')"], "expected a number such as 0.01 or 0.04/pi"),
        (["solve", "burgers", "--set", "nu=-1"], "nu: viscosity: expected a finite number > 0, got -1.0"),
        (["solve", "laplace", "--layers", "2,x,1"], "layers: expected integers separated by commas, got '2,x,1'"),
        (["solve", "laplace", "--layers", "3,8,1"], "layers: problem 'laplace' has 2 inputs and 1 outputs, got [3, 1]"),
        (
            ["solve", "laplace", "--method", "psi", "--structure", "none.json"],
            "structure file none.json: cannot be read",
        ),
        (["solve", "laplace", "--method", "psi", "--width", "0"], "width: expected an integer >= 1, got 0"),
        (
            ["solve", "laplace", "--backend", "gpu"],
            "backend: expected one of ['auto', 'triton', 'gemm', 'cpu', 'reference'], got 'gpu'",
        ),
        (["solve", "laplace", "--threads", "0"], "threads: expected an integer from 1 to"),
        (["solve", "laplace", "--resume"], "resume: needs the output folder"),
        (["solve", "laplace", "--steps", "-1"], "steps: expected an integer >= 0, got -1"),
        (["solve", "laplace", "--out", "/proc/nowhere"], "out: cannot write to the folder /proc/nowhere"),
        (["discover", "laplace", "--teacher", "none.safetensors"], "none.safetensors: cannot be read"),
        (["discover", "laplace", "--student", "8,0"], "student[1]: expected an integer >= 1, got 0"),
        (["discover", "laplace", "--tests", "problem,magic"], "tests: expected one of ['problem', 'teacher', 'stud"),
        (["discover", "laplace", "--seeds", "1"], "seeds: expected an integer >= 2"),
        (["solve", "laplace", "--optimizer", "gauss-newton", "--lr", "1"], "lr: has no meaning for optimizer 'gauss-n"),
        (
            ["compile", "laplace", "--chip", "sm_70"],
            "chip: expected one of sm_80, sm_86, sm_89, sm_90, sm_120, got 'sm_",
        ),
        (["compile", "laplace", "--chip", "sm_89", "--optimizer", "lbfgs"], "chip: only Adam's kernel can be compiled"),
        (["compile", "laplace", "--chip", "90"], "sm_120, got '90'; write sm_90"),
        (["compile", "laplace", "--device", "gpu"], "device: expected 'cpu', 'cuda' or e.g. 'cuda:1', got 'gpu'"),
        (
            ["compile", "laplace", "--device", "cpu"],
            "device: kernels are compiled for a GPU, got 'cpu'; take 'cuda'; --chip sm_89, for instance, compiles for",
        ),
        (
            ["compile", "laplace", "--chip", "sm_89", "--device", "cpu"],
            "device: has no meaning beside --chip, which ",
        ),
        (["run", "laplace", "--optimizer", "gauss-newton", "--paper"], "paper: the paper trains by Adam"),
        (["run", "laplace", "--strength", "-1"], "strength: expected a finite number >= 0, got -1.0"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    short = [] if {"--steps", "discover", "compile"} & set(arguments) else ["--steps", "1"]
    assert main([*arguments, *short]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert len(printed.err.strip().splitlines()) == 1
    assert printed.out == ""


def test_argparse_refuses_unknown_choices_with_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as info:
        main(["solve", "laplace", "--method", "magic"])
    assert info.value.code == 2
    assert "invalid choice: 'magic'" in capsys.readouterr().err


@pytest.mark.pictures
def test_discover_prints_and_writes_the_evidence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["discover", "poisson", "--tests", "problem", "--quiet"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "inputs measured from (0.5, 0.5)" in text
    assert "W1 = [[a, b]" in text
    assert "the problem breaks it" in text
    assert {path.name for path in tmp_path.iterdir()} == {
        "structure.json", "structure.png", "R.png", "discovery.txt", "discovery.json", "discovery.png",
    }  # fmt: skip
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [match["map"] for match in found["group"]] == ["x -> -x, y -> -y", "x -> y, y -> x", "x -> -y, y -> -x"]
    assert found["structure"] == json.loads((tmp_path / "structure.json").read_text())


def test_gauss_newton_by_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["solve", "laplace", "--method", "psi", "--optimizer", "gauss-newton", *FAST, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [result[name] for name in ("optimizer", "dtype", "steps", "stopped_by", "solver")] == [
        "gauss-newton", "float64", 3, "steps", "cholesky",
    ]  # fmt: skip
    both = ["--optimizer", "adam+gauss-newton", "--warmup", "4"]
    assert main(["solve", "laplace", *both, *FAST]) == 0
    assert re.search(r"^status: done.* \(steps\)$", capsys.readouterr().out, re.MULTILINE)


def test_foreign_checkpoint_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["solve", "laplace", "--optimizer", "adam", *FAST, "--out", str(tmp_path)]
    assert main([*run]) == 0
    assert main([*run, "--resume", "--seed", "7"]) == 2
    assert "belongs to another run (seed: saved 0, now 7)" in capsys.readouterr().err
    (tmp_path / "checkpoint.safetensors").write_bytes(b"junk")
    assert main([*run, "--resume"]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_interrupted_process_resumes_to_the_weights_of_an_uninterrupted_one(tmp_path: Path) -> None:
    common = ["solve", "laplace", "--optimizer", "adam", "--steps", "800", "--threads", "1", "--quiet"]
    assert run_program(COMMAND_LINE, *common, "--out", str(tmp_path / "whole")).returncode == 0
    cut = tmp_path / "cut"

    def interrupt(process: int) -> None:
        until = time.monotonic() + 60
        while not (cut / "checkpoint.safetensors").exists():  # written as training starts
            assert time.monotonic() < until
            time.sleep(0.02)
        time.sleep(0.25)
        os.kill(process, signal.SIGINT)

    process = run_program(COMMAND_LINE, *common, "--out", str(cut), meanwhile=interrupt)
    assert process.returncode == 130, process.stderr
    assert "continue with --resume" in process.stderr
    assert 0 < json.loads((cut / "result.json").read_text())["steps"] < 800
    again = run_program(COMMAND_LINE, *common, "--out", str(cut), "--resume")
    assert again.returncode == 0, again.stderr
    first, second = (load_network(folder / "weights.safetensors") for folder in (tmp_path / "whole", cut))
    assert torch.equal(first.theta, second.theta)


def test_training_that_fails_for_another_reason_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def train(*_: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(type(get_backend()), "train", train)
    assert main(["solve", "laplace", "--optimizer", "adam", *FAST, "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("psinn-fast: training by adam failed at step 0 (MemoryError: no room)")
    assert (tmp_path / "weights.safetensors").exists()
