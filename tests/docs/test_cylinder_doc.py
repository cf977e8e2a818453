"""The examples of docs/cylinder.md run as they stand, and its figures are those of the results file."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import psinn_fast as pf

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "cylinder.md").read_text(encoding="utf-8")


def test_the_examples(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(compile(block, "cylinder.md", "exec"), names)
    assert "20328 nodes, 9984 triangles) (256, 2) 20.570461" in capsys.readouterr().out


def test_its_table_is_the_results_file() -> None:
    study = json.loads((ROOT / "bench" / "results" / "cylinder_reference.json").read_text(encoding="utf-8"))
    rows = re.findall(r"^\| ([\d,]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", TEXT, re.MULTILINE)
    case = study["cylinder"]
    for row, nodes, found in zip(rows, case["nodes"], case["quantities"], strict=True):
        values = (found[name] for name in ("drag", "drag_by_stress", "pressure_difference"))
        assert row == (f"{nodes:,}", *(f"{value:.5f}" for value in values))
    benchmark = study["schaefer_turek_2d1"]["quantities"][-1]
    assert f"drag {benchmark['drag']:.5f} (5.5795)" in TEXT
    assert f"difference {benchmark['pressure_difference']:.5f} (0.1175)" in TEXT


def test_it_names_every_setting() -> None:
    for name in re.findall(r"^\| `(\w+)` \| [01] \|", TEXT, re.MULTILINE):
        pf.get_problem("cylinder", {name: 1})


def test_errors_are_those_of_the_results() -> None:
    study = json.loads((ROOT / "bench" / "results" / "cylinder_gauss_newton.json").read_text(encoding="utf-8"))
    found = []
    for row in study["rows"]:
        for number in range(2):
            looks = [run["looks"][number] for run in row["runs"]]
            worst = [max(look["mse"][field] for look in looks) for field in "uvp"]
            drag = max(abs(look["drag"] / 20.57046 - 1) for look in looks)
            found.append([row["runs"][0]["parameters"], study["seconds"][number], *worst, 100 * drag])
    lines = re.findall(
        r"^\| (?:Psi-NN|PINN), .* \| (\d+) \| (\d+) s \| (.*) \| (.*) \| (.*) \| (.*) % \|$", TEXT, re.MULTILINE
    )
    for line, values in zip(lines, found, strict=True):
        assert [float(number) for number in line] == pytest.approx(values, rel=0.06)
