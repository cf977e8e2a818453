"""What the suite measures: the Laplace step on dense and tied networks, from 1e3 to 1e6 points."""

from __future__ import annotations

from functools import cache

from bench.contestants.structures import EVEN_IN_Y, ODD_IN_X
from psinn_fast.networks.groups import structure_from_group
from psinn_fast.networks.published import published_structure
from psinn_fast.networks.structure import Structure

from .laplace.case import Case
from .settings import Settings

POINTS = (10_201, 1_000_000, 100_000, 1_000)
MAIN, MOST = POINTS[:2]
WIDE, NARROW = (2, 32, 32, 32, 1), (2, 8, 8, 16, 1)
# Wider ones, by the fused kernel as far as it goes, and by products of torch: which is faster, and from where on.
WIDER = {"dense-64": (2, 64, 64, 64, 1), "dense-128": (2, 128, 128, 1), "dense-256": (2, 256, 256, 256, 256, 1)}
BY_FUSED, BY_PRODUCTS = "ieee", "gemm"
FUSED_WIDER = ("dense-64", "dense-128")


@cache
def structures(quick: bool) -> dict[str, Structure]:
    """By name. "psi": even in y, as published; "two": even in y and odd in x."""
    symmetries = [EVEN_IN_Y, ODD_IN_X]
    if quick:
        return {"dense-4": Structure.dense((2, 4, 1)), "psi-2": published_structure("laplace")}
    return {
        "dense-32": Structure.dense(WIDE),
        "psi-32": published_structure("laplace").with_width(16),
        "two-32": structure_from_group(symmetries, [8, 8, 8], "regular"),
        "two-32-signed": structure_from_group(symmetries, [16, 16, 16], "signed"),
        "dense-8-8-16": Structure.dense(NARROW),
        "psi-8": published_structure("laplace").with_width(4),
        "two-8-8-16": structure_from_group(symmetries, [2, 2, 4], "regular"),
        **{name: Structure.dense(layers) for name, layers in WIDER.items()},
    }


def case_of(network: str, points: int, settings: Settings) -> Case:
    structure = structures(settings.quick)[network]
    return Case(
        network,
        structure.layer_sizes,
        points=points,
        edge_points=2 if settings.quick else 101,
        structure=None if structure.is_dense else structure,
        device=settings.device,
    )


def sizes(settings: Settings) -> tuple[int, ...]:
    return (15,) if settings.quick else POINTS


def cases(settings: Settings) -> list[Case]:
    """By what matters: where time runs out, the last ones are left out."""
    return [case_of(network, points, settings) for points in sizes(settings) for network in structures(settings.quick)]


def key_of(case: Case) -> str:
    return f"{case.name}@{case.points}"
