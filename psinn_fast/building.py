"""`build_network`: the untrained network of a problem, by method, in the problem's natural units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from .devices import named_device
from .kernels import checks, get_backend
from .kernels.contract.precision import IEEE, check_precision
from .kernels.errors import InputError, short
from .kernels.language.activations import activation_of
from .kernels.network.ansatz import Ansatz as KnownAnsatz
from .networks.activations import Adaptive
from .networks.ansatz import Ansatz
from .networks.embedding import Embedding
from .networks.groups import Symmetry
from .networks.mlp import MLP, PsiMLP
from .networks.structure import Structure, check_layer_sizes
from .problem.problem import Problem
from .problems import as_problem
from .scaling.known_ends import check_factor, check_features, check_numbers, check_periods
from .scaling.natural_scales import natural_scales
from .scaling.natural_units import check_scaling, in_natural_units, scaled
from .symmetries.induced import structure_with_ends
from .training.first_weights import start_where_finite
from .widths import default_width

METHODS = ("pinn", "pinn-post", "psi")
DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Network:
    """Which network to build for a problem.

    Args:
        method: ``"pinn"``: a dense `MLP`; ``"pinn-post"``: the same network made symmetric by summing it over the
            problem's known symmetries; ``"psi"``: a `PsiMLP`.
        layers: sizes of the dense network, inputs first; None takes the problem's.
        structure: for ``"psi"``; None takes the problem's published one.
        width: for ``"psi"``, scales the structure, 1 takes it as it is; None: by the cost of a step (`default_width`).
        dtype: ``"float32"`` or ``"float64"``, or the types themselves; None: float32 where optimiser and problem can
            do with it, else float64.
        device: where the network is trained: ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
        activation: "tanh", "sin", "silu", "gelu" or "softplus", or `Adaptive`; None is tanh, or the structure's.
        precision: of products in float32, as for `PsiMLP`: the network's, and of training where `Options` say nothing.
        embedding: what the first layer acts on instead of the coordinates; ``layers`` begin with the coordinates all
            the same, those of a ``structure`` with its features.
        ansatz: by which conditions hold exactly.

    Raises:
        InputError: options that are out of range, or have no effect beside the others.
    """

    method: str = "pinn"
    layers: Sequence[int] | None = None
    structure: Structure | None = None
    width: int | None = None
    dtype: torch.dtype | str | None = None
    device: torch.device | str = "cpu"
    precision: str = IEEE
    activation: str | Adaptive | None = None
    embedding: Embedding | None = None
    ansatz: Ansatz | None = None

    def __post_init__(self) -> None:
        method: object = self.method
        if isinstance(method, (list, tuple)):
            raise InputError(f"method: expected one of {list(METHODS)}; for sizes write layers={list(method)}")
        checks.choice("method", self.method, METHODS)
        for name, methods in (("structure", ("psi",)), ("width", ("psi",)), ("layers", ("pinn", "pinn-post"))):
            if getattr(self, name) is not None and self.method not in methods:
                raise InputError(f"{name}: has no meaning for method {self.method!r}, only for {' and '.join(methods)}")
        checked: dict[str, Any] = {
            "layers": None if self.layers is None else check_layer_sizes(self.layers),
            "width": None if self.width is None else checks.integer("width", self.width, 1),
            "dtype": None if self.dtype is None else checks.floating_dtype("dtype", self.dtype),
            "device": named_device(self.device),
        }
        check_precision(self.precision, checked["dtype"])
        if self.activation is not None and not isinstance(self.activation, Adaptive):
            activation_of(self.activation)
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if self.structure is not None and not isinstance(self.structure, Structure):
            raise InputError(f"structure: expected a Structure, got {short(self.structure)}")
        for what, kind in (("embedding", Embedding), ("ansatz", Ansatz)):
            if (own := getattr(self, what)) is not None and not isinstance(own, kind):
                raise InputError(f"{what}: expected a pf.{kind.__name__}, got {short(own)}")

    def dense(self, problem: Problem, layers: Sequence[int] | None = None) -> Structure:
        """No relations, with the embedding and the ansatz.

        Args:
            layers: sizes, coordinates first; None: the problem's default.

        Raises:
            InputError: see `with_ends`.
        """
        first, *others = problem.default_layers if layers is None else layers
        if self.embedding is not None:
            first = self.embedding.closed_form(problem.pde.coords).n_outputs
        return self.with_ends(Structure.dense((first, *others)), problem)

    def with_ends(self, structure: Structure, problem: Problem) -> Structure:
        """A structure with the embedding and the ansatz; those that it has of its own stay where none is given.

        Raises:
            InputError: they do not fit the problem, or the structure.
        """
        if self.embedding is not None:
            embedding = self.embedding.closed_form(problem.pde.coords)
            check_features(embedding, problem)
            structure = replace(structure, embedding=embedding)
        check_periods(structure.embedding, problem)
        check_numbers(structure.ahead, problem)
        if self.ansatz is not None:
            ansatz = self.ansatz.closed_form(problem.pde.coords, problem.pde.fields)
            check_factor(ansatz, problem)
            structure = replace(structure, ansatz=ansatz)
        return structure

    def check(self, problem: Problem) -> None:
        """
        Raises:
            InputError: the problem has not what the method needs, or other inputs and outputs.
        """
        if self.method == "psi":
            used = problem.recipe.structure if self.structure is None else self.structure
            if used is None:
                raise InputError(f"structure: problem {problem.name!r} has no published one; give one, or run discover")
            if self.structure is None and (self.embedding is not None or self.ansatz is not None):
                raise InputError(
                    f"structure: the published one of problem {problem.name!r} is of coordinates and of u itself; give "
                    "one of features and of the network, pf.symmetric_structure(problem, embedding=..., ansatz=...)"
                )
            _check_ends("structure", (self.with_ends(used, problem).n_inputs, used.n_outputs), problem)
            return
        sizes = problem.default_layers if self.layers is None else self.layers
        _check_ends("layers", (sizes[0], sizes[-1]), problem)
        if self.method == "pinn-post" and not problem.symmetries:
            raise InputError(f"method: 'pinn-post' needs a known symmetry, and problem {problem.name!r} states none")
        if self.method == "pinn-post" and len(sizes) < 3:
            raise InputError(f"layers: method 'pinn-post' needs a hidden layer, got {list(sizes)}")


def symmetric_structure(
    problem: Problem | str,
    symmetries: Sequence[Symmetry] | None = None,
    hidden: Sequence[int] = (1, 1),
    representation: str = "regular",
    *,
    embedding: Embedding | None = None,
    ansatz: Ansatz | None = None,
    name: str | None = None,
) -> Structure:
    """The structure of networks N for which u = g + d N(phi) has symmetries of the coordinates.

    A map g acts on features where phi(g x) = P phi(x) with a signed permutation P, about a common centre: of x -> -x a
    cosine is even, a sine odd. N then has the symmetry under P, with the signs of u times those of d.

    Args:
        symmetries: of u, about the domain's centre; None: those that the problem states (``problem.symmetries``).
        hidden, representation: as for `structure_from_group`.
        embedding, ansatz: as for `Network`; the structure has them.

    Raises:
        InputError: no symmetries; maps that make of a feature none of the features; g or d that are neither even nor
            odd, or of the wrong sign; a map that changes no feature and should change a sign.
    """
    problem = as_problem(problem)
    own = problem.symmetries if symmetries is None else tuple(symmetries)
    if not own or not all(isinstance(symmetry, Symmetry) for symmetry in own):
        raise InputError(f"symmetries: expected pf.Symmetry of u, one or several, got {short(own)}")
    expected = len(problem.pde.coords), len(problem.pde.fields)
    for symmetry in own:
        if (symmetry.map.size, len(symmetry.character)) != expected:
            raise InputError(
                f"symmetries: expected maps of {expected[0]} coordinates with signs of {expected[1]} fields, got "
                f"{short(symmetry)}"
            )
    ends = Network(embedding=embedding, ansatz=ansatz).dense(problem)
    return structure_with_ends(own, problem.domain, ends, hidden, representation, name)


def chosen_network(network: Network | Structure | str) -> Network:
    """What a method's name or a structure stands for.

    Raises:
        InputError: something else.
    """
    if isinstance(network, Network):
        return network
    if isinstance(network, Structure):
        return Network("psi", structure=network)
    if isinstance(network, str) and network in METHODS:
        return Network(network)
    raise InputError(
        f"network: expected one of {list(METHODS)}, a Network, e.g. pf.Network('pinn', layers=[2, 16, 16, 1]), a "
        f"Structure or a network, got {short(network)}"
    )


def build_network(
    problem: Problem | str,
    network: Network | Structure | str = "pinn",
    *,
    by_newton: bool = False,
    scaling: str | None = "auto",
    seed: int = 0,
    backend: str = "auto",
) -> PsiMLP:
    """The untrained network of a problem, for `fit`; of float32, if nothing else is said.

    With ``scaling`` "auto" it is u(x) = s N((x - c) / h), with c, h and s from the problem (`in_frame`,
    `natural_scales`): 0 and 1 where coordinates and fields are of order 1, and such that all relations hold. Where the
    problem's residuals have no value at its initial weights, these are smaller (`start_where_finite`).

    Args:
        problem: what it is for: a `Problem`, or the name of a built-in one.
        network: a method's name, a structure, or a `Network`.
        by_newton: it is for Gauss-Newton, which counts for the default width, and starts unknown coefficients at
            their guesses.
        scaling: as for `Options`.
        seed: of the initial weights.
        backend: which tries the residuals at these weights.
    """
    return network_of(as_problem(problem), chosen_network(network), None, by_newton, scaling, seed, backend)


def network_of(
    problem: Problem,
    chosen: Network,
    known: KnownAnsatz | None,
    by_newton: bool,
    scaling: str | None,
    seed: int,
    backend: str,
) -> PsiMLP:
    """`build_network`, with an ansatz that is known already."""
    chosen.check(problem)
    check_scaling(scaling)
    sizes = tuple(chosen.layers or problem.default_layers)
    if chosen.method == "pinn":
        structure = chosen.dense(problem, sizes)
    elif chosen.method == "pinn-post":
        # N and its mirror images side by side, summed with their signs: itself a structure.
        structure = structure_with_ends(
            problem.symmetries, problem.domain, chosen.dense(problem, sizes), sizes[1:-1], "average",
            f"{problem.name} PINN-post",
        )  # fmt: skip
    else:
        given = chosen.structure or problem.recipe.structure
        assert given is not None
        structure = given.with_width(chosen.width or default_width(problem, given, by_newton))
    structure = chosen.with_ends(structure, problem)
    structure = structure if known is None else replace(structure, ansatz=known)
    if chosen.activation is not None:
        structure = structure.with_activation(chosen.activation)
    structure, start = scaled(structure, problem) if scaling else (structure, ())
    kind = MLP if chosen.method == "pinn" else PsiMLP
    dtype = torch.float32 if chosen.dtype is None else chosen.dtype
    net = kind(structure, start=start, seed=seed, dtype=dtype, device=chosen.device, precision=chosen.precision)
    trained = in_natural_units(problem, natural_scales(problem)) if scaling else problem
    if not net.theta.is_meta:  # which has no numbers
        start_where_finite(net, trained, by_newton, get_backend(backend, net.theta.device))
    return net


def _check_ends(what: str, found: tuple[int, int], problem: Problem) -> None:
    expected = len(problem.pde.coords), len(problem.pde.fields)
    if found != expected:
        raise InputError(
            f"{what}: problem {problem.name!r} has {expected[0]} inputs and {expected[1]} outputs, got {list(found)}"
        )
