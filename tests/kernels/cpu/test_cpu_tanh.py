"""tanh of every instruction set: at most 2 ulp off everywhere, odd to the bit, special values exact."""

from __future__ import annotations

import mpmath
import numpy as np
import numpy.typing as npt
import pytest

from psinn_fast.kernels.cpu.extension import instruction_sets, native

Array = npt.NDArray[np.floating]


def tanh(isa: str, x: Array) -> Array:
    module, y = native(), np.empty_like(x)
    assert module is not None
    function = module.tanh_float32 if x.dtype == np.float32 else module.tanh_float64
    function(module.isa(isa), x.ctypes.data, y.ctypes.data, x.size)
    return y


def ulps(value: Array, exact: npt.NDArray[np.longdouble]) -> npt.NDArray[np.longdouble]:
    """Distance to the exact value in units of the last place that it has in the result's format."""
    return np.abs(value.astype(np.longdouble) - exact) / np.spacing(np.abs(exact).astype(value.dtype))


@pytest.mark.parametrize("isa", instruction_sets())
def test_float32_over_all_bit_patterns(isa: str) -> None:
    infinity = int(np.float32(np.inf).view(np.uint32))
    x = np.arange(0, infinity, 997, dtype=np.uint32).view(np.float32)
    y = tanh(isa, x)
    error = ulps(y, np.tanh(x.astype(np.float64)).astype(np.longdouble))
    assert error.max() <= 2, f"{error.max()} ulp at {x[error.argmax()]!r}"
    assert (tanh(isa, -x).view(np.uint32) == (-y).view(np.uint32)).all()
    assert (np.abs(y) <= 1).all()


@pytest.mark.parametrize("isa", instruction_sets())
def test_float32_next_to_the_ends_of_intervals(isa: str) -> None:
    """The table is cut where 1 + |x| has three bits behind the leading one, exp at odd multiples of ln(2) / 4."""
    eighths = np.array([2**octave * (8 + k) / 8 - 1 for octave in range(4) for k in range(8)], dtype=np.float32)
    quarters = (np.arange(1, 54) * np.log(2) / 4).astype(np.float32)
    ends = np.concatenate([eighths, quarters, np.float32([9.0, 9.01, 9.02, 9.2, 9.5, 10.0])])
    x = (ends.view(np.int32)[:, None] + np.arange(-40, 41)).ravel()
    x = x[x >= 0].astype(np.uint32).view(np.float32)
    error = ulps(tanh(isa, x), np.tanh(x.astype(np.float64)).astype(np.longdouble))
    assert error.max() <= 2, f"{error.max()} ulp at {x[error.argmax()]!r}"


@pytest.mark.parametrize("isa", instruction_sets())
def test_float64(isa: str) -> None:
    quarters = np.arange(1, 111) * np.log(2) / 4
    x = np.unique(
        np.concatenate(
            [
                10.0 ** np.linspace(-320, 2, 400),
                10.0 ** np.linspace(-3, 1.4, 800),
                np.linspace(0, 22, 1200),
                np.linspace(0.16, 0.26, 500),
                np.linspace(9, 20, 400),
                *(np.nextafter(quarters, direction) for direction in (0, 100)),
                quarters,
            ]
        )
    )
    with mpmath.workdps(40):
        exact = [mpmath.tanh(mpmath.mpf(float(value))) for value in x]
        # Two parts: longdouble alone would add errors of its own below 2^-64.
        high = np.array([float(value) for value in exact])
        low = np.array([float(value - mpmath.mpf(float(h))) for value, h in zip(exact, high, strict=True)])
    y = tanh(isa, x)
    error = np.abs((y - high) - low) / np.spacing(high)
    assert error.max() <= 2, f"{error.max()} ulp at {x[error.argmax()]!r}"
    assert (tanh(isa, -x).view(np.uint64) == (-y).view(np.uint64)).all()
    assert (np.abs(y) <= 1).all()


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_values(isa: str, dtype: type) -> None:
    info = np.finfo(dtype)
    tiny = np.array([info.smallest_subnormal, 7 * info.smallest_subnormal, info.tiny / 3, info.tiny], dtype=dtype)
    x = np.array([0.0, -0.0, np.inf, -np.inf, info.max, -info.max, 1e3, -1e3], dtype=dtype)
    y = tanh(isa, x)
    assert y.tolist() == [0, 0, 1, -1, 1, -1, 1, -1]
    assert np.signbit(y).tolist() == [False, True] * 4
    # Far below the last place of 1, tanh x rounds to x.
    assert (tanh(isa, tiny) == tiny).all()
    assert (tanh(isa, -tiny) == -tiny).all()
    assert np.isnan(tanh(isa, np.array([np.nan, -np.nan, 1.0], dtype=dtype))).tolist() == [True, True, False]


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("n", [0, 1, 3, 8, 17, 100])
def test_lengths(isa: str, n: int) -> None:
    """Whole vectors and what is left; nothing behind the end is written."""
    x = np.linspace(-3, 3, n + 1)
    y = np.full(n + 1, 7.0)
    module = native()
    assert module is not None
    module.tanh_float64(module.isa(isa), x.ctypes.data, y.ctypes.data, n)
    np.testing.assert_allclose(y[:n], np.tanh(x[:n]), rtol=1e-15)
    assert y[n] == 7


def test_unknown_instruction_set() -> None:
    module = native()
    if module is None:
        pytest.skip("the C++ kernels were not built")
    with pytest.raises(ValueError, match="instruction set not available: mmx"):
        module.isa("mmx")
