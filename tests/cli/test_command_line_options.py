"""Options of the command line that are out of range or have no effect are refused before anything is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from psinn_fast.cli.commands import main


def test_options_are_not_abbreviated(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["solve", "laplace", "--step", "3"],
        ["discover", "laplace", "--test", "problem"],
        ["doctor", "--js"],
    ):
        with pytest.raises(SystemExit) as info:
            main(arguments)
        assert info.value.code == 2
        assert "unrecognized arguments" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["discover", "laplace", "--tests", "problem", "--threshold", "-1"], "threshold: has no meaning for the tests"),
        (["discover", "laplace", "--threshold", "-1"], "threshold: expected 'auto' or a finite number > 0, got -1.0"),
        (["discover", "laplace", "--threshold", "nan"], "threshold: expected a number such as 0.01 or 0.04/pi, got"),
        (["discover", "laplace", "--tests", "problem", "--student", "8,8"], "student: has no meaning for the tests"),
        (["discover", "laplace", "--tests", "problem", "--strength", "1"], "strength: has no meaning for the tests"),
        (["discover", "laplace", "--tests", "problem", "--regularizer", "l1"], "regularizer: has no meaning for the t"),
        (["discover", "laplace", "--tests", "problem", "--student-steps", "5"], "student-steps: has no meaning for"),
        (["discover", "laplace", "--tests", "problem", "--seed", "5"], "seed: has no meaning for the tests"),
        (["discover", "laplace", "--tests", "problem", "--backend", "reference"], "backend: has no meaning for the"),
        (["discover", "laplace", "--tests", "problem", "--seeds", "3"], "seeds: has no meaning for the tests"),
        (["discover", "laplace", "--tests", "teacher", "--starts", "3"], "starts: has no meaning for the tests"),
        (["discover", "laplace", "--tests", "problem", "--seconds", "3"], "seconds: has no meaning for the tests"),
        (["discover", "laplace", "--student", ""], "student: expected integers separated by commas, got ''"),
        (["discover", "laplace", "--starts", "0"], "starts: expected an integer >= 1, got 0"),
        (["discover", "laplace", "--strength", "nan"], "strength: expected a finite number >= 0, got nan"),
        (["discover", "laplace", "--student-steps", "-1"], "student-steps: expected an integer >= 0, got -1"),
        (["discover", "laplace", "--student", "8,0"], "student[1]: expected an integer >= 1, got 0"),
        (["discover", "laplace", "--seed", "-1"], "seed: expected an integer from 0 to"),
        (["discover", "laplace", "--teacher", ""], "cannot be read"),
        (["discover", "laplace", "--out", ""], "out: expected the path of a file or folder, got ''"),
        (["discover", "laplace", "--seconds", "nan"], "seconds: expected None or a number >= 0, got nan"),
        (["run", "laplace", "--resume"], "resume: needs the output folder of the run to continue (out)"),
        (["run", "laplace", "--optimizer", "gauss-newton", "--teacher-steps", "5"], "teacher-steps: has no"),
        (["run", "laplace", "--teacher-steps", "-5"], "teacher-steps: expected an integer >= 0, got -5"),
        (["run", "laplace", "--paper", "--steps", "3"], "paper: says how many steps, and so does steps"),
        (["run", "laplace", "--paper", "--lr", "0.1"], "paper: says which rate, and so does lr"),
        (["run", "laplace", "--tests", "problem", "--discovery-steps", "5"], "discovery-steps: has no meaning"),
        (["run", "laplace", "--lr", "nan"], "lr: expected None or a finite number > 0, got nan"),
        (["solve", "laplace", "--structure", "paper"], "structure: has no meaning for method 'pinn', only for psi"),
        (["solve", "laplace", "--milestones", ""], "milestones: expected integers separated by commas, got ''"),
        (["solve", "laplace", "--milestones", "5,3"], "milestones: expected increasing steps, got [5, 3]"),
        (["solve", "laplace", "--milestones", "5,20000"], "milestones: 20000 has no effect on a training of 20000 s"),
        (["solve", "laplace", "--seconds", "nan"], "seconds: expected None or a number >= 0, got nan"),
        (["solve", "laplace", "--seconds", "-1"], "seconds: expected None or a number >= 0, got -1.0"),
        (["solve", "burgers", "--set", "nu=1", "--set", "nu=2"], "set: nu is given twice"),
        (["solve", "burgers", "--set", "nu=inf"], "set: nu: expected a number such as 0.01 or 0.04/pi, got 'inf'"),
        (["solve", "laplace", "--threads", "-1"], "threads: expected an integer from 1 to"),
        (["solve", "laplace", "--threads", "1000000"], "threads: expected an integer from 1 to"),
        (["solve", "laplace", "--seed", "4294967296"], "seed: expected an integer from 0 to 4294967295, got 42949"),
        (["solve", "laplace", "--out", " "], "out: expected the path of a file or folder, got ' '"),
    ],
)  # fmt: skip
def test_command_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("psinn_fast.solving.trained", "psinn_fast.pipeline.solve", "psinn_fast.discovery.teachers.train"):
        monkeypatch.setattr(place, lambda *a, **o: pytest.fail("it was trained"))
    assert main([*arguments, "--quiet"]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert len(printed.err.strip().splitlines()) == 1
    assert printed.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["solve", "laplace", "--resume"],
        ["run", "laplace", "--resume"],
        ["solve", "laplace", "--optimizer", "adam+gauss-newton", "--resume"],
        ["solve", "laplace", "--lr", "-1"],
        ["discover", "laplace", "--threshold", "-1"],
        ["run", "laplace", "--tests", "magic"],
    ],
)  # fmt: skip
def test_bad_input_makes_no_folder(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for out in ("new", "new/run", str(tmp_path / "a" / "b")):
        assert main([*arguments, "--quiet", "--out", out]) == 2
    assert list(tmp_path.iterdir()) == []
    capsys.readouterr()


def test_folders_that_cannot_be_made_are_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for out in ("file", "file/run", "link", "n" * 300):
        assert main(["discover", "laplace", "--tests", "problem", "--out", str(tmp_path / out)]) == 2
        assert "out: cannot write to the folder" in capsys.readouterr().err
