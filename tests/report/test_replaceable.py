"""What an output folder may lose: files of ours, and no others."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from small import small_laplace

import psinn_fast as pf
from psinn_fast.cli.commands import EXIT_BAD_INPUT, main
from psinn_fast.report.replaceable import COMPARISON, DISCOVERY, SOLUTION, strangers


def solved(out: Path, **options: Any) -> pf.Solution:
    return pf.solve(small_laplace(5), pf.Network(layers=[2, 5, 1]), pf.Adam(1), out=out, options=pf.Options(**options))


@pytest.mark.parametrize("name", SOLUTION)
def test_files_of_others_are_refused_before_training(name: str, tmp_path: Path) -> None:
    for content in ("mine", '{"schema": "mine"}', "step,mine\n1,2\n"):
        (tmp_path / name).write_text(content)
        with pytest.raises(pf.InputError, match=rf"^out: .* has files that psinn_fast did not write.*: {name}; move"):
            solved(tmp_path)
        assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, content)]


def test_empty_files_are_replaced(tmp_path: Path) -> None:
    for name in SOLUTION:
        (tmp_path / name).write_text("")
    solved(tmp_path)
    assert all((tmp_path / name).stat().st_size > 0 for name in SOLUTION)


def test_a_run_may_be_repeated_and_resumed_in_its_folder(tmp_path: Path) -> None:
    solved(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.warns(pf.CheckpointWarning, match="an earlier run of 1 steps is kept as"):
        solved(tmp_path)
    solved(tmp_path, resume=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert strangers(tmp_path, SOLUTION) == []
    for name in ("weights.safetensors", "structure.json", "result.json", "history.csv"):
        (tmp_path / name).unlink()
    assert strangers(tmp_path, SOLUTION) == []  # pictures are ours beside a checkpoint
    (tmp_path / "checkpoint.safetensors").unlink()
    assert strangers(tmp_path, SOLUTION) == ["solution.png", "loss.png", "loss_map.png", "structure.png", "R.png"]


def test_structures_of_both_schemas_are_ours(tmp_path: Path) -> None:
    """A folder may have been written before structures had an activation, or be of another one now."""
    for activation, schema in (("tanh", 1), ("sin", 2)):
        pf.Structure.dense([2, 5, 1], activation=activation).save(tmp_path / "structure.json")
        assert f'"psinn_fast.structure/{schema}"' in (tmp_path / "structure.json").read_text()
        assert strangers(tmp_path, SOLUTION) == []
    (tmp_path / "structure.json").write_text('{"schema": "psinn_fast.structure/3"}')
    assert strangers(tmp_path, SOLUTION) == ["structure.json"]


def test_what_came_meanwhile_is_left_and_said(tmp_path: Path) -> None:
    def interfere(progress: pf.Progress) -> None:
        (tmp_path / "result.json").write_text("mine")

    with pytest.warns(pf.OutputWarning, match=r"could not write result\.json \(what is there psinn_fast did not"):
        solved(tmp_path, callbacks=interfere)
    assert (tmp_path / "result.json").read_text() == "mine"
    assert (tmp_path / "weights.safetensors").exists()


@pytest.mark.parametrize("name", DISCOVERY)
def test_discoveries(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["discover", "laplace", "--tests", "problem", "--out", str(tmp_path), "--quiet"]
    (tmp_path / name).write_text("mine")
    assert main(command) == EXIT_BAD_INPUT
    assert f"psinn-fast: out: {tmp_path} has files that psinn_fast did not write" in capsys.readouterr().err
    (tmp_path / name).unlink()
    if name == DISCOVERY[0]:
        assert main(command) == main(command) == 0


@pytest.mark.parametrize(
    "place", [COMPARISON[0], f"discovery/{DISCOVERY[0]}", "psi-nn-published-r/result.json"], ids=str
)
def test_pipelines_look_at_all_folders_first(place: str, tmp_path: Path) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("mine")
    with pytest.raises(pf.InputError, match=rf"^out: .* has files that psinn_fast did not write.*{Path(place).name}"):
        pf.run_pipeline(small_laplace(5), pf.Adam(1), out=tmp_path)
    assert not (tmp_path / "pinn").exists()


Write = Callable[[Path], object]


@pytest.mark.parametrize("kind", ["solution", "discovery"])
def test_saving_by_hand(kind: str, tmp_path: Path) -> None:
    write: Write
    if kind == "solution":
        solution = pf.solve(small_laplace(5), pf.Network(layers=[2, 5, 1]), pf.Adam(1))
        write = partial(pf.save_solution, solution, pictures=False)
    else:
        found = pf.discover(small_laplace(5), tests="problem")
        write = partial(pf.save_discovery, found)
    write(tmp_path)
    write(tmp_path)
    (tmp_path / "structure.json").write_text("mine")
    with pytest.warns(pf.OutputWarning, match=r"could not write structure\.json"):
        write(tmp_path)
