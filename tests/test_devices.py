"""The device of a run: what is refused, and what reaches the network."""

from __future__ import annotations

import pytest
import torch
from small import small_laplace

from psinn_fast import (
    MLP,
    Adam,
    GaussNewton,
    Network,
    Options,
    Problem,
    PsiMLP,
    Structure,
    SymbolLayer,
    fit,
    solving,
)
from psinn_fast.building import METHODS, build_network
from psinn_fast.cli.commands import main
from psinn_fast.devices import find_device
from psinn_fast.kernels.errors import InputError
from psinn_fast.pipeline import run_pipeline
from psinn_fast.solving import solve


@pytest.mark.parametrize(
    ("device", "gpus", "message"),
    [
        ("gpu", 1, r"device: expected 'cpu', 'cuda' or e\.g\. 'cuda:1', got 'gpu'"),
        (None, 1, "device: expected 'cpu'"),
        (1, 2, "device: expected 'cpu', .*, got 1"),
        ("mps", 1, "device: expected the CPU or an NVIDIA GPU .* got 'mps'"),
        ("cuda", 0, "device: got 'cuda', but torch can use no GPU here"),
        ("cuda:1", 1, "device: got 'cuda:1', only 'cuda:0' is there"),
        ("cuda:2", 2, "device: got 'cuda:2', there are 'cuda:0' to 'cuda:1'"),
    ],
)
def test_bad_devices(device: str | None, gpus: int, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(InputError, match=message):
        find_device(device)  # type: ignore[arg-type]


def test_good_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name in ("cpu", "cuda", "cuda:0", "cuda:1"):
        assert find_device(name) == find_device(torch.device(name)) == torch.device(name)


@pytest.mark.parametrize("method", METHODS)
def test_networks_are_made_there(method: str) -> None:
    assert build_network(small_laplace(), Network(method, device="meta")).theta.device.type == "meta"


@pytest.mark.parametrize("optimizer", [Adam(1), GaussNewton(1)])
def test_networks_without_parameters_are_not_trained(optimizer: Adam | GaussNewton) -> None:
    layers = SymbolLayer.of([[0, 0]], [0], rows=[3]), SymbolLayer.of([[0]], [0], cols=[3])
    with pytest.raises(InputError, match="net: it has no parameters, all of its weights are zero"):
        fit(small_laplace(), PsiMLP(Structure(layers)), optimizer)


@pytest.mark.parametrize("place", ["meta", "mps"])
def test_networks_elsewhere_are_not_trained(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if place == "meta":
        net, advice = MLP([2, 4, 1]).to("meta"), ", without numbers; make the network anew"
    else:  # torch has no such device here
        net, advice = MLP([2, 4, 1]), "; write net.to('cpu')"
        monkeypatch.setattr(type(net.theta), "device", torch.device(place))
    for train in (fit, solve):
        with pytest.raises(InputError) as info:
            train(small_laplace(), net, Adam(1))
        assert str(info.value) == f"net: expected its theta on the CPU or an NVIDIA GPU, got it on '{place}'{advice}"


def test_it_reaches_the_network_from_everywhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As far as that: there may be no GPU here."""

    class Reached(Exception):
        pass

    def build(problem: Problem, network: Network, **kwargs: object) -> None:
        raise Reached(str(network.device))

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(solving, "build_network", build)
    for go in (
        lambda: solve(small_laplace(), Network(device="cuda:1"), options=Options(backend="reference")),
        lambda: run_pipeline(small_laplace(), network=Network(device="cuda:1"), options=Options(backend="reference")),
        lambda: main(["solve", "laplace", "--device", "cuda:1", "--backend", "reference"]),
        lambda: main(["run", "laplace", "--device", "cuda:1", "--backend", "reference"]),
    ):
        with pytest.raises(Reached, match="cuda:1"):
            go()
    monkeypatch.undo()
    if not torch.cuda.is_available():
        assert main(["solve", "laplace", "--device", "cuda"]) == 2
        assert "device: got 'cuda', but torch can use no GPU here" in capsys.readouterr().err
