"""In docstrings, `Problem` in single backticks leads to its place in the reference, docs/files.md to that page."""

from __future__ import annotations

import re
from typing import Any

import griffe

NAME = re.compile(r"(?<![`\[])`([A-Za-z]\w*)`(?!`)")
PAGE = re.compile(r"\bdocs/([\w/-]+)\.md(#[\w-]+)?")


class PublicNames(griffe.Extension):
    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        self.public = set(pkg.exports or ())

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            named = NAME.sub(self._linked, obj.docstring.value)
            obj.docstring.value = PAGE.sub(r"[\1](../\1.md\2)", named)

    def _linked(self, match: re.Match[str]) -> str:
        name = match[1]
        return f"[`{name}`][psinn_fast.{name}]" if name in self.public else match[0]
