"""The residual Jacobian in torch: one reverse pass per residual, which keeps the points apart."""

from __future__ import annotations

import torch
from torch import Tensor

from ..contract.evaluation import Evaluation, by_site
from ..contract.operations import Term
from ..network.plan import Plan
from .affine import cut
from .network import backward, forward


def residual_jacobian(plan: Plan, theta: Tensor, coefficients: Tensor, term: Term) -> tuple[Tensor, Tensor]:
    """r (N, m) and J (N, m, P + K) of one term, for any plan."""
    plan = plan.composed
    w = plan.expand(theta)
    weights = cut(plan, w)
    program, channels = term.program, term.program.channels
    n_sites, n = term.points.shape[:2]
    jets, tape = forward(plan, weights, term.points.flatten(0, 1), channels)
    at = Evaluation(program, by_site(jets, n_sites), term.points, term.columns, coefficients)
    residuals = torch.stack(at.residuals(), 1)
    jacobian = theta.new_zeros(n, program.n_residuals, plan.n_parameters + coefficients.numel())
    for i in range(program.n_residuals):
        r_bar = [theta.new_full((n,), float(i == k)) for k in range(program.n_residuals)]
        jets_bar = torch.zeros_like(jets)
        for k, value in at.pull_back(r_bar, by_site(jets_bar, n_sites)):
            jacobian[:, i, plan.n_parameters + k] = value
        w_bar = theta.new_zeros(n_sites * n, plan.expansion.shape[0])
        backward(weights, tape, channels, jets_bar, cut(plan, w_bar), per_point=True)
        per_residual = w_bar.view(n_sites, n, -1).sum(0)
        jacobian[:, i, : plan.n_parameters] = plan.pull_back_rows(w, per_residual)
    return residuals, jacobian
