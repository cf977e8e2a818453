"""The rows of the table. Settings are chosen once per problem, never per seed."""

from __future__ import annotations

from . import cavity, elliptic, heat, many_dimensions, periodic, transport

CASES = (
    *transport.CASES,
    *elliptic.CASES,
    *periodic.CASES,
    *cavity.CASES,
    *heat.CASES,
    *many_dimensions.CASES,
)
