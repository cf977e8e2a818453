"""Numbers as users give them."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
import torch

from psinn_fast.kernels import checks
from psinn_fast.kernels.errors import InputError


@pytest.mark.parametrize(
    "value", [5, np.int64(5), np.uint8(5), np.int32(5), np.array(5), torch.tensor(5), sp.Integer(5)]
)
def test_integers_of_any_kind(value: object) -> None:
    found = checks.integer("n", value, 1)
    assert type(found) is int
    assert found == 5


@pytest.mark.parametrize(
    "value",
    [True, np.True_, torch.tensor(True), 5.0, np.float64(5), "5", None, np.array([5]), torch.tensor([5]), 5j, 0, -1],
)
def test_what_is_no_positive_integer(value: object) -> None:
    with pytest.raises(InputError, match="n: expected 'auto' or an integer >= 1, got "):
        checks.integer("n", value, 1, other="'auto' or ")


def test_integers_within_a_range() -> None:
    assert checks.integer("n", 3, 1, most=3) == 3
    with pytest.raises(InputError, match="n: expected an integer from 1 to 3, got 4"):
        checks.integer("n", 4, 1, most=3)
    assert checks.seed("seed", np.int64(0)) == 0
    with pytest.raises(InputError, match="seed: expected an integer from 0 to 4294967295, got 4294967296"):
        checks.seed("seed", 2**32)


@pytest.mark.parametrize(
    "value",
    [
        0.5, np.float32(0.5), np.float64(0.5), np.float16(0.5), np.array(0.5), torch.tensor(0.5), Fraction(1, 2),
        torch.tensor(0.5, dtype=torch.bfloat16), Decimal("0.5"), sp.Rational(1, 2), sp.Float(0.5),
    ],
)  # fmt: skip
def test_numbers_of_any_kind(value: object) -> None:
    found = checks.number("x", value, above=0)
    assert type(found) is float
    assert found == 0.5


def test_constants_of_sympy_are_numbers() -> None:
    assert checks.number("x", sp.pi / 4) == math.pi / 4


@pytest.mark.parametrize(
    "value",
    [
        True, np.False_, "0.5", np.str_("0.5"), b"1", None, 1j, np.complex128(1), torch.tensor(1j), math.nan, math.inf,
        np.array([0.5]), torch.tensor([0.5]), np.ma.masked, np.datetime64("2020-01-01"), sp.Symbol("x"), 10**400, [0.5],
    ],
)  # fmt: skip
def test_what_is_no_number(value: object) -> None:
    with pytest.raises(InputError, match="x: expected a finite number, got "):
        checks.number("x", value)


@pytest.mark.parametrize(
    ("limits", "good", "bad", "text"),
    [
        ({"least": 0}, 0.0, -1e-300, ">= 0"),
        ({"above": 0}, 1e-300, 0.0, "> 0"),
        ({"least": 0, "below": 1}, 0.999, 1.0, ">= 0 and < 1"),
    ],
)
def test_limits_of_numbers(limits: dict[str, float], good: float, bad: float, text: str) -> None:
    assert checks.number("x", good, **limits) == good
    for wrong in (bad, math.nan):
        with pytest.raises(InputError, match=f"x: expected a finite number {text}, got "):
            checks.number("x", wrong, **limits)
    assert checks.number("x", math.inf, infinite=True) == math.inf


@pytest.mark.parametrize(
    "value",
    [
        [[1, 2.5]], ((1, 2.5),), np.array([[1, 2.5]], dtype=np.float32), torch.tensor([[1, 2.5]]),
        torch.tensor([[1, 2.5]], dtype=torch.bfloat16),
        torch.tensor([[1 - 1j, 1 - 2.5j]]).conj().imag, [np.array([1, 2.5])], [torch.tensor([1, 2.5])],
        np.array([[1, 2.5]], dtype=np.longdouble),
    ],
)  # fmt: skip
def test_arrays_of_any_kind_are_copied_and_closed(value: object) -> None:
    found = checks.numbers("points", value)
    assert type(found) is np.ndarray
    assert found.dtype == np.float64
    assert found.tolist() == [[1, 2.5]]
    assert not found.flags.writeable


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_later_changes_of_an_array_do_not_matter(make: Callable[..., object]) -> None:
    given = make([[1.0, 2.0]])
    found = checks.numbers("points", given)
    given[0, 0] = 7.0  # type: ignore[index]
    assert found.tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array([1.0, 1j]), "got complex numbers; take its .real part"),
        ([1.0, 1j], "got complex numbers"),
        (torch.tensor([1j]), "got a tensor of torch.complex64"),
        (np.array([True, False]), r"got bools; write .astype\(float\)"),
        (torch.tensor([True]), "got a tensor of torch.bool"),
        (["1.5", "2"], "got texts"),
        ([1.5, "2"], "got texts"),
        (np.array([b"1"]), "got bytes"),
        (np.array([1.0, None]), r"got objects such as 1.0 \(float\)"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "got dates"),
        (np.array([1], dtype="m8[s]"), "got time spans"),
        ([Fraction(1, 2)], r"got objects such as Fraction\(1, 2\)"),
        ("high", "got texts"),
        (None, "got objects such as None"),
        (np.ma.array([1.0, 2.0], mask=[False, True]), "got a masked array"),
        ([np.ma.array([1.0, 2.0], mask=[False, True])], "got a masked array"),
        ([1.0, np.ma.masked], "got a masked array"),
        ([[1.0], [1.0, 2.0]], "inhomogeneous"),
        ([1.0, np.nan, -np.inf], r"2 of 3 numbers are NaN or infinite, first at index \(1,\)"),
    ],
)
def test_arrays_that_are_refused(value: object, message: str) -> None:
    with pytest.raises(InputError, match=f"points: .*{message}"):
        checks.numbers("points", value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("float64", torch.float64), (torch.float64, torch.float64), (np.float64, torch.float64),
        (np.dtype("float32"), torch.float32), ("torch.float32", torch.float32),
    ],
)  # fmt: skip
def test_floating_types(value: object, expected: torch.dtype) -> None:
    assert checks.floating_dtype("dtype", value) is expected


@pytest.mark.parametrize("value", ["float16", torch.bfloat16, np.int64, torch.complex64, float, None, 64, "double"])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"dtype: expected one of \['float32', 'float64'\], got "):
        checks.floating_dtype("dtype", value)


def test_flags_choices_and_sequences() -> None:
    assert checks.flag("resume", np.True_) is True
    assert checks.integers("layers", np.array([2, 3]), 1) == (2, 3)
    for make, message in (
        (lambda: checks.flag("resume", "no"), "resume: expected True or False, got 'no'"),
        (lambda: checks.flag("resume", 1), "resume: expected True or False, got 1"),
        (lambda: checks.choice("kind", "c", ("a", "b")), "kind: expected one of .'a', 'b'., got 'c'"),
        (lambda: checks.choice("kind", ["a"], ("a", "b")), "kind: expected one of .'a', 'b'., got .'a'."),
        (lambda: checks.integers("layers", [2, 1.5], 1), r"layers\[1\]: expected an integer >= 1, got 1.5"),
        (lambda: checks.integers("layers", 5, 1), "layers: expected a sequence of integers >= 1, got 5"),
        (lambda: checks.integers("layers", "25", 1), "layers: expected a sequence of integers >= 1, got '25'"),
    ):
        with pytest.raises(InputError, match=message):
            make()


def test_long_values_are_cut_in_messages() -> None:
    with pytest.raises(InputError) as info:
        checks.integer("n", np.zeros((50, 50)), 1)
    assert len(str(info.value)) < 150
    assert "\n" not in str(info.value)
