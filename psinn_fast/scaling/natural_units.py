"""Problems of odd sizes, trained as if they were of order 1: networks and loss terms in a problem's natural units."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import torch

from ..kernels.errors import InputError
from ..kernels.language.activations import activation_of
from ..kernels.language.program import in_units
from ..networks.mlp import PsiMLP
from ..networks.structure import Structure
from ..problem.problem import Problem
from .frames import features_in, in_frame
from .natural_scales import Scales, float32_error, natural_scales

SCALINGS = ("auto", None)
# Residuals between one over this and this are of order 1; where the weights were chosen, more is left to them.
_ORDINARY, _CHOSEN = 30.0, 1e3
# Errors of float32 up to this part of a residual are taken.
_FLOAT32_ERROR = 1e-3
# Points per axis at which a network's first layer is looked at.
_PROBES = 6
# A grid of more coordinates would be large.
_MOST_GRIDDED = 4
# An input that moves no neuron by more than this is unseen.
_UNSEEN = 1e-3
# Outputs cannot reach fields this many times larger, nor be fine enough for fields this many times smaller.
_BEYOND_REACH, _TOO_COARSE = 1e3, 1e5


def check_scaling(scaling: object) -> None:
    if scaling not in SCALINGS:
        raise InputError(f"scaling: expected 'auto' or None, got {scaling!r}")


def scaled(structure: Structure, problem: Problem) -> tuple[Structure, tuple[float, ...]]:
    """The structure u(x) = s N((x - c) / h) in a problem's natural units, and where its outputs should start.

    See `in_frame` and `natural_scales`. Outputs that the relations tie get the largest s of them; a structure that has
    output scales keeps them.
    """
    scales = natural_scales(problem, structure.free_outputs)
    sizes = scales.sizes.copy()
    for group in map(list, structure.tied_outputs):
        sizes[group] = sizes[group].max()
    framed = in_frame(structure, problem.domain)
    if set(structure.output_scale) == {1.0}:
        framed = replace(framed, output_scale=tuple(sizes.tolist()))
    # What u = g + d N starts with is in g.
    start = scales.start if structure.ansatz is None else 0 * scales.start
    return framed, tuple(start.tolist())


def in_natural_units(problem: Problem, scales: Scales) -> Problem:
    """The problem with residuals and unknown coefficients of order 1.

    - Where sqrt(weight) * (natural size of the residual) lies between 1/30 and 30 for all residuals, or between 1/1000
      and 1000 if weights differ, which somebody chose, they stay as they are. Else each is divided by its natural size,
      to a power of ten, so that weights count relative to those.
      ``Problem.loss_units`` says what a term's loss is in the units given: where residuals of one term differ in size,
      in those of the largest.
    - Coefficients without bounds are c = unit z.
    """
    weights = [condition.weight * condition.point_weight for condition in problem.conditions]
    # Weights of points count like those of terms, so sizes are without them.
    pairs = zip(scales.residuals, problem.conditions, strict=True)
    sizes = [
        np.where(np.isfinite(size) & (size > 0), size / math.sqrt(condition.point_weight), 1.0)
        for size, condition in pairs
    ]
    weighted = np.concatenate([math.sqrt(w) * size for w, size in zip(weights, sizes, strict=True) if w])
    most = _ORDINARY if len({w for w in weights if w}) == 1 else _CHOSEN
    is_ordinary = bool(((weighted >= 1 / most) & (weighted <= most)).all())
    sizes = [np.ones_like(size) if is_ordinary else np.asarray(10.0 ** np.round(np.log10(size))) for size in sizes]
    units = scales.coefficients.tolist()
    if all((size == 1).all() for size in sizes) and all(unit == 1 for unit in units):
        return problem
    return problem.altered(
        traced=tuple(
            replace(traced, program=in_units(traced.program, (1 / size).tolist(), units))
            for traced, size in zip(problem.traced, sizes, strict=True)
        ),
        loss_units=tuple(float(size.max()) ** 2 for size in sizes),
        unknowns=replace(problem.unknowns, units=dict(zip(problem.pde.unknown, units, strict=True))),
    )


def as_trained(problem: Problem, net: PsiMLP, scaling: str | None) -> Problem:
    """The problem as a network is trained on it (`in_natural_units`, or itself for ``scaling`` None).

    A warning says where the network's own scales do not fit (`out_of_range`).

    Raises:
        InputError: another scaling; float32 is too coarse for the problem.
    """
    check_scaling(scaling)
    scales = natural_scales(problem)
    if net.theta.dtype == torch.float32 and (refusal := _refusal_of_float32(problem, scales, scaling)):
        raise InputError(refusal)
    if warning := out_of_range(problem, net, scales):
        warnings.warn(warning, stacklevel=3)
    return in_natural_units(problem, scales) if scaling else problem


def float32_suffices(problem: Problem, scaling: str | None) -> bool:
    """Whether a problem can be trained in float32."""
    return _refusal_of_float32(problem, natural_scales(problem), scaling) is None


def _refusal_of_float32(problem: Problem, scales: Scales, scaling: str | None) -> str | None:
    if scaling:
        problem, scales = in_natural_units(problem, scales), replace(scales, coefficients=1 + 0 * scales.coefficients)
    error, name = float32_error(problem, scales)
    if error <= _FLOAT32_ERROR:
        return None
    lost = f"would be off by {error:.1g} of their size" if math.isfinite(error) else "do not fit into it when squared"
    return (
        f"dtype: float32 is too coarse for this problem, residuals of term {name!r} {lost}; use float64, or "
        "other units, or measure from a nearer origin"
    )


def out_of_range(problem: Problem, net: PsiMLP, scales: Scales) -> str | None:
    """Why a network cannot see the coordinates of a problem's domain or reach its fields; None if it can."""
    layers = net.structure.expand(net.theta.detach().double())
    (first, bias), (last, last_bias) = layers[0], layers[-1]
    embedded = net.structure.embedding is not None
    is_grid = not embedded and len(problem.pde.coords) <= _MOST_GRIDDED
    seen = problem.domain.unseen_grid(_PROBES) if is_grid else features_in(net.structure, problem.domain)
    x = torch.from_numpy(seen).to(first)
    largest = float((x @ first.T + bias).abs().amax(0).median())
    weights = first.abs().amax(0).cpu().numpy()
    widths = np.ptp(seen, 0) if embedded else problem.domain.high - problem.domain.low
    is_unseen = (weights * widths < _UNSEEN) & (weights > _UNSEEN)
    names = [f"feature {i + 1}" for i in range(len(widths))] if embedded else problem.pde.coords
    unseen = [name for name, own in zip(names, is_unseen, strict=True) if own]
    varies = last.abs().sum(1).cpu().numpy()
    reaches = varies + last_bias.abs().cpu().numpy()
    is_far = (scales.sizes + abs(scales.start) > _BEYOND_REACH * reaches) | (scales.sizes * _TOO_COARSE < varies)
    is_far &= (reaches > 0) & (net.structure.ansatz is None)
    fields = [name for name, far in zip(problem.pde.fields, is_far, strict=True) if far]
    activation = activation_of(net.structure.activation)
    if len(layers) > 1 and largest > activation.far:
        fault = f"most of its first neurons are {activation.far_out} on {problem.domain}"
    elif unseen:
        fault = f"its first layer hardly changes with {' and '.join(unseen)} on {problem.domain}"
    elif fields:
        fault = f"the sizes of its outputs are far from those of {' and '.join(fields)}"
    else:
        return None
    return f"net: {fault}; build_network(problem, ...) makes one in the problem's natural units"
