"""Approximations of the inverse Hessian, against the formulas written out with matrices."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from psinn_fast.training.optimisers.inverse_hessians import InverseHessian, LimitedMemory, SelfScaled

N = 7
KINDS: list[Callable[[Tensor], InverseHessian]] = [lambda like: LimitedMemory(N, like), SelfScaled]
DTYPES = [torch.float64, torch.float32]


def quadratic(seed: int, n: int = N, dtype: torch.dtype = torch.float64) -> Tensor:
    """A (n, n), positive definite."""
    root = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (root @ root.T + 0.1 * torch.eye(n)).to(dtype)


def as_matrix(inverse: InverseHessian, like: Tensor) -> Tensor:
    return torch.stack([inverse.times(unit) for unit in torch.eye(like.numel(), dtype=like.dtype)], 1)


def random_pairs(inverse: InverseHessian, a: Tensor, count: int) -> list[tuple[Tensor, Tensor]]:
    """Teach steps along -H g, g anything, and give back the pairs."""
    generator, pairs = torch.Generator().manual_seed(1), []
    for number in range(count):
        gradient = torch.randn(len(a), generator=generator, dtype=torch.float64).to(a)
        step = 0.3 + 0.2 * number
        s = -step * inverse.times(gradient)
        inverse.learn(step, s, a @ s)
        pairs.append((s, a @ s))
    return pairs


def bfgs(h: Tensor, s: Tensor, y: Tensor) -> Tensor:
    """Nocedal & Wright, formula 6.17."""
    project = torch.eye(len(s), dtype=s.dtype) - torch.outer(s, y) / (y @ s)
    return project @ h @ project.T + torch.outer(s, s) / (y @ s)


def self_scaled(h: Tensor, s: Tensor, y: Tensor) -> Tensor:
    """Urban, Stefanou & Pons 2025, formulas 10 and 13 to 23."""
    ys, hy, sbs = y @ s, h @ y, s @ torch.linalg.solve(h, s)
    b, size = sbs / ys, (y @ hy) / ys
    a = b * size - 1
    least = (size * (1 - (a / (a + 1)).sqrt())).clamp(max=1)
    theta = torch.maximum((least - 1) / a, torch.minimum(1 / least, (1 - b) / b))
    sigma = 1 + a * theta
    volume, bound = sigma ** (-1 / (len(s) - 1)), (1 / b).clamp(max=1)
    tau = bound * torch.minimum(volume, 1 / theta) if theta > 0 else torch.minimum(bound * volume, sigma)
    v = (y @ hy).sqrt() * (s / ys - hy / (y @ hy))
    broyden = h - torch.outer(hy, hy) / (y @ hy) + (1 - theta) / sigma * torch.outer(v, v)
    return broyden / tau + torch.outer(s, s) / ys


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [1, 3, 4, 5, 9, 13])
def test_limited_memory_is_bfgs_of_the_last_pairs(count: int, dtype: torch.dtype) -> None:
    like, a = torch.zeros(N, dtype=dtype), quadratic(0, dtype=dtype)
    inverse = LimitedMemory(4, like)
    pairs = [(s.double(), y.double()) for s, y in random_pairs(inverse, a, count)[-4:]]
    s, y = pairs[-1]
    expected = (s @ y) / (y @ y) * torch.eye(N, dtype=torch.float64)
    for s, y in pairs:
        expected = bfgs(expected, s, y)
    found = as_matrix(inverse, like).double()
    # Rounding, times the condition numbers of the pairs.
    torch.testing.assert_close(found, expected, rtol=1e3 * torch.finfo(dtype).eps, atol=1e3 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(5))
def test_self_scaled_is_its_formula(seed: int, dtype: torch.dtype) -> None:
    like, a = torch.zeros(N, dtype=dtype), quadratic(seed, dtype=dtype)
    inverse = SelfScaled(like)
    expected = torch.eye(N, dtype=torch.float64)
    for s, y in random_pairs(inverse, a, 8):
        expected = self_scaled(expected, s.double(), y.double())
    found = as_matrix(inverse, like).double()
    assert float((found - expected).norm() / expected.norm()) < 1e5 * torch.finfo(dtype).eps


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_step_follows_from_its_change(kind: Callable[[Tensor], InverseHessian]) -> None:
    inverse = kind(torch.zeros(N, dtype=torch.float64))
    for s, y in random_pairs(inverse, quadratic(2), 12)[-1:]:
        torch.testing.assert_close(inverse.times(y), s)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_quadratic_is_minimised_in_n_steps(dtype: torch.dtype) -> None:
    """BFGS with exact searches is the conjugate gradient method (Nocedal & Wright, theorem 6.4)."""
    a, x = quadratic(3, dtype=dtype), torch.ones(N, dtype=dtype)
    inverse, first = LimitedMemory(N, x), float((a @ x).norm())
    for _ in range(N):
        gradient = a @ x
        direction = -inverse.times(gradient)
        step = float(-(gradient @ direction) / (direction @ a @ direction))
        inverse.learn(step, step * direction, step * a @ direction)
        x = x + step * direction
    assert float((a @ x).norm()) < 1e4 * torch.finfo(dtype).eps * first
    assert float((a.double() @ as_matrix(inverse, x).double() - torch.eye(N)).norm()) < 1e6 * torch.finfo(dtype).eps


def test_the_factor_stays_definite_where_the_matrix_would_not() -> None:
    """Curvatures over 20 decades: an H of such a condition number, updated itself, has negative eigenvalues."""
    a = torch.diag(10.0 ** torch.linspace(-10, 10, N, dtype=torch.float64))
    like = torch.zeros(N, dtype=torch.float64)
    inverse, generator = SelfScaled(like), torch.Generator().manual_seed(0)
    for _ in range(60):
        gradient = torch.randn(N, generator=generator, dtype=torch.float64)
        direction = -inverse.times(gradient)
        assert float(direction @ gradient) < 0
        step = float(-(gradient @ direction) / (direction @ a @ direction))
        inverse.learn(step, step * direction, step * a @ direction)
    found = as_matrix(inverse, like)
    assert math.isfinite(float(found.norm()))
    assert float(torch.linalg.cond(found)) > 1e16


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_saved_goes_on_to_the_last_bit(kind: Callable[[Tensor], InverseHessian]) -> None:
    like, a = torch.zeros(N, dtype=torch.float64), quadratic(4)
    inverse, other = kind(like), kind(like)
    random_pairs(inverse, a, 10)
    other.restore(*inverse.saved())
    for one in (inverse, other):
        random_pairs(one, a, 3)
    assert torch.equal(as_matrix(inverse, like), as_matrix(other, like))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_forgotten_leaves_the_identity(kind: Callable[[Tensor], InverseHessian]) -> None:
    like = torch.zeros(N, dtype=torch.float64)
    inverse, fresh = kind(like), kind(like)
    random_pairs(inverse, quadratic(5), 9)
    assert not inverse.is_blank
    inverse.forget()
    assert inverse.is_blank
    assert torch.equal(as_matrix(inverse, like), torch.eye(N, dtype=torch.float64))
    for one in (inverse, fresh):
        random_pairs(one, quadratic(5), 3)
    assert torch.equal(as_matrix(inverse, like), as_matrix(fresh, like))


def test_a_step_along_its_change_teaches_that_direction_alone() -> None:
    """The plane of both is a line, in which BFGS, self-scaled or not, does the same."""
    like = torch.zeros(N, dtype=torch.float64)
    for inverse, rest in ((LimitedMemory(3, like), 0.25), (SelfScaled(like), 1.0)):
        unit = torch.eye(N, dtype=torch.float64)[0]
        inverse.learn(0.5, -0.5 * inverse.times(unit), -2.0 * unit)
        expected = rest * torch.eye(N, dtype=torch.float64)
        expected[0, 0] = 0.25
        assert torch.equal(as_matrix(inverse, like), expected)


def test_one_variable() -> None:
    like = torch.zeros(1, dtype=torch.float64)
    for inverse in (LimitedMemory(3, like), SelfScaled(like)):
        random_pairs(inverse, torch.full((1, 1), 4.0, dtype=torch.float64), 4)
        assert float(inverse.times(torch.ones(1, dtype=torch.float64))) == pytest.approx(0.25)
