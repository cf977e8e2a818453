"""[J r]^T [J r] by the C++ kernels of every instruction set, and by torch."""

from __future__ import annotations

import pytest
import torch
from helpers import negated
from torch import Tensor

from psinn_fast import InputError
from psinn_fast.kernels.contract import Backend
from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.cpu.extension import instruction_sets
from psinn_fast.kernels.reference.backend import ReferenceBackend


@pytest.fixture(params=[*instruction_sets(), "torch"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return ReferenceBackend() if request.param == "torch" else CpuBackend(request.param)


def operands(rows: int, n: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rows + 1000 * n)
    jacobian, r = (torch.randn(*shape, dtype=dtype, generator=generator) for shape in ((rows, n), (rows,)))
    before = torch.randn(n + 1, n + 1, dtype=dtype, generator=generator)
    return jacobian, r, before


def expected(jacobian: Tensor, r: Tensor, before: Tensor) -> Tensor:
    both = torch.cat([jacobian, r[:, None]], 1).double()
    return (before.double() + both.T @ both).tril()


# Around a strip (6 to 48 columns), its rows in registers, and the 128 rows of a panel.
@pytest.mark.parametrize("n", [1, 5, 11, 12, 23, 24, 47, 97])
def test_sizes(backend: Backend, n: int) -> None:
    for rows in (0, 1, 127, 128, 129, 300):
        jacobian, r, before = operands(rows, n)
        gram = before.clone()
        backend.add_gram(gram, jacobian, r)
        exact = expected(jacobian, r, before)
        assert (gram.tril() - exact).abs().max() <= 1e-13 * exact.abs().max()


def test_float32_is_as_accurate_as_torch(backend: Backend) -> None:
    jacobian, r, _ = operands(2_000, 60, torch.float32)
    zeros = torch.zeros(61, 61)
    gram = zeros.clone()
    backend.add_gram(gram, jacobian, r)
    both, exact = torch.cat([jacobian, r[:, None]], 1), expected(jacobian, r, zeros)
    plain = ((both.T @ both).tril() - exact).norm()
    assert (gram.tril() - exact).norm() <= 2 * plain


def test_float32_products_are_summed_in_float64(backend: Backend) -> None:
    """Of more unknowns than make a large matrix, too, and added to what is there."""
    for rows, n, most in ((4_000, 30, 6e-9), (259, 1_501, 2e-8)):
        jacobian, r, _ = operands(rows, n, torch.float32)
        before = torch.full((n + 1, n + 1), 1e6, dtype=torch.float64)
        gram = before.clone()
        backend.add_gram(gram, jacobian, r)
        exact = expected(jacobian, r, before)
        lengths = (exact - before.tril()).diagonal().sqrt()
        off = ((gram.tril() - exact) / lengths / lengths[:, None]).norm()
        assert off <= most * (n + 1)
    with pytest.raises(InputError, match=r"r: expected torch\.float32 like jacobian"):
        backend.add_gram(gram, jacobian, r.double())
    with pytest.raises(InputError, match=r"gram: expected torch\.float64 like jacobian"):
        backend.add_gram(gram.float(), jacobian.double(), r.double())


def test_chunks_add_up_and_threads_do_not_matter(backend: Backend) -> None:
    jacobian, r, _ = operands(1_000, 90)
    results = []
    for threads in (1, 2, 3):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        gram = torch.zeros(91, 91, dtype=torch.float64)
        for part in (slice(0, 384), slice(384, None)):
            backend.add_gram(gram, jacobian[part], r[part])
        torch.set_num_threads(before)
        results.append(gram.tril())
    exact = expected(jacobian, r, torch.zeros_like(results[0]))
    assert (results[0] - exact).abs().max() <= 1e-13 * exact.abs().max()
    if backend.name != "reference":
        assert torch.equal(results[0], results[1])
        assert torch.equal(results[0], results[2])


def test_any_layout_and_not_a_number(backend: Backend) -> None:
    jacobian, r, before = operands(40, 7)
    wide = torch.full((40, 14), 5.0, dtype=torch.float64)
    wide[:, ::2] = jacobian
    gram = before.clone()
    backend.add_gram(gram, wide[:, ::2], r)
    assert (gram.tril() - expected(jacobian, r, before)).abs().max() < 1e-12
    for change in (negated, lambda t: t.flip(0).contiguous().flip(0), lambda t: t.clone().requires_grad_()):
        gram = change(before).detach()
        backend.add_gram(gram, change(jacobian), change(r))
        assert (gram.tril() - expected(jacobian, r, before)).abs().max() < 1e-12
    jacobian[20, 3] = torch.nan
    gram = before.clone()
    backend.add_gram(gram, jacobian, r)
    bad = gram.tril().isnan()
    assert bad[3, :4].all()
    assert bad[4:, 3].all()
    assert not bad[:3].any()
    assert not bad[4:, 4:].any()


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((5, 5), (9, 5), (9,)), r"gram: expected shape \(6, 6\)"),
        (((6, 6), (9, 5), (8,)), r"r: expected shape \(9\)"),
    ],
)
def test_shapes_that_do_not_fit(backend: Backend, shapes: tuple[tuple[int, ...], ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        backend.add_gram(*(torch.zeros(*shape) for shape in shapes))
    with pytest.raises(InputError, match="jacobian: expected float32 or float64"):
        backend.add_gram(*(torch.zeros(size, dtype=torch.int64) for size in ((6, 6), (9, 5), (9,))))
