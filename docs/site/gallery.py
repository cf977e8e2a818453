"""Notebooks of the gallery become pages: text and code as they are, outputs below, pictures as files.

Links in the sources are those of the repository, to notebooks, which code hosts show.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

NOTEBOOK = re.compile(r"(\]\([^)\s]*gallery/\w+)\.ipynb\)")
GALLERY = Path(__file__).parents[1] / "gallery"


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    for path in sorted(GALLERY.glob("*.ipynb")):
        text, pictures = page_of(json.loads(path.read_text(encoding="utf-8")), path.stem)
        files.append(File.generated(config, f"gallery/{path.stem}.md", content=text))
        for name, picture in pictures.items():
            files.append(File.generated(config, f"gallery/{name}", content=picture))
    return files


def on_page_markdown(text: str, *, page: Page, **_: Any) -> str:
    source = page.file.src_uri
    if source == "gallery/index.md":
        return text.replace(".ipynb)", ".md)")
    # Pages of the gallery offer their own notebooks.
    return text if source.startswith("gallery/") else NOTEBOOK.sub(r"\1.md)", text)


def page_of(notebook: dict[str, Any], name: str) -> tuple[str, dict[str, bytes]]:
    """Markdown, and the pictures that it shows, by their paths beside it."""
    parts, pictures = ["---\nhide: [toc]\n---"], dict[str, bytes]()  # no headlines: wider instead
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                place = f"{name}/{len(pictures) + 1}.png"
                pictures[place] = base64.b64decode("".join(data["image/png"]))
                parts.append(f"![picture {len(pictures)}]({place})")
            else:
                said = "".join(output.get("text") or data.get("text/plain", ()))
                parts.append(f"```text\n{said.rstrip()}\n```")
    parts.append(f"[This page as a notebook]({name}.ipynb)")
    return "\n\n".join(parts) + "\n", pictures
