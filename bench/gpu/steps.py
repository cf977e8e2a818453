"""Whole training steps: ours, and each peer against ours in alternating rounds. Right first, then timed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch

from .cases import BY_FUSED, BY_PRODUCTS, FUSED_WIDER, WIDER, case_of, cases, key_of, sizes, structures
from .clock import time_blocks
from .expected import chip, estimated
from .laplace.case import Case
from .laplace.check import check, expected_of
from .lines import Row
from .ours import ours
from .peers import Make, families, why_absent
from .settings import Settings, Task
from .timing import spread
from .tuning import networks

# A call of `train` costs more than its steps; training calls it rarely.
OWN_WEIGHT = 2.0
# Networks that bars are about.
BARRED = ("dense-32", "psi-32", "two-32")
# Seconds: compilers that were not prepared take most of it.
PEER_LIMIT = 120.0


def tasks(settings: Settings) -> list[Task]:
    """By what matters: our own in the bars' cases, each peer once in the first of them, its other forms, all others."""
    names = list(structures(settings.quick))
    # By points; of each both precisions, of the networks that bars are about first.
    pairs = sorted(networks(settings), key=lambda pair: names.index(pair[0]) >= len(BARRED))
    own = [
        Task(f"{key_of(case)}/ours/{precision}", partial(_ours, case, precision, settings))
        for points in sizes(settings)
        for name, precision in pairs
        for case in [case_of(name, points, settings)]
        if precision == "ieee" or points in sizes(settings)[:2]
    ]
    own += [
        Task(f"{key_of(case)}/ours/{way}", partial(_ours, case, way, settings), PEER_LIMIT)
        for points in sizes(settings)[:2]
        for name in WIDER
        if name in names
        for case in [case_of(name, points, settings)]
        for way in (BY_PRODUCTS, *([BY_FUSED] if name in FUSED_WIDER else []))
    ]
    peers = _peers(settings)
    barred = [task for task in own if task.key.split("@")[0] in BARRED and _points(task) in sizes(settings)[:2]]
    first = [task for task in peers if task.key.startswith(f"{key_of(cases(settings)[0])}/")]
    once = list({task.key.split("/")[1]: task for task in reversed(first)}.values())[::-1]
    ordered = dict.fromkeys(task.key for task in (*barred, *once, *first, *own, *peers))
    by_key = {task.key: task for task in (*own, *peers)}
    return [by_key[key] for key in ordered]


def _points(task: Task) -> int:
    return int(task.key.split("/")[0].split("@")[1])


def _peers(settings: Settings) -> list[Task]:
    names = list(structures(settings.quick))
    dense = [name for name in names if name.startswith("dense")]
    tied = [name for name in names if name.startswith("psi")]
    main, *other = sizes(settings)
    order = [case_of(name, main, settings) for name in dense]
    order += [case_of(name, points, settings) for points in other for name in dense]
    order += [case_of(name, main, settings) for name in tied]
    found = []
    for number, case in enumerate(order):
        for peer, ways in families(case, settings).items():
            where = f"{key_of(case)}/{peer}"
            if number == 0:
                found += [
                    Task(f"{where}/{form}", partial(_peer, case, {form: make}, peer, settings), PEER_LIMIT)
                    for form, make in ways.items()
                ]
            else:
                found.append(Task(f"{where}/fastest form", partial(_peer, case, ways, peer, settings), PEER_LIMIT))
    return found


def _ours(case: Case, precision: str, settings: Settings, done: Mapping[str, Row]) -> Row:
    ours.cache_clear()  # a step that a peer was compared with has been trained
    step = ours(case, precision)
    error = check(step, case)
    times = time_blocks({"ours": step}, settings, {"ours": OWN_WEIGHT})["ours"]
    row: Row = {
        **_description(case),
        "peer": "ours",
        "form": precision,
        "gradient_error": error,
        "microseconds_per_step": spread(times * 1e6),
    }
    if settings.device == "cuda" and (known := estimated(case.name, precision, chip(settings), case.points)):
        row["estimated"] = {
            "card": known[0],
            "microseconds": known[1],
            "ratio": float(np.median(times) * 1e6) / known[1],
        }
    return row


def _peer(case: Case, ways: Mapping[str, Make], peer: str, settings: Settings, done: Mapping[str, Row]) -> Row:
    """Of several ways the one that was fastest in the first case, where all are tried."""
    if reason := why_absent(peer, settings):
        return {"peer": peer, "absent": reason}
    form = _fastest(peer, list(ways), settings, done)
    expected_of(case)  # memory for this is not the peer's
    step = ways[form]()
    error = check(step, case)
    own = ours(case)
    times = time_blocks({peer: step, "ours": own}, settings, {"ours": OWN_WEIGHT})
    del step
    if settings.device == "cuda":
        torch.cuda.empty_cache()
    return {
        **_description(case),
        "peer": peer,
        "form": form,
        "gradient_error": error,
        "microseconds_per_step": spread(times[peer] * 1e6),
        "ours_microseconds_per_step": spread(times["ours"] * 1e6),
        "speedup": spread(times[peer] / times["ours"]),
    }


def _fastest(peer: str, forms: list[str], settings: Settings, done: Mapping[str, Row]) -> str:
    first = f"steps/{key_of(cases(settings)[0])}/{peer}"
    rows = {form: done.get(f"{first}/{form}", {}) for form in forms}
    timed = [form for form in forms if "microseconds_per_step" in rows[form]]
    return min(timed, key=lambda form: rows[form]["microseconds_per_step"]["median"], default=forms[0])


def _description(case: Case) -> Row:
    return {
        "network": case.name,
        "layers": list(case.layers),
        "points": case.points,
        "edge_points": 4 * case.edge_points,
    }
