"""What a discovery left in its folder: used only if it is whole, and as it was when the discovery ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..discovery.found import DISCOVERY_SCHEMA
from ..kernels.errors import CheckpointError, InputError
from ..networks.structure import Structure
from .files import ADVICE, RUN, check_digests, is_finished, read_json, seal

STRUCTURE, EVIDENCE = "structure.json", "discovery.json"
_DIGESTED = (STRUCTURE, EVIDENCE)


def check_discovered(place: Path) -> None:
    """There is nothing, or what was left when the discovery was interrupted, or all of it.

    Discoveries of earlier versions have no digests: theirs only have to be there, and readable.

    Raises:
        InputError: a file is gone, damaged, or was changed after the discovery had ended; or nothing says whose it is.
    """
    there = [name for name in _DIGESTED if (place / name).exists()]
    if there and not (place / RUN).exists():
        raise InputError(f"out: {place} has {', '.join(there)}, but no {RUN} that says whose they are; {ADVICE}")
    if is_finished(place):
        check_digests(place, _DIGESTED, "discovery")
    elif EVIDENCE not in there:  # which is written last
        return
    elif STRUCTURE not in there:
        raise InputError(f"out: {place / STRUCTURE} is gone; bring it back, or {ADVICE}")
    read_json(place / EVIDENCE, DISCOVERY_SCHEMA)
    _loaded(place)


def read_discovered(place: Path) -> Structure | None:
    """The structure that was discovered, sealed from now on; None where there is none yet.

    Raises:
        InputError: see `check_discovered`.
    """
    check_discovered(place)
    if not (place / EVIDENCE).exists():
        return None
    if not is_finished(place):
        seal(place, _DIGESTED)
    return _loaded(place)


def read_evidence(place: Path) -> dict[str, Any] | None:
    """The discovery.json that a report tells of; None where there is none.

    Raises:
        InputError: it is damaged; or it or its structure is gone or was changed after the discovery had ended.
    """
    if is_finished(place):
        check_digests(place, _DIGESTED, "discovery")
    return read_json(place / EVIDENCE, DISCOVERY_SCHEMA) if (place / EVIDENCE).exists() else None


def _loaded(place: Path) -> Structure:
    try:
        return Structure.load(place / STRUCTURE)
    except (CheckpointError, InputError) as error:
        raise InputError(f"out: {error}; {ADVICE}") from None
