"""What a discovery left is used only if it is whole, and as it was when it ended; all of it shows before training."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import psinn_fast as pf
from psinn_fast.kernels.errors import InputError
from psinn_fast.reproduction import plan, running
from psinn_fast.reproduction.discovered import read_evidence
from psinn_fast.reproduction.files import is_finished

DISCOVERY = Path("laplace/discovery")
TRAINED, FOUND = "it is trained", "it is discovered"


@pytest.fixture(scope="module")
def discovered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Empty at first, since the small problem is there only while a test runs."""
    return tmp_path_factory.mktemp("discovered")


@pytest.fixture
def made(discovered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reproduction whose R was discovered; it was stopped before a run was trained."""

    def no_training(*_: object, **__: object) -> None:
        raise AssertionError(TRAINED)

    def no_discovery(*_: object, **__: object) -> None:
        raise AssertionError(FOUND)

    monkeypatch.setattr(plan, "COMPARED", {"ours": (plan.FOUND,)})
    monkeypatch.setattr(running, "solve", no_training)
    if not any(discovered.iterdir()):
        go_on(discovered, TRAINED)
    monkeypatch.setattr(running, "discover", no_discovery)
    return shutil.copytree(discovered, tmp_path / "made")


def go_on(folder: Path, ends: str) -> None:
    with pytest.raises(AssertionError, match=ends):
        pf.reproduce(folder, "laplace", settings="ours", quick=True)


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def unsealed(place: Path) -> Path:
    """As an earlier version left it."""
    described = json.loads((place / "run.json").read_text(encoding="utf-8"))
    del described["sha256"]
    (place / "run.json").write_text(json.dumps(described), encoding="utf-8")
    return place


CHANGED, MOVE = "was changed after the discovery had ended, or is damaged", "; move the folder away to train it anew"
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "another structure": (
        lambda place: pf.Structure.dense([2, 4, 1]).save(place / "structure.json"), f"structure.json {CHANGED}"
    ),
    "structure is garbage": (lambda place: (place / "structure.json").write_bytes(b"\xff"), "structure.json cannot be"),
    "structure gone": (lambda place: (place / "structure.json").unlink(), "structure.json is gone; bring it back, or"),
    "evidence edited": (
        lambda place: change(place / "discovery.json", '"notes": []', '"notes": [1]'), f"discovery.json {CHANGED}"
    ),
    "evidence gone": (lambda place: (place / "discovery.json").unlink(), "discovery.json is gone; bring it back, or"),
    "both gone": (
        lambda place: [(place / name).unlink() for name in ("structure.json", "discovery.json")], "json is gone"
    ),
    "run.json gone": (lambda place: (place / "run.json").unlink(), "no run.json that says whose they are"),
    "old, structure gone": (lambda place: (unsealed(place) / "structure.json").unlink(), "structure.json is gone"),
    "old, structure is garbage": (
        lambda place: (unsealed(place) / "structure.json").write_text("{}"), "structure file .*structure.json: "
    ),
    "old, evidence is garbage": (
        lambda place: (unsealed(place) / "discovery.json").write_text("{}"), "discovery.json is damaged, or no file"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_shows_before_anything_is_trained(made: Path, name: str) -> None:
    damage, message = DAMAGES[name]
    damage(made / DISCOVERY)
    with pytest.raises(InputError, match=f"out: .*{message}.*move the folder away"):
        pf.reproduce(made, "laplace", settings="ours", quick=True)


def test_what_is_whole_is_used(made: Path) -> None:
    go_on(made, TRAINED)


def test_discoveries_of_earlier_versions_are_used_and_get_digests(made: Path) -> None:
    go_on(unsealed(made / DISCOVERY).parents[1], TRAINED)
    assert is_finished(made / DISCOVERY)


def test_interrupted_discoveries_begin_anew(made: Path) -> None:
    (unsealed(made / DISCOVERY) / "discovery.json").unlink()
    go_on(made, FOUND)


def test_reports_leave_out_what_was_changed(made: Path) -> None:
    assert read_evidence(made / DISCOVERY)
    change(made / DISCOVERY / "structure.json", "{", "{ ")
    with pytest.raises(InputError, match=CHANGED):
        read_evidence(made / DISCOVERY)
