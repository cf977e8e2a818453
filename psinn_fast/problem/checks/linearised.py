"""The equation, linearised about random fields: what it is of which order in, and where it may be solved for what."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ...kernels.language.channels import Channel
from ...kernels.language.program import Jet
from ...kernels.language.torch_program import slopes

if TYPE_CHECKING:  # it is described, not made, here
    from ..problem import Problem

Points = npt.NDArray[np.float64]


class Slopes(NamedTuple):
    """By a derivative ``channel`` of a field: how fast each residual changes with it at each point, (N, residuals)."""

    field: int
    channel: Channel
    values: Points


def linearised(problem: Problem, points: Points, rng: np.random.Generator) -> list[Slopes]:
    """All equations together, whichever terms ask for them, at points (N, d) with random fields.

    Unknown coefficients are where they start. Nothing where the equation's sources are no numbers.
    """
    traced = problem.pde.traced()
    program, n_fields = traced.program, len(problem.pde.fields)
    channels = program.channels.channels
    columns = torch.from_numpy(traced.columns([points]))
    if not bool(torch.isfinite(columns).all()):
        return []
    values = torch.from_numpy(rng.standard_normal((1, len(channels), len(points), n_fields)))
    starts = problem.unknowns.values(problem.unknowns.start())
    free = values.new_tensor([starts[name] for name in problem.pde.unknown])
    found = [
        slopes(program, row, values, torch.from_numpy(points[None]), columns, free)
        for row in range(program.n_residuals)
    ]
    inputs = [program.inputs[register] for register, _ in program.gradients]
    return [
        Slopes(
            jet.field,
            channels[jet.channel],
            np.stack([torch.as_tensor(own[i]).expand(len(points)).numpy() for own in found], 1),
        )
        for i, jet in enumerate(inputs)
        if isinstance(jet, Jet)
    ]
