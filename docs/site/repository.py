"""What pages link to outside of docs/: it becomes a part of the site, below repository/, and so do pages found there.

Links in the sources are those of the repository, so that pages read well there as well.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(\]\()(?!\w+:|#)([^)#\s]+)")
# Links of notebooks stand in them as in pages.
PAGES = (".md", ".ipynb")
# Shown as pages of code, since browsers offer them to be saved.
CODE = {".py": "python", ".h": "cpp", ".cpp": "cpp", ".toml": "toml"}


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    sources = (file.src_uri for file in files if file.src_uri.endswith(PAGES))
    waiting = [*(f"docs/{source}" for source in sources), "CHANGELOG.md"]
    seen = set(waiting)
    while waiting:
        source = waiting.pop()
        if not source.startswith("docs/"):
            files.append(_file(source, config))
        if source.endswith(PAGES):
            found = {_target(source, link) for _, link in LINK.findall((ROOT / source).read_text(encoding="utf-8"))}
            new = {target for target in found - seen if (ROOT / target).is_file() and not target.startswith("docs/")}
            waiting += sorted(new)
            seen |= new
    return files


def on_page_markdown(text: str, *, page: Page, **_: Any) -> str:
    source = page.file.src_uri
    own = source.removeprefix("repository/") if source.startswith("repository/") else f"docs/{source}"
    if not own.startswith("docs/"):
        page.meta["search"] = {"exclude": True}  # or the changelog would be what is found first

    def in_site(match: re.Match[str]) -> str:
        target = _target(own, match[2])
        if not (ROOT / target).is_file() or own.endswith(tuple(f"{ending}.md" for ending in CODE)):
            return match[0]
        return match[1] + posixpath.relpath(_in_site(target), posixpath.dirname(source))

    return LINK.sub(in_site, text)


def _target(source: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def _in_site(path: str) -> str:
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"repository/{path}.md" if Path(path).suffix in CODE else f"repository/{path}"


def _file(path: str, config: MkDocsConfig) -> File:
    language = CODE.get(Path(path).suffix)
    if language is None:
        return File.generated(config, _in_site(path), abs_src_path=str(ROOT / path))
    code = (ROOT / path).read_text(encoding="utf-8")
    return File.generated(
        config,
        _in_site(path),
        content=f"# {path}\n\n````{language}\n{code}\n````\n",
    )
