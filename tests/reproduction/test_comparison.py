"""Numbers beside the paper's, in words and in tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import psinn_fast as pf
from psinn_fast.reproduction.blocks import Items, Picture, Table, Text, number, times, whole, without_empty_columns
from psinn_fast.reproduction.cases import CASES, case_of
from psinn_fast.reproduction.comparison import Quantity, difference, fitting_norm, quantities, ranking
from psinn_fast.reproduction.markdown import markdown
from psinn_fast.reproduction.page import page
from psinn_fast.reproduction.records import Record, Records
from psinn_fast.reproduction.tables import case_table, parts_table, quantities_table, summary_table


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"), (float("nan"), "–"), (0.0, "0"), (1.159e-3, "1.2e-3"), (0.0123, "0.012"), (0.95, "0.95"),
        (9.96, "10"), (3.14159, "3.1"), (42.0, "42"), (1234.0, "1.2e3"), (-2.5e-7, "-2.5e-7"),
    ],
)  # fmt: skip
def test_numbers(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_words() -> None:
    assert [times(ratio) for ratio in (2.0, 0.1, 1e-5)] == ["2.0 times larger", "10 times smaller", "1e5 times smaller"]
    assert (whole(None), whole(80_000)) == ("–", "80\u202f000")


def record(method: str, seed: int, error: Any, setting: str = "paper", steps: int = 20) -> Record:
    run = {"case": "laplace", "setting": setting, "method": method, "seed": seed, "steps": steps}
    result = {
        "rmse": error,
        "relative_l2": 3.0,
        "mse": 1e-9,
        "parameters": 9,
        "steps": steps,
        "seconds": 1.0,
        "ended": "done",
    }
    return Record(f"{method}-{seed}", run, {**result, "coefficients": {}}, (), 1e-4, 40 if seed else None)


def made(*runs: Record) -> Records:
    return Records(Path(), runs, {}, ())


CASE = CASES[0]
RUNS = made(
    *(record("PINN", seed, error) for seed, error in enumerate((1.0e-3, 1.2e-3, 5e-3))),
    *(record("Psi-NN", seed, error) for seed, error in enumerate((5e-5, 6e-4, 7e-4))),
    record("PINN-post", 0, 4e-6),
)


def test_norm_that_fits(small_paper: Callable[[], pf.Problem]) -> None:
    problem = small_paper()
    assert fitting_norm(RUNS, CASE, problem) == "rmse"
    assert quantities(RUNS, CASE, problem) == [Quantity("RMSE", "rmse")]
    # A tenth of the paper's steps says nothing of its norm.
    assert fitting_norm(made(record("PINN", 0, 1e-3, steps=2)), CASE, problem) is None


def test_sentences(small_paper: Callable[[], pf.Problem]) -> None:
    problem = small_paper()
    quantity = Quantity("RMSE", "rmse")
    assert difference(RUNS, CASE, problem, quantity, "PINN") == (
        "PINN, RMSE: 1.2e-3, 1.0e-3 to 5.0e-3 in 3 seeds: as the paper's 1.16e-3."
    )
    assert difference(RUNS, CASE, problem, quantity, "Psi-NN") == (
        "Psi-NN, RMSE: 6.0e-4, 5.0e-5 to 7.0e-4 in 3 seeds: 8.1 times larger than the paper's 7.42e-5, which lies "
        "within our seeds."
    )
    assert difference(RUNS, CASE, problem, quantity, "PINN-post") == (
        "PINN-post, RMSE: 4.0e-6: 100 times smaller than the paper's 4.02e-4."
    )
    assert difference(made(), CASE, problem, quantity, "PINN") is None
    assert ranking(RUNS, CASE, problem, "paper", "Psi-NN", "PINN") == [
        "Psi-NN is better than PINN: RMSE 6.0e-4 against 1.2e-3 (medians)."
    ]
    assert ranking(RUNS, CASE, problem, "paper", "PINN", "Psi-NN")[0].startswith("PINN is not better than Psi-NN")


def test_tables(small_paper: Callable[[], pf.Problem]) -> None:
    problem = small_paper()
    table = case_table(RUNS, CASE, problem, "paper")
    cells = dict(zip(table.header, table.rows[0], strict=True))
    assert (cells["network"], cells["seeds"], cells["paper"], cells["RMSE (fits)"]) == (
        "PINN",
        "3",
        "1.159e-3",
        "1.2e-3",
    )
    assert cells["steps to loss 1e-3"] == "40 (2 of 3)"
    assert "boundary RMSE" not in cells
    (row,) = summary_table(RUNS, {"laplace": problem}).rows
    assert row[:6] == ("Laplace", "RMSE", "1.16e-3", "7.42e-5", "1.2e-3", "6.0e-4")
    assert without_empty_columns(Table(("a", "b", "c"), (("x", "–", "1"),))).header == ("a", "c")


def test_several_fields() -> None:
    pde = pf.PDE("x y", "u v", lambda u, v: (u.lap, v.lap))
    box = pf.Box(x=(-1, 1), y=(-1, 1))
    paper = pf.Paper(1e-3, 20, {"Psi-NN": {"u": 1e-4, "v": 2e-4}, "PINN": {"u": 1e-3}})
    problem = pf.Problem("two", pde, box, [pf.Residual(box.grid(5))], recipe=pf.Recipe(paper=paper))
    runs = made(*(record(method, 0, {"u": 1e-4, "v": 4e-4}) for method in ("PINN", "Psi-NN")))
    table = case_table(runs, CASE, problem, "paper")
    assert [row[:2] for row in table.rows] == [("PINN", "u"), ("PINN", "v"), ("Psi-NN", "u"), ("Psi-NN", "v")]
    column = table.header.index("paper")
    assert [row[column] for row in table.rows] == ["1.000e-3", "–", "1.000e-4", "2.000e-4"]
    found = quantities(runs, CASE, problem)
    assert [quantity.text for quantity in found] == ["RMSE of u", "RMSE of v"]
    assert difference(runs, CASE, problem, found[1], "Psi-NN") == (
        "Psi-NN, RMSE of v: 4.0e-4: 2.0 times larger than the paper's 2.00e-4."
    )


def test_quantities_and_parts() -> None:
    problem = pf.get_problem("cylinder")
    flow = case_of("cylinder")
    assert flow is not None
    runs = [record("PINN", seed, {"u": 1e-4, "v": 4e-4, "p": 1e-3}) for seed in (0, 1)]
    for seed, run in enumerate(runs):
        run.run["case"] = "cylinder"
        run.result.update(quantities={"drag": 20.0 + seed, "odd": None}, part_rmse={"inlet": {"u": 1e-3, "p": None}})
    table = quantities_table(made(*runs), flow, problem)
    assert table is not None
    assert table.header == ("network", "trained by", "drag", "odd")
    assert table.rows[1] == ("PINN", "Adam, as in the paper", "20.500", "–")
    parts = parts_table(made(*runs), flow, problem)
    assert parts is not None
    assert [row[2:] for row in parts.rows] == [("u", "1.0e-3"), ("v", "–"), ("p", "–")]
    assert quantities_table(RUNS, CASE, problem) is parts_table(RUNS, CASE, problem) is None


def test_text_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    blocks = [
        Text("a < b & <script>"),
        Items(("<b>",)),
        Table(("a|b",), (("<c>",),)),
        Picture(Path("a.png"), 'say "x"'),
    ]
    html = page(blocks, tmp_path)
    assert "<script" not in html
    assert "<c>" not in html
    assert "a &lt; b &amp; &lt;script&gt;" in html
    assert 'alt="say &quot;x&quot;"' in html
    assert "a\\|b" in markdown(blocks)


def test_cases() -> None:
    keys = [case.key for case in CASES]
    assert len(set(keys)) == len(keys)
    assert all(case_of(key) is case for key, case in zip(keys, CASES, strict=True))
