"""Networks for DeepXDE: `FNN` takes the place of ``dde.nn.FNN``, `PsiFNN` is one with tied weights.

    import deepxde as dde
    from psinn_fast.integrations.deepxde import FNN

    net = FNN([2] + [32] * 3 + [1], "tanh", "Glorot uniform")   # instead of dde.nn.FNN(...)

Everything else of a script stays: ``dde.grad``, boundary conditions, ``dde.Model``, its optimisers and callbacks. The
same seed draws the same weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..kernels.contract.precision import IEEE
from ..kernels.errors import InputError, short
from ..networks.activations import FUNCTIONS, module_of
from ..networks.changes import changed
from ..networks.mlp import MLP, PsiMLP, check_network, refuse_more_than_layers
from ..networks.structure import Structure

try:
    import deepxde as dde
except ImportError as error:
    raise ImportError(
        "psinn_fast.integrations.deepxde: it needs the package deepxde; pip install deepxde, or psinn_fast[deepxde] "
        f"({error})"
    ) from error

_BACKEND: str = dde.backend.backend_name
if _BACKEND != "pytorch":
    raise ImportError(
        f"psinn_fast.integrations.deepxde: DeepXDE computes by {_BACKEND}, and the networks here are PyTorch's; set "
        "the environment variable DDE_BACKEND=pytorch before deepxde is imported"
    )

# Of a state_dict of dde.nn.FNN: linears.0.weight, linears.0.bias, linears.1.weight, ...
_LAYERS = "linears."
# What DeepXDE calls an activation, or is given as one.
_NAMES = {"tanh": "tanh", "sin": "sin", "silu": "silu", "swish": "silu", "gelu": "gelu", "softplus": "softplus"}
_FUNCTIONS: dict[Callable[..., Tensor], str] = {
    torch.tanh: "tanh",
    nn.functional.tanh: "tanh",
    torch.sin: "sin",
    nn.functional.silu: "silu",
    nn.functional.gelu: "gelu",
    nn.functional.softplus: "softplus",
    FUNCTIONS["softplus"]: "softplus",
    **{getattr(dde.backend, name): name for name in ("tanh", "sin", "silu", "gelu")},
}


class PsiFNN(dde.nn.pytorch.NN):  # type: ignore[misc]  # DeepXDE has no types
    """A network of this library, tied or not, as a network of DeepXDE.

    Values and the derivatives of ``dde.grad.jacobian`` and ``dde.grad.hessian`` come from the kernels
    (`networks/jets.py`). Feature and output transforms are torch's, around the network: a feature transform's results
    are the network's inputs, of which the kernels take up to four.

    An l1 or l2 regularisation counts every independent weight once, however often it stands in the matrices.

    Args:
        network: a `PsiMLP` or `MLP`, which is taken itself, not copied; ``net.network`` is that.
        regularization: as for ``dde.nn.FNN``: ``["l2", 1e-5]``, for instance.

    Raises:
        InputError: it is none of them, or of another dtype than DeepXDE's (``dde.config.set_default_float``).
    """

    network: PsiMLP

    def __init__(self, network: PsiMLP, regularization: Sequence[Any] | None = None) -> None:
        super().__init__()
        own, expected = check_network(network, "network").theta.dtype, dde.config.real(torch)
        if own != expected:
            raise InputError(
                f"network: its dtype is {own}, DeepXDE's is {expected}; write network.to({expected}), or "
                "dde.config.set_default_float before the network is made"
            )
        self.network = network
        self.regularizer = regularization

    @classmethod
    def from_fnn(cls, net: nn.Module, structure: Structure | None = None, *, precision: str = IEEE) -> PsiFNN:
        """The same function as that of a ``dde.nn.FNN``, weights bit for bit, with its transforms and regularisation.

        Args:
            net: trained or not; its weights are copied.
            structure: relations that its weights satisfy, see `PsiMLP.from_sequential`; None for none.
            precision: as for `PsiMLP`.

        Raises:
            InputError: it is no ``dde.nn.FNN``, or a changed one; an activation that `FNN` does not take; weights
                that do not satisfy the relations.
        """
        if not isinstance(net, dde.nn.pytorch.FNN):
            raise InputError(f"net: expected a dde.nn.FNN, got {type(net).__name__}")
        if change := changed(net, dde.nn.pytorch.FNN):
            raise InputError(f"net: {change}, which would be lost; give a dde.nn.FNN as it is")
        activation = _activation("net.activation", net.activation)
        own = PsiFNN(_network([*net.linears], activation, structure, precision))
        _complete(own, net)
        return own

    def to_fnn(self) -> Any:
        """A ``dde.nn.FNN`` of the same function, the expanded weights bit for bit; training it keeps no relations."""
        refuse_more_than_layers(check_network(self.network, "network"), "to_fnn")
        theta = self.network.theta
        with torch.random.fork_rng(devices=[]):
            activation = FUNCTIONS[self.network.structure.activation]
            fnn = dde.nn.pytorch.FNN([*self.network.structure.layer_sizes], activation, "zeros")
        fnn = fnn.to(device=theta.device, dtype=theta.dtype)
        with torch.no_grad():
            for linear, (weight, bias) in zip(fnn.linears, self.network.structure.expand(theta), strict=True):
                linear.weight.copy_(weight)
                linear.bias.copy_(bias)
        _complete(fnn, self)
        return fnn

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs (N, d_out) at inputs (N, d_in), transformed as DeepXDE's own networks do.

        Raises:
            InputError: see `PsiMLP.forward`.
        """
        features = inputs if self._input_transform is None else self._input_transform(inputs)
        outputs: Tensor = self.network(features)
        if self._output_transform is not None:
            outputs = self._output_transform(inputs, outputs)
        return outputs

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Its own, or that of a ``dde.nn.FNN``; so ``model.restore`` finds the weights in either's files.

        Raises:
            InputError: layers of other sizes, entries besides layers, or weights that do not satisfy the relations.
        """
        if isinstance(state_dict, Mapping) and f"{_LAYERS}0.weight" in state_dict:
            own = {"network." + name: value for name, value in self._from_layers(state_dict).state_dict().items()}
            return super().load_state_dict(own, strict, assign)
        return super().load_state_dict(state_dict, strict, assign)

    def _from_layers(self, state: Mapping[str, Any]) -> PsiMLP:
        linears: list[nn.Linear] = []
        while (weight := state.get(f"{_LAYERS}{len(linears)}.weight")) is not None:
            linear = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
            linear.weight = nn.Parameter(weight)
            linear.bias = nn.Parameter(state[f"{_LAYERS}{len(linears)}.bias"])
            linears.append(linear)
        if len(state) != 2 * len(linears):
            others = [name for name in state if not name.startswith(_LAYERS)]
            raise InputError(f"state_dict: expected the layers of a dde.nn.FNN alone, got {others or [*state]} as well")
        return _network(linears, self.network.structure.activation, self.network.structure)


class FNN(PsiFNN):
    """``dde.nn.FNN`` by the kernels: a dense network, with the weights that DeepXDE would draw.

    Args:
        layer_sizes: inputs first, e.g. ``[2, 32, 32, 1]``.
        activation: ``"tanh"``, ``"sin"``, ``"silu"`` (or ``"swish"``), ``"gelu"``, ``"softplus"``, or these functions
            of torch.
        kernel_initializer: a name or function of DeepXDE's; biases are 0.
        regularization: as for ``dde.nn.FNN``.
        precision: as for `PsiMLP`.

    Raises:
        InputError: layer sizes that are no integers >= 1, another activation, or ``"tf32x3"`` in float64.
    """

    def __init__(
        self,
        layer_sizes: Sequence[int],
        activation: str | Callable[[Tensor], Tensor],
        kernel_initializer: str | Callable[[Tensor], Tensor],
        regularization: Sequence[Any] | None = None,
        *,
        precision: str = IEEE,
    ) -> None:
        own = _activation("activation", activation)
        structure = Structure.dense(layer_sizes)
        drawn = dde.nn.pytorch.FNN([*structure.layer_sizes], "tanh", kernel_initializer)
        network = _network([*drawn.linears], own, structure.with_activation(own), precision)
        super().__init__(network, regularization)


def _activation(what: str, given: object) -> str:
    """Our name of it."""
    found = _NAMES.get(given.lower()) if isinstance(given, str) else None
    if found is None and callable(given):
        found = next((name for function, name in _FUNCTIONS.items() if function is given), None)
    if found is None:
        raise InputError(
            f"{what}: expected one of {list(_NAMES)} for all layers, which is what the kernels compute, got "
            f"{short(given)}; dde.nn.FNN has others"
        )
    return found


def _network(
    linears: Sequence[nn.Linear], activation: str, structure: Structure | None, precision: str = IEEE
) -> PsiMLP:
    """Nothing is drawn from torch's global generator: what a script draws next is what DeepXDE's network leaves."""
    modules = [module for linear in linears for module in (linear, module_of(activation))]
    with torch.random.fork_rng(devices=[]):
        kind = MLP if structure is None or structure.is_dense else PsiMLP
        return kind.from_sequential(nn.Sequential(*modules[:-1]), structure, precision=precision)


def _complete(net: Any, other: Any) -> None:
    """What the other network has besides its weights."""
    net.regularizer, net.auxiliary_vars = other.regularizer, other.auxiliary_vars
    net._input_transform, net._output_transform = other._input_transform, other._output_transform
    net.train(other.training)
