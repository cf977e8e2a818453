"""Saved files: what is written comes back; what is foreign or damaged is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from psinn_fast import CheckpointError, PsiMLP, TanhMLP, load_network, published_structure, save_network


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_network_round_trip(tmp_path: Path, dtype: torch.dtype) -> None:
    for net in (TanhMLP([2, 5, 1], dtype=dtype), PsiMLP(published_structure("burgers"), 4, dtype=dtype)):
        save_network(tmp_path / "w.safetensors", net, {"nu": 0.1})
        loaded = load_network(tmp_path / "w.safetensors")
        assert type(loaded) is type(net)
        assert loaded.structure == net.structure
        assert torch.equal(loaded.theta, net.theta)


def test_unreadable_foreign_and_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(CheckpointError, match=r"w\.safetensors: cannot be read"):
        load_network(path)
    path.write_bytes(b"not a safetensors file")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_network(path)
    save_file({"theta": torch.zeros(3)}, path)
    with pytest.raises(
        CheckpointError, match=r"expected a file of schema 'psinn_fast.network/1', got no psinn_fast header"
    ):
        load_network(path)
    save_network(path, TanhMLP([2, 3, 1]))
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_network(path)
    path.write_bytes(whole.replace(b"psinn_fast.network/1", b"psinn_fast.network/9"))
    with pytest.raises(CheckpointError, match=r"got psinn_fast\.network/9"):
        load_network(path)


def test_theta_of_the_wrong_size_is_refused(tmp_path: Path) -> None:
    import json

    path = tmp_path / "w.safetensors"
    net = TanhMLP([2, 3, 1])
    header = {"schema": "psinn_fast.network/1", "structure": json.loads(net.structure.to_json())}
    save_file({"theta": torch.zeros(5)}, path, metadata={"psinn_fast": json.dumps(header)})
    with pytest.raises(CheckpointError, match="damaged"):
        load_network(path)


def test_nothing_is_left_half_written(tmp_path: Path) -> None:
    save_network(tmp_path / "w.safetensors", TanhMLP([2, 3, 1]))
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]
