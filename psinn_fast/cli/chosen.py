"""Problems and networks as options name them."""

from __future__ import annotations

import argparse

from ..building import Network
from ..kernels.errors import InputError
from ..networks.structure import Structure
from ..problem.problem import Problem
from ..problems import get_problem, parse_number


def chosen_problem(options: argparse.Namespace) -> Problem:
    """By name, with its settings."""
    settings = {}
    for item in options.set:
        name, equals, value = item.partition("=")
        if not equals:
            raise InputError(f"set: expected NAME=VALUE, e.g. nu=0.04/pi, got {item!r}")
        if name.strip() in settings:
            raise InputError(f"set: {name.strip()} is given twice")
        settings[name.strip()] = parse_number(f"set: {name.strip()}", value)
    return get_problem(options.problem, settings)


def chosen_network(problem: Problem, options: argparse.Namespace) -> Network:
    """Which network is to be built for it."""
    return Network(
        options.method,
        layers=None if options.layers is None else integers("layers", options.layers),
        activation=options.activation,
        structure=_structure(problem, options.structure),
        width=options.width,
        dtype=options.dtype,
        device=options.device,
    )


def _structure(problem: Problem, given: str | None) -> Structure | None:
    if given != "paper":
        return None if given is None else Structure.load(given)
    if problem.recipe.structure is None:
        raise InputError(f"structure: problem {problem.name!r} has no published one")
    return problem.recipe.structure


def integers(name: str, text: str) -> tuple[int, ...]:
    """From "2,8,8,1"."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{name}: expected integers separated by commas, got {text!r}") from None
