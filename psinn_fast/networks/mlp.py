"""Networks whose parameters are only the independent ones: `PsiMLP`, and `MLP` where all are."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..devices import named_device
from ..kernels import checks
from ..kernels.contract.precision import IEEE, check_precision
from ..kernels.errors import InputError
from ..kernels.language.activations import TANH
from ..kernels.network.plan import Plan
from .activations import Adaptive, module_of
from .by_torch import by_torch
from .changes import changed
from .digests import EXTRA, digest, is_digest_of
from .evaluation import at_points
from .initialisation import drawn
from .recording import WATCHER
from .sequential import independent_weights, linear_layers, ordinary_layer
from .structure import Structure
from .values import value

if sys.version_info >= (3, 11):
    from typing import Self
else:  # a dependency of torch on every Python
    from typing_extensions import Self


class PsiMLP(nn.Module):
    """An MLP with tied weights, u = s (W_L a(... a(W_1 (x - c) / h + b_1) ...) + b_L).

    Every W, b is a signed copy of theta; a is the structure's activation, c, h and s are its centre and scales, most
    often tanh, 0, 1 and 1.

    Drop-in for ``nn.Sequential(nn.Linear, nn.Tanh, ..., nn.Linear)``: ``net(x)`` maps (..., d_in) to (..., d_out), on
    any device, differentiable to any order: by the kernels where they can (`networks/values.py`), else by torch's own
    operations. The only parameter is the vector ``theta`` of independent weights
    and biases, so the relations hold exactly whatever optimiser moves it. A ``state_dict`` knows its structure, and
    ``load_state_dict`` refuses that of another one, or of other scales, with an `InputError`.

    Args:
        structure: the relations.
        width: scales every hidden block (`Structure.with_width`).
        init: ``"default"`` draws U(-1/sqrt(fan_in), 1/sqrt(fan_in)) like ``nn.Linear``; ``"xavier"`` draws weights from
            U(-a, a), a = sqrt(6 / (fan_in + fan_out)), biases 0. fan_in and fan_out count the non-zero entries in the
            rows and columns of the *expanded* matrix.
        start: one number per output, about which it begins: its last bias is drawn about that; () is 0 each.
        seed: makes the draw repeatable; None uses torch's global generator.
        dtype, device: as for ``nn.Linear``, or their names. The draw is made in float64, so a seed means the same in
            both dtypes.
        precision: of products in float32 where kernels compute, at most that coarse: ``"ieee"`` or ``"tf32x3"``
            (docs/triton.md); an attribute that may be set at any time, and is not part of a ``state_dict``.

    Raises:
        InputError: arguments that are none of these; ``"tf32x3"`` for float64.
    """

    theta: nn.Parameter
    # Of networks that were pickled before there was a choice.
    _precision: str = IEEE
    init: str = "default"
    start: tuple[float, ...] = ()

    def __init__(
        self,
        structure: Structure,
        width: int = 1,
        *,
        init: str = "default",
        start: Sequence[float] = (),
        seed: int | None = None,
        dtype: torch.dtype | str | None = None,
        device: torch.device | str | None = None,
        precision: str = IEEE,
    ) -> None:
        if not isinstance(structure, Structure):
            raise InputError(f"structure: expected a Structure, got {type(structure).__name__}")
        dtype = checks.floating_dtype("dtype", torch.get_default_dtype() if dtype is None else dtype)
        precision = check_precision(precision, dtype)
        # Not `torch.get_default_device`, which torch 2.9 does not survive after `set_default_device(None)`.
        place = torch.empty(0).device if device is None else named_device(device)
        structure = structure.with_width(width)
        theta = drawn(structure, init, tuple(start), seed)
        self._build(structure, theta.to(device=place, dtype=dtype))
        self.init, self.start, self._precision = init, tuple(start), precision

    @property
    def precision(self) -> str:
        """That of products where kernels compute; "ieee" in float64, whatever was asked for."""
        return IEEE if self._precision == IEEE or self.theta.dtype == torch.float64 else self._precision

    @precision.setter
    def precision(self, value: str) -> None:
        self._precision = check_precision(value, self.theta.dtype)

    @classmethod
    def with_theta(cls, structure: Structure, theta: Tensor) -> Self:
        """The network of a structure, already scaled, with the given parameters (not copied); nothing is drawn."""
        if theta.shape != (structure.n_parameters,):
            raise InputError(f"theta: expected shape ({structure.n_parameters},), got {tuple(theta.shape)}")
        net = cls.__new__(cls)
        net._build(structure, theta)
        return net

    def _build(self, structure: Structure, theta: Tensor) -> None:
        nn.Module.__init__(self)
        self.structure = structure
        self.plan: Plan = structure.plan
        # What compiled code knows the network by (operators.py), and what `forward` needs: it cannot make them.
        self.structure_text = structure.to_json()
        _ = structure.expanded_plan
        self._hold(theta)

    def _hold(self, theta: Tensor) -> None:
        self.theta = nn.Parameter(theta)

    @torch.no_grad()
    def _set_theta(self, theta: Tensor) -> None:
        self.theta.copy_(theta)

    @property
    def learned(self) -> dict[str, float]:
        """By name what is trained besides weights and biases: slopes n s_l (`Adaptive`), numbers of an `Embedding`."""
        values = self.theta.detach()[: len(self.structure.ahead)].tolist()
        slopes = self.plan.slopes
        factors = [] if slopes is None else [slopes.factor] * slopes.number
        factors += [1.0] * (len(values) - len(factors))
        return {name: value * factor for name, value, factor in zip(self.structure.ahead, values, factors, strict=True)}

    def reset_parameters(self, seed: int | None = None) -> None:
        """Draw theta anew, in place, by the ``init`` and ``start`` it was made with; ``seed`` is that of `PsiMLP`."""
        self._set_theta(drawn(self.structure, self.init, self.start, seed))

    def forward(self, x: Tensor) -> Tensor:
        """
        Raises:
            InputError: x is no tensor, or of another width, dtype or device than the network.
        """
        if not isinstance(x, Tensor):
            raise InputError(f"x: expected a torch.Tensor, got {type(x).__name__}")
        if x.shape[-1:] != (self.structure.n_inputs,):
            raise InputError(f"x: expected shape (..., {self.structure.n_inputs}), got {tuple(x.shape)}")
        if torch.compiler.is_compiling():
            return self._expanded(x)
        if (watcher := WATCHER.get()) is not None:
            return watcher.value(self, x)
        return self._value(x)

    def _value(self, x: Tensor) -> Tensor:
        return self._expanded(x) if (found := value(self, x)) is None else found

    def _expanded(self, x: Tensor) -> Tensor:
        """By torch's own operations."""
        return by_torch(self.structure, self.theta, x)

    @overload
    def predict(self, points: Tensor) -> Tensor: ...
    @overload
    def predict(self, points: npt.ArrayLike) -> npt.NDArray[Any]: ...
    def predict(self, points: npt.ArrayLike | Tensor) -> npt.NDArray[Any] | Tensor:
        """The outputs at points, without a graph, some points at a time: memory does not grow with the network.

        Args:
            points: (..., d) real numbers of any type: an array, lists, one point (d,).

        Returns:
            (..., F) of the network's dtype: an array, or for a tensor a tensor on its device.

        Raises:
            InputError: another number of coordinates, numbers that are complex, NaN or infinite; a tensor that requires
                grad, for which ``net(points)`` keeps the graph.
        """
        return at_points(self, points, lambda x: self(x), self.structure.n_outputs)

    def get_extra_state(self) -> Tensor:
        """What a state_dict says of its structure."""
        return digest(self.structure)

    def set_extra_state(self, state: object) -> None:
        """Checked before theta is loaded, by `_load_from_state_dict`."""

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """
        Raises:
            InputError: the state is of another structure, or in other units, or, if ``strict``, does not say.
        """
        if strict and isinstance(state_dict, Mapping) and "theta" in state_dict and EXTRA not in state_dict:
            raise InputError(
                f"state_dict: it does not say of which structure its theta is; strict=False takes it for "
                f"{self._words()}; files of save_network say it, and load_network makes the network"
            )
        return super().load_state_dict(state_dict, strict, assign)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *others: Any) -> None:
        """Of this module, also as a part of others."""
        if prefix + EXTRA in state_dict and not is_digest_of(state_dict[prefix + EXTRA], self.structure):
            raise InputError(
                f"state_dict: its theta is of another structure, or in other units, than {self._words()}; build the "
                "network as it was built (structure, layers, scales), or use save_network and load_network"
            )
        super()._load_from_state_dict(state_dict, prefix, *others)

    def _words(self) -> str:
        return f"{self.structure.name} {'-'.join(map(str, self.structure.layer_sizes))}"

    def extra_repr(self) -> str:
        return str(self.structure) + ("" if self.precision == IEEE else f"\nproducts {self.precision}")

    def to_sequential(self) -> nn.Sequential:
        """The expanded network as ordinary layers (a copy: training it does not keep the relations)."""
        refuse_more_than_layers(check_network(self), "to_sequential")
        modules: list[nn.Module] = []
        for weight, bias in self.structure.expand(self.theta.detach()):
            modules += [ordinary_layer(weight, bias), module_of(self.structure.activation)]
        return nn.Sequential(*modules[:-1])

    @classmethod
    def from_sequential(
        cls, network: nn.Sequential, structure: Structure | None = None, *, precision: str = IEEE
    ) -> PsiMLP:
        """The independent parameters of an ordinary network.

        Args:
            network: ``Linear, Tanh, ..., Linear``, or with `Sine`, ``SiLU``, ``GELU`` or ``Softplus`` in place of Tanh.
                Where no layer trains, theta is frozen.
            structure: the relations its weights satisfy, already scaled, and its activation; None for none. Layers
                without a bias have none then; a structure with biases gives them some, which start at 0.
            precision: as for `PsiMLP`.

        Raises:
            InputError: other modules, or such with hooks, parametrizations or a forward of their own; layers that share
                weights, or of which some are frozen, or of unequal dtypes or devices; layer sizes that differ from the
                structure's; weights that break the relations by more than 1e-5 of the largest (the message says by
                how much); layers without a bias for an `MLP`, which has them, if no structure is given;
                ``"tf32x3"`` for float64.
        """
        linears, activation = linear_layers(network)
        sizes = (linears[0].in_features, *(linear.out_features for linear in linears))
        has_bias = [linear.bias is not None for linear in linears]
        structure = structure or cls._unrelated(sizes, has_bias).with_activation(activation or TANH.name)
        if activation not in (None, structure.activation):
            raise InputError(f"structure: its activation is {structure.activation!r}, the network's {activation!r}")
        if not structure.plan.is_network:
            raise InputError("structure: a sequence of layers has no embedding, ansatz or gates, this structure has")
        if structure.layer_sizes != sizes:
            raise InputError(f"structure: it describes layers {structure.layer_sizes}, the network has {sizes}")
        weight = linears[0].weight
        precision = check_precision(precision, weight.dtype)
        net = cls._of(structure, weight.dtype, weight.device).requires_grad_(weight.requires_grad)
        net._set_theta(independent_weights(linears, structure))
        net._precision = precision
        return net

    @classmethod
    def _unrelated(cls, sizes: tuple[int, ...], has_bias: Sequence[bool]) -> Structure:
        """The structure of layers whose weights have no relations."""
        dense = Structure.dense(sizes)
        layers = (
            layer if own else replace(layer, bias=(0,)) for layer, own in zip(dense.layers, has_bias, strict=True)
        )
        return dense if all(has_bias) else Structure(tuple(layers), "dense, not all biases")

    @classmethod
    def _of(cls, structure: Structure, dtype: torch.dtype, device: torch.device) -> Self:
        # Its weights are replaced: nothing is drawn from torch's generator.
        return cls(structure, seed=0, dtype=dtype, device=device)


class MLP(PsiMLP):
    """The dense MLP with the given layer sizes: a `PsiMLP` without relations.

    With the same ``torch.manual_seed``, the default initialisation equals that of
    ``nn.Sequential(nn.Linear(...), nn.Tanh(), ...)`` in distribution, not in value.

    Args:
        layers: sizes, inputs first, e.g. ``[2, 8, 8, 16, 1]``; or a structure without relations, for another centre or
            other scales than 0 and 1.
        activation: "tanh", "sin", "silu", "gelu" or "softplus", or `Adaptive`; None is tanh, or the structure's.
        wiring: "plain", "gated" or "residual", see `Structure`; None is plain, or the structure's.
        init, start, seed, dtype, device, precision: as for `PsiMLP`.
    """

    def __init__(
        self,
        layers: Sequence[int] | Structure,
        activation: str | Adaptive | None = None,
        *,
        wiring: str | None = None,
        init: str = "default",
        start: Sequence[float] = (),
        seed: int | None = None,
        dtype: torch.dtype | str | None = None,
        device: torch.device | str | None = None,
        precision: str = IEEE,
    ) -> None:
        structure = layers if isinstance(layers, Structure) else Structure.dense(layers)
        structure = structure if activation is None else structure.with_activation(activation)
        structure = structure if wiring is None else structure.with_wiring(wiring)
        if not structure.is_dense:
            raise InputError(f"structure: an MLP has no relations, {structure.name!r} has; use PsiMLP")
        super().__init__(structure, init=init, start=start, seed=seed, dtype=dtype, device=device, precision=precision)

    @classmethod
    def _unrelated(cls, sizes: tuple[int, ...], has_bias: Sequence[bool]) -> Structure:
        if not all(has_bias):
            raise InputError(
                f"network[{2 * list(has_bias).index(False)}]: it has no bias, every layer of an MLP has one, which "
                "would be trained; PsiMLP.from_sequential(network) leaves it out, "
                f"MLP.from_sequential(network, Structure.dense({list(sizes)})) adds it, at 0"
            )
        return super()._unrelated(sizes, has_bias)

    @classmethod
    def _of(cls, structure: Structure, dtype: torch.dtype, device: torch.device) -> Self:
        # Its weights are replaced: nothing is drawn from torch's generator.
        return cls(structure, seed=0, dtype=dtype, device=device)


def refuse_more_than_layers(net: PsiMLP, what: str) -> None:
    """
    Raises:
        InputError: it is no chain of ordinary layers.
    """
    if not net.plan.is_network:
        raise InputError(f"{what}: a sequence of layers has no embedding, ansatz or gates; use the network")


def check_network(net: object, what: str = "net") -> PsiMLP:
    """
    Raises:
        InputError: it is none of the library's networks, or computes another function than theta says.
    """
    if not isinstance(net, PsiMLP):
        raise InputError(f"{what}: expected a PsiMLP or MLP, got {type(net).__name__} (see PsiMLP.from_sequential)")
    if change := changed(net, PsiMLP):
        raise InputError(
            f"{what}: {change}, which would be ignored: kernels and files know theta alone. Leave the network "
            "as it is, and write boundary values as a term, or u as a function of the network in the residual, e.g. "
            "lambda N, x: pf.lap(N * x * (1 - x))"
        )
    return net
