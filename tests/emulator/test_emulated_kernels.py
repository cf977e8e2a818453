"""Kernels written by hand: which way threads go, what they find in memory, and what they must not do there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ran import ran, written

from bench.emulator.faults import Fault, NotModelled
from bench.emulator.machine import Machine
from bench.emulator.memory import wavefronts

LANE = np.arange(32)


def ints(n: int = 32, value: int = 0) -> torch.Tensor:
    return torch.full((n,), value, dtype=torch.int32)


def test_threads_that_part_and_meet_again() -> None:
    """Collatz: each thread's loop is as long as its number needs; the ones that are done wait."""
    n, out = torch.arange(1, 65, dtype=torch.int32), ints(64)
    body = """
	ld.global.b32 %r2, [%rd1];
	mov.u32 %r3, 0;
$again:
	setp.eq.s32 %p1, %r2, 1;
	@%p1 bra $done;
	and.b32 %r4, %r2, 1;
	setp.eq.s32 %p2, %r4, 0;
	@%p2 bra $even;
	mad.lo.s32 %r2, %r2, 3, 1;
	bra.uni $next;
$even:
	shr.u32 %r2, %r2, 1;
$next:
	add.s32 %r3, %r3, 1;
	bra $again;
$done:
	bar.sync 0;
	st.global.b32 [%rd2], %r3;
"""
    counts, machine = ran(body, n, out, threads=64)

    def steps(k: int) -> int:
        return 0 if k == 1 else 1 + steps(k // 2 if k % 2 == 0 else 3 * k + 1)

    assert out.tolist() == [steps(k) for k in range(1, 65)]
    at = [own.opcode[0] for own in machine.instructions].index("bar")
    assert counts.executed[at] == 2


def test_programs_and_vectors() -> None:
    """Every program writes its own part, four numbers a thread."""
    out = ints(3 * 32 * 4)
    body = """
	mov.u32 %r2, %ctaid.x;
	mov.u32 %r3, %ntid.x;
	mad.lo.s32 %r4, %r2, %r3, %r1;
	mad.wide.u32 %rd20, %r4, 16, %rd10;
	st.global.v4.b32 [ %rd20 + 0 ], { %r4, %r1, %r2, 7 };
"""
    ran(body, out, programs=3)
    assert out.view(-1, 4)[40].tolist() == [40, 8, 1, 7]


def test_functions_are_written_out() -> None:
    """A call with a parameter and a result, twice; the function has a loop, and returns early."""
    outside = """
.func (.param .b32 func_retval0) power(.param .b32 power_param_0)
{
	.reg .pred %p<3>;
	.reg .b32 %r<9>;
	ld.param.b32 %r1, [power_param_0];
	mov.u32 %r2, 1;
	setp.eq.s32 %p1, %r1, 0;
	@%p1 bra $L1;
$L0:
	shl.b32 %r2, %r2, 1;
	add.s32 %r1, %r1, -1;
	setp.ne.s32 %p2, %r1, 0;
	@%p2 bra $L0;
$L1:
	st.param.b32 [func_retval0], %r2;
	ret;
}
"""
    call = """
	{
	.param .b32 param0;
	.param .b32 retval0;
	st.param.b32 [param0], %r5;
	call.uni (retval0), power, (param0);
	ld.param.b32 %r6, [retval0];
	}
"""
    out = ints()
    body = f"and.b32 %r5, %r1, 3;\n{call}\nmov.u32 %r5, %r6;\n{call}\nst.global.b32 [%rd1], %r6;\n"
    ran(body, out, outside=outside)
    assert out[:5].tolist() == [2, 4, 16, 256, 2]


def test_registers_of_a_scope_are_its_own() -> None:
    out = ints()
    body = "".join(f"{{ .reg .b32 e; mov.u32 e, {k}; add.s32 %r{k}, e, %r1; }}\n" for k in (5, 6))
    ran(body + "add.s32 %r7, %r5, %r6;\nst.global.b32 [%rd1], %r7;\n", out)
    assert out[:2].tolist() == [11, 13]


def test_local_memory_is_each_threads_own() -> None:
    out = ints()
    body = """
	.local .align 8 .b8 __local_depot0[16];
	mov.b64 %rd20, __local_depot0;
	cvta.local.u64 %rd21, %rd20;
	st.local.b32 [%rd20+4], %r1;
	ld.local.b32 %r5, [%rd20+4];
	st.global.b32 [%rd1], %r5;
"""
    ran(body, out)
    assert out.tolist() == LANE.tolist()


EXCHANGE = """
	mov.u32 %r2, global_smem;
	shl.b32 %r3, %r1, 2;
	add.s32 %r4, %r2, %r3;
	st.shared.b32 [%r4], %r1;
	{barrier}
	xor.b32 %r5, %r3, {other};
	add.s32 %r6, %r2, %r5;
	ld.shared.b32 %r7, [%r6];
	st.global.b32 [%rd1], %r7;
"""


@pytest.mark.parametrize(
    ("other", "barrier", "races"),
    [(4, "bar.warp.sync -1;", 0), (4, "", 64), (128, "bar.sync 0;", 0), (128, "bar.warp.sync -1;", 64), (0, "", 0)],
    ids=["in a warp", "in a warp, without barrier", "across", "across, the warp's barrier", "with nobody"],
)
def test_races_in_shared_memory(other: int, barrier: str, races: int) -> None:
    counts, _ = ran(EXCHANGE.format(other=other, barrier=barrier), ints(64), threads=64, shared=256)
    assert counts.races == races


def test_a_write_behind_a_read_is_a_race_too() -> None:
    again = "add.s32 %r8, %r1, 1;\n{barrier}\nst.shared.b32 [%r4], %r8;\n"
    body = EXCHANGE.format(other=128, barrier="bar.sync 0;") + again
    for barrier, races in (("", 64), ("bar.sync 0;", 0)):
        counts, _ = ran(body.replace("{barrier}", barrier), ints(64), threads=64, shared=256)
        assert counts.races == races


def test_copies_of_a_number_may_be_written_by_all() -> None:
    """Equal ones; of others some are lost, which is counted."""
    body = "mov.u32 %r2, global_smem;\nmov.u32 %r3, {};\nst.shared.b32 [%r2], %r3;\n"
    for value, conflicts in (("5", 0), ("%tid.x", 63)):
        counts, _ = ran(body.format(value), ints(), threads=64, shared=16)
        assert (counts.races, counts.conflicts) == (0, conflicts)


BAD = {
    "behind the end": ("st.global.b32 [%rd1+4], %r1;", "out of bounds: 4 bytes 128 bytes into a tensor of 128"),
    "before the start": ("ld.global.b32 %r2, [%rd1+-4];", "4 bytes before a tensor of 128"),
    "misaligned": ("ld.global.b32 %r2, [%rd1+2];", "misaligned access to global memory"),
    "a vector across the end": ("ld.global.v2.b32 {%r2, %r3}, [%rd10+124];", "misaligned"),
    "shared": ("mov.u32 %r2, global_smem;\nst.shared.b32 [%r2+64], %r1;", "out of bounds: 4 bytes at 64 of 64"),
    "shared, misaligned": ("mov.u32 %r2, global_smem;\nst.shared.b64 [%r2+4], %rd1;", "misaligned access to shared"),
    "a register that nobody wrote": (
        "add.s32 %r2, %r30, 1;\nst.global.b32 [%rd1], %r2;",
        "nobody wrote goes to global",
    ),
    "shared memory that nobody wrote": (
        "mov.u32 %r2, global_smem;\nld.shared.b32 %r3, [%r2];\nst.global.b32 [%rd1], %r3;",
        "nobody wrote goes to global",
    ),
    "an address that nobody wrote": ("ld.global.b32 %r2, [%rd30];", "nobody wrote decides"),
    "a guard that nobody wrote": ("@%p5 bra $end;\n$end:", "nobody wrote decides"),
    "a barrier that some leave out": (
        "setp.lt.u32 %p1, %r1, 8;\n@%p1 bra $a;\nbar.sync 0;\n$b:\nbra.uni $b;\n$a:\nbar.sync 0;",
        "wait for each other",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_a_kernel_must_not_do(name: str) -> None:
    body, message = BAD[name]
    with pytest.raises(Fault, match=message) as raised:
        ran(body + "\n", ints(), shared=64)
    assert any(line.split(";")[0].strip("{ \t") in str(raised.value) for line in body.splitlines())


def test_what_nobody_wrote_may_lie_unused() -> None:
    """Half of a pair, the choice that is not taken, another thread's part of a sum."""
    out = ints()
    body = """
	mov.b64 %rd20, {%r1, %r30};
	cvt.u32.u64 %r2, %rd20;
	setp.lt.u32 %p1, %r1, 99;
	selp.b32 %r3, %r2, %r31, %p1;
	setp.lt.u32 %p2, %r1, 16;
	@%p2 mov.u32 %r4, %r3;
	shfl.sync.idx.b32 %r5, %r4, 3, 31, -1;
	@%p2 st.global.b32 [%rd1], %r4;
	st.global.b32 [%rd1], %r5;
"""
    ran(body, out)
    assert out.tolist() == [3] * 32


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("wgmma.fence.sync.aligned;", "wgmma"),
        ("atom.global.add.u32 %r2, [%rd1], 1;", "atom.global.add.u32"),
        ("mov.u32 %r2, %clock;", "%clock"),
        ("bar.sync 1;", "bar.sync"),
        ("call.uni (%r2), nowhere, (%r1);", "nowhere"),
        ("ld.b32 %r2, [%rd1];", "ld.b32"),
    ],
)
def test_unknown_instructions_are_named(text: str, named: str) -> None:
    with pytest.raises(NotModelled, match=named.replace(".", r"\.").replace("%", ".")):
        Machine(written(text + "\n"), 0, 32)


@pytest.mark.parametrize(
    ("at", "size", "expected"),
    [
        (4 * LANE, 4, (1, 1)),
        (0 * LANE, 4, (1, 1)),  # one word for all
        (128 * LANE, 4, (32, 32)),
        (8 * LANE, 4, (2, 2)),
        (4 * (33 * LANE), 4, (1, 1)),
        (16 * LANE, 16, (4, 4)),
        (8 * LANE, 8, (2, 2)),
        (0 * LANE, 16, (1, 4)),  # quarters of a warp that want the same, together or in turn
        (16 * (LANE % 8), 16, (1, 4)),
        (128 * LANE, 16, (32, 32)),
    ],
)
def test_passes_through_shared_memory(at: np.ndarray, size: int, expected: tuple[int, int]) -> None:
    assert wavefronts(at, size, LANE) == expected
    assert wavefronts(np.concatenate([at, at]), size, np.arange(64)) == (2 * expected[0], 2 * expected[1])


def test_passes_of_some_threads_alone() -> None:
    assert wavefronts(128 * LANE[::4], 4, LANE[::4]) == (8, 8)


def test_what_is_counted() -> None:
    body = EXCHANGE.format(other=4, barrier="bar.warp.sync -1;")
    counts, machine = ran(body, ints(64), threads=64, programs=2, shared=256, is_counting=True)
    by_name = {own.text.split()[0]: number for number, own in enumerate(machine.instructions)}
    assert counts.wavefronts[by_name["st.shared.b32"]] == 4
    assert counts.executed[by_name["ld.shared.b32"]] == 4
    assert counts.sectors[by_name["st.global.b32"]] == 4 * 4


def test_rounds_of_loads() -> None:
    """A chain of three by address, by branch, and by shared memory; one beside it that waits for none of them."""
    body = """
	ld.global.b32 %r2, [%rd1];
	mad.wide.u32 %rd20, %r2, 4, %rd10;
	ld.global.b32 %r3, [%rd20];
	ld.global.b32 %r4, [%rd1];
	{then}
	st.global.b32 [%rd1], %r5;
"""
    by_branch = "setp.gt.u32 %p1, %r3, 5;\n@%p1 bra $a;\n$a:\nld.global.b32 %r5, [%rd1];"
    by_memory = """mov.u32 %r6, global_smem;
	st.shared.b32 [%r6], 0;
	st.shared.b32 [%r6], %r3;
	ld.shared.b32 %r7, [%r6];
	mad.wide.u32 %rd21, %r7, 4, %rd10;
	ld.global.b32 %r5, [%rd21];"""
    for then, rounds in (("mov.u32 %r5, %r4;", 2), (by_branch, 3), (by_memory, 3)):
        counts, _ = ran(body.format(then=then), ints(), shared=16, is_counting=True)
        assert counts.rounds == rounds
