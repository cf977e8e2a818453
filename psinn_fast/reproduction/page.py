"""A report as one HTML page that needs nothing else: pictures are within, there are no scripts."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from .blocks import Block, Code, Folded, Heading, Items, Picture, Table, Text

_STYLE = """
:root { color-scheme: light dark; --text: #1d2733; --soft: #5b6875; --line: #d9dee4; --back: #ffffff; --card: #f5f7f9; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e3e8ee; --soft: #9aa7b4; --line: #35404c; --back: #12171d; --card: #1a2129; }
  img { filter: brightness(0.9); }
}
body { margin: 0 auto; max-width: 78rem; padding: 1.5rem 1.2rem 4rem; color: var(--text); background: var(--back);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 1rem 0 0.6rem; }
h2 { font-size: 1.3rem; margin: 2.8rem 0 0.6rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.02rem; margin: 1.6rem 0 0.5rem; color: var(--soft); }
p, li { max-width: 48rem; }
ul { padding-left: 1.2rem; }
nav a { margin-right: 1rem; white-space: nowrap; }
a { color: inherit; }
.table { overflow-x: auto; margin: 0.6rem 0 1rem; }
table { border-collapse: collapse; font-size: 0.86rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.32rem 0.6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; white-space: normal; min-width: 4rem; }
.word { text-align: left; }
tbody tr:hover { background: var(--card); }
pre { background: var(--card); padding: 0.8rem 1rem; overflow-x: auto; border-radius: 6px; font-size: 0.82rem; }
figure { margin: 1.2rem 0; }
img { max-width: 100%; height: auto; background: #ffffff; border-radius: 6px; }
figcaption { color: var(--soft); font-size: 0.86rem; }
@media (max-width: 40rem) { figure div { overflow-x: auto; } img { max-width: none; width: 44rem; } }
summary { cursor: pointer; color: var(--soft); }
"""


def page(blocks: Sequence[Block], folder: Path) -> str:
    """``folder``: where the pictures' paths start."""
    title = next((block.text for block in blocks if isinstance(block, Heading)), "Report")
    sections = [block.text for block in blocks if isinstance(block, Heading) and block.level == 2]
    links = "".join(f'<a href="#{_anchor(text)}">{escape(text)}</a> ' for text in sections)
    body = "\n".join(_block(block, folder) for block in blocks)
    head, colon, rest = body.partition("</h1>")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"{head}{colon}\n<nav>{links}</nav>\n{rest}\n</body>\n</html>\n"
    )


def _block(block: Block, folder: Path) -> str:
    match block:
        case Heading(level, text):
            return f'<h{level} id="{_anchor(text)}">{escape(text)}</h{level}>'
        case Text(text):
            return f"<p>{escape(text)}</p>"
        case Items(texts):
            return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"
        case Code(text):
            return f"<pre>{escape(text)}</pre>"
        case Table():
            return _table(block)
        case Picture(path, text):
            data = base64.b64encode((folder / path).read_bytes()).decode("ascii")
            image = f'<img alt="{escape(text)}" src="data:image/png;base64,{data}">'
            return f"<figure><div>{image}</div><figcaption>{escape(text)}</figcaption></figure>"
        case Folded(title, inner):
            within = "\n".join(_block(part, folder) for part in inner)
            return f"<details><summary>{escape(title)}</summary>\n{within}\n</details>"


def _table(table: Table) -> str:
    def line(cells: Sequence[str], kind: str) -> str:
        styles = ['<{0} class="word">{1}</{0}>' if i < table.n_words else "<{0}>{1}</{0}>" for i in range(len(cells))]
        return "<tr>" + "".join(s.format(kind, escape(cell)) for s, cell in zip(styles, cells, strict=True)) + "</tr>"

    rows = "\n".join(line(row, "td") for row in table.rows)
    return f'<div class="table"><table><thead>{line(table.header, "th")}</thead><tbody>\n{rows}\n</tbody></table></div>'


def _anchor(text: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in text.lower())
