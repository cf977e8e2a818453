"""Domains of three coordinates: balls, cylinders, and what domains in space are combined to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.errors import InputError
from ..box import Box
from ..domain import Domain
from ..part_names import Label, names_of
from .ball import Ball
from .body import Body
from .cylinder import Cylinder
from .face import Face
from .solid import Solid

Points = npt.NDArray[np.float64]


def combined(operation: str, one: Domain, other: Domain) -> Solid:
    what = f"{type(one).__name__} {operation} {type(other).__name__}"
    first, second = _Made.of(one, what), _Made.of(other, what)
    shapes = 1 + max(label.source for label in first.labels)
    body, count = first.body.combined(operation, second.body), len(first.body.pieces)
    whole = [*first.faces, *(face.counted_from(count, shapes) for face in second.faces)]
    parts = dict.fromkeys((face.number, face.part, face.label) for face in whole)
    faces = [face for number, part, label in parts for face in Face.found(body, number, part, label)]
    if not faces:
        raise InputError(f"{what}: nothing is left, it is empty")
    if operation == "-" and all(face.number < count for face in faces) and all(f.is_on(body) for f in first.faces):
        raise InputError(f"{what}: nothing is taken away, the second one lies outside of the first; leave it out")
    labels = (*first.labels, *(Label(label.name, label.source + shapes) for label in second.labels))
    return Solid(what, one.coords, faces, labels)


def moved(domain: Domain, matrix: Points, step: Points) -> Domain:
    """x -> matrix x + step, a rotation and a translation."""
    if isinstance(domain, Box) and np.array_equal(matrix, np.eye(len(step))):
        ends = zip(domain.coords, (domain.low + step).tolist(), (domain.high + step).tolist(), strict=True)
        return Box(**{name: (low, high) for name, low, high in ends})
    if type(domain) is Ball:
        return Ball((matrix @ domain.middle + step).tolist(), domain.radius, domain.coords)
    if type(domain) is Cylinder:
        start, end = ((matrix @ point + step).tolist() for point in (domain.start, domain.end))
        return Cylinder(start, end, domain.radius, domain.coords)
    made = _Made.of(domain, type(domain).__name__)
    body = made.body.moved(matrix, step)
    return Solid(type(domain).__name__, domain.coords, [replace(face, body=body) for face in made.faces], made.labels)


def renamed(domain: Domain, names: Mapping[str, str]) -> Domain:
    what = type(domain).__name__
    made = _Made.of(domain, what)
    new = {label: Label(names.get(own, own)) for label, own in names_of(made.labels).items()}
    faces = [replace(face, label=new[face.label]) for face in made.faces]
    return Solid(what, domain.coords, faces, tuple(new.values()))


class _Made(NamedTuple):
    """What a domain is made of; labels are also those of parts that nothing is left of."""

    body: Body
    faces: tuple[Face, ...]
    labels: tuple[Label, ...]

    @classmethod
    def of(cls, domain: Domain, what: str) -> _Made:
        if isinstance(domain, Solid):
            return cls(domain._body, domain._faces, domain._labels)
        if not domain.parts:
            raise InputError(f"{what}: {type(domain).__name__} names no parts of its boundary, by which it is combined")
        body, labels = Body.of(domain), [Label(part) for part in domain.parts]
        faces = [face for label in labels for face in Face.found(body, 0, label.name, label)]
        if lost := next((label.name for label in labels if all(face.label != label for face in faces)), None):
            raise InputError(
                f"{what}: {type(domain).__name__}: its part {lost!r} is not on its boundary, as its contains and its "
                "normals say"
            )
        return cls(body, tuple(faces), tuple(labels))


__all__ = ["Ball", "Cylinder", "Solid", "combined", "moved", "renamed"]
