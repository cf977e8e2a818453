"""Attributes of a user's domain neither overwrite the library's nor are overwritten, whenever they are set."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytest
import torch
from shapes import Ring

import psinn_fast as pf
from psinn_fast import Box, Disk, Domain, InputError

TAKEN = (
    "low", "high", "coords", "centre", "is_box", "contains", "boundary_at", "shrunk", "extent", "inside", "outside",
    "interior", "surface", "shares", "check", "random", "grid", "boundary", "outline", "symmetries", "on_boundary",
    "_measured", "_points", "_distances", "_is_finished", "_have",
)  # fmt: skip
FREE = ("size", "lower", "bounds", "dim", "name", "middle", "radius", "_own", "region", "normals", "face")


def rim(bases: type = Domain, **body: Any) -> Any:
    """A class of the unit disk with more in its body."""

    def boundary_at(self, part, unit):
        angle = 2 * np.pi * unit[:, 0]
        out = np.stack([np.cos(angle), np.sin(angle)], 1)
        return out, out

    own = {"parts": ("rim",), "contains": lambda self, p: np.hypot(*p.T) <= 1 + 1e-9, "boundary_at": boundary_at}
    return type("Rim", (bases,), {"__module__": __name__, **own, **body})


def with_attribute(name: str, when: str) -> Domain:
    def start(self):
        if when == "before":
            setattr(self, name, [3.0, 4.0])
        Domain.__init__(self, x=(-1, 1), y=(-1, 1))
        if when == "after":
            setattr(self, name, [3.0, 4.0])

    return rim(__init__=start, **({name: [3.0, 4.0]} if when == "body" else {}))()


@pytest.mark.parametrize("when", ["before", "after", "body"])
@pytest.mark.parametrize("name", TAKEN)
def test_taken(name: str, when: str) -> None:
    with pytest.raises(
        InputError, match=rf"^Rim: .*{name}.* is a name of the library's own .*call yours something else"
    ):
        with_attribute(name, when)


@pytest.mark.parametrize("when", ["before", "after", "body"])
@pytest.mark.parametrize("name", FREE)
def test_free(name: str, when: str) -> None:
    domain = with_attribute(name, when)
    domain.check()
    assert list(getattr(domain, name)) == [3.0, 4.0]
    assert (domain.boundary(9) == Disk().boundary(9)).all()


def test_names_of_the_library_s_own_shapes() -> None:
    class Wheel(Disk):
        def __init__(self, radius: float) -> None:
            self.radius = 2 * radius
            super().__init__(radius=radius)

    with pytest.raises(InputError, match=r"^Wheel: self\.radius = .* 'radius' is a name of the library's own"):
        Wheel(1.0)

    class Room(Box):
        def __init__(self) -> None:
            super().__init__(x=(0, 1))
            self.parts = ("left", "right")

    with pytest.raises(InputError, match=r"^Room: self\.parts"):
        Room()


def test_methods_override_methods() -> None:
    class Known(Ring):
        def extent(self, name):
            return super().extent(name)

        def random(self, n, seed=3):
            return super().random(n, seed)

        @property
        def centre(self):
            return self.middle

        @cached_property
        def area(self):
            return 3.0

    assert len(Known().random(5)) == 5
    for name in ("surface", "interior", "extent", "_distances"):  # other functions of the same names
        with pytest.raises(InputError, match=f"^Rim: its {name}: '{name}' is a name of the library's own"):
            rim(**{name: lambda self: 1.0})

    with pytest.raises(InputError, match=r"^Plate: its low: 'low'"):

        @dataclass
        class Plate(Domain):
            low: float = 0.1


class Holder(Domain):
    """The disk of radius size[0]."""

    parts = ("rim",)
    corners = np.zeros(3)

    def __init__(self, size: Any) -> None:
        self.size = size
        super().__init__(x=(-1, 1), y=(-1, 1))
        self.marks = []
        self.marks.append(1)

    def radius(self) -> float:
        size = self.size["r"] if isinstance(self.size, dict) else self.size
        return float(max(size) if isinstance(size, (set, frozenset, bytes)) else np.ravel(size)[0])

    def contains(self, points):
        return np.hypot(*points.T) <= self.radius() + 1e-9

    def boundary_at(self, part, unit):
        angle = 2 * np.pi * unit[:, 0]
        out = np.stack([np.cos(angle), np.sin(angle)], 1)
        return self.radius() * out, out


def _halve(size: Any) -> None:
    match size:
        case dict():
            size["r"] = 0.5
        case set():
            size.clear()
            size.add(0.5)
        case [list() as inner]:
            inner[0] = 0.5
        case [np.ndarray() as inner]:
            inner[0] = 0.5
        case _:
            size[0] = 0


HELD = {
    "list": [1.0], "nested list": [[1.0]], "array in a list": [np.array([1.0])], "array in a tuple": (np.array([1.0]),),
    "array": np.array([1.0]), "dict": {"r": 1.0}, "set": {1.0}, "bytearray": bytearray([1]), "tensor": torch.ones(1),
}  # fmt: skip


@pytest.mark.parametrize("name", HELD)
def test_what_a_domain_holds_does_not_change(name: str) -> None:
    size = copy.deepcopy(HELD[name])
    domain = Holder(size)
    before = np.array(domain.random(50, seed=0))
    if name == "array in a tuple":
        size[0][0] = 0.5
    else:
        _halve(size)
    for own in (domain, copy.deepcopy(domain), pickle.loads(pickle.dumps(domain))):
        assert (own.random(50, seed=0) == before).all()
        assert own.marks == (1,)
        if name != "tensor":
            with pytest.raises((TypeError, ValueError, AttributeError)):
                own.size.clear() if isinstance(own.size, frozenset) else own.size.__setitem__(
                    "r" if name == "dict" else 0, 0
                )
    problem = pf.Problem("p", pf.PDE("x y", "u", lambda u: u.lap), domain, [pf.Dirichlet(domain.boundary(9), u=0.0)])
    assert problem.domain is domain
    with pytest.raises(ValueError, match="read-only"):
        Holder.corners[0] = 1.0
