"""Contestants in this process, for tests: as `measure` has them in processes of their own."""

from __future__ import annotations

import importlib.metadata
import json

import numpy as np

from .case import Case
from .contestant import ENTRIES
from .measure import CHECKED_STEPS, Found
from .process import Failed
from .worker import serve


def is_installed(contestant: str) -> bool:
    try:
        importlib.metadata.version(ENTRIES[contestant].package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def found(contestant: str, case: Case) -> Found:
    """
    Raises:
        Failed: it takes no part, or raises.
    """
    commands = ({"do": "check"}, {"do": "steps", "count": CHECKED_STEPS}, {"do": "check"})
    answers = list(serve(ENTRIES[contestant], case, map(json.dumps, commands)))
    if len(answers) < 1 + len(commands):
        raise Failed(answers[-1])
    return Found(answers[1]["loss"], np.array(answers[1]["gradient"]), answers[-1]["loss"])
