"""Pages fetch nothing from elsewhere: readers are not told of to anybody, and the site works without a network."""

from __future__ import annotations

import re
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.pages import Page

FETCHED = re.compile(
    r'<(?:script|img|iframe|source)\b[^>]*\bsrc="?(?:https?:)?//[^>]*|<link\b[^>]*\bhref="?(?:https?:)?//[^>]*'
)


def on_post_page(output: str, *, page: Page, **_: Any) -> str:
    if found := FETCHED.search(output):
        raise PluginError(f"{page.file.src_uri}: fetched from elsewhere: {found[0]}")
    return output
