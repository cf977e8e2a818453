"""Single precision in Triton: at most twice the error of plain float32 torch, at odd sizes as at even ones."""

from __future__ import annotations

import pytest
from helpers import random_structure
from on_device import OnDevice
from test_cpu_operations import (  # noqa: F401
    channel_sets,
    check_float32_jets,
    check_float32_losses,
    median,
    test_float32_jacobian,
)
from test_operations import CASES

from psinn_fast.published import published_structure
from psinn_fast.structure import Structure


@pytest.mark.parametrize(
    ("case", "hidden", "n"),
    [*((case, (16, 16), 127) for case in CASES), ("laplace", (33,), 1023), ("burgers with unknown nu", (7, 7, 7), 255)],
)
def test_losses(wide: OnDevice, case: str, hidden: tuple[int, ...], n: int) -> None:
    check_float32_losses(wide, case, hidden, n, 4)


@pytest.mark.parametrize("n", [1, 31])
@pytest.mark.parametrize(
    ("case", "hidden"),
    [
        ("laplace", (7, 7)), ("laplace", (1,)), ("burgers with unknown nu", (16, 16)), ("two outputs", (33,)),
        ("periodic", (7,)), ("fourth order", (33,)), ("fourth order", (7, 1)),
    ],
)  # fmt: skip
def test_losses_at_few_points(backend: OnDevice, case: str, hidden: tuple[int, ...], n: int) -> None:
    check_float32_losses(backend, case, hidden, n, 12, median)


@pytest.mark.parametrize(
    ("d", "hidden", "f", "name", "n"),
    [
        (3, (16, 16), 2, "value", 127), (3, (16, 16), 2, "laplacian", 127), (3, (16, 16), 2, "heat", 127),
        (3, (16, 16), 2, "some", 127), (2, (7, 1), 1, "value", 1), (2, (33,), 2, "all first", 31),
        (2, (7, 7), 1, "heat", 1), (3, (33,), 1, "laplacian", 1), (3, (7,), 1, "some", 31), (1, (1, 7), 1, "all", 31),
        (1, (33, 7), 2, "all", 1), (2, (33,), 1, "laplacian", 1023),
    ],
)  # fmt: skip
def test_jets(wide: OnDevice, d: int, hidden: tuple[int, ...], f: int, name: str, n: int) -> None:
    structure, few = Structure.dense([d, *hidden, f]), n < 100
    check_float32_jets(wide, structure, channel_sets(d)[name], n, *((12, median) if few else (3,)))


@pytest.mark.parametrize(
    ("name", "width", "n"), [("laplace", 7, 1), ("burgers", 1, 31), ("poisson", 7, 31), ("flow", 1, 1)]
)
def test_published(backend: OnDevice, name: str, width: int, n: int) -> None:
    structure = published_structure(name).with_width(width)
    check_float32_jets(backend, structure, channel_sets(structure.n_inputs)["laplacian"], n, 12, median)


@pytest.mark.parametrize("seed", range(4))
def test_random_structures(backend: OnDevice, seed: int) -> None:
    structure = random_structure(seed, 1 + seed % 4, 1 + seed % 3, 2 + seed % 3)
    check_float32_jets(backend, structure, channel_sets(structure.n_inputs)["laplacian"], 31, 12, median)
