"""Saved files: what is written comes back; what is foreign or damaged is refused."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small import small_laplace

from psinn_fast import (
    MLP,
    Adam,
    CheckpointError,
    InputError,
    Options,
    PsiMLP,
    fit,
    load_network,
    published_structure,
    save_discovery,
    save_network,
    save_solution,
)
from psinn_fast.kernels.errors import CheckpointWarning, OutputWarning
from psinn_fast.storage import entries
from psinn_fast.storage.tensor_file import TensorFile, write_tensors
from psinn_fast.training.checkpoint import CHECKPOINT_SECONDS, NETWORK_SCHEMA, Checkpoint, Expectations, Expected
from psinn_fast.training.history import History


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_network_round_trip(tmp_path: Path, dtype: torch.dtype) -> None:
    for net in (MLP([2, 5, 1], dtype=dtype), PsiMLP(published_structure("burgers"), 4, dtype=dtype)):
        save_network(tmp_path / "w.safetensors", net, {"nu": 0.1})
        loaded = load_network(tmp_path / "w.safetensors")
        assert type(loaded) is type(net)
        assert loaded.structure == net.structure
        assert torch.equal(loaded.theta, net.theta)


def test_a_folder_is_not_its_network(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r": cannot be read \(it is a folder, without weights\.safetensors\)$"):
        load_network(tmp_path)
    save_network(tmp_path / "weights.safetensors", MLP([2, 3, 1]))
    with pytest.raises(CheckpointError, match=r"\(it is a folder, its network is .*weights\.safetensors\)$") as info:
        load_network(str(tmp_path))
    load_network(str(info.value).rpartition(" ")[2].rstrip(")"))


def test_unreadable_foreign_and_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(CheckpointError, match=r"w\.safetensors: cannot be read"):
        load_network(path)
    path.write_bytes(b"not a safetensors file")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_network(path)
    save_file({"theta": torch.zeros(3)}, path)
    with pytest.raises(
        CheckpointError, match=r"expected a file of schema 'psinn_fast.network/2', got no psinn_fast header"
    ):
        load_network(path)
    save_network(path, MLP([2, 3, 1]))
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_network(path)
    path.write_bytes(whole.replace(b"psinn_fast.network/2", b"psinn_fast.network/9"))
    with pytest.raises(CheckpointError, match=r"got 'psinn_fast\.network/9'"):
        load_network(path)


def written(path: Path, theta: torch.Tensor, **header: object) -> Path:
    """A file of weights for 2-3-1 with entries as asked, and a checksum that says they are right."""
    given = {"structure": MLP([2, 3, 1]).structure.to_entries(), "coefficients": {}, **header}
    write_tensors(path, NETWORK_SCHEMA, {k: v for k, v in given.items() if v is not None}, {"theta": theta})
    return path


@pytest.mark.parametrize(
    ("theta", "header", "message"),
    [
        (torch.zeros(5), {}, r"theta: expected shape \(13,\), got \(5,\)"),
        (torch.zeros(1), {}, r"theta: expected shape \(13,\), got \(1,\)"),
        (torch.tensor(0.0), {}, r"theta: expected shape \(13,\), got \(\)"),
        (torch.zeros(13, 1), {}, r"theta: expected shape \(13,\), got \(13, 1\)"),
        (torch.full((13,), torch.nan), {}, "theta: 13 of its 13 numbers are NaN or infinite"),
        (torch.zeros(13).index_fill(0, torch.tensor(4), torch.inf), {}, "theta: 1 of its 13 numbers are NaN"),
        (torch.zeros(13, dtype=torch.float16), {}, "theta: expected numbers of type float32 or float64, got F16"),
        (torch.zeros(13, dtype=torch.int64), {}, "theta: expected numbers of type float32 or float64, got I64"),
        (torch.zeros(13, dtype=torch.complex64), {}, "theta: expected numbers of type float32 or float64, got C64"),
        (torch.zeros(13), {"structure": None}, "header: the entry 'structure' is missing"),
        (
            torch.zeros(13),
            {"structure": "2-3-1"},
            "structure: expected schema 'psinn_fast.structure/2', got 'str'",
        ),
        (torch.zeros(13), {"coefficients": [0.1]}, r"coefficients: expected an object, got \[0.1\]"),
        (torch.zeros(13), {"coefficients": {"nu": "0.1"}}, "coefficients.nu: expected a finite number, got '0.1'"),
        (torch.zeros(13), {"coefficients": {"nu": True}}, "coefficients.nu: expected a finite number, got True"),
        (torch.zeros(13), {"coefficients": {"n\tu": 0.1}}, r"coefficients: expected printable text .*, got 'n\\tu'"),
        (torch.zeros(13), {"colour": "red"}, "header: unknown entry 'colour'"),
    ],
)
def test_entries_of_weights_are_checked(
    theta: torch.Tensor, header: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=rf"w\.safetensors: {message}"):
        load_network(written(tmp_path / "w.safetensors", theta, **header))


def test_fewer_steps_than_a_run_has_are_said(tmp_path: Path) -> None:
    path, sequence = tmp_path / "c.safetensors", [Adam(4), Adam(9)]
    first = fit(small_laplace(5), MLP([2, 4, 1], dtype="float64"), sequence, checkpoint=path)
    for steps, note in ((9, ""), (7, "it had 13 steps already when it was resumed, more than the 11 asked for")):
        net = MLP([2, 4, 1], dtype="float64")
        options = Options(resume=True)
        result = fit(small_laplace(5), net, [Adam(4), Adam(steps)], checkpoint=path, options=options)
        assert result.steps == first.steps
        assert [text for text in result.notes if "resumed" in text] == [note] * bool(note)


def test_messages_are_short_whatever_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    header = json.dumps({"theta": "long" * 100_000}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(CheckpointError, match=r"cannot be read \(Error while deserializing header.*\.\.\.\)") as info:
        load_network(path)
    assert len(str(info.value)) < 500


def test_a_changed_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_network(path, MLP([2, 3, 1]))
    contents = bytearray(path.read_bytes())
    contents[-2] ^= 1
    path.write_bytes(contents)
    with pytest.raises(CheckpointError, match="damaged, its contents do not have the checksum that was written"):
        load_network(path)


def test_weights_that_no_one_could_load_are_not_saved(tmp_path: Path) -> None:
    net = MLP([2, 3, 1])
    with torch.no_grad():
        net.theta[3] = torch.nan
    with pytest.raises(InputError, match="its weights are NaN or infinite"):
        save_network(tmp_path / "w.safetensors", net)
    assert list(tmp_path.iterdir()) == []


def test_only_networks_are_saved(tmp_path: Path) -> None:
    for other in (torch.nn.Linear(2, 1), MLP([2, 3, 1]).theta):
        with pytest.raises(InputError, match=r"net: expected a PsiMLP or MLP, got (Linear|Parameter) "):
            save_network(tmp_path / "w.safetensors", other)  # type: ignore[arg-type]  # what is refused
    assert list(tmp_path.iterdir()) == []


def test_loading_draws_no_random_numbers(tmp_path: Path) -> None:
    save_network(tmp_path / "w.safetensors", MLP([2, 3, 1], seed=1))
    before = torch.get_rng_state()
    load_network(tmp_path / "w.safetensors")
    assert torch.equal(torch.get_rng_state(), before)


def test_nothing_is_left_half_written(tmp_path: Path) -> None:
    save_network(tmp_path / "w.safetensors", MLP([2, 3, 1]))
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def expecting(tensors: dict[str, Expected], numbers: dict[str, Any]) -> Callable[[object], Expectations]:
    return lambda numbers_of_the_file: Expectations(tensors, numbers)


def test_a_checkpoint_that_fails_later_is_said_once_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, history = tmp_path / "c.safetensors", History(("step", "seconds"))
    file = Checkpoint(path, history, lambda: {"problem": "rod"})
    state = {"x": torch.zeros(2, dtype=torch.float64)}
    write = partial(file.write, tensors=state)
    write(0.0, numbers={"step": 0})
    before = path.read_bytes()
    assert not file.is_due(CHECKPOINT_SECONDS)
    assert file.is_due(CHECKPOINT_SECONDS + 1)
    with monkeypatch.context() as patch:
        patch.setattr("psinn_fast.storage.files.os.fsync", _full)
        with pytest.warns(CheckpointWarning, match=r"c\.safetensors: cannot be written .*No space left.* tries again"):
            write(40.0, numbers={"step": 1})
        assert file.path is None
        assert not file.is_due(50.0)
        write(80.0, numbers={"step": 2})  # not said again: warnings are errors here
        assert path.read_bytes() == before
        with pytest.warns(OutputWarning, match="it holds an earlier step"):
            file.conclude()
    write(120.0, numbers={"step": 3})
    file.conclude()
    assert file.path == path
    shape, step = {"x": Expected((2,))}, {"step": entries.integer}
    assert Checkpoint(path, history, lambda: {"problem": "rod"}).load(expecting(shape, step))[1] == {"step": 3}


def test_the_first_checkpoint_must_succeed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psinn_fast.storage.files.os.fsync", _full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        Checkpoint(tmp_path / "c.safetensors", History(("step",)), dict).write(0.0, {}, {})
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_is_that_of_its_run_with_all_that_it_needs(tmp_path: Path) -> None:
    path, history = tmp_path / "c.safetensors", History(("step",))
    file = Checkpoint(path, history, lambda: {"problem": "rod"})
    assert not file.exists
    file.write(0.0, {"x": torch.tensor([1.0, torch.inf], dtype=torch.float64)}, {"step": 0})
    assert file.exists
    for other, tensors, numbers, message in (
        ("beam", {}, {}, r"it belongs to another run \(problem: saved 'rod', now 'beam'\)"),
        ("rod", {"x": Expected((2,))}, {"step": entries.integer}, "x: 1 of its 2 numbers are NaN or infinite"),
        ("rod", {"y": Expected((2,))}, {"step": entries.integer}, "the tensor 'y' is missing"),
        ("rod", {}, {"step": entries.integer}, r"unknown tensors \['x'\]"),
        ("rod", {}, {"step": entries.text}, "numbers.step: expected printable text"),
        ("rod", {}, {}, "numbers: unknown entry 'step'"),
    ):
        with pytest.raises(CheckpointError, match=rf"c\.safetensors: .*{message}"):
            Checkpoint(path, history, lambda name=other: {"problem": name}).load(expecting(tensors, numbers))
    with pytest.raises(CheckpointError, match=r"its history has the columns \['step'\], not \['step', 'loss'\]"):
        Checkpoint(path, History(("step", "loss")), lambda: {"problem": "rod"}).load(expecting({}, {}))
    wanted = {"x": Expected((None,), finite=False), "y": Expected((2,), optional=True)}
    found, _ = Checkpoint(path, history, lambda: {"problem": "rod"}).load(expecting(wanted, {"step": entries.integer}))
    assert list(found) == ["x"]


def test_the_history_comes_back_with_what_is_not_known(tmp_path: Path) -> None:
    path, columns = tmp_path / "c.safetensors", ("step", "seconds", "relative_l2")
    Checkpoint(path, History(columns, [(0, 0.0, math.nan), (5, 0.5, 0.1)]), dict).write(0.5, {}, {})
    restored = History(columns)
    Checkpoint(path, restored, dict).load(expecting({}, {}))
    assert restored.to_csv() == "step,seconds,relative_l2\n0,0,nan\n5,0.5,0.1\n"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(1, 0.0), (0, 1.0)], "steps in rising order"),
        ([(0, 0.0), (0, 1.0)], "steps in rising order"),
        ([(math.nan, 0.0)], "steps in rising order"),
        ([(-1, 0.0)], "steps in rising order"),
        ([(0.5, 0.0)], "steps in rising order"),
        ([(math.inf, 0.0)], "steps in rising order"),
        ([(0, math.nan)], "seconds >= 0"),
        ([(0, -1.0)], "seconds >= 0"),
        ([(0, math.inf)], "seconds >= 0"),
    ],
)
def test_histories_that_none_wrote(rows: list[tuple[float, float]], message: str, tmp_path: Path) -> None:
    path, columns = tmp_path / "c.safetensors", ("step", "seconds")
    Checkpoint(path, History(columns, rows), dict).write(0.0, {}, {})
    with pytest.raises(CheckpointError, match=rf"c\.safetensors: history: expected {message}"):
        Checkpoint(path, History(columns), dict).load(expecting({}, {}))


def test_a_network_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"w\.safetensors: cannot be written .*No such file"):
        save_network(tmp_path / "missing" / "w.safetensors", MLP([2, 3, 1]))


def test_no_path_no_file() -> None:
    file = Checkpoint(None, History(("step",)), dict)
    file.write(0.0, {}, {})
    file.conclude()
    assert not file.exists
    assert file.path is None
    assert not file.is_due(1e9)


def _full(descriptor: int) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    "coefficients",
    [{"a": "x"}, {"a": math.nan}, {"a": math.inf}, {"a": True}, {"a": 1j}, {"a": None}, {"a": [1.0, 2.0]}, {1: 1.0},
     {"": 1.0}, {"a\n": 1.0}, [("a", 1.0)], 3.0],
    ids=str,
)  # fmt: skip
def test_only_coefficients_that_can_be_loaded_are_saved(coefficients: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^coefficients"):
        save_network(tmp_path / "net.safetensors", MLP([1, 2, 1]), coefficients)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "value", [2, np.float32(2), np.array(2.0), torch.tensor(2.0), torch.tensor([2.0])[0]], ids=repr
)
def test_scalars_of_all_kinds_are_coefficients(value: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_network(path, MLP([1, 2, 1]), {"µ": value})
    load_network(path)
    with TensorFile(path, NETWORK_SCHEMA) as file:
        assert file.header["coefficients"] == {"μ": 2.0}


def test_what_is_no_solution_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    net = MLP([1, 2, 1])
    for save, wanted in ((save_solution, "solution"), (save_discovery, "discovery")):
        with pytest.raises(InputError, match=f"{wanted}: expected .*, got MLP"):
            save(net, tmp_path / "out")  # type: ignore[operator]  # mypy joins two functions to object
    assert not list(tmp_path.iterdir())


def test_equal_contents_are_equal_bytes(tmp_path: Path) -> None:
    """In one process and in others, whatever they hash strings to."""
    code = (
        "import sys, psinn_fast as pf\n"
        "for path in sys.argv[1:]: pf.save_network(path, pf.MLP([2, 5, 1], seed=0), {'b': 0.1, 'a': 0.2})"
    )
    here, there = ([str(tmp_path / f"{process}{i}.safetensors") for i in range(8)] for process in range(2))
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    subprocess.run([sys.executable, "-c", code, *there], env=environment, check=True)
    for path in here:
        save_network(path, MLP([2, 5, 1], seed=0), {"b": 0.1, "a": 0.2})
    assert len({Path(path).read_bytes() for path in (*here, *there)}) == 1
