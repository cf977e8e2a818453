"""Instructions of PTX against what they are defined to compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ran import computed

from bench.emulator.arithmetic import approximate, flushed, operation
from bench.emulator.faults import NotModelled
from bench.emulator.warps import product, reduced, shuffled, voted

RNG = np.random.default_rng(0)
FLOATS = RNG.normal(size=32).astype(np.float32)
OTHERS = RNG.normal(size=32).astype(np.float32)
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 3e-42], np.float32)
WORDS = RNG.integers(0, 1 << 32, 32, dtype=np.uint32)
SMALL = RNG.integers(0, 40, 32, dtype=np.uint32)
LANE = np.arange(32)

Case = tuple[str, tuple[np.ndarray, ...], str, Callable[..., Any]]
CASES: list[Case] = [
    ("fma.rn.f32 %r9, %r2, %r3, %r2", (FLOATS, OTHERS), "float32",
     lambda a, b: (a.astype(np.float64) * b + a).astype(np.float32)),
    ("add.f32 %r9, %r2, 0f3F800000", (FLOATS,), "float32", lambda a: a + np.float32(1)),
    ("div.rn.f32 %r9, %r2, %r3", (FLOATS, OTHERS), "float32", lambda a, b: a / b),
    ("abs.ftz.f32 %r9, %r2", (SPECIAL,), "float32", lambda a: np.where(np.abs(a) < 1e-38, 0, np.abs(a))),
    ("min.f32 %r9, %r2, 0f3F800000", (SPECIAL,), "float32", lambda a: np.fmin(a, np.float32(1))),
    ("min.NaN.f32 %r9, %r2, 0f3F800000", (SPECIAL,), "float32", lambda a: np.minimum(a, np.float32(1))),
    ("add.s32 %r9, %r2, -3", (WORDS,), "uint32", lambda a: a - np.uint32(3)),
    ("mul.lo.s32 %r9, %r2, %r3", (WORDS, SMALL), "uint32", lambda a, b: a * b),
    ("mul.hi.u32 %r9, %r2, %r3", (WORDS, WORDS[::-1].copy()), "uint32",
     lambda a, b: (a.astype(np.uint64) * b >> np.uint64(32)).astype(np.uint32)),
    ("shl.b32 %r9, %r2, %r3", (WORDS, SMALL), "uint32",
     lambda a, n: ((a.astype(object) << n.astype(object)) % 2**32).astype(np.uint32)),
    ("shr.u32 %r9, %r2, %r3", (WORDS, SMALL), "uint32",
     lambda a, n: (a.astype(object) >> n.astype(object)).astype(np.uint32)),
    ("shr.s32 %r9, %r2, %r3", (WORDS, SMALL), "int32",
     lambda a, n: (a.view(np.int32).astype(object) >> n.astype(object)).astype(np.int32)),
    ("shf.l.wrap.b32 %r9, %r2, %r3, 7", (WORDS, WORDS[::-1].copy()), "uint32",
     lambda low, high: (high << np.uint32(7)) | (low >> np.uint32(25))),
    ("shf.r.clamp.b32 %r9, %r2, %r3, 32", (WORDS, WORDS[::-1].copy()), "uint32", lambda low, high: high),
    ("bfe.u32 %r9, %r2, 5, 7", (WORDS,), "uint32", lambda a: a >> np.uint32(5) & np.uint32(127)),
    ("bfe.s32 %r9, %r2, 3, 1", (WORDS,), "int32", lambda a: -(a >> np.uint32(3) & np.uint32(1)).astype(np.int32)),
    ("bfe.u32 %r9, %r2, 28, 9", (WORDS,), "uint32", lambda a: a >> np.uint32(28)),
    ("prmt.b32 %r9, %r2, %r3, 0x7210", (WORDS, WORDS[::-1].copy()), "uint32",
     lambda a, b: a & np.uint32(0xFFFFFF) | b & np.uint32(0xFF000000)),
    ("popc.b32 %r9, %r2", (WORDS,), "uint32", np.bitwise_count if hasattr(np, "bitwise_count") else
     np.vectorize(lambda x: bin(x).count("1"))),
    ("clz.b32 %r9, %r2", (SMALL,), "uint32", np.vectorize(lambda x: 32 - int(x).bit_length())),
    ("brev.b32 %r9, %r2", (SMALL,), "uint32", np.vectorize(lambda x: int(f"{x:032b}"[::-1], 2))),
    ("cvt.rzi.s32.f32 %r9, %r2", (100 * FLOATS,), "int32", lambda a: np.trunc(a).astype(np.int32)),
    ("cvt.rzi.s32.f32 %r9, %r2", (np.array([np.nan, np.inf, -np.inf, 3e9, -3e9], np.float32),), "int32",
     lambda a: np.resize(np.array([0, 2**31 - 1, -(2**31), 2**31 - 1, -(2**31)], np.int32), 32)),
    ("cvt.rni.f32.f32 %r9, %r2", (10 * FLOATS,), "float32", np.rint),
    ("cvt.rn.f32.s32 %r9, %r2", (WORDS,), "float32", lambda a: a.view(np.int32).astype(np.float32)),
    ("cvt.rna.tf32.f32 %r9, %r2", (FLOATS,), "float32",
     lambda a: ((a.view(np.uint32) + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)),
    ("sqrt.rn.f32 %r9, %r2", (np.abs(FLOATS),), "float32", np.sqrt),
    ("copysign.f32 %r9, %r2, %r3", (FLOATS, OTHERS), "float32", lambda a, b: np.copysign(b, a)),
]  # fmt: skip


@pytest.mark.parametrize(("instruction", "operands", "kind", "expected"), CASES, ids=[case[0] for case in CASES])
def test_instructions(instruction: str, operands: tuple[Any, ...], kind: str, expected: Callable[..., Any]) -> None:
    given = [np.resize(own, 32) for own in operands]
    with np.errstate(all="ignore"):
        right = np.asarray(expected(*given)).astype(kind)
    np.testing.assert_array_equal(computed(instruction, *operands, result=kind), right)


@pytest.mark.parametrize(
    ("how", "right"),
    [
        ("lt", [1, 0, 0]),
        ("ltu", [1, 0, 1]),
        ("ne", [1, 0, 0]),
        ("neu", [1, 0, 1]),
        ("num", [1, 1, 0]),
        ("nan", [0, 0, 1]),
    ],
)
def test_comparisons_know_nan(how: str, right: list[int]) -> None:
    given = np.array([0.5, 1, np.nan], np.float32)
    found = computed(f"setp.{how}.f32 %p1, %r2, 0f3F800000;\nselp.b32 %r9, 1, 0, %p1", given, result="uint32")
    assert found[:3].tolist() == right


def test_pairs_of_numbers() -> None:
    """Two float32 in a register of 64 bits, put together and taken apart."""
    body = "mov.b64 %rd20, {%r2, %r3};\nfma.rn.f32x2 %rd21, %rd20, %rd20, %rd20;\nmov.b64 {%r9, _}, %rd21"
    np.testing.assert_array_equal(
        computed(body, FLOATS, OTHERS), (FLOATS.astype(np.float64) * FLOATS + FLOATS).astype(np.float32)
    )
    high = body.replace("{%r9, _}", "{_, %r9}")
    np.testing.assert_array_equal(
        computed(high, FLOATS, OTHERS), (OTHERS.astype(np.float64) * OTHERS + OTHERS).astype(np.float32)
    )


def test_wide_products() -> None:
    found = computed("mad.wide.s32 %rd20, %r2, %r3, 5;\nshr.u64 %rd21, %rd20, 32;\ncvt.u32.u64 %r9, %rd21",
                     WORDS, SMALL, result="int32")  # fmt: skip
    right = (WORDS.view(np.int32).astype(np.int64) * SMALL + 5) >> 32
    np.testing.assert_array_equal(found, right.astype(np.int32))


@pytest.mark.parametrize(("name", "function", "ulps"), [("ex2", np.exp2, 2), ("rcp", lambda x: 1 / x, 1)])
def test_approximations_err_as_much_as_is_allowed(name: str, function: Callable[..., Any], ulps: float) -> None:
    x = np.linspace(0.1, 3, 20_000, dtype=np.float32)
    found = computed(f"{name}.approx.ftz.f32 %r9, %r2", x, threads=20_000)
    right = function(x.astype(np.float64))
    error = np.abs(found - right) / np.spacing(np.abs(right).astype(np.float32))
    assert 0.5 < error.max() <= ulps


def test_approximations_meet_numbers_that_there_are() -> None:
    with np.errstate(over="ignore"):
        found = approximate(np.array([1.0, 0.25, np.inf, 0.0, -1e40]), 2)
    assert found.tolist() == [1, 0.25, np.inf, 0, -np.inf]
    assert flushed(np.array([1e-45, -1e-40, 1.0], np.float32)).tolist() == [0, 0, 1]


@pytest.mark.parametrize(("how", "by", "right"), [
    ("bfly", 3, LANE ^ 3), ("idx", 5, np.full(32, 5)), ("down", 4, np.where(LANE + 4 < 32, LANE + 4, LANE)),
    ("up", 4, np.where(LANE >= 4, LANE - 4, LANE)),
])  # fmt: skip
def test_shuffles(how: str, by: int, right: np.ndarray) -> None:
    clamp = np.uint32(0 if how == "up" else 31)
    found, _ = shuffled(how, np.arange(64), np.full(64, by, np.uint32), np.full(64, clamp))
    np.testing.assert_array_equal(found, np.concatenate([right, right + 32]))


def test_shuffles_within_segments() -> None:
    """Of eight lanes each: the mask in the upper bits of the last operand."""
    found, is_there = shuffled("down", LANE, np.full(32, 6, np.uint32), np.full(32, 24 << 8 | 31, np.uint32))
    np.testing.assert_array_equal(found, np.where(LANE % 8 < 2, LANE + 6, LANE))
    np.testing.assert_array_equal(is_there, LANE % 8 < 2)


def test_reductions_and_votes_are_by_warp() -> None:
    values = np.arange(64, dtype=np.int32)
    assert reduced("add", values)[[0, 63]].tolist() == [496, 496 + 32 * 32]
    assert voted("ballot", values % 2 == 0)[0] == 0x55555555
    assert voted("any", values == 40)[[0, 32]].tolist() == [False, True]


@pytest.mark.parametrize(
    ("shape", "kinds", "tolerance"),
    [
        ("m16n8k8", "f32.tf32.tf32.f32", 1e-6),
        ("m16n8k16", "f64.f64.f64.f64", 1e-14),
        ("m8n8k4", "f64.f64.f64.f64", 1e-14),
    ],
)
def test_products_of_matrices(shape: str, kinds: str, tolerance: float) -> None:
    own = product(f"mma.sync.aligned.{shape}.row.col.{kinds}".split("."))
    m, k = own.m, own.k
    a, b, c = (RNG.normal(size=size) for size in ((2, m, k), (2, k, 8), (2, m, 8)))
    if own.kind == "tf32":  # which have eleven bits
        a, b = (np.round(whole * 256) / 256 for whole in (a, b))
    spread = [[whole[:, i, j].ravel() for i, j in places] for whole, places in ((a, own.a), (b, own.b), (c, own.c))]
    found = np.zeros((2, m, 8))
    for part, (i, j) in zip(own(*spread), own.c, strict=True):
        found[:, i, j] = part.reshape(2, 32)
    assert np.abs(found - (a @ b + c)).max() < tolerance


def test_sums_of_tensor_cores_are_cut_off() -> None:
    """Three quarters of a unit of the last place, added to 1, are lost: rounding would make a whole one of them."""
    own = product(("mma", "sync", "aligned", "m16n8k8", "row", "col", "f32", "tf32", "tf32", "f32"))
    one, small = np.ones(32), np.full(32, 3 * 2.0**-25)
    zero = np.zeros(32)
    lane_of_k0 = np.where(LANE % 4 == 0, small, zero)
    found = own([lane_of_k0, lane_of_k0, zero, zero], [np.where(LANE % 4 == 0, one, zero), zero], [one] * 4)
    assert found[0].tolist() == [1.0] * 32


@pytest.mark.parametrize("text", [
    "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", "mma.sync.aligned.m16n8k8.col.col.f32.tf32.tf32.f32",
])  # fmt: skip
def test_unknown_products_are_named(text: str) -> None:
    with pytest.raises(NotModelled, match="m16n8k"):
        product(text.split("."))


@pytest.mark.parametrize("text", ["add.rz.f32", "cvt.rn.bf16x2.f32", "mul.hi.s64", "cvt.s32.f32", "bfe.u64"])
def test_unknown_forms_are_named(text: str) -> None:
    with pytest.raises(NotModelled, match=text.split(".")[1]):
        operation(text.split("."))
