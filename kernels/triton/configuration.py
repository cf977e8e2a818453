"""How a kernel is cut up: points per tile, warps per program, programs on the chip.

What works best is in tables, chip -> network -> {"block", "warps", "per_processor"}: first in the user's own file, then
in configurations.json beside this file, there under the chip itself or under "any". An autotuner needs three functions:

    key = signature(layout, dtype, precision)      # what is the same for networks that compile to the same code
    look_up(chip, key)                             # what is known, as an `Entry`, or None; chip: "sm_89"
    save_entry(chip, key, Entry(32, 4, 2))         # into the user's file

The user's file is the one that PSINN_FAST_CONFIGURATIONS names, else configurations.json in the folder that
PSINN_FAST_CACHE names, by default ~/.cache/psinn_fast. A folder that others can write to is refused; a file that is no
such table is ignored with a warning. `entry_for` looks there, and falls back on a rule.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import torch

from ..errors import InputError, say_once
from .layout import Layout
from .machine import is_interpreted

PRECISIONS = ("ieee", "tf32x3", "tf32")
TABLE_VARIABLE, CACHE_VARIABLE = "PSINN_FAST_CONFIGURATIONS", "PSINN_FAST_CACHE"
SHIPPED = Path(__file__).with_name("configurations.json")
ANY_CHIP = "any"
# There Triton takes float64 products to tensor cores, in tiles of 16 points a warp: more warps all compute the same.
DOUBLE_TENSOR_CORES = ("sm_80", "sm_90")
# 160 KB of shared memory and more.
LARGE_SHARED = ("sm_80", "sm_90")
# What a line of a table may say.
BLOCKS, WARPS = tuple(2**k for k in range(11)), tuple(2**k for k in range(6))
PER_PROCESSOR = tuple(range(1, 65))
LARGEST_TABLE = 1 << 24
# To the interpreter a tile costs nearly the same whatever its size.
INTERPRETED_BLOCK = 256
ROOT = 0

Table = dict[str, dict[str, "Entry"]]


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


def cache_folder() -> Path:
    """Where tile sizes are kept that were found on this machine.

    Raises:
        InputError: others can write there.
    """
    given = os.environ.get(CACHE_VARIABLE)
    folder = Path(given or Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "psinn_fast")
    try:
        found = folder.stat()
    except OSError:  # nothing there, or nothing to be seen
        return folder
    if not hasattr(os, "getuid"):  # Windows
        return folder
    if found.st_uid not in (os.getuid(), ROOT):
        reason, remedy = f"belongs to another user (number {found.st_uid})", "name a folder of your own there"
    elif found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        reason, remedy = f"can be written to by others (mode {stat.S_IMODE(found.st_mode):o})", f"chmod go-w {folder}"
    else:
        return folder
    raise InputError(f"{CACHE_VARIABLE}: the folder {folder.resolve()} {reason}; {remedy}")


def user_table() -> Path:
    given = os.environ.get(TABLE_VARIABLE)
    return Path(given) if given else cache_folder() / "configurations.json"


def load_table(path: Path) -> Table:
    """Empty where there is no file; and, with one warning, where it is none of ours: tiles are no reason to stop."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is no file")
        return _read(path, found.st_mtime_ns, found.st_size)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:  # wrong UTF-8 and JSON are ValueErrors
        say_once(f"tile sizes in {path} are not used: {error or type(error).__name__}")
        return {}


@lru_cache(maxsize=8)
def _read(path: Path, changed: int, size: int) -> Table:
    if size > LARGEST_TABLE:
        raise ValueError(f"{size} bytes are no table")
    return {
        chip: {key: _entry(value, f"{chip}, {key}") for key, value in _mapping(entries, chip).items()}
        for chip, entries in _mapping(json.loads(path.read_text("utf-8")), "the file").items()
    }


def _mapping(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"{where[:80]}: expected a mapping, got {type(value).__name__}")
    return value


def _entry(value: object, where: str) -> Entry:
    given = _mapping(value, where)
    allowed = {"block": BLOCKS, "warps": WARPS, "per_processor": PER_PROCESSOR}
    if set(given) != set(allowed):
        raise ValueError(f"{where[:80]}: expected {', '.join(allowed)}, got {', '.join(map(str, given))[:80]}")
    numbers = {}
    for name, numbers_allowed in allowed.items():
        number = given[name]
        if isinstance(number, bool) or not isinstance(number, int) or number not in numbers_allowed:
            raise ValueError(f"{where[:80]}: {name}: expected one of {numbers_allowed[0]} to {numbers_allowed[-1]}")
        numbers[name] = number
    return Entry(**numbers)


def look_up(chip: str, key: str) -> Entry | None:
    for path, name in ((user_table(), chip), (SHIPPED, chip), (SHIPPED, ANY_CHIP)):
        found = load_table(path).get(name, {}).get(key)
        if found is not None:
            return found
    return None


def save_entry(chip: str, key: str, entry: Entry) -> None:
    """Into the user's table; other entries stay.

    Raises:
        OSError: the file cannot be written.
        InputError: others can write to its folder.
    """
    path = user_table()
    table = {name: dict(entries) for name, entries in load_table(path).items()}
    table.setdefault(chip, {})[key] = entry
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    plain = {name: {key: asdict(own) for key, own in entries.items()} for name, entries in table.items()}
    # Renamed into place: another process never sees half a file.
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, suffix=".part", delete=False) as file:
        file.write(json.dumps(plain, indent=1) + "\n")
    os.replace(file.name, path)


def by_rule(chip: str, layout: Layout, dtype: torch.dtype, precision: str) -> Entry:
    """What did not spill, or issued the fewest instructions, for the networks of bench/static with such blocks."""
    width = widest_block(layout)
    if dtype == torch.float64:
        return Entry(16, 1, 8) if chip in DOUBLE_TENSOR_CORES else Entry(16, 8, 1)
    if precision != "ieee" and width <= 16:
        return Entry(16, 1, 8)
    if precision != "ieee":
        return Entry(16, 4, 2) if width <= 32 else Entry(16, 8, 1)
    if width > 32:
        if chip in LARGE_SHARED:
            return Entry(8, 4, 2) if width <= 64 else Entry(8, 8, 1)
        return Entry(8, 8, 1) if width <= 64 else Entry(4, 8, 1)
    if width <= 16 or any(len(mixing.neurons) > 1 for own in layout.boundaries for mixing in own.mixings):
        return Entry(8, 2, 4)
    return Entry(32, 8, 1)


def entry_for(chip: str, layout: Layout, dtype: torch.dtype, precision: str) -> Entry:
    """From the tables, else by the rule."""
    return look_up(chip, signature(layout, dtype, precision)) or by_rule(chip, layout, dtype, precision)


def choose(layout: Layout, dtype: torch.dtype, device: torch.device, precision: str) -> Configuration:
    if device.type != "cuda":  # something stands for a GPU, where programs run one after another
        user_table()  # a folder that is refused there is refused here
        return Configuration(INTERPRETED_BLOCK if is_interpreted() else 16, 1, 4, precision)
    return entry_for(chip_name(device), layout, dtype, precision).on(device, precision)
