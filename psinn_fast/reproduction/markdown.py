"""A report as Markdown, pictures beside it."""

from __future__ import annotations

from collections.abc import Sequence

from .blocks import Block, Code, Folded, Heading, Items, Picture, Table, Text


def markdown(blocks: Sequence[Block]) -> str:
    return "\n\n".join(map(_block, blocks)) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {text}"
        case Text(text):
            return text
        case Items(texts):
            return "\n".join(f"- {text}" for text in texts)
        case Code(text):
            return f"```\n{text}\n```"
        case Table():
            return _table(block)
        case Picture(path, text):
            return f"![{text}]({path.as_posix()})\n\n*{text}*"
        case Folded(title, inner):
            return f"<details><summary>{title}</summary>\n\n{markdown(inner)}\n</details>"


def _table(table: Table) -> str:
    rule = tuple("---" if column < table.n_words else "---:" for column in range(len(table.header)))
    lines = [[cell.replace("|", "\\|") for cell in line] for line in (table.header, rule, *table.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
