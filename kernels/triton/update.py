"""The second kernel of a training step: sums of all programs' gradients in a fixed order, R^T, Adam.

One program takes BLOCK parameters (theta, then the unknown coefficients). The first kernel has counted the step in
``state``; this one reads it. Every program works out whether the losses are finite, from the same numbers in the same
order, so that all of them agree without a word. Where a block's gradient is not, the failure is noted in ``state``, all
later steps do nothing, and the parameters from before the last good step are still in ``kept``.

Penalties need sums over all parameters of a layer, which other programs change meanwhile. So every step leaves those of
its own block for the next one, in ``sizes``: steps of odd and of even number have tables of their own.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .functions import sign, sqrt

# Entries of ``state`` (int64): steps begun, the failure's number or -1, steps done, the step of row 0 of ``rates`` and
# of ``losses``.
STEP = tl.constexpr(0)
FAILURE = tl.constexpr(1)
DONE = tl.constexpr(2)
FIRST = tl.constexpr(3)


@triton.jit
def _is_finite(x):
    return (x == x) & (tl.abs(x) != float("inf"))


@triton.jit
def _losses(
    partials, owners, scales, terms, ROW: tl.constexpr, SQUARES: tl.constexpr, N_LOSSES: tl.constexpr,
    N_PROGRAMS: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """Means of squares of all terms, from the sums of the programs that work for each; ``terms``: 0, 1, ..."""
    squares = tl.zeros([terms.shape[0], CHUNK], dtype=partials.dtype.element_ty)
    for at in tl.static_range(0, N_PROGRAMS, CHUNK):
        program = at + tl.arange(0, CHUNK)
        inside = program < N_PROGRAMS
        owner = tl.load(owners + program, mask=inside, other=-1)
        own = tl.load(partials + program.to(tl.int64) * ROW + SQUARES, mask=inside, other=0.0)
        squares += tl.where(owner[None, :] == terms[:, None], own[None, :], 0.0)
    return tl.sum(squares, 1) * tl.load(scales + terms, mask=terms < N_LOSSES, other=0.0)


@triton.jit
def _gradient(
    partials, rows, factors, index, inside, Q: tl.constexpr, ROW: tl.constexpr, TERMS: tl.constexpr,
    N_PROGRAMS: tl.constexpr, BLOCK: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """R^T of the sum over all programs, for the parameters ``index``."""
    total = tl.zeros([CHUNK, BLOCK], dtype=partials.dtype.element_ty)
    for at in tl.static_range(0, N_PROGRAMS, CHUNK):
        program = at + tl.arange(0, CHUNK)
        start = program.to(tl.int64)[:, None] * ROW
        for k in tl.static_range(TERMS):
            row = tl.load(rows + k * Q + index, mask=inside, other=0)
            factor = tl.load(factors + k * Q + index, mask=inside, other=0.0)
            own = tl.load(partials + start + row[None, :], mask=(program < N_PROGRAMS)[:, None], other=0.0)
            total += factor[None, :] * own
    return tl.sum(total, 0)


@triton.jit
def _size(x, KIND: tl.constexpr):
    """What a layer's penalty sums up: squares for "l2", magnitudes for "l1"."""
    return x * x if KIND == "l2" else tl.abs(x)


@triton.jit
def _penalty(
    sizes, strength, old, layer, KIND: tl.constexpr, LAYERS: tl.constexpr, BLOCKS: tl.constexpr, CHUNK: tl.constexpr
):
    """Value, and gradient with respect to ``old``; ``sizes`` (BLOCKS, LAYERS). See `Regularizer`."""
    value = tl.zeros([], dtype=old.dtype)
    slope = tl.zeros_like(old)
    for k in tl.static_range(LAYERS):
        total = tl.zeros([CHUNK], dtype=old.dtype)
        for at in range(0, BLOCKS, CHUNK):
            block = at + tl.arange(0, CHUNK)
            total += tl.load(sizes + block * LAYERS + k, mask=block < BLOCKS, other=0.0)
        size = tl.sum(total, 0)
        if KIND == "l2":
            norm = sqrt(size)
            value += strength * norm
            # A layer of zeros: the subgradient of least length.
            own = tl.where(norm == 0.0, 0.0, strength / tl.where(norm == 0.0, 1.0, norm)) * old
        else:
            value += strength * size
            own = strength * sign(old)
        slope += tl.where(layer == k, own, 0.0)
    return value, slope


@triton.jit
def collect(
    partials,  # (programs, ROW)
    rows,  # (TERMS, Q): see `adam`
    factors,
    owners,
    scales,
    losses,  # (n_losses,): written
    gradient,  # (Q,): written
    Q: tl.constexpr,
    ROW: tl.constexpr,
    SQUARES: tl.constexpr,
    TERMS: tl.constexpr,
    N_LOSSES: tl.constexpr,
    PADDED: tl.constexpr,
    N_PROGRAMS: tl.constexpr,
    BLOCK: tl.constexpr,
    CHUNK: tl.constexpr,
):
    """Losses and gradient without a step."""
    pid = tl.program_id(0)
    if pid == 0:
        terms = tl.arange(0, PADDED)
        found = _losses(partials, owners, scales, terms, ROW, SQUARES, N_LOSSES, N_PROGRAMS, CHUNK)
        tl.store(losses + terms, found, mask=terms < N_LOSSES)
    index = pid * BLOCK + tl.arange(0, BLOCK)
    inside = index < Q
    value = _gradient(partials, rows, factors, index, inside, Q, ROW, TERMS, N_PROGRAMS, BLOCK, CHUNK)
    tl.store(gradient + index, value, mask=inside)


# Long: a third are parameters and their meaning; a step is one kernel, since a launch costs as much as all its work.
@triton.jit
def adam(
    parameters,  # (Q,): theta and the unknown coefficients
    moments,  # (2, Q)
    kept,  # (2, 3, Q): parameters and moments before the last two steps
    partials,  # (programs, ROW)
    rows,  # (TERMS, Q): entries of a row of ``partials`` that belong to a parameter ...
    factors,  # (TERMS, Q): ... and their factors
    owners,  # (programs,): the loss term that each works for
    scales,  # (n_losses,): 1 / number of points
    others,  # (1 + Q,): value and gradient of what torch computed
    layers,  # (Q,): the layer whose penalty a parameter has a part in, LAYERS for none
    sizes,  # (2, blocks, LAYERS): of the blocks' parameters, read by steps of even and odd number
    settings,  # (5,): 1 - beta1, beta2, 1 - beta2, eps, strength of the penalty
    rates,  # (steps, 2): lr / (1 - beta1^t), 1 / (1 - beta2^t); from the host, since chips may be slow at float64
    losses,  # (steps, n_losses + 1): written
    state,
    tiles,  # what the first kernel of the next step multiplies by: written
    places,  # (COPIES, Q): where a parameter stands in ``tiles`` ...
    signs,  # (COPIES, Q): ... and its factors, 0 where it does not stand so often
    Q: tl.constexpr,
    ROW: tl.constexpr,
    SQUARES: tl.constexpr,
    TERMS: tl.constexpr,
    N_LOSSES: tl.constexpr,
    PADDED: tl.constexpr,  # N_LOSSES, up to a power of two
    N_PROGRAMS: tl.constexpr,
    COPIES: tl.constexpr,
    HAS_OTHERS: tl.constexpr,
    KIND: tl.constexpr,  # of the penalty: "l2", "l1", "" for none
    LAYERS: tl.constexpr,
    BLOCKS: tl.constexpr,
    BLOCK: tl.constexpr,
    CHUNK: tl.constexpr,
):
    pid = tl.program_id(0)
    index = pid * BLOCK + tl.arange(0, BLOCK)
    inside = index < Q
    terms = tl.arange(0, PADDED)
    # All that is read, before anything depends on it: what is waited for comes in two rounds, tables and sums.
    failure, step = tl.load(state + FAILURE), tl.load(state + STEP)
    number = step - 1 - tl.load(state + FIRST)
    old = tl.load(parameters + index, mask=inside, other=0.0)
    first = tl.load(moments + index, mask=inside, other=0.0)
    second = tl.load(moments + Q + index, mask=inside, other=0.0)
    found = _losses(partials, owners, scales, terms, ROW, SQUARES, N_LOSSES, N_PROGRAMS, CHUNK)
    gradient = _gradient(partials, rows, factors, index, inside, Q, ROW, TERMS, N_PROGRAMS, BLOCK, CHUNK)
    if failure < 0:
        value = tl.zeros([], dtype=partials.dtype.element_ty)
        if KIND != "":
            layer = tl.load(layers + index, mask=inside, other=LAYERS)
            now = sizes + (step % 2) * BLOCKS * LAYERS
            value, slope = _penalty(now, tl.load(settings + 4), old, layer, KIND, LAYERS, BLOCKS, CHUNK)
            gradient += slope
        if HAS_OTHERS:
            value += tl.load(others)
            gradient += tl.load(others + 1 + index, mask=inside, other=0.0)
        # The first loss that is not finite, or the penalty.
        bad = tl.min(tl.where((terms < N_LOSSES) & (_is_finite(found) == 0), terms, PADDED), 0)
        bad = tl.where(bad < PADDED, bad, tl.where(_is_finite(value), -1, N_LOSSES))
        if pid == 0:
            history = losses + number * (N_LOSSES + 1)
            tl.store(history + terms, found, mask=terms < N_LOSSES)
            tl.store(history + N_LOSSES, value)
        if bad >= 0:
            if pid == 0:
                tl.store(state + FAILURE, bad.to(tl.int64))
        else:
            keep = kept + (step % 2) * 3 * Q + index
            tl.store(keep, old, mask=inside)
            tl.store(keep + Q, first, mask=inside)
            tl.store(keep + 2 * Q, second, mask=inside)
            n_bad = tl.sum(tl.where(inside & (_is_finite(gradient) == 0), 1, 0), 0)
            if n_bad > 0:
                tl.store(state + FAILURE, tl.full([], N_LOSSES + 1, tl.int64))
            else:
                first += tl.load(settings) * (gradient - first)
                second = tl.load(settings + 1) * second + tl.load(settings + 2) * gradient * gradient
                scale = sqrt(second * tl.load(rates + 2 * number + 1)) + tl.load(settings + 3)
                new = old - tl.load(rates + 2 * number) * (first / scale)
                tl.store(parameters + index, new, mask=inside)
                for k in tl.static_range(COPIES):
                    sign_of = tl.load(signs + k * Q + index, mask=inside, other=0.0)
                    place = tl.load(places + k * Q + index, mask=inside, other=0)
                    tl.store(tiles + place, sign_of * new, mask=inside & (sign_of != 0))
                tl.store(moments + index, first, mask=inside)
                tl.store(moments + Q + index, second, mask=inside)
                if KIND != "":
                    later = sizes + (((step + 1) % 2) * BLOCKS + pid) * LAYERS
                    for k in tl.static_range(LAYERS):
                        tl.store(later + k, tl.sum(tl.where(layer == k, _size(new, KIND), 0.0), 0))
                if pid == 0:
                    tl.store(state + DONE, step)
