"""Names in docstrings, `Problem` in single backticks, lead to their place in the reference."""

from __future__ import annotations

import re
from typing import Any

import griffe

NAME = re.compile(r"(?<![`\[])`([A-Za-z]\w*)`(?!`)")


class PublicNames(griffe.Extension):
    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        self.public = set(pkg.exports or ())

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = NAME.sub(self._linked, obj.docstring.value)

    def _linked(self, match: re.Match[str]) -> str:
        name = match[1]
        return f"[`{name}`][psinn_fast.{name}]" if name in self.public else match[0]
