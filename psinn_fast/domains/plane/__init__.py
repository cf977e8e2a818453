"""Plane domains with exact boundaries."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ...kernels.errors import InputError
from ..domain import Domain


def combined(operation: str, one: Domain, other: Domain) -> Domain:
    raise InputError(f"{type(one).__name__} {operation} {type(other).__name__}: plane domains are not combined yet")


def moved(domain: Domain, matrix: npt.NDArray[np.float64], step: npt.NDArray[np.float64]) -> Domain:
    """x -> matrix x + step, a rigid motion."""
    raise InputError(f"{type(domain).__name__}: plane domains are not moved yet")


def renamed(domain: Domain, names: Mapping[str, str]) -> Domain:
    raise InputError(f"{type(domain).__name__}: parts of plane domains are not renamed yet")
