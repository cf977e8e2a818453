"""Lines of generated source."""

from __future__ import annotations

INDENT = "    "


class Lines:
    """The body of a function, line by line; new variables have names of their own."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 1
        self._count = 0

    def line(self, text: str) -> None:
        self.lines.append(INDENT * self.depth + text)

    def set(self, name: str, value: str) -> str:
        self.line(f"{name} = {value}")
        return name

    def new(self, value: str) -> str:
        self._count += 1
        return self.set(f"v{self._count}", value)
