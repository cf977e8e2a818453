"""What runs left enters a report only if it is theirs, whole, and as it was when they ended."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import psinn_fast as pf
from psinn_fast.cli.commands import main
from psinn_fast.kernels.errors import InputError
from psinn_fast.reproduction import plan, running

PAPER: dict[str, Any] = {"problems": "laplace", "settings": "paper", "seeds": 1}
PINN, PSI = "laplace/paper/pinn/seed-0", "laplace/paper/psi-nn/seed-0"


def no_training(*_: object, **__: object) -> None:
    raise AssertionError("something is trained")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Empty at first, since the small problem is there only while a test runs."""
    return tmp_path_factory.mktemp("trained")


@pytest.fixture
def made(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PINN and Psi-NN, trained for a few steps; nothing is trained from then on."""
    monkeypatch.setattr(plan, "COMPARED", {"paper": ("PINN", "Psi-NN")})
    if not any(trained.iterdir()):
        pf.reproduce(trained, **PAPER)
    monkeypatch.setattr(running, "solve", no_training)
    return shutil.copytree(trained, tmp_path / "made")


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def sealed(place: Path, name: str, old: str, new: str) -> None:
    """Changed together with its digest."""
    change(place / name, old, new)
    described = json.loads((place / "run.json").read_text(encoding="utf-8"))
    described["sha256"][name] = hashlib.sha256((place / name).read_bytes()).hexdigest()
    (place / "run.json").write_text(json.dumps(described), encoding="utf-8")


def cut(place: Path) -> None:
    path = place / "history.csv"
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8")


def of_the_other(place: Path, *names: str) -> None:
    for name in names:
        shutil.copy(place.parents[2] / "paper/psi-nn/seed-0" / name, place / name)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no JSON": (lambda place: (place / "result.json").write_text("{"), "result.json was changed after the run had"),
    "edited": (
        lambda place: change(place / "result.json", '"ended": "done"', '"ended": "time limit"'),
        "result.json was changed after the run had ended",
    ),
    "another network's": (lambda place: of_the_other(place, "result.json"), "result.json was changed after"),
    "another network's, with run.json": (
        lambda place: of_the_other(place, "result.json", "history.csv", "run.json"),
        f"(made with other settings|its run.json is that of {PSI})",
    ),
    "result gone": (lambda place: (place / "result.json").unlink(), "result.json is gone"),
    "history gone": (lambda place: (place / "history.csv").unlink(), "history.csv is gone"),
    "history cut": (cut, "history.csv was changed after"),
    "history is garbage": (lambda place: (place / "history.csv").write_bytes(b"\xff\x00"), "history.csv cannot be"),
    "run.json": (lambda place: (place / "run.json").write_text("[]"), "run.json is damaged"),
    "no run.json": (lambda place: (place / "run.json").unlink(), r"no run\.json that says whose"),
    "no digests": (
        lambda place: (change(place / "run.json", '"sha256"', '"other"'), (place / "checkpoint.safetensors").unlink()),
        "run.json has no digests of",
    ),
    "digest of one file": (lambda place: change(place / "run.json", '"history.csv"', '"h"'), "run.json is damaged"),
    # Whoever changes digests as well must not contradict himself.
    "another problem's": (
        lambda place: sealed(place, "result.json", '"problem": "laplace"', '"problem": "poisson"'),
        "is of another run than run.json .problem: 'laplace' in run.json, 'poisson' in result.json",
    ),
    "other layers": (lambda place: sealed(place, "result.json", '"parameters": ', '"parameters": 1'), "parameters: "),
    "another seed's": (lambda place: sealed(place, "result.json", '"seed": 0', '"seed": 1'), "seed: 0 in run.json, 1"),
    "other steps": (lambda place: sealed(place, "result.json", '"steps": 20', '"steps": 19'), "steps: 20 in run.json"),
    "no number": (lambda place: sealed(place, "result.json", '"steps": 20', '"steps": "x"'), "result.json is damaged"),
    "other rows": (lambda place: sealed(place, "history.csv", "\n20,", "\n19,"), "ends at step 19.0 of 20"),
    "no rows": (lambda place: sealed(place, "history.csv", "step,", "row,"), "it ends at step None of 20"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named(made: Path, name: str) -> None:
    damage, message = DAMAGES[name]
    damage(made / PINN)
    found = pf.reproduce(made, report_only=True)
    assert [run["place"] for run in found.numbers["runs"]] == [PSI]
    (said,) = found.missing
    assert said.startswith((PINN, str(made / PINN)))
    assert re.search(message, said)
    assert said in found.text
    assert repr(found).endswith("1 runs, 1 left out")
    with pytest.raises(InputError, match=message):
        pf.reproduce(made, **PAPER)


def test_the_last_steps_of_a_run_that_its_time_ended_have_no_row(made: Path) -> None:
    for name, old, new in (
        ("history.csv", "\n20,", "\n19,"),
        ("result.json", '"ended": "done"', '"ended": "time limit"'),
    ):
        sealed(made / PINN, name, old, new)
    assert len(pf.reproduce(made, report_only=True).numbers["runs"]) == 2
    sealed(made / PINN, "history.csv", "\n19,", "\n18,")
    (said,) = pf.reproduce(made, report_only=True).missing
    assert "ends at step 18.0 of 20" in said


def test_copies_are_no_seeds(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for copy in ("laplace/paper/pinn/seed-7", "laplace/paper/pinn/seed-0 (copy)", "old/run"):
        shutil.copytree(made / PINN, made / copy)
    shutil.copytree(made / PSI, made / "laplace/paper/psi-nn/seed-1")
    (made / "laplace/paper/psi-nn/seed-1/run.json").unlink()
    assert main(["reproduce", "--report-only", "--quiet", "--out", str(made)]) == 0
    out = capsys.readouterr()
    numbers = json.loads((made / "numbers.json").read_text(encoding="utf-8"))
    assert [run["place"] for run in numbers["runs"]] == [PINN, PSI]
    expected = [
        *(
            f"not in the report: laplace/paper/pinn/{name}: its run.json is that of {PINN}, so this is a copy, or it "
            "was moved"
            for name in ("seed-0 (copy)", "seed-7")
        ),
        "not in the report: laplace/paper/psi-nn/seed-1: has no run.json that says whose results these are",
        f"not in the report: old/run: its run.json is that of {PINN}, so this is a copy, or it was moved",
    ]
    assert [line for line in out.err.splitlines() if "not in the report" in line] == expected
    shutil.rmtree(made / "laplace/paper/psi-nn/seed-1")
    with pytest.raises(InputError, match=r"seed-7 was made with other settings \(seed: saved 0, now 7\)"):
        pf.reproduce(made, **{**PAPER, "seeds": 8})


def test_results_alone_are_a_finished_run(made: Path) -> None:
    """As in a repository, without weights, checkpoint and pictures."""
    before = pf.reproduce(made, report_only=True)
    for path in made.glob("laplace/*/*/*/*"):
        if path.name not in ("run.json", "result.json", "history.csv"):
            path.unlink()
    said = list[str]()
    found = pf.reproduce(made, **PAPER, say=said.append)
    assert said == ["2 of 2 runs are finished"]
    assert found.text == before.text
    assert found.missing == ()


def test_a_run_killed_before_its_end_was_recorded_goes_on(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = json.loads((made / PINN / "result.json").read_text(encoding="utf-8"))
    monkeypatch.setattr(running, "solve", pf.solve)
    change(made / PINN / "run.json", '"sha256"', '"other"')
    said = list[str]()
    assert pf.reproduce(made, **PAPER, say=said.append).missing == ()
    assert said[0] == "1 of 2 runs are finished"
    after = json.loads((made / PINN / "result.json").read_text(encoding="utf-8"))
    assert (after["relative_l2"], after["steps"]) == (before["relative_l2"], 20)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lambda whole: whole[: len(whole) // 2], "cannot be read"),
        (lambda whole: whole[:-1] + bytes([whole[-1] ^ 1]), "checksum"),
        (lambda whole: b"", "cannot be read"),
    ],
)
def test_damaged_checkpoints_show_before_training(made: Path, text: Callable[[bytes], bytes], message: str) -> None:
    """That of the last run, with others to be trained before it."""
    shutil.rmtree(made / PINN)
    (made / PSI / "result.json").unlink()
    change(made / PSI / "run.json", '"sha256"', '"other"')
    path = made / PSI / "checkpoint.safetensors"
    path.write_bytes(text(path.read_bytes()))
    with pytest.raises(InputError, match=f"psi-nn/seed-0/checkpoint.safetensors: .*{message}.*move the folder away"):
        pf.reproduce(made, **PAPER)
    assert not (made / PINN).exists()


def test_checkpoints_of_other_runs_show_before_training(made: Path) -> None:
    change(made / PSI / "run.json", '"sha256"', '"other"')
    shutil.copy(made / PINN / "checkpoint.safetensors", made / PSI / "checkpoint.safetensors")
    shutil.rmtree(made / PINN)
    with pytest.raises(InputError, match=r"checkpoint.safetensors is another run's \(method: saved 'pinn', now 'psi'"):
        pf.reproduce(made, **PAPER)
