"""A file of results as one page of HTML with its pictures in it, and the pictures as PNGs beside it."""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from . import pictures
from .contestant import ENTRIES
from .equations import EQUATIONS
from .model import Model, fit
from .results import is_good

Row = dict[str, Any]

_STYLE = """
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
img{max-width:100%;background:#fff;border-radius:4px}table{border-collapse:collapse;font-size:.85rem}
td,th{padding:.2rem .6rem;border-bottom:1px solid #8886;text-align:right}td:first-child,th:first-child{text-align:left}
.wide{overflow-x:auto}small,figcaption{opacity:.75}figure{margin:1.5rem 0}
"""


def sections(results: Row) -> list[tuple[str, str, Callable[[], Figure | None]]]:
    """(name, what it shows, how it is drawn)."""
    rows = [dict(row) for row in results["rows"]]
    for row in rows:
        if row.get("equation") in EQUATIONS:
            row["order"] = EQUATIONS[row["equation"]].order
    model = fit(rows)
    said = f" Model: {model}." if model is not None else ""

    def grown() -> Figure | None:
        return pictures.growth(rows, model)

    return [
        ("steps", "One training step against every peer, medians of alternating rounds, bars from the 10th to the 90th "
         "percentile. Loss and gradient of each were compared with nested autograd in float64 first.",
         lambda: pictures.steps(rows)),
        ("loops", "Training loops of torch with our layers, derivatives or fused losses in them; iterations of "
         "Gauss-Newton.", lambda: pictures.steps(rows, ("loops", "iteration"))),
        ("layers", "Tied linear layers, forwards and backwards, beside nn.Linear of the same weights.",
         lambda: pictures.steps(rows, ("layers",))),
        ("flow", "A step on the flow past a cylinder.", lambda: pictures.steps(rows, ("flow",))),
        ("integrations", "Steps of DeepXDE and PINA, with their network and with ours, one line changed; and what of "
         "ours no kernel can shorten.", lambda: pictures.steps(rows, ("integrations",))),
        ("points", "Time and time per point against the number of points.", lambda: pictures.per_point(rows)),
        ("growth", "Time of a step against width, depth, order and inputs." + said, grown),
        ("relations", "What the relation matrix R saves.", lambda: pictures.relations(rows)),
        ("sets", "Time for each channel of sets of derivatives.", lambda: pictures.channel_sets(rows)),
        ("roofline", "Multiply-adds of products a second: what the machine can do at most, and what steps reach. First "
         "layer, activation, residual and optimiser count as nothing, so that no step can reach it.",
         lambda: pictures.roofline(rows, results)),
        ("memory", "Memory at the peak of a step, beyond what the process held before. What compilation left in the "
         "heap is used again unseen: of contestants that compile this is the least that it can be.",
         lambda: pictures.memory(rows)),
        ("accuracy", "Error at unseen points against the time of training.", lambda: pictures.accuracy(rows)),
    ]  # fmt: skip


def write(results: Row, folder: Path) -> Path:
    """report.html and a PNG for each picture; returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [f"<h1>psinn_fast, {escape(results['suite'])} suite</h1>", _about(results)]
    for name, text, draw in sections(results):
        figure = draw()
        if figure is None:
            continue
        png = png_of(figure, results)
        (folder / f"{name}.png").write_bytes(png)
        data = base64.b64encode(png).decode()
        caption = f"{escape(text)} <small>{escape(_made_by(results))}</small>"
        parts.append(
            f'<figure><img alt="{escape(name)}" src="data:image/png;base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    parts.append(_table(results))
    page = folder / "report.html"
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    page.write_text(
        f"{head}<title>psinn_fast benchmarks</title><style>{_STYLE}</style>{''.join(parts)}</html>", encoding="utf-8"
    )
    return page


def png_of(figure: Figure, results: Row, metadata: dict[str, str] | None = None) -> bytes:
    """With what made it written below, so that a picture alone says it."""
    versions = ", ".join(f"{name} {version}" for name, version in _versions(results).items())
    lines = textwrap.wrap(f"{_made_by(results)}; {versions}", 190)
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=5, color="#555555")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata=metadata)
    return buffer.getvalue()


def _made_by(results: Row) -> str:
    where = f"{results['command']}; {results['cpu']}, {results['threads']} thread(s)"
    return f"{where}; commit {results['commit']}, {results['date']}"


def _versions(results: Row) -> dict[str, str]:
    found: dict[str, str] = {}
    for row in results["rows"]:
        found |= row.get("versions", {})
    return dict(sorted(found.items()))


def _about(results: Row) -> str:
    peak = results["multiply_adds_per_second"]["float32"]
    machine = [
        f"{results['cpu']}, {results['processors']} processors, {results['threads']} used, "
        f"{results['instruction_set']}",
        f"at most {1e-9 * peak:.0f}e9 multiply-adds a second in float32" if peak else "no C++ kernels",
        f"{1e-9 * results['bytes_per_second']:.0f} GB/s, {results['compiler']}",
        ", ".join(f"{name} {version}" for name, version in _versions(results).items()),
        f"commit {results['commit']}, {results['date']}, load before {results['load']}",
        results["command"],
    ]
    return "<ul>" + "".join(f"<li>{escape(str(line))}</li>" for line in machine) + "</ul>"


def _table(results: Row) -> str:
    head = ("case", "contestant", "ms (10th to 90th percentile)", "steps of ours", "error in float64", "of peak", "MiB")
    lines = ["<h2>All rows</h2><div class=wide><table><tr>" + "".join(f"<th>{name}</th>" for name in head) + "</tr>"]
    for row in results["rows"]:
        if row["group"] != "jobs":
            lines.append("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in _cells(row)) + "</tr>")
    return "".join(lines) + "</table></div>"


def _cells(row: Row) -> list[str]:
    title = ENTRIES[row["contestant"]].title
    if not is_good(row):
        return [row["case"], title, row.get("failure") or row["absent"], "", "", "", ""]
    seconds, ratio = row["seconds"], row.get("over_ours")
    low, middle, high = (f"{1e3 * seconds[name]:.3g}" for name in ("p10", "median", "p90"))
    return [
        row["case"],
        title,
        f"{middle} ({low} to {high})",
        f"{ratio['median']:.2f} ({ratio['p10']:.2f} to {ratio['p90']:.2f})" if ratio else "",
        f"{row['error_float64']:.0e}" if "error_float64" in row else "",
        f"{row['share_of_peak']:.0%}" if "share_of_peak" in row else "",
        f"{row['peak_mebibytes']:.1f}" if row.get("peak_mebibytes") is not None else "",
    ]


def model_of(results: Row) -> Model | None:
    return fit(results["rows"])
