"""Files: read only if regular and of a sane size, written whole or not at all. Text is UTF-8, JSON is strict."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..kernels.errors import InputError, short

# Of JSON, in bytes: a structure of half a million symbols. Parsed, it takes up to 25 times as much.
MOST_TEXT = 2**23
# JSON integers beyond these are no sizes, symbols or steps of anything.
_LARGEST_INTEGER = 2**63


class BadJson(ValueError):
    """Text that is not JSON, or JSON that no file of ours holds: NaN, huge numbers, one key twice."""


def as_path(what: str, path: object) -> Path:
    """
    Raises:
        InputError: no path, or one with a NUL.
    """
    if not isinstance(path, (str, os.PathLike)) or not str(path).strip() or "\0" in str(path):
        raise InputError(f"{what}: expected the path of a file or folder, got {short(path)}")
    return Path(path)


def writable_file(what: str, path: object) -> Path:
    """A path where a file can be written, known before the work that it is to hold.

    Raises:
        InputError: there is a folder of that name, none to hold it, or it may not be written.
    """
    target = as_path(what, path)
    try:
        _check_replaceable(target)
        try_to_write(target.parent)
    except OSError as error:
        why = f"there is no folder {target.parent}" if isinstance(error, FileNotFoundError) else error.strerror or error
        raise InputError(f"{what}: cannot write to {target} ({why})") from None
    return target


def open_regular(path: str | Path) -> int:
    """A file descriptor for reading; pipes, devices and folders are refused, and none is waited for.

    Raises:
        OSError: there is no such file, or it is no regular one.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (TypeError, ValueError) as error:  # no path, or one with a NUL
        raise OSError(str(error)) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("not a regular file")
    return descriptor


def read_text(path: str | Path) -> str:
    """The whole of a text file.

    Raises:
        OSError: as for `open_regular`, or of more than 8 MB.
        UnicodeDecodeError: not UTF-8.
    """
    with open(open_regular(path), "rb") as file:
        contents = file.read(MOST_TEXT + 1)
    if len(contents) > MOST_TEXT:
        raise OSError(f"more than {MOST_TEXT} bytes")
    return contents.decode("utf-8")


def write_atomically(path: str | Path, contents: str | bytes) -> None:
    """A reader finds the old file or the new one, also after a crash; the folder's other files are never written to.

    The new one is created under a random name beside the old one, with the permissions of the umask, reaches the disk,
    and is renamed.

    Raises:
        OSError: it cannot be written, or what is there is no regular file or read-only; it is as it was.
    """
    target = as_path("path", path)
    _check_replaceable(target)
    descriptor, partial = _created(target.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(contents.encode("utf-8") if isinstance(contents, str) else contents)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    _sync_folder(target.parent)


def _check_replaceable(target: Path) -> None:
    """A rename would put a file in the place of devices, pipes and sockets, and ask no file's permission. Links go."""
    try:
        mode = target.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if not stat.S_ISREG(mode):
        raise OSError("there is something that is not a regular file")
    # The administrator may write to all files: that this one should not be is said by its mode alone.
    if not (mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) and os.access(target, os.W_OK)):
        raise OSError("the file there is read-only")


def move(path: Path, target: Path) -> None:
    """Rename a file, in its folder; another one there is replaced.

    Raises:
        OSError: it cannot be, or what is at either place is no regular file or read-only; both are as they were.
    """
    _check_replaceable(path)
    _check_replaceable(target)
    os.replace(path, target)


def try_to_write(folder: str | Path) -> None:
    """Make a file in a folder and remove it.

    Raises:
        OSError: it cannot be made.
    """
    descriptor, partial = _created(Path(folder))
    os.close(descriptor)
    partial.unlink()


def _created(folder: Path) -> tuple[int, Path]:
    """A new file, open for writing: no link and no file that someone has put there is opened."""
    path = folder / f".{secrets.token_hex(8)}.partial"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.open(path, flags, 0o666), path


def _sync_folder(folder: Path) -> None:
    """The rename reaches the disk, where folders can be opened and synchronised at all."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def to_json(value: Any, indent: int | None = 1) -> str:
    """JSON that every reader takes: ASCII, null for what is NaN or infinite, NumPy's numbers as plain ones."""
    return json.dumps(_plain(value), indent=indent, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def from_json(text: str) -> Any:
    """What the text says, if it says it in one way only.

    Raises:
        BadJson: not JSON, nested too deeply, a key twice in one object, NaN or infinity, a number out of range.
    """
    if len(text) > MOST_TEXT:
        raise BadJson(f"more than {MOST_TEXT} characters")
    try:
        return json.loads(
            text, parse_constant=_constant, parse_float=_float, parse_int=_integer, object_pairs_hook=_object
        )
    except BadJson:
        raise
    except ValueError as error:
        raise BadJson(f"not valid JSON ({error})") from None
    except RecursionError:
        raise BadJson("nested too deeply") from None


def _constant(name: str) -> Any:
    raise BadJson(f"{name} is no number that JSON has")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise BadJson(f"the number {text[:40]} is out of range")
    return value


def _integer(text: str) -> int:
    if len(text) > 20 or not -_LARGEST_INTEGER <= int(text) < _LARGEST_INTEGER:
        raise BadJson(f"the number {text[:40]} is out of range")
    return int(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict[str, Any]()
    for key, value in pairs:
        if key in found:
            raise BadJson(f"the entry {key[:40]!r} occurs twice")
        found[key] = value
    return found
