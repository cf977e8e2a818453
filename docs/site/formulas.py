"""Formulas, $...$ and $$...$$ as code hosts show them, become MathML, which browsers set themselves."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError
from mkdocs.structure.pages import Page

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(text: str, *, page: Page, **_: Any) -> str:
    try:
        return FORMULA.sub(_as_mathml, text)
    except ValueError as error:
        raise PluginError(f"{page.file.src_uri}: {error}") from error


def _as_mathml(match: re.Match[str]) -> str:
    tag, opening, latex = match.groups()
    formula = convert(html.unescape(latex), display="inline" if opening == "(" else "block")
    if "\\" in formula:
        raise ValueError(f"a command that is not known in {latex.strip()!r}")
    return f'<{tag} class="formula">{formula}</{tag}>'
