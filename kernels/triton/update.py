"""The second kernel of a training step: sums of all programs' gradients in a fixed order, R^T, Adam.

One program takes BLOCK parameters (theta, then the unknown coefficients). The first kernel has counted the step in
``state``; this one reads it. Every program works out whether the losses are finite, from the same numbers in the same
order, so that all of them agree without a word. Where a block's gradient is not, the failure is noted in ``state``, all
later steps do nothing, and the parameters from before the last good step are still in ``kept``.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .functions import sqrt

# Entries of ``state`` (int64): steps done, and the failure's number or -1.
STEP = tl.constexpr(0)
FAILURE = tl.constexpr(1)


@triton.jit
def _is_finite(x):
    return (x == x) & (tl.abs(x) != float("inf"))


@triton.jit
def adam(
    parameters,  # (Q,): theta and the unknown coefficients
    moments,  # (2, Q)
    kept,  # (2, 3, Q): parameters and moments before the last two steps
    partials,  # (programs, ROW)
    rows,  # (TERMS, Q): entries of a row of ``partials`` that belong to a parameter ...
    factors,  # (TERMS, Q): ... and their factors
    spans,  # (n_losses + 1,): programs of each loss term
    scales,  # (n_losses,): 1 / number of points
    penalty,  # (1 + Q,): value and gradient of the regulariser
    milestones,  # (N_MILESTONES,): int64
    settings,  # (6,) float64: lr, gamma, beta1, beta2, eps, number of the first step in ``losses``
    losses,  # (steps, n_losses + 1)
    state,
    Q: tl.constexpr,
    ROW: tl.constexpr,
    SQUARES: tl.constexpr,
    TERMS: tl.constexpr,
    N_LOSSES: tl.constexpr,
    N_PROGRAMS: tl.constexpr,
    N_MILESTONES: tl.constexpr,
    HAS_PENALTY: tl.constexpr,
    BLOCK: tl.constexpr,
    CHUNK: tl.constexpr,
):
    failure = tl.load(state + FAILURE)
    if failure < 0:
        pid = tl.program_id(0)
        step = tl.load(state + STEP)
        history = losses + (step - 1 - tl.load(settings + 5).to(tl.int64)) * (N_LOSSES + 1)
        bad = -1
        for term in tl.static_range(N_LOSSES):
            begin, end = tl.load(spans + term), tl.load(spans + term + 1)
            squares = tl.zeros([CHUNK], dtype=partials.dtype.element_ty)
            at = begin
            while at < end:  # not `range`, see emission.py
                program = at + tl.arange(0, CHUNK)
                squares += tl.load(partials + program.to(tl.int64) * ROW + SQUARES, mask=program < end, other=0.0)
                at += CHUNK
            loss = tl.sum(squares, 0) * tl.load(scales + term)
            bad = tl.where((bad < 0) & (_is_finite(loss) == 0), term, bad)
            if pid == 0:
                tl.store(history + term, loss)
        value = tl.zeros([], dtype=partials.dtype.element_ty)
        if HAS_PENALTY:
            value += tl.load(penalty)
        bad = tl.where((bad < 0) & (_is_finite(value) == 0), N_LOSSES, bad)
        if pid == 0:
            tl.store(history + N_LOSSES, value)
        if bad >= 0:
            if pid == 0:
                tl.store(state + FAILURE, bad.to(tl.int64))
        else:
            index = pid * BLOCK + tl.arange(0, BLOCK)
            inside = index < Q
            gradient = tl.zeros([BLOCK], dtype=partials.dtype.element_ty)
            for k in tl.static_range(TERMS):
                row = tl.load(rows + k * Q + index, mask=inside, other=0)
                total = tl.zeros([CHUNK, BLOCK], dtype=partials.dtype.element_ty)
                for at in range(0, N_PROGRAMS, CHUNK):
                    program = at + tl.arange(0, CHUNK)
                    where = program.to(tl.int64)[:, None] * ROW + row[None, :]
                    total += tl.load(partials + where, mask=(program < N_PROGRAMS)[:, None], other=0.0)
                gradient += tl.sum(total, 0) * tl.load(factors + k * Q + index, mask=inside, other=0.0)
            if HAS_PENALTY:
                gradient += tl.load(penalty + 1 + index, mask=inside, other=0.0)
            old = tl.load(parameters + index, mask=inside, other=0.0)
            first = tl.load(moments + index, mask=inside, other=0.0)
            second = tl.load(moments + Q + index, mask=inside, other=0.0)
            keep = kept + (step % 2) * 3 * Q + index
            tl.store(keep, old, mask=inside)
            tl.store(keep + Q, first, mask=inside)
            tl.store(keep + 2 * Q, second, mask=inside)
            n_bad = tl.sum(tl.where(inside & (_is_finite(gradient) == 0), 1, 0), 0)
            if n_bad > 0:
                tl.store(state + FAILURE, tl.full([], N_LOSSES + 1, tl.int64))
            else:
                # In double precision: 1 - beta^t loses digits for small t.
                t = step.to(tl.float64)
                passed = tl.zeros([], dtype=tl.int32)
                for k in tl.static_range(N_MILESTONES):
                    passed += (tl.load(milestones + k) < step).to(tl.int32)
                rate = tl.load(settings) * tl.exp(passed.to(tl.float64) * tl.log(tl.load(settings + 1)))
                beta1, beta2 = tl.load(settings + 2), tl.load(settings + 3)
                unbias1 = _unbias(t, beta1)
                unbias2 = _unbias(t, beta2)
                eps = tl.load(settings + 4)
                one_minus1 = (1.0 - beta1).to(first.dtype)
                first += one_minus1 * (gradient - first)
                second = beta2.to(first.dtype) * second + (1.0 - beta2).to(first.dtype) * gradient * gradient
                scale = sqrt(second * (1.0 / unbias2).to(first.dtype)) + eps.to(first.dtype)
                new = old - (rate / unbias1).to(first.dtype) * (first / scale)
                tl.store(parameters + index, new, mask=inside)
                tl.store(moments + index, first, mask=inside)
                tl.store(moments + Q + index, second, mask=inside)


@triton.jit
def _unbias(t, beta):
    """1 - beta^t; beta may be 0."""
    return tl.where(beta > 0, 1.0 - tl.exp(t * tl.log(tl.maximum(beta, 1e-300))), 1.0)

