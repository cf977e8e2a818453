"""In a real kernel: progress is one line that is replaced, figures are shown, live plots redrawn."""

from __future__ import annotations

import base64
from collections import Counter
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="notebooks are run by nbclient and ipykernel (extra dev)")
nbclient = pytest.importorskip("nbclient", reason="notebooks are run by nbclient and ipykernel (extra dev)")
pytest.importorskip("ipykernel", reason="notebooks are run by nbclient and ipykernel (extra dev)")

CELLS = (
    """
import psinn_fast as pf
from psinn_fast.pictures import live
from psinn_fast.training import progress, stability
progress.CELL_SECONDS, live.FIRST_TAKES = 0.05, 0.0
stability.CHANGED_BESIDE, stability.CHANGED, stability.MOST_UNKNOWNS = 20, 40, 40
plot = pf.LivePlot(every=0.2, budget=0.3)
""",
    """
solution = pf.solve("laplace", pf.Network(layers=[2, 6, 1]), pf.Adam(1_000),
                    options=pf.Options(progress=True, callbacks=[plot]))
""",
    "solution",
    "solution.net.structure",
    "pf.structure_figure(solution.net.structure)",
)


@pytest.mark.trajectory
def test_what_cells_show() -> None:
    seen: list[Counter[str]] = []

    class Watching(nbclient.NotebookClient):  # type: ignore[misc, name-defined]  # of a package that may be missing
        def process_message(self, message: Any, cell: Any, number: int) -> Any:
            while len(seen) <= number:
                seen.append(Counter())
            seen[number][message["msg_type"]] += 1
            return super().process_message(message, cell, number)

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in CELLS])
    Watching(notebook, timeout=120, kernel_name="python3").execute()
    _, training, solution, structure, figure = (cell.outputs for cell in notebook.cells)
    shown = [output for output in training if output["output_type"] == "display_data"]
    assert len(shown) == len(training) == 2  # the line, and the picture
    line, picture = sorted(shown, key=lambda output: "image/png" in output["data"])
    assert "<progress " in line["data"]["text/html"]
    assert line["data"]["text/plain"].startswith("laplace pinn  1000/1000  ")
    assert png(picture["data"])
    assert seen[1]["update_display_data"] > 1
    assert "Solution of laplace" in solution[0]["data"]["text/html"]
    assert "<svg" in structure[0]["data"]["text/html"]
    assert png(figure[0]["data"])


def png(data: Any) -> bool:
    return base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
