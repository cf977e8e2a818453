"""Models whose runs of ``Linear, Tanh, ..., Linear`` go through the kernels: `accelerate`, `restore`."""

from __future__ import annotations

import gc
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..kernels import kernels_for
from ..kernels.contract.precision import IEEE, check_precision
from ..kernels.errors import InputError
from ..kernels.language.channels import MAX_INPUTS, ChannelSet
from .activations import FUNCTIONS, described, name_of
from .fused_runs import FusedSequential, Leaf, Run, fuse, leaves, unfuse
from .mlp import MLP, PsiMLP

# Of the largest output: what the kernels' rounding may change, far below what another function would.
_AGREEMENT = {torch.float64: 1e-10, torch.float32: 1e-4}
# As many random points as make the kernels compute in any case.
_POINTS = 16


@dataclass(frozen=True)
class Acceleration:
    """What `accelerate` did.

    ``fused``: the networks that now are where layers were, by name in the model. ``left_alone``: why layers or
    Sequentials are as they were, by name. ``str()`` is a table of both.
    """

    model: nn.Module
    fused: Mapping[str, PsiMLP]
    left_alone: Mapping[str, str]

    def undo(self) -> tuple[str, ...]:
        """See `restore`."""
        return restore(self.model)

    def __str__(self) -> str:
        rows = [(name, f"fused, {_sizes(net)}") for name, net in self.fused.items()]
        rows += [(name, f"left alone: {why}") for name, why in self.left_alone.items()]
        width = max((len(name) for name, _ in rows), default=0)
        return "\n".join(f"{name:{width}}  {what}" for name, what in rows) or "no Linear layers"


def accelerate(model: nn.Module, *, precision: str = IEEE) -> Acceleration:
    """Replace every run of ``Linear, Tanh, ..., Linear`` in the model's Sequentials by one fused network, in place.

    A run is two Linear layers or more with a Tanh between each two, side by side in an ``nn.Sequential`` at any depth
    (one in another counts as its layers), with 1 to 8 inputs, as the kernels take. It becomes an `MLP` (a `PsiMLP`
    if a layer has no bias) of the same weights, dtype, device and ``requires_grad``; nested ``torch.autograd.grad`` of
    it goes through the kernels. The Sequential stays the same object, with its hooks and place, but is no list of
    layers any more: to index or go through it raises an error.

    Left alone, and said in the report: layers that the model's own ``forward`` calls one by one; other activations,
    dropout or normalisation in between; layers with hooks, parametrizations or a forward of their own; weights that
    are used elsewhere too; runs of which only some layers are frozen; subclasses of Sequential; what would give other
    numbers at random points.

    The model's parameters are others afterwards: **make the optimiser after this call**. One made before holds the old
    ones and would train nothing of what was fused; a warning says so for optimisers of torch. A state_dict of before is
    loaded before this call, or after `restore`. Code that looks for ``nn.Linear`` (``model.apply(initialise)``) or for
    names such as "weight" (weight decay of some parameters) finds one ``theta`` in their place.

    Args:
        model: changed in place.
        precision: of the networks, as for `PsiMLP`; an attribute of each in ``report.fused``.

    Returns:
        The report; ``print(report)`` shows it, ``report.undo()`` brings the layers back with the weights of now.

    Raises:
        InputError: no module, or one of DistributedDataParallel, which has its parameters already; ``"tf32x3"`` for a
            model that has Linear layers of float64. It is as it was then.
    """
    _check_model(model)
    precision = check_precision(precision)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            check_precision(precision, module.weight.dtype)
    uses = _Uses.of(model)
    fused: dict[str, PsiMLP] = {}
    left_alone: dict[str, str] = {}
    known, old = set[nn.Module](), list[Tensor]()
    for name, sequential in list(model.named_modules()):
        if type(sequential) is not nn.Sequential or sequential in known:
            continue
        parts = list(leaves(sequential, uses.shared))
        known |= {module for part in parts for module in _within(sequential, part)}
        runs, refused = _fused_runs(parts, uses, precision)
        left_alone |= {_joined(name, part): why for part, why in refused.items()}
        if runs:
            fuse(sequential, parts, runs)
            fused |= {_joined(name, run.key): run.network.train(sequential.training) for run in runs}
            old += [parameter for run in runs for linear in run.linears for parameter in linear.parameters()]
    left_alone |= {
        name: _not_in_a_sequential(model, name)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module not in known
    }
    _warn_of_optimisers(old, "accelerate")
    return Acceleration(model, fused, left_alone)


def restore(model: nn.Module) -> tuple[str, ...]:
    """Bring back the layers that `accelerate` fused, with the weights of now; the names of the networks they were.

    They are the same modules and parameters as before, so that an optimiser made before `accelerate` has them again;
    one made after it holds what is gone, and a warning says so. Nothing happens to a model without fused runs.

    Raises:
        InputError: no module; a fused network has hooks, parametrizations or a forward of its own.
    """
    _check_model(model)
    names, gone = [], []
    for name, module in list(model.named_modules()):
        if isinstance(module, FusedSequential):
            gone += list(module.parameters())
            runs = unfuse(module)
            names += [_joined(name, run.key) for run in runs]
    here = {id(parameter) for parameter in model.parameters()}
    _warn_of_optimisers([parameter for parameter in gone if id(parameter) not in here], "restore")
    return tuple(names)


def _check_model(model: object) -> None:
    if not isinstance(model, nn.Module):
        raise InputError(f"model: expected an nn.Module, got {type(model).__name__}")
    for name, module in model.named_modules():
        if isinstance(module, nn.parallel.DistributedDataParallel):
            where = f"its {name!r}" if name else "it"
            raise InputError(f"model: {where} is DistributedDataParallel, which has its parameters; wrap it afterwards")


class _Uses(NamedTuple):
    """``shared``: modules that have several places in the model. ``owners``: of a parameter's memory."""

    shared: set[nn.Module]
    owners: dict[int, set[nn.Module]]

    @classmethod
    def of(cls, model: nn.Module) -> _Uses:
        places = Counter(child for module in model.modules() for child in module._modules.values() if child is not None)
        owners: dict[int, set[nn.Module]] = {}
        for module in model.modules():
            for parameter in module._parameters.values():
                if parameter is not None and (memory := _memory(parameter)):
                    owners.setdefault(memory, set()).add(module)
        return cls({module for module, count in places.items() if count > 1}, owners)


def _memory(parameter: Tensor) -> int:
    """Where its numbers lie; 0 if it has none yet, or is of a class that hides them."""
    if type(parameter) is not nn.Parameter or not torch._C._has_storage(parameter):
        return 0
    return parameter.untyped_storage().data_ptr()


def _fused_runs(parts: Sequence[Leaf], uses: _Uses, precision: str) -> tuple[list[Run], dict[str, str]]:
    """The runs of a Sequential as networks, and why there are none of its other Linear layers."""
    runs, refused, tried = [], dict[str, str](), set[str]()
    for places in _runs(parts):
        tried |= {part.name for part in places}
        made = _used_elsewhere(places, uses) or _network(places, precision)
        if isinstance(made, str):
            refused[places[0].name] = made
        else:
            linears = tuple(part.module for part in places if isinstance(part.module, nn.Linear))
            runs.append(Run(tuple(part.name for part in places), linears, made))
    for number, (name, module) in enumerate(parts):
        if isinstance(module, nn.Linear) and name not in tried:
            near = [described(parts[other].module) for other in (number - 1, number + 1) if 0 <= other < len(parts)]
            refused[name] = f"beside {' and '.join(near) or 'nothing'}; a run is Linear, Tanh, ..., Linear"
    return runs, refused


def _runs(parts: Sequence[Leaf]) -> Iterator[Sequence[Leaf]]:
    """The longest stretches of Linear, Tanh, ..., Linear with at least one Tanh, or of another activation alone."""
    letters = {name: chr(ord("a") + number) for number, name in enumerate(FUNCTIONS)}
    kinds = "".join(
        "L" if isinstance(part.module, nn.Linear) else letters.get(name_of(part.module) or "", " ") for part in parts
    )
    for found in re.finditer("|".join(f"L(?:{letter}L)+" for letter in letters.values()), kinds):
        yield parts[found.start() : found.end()]


def _network(places: Sequence[Leaf], precision: str) -> PsiMLP | str:
    """The network of a run, or why there is none."""
    modules = [part.module for part in places]
    linears = [module for module in modules if isinstance(module, nn.Linear)]
    if linears[0].in_features > MAX_INPUTS:
        return f"it has {linears[0].in_features} inputs, the kernels take 1 to {MAX_INPUTS}"
    run = nn.Sequential(*modules)
    kind = PsiMLP if any(linear.bias is None for linear in linears) else MLP
    try:
        net = kind.from_sequential(run, precision=precision)
    except InputError as error:
        return _renamed(str(error), places)
    values = ChannelSet.closure(net.plan.d_in, ())
    if kernels_for(net.plan, values, net.theta.dtype, net.theta.device) is None:
        return f"there are no kernels for {_sizes(net)} in {net.theta.dtype} on {net.theta.device}"
    return _disagreement(run, net) or net


def _renamed(error: str, places: Sequence[Leaf]) -> str:
    """``network[2].weight`` of the run as the name of that layer."""
    for number, part in enumerate(places):
        error = error.replace(f"network[{number}]", part.name)
    return error.removeprefix("network: ")


@torch.no_grad()
def _disagreement(run: nn.Sequential, net: PsiMLP) -> str | None:
    n = max(_POINTS, 2 * net.plan.widest)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, net.plan.d_in, dtype=torch.float64, generator=generator).to(net.theta)
    expected, found = run(x), net(x)
    if not expected.isfinite().all():
        return "its numbers are not finite"
    is_same = (found - expected).abs().max() <= _AGREEMENT[net.theta.dtype] * expected.abs().max()
    return None if is_same else "the fused network gives other numbers at random points"


def _used_elsewhere(places: Sequence[Leaf], uses: _Uses) -> str | None:
    for name, module in places:
        if isinstance(module, nn.Linear) and module in uses.shared:
            return f"{name} has another place in the model too"
        for own, parameter in module.named_parameters(recurse=False):
            if not _memory(parameter):
                return f"{name}.{own} has no numbers of its own yet: call the model once before, or give it a device"
            if len(uses.owners[_memory(parameter)]) > 1:
                return f"{name}.{own} is used by another module too, and would be trained apart"
            if parameter._post_accumulate_grad_hooks:
                return f"{name}.{own} has hooks on its gradient, which would be lost"
    return None


def _not_in_a_sequential(model: nn.Module, name: str) -> str:
    parent = model.get_submodule(name.rpartition(".")[0])
    if isinstance(parent, nn.Sequential):
        return f"it is in a {type(parent).__name__}, which may be more than an nn.Sequential"
    return "the code of a forward calls it; only the layers of an nn.Sequential are known to follow each other"


def _within(sequential: nn.Sequential, part: Leaf) -> Iterator[nn.Module]:
    """The leaf and the lists on the way to it; a leaf that is a Sequential of its own is looked at later."""
    module: nn.Module = sequential
    for name in part.name.split("."):
        module = module.get_submodule(name)
        if module is not part.module or not isinstance(module, nn.Sequential):
            yield module


def _warn_of_optimisers(parameters: Sequence[Tensor], what: str) -> None:
    """Optimisers of torch that hold parameters which the model no longer has."""
    old = {id(parameter) for parameter in parameters}
    if not old or not _holders(old):
        return
    gc.collect()  # some may be garbage
    if names := _holders(old):
        warnings.warn(
            f"pf.{what}: an optimiser ({', '.join(sorted(names))}) made before holds parameters that the model no "
            "longer has; make it anew from model.parameters()",
            stacklevel=3,
        )


def _holders(parameters: set[int]) -> set[str]:
    # Not isinstance: it would ask objects for their __class__, and some compute it.
    return {
        type(each).__name__
        for each in gc.get_objects()
        if issubclass(type(each), torch.optim.Optimizer)
        and any(
            id(parameter) in parameters for group in getattr(each, "param_groups", ()) for parameter in group["params"]
        )
    }


def _sizes(net: PsiMLP) -> str:
    return "-".join(map(str, net.structure.layer_sizes))


def _joined(name: str, part: str) -> str:
    return f"{name}.{part}" if name else part
