"""A kernel that does nothing but multiply-adds in registers: the most this chip can do without tensor cores."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

BLOCK, CHAINS, UNROLLED, WARPS = 1024, 8, 8, 8


@triton.jit
def multiply_adds(out, factors, ROUNDS: tl.constexpr, BLOCK: tl.constexpr, UNROLLED: tl.constexpr):
    """Eight chains of a <- a x + y in each of BLOCK elements: enough independent work for every latency."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x, y = tl.load(factors), tl.load(factors + 1)
    a = at.to(tl.float32)
    b, c, d, e, f, g, h = a + 1.0, a + 2.0, a + 3.0, a + 4.0, a + 5.0, a + 6.0, a + 7.0
    for _ in range(ROUNDS):
        for _ in tl.static_range(UNROLLED):
            a = a * x + y
            b = b * x + y
            c = c * x + y
            d = d * x + y
            e = e * x + y
            f = f * x + y
            g = g * x + y
            h = h * x + y
    tl.store(out + at, ((a + b) + (c + d)) + ((e + f) + (g + h)))


class MultiplyAdds:
    """``steps(n)`` launches the kernel n times; ``per_step`` multiply-adds each."""

    def __init__(self, device: str, programs: int, rounds: int) -> None:
        self._out = torch.empty(programs * BLOCK, device=device)
        self._factors = torch.tensor([0.999, 0.001], device=device)
        self._programs, self._rounds = programs, rounds
        self.per_step = programs * BLOCK * CHAINS * UNROLLED * rounds

    def steps(self, count: int) -> None:
        for _ in range(count):
            multiply_adds[(self._programs,)](
                self._out, self._factors, ROUNDS=self._rounds, BLOCK=BLOCK, UNROLLED=UNROLLED, num_warps=WARPS
            )

    def error(self) -> float:
        """Largest relative error of what the last step computed, against float64."""
        x, y = self._factors.double().tolist()
        n = UNROLLED * self._rounds
        start = torch.arange(self._out.numel(), dtype=torch.float64)
        power = x**n
        # The chains' sum; every chain is start * x^n + y (1 - x^n) / (1 - x).
        expected = (CHAINS * start + 28) * power + CHAINS * y * (1 - power) / (1 - x)
        return float(((self._out.double().cpu() - expected) / expected).abs().max())
