"""Damped least squares: every method against dense float64 algebra, singular and ill-conditioned problems."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
import torch

from psinn_fast.kernels import get_backend
from psinn_fast.training import factorisations
from psinn_fast.training import least_squares as module
from psinn_fast.training.conjugate_gradients import Chunk, MatrixFree
from psinn_fast.training.least_squares import (
    LARGEST_FACTORED,
    DualEquations,
    Equations,
    NormalEquations,
    Triangular,
    by_eigenvectors,
    choose,
    linearise,
)

METHODS = {
    "coarse": lambda chunks, x: NormalEquations(get_backend(), chunks(), x, torch.float32),
    "cholesky": lambda chunks, x: NormalEquations(get_backend(), chunks(), x),
    "qr": lambda chunks, x: Triangular(chunks(), x),
    "dual": lambda chunks, x: DualEquations(chunks(), rows(chunks()), x),
    "coarse dual": lambda chunks, x: DualEquations(chunks(), rows(chunks()), x, torch.float32),
    "cg": lambda chunks, x: MatrixFree(chunks, rows(chunks()), x),
}


def rows(chunks: Iterable[Chunk]) -> int:
    return sum(len(r) for r, _ in chunks)


def equations(method: str, jacobian: torch.Tensor, r: torch.Tensor, chunk: int = 7) -> Equations:
    def chunks():
        for start in range(0, len(r), chunk):
            yield r[start : start + chunk], jacobian[start : start + chunk]

    make: Callable[..., Equations] = METHODS[method]
    return make(chunks, jacobian.new_zeros(jacobian.shape[1]))


def random_problem(m: int, n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    jacobian = torch.randn(m, n, dtype=torch.float64, generator=generator)
    r = torch.randn(m, dtype=torch.float64, generator=generator)
    return jacobian, r, 0.5 + torch.rand(n, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(40, 9), (9, 40)])
@pytest.mark.parametrize("at_once", [factorisations.AT_ONCE, 1.0])
def test_step_and_solve_equal_the_dense_solution(
    method: str, shape: tuple[int, int], at_once: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in blocks, as large matrices are factored."""
    monkeypatch.setattr(factorisations, "AT_ONCE", at_once)
    monkeypatch.setattr("psinn_fast.training.conjugate_gradients._TOLERANCE", 1e-12)
    jacobian, r, scale = random_problem(*shape)
    damped = jacobian.T @ jacobian + 0.3 * torch.diag(scale)
    found = equations(method, jacobian, r)
    tolerance = {"coarse": 1e-5, "coarse dual": 1e-7}.get(method, 1e-10)
    assert torch.allclose(found.gradient, jacobian.T @ r, rtol=1e-12)
    assert torch.allclose(found.diagonal, jacobian.square().sum(0), rtol=1e-12)
    assert found.square == pytest.approx(float(r @ r), rel=1e-12)
    found.damp(0.3, scale)
    expected = -torch.linalg.solve(damped, jacobian.T @ r)
    assert float((found.step() - expected).norm()) <= tolerance * float(expected.norm())
    right = torch.ones_like(scale)
    expected = torch.linalg.solve(damped, right)
    assert float((found.solve(right) - expected).norm()) <= tolerance * float(expected.norm())


@pytest.mark.parametrize("size", [1e-25, 1e25])
def test_columns_that_float32_does_not_hold_are_multiplied_in_float64(
    size: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_COARSE_UNKNOWNS", 5)
    jacobian, r, _ = random_problem(40, 9)

    def solver(scales: torch.Tensor) -> str:
        return linearise(get_backend(), lambda: iter([(r, jacobian * scales)]), 40, r.new_zeros(9), 1e-3).name

    assert solver(torch.ones(9, dtype=torch.float64)) == "coarse"
    assert solver(torch.tensor([1.0] * 8 + [size], dtype=torch.float64)) == "cholesky"


def test_qr_is_exact_where_the_gram_matrix_is_not() -> None:
    # Condition number 1e10: that of the Gram matrix is beyond float64.
    m, n = 60, 8
    left = torch.linalg.qr(random_problem(m, n, 1)[0]).Q
    right = torch.linalg.qr(random_problem(n, n, 2)[0]).Q
    jacobian = left @ torch.diag(torch.logspace(0, -10, n, dtype=torch.float64)) @ right
    wanted = torch.ones(n, dtype=torch.float64)
    errors = {}
    for method in ("qr", "cholesky"):
        found = equations(method, jacobian, -jacobian @ wanted)
        found.damp(1e-26, torch.ones(n, dtype=torch.float64))
        errors[method] = float((found.step() - wanted).norm())
    assert errors["qr"] < 1e-4
    assert errors["cholesky"] > 1e-2


@pytest.mark.parametrize("method", ["cholesky", "qr", "dual", "coarse dual", "cg"])
def test_equal_columns_and_equal_rows(method: str) -> None:
    jacobian, r, _ = random_problem(30, 6)
    jacobian[:, 3] = jacobian[:, 2]
    jacobian[20:] = jacobian[:10]
    found = equations(method, jacobian, r)
    found.damp(1e-12, found.diagonal)
    step = found.step()
    assert bool(torch.isfinite(step).all())
    best = float((r + jacobian @ torch.linalg.lstsq(jacobian, -r[:, None], driver="gelsd").solution[:, 0]).norm())
    assert float((r + jacobian @ step).norm()) <= best * (1 + 1e-5)


def test_singular_gram_matrix_falls_back_to_eigenvectors() -> None:
    jacobian = torch.ones(4, 3, dtype=torch.float64)
    found = equations("cholesky", jacobian, torch.ones(4, dtype=torch.float64))
    found.damp(0.0, torch.ones(3, dtype=torch.float64))
    assert torch.allclose(found.step(), torch.full((3,), -1 / 3, dtype=torch.float64))
    assert found.name == "eigh"


def test_large_singular_gram_matrix_is_damped_a_little_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eigenvectors of thousands would take minutes."""
    monkeypatch.setattr(module, "LARGEST_EIGEN", 2)
    jacobian = torch.ones(4, 3, dtype=torch.float64)
    found = equations("cholesky", jacobian, torch.ones(4, dtype=torch.float64))
    found.damp(0.0, found.diagonal)
    # Shifts of 1e-14 and more against rounding errors of 1e-16: a few digits of what no equation says.
    assert float((jacobian @ found.step() + 1).norm()) < 1e-8
    assert float((found.step() + 1 / 3).norm()) < 0.1
    assert found.name == "shifted"


@pytest.mark.parametrize("method", ["cholesky", "dual", "coarse dual", "cg"])
def test_nan_gives_no_finite_step(method: str) -> None:
    jacobian, r, scale = random_problem(12, 3)
    jacobian[4, 1] = torch.nan
    found = equations(method, jacobian, r)
    found.damp(1.0, scale)
    assert not bool(torch.isfinite(found.step()).all())


@pytest.mark.parametrize(
    ("damping", "factor", "name"),
    [
        (1.0, torch.float32, "coarse dual"),
        (1e-5, torch.float64, "coarse dual"),
        (1e-9, torch.float64, "dual"),
    ],
)
def test_float32_serves_the_dual_equations_where_refinement_converges(
    damping: float, factor: torch.dtype, name: str
) -> None:
    """Rows are nearly equal: damping alone makes the kernel regular."""
    jacobian, r, _ = random_problem(40, 60)
    jacobian[20:] = jacobian[:20] + 1e-6 * jacobian[20:]
    found, exact = (equations(method, jacobian, r) for method in ("coarse dual", "cholesky"))
    for one in (found, exact):
        one.damp(damping, exact.diagonal)
    assert isinstance(found, DualEquations)
    off = found.step() - exact.step()
    assert float(off.norm()) <= 1e-4 * float(exact.step().norm())
    assert (found.factor.dtype, found.name) == (factor, name)


def test_choice_of_the_method() -> None:
    assert choose(1000, 300, 1e-3) == "cholesky"
    assert choose(1000, 300, 1e-14) == "qr"
    assert choose(100, 300, 1e-14) == "dual"
    assert choose(100, LARGEST_FACTORED + 1, 1e-3) == "dual"
    assert choose(LARGEST_FACTORED + 1, LARGEST_FACTORED + 1, 1e-3) == "cg"
    assert choose(LARGEST_FACTORED + 1, LARGEST_FACTORED, 1e-6) == "cholesky"
    assert [choose(2000, n, damping) for n, damping in ((999, 1e-3), (1000, 1e-3), (1000, 9e-5))] == [
        "cholesky", "coarse", "cholesky"
    ]  # fmt: skip
    assert [choose(1000, n, damping) for n, damping in ((1001, 1e-3), (1001, 9e-5))] == ["coarse dual", "dual"]
    assert choose(999, 1001, 1e-3) == "dual"
    assert choose(300, 300, 1e-3) == "cholesky"
    # Rounding errors of 1,000 unit columns against the damping: 16 eps n = 3.6e-12.
    assert [choose(2000, 1000, damping) for damping in (3.5e-12, 3.6e-12)] == ["qr", "cholesky"]


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("cholesky", NormalEquations),
        ("qr", Triangular),
        ("dual", DualEquations),
        ("coarse dual", DualEquations),
        ("cg", MatrixFree),
    ],
)
def test_linearise_makes_what_is_chosen(method: str, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    jacobian, r, _ = random_problem(12, 5)
    monkeypatch.setattr(
        module, "choose", lambda rows, unknowns, damping: method if (rows, unknowns, damping) == (12, 5, 0.1) else ""
    )
    found = linearise(get_backend(), lambda: iter([(r, jacobian)]), 12, jacobian.new_zeros(5), 0.1)
    assert type(found) is kind
    assert found.name == method
    assert torch.allclose(found.gradient, jacobian.T @ r)


@pytest.mark.parametrize(
    ("values", "left_out"),
    [
        # Up to n eps of the largest, 8.9e-16 here, an eigenvalue is rounding.
        ((8e-16, 1e-15, 0.5, 1.0), 1),
        ((1e-17, 0.25, 0.5, 1.0), 1),
        ((1e-17, 1e-16, 0.5, 1.0), 2),
    ],
)
def test_singular_matrices_give_the_shortest_solution(values: tuple[float, ...], left_out: int) -> None:
    eigenvalues = torch.tensor(values, dtype=torch.float64)
    vectors = torch.linalg.qr(random_problem(4, 4, 4)[0]).Q
    right = vectors.sum(1)  # as much of each
    expected = vectors[:, left_out:] @ (1 / eigenvalues[left_out:])
    found = by_eigenvectors(eigenvalues, vectors, right)
    assert float((found - expected).norm()) <= 1e-9 * float(expected.norm())


@pytest.mark.parametrize(("largest", "name"), [(3, "eigh"), (2, "shifted")])
def test_singular_matrices_too_large_for_eigenvectors_are_shifted(
    largest: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST_EIGEN", largest)
    found = equations("cholesky", torch.ones(4, 3, dtype=torch.float64), torch.ones(4, dtype=torch.float64))
    found.damp(0.0, torch.ones(3, dtype=torch.float64))
    assert found.name == name
    # The shift is of the size of rounding errors.
    assert torch.allclose(found.step(), torch.full((3,), -1 / 3, dtype=torch.float64), rtol=1e-6)


def test_a_shift_that_is_too_small_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_EIGEN", 2)
    monkeypatch.setattr(module, "_SAFE", 1e-9)
    jacobian = torch.ones(4, 3, dtype=torch.float64)
    found = equations("cholesky", jacobian, torch.ones(4, dtype=torch.float64))
    found.damp(0.0, torch.ones(3, dtype=torch.float64))
    assert found.name == "shifted"
    assert torch.allclose(jacobian @ found.step(), -torch.ones(4, dtype=torch.float64))


def test_equal_rows_leave_the_dual_matrix_positive() -> None:
    """At any damping: without what is added for rounding errors Cholesky would fail on them."""
    jacobian, r, scale = random_problem(6, 20)
    doubled = equations("dual", torch.cat([jacobian, jacobian]), torch.cat([r, r]))
    doubled.damp(1e-25, scale)
    step = doubled.step()
    assert float((jacobian @ step + r).norm()) <= 1e-6 * float(r.norm())


class Counted:
    """Chunks, and how often they were asked for."""

    def __init__(self, jacobian: torch.Tensor, r: torch.Tensor) -> None:
        self.jacobian, self.r, self.asked = jacobian, r, 0

    def __call__(self):
        self.asked += 1
        yield self.r, self.jacobian


def test_conjugate_gradients_need_one_product_where_their_preconditioner_is_exact() -> None:
    """J^T J diagonal, over twelve orders of magnitude, and damping of its own size."""
    sizes = torch.logspace(0, -6, 7, dtype=torch.float64)
    jacobian, r = torch.linalg.qr(random_problem(30, 7)[0]).Q * sizes, random_problem(30, 7)[1]
    chunks = Counted(jacobian, r)
    found = MatrixFree(chunks, 1 << 40, jacobian.new_zeros(7))
    found.damp(2.0, found.diagonal)
    step, asked = found.step(), chunks.asked
    assert asked == 3  # for the gradient, the sketch, and the one product
    assert torch.allclose(step, -(jacobian.T @ r) / (3 * sizes**2), rtol=1e-6)


def test_conjugate_gradients_hold_a_jacobian_that_is_not_too_large() -> None:
    jacobian, r, scale = random_problem(40, 9)
    chunks = Counted(jacobian, r)
    found = MatrixFree(chunks, 40, jacobian.new_zeros(9))
    for damping in (0.3, 0.6):
        found.damp(damping, scale)
        found.step()
    assert chunks.asked == 1


def test_conjugate_gradients_take_few_products_where_a_sketch_holds_the_largest_eigenvalues(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Eigenvalues of J^T J that fall by a factor of two: 200 products by the diagonal alone do not reach 1e-3."""
    monkeypatch.setattr("psinn_fast.training.conjugate_gradients._SKETCHED_PART", 4)
    left, right = (torch.linalg.qr(random_problem(200, 200, seed)[0]).Q for seed in (0, 1))
    jacobian = left * 2 ** (-0.5 * torch.arange(200, dtype=torch.float64)) @ right
    chunks = Counted(jacobian, random_problem(200, 1)[1])
    found = MatrixFree(chunks, 1 << 40, jacobian.new_zeros(200))
    found.damp(1e-10, torch.ones(200, dtype=torch.float64))
    asked = chunks.asked
    step = found.step()
    assert chunks.asked - asked <= 5
    damped = jacobian.T @ jacobian + 1e-10 * torch.eye(200, dtype=torch.float64)
    off = damped @ step + found.gradient
    assert float(off.norm()) <= 1e-2 * float(found.gradient.norm())


def test_conjugate_gradients_stop_relative_to_the_right_side() -> None:
    jacobian, r, scale = random_problem(40, 9)
    chunks = Counted(jacobian, r)
    found = MatrixFree(chunks, 1 << 40, jacobian.new_zeros(9))
    found.damp(0.3, scale)
    solutions, asked = [], []
    for size in (1.0, 2.0**40, 2.0**-40):
        before = chunks.asked
        solutions.append(found.solve(size * torch.ones_like(scale)) / size)
        asked.append(chunks.asked - before)
    # Of nine unknowns, by a sketch of one; all nine products would leave rounding errors.
    assert asked == [7, 7, 7]
    assert torch.equal(solutions[0], solutions[1])
    assert torch.equal(solutions[0], solutions[2])
