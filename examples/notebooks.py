"""The gallery's scripts as executed notebooks, with thumbnails and the page that lists them: ``make gallery``.

A script is executed in an empty folder. What differs between two machines or two runs, other than numbers, is left
out of its notebook: paths, kernels' names, times, identifiers of cells.
"""

from __future__ import annotations

import argparse
import base64
import io
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import numpy as np
import numpy.typing as npt
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "examples" / "gallery"
PAGES = ROOT / "docs" / "gallery"
# The order of the page.
GALLERY = {
    "Equations": (
        "laplace_symmetry", "poisson_exact_conditions", "burgers_shock", "helmholtz_sine", "kdv_solitons",
        "schroedinger_breather", "clamped_plate", "cavity_flow", "poisson_5d", "parametric_viscosity",
    ),
    "Long times": ("advection_periodic", "wave_march", "predator_prey"),
    "Geometry": ("heat_plate_with_hole", "stress_around_hole", "mesh_from_file"),
    "Unknown numbers and functions": (
        "inverse_diffusivity", "pendulum_from_csv", "quantum_oscillator", "unknown_conductivity",
    ),
    "Code for PyTorch": ("pytorch_loop",),
}  # fmt: skip
NAMES = tuple(name for names in GALLERY.values() for name in names)
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
# Width and height of thumbnails in pixels; bytes.
CARD, LARGEST_THUMBNAIL, LARGEST_NOTEBOOK = (360, 252), 40_000, 250_000


def main(arguments: Sequence[str] | None = None) -> int:
    commands = argparse.ArgumentParser(prog="python -m examples.notebooks", description=__doc__)
    commands.add_argument("names", nargs="*", metavar="NAME", help=f"which scripts; none: all ({', '.join(NAMES)})")
    names = commands.parse_args(arguments).names or NAMES
    if unknown := sorted(set(names) - set(NAMES)):
        commands.error(f"unknown: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    (PAGES / "thumbnails").mkdir(parents=True, exist_ok=True)
    for name in names:
        print(name, flush=True)
        notebook = executed(notebook_of((SCRIPTS / f"{name}.py").read_text(encoding="utf-8")))
        write(PAGES / f"{name}.ipynb", nbformat.writes(notebook).encode() + b"\n", LARGEST_NOTEBOOK)
        write(PAGES / "thumbnails" / f"{name}.png", thumbnail(pictures(notebook)[-1]), LARGEST_THUMBNAIL)
    (PAGES / "index.md").write_text(index(), encoding="utf-8")
    return 0


def notebook_of(script: str) -> Any:
    """The script's cells, not executed."""
    notebook = jupytext.reads(script, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(KERNEL)
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number}", nbformat.from_dict({})
    return notebook


def executed(notebook: Any) -> Any:
    """The notebook with its outputs, in place.

    Raises:
        CellExecutionError: a cell raises an error.
        ValueError: a cell writes to stderr, e.g. a warning.
    """
    with tempfile.TemporaryDirectory() as folder:
        where = {"metadata": {"path": folder}}
        NotebookClient(notebook, kernel_name="python3", resources=where, timeout=1800, record_timing=False).execute()
    notebook.metadata = nbformat.from_dict(KERNEL)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.get("name") == "stderr":
                raise ValueError(f"a cell writes to stderr: {output['text']}")
            if "image/png" in output.get("data", {}):
                output["data"] = {"image/png": output["data"]["image/png"]}
                output["metadata"] = nbformat.from_dict({})
    return notebook


def pictures(notebook: Any) -> list[bytes]:
    """As PNG, in order."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    found = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    return [base64.b64decode(picture) for picture in found]


def thumbnail(picture: bytes) -> bytes:
    """The left panel, small, on a card."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image = image.crop((0, 0, left_panel(np.asarray(image)), image.height))
    image.thumbnail(CARD, Image.Resampling.LANCZOS)
    card, out = Image.new("RGB", CARD, "white"), io.BytesIO()
    card.paste(image, ((CARD[0] - image.width) // 2, (CARD[1] - image.height) // 2))
    card.quantize(256, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def left_panel(pixels: npt.NDArray[np.uint8]) -> int:
    """Where it ends: in the first gap of white columns of a picture (height, width, 3) that is wide enough."""
    height, width, _ = pixels.shape
    white = "".join("01"[int(column)] for column in (pixels == 255).all((0, 2)))
    for gap in re.finditer(f"1{{{max(1, round(0.015 * height))},}}", white):
        if height < gap.start() and gap.end() < min(width, 1.7 * height):
            return (gap.start() + gap.end()) // 2
    return width


def write(path: Path, contents: bytes, most: int) -> None:
    """
    Raises:
        ValueError: more bytes than that.
    """
    if len(contents) > most:
        raise ValueError(f"{path.name}: {len(contents)} bytes, more than {most}; make its pictures smaller")
    path.write_bytes(contents)


def headline(script: str) -> tuple[str, str]:
    """The title, and the paragraph below it."""
    found = re.match(r"# %% \[markdown\]\n# # (.+)\n#\n((?:# .+\n)+)#\n", script)
    if found is None:
        raise ValueError("a script begins with a cell of Markdown: a title, a paragraph that says what is special")
    return found[1], " ".join(line.removeprefix("# ") for line in found[2].splitlines())


def index() -> str:
    """The page that lists the gallery."""
    lines = [
        "# Gallery\n\nEach page is a notebook that was executed as it is shown, by `make gallery`, from a script of "
        "`examples/gallery`. It poses one problem and shows one idea, in less than a minute on one core.\n"
    ]
    for group, names in GALLERY.items():
        lines.append(f'## {group}\n\n<div class="grid cards" markdown>\n')
        for name in names:
            title, summary = headline((SCRIPTS / f"{name}.py").read_text(encoding="utf-8"))
            lines.append(f"-   [![{title}](thumbnails/{name}.png)]({name}.ipynb)\n")
            lines.append(f"    **[{title}]({name}.ipynb)**\n\n    {summary}\n")
        lines.append("</div>\n")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
