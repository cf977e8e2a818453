"""The gallery: its notebooks are its scripts, were executed, and its scripts run."""

from __future__ import annotations

import importlib.util
import json
import math
import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from few_steps import train_in_few_steps

import psinn_fast as pf
from examples import notebooks
from psinn_fast.marching import lengths, march

ROOT = Path(__file__).parents[2]
FEW_STEPS = 2


def script(name: str) -> str:
    return (notebooks.SCRIPTS / f"{name}.py").read_text(encoding="utf-8")


def stored(name: str) -> Any:
    return nbformat.read(notebooks.PAGES / f"{name}.ipynb", as_version=4)


def test_all_scripts_are_listed_and_have_notebooks() -> None:
    for found in (notebooks.SCRIPTS.glob("*.py"), notebooks.PAGES.glob("*.ipynb"), notebooks.PAGES.glob("*/*.png")):
        assert sorted(path.stem for path in found) == sorted(notebooks.NAMES)


def test_the_index_is_what_the_scripts_say() -> None:
    assert (notebooks.PAGES / "index.md").read_text(encoding="utf-8") == notebooks.index()


def test_the_site_lists_them_in_the_same_order() -> None:
    listed = re.findall(r"^ +- gallery/(\w+)\.md$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert tuple(listed) == ("index", *notebooks.NAMES)


@pytest.mark.parametrize("name", notebooks.NAMES)
def test_a_notebook_is_its_script_and_was_executed(name: str) -> None:
    found, expected = stored(name), notebooks.notebook_of(script(name))
    nbformat.validate(found)
    assert [(cell.cell_type, cell.source) for cell in found.cells] == [
        (cell.cell_type, cell.source) for cell in expected.cells
    ]
    code = [cell for cell in found.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"stream", "display_data", "execute_result"}
    assert notebooks.pictures(found)
    assert len("".join(output.get("text", "") for output in outputs).splitlines()) < 25


@pytest.mark.parametrize("name", notebooks.NAMES)
def test_a_notebook_says_nothing_of_where_and_when_it_ran(name: str) -> None:
    found = stored(name)
    assert found.metadata == notebooks.KERNEL
    assert [cell.metadata for cell in found.cells] == [{}] * len(found.cells)
    assert [cell.id for cell in found.cells] == [f"cell-{number}" for number in range(len(found.cells))]
    said = "".join(output.get("text", "") for cell in found.cells for output in cell.get("outputs", ()))
    assert not re.search(r"/(?:home|tmp|work|usr)/|\d s\b|0x[0-9a-f]{6}", said)


@pytest.mark.parametrize("name", notebooks.NAMES)
def test_files_are_small(name: str) -> None:
    assert (notebooks.PAGES / f"{name}.ipynb").stat().st_size <= notebooks.LARGEST_NOTEBOOK
    assert (notebooks.PAGES / "thumbnails" / f"{name}.png").stat().st_size <= notebooks.LARGEST_THUMBNAIL


@pytest.fixture
def _quickly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A few steps of training, figures that are made and not drawn."""
    monkeypatch.chdir(tmp_path)
    train_in_few_steps(monkeypatch, FEW_STEPS)
    discover, march_on = pf.discover, pf.march
    monkeypatch.setattr(pf, "discover", lambda problem: discover(problem, tests="problem"))
    monkeypatch.setattr(pf, "march", lambda problem, network, **_: march_on(problem, network, windows=2))
    for module in (lengths, march):  # a window counts as solved, whatever its residual
        monkeypatch.setattr(module, "HOPELESS", math.inf)
    monkeypatch.setattr(plt, "show", lambda: None)
    plt.switch_backend("agg")


@pytest.mark.usefixtures("_quickly")
@pytest.mark.parametrize("name", notebooks.NAMES)
def test_a_script_runs(name: str) -> None:
    code = re.sub(r"\bsteps=1_000\b", f"steps={FEW_STEPS}", script(name))  # of a loop of one's own
    exec(compile(code, name, "exec"), {"__name__": name})
    assert plt.get_fignums()
    plt.close("all")


def test_a_script_that_says_nothing_of_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="a title"):
        notebooks.headline("# %%\nimport psinn_fast as pf\n")


def test_a_thumbnail_shows_the_left_panel() -> None:
    pixels = np.full((100, 300, 3), 255, dtype=np.uint8)
    pixels[50, 5:120] = pixels[50, 130:290] = 0
    assert notebooks.left_panel(pixels) == 125
    pixels[50, 5:290] = 0
    assert notebooks.left_panel(pixels) == 300


def test_a_cell_that_warns_is_refused() -> None:
    quiet = notebooks.executed(notebooks.notebook_of("# %%\nprint(1)\n"))
    assert quiet.cells[0].outputs[0].text == "1\n"
    with pytest.raises(ValueError, match="stderr: oh"):
        notebooks.executed(notebooks.notebook_of("# %%\nimport sys\n\nprint('oh', file=sys.stderr)\n"))


def test_the_site_shows_what_the_notebooks_do() -> None:
    path = ROOT / "docs" / "site" / "gallery.py"
    pytest.importorskip("mkdocs", reason="it is a part of the extra docs")
    spec = importlib.util.spec_from_file_location("gallery", path)
    assert spec is not None
    assert spec.loader is not None
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    name = notebooks.NAMES[0]
    found = json.loads((notebooks.PAGES / f"{name}.ipynb").read_text(encoding="utf-8"))
    text, pictures = hook.page_of(found, name)
    assert list(pictures.values()) == notebooks.pictures(stored(name))
    assert all(f"]({place})" in text for place in pictures)
    assert f"\n\n# {notebooks.headline(script(name))[0]}\n" in text
    assert text.count("```python\n") == sum(cell["cell_type"] == "code" for cell in found["cells"])
