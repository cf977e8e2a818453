"""Residuals of thousands of terms or hundreds of levels are traced in seconds, or refused."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from truth import Truth, check, residuals

import psinn_fast as pf
from psinn_fast.language import tracing


@pytest.mark.parametrize(("usual", "raised"), [(1_500, 5_000), (6_000, 6_000)])
def test_pythons_limit_is_raised_while_any_thread_traces(usual: int, raised: int) -> None:
    limit, start = sys.getrecursionlimit(), threading.Barrier(4)

    def work(number: int) -> tuple[int, str]:
        def residual(u: Any, x: Any) -> Any:
            seen.append(sys.getrecursionlimit())
            return nested(sp.sin, u.diff(sp.Symbol("x")), x, 40 + number)

        seen = list[int]()
        start.wait()
        text = pf.PDE("x y", "u", residual).traced().texts()[0]
        return seen[0], text[: text.index(" ")]

    try:
        sys.setrecursionlimit(usual)
        for _ in range(2):
            with ThreadPoolExecutor(4) as pool:
                assert list(pool.map(work, range(4))) == [(raised, f"({2 * (40 + n)}") for n in range(4)]
            assert sys.getrecursionlimit() == usual
    finally:
        sys.setrecursionlimit(limit)


def test_hundreds_of_terms() -> None:
    j = torch.arange(600)[:, None]
    check(
        "x", "u",
        lambda u, x: [sp.Add(*(sp.sin(j * x) * u for j in range(600))) - u.xx, u - sp.Add(*(x**j for j in range(600)))],
        lambda d: [torch.sin(j * d.x).sum(0) * d("u") - d("u", "xx"), d("u") - (d.x**j).sum(0)],
    )  # fmt: skip


def test_two_thousand_terms() -> None:
    pde = pf.PDE("x", "u", lambda u: sp.Add(*(sp.sin(u + j) for j in range(2000))) - u.xx)
    ops = [instruction.op for instruction in pf.Residual(np.zeros((1, 1))).traced(pde).program.instructions]
    assert ops.count("sin") == ops.count("cos") == 2000


def nested(sin: Callable[[Any], Any], u: Any, x: Any, levels: int) -> Any:
    for _ in range(levels):
        u = sin(u + x)
    return u


def test_three_hundred_levels() -> None:
    check(
        "x", "u",
        lambda u, x: u.x - nested(sp.sin, u, x, 300), lambda d: d("u", "x") - nested(torch.sin, d("u"), d.x, 300),
    )  # fmt: skip


def test_thousands_of_levels_are_refused() -> None:
    with pytest.raises(pf.InputError, match=r"(?s)^residual: .*nested too deeply"):
        residuals(pf.PDE("x", "u", lambda u, x: nested(lambda e: e * u, u, x, 4000)), Truth("x", "u"))


def test_what_can_be_written_but_not_lowered_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rewriting an expression goes a few times deeper than making it."""
    monkeypatch.setattr(tracing, "_DEPTH", 2500)
    pde = pf.PDE("x", "u", lambda u, x: u.x - nested(sp.sin, u, x, 500))
    with pytest.raises(pf.InputError, match=r"^term 'residual': the residual is nested too deeply$"):
        pf.Residual(np.zeros((1, 1))).traced(pde)
