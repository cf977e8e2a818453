"""Runs of a reproduction: trained once, continued where they were interrupted, and never those of other settings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import psinn_fast as pf
from psinn_fast.cli.commands import main
from psinn_fast.kernels.errors import InputError
from psinn_fast.problems import PROBLEMS
from psinn_fast.reproduction import plan, running
from psinn_fast.reproduction.cases import chosen_cases
from psinn_fast.reproduction.files import run_folders

PAPER: dict[str, Any] = {"problems": "laplace", "settings": "paper", "seeds": 1}
TWO = {"paper": ("PINN", "Psi-NN")}
FIRST = Path("laplace/paper/pinn/seed-0")


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def no_training(*_: object, **__: object) -> None:
    raise AssertionError("something is trained")


def test_all_networks_in_both_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = list[str]()
    found = pf.reproduce(tmp_path, "laplace", quick=True, say=said.append)
    networks = ["pinn", "pinn-post", "psi-nn"]
    assert sorted(place.relative_to(tmp_path).as_posix() for place in run_folders(tmp_path)) == sorted(
        [f"laplace/{setting}/{name}/seed-0" for setting in ("paper", "ours") for name in networks]
        + ["laplace/ours/psi-nn-discovered-r/seed-0"]
    )
    assert said[0].startswith("run 1 of 7, about ")
    assert said[0].endswith(" left: Laplace, Gauss-Newton, PINN, seed 0")
    by_place = {run["place"]: run for run in found.numbers["runs"]}
    paper = by_place[FIRST.as_posix()]["result"]
    assert (paper["dtype"], paper["steps"], paper["optimizer"]) == ("float32", 20, "adam")
    ours = by_place["laplace/ours/psi-nn-discovered-r/seed-0"]["result"]
    assert (ours["dtype"], ours["steps"], ours["optimizer"]) == ("float64", 8, "gauss-newton")
    weights = pf.load_network(tmp_path / "laplace/ours/psi-nn-discovered-r/seed-0/weights.safetensors")
    assert weights.structure.name == "laplace (discovered)"
    assert "| PINN-post | 1 | " in found.text
    assert "4.017e-4" in found.text
    assert "Discovered: y -> -y (even); x -> -x (odd)" in found.text

    # The same call trains nothing, nor does a report of what is there; all three say the same.
    before = bytes_of(tmp_path)
    monkeypatch.setattr(running, "solve", no_training)
    monkeypatch.setattr(running, "discover", no_training)
    said.clear()
    assert pf.reproduce(tmp_path, "laplace", quick=True, say=said.append).text == found.text
    assert said == ["7 of 7 runs are finished"]
    assert pf.reproduce(tmp_path, report_only=True).numbers == found.numbers
    assert bytes_of(tmp_path) == before
    # Without the runs' own pictures and weights as well, those of the report stay.
    for path in tmp_path.glob("laplace/**/*"):
        if path.suffix in (".png", ".safetensors"):
            path.unlink()
    assert pf.reproduce(tmp_path, report_only=True).text == found.text


def test_page_needs_nothing_else(tmp_path: Path) -> None:
    pf.reproduce(tmp_path, **PAPER)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "@import" not in page
    assert "url(" not in page
    assert {link[:4] for link in re.findall(r"src=.(.*?)[\"']", page)} == {"data"}
    assert {link[:1] for link in re.findall(r"href=.(.*?)[\"']", page)} == {"#"}
    for picture in (tmp_path / "pictures").glob("*.png"):
        assert picture.stem.startswith("laplace-")
    assert page.count('src="data:image/png;base64,') == len(list((tmp_path / "pictures").glob("*.png")))
    (numbers,) = [json.loads((tmp_path / "numbers.json").read_text(encoding="utf-8"))]
    assert [run["run"]["method"] for run in numbers["runs"]] == ["PINN", "PINN-post", "Psi-NN"]


@pytest.mark.parametrize("when", ["within a run", "between runs", "killed"])
def test_interrupted_runs_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    monkeypatch.setattr(plan, "COMPARED", TWO)
    whole, part = tmp_path / "whole", tmp_path / "part"
    pf.reproduce(whole, **PAPER)
    said, solve = list[str](), pf.solve

    def stop(progress: pf.Progress) -> None:
        if progress.step >= 8:
            raise KeyboardInterrupt

    def interrupted(*args: Any, options: pf.Options, **others: Any) -> pf.Solution:
        own = pf.Options(resume=options.resume, scaling=options.scaling, callbacks=stop)
        return solve(*args, options=own, **others)

    def say(text: str) -> None:
        said.append(text)
        if when == "between runs" and "Psi-NN" in text:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if when != "between runs":
            patched.setattr(running, "solve", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pf.reproduce(part, **PAPER, say=say)
    if when == "killed":
        (part / FIRST / "result.json").unlink()
    elif when == "within a run":
        assert json.loads((part / FIRST / "result.json").read_text(encoding="utf-8"))["ended"] == "interrupted"
    said.clear()
    pf.reproduce(part, **PAPER, say=said.append)
    assert ("1 of 2 runs are finished" in said) == (when == "between runs")
    for place in run_folders(whole):
        mine, other = (
            pf.load_network(folder / "weights.safetensors") for folder in (place, part / place.relative_to(whole))
        )
        assert torch.equal(mine.theta, other.theta)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"steps": {"laplace": 7}}, r"laplace/paper/pinn/seed-0 was made with other settings \(.*steps.*20.*7"),
        ({"settings": "paper", "quick": True, "seeds": None}, "other settings .*quick"),
    ],
)
def test_other_settings_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(plan, "COMPARED", TWO)
    pf.reproduce(tmp_path, **PAPER)
    before = bytes_of(tmp_path)
    with pytest.raises(InputError, match=message):
        pf.reproduce(tmp_path, **{**PAPER, **changed})
    assert bytes_of(tmp_path) == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"problems": "heat"}, "problems: expected one of"),
        ({"problems": []}, "problems: expected some of"),
        ({"seeds": 0}, "seeds: expected an integer >= 1, got 0"),
        ({"seeds": -3, "quick": True}, "seeds: expected an integer >= 1, got -3"),
        ({"seeds": "many", "quick": True}, "seeds: expected an integer >= 1, got 'many'"),
        ({"seeds": 2, "quick": True}, "quick: has seeds, steps and seconds of its own, so leave out seeds"),
        ({"steps": {"laplace": 5}, "seconds": 5, "quick": True}, "quick: .*, so leave out steps, seconds"),
        ({"steps": {"poisson": 5}, "quick": True}, "steps: expected one of"),
        ({"report_only": True}, "report_only: the report is of all runs in the folder, so leave out problems"),
        (
            {"problems": None, "report_only": True, "seeds": 3, "steps": {"laplace": 1}},
            "report_only: .* out seeds, steps",
        ),
        ({"settings": []}, r"settings: expected some of \['paper', 'ours'\], got \[\]"),
        ({"settings": 5}, "settings: expected some of"),
        ({"settings": "mine"}, r"settings: expected one of \['paper', 'ours'\], got 'mine'"),
        ({"steps": {"laplace": 0}}, "steps: laplace: expected an integer >= 1"),
        ({"steps": {"poisson": 10}}, "steps: expected one of"),
        ({"steps": 10}, "steps: expected a mapping from problem to Adam's steps, got 10"),
        ({"seconds": -1}, "seconds"),
        ({"quick": 1}, "quick: expected True or False, got 1"),
        ({"options": pf.Options(resume=True)}, "options: only backend and progress may be given"),
        ({"say": "aloud"}, "say: expected a function of a text"),
    ],
)
def test_bad_input(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        pf.reproduce(tmp_path, **{"problems": "laplace", **given})
    assert list(tmp_path.iterdir()) == []


def test_dense_networks_of_gauss_newton_are_small() -> None:
    (poisson,) = chosen_cases("poisson")
    problem = poisson.made()
    by_adam, by_newton = (plan.Run(poisson, setting, plan.PINN, 0).layers(problem) for setting in ("paper", "ours"))
    assert by_adam == (2, 40, 20, 20, 1)
    assert by_newton is not None
    assert 500 < pf.Structure.dense(by_newton).n_parameters <= 600
    assert plan.Run(poisson, "ours", plan.PSI, 0).layers(problem) is None


def test_structures_are_carried_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_paper: Callable[[], pf.Problem]
) -> None:
    """To a flow, from what is discovered on other problems, without a hand in between."""
    small = small_paper()
    deep = replace(small, recipe=replace(small.recipe, layers=(2, 6, 6, 6, 1)))  # as many layers as Burgers' network
    monkeypatch.setitem(PROBLEMS, "laplace", lambda: deep)
    monkeypatch.setattr(plan, "COMPARED", {"ours": ()})
    given = dict[str, Any]()

    def kept(problem: pf.Problem, network: pf.Network, *_: object, **__: object) -> None:
        given[problem.name] = network.structure

    monkeypatch.setattr(running, "solve", kept)
    with pytest.raises(InputError, match="no finished run"):
        pf.reproduce(tmp_path, "cylinder", settings="ours", quick=True)
    signs = {
        field: [(match.text, match.symmetry.character) for match in found]
        for field, found in pf.field_symmetries(given["cylinder"], "x y", "u v p").items()
    }
    assert signs == {"u": [("y -> -y", (1,))], "v": [("y -> -y", (-1,))], "p": [("y -> -y", (1,))]}
    assert given["cylinder"].centre == pytest.approx((0.55, 0.0))
    for name in ("laplace", "burgers-inverse-0.01"):
        assert (tmp_path / name / "discovery" / "structure.json").exists()

    # What lacks the symmetry leaves the run out, and says so: here of a folder of an earlier version, without digests.
    described = tmp_path / "laplace" / "discovery" / "run.json"
    described.write_text(described.read_text(encoding="utf-8").replace('"sha256"', '"other"'), encoding="utf-8")
    pf.Structure.dense([2, 4, 1]).save(tmp_path / "laplace" / "discovery" / "structure.json")
    said = list[str]()
    with pytest.raises(InputError, match="no finished run"):
        pf.reproduce(tmp_path, "cylinder", settings="ours", quick=True, say=said.append)
    assert said[-1].endswith("left out, maps: expected symmetries of 'dense', which has none, got x2 -> -x2")


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no finished run"):
        pf.reproduce(tmp_path, report_only=True)
    with pytest.raises(InputError, match="there is no folder"):
        pf.reproduce(tmp_path / "none", report_only=True)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], small_paper: Callable[[], pf.Problem]) -> None:
    words = ["reproduce", "--problems", "laplace", "--only", "paper", "--seeds", "1", "--quiet", "--out", str(tmp_path)]
    assert main([*words, "--steps", "laplace=5"]) == 0
    out = capsys.readouterr()
    assert "Laplace: Adam took 5 of the paper's 20 steps." in out.out
    assert f"report: {tmp_path / 'report.html'}" in out.err
    for given, message in (("laplace", "PROBLEM=N"), ("laplace=-1", "PROBLEM=N"), ("laplace=6", "with other settings")):
        assert main([*words, "--steps", given]) == 2
        assert message in capsys.readouterr().err
    assert main([*words, "--steps", "laplace=5", "--steps", "laplace=5"]) == 2
    assert "laplace is given twice" in capsys.readouterr().err


def test_interrupted_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "solve", interrupted)
    assert main(["reproduce", "--problems", "laplace", "--quick", "--quiet", "--out", str(tmp_path)]) == 130
    assert f"what is done is in {tmp_path}, run the same command again to go on" in capsys.readouterr().err
