"""Notebooks of docs/gallery become pages: their text, code, and what it gave. Nothing is executed here."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

GALLERY = Path(__file__).parents[1] / "gallery"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The gallery's place in the navigation has all of its pages, in the order in which its first page names them."""
    own = [entry for entry in config.nav or [] if "Gallery" not in entry]
    index = GALLERY / "index.md"
    if index.exists():
        names = re.findall(r"\]\((\w+)\.ipynb\)", index.read_text(encoding="utf-8"))
        pages = ["gallery/index.md", *dict.fromkeys(f"gallery/{name}.md" for name in names)]
        own = [{"Gallery": pages} if "Gallery" in entry else entry for entry in config.nav or []]
    config.nav = own
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        files.remove(file)
        stem = file.src_uri.removesuffix(".ipynb")
        pictures: list[bytes] = []
        cells = json.loads(file.content_string)["cells"]
        text = "\n\n".join(part for cell in cells for part in _parts(cell, Path(stem).name, pictures))
        files.append(File.generated(config, f"{stem}.md", content=text))
        for number, picture in enumerate(pictures):
            files.append(File.generated(config, f"{stem}-{number}.png", content=picture))
    return files


def _parts(cell: dict[str, Any], name: str, pictures: list[bytes]) -> list[str]:
    """A cell as Markdown; its pictures are added to those of the notebook."""
    source = "".join(cell["source"])
    if cell["cell_type"] != "code":
        return [source]
    found = [f"````python\n{source}\n````"]
    for output in cell["outputs"]:
        data = output.get("data", {})
        if "image/png" in data:
            found.append(f"![]({name}-{len(pictures)}.png)")
            pictures.append(base64.b64decode("".join(data["image/png"])))
        elif said := "".join(output.get("text", data.get("text/plain", ""))):
            found.append(f"````text\n{said.rstrip()}\n````")
    return found
