"""What activations call in C++: generated headers, and values and derivatives as exact as their formulas."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.language.activations import ACTIVATIONS, HIGHEST, activation_of
from psinn_fast.kernels.language.channels import ChannelSet
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.symbols import SymbolLayer

FLOAT64 = torch.float64
SOURCES = Path(__file__).parents[3] / "kernels" / "cpu" / "src"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SOURCES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "header"), [("make_activations", "activations.h"), ("make_polynomials", "polynomials.h")]
)
def test_headers_are_what_the_scripts_print(name: str, header: str, capsys: pytest.CaptureFixture[str]) -> None:
    script(name).main()
    assert capsys.readouterr().out == (SOURCES / header).read_text(encoding="utf-8")


def test_what_is_kept() -> None:
    """All that calls a function, and z where it is read, so that the way back calls none; the value may not follow."""
    kept = {name: own.results for name, own in ACTIVATIONS.items()}
    assert kept == {"tanh": ("t",), "sin": ("s", "c"), "silu": ("z", "g"), "gelu": ("z", "p", "q"), "softplus": ("g",)}
    for own in ACTIVATIONS.values():
        lines = own.from_results(range(1, HIGHEST + 1))
        assert not any(f"{function}(" in line for function in own.functions for _, line in lines)


@pytest.mark.parametrize("dtype", [torch.float32, FLOAT64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_accuracy(backend: CpuBackend, name: str, dtype: torch.dtype) -> None:
    """a to a'''' of one neuron, over where they bend and where they are straight, to a few units of the last place."""
    layers = (SymbolLayer.of([[1]], [0]), SymbolLayer.of([[1]], [0]))
    channels, theta = ChannelSet.closure(1, [(4,)]), torch.ones(2, dtype=dtype)
    x = torch.cat([torch.linspace(-13, 13, 4001), torch.linspace(-105, 105, 500), torch.tensor([0.0, -0.0])])
    x = x.to(dtype)[:, None]
    found = backend.jets(lower(layers, name), theta, x, channels)[..., 0].double()
    own, z = activation_of(name), x.double().squeeze(1)
    right = torch.stack(own.derivatives(own.keep(z), 4), 1)
    scale = right.abs().clamp(min=1)
    worst = ((found - right).abs() / (torch.finfo(dtype).eps * scale)).amax(0)
    assert bool((worst <= torch.tensor([2.5, 10, 10, 16, 40])).all()), worst
