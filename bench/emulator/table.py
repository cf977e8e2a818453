"""Rows as text and as markdown. Everything here is emulated: nothing was timed, nothing ran on a chip."""

from __future__ import annotations

from typing import Any

from bench.section import Row

_COLUMNS = ("fma", "fma64", "mma", "special", "shared", "exchange", "compare", "integer")


def line(row: Row) -> str:
    start = f"{row['case']:36}{row['precision']:9}{row['chip']:8}"
    if "failure" in row:
        return f"{start}FAILED  {row['failure']}"
    point, plain = row["per_point"], row["error_of_float32"]
    beside = "" if plain is None else f" (torch {plain:.1e})"
    return (
        f"{start}{row['block']:>3} points {row['warps']} warps  error {row['gradient_error']:.1e}{beside}"
        f"{'' if row['is_right'] else ' WRONG'}  {row['races']} races  wavefronts a point {point['wavefronts']:.0f} to "
        f"{point['most_wavefronts']:.0f}  PTX instructions {sum(point['instructions'].values()):.0f}"
    )


def markdown(result: dict[str, Any]) -> str:
    text = [
        "# Emulated kernels",
        "",
        f"`{result['command']}`, {result['seconds']} s; Triton {result['triton']}, torch {result['torch']}, commit "
        f"{result['commit']}{' (with changes)' if result['dirty'] else ''}, {result['date']}.",
        "First kernel of a training step, residual term alone, as PTX on a CPU. **Emulated: nothing ran on a GPU.**",
        "Errors are relative (L2), of the gradient against float64. Wavefronts: passes through shared memory, from "
        "distinct words per bank to 128 bytes in turn. Warp instructions of PTX, per point, in the loop over tiles.",
        "",
        _line(["case", "precision", "chip", "points", "warps", "error", "torch's float32", "right", "races",
               "wavefronts", *_COLUMNS]),
        "|" + "---|" * (10 + len(_COLUMNS)),
    ]  # fmt: skip
    for row in result["rows"]:
        head = [row["case"], row["precision"], row["chip"]]
        if "failure" in row:
            text.append(_line([*head, f"failed: {row['failure']}", *[""] * (6 + len(_COLUMNS))]))
            continue
        point, plain = row["per_point"], row["error_of_float32"]
        cells = [*head, row["block"], row["warps"], f"{row['gradient_error']:.1e}"]
        cells += ["" if plain is None else f"{plain:.1e}", "yes" if row["is_right"] else "NO", row["races"]]
        cells += [f"{point['wavefronts']:.0f} to {point['most_wavefronts']:.0f}"]
        text.append(_line([*cells, *(point["instructions"].get(kind, 0) for kind in _COLUMNS)]))
    return "\n".join([*text, ""])


def _line(cells: list[Any]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
