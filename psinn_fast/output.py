"""The files of an output folder: result.json, weights, structure, history, pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .evidence_plot import discovery_figure
from .kernels.errors import InputError
from .plots import (
    history_figure,
    overview_figure,
    relation_matrix_figure,
    save_figure,
    solution_figure,
    structure_figure,
)
from .structure import Structure
from .training.checkpoint import save_network

if TYPE_CHECKING:  # these modules write through this one
    from .discovery.discover import Discovery
    from .solving import Solution


def save_solution(solution: Solution, out: str | Path) -> None:
    """result.json, weights.safetensors, structure.json, history.csv, solution.png, loss.png, structure.png, R.png."""
    folder = writable_folder(out)
    (folder / "result.json").write_text(json.dumps(solution.to_dict(), indent=1) + "\n")
    (folder / "history.csv").write_text(solution.history.to_csv())
    save_network(folder / "weights.safetensors", solution.net, solution.coefficients)
    save_structure(solution.net.structure, folder)
    title = f"{solution.problem.name}, {solution.method}, step {solution.steps}"
    save_figure(solution_figure(solution.problem, solution.net, title), folder / "solution.png")
    if len(solution.history):
        save_figure(history_figure({solution.method: solution.history}, terms=True), folder / "loss.png")


def save_structure(structure: Structure, folder: Path) -> None:
    """structure.json and its pictures."""
    structure.save(folder / "structure.json")
    save_figure(structure_figure(structure), folder / "structure.png")
    save_figure(relation_matrix_figure(structure), folder / "R.png")


def save_discovery(discovery: Discovery, out: str | Path) -> None:
    """structure.json with its pictures, discovery.txt (the report), discovery.json and discovery.png (the evidence)."""
    folder = writable_folder(out)
    save_structure(discovery.structure, folder)
    (folder / "discovery.txt").write_text(discovery.report() + "\n")
    (folder / "discovery.json").write_text(json.dumps(discovery.to_dict(), indent=1) + "\n")
    save_figure(discovery_figure(discovery), folder / "discovery.png")


def save_comparison(rows: Sequence[tuple[str, Solution]], table: str, out: str | Path) -> None:
    """comparison.json, comparison.txt, loss curves of all, and an overview of the first Psi-NN."""
    folder = writable_folder(out)
    (folder / "comparison.json").write_text(json.dumps({name: row.to_dict() for name, row in rows}, indent=1) + "\n")
    (folder / "comparison.txt").write_text(table + "\n")
    save_figure(history_figure({name: row.history for name, row in rows}), folder / "comparison.png")
    tied = [row for _, row in rows if row.method == "psi"]
    if tied:
        save_figure(overview_figure(tied[0].problem, tied[0].net), folder / "overview.png")


def writable_folder(path: str | Path) -> Path:
    """The folder, made if need be.

    Raises:
        InputError: it cannot be made or written to.
    """
    folder = Path(path)
    probe = folder / ".psinn_fast_probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise InputError(f"out: cannot write to the folder {folder} ({error.strerror or error})") from None
    return folder
