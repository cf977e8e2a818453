"""How a kernel is cut up: points per tile, warps per program, programs on the chip.

What works best is in tables, chip -> network -> {"block", "warps", "per_processor"}: first in the user's own file, then
in configurations.json beside this file, there under the chip itself or under "any". An autotuner needs three functions:

    key = signature(layout, dtype, precision)      # what is the same for networks that compile to the same code
    look_up(chip, key)                             # what is known, as an `Entry`, or None; chip: "sm_89"
    save_entry(chip, key, Entry(32, 4, 2))         # into the user's file

The user's file is the one that PSINN_FAST_CONFIGURATIONS names, else configurations.json in the cache's folder, which
PSINN_FAST_CACHE names. `entry_for` looks there, and falls back on a rule.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import torch

from .layout import Layout
from .modules import cache_folder

PRECISIONS = ("ieee", "tf32x3", "tf32")
TABLE_VARIABLE = "PSINN_FAST_CONFIGURATIONS"
SHIPPED = Path(__file__).with_name("configurations.json")
ANY_CHIP = "any"
# There Triton takes float64 products to tensor cores, in tiles of 16 points a warp: more warps all compute the same.
DOUBLE_TENSOR_CORES = ("sm_80", "sm_90")

Table = dict[str, dict[str, dict[str, int]]]


@dataclass(frozen=True)
class Configuration:
    """``block``: points per tile; ``warps`` per program; ``programs`` in the grid; ``precision`` of products."""

    block: int
    warps: int
    programs: int
    precision: str = "ieee"


@dataclass(frozen=True)
class Entry:
    """A line of a table; ``per_processor``: programs per multiprocessor."""

    block: int
    warps: int
    per_processor: int

    def on(self, device: torch.device, precision: str) -> Configuration:
        processors = torch.cuda.get_device_properties(device).multi_processor_count
        return Configuration(self.block, self.warps, self.per_processor * processors, precision)


def widest_block(layout: Layout) -> int:
    return max((block.padded for own in layout.boundaries for block in own.neurons), default=16)


def lanes(layout: Layout, configuration: Configuration) -> int:
    """Points that lie in different threads where a thread holds four columns of one point."""
    return min(configuration.block, max(1, 32 * configuration.warps * 4 // widest_block(layout)))


def signature(layout: Layout, dtype: torch.dtype, precision: str) -> str:
    """Inputs, per hidden layer its tiles and its blocks' widths, outputs, precision: "2;1x32;1:1x32;1/ieee"."""
    parts = [str(layout.d_in)]
    for number, boundary in enumerate(layout.boundaries):
        widths = [block.padded for block in boundary.neurons]
        blocks = "+".join(f"{len(list(own))}x{width}" for width, own in groupby(widths))
        parts.append(f"{len(layout.products[number - 1])}:{blocks}" if number else blocks)
    parts.append(str(layout.d_out))
    return f"{';'.join(parts)}/{'float64' if dtype == torch.float64 else precision}"


def chip_name(device: torch.device) -> str:
    major, minor = torch.cuda.get_device_capability(device)
    return f"sm_{major}{minor}"


def user_table() -> Path:
    given = os.environ.get(TABLE_VARIABLE)
    return Path(given) if given else cache_folder() / "configurations.json"


def load_table(path: Path) -> Table:
    """Empty where there is no file, or none that can be read: a broken cache is no reason to stop."""
    try:
        return _read(path, path.stat().st_mtime_ns)
    except (OSError, ValueError):
        return {}


@lru_cache(maxsize=8)
def _read(path: Path, changed: int) -> Table:
    table: Table = json.loads(path.read_text())
    return table


def look_up(chip: str, key: str) -> Entry | None:
    for path, name in ((user_table(), chip), (SHIPPED, chip), (SHIPPED, ANY_CHIP)):
        found = load_table(path).get(name, {}).get(key)
        if found is not None:
            return Entry(**found)
    return None


def save_entry(chip: str, key: str, entry: Entry) -> None:
    """Into the user's table; other entries stay.

    Raises:
        OSError: the file cannot be written.
    """
    path = user_table()
    table = {name: dict(entries) for name, entries in load_table(path).items()}
    table.setdefault(chip, {})[key] = asdict(entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Renamed into place: another process never sees half a file.
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False) as file:
        file.write(json.dumps(table, indent=1) + "\n")
    os.replace(file.name, path)


def by_rule(chip: str, layout: Layout, dtype: torch.dtype, precision: str) -> Entry:
    """What did not spill, or issued the fewest instructions, for the networks of bench/static with such blocks."""
    width = widest_block(layout)
    if dtype == torch.float64:
        return Entry(16, 1, 8) if chip in DOUBLE_TENSOR_CORES else Entry(16, 8, 1)
    if precision != "ieee" and width <= 16:
        return Entry(16, 1, 8)
    if precision != "ieee" or width > 32:
        return Entry(16, 4 if width <= 64 else 8, 2)
    if width <= 16 or any(len(mixing.neurons) > 1 for own in layout.boundaries for mixing in own.mixings):
        return Entry(8, 2, 4)
    return Entry(32, 8, 1)


def entry_for(chip: str, layout: Layout, dtype: torch.dtype, precision: str) -> Entry:
    """From the tables, else by the rule."""
    return look_up(chip, signature(layout, dtype, precision)) or by_rule(chip, layout, dtype, precision)


def choose(layout: Layout, dtype: torch.dtype, device: torch.device, precision: str) -> Configuration:
    if device.type != "cuda":  # the interpreter, where programs run one after another
        return Configuration(16, 1, 4, precision)
    return entry_for(chip_name(device), layout, dtype, precision).on(device, precision)
