"""Products and factorisations in blocks: those of torch at once, a look at Ctrl-C between any two."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from psinn_fast.kernels import get_backend
from psinn_fast.training import factorisations as module
from psinn_fast.training.abort import Aborted, abortable
from psinn_fast.training.factorisations import add_gram_by_rows, cholesky, outer_gram, updated_triangle

ROUNDING = 1e-13


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2e5)
    monkeypatch.setattr(module, "_PANEL", 16)


def random(m: int, n: int, seed: int = 0) -> Tensor:
    return torch.randn(m, n, dtype=torch.float64, generator=torch.Generator().manual_seed(1000 * m + n + seed))


# Whole, whole panels, and panels with a rest.
@pytest.mark.parametrize("n", [1, 15, 96, 101])
@pytest.mark.parametrize("m", [1, 40, 300])
def test_updated_triangle(m: int, n: int) -> None:
    before, rows = torch.linalg.qr(random(2 * n, n), mode="r").R, random(m, n)
    kept = before.clone(), rows.clone()
    found = updated_triangle(before, rows)
    expected = before.T @ before + rows.T @ rows
    assert torch.equal(found, found.triu())
    assert (found.T @ found - expected).abs().max() < ROUNDING * expected.abs().max()
    assert torch.equal(before, kept[0])
    assert torch.equal(rows, kept[1])


@pytest.mark.parametrize("shape", [(20, 20), (96, 97), (100, 101)])
def test_triangle_with_a_diagonal(shape: tuple[int, int]) -> None:
    n = shape[1]
    before, below = torch.linalg.qr(random(n, n), mode="r").R, torch.zeros(shape, dtype=torch.float64)
    below.diagonal().copy_(random(1, shape[0])[0])
    found, expected = updated_triangle(before, below, is_diagonal=True), before.T @ before + below.T @ below
    assert (found.T @ found - expected).abs().max() < ROUNDING * expected.abs().max()


def test_nothing_is_squared() -> None:
    """R is as good as that of torch where J^T J has lost everything: columns of 1 to 1e-12."""
    before, rows = torch.zeros(100, 100, dtype=torch.float64), random(300, 100) * torch.logspace(0, -12, 100)
    found, expected = updated_triangle(before, rows), torch.linalg.qr(rows, mode="r").R
    assert ((found.diagonal().abs() / expected.diagonal().abs()) - 1).abs().max() < 1e-10


@pytest.mark.parametrize("n", [1, 16, 96, 101, 128])
def test_cholesky(n: int) -> None:
    matrix = random(n, 2 * n) @ random(n, 2 * n).T
    expected = torch.linalg.cholesky(matrix)
    factor, is_definite = cholesky(matrix.clone())
    assert is_definite
    assert (factor.tril() - expected).abs().max() < ROUNDING * expected.abs().max()
    # Of a matrix that is given by its lower triangle alone.
    lower = matrix.tril() + torch.full_like(matrix, torch.nan).triu(1)
    assert torch.equal(cholesky(lower)[0].tril(), factor.tril())


@pytest.mark.parametrize("pivot", [0, 50, 100])
def test_cholesky_of_an_indefinite_matrix(pivot: int) -> None:
    matrix = torch.eye(101, dtype=torch.float64)
    matrix[pivot, pivot] = -1e-3
    assert not cholesky(matrix)[1]


@pytest.mark.parametrize("shape", [(3, 5), (40, 300), (100, 101), (33, 2000)])
def test_outer_gram(shape: tuple[int, int]) -> None:
    a = random(*shape)
    expected = a @ a.T
    assert ((outer_gram(a) - expected).tril()).abs().max() < ROUNDING * expected.abs().max()


@pytest.mark.parametrize("rows", [0, 1, 300])
def test_gram_by_rows(rows: int) -> None:
    jacobian, r = random(rows, 30), random(rows, 1)[:, 0]
    gram = torch.ones(31, 31, dtype=torch.float64)
    add_gram_by_rows(get_backend(), gram, jacobian, r)
    both = torch.cat([jacobian, r[:, None]], 1)
    assert (gram - 1 - both.T @ both).tril().abs().max() < 1e-12


@pytest.mark.parametrize("call", [0, 1, 4])
def test_every_block_can_be_the_last(call: int) -> None:
    jobs = {
        "gram": lambda: add_gram_by_rows(get_backend(), random(31, 31), random(1000, 30), random(1000, 1)[:, 0]),
        "outer": lambda: outer_gram(random(300, 300)),
        "cholesky": lambda: cholesky(torch.eye(101, dtype=torch.float64)),
        "triangle": lambda: updated_triangle(random(101, 101).triu(), random(40, 101)),
    }
    for job in jobs.values():
        seen = 0

        def is_asked() -> bool:
            nonlocal seen
            seen += 1
            return seen > call

        with pytest.raises(Aborted), abortable(is_asked):
            job()
        assert seen == call + 1
        job()  # outside nobody asks
