"""Formulas, $...$ and $$...$$ as code hosts show them, become MathML, which browsers set themselves."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(text: str, **_: Any) -> str:
    return FORMULA.sub(_as_mathml, text)


def _as_mathml(match: re.Match[str]) -> str:
    tag, opening, latex = match.groups()
    formula = convert(html.unescape(latex), display="inline" if opening == "(" else "block")
    return f'<{tag} class="formula">{formula}</{tag}>'
