"""A plain checkout, importable without being installed."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def link_tree(folder: Path) -> Path:
    """``folder`` filled with links: whoever starts Python there finds psinn_fast, its kernels, bench and tests.

    An installation puts ``kernels/`` inside the package; in the checkout it lies beside it.
    """
    package = folder / "psinn_fast"
    package.mkdir(parents=True)
    for path in ((ROOT / "kernels"), *(ROOT / "psinn_fast").iterdir()):
        (package / path.name).symlink_to(path)
    for name in ("bench", "tests", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    return folder
