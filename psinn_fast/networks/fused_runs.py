"""``nn.Sequential`` in which every run of ``Linear, Tanh, ..., Linear`` is one network, and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor, nn

from ..kernels.errors import InputError
from .changes import changed
from .mlp import PsiMLP


class Leaf(NamedTuple):
    """A module of a Sequential, or of one in it, and its name in the outer one."""

    name: str
    module: nn.Module


class Run(NamedTuple):
    """What is fused: the names of the layers' modules within their Sequential, and the network in their place."""

    names: tuple[str, ...]
    linears: tuple[nn.Linear, ...]
    network: PsiMLP

    @property
    def key(self) -> str:
        """The network's name in its Sequential, which no layer had: code that calls one by name fails."""
        return f"fused_{_key(self.names[0])}"


class FusedSequential(nn.Sequential):
    """A Sequential after `accelerate`: the same function, of networks in place of runs, and of its other modules.

    It is no list of layers any more: to index, slice, change or go through it raises an error, so that code which
    calls some of its layers alone is not misread.
    """

    # Not registered: what `restore` brings back.
    _before: dict[str, nn.Module]
    _runs: tuple[Run, ...]

    def forward(self, input: Tensor) -> Tensor:
        for module in self._modules.values():
            input = module(input)
        return input

    def _refuse(self, *_: Any) -> NoReturn:
        raise InputError(
            "Sequential: pf.accelerate has fused its layers, it is no list of them any more; call it as a whole, or "
            "bring the layers back by pf.restore(model)"
        )

    def __bool__(self) -> bool:
        return True


for _name in ("getitem", "setitem", "delitem", "iter", "len", "add", "iadd", "mul", "imul", "rmul"):
    setattr(FusedSequential, f"__{_name}__", FusedSequential._refuse)
for _name in ("append", "extend", "insert", "pop"):
    setattr(FusedSequential, _name, FusedSequential._refuse)


def leaves(sequential: nn.Sequential, shared: set[nn.Module], within: str = "") -> Iterator[Leaf]:
    """Its modules in order; those of a Sequential in it in its place, if that is known by this one alone."""
    for name, module in sequential._modules.items():
        path = f"{within}{name}"
        is_only_a_list = type(module) is nn.Sequential and module not in shared and not changed(module, nn.Sequential)
        if is_only_a_list:
            assert isinstance(module, nn.Sequential)
            yield from leaves(module, shared, f"{path}.")
        else:
            yield Leaf(path, module)


def fuse(sequential: nn.Sequential, parts: Sequence[Leaf], runs: Sequence[Run]) -> None:
    """Turn it into a `FusedSequential`, in place, for all who hold it."""
    in_runs = {name: run for run in runs for name in run.names}
    modules: dict[str, nn.Module] = {}
    for name, module in parts:
        run = in_runs.get(name)
        modules[_key(name) if run is None else run.key] = module if run is None else run.network
    before = sequential._modules
    sequential._modules = modules
    sequential.__class__ = FusedSequential
    # Past nn.Module, which would register them.
    sequential.__dict__.update(_before=before, _runs=tuple(runs))


@torch.no_grad()
def unfuse(sequential: FusedSequential) -> tuple[Run, ...]:
    """The layers as they were, the same objects, with the weights of now; what was fused.

    Raises:
        InputError: a network has hooks, parametrizations or a forward of its own, or is no longer there.
    """
    runs = sequential._runs
    now = [sequential._modules.get(run.key) for run in runs]
    for run, network in zip(runs, now, strict=True):
        if not isinstance(network, PsiMLP) or network.structure.layer_sizes != run.network.structure.layer_sizes:
            raise InputError(f"model: the network {run.key!r} of a fused Sequential was replaced; put it back first")
    layers = [_linears(network) for network in now if isinstance(network, PsiMLP)]
    for run, own in zip(runs, layers, strict=True):
        for linear, found in zip(run.linears, own, strict=True):
            for parameter, new in ((linear.weight, found.weight), (linear.bias, found.bias)):
                if parameter is not None:
                    parameter.data, parameter.grad = new.data, None
                    parameter.requires_grad_(new.requires_grad)
    known = set(sequential.modules())
    before = sequential._before
    del sequential.__dict__["_before"], sequential.__dict__["_runs"]
    sequential._modules = before
    sequential.__class__ = nn.Sequential  # type: ignore[assignment]  # mypy takes it for a declaration
    for module in sequential.modules():
        if module not in known:
            module.training = sequential.training
    return runs


def _linears(network: PsiMLP) -> list[nn.Linear]:
    layers = network.to_sequential().requires_grad_(network.theta.requires_grad)
    return [layer for layer in layers if isinstance(layer, nn.Linear)]


def _key(name: str) -> str:
    return name.replace(".", "_")
