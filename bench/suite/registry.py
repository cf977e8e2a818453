"""Which cases there are. `quick` takes minutes, `cpu` hours; every one of quick is in cpu, with the same name.

Cases with peers say how fast we are; those with the yardstick alone how our time grows and what relations save.
"""

from __future__ import annotations

from .case import Case

# Ours comes first: the others are divided by it.
EVERYONE = (
    "ours", "yardstick", "nested", "taylor", "compiled", "make_fx", "func", "jet",
    "jax", "jax nested", "folx", "deepxde", "pina", "jinns",
)  # fmt: skip
FASTEST = ("ours", "yardstick", "nested", "taylor", "compiled", "jax")
ALONE = ("ours", "yardstick")

SMALL, LARGE, DEEP = (2, 8, 8, 16, 1), (2, 32, 32, 32, 1), (2, 20, 20, 20, 20, 1)
MEDIUM = (2, 16, 16, 16, 1)
POINTS = 10_000

_BY_INPUTS = {1: "laplace 1d", 2: "laplace", 3: "laplace 3d", 4: "heat 3d"}
_BY_ORDER = {1: "transport", 2: "laplace", 3: "korteweg-de vries", 4: "biharmonic"}


def _peers(quick: bool) -> list[Case]:
    cases = [
        Case("step", "laplace", SMALL, POINTS, EVERYONE),
        Case("step", "laplace", LARGE, POINTS, FASTEST),
        Case("step", "burgers", DEEP, POINTS, tuple(name for name in EVERYONE if name not in ("folx", "make_fx"))),
    ]
    if quick:
        return cases
    others = ("poisson", "helmholtz", "korteweg-de vries", "biharmonic", "laplace 3d")
    inputs = {"laplace 3d": 3}
    cases += [Case("step", name, (inputs.get(name, 2), *MEDIUM[1:]), POINTS, EVERYONE) for name in others]
    cases += [Case("step", "laplace", SMALL, points, FASTEST) for points in (256, 1000, 100_000)]
    cases += [Case("step", "laplace", SMALL, POINTS, FASTEST, dtype="float64")]
    return cases


def _growth(quick: bool) -> list[Case]:
    points = [4**k for k in range(4, 10 if quick else 12)]
    widths = (8, 32, 128) if quick else (8, 16, 32, 64, 128, 256)
    depths = (2, 4, 6) if quick else (2, 3, 4, 5, 6)
    cases = [Case("points", "laplace", MEDIUM, n, ALONE) for n in points]
    cases += [Case("width", "laplace", (2, w, w, w, 1), 4096, ALONE) for w in widths]
    cases += [Case("depth", "laplace", (2, *[16] * depth, 1), 4096, ALONE) for depth in depths]
    cases += [Case("order", equation, MEDIUM, 4096, ALONE) for equation in _BY_ORDER.values()]
    cases += [Case("inputs", equation, (n, *MEDIUM[1:]), 4096, ALONE) for n, equation in _BY_INPUTS.items()]
    return cases


def _relations(quick: bool) -> list[Case]:
    """What R saves, at equal points; the dense network of the same width first."""
    networks = (LARGE,) if quick else (MEDIUM, LARGE, (2, 64, 64, 64, 1))
    structures = (None, "even in y", "even in y, odd in x")
    return [
        Case("relations", "laplace", layers, POINTS, ALONE, structure=structure)
        for layers in networks
        for structure in structures
    ]


def _variants(quick: bool) -> list[Case]:
    cases = [Case("precision", "laplace", MEDIUM, POINTS, ALONE, dtype=dtype) for dtype in ("float32", "float64")]
    activations = ("tanh", "sin") if quick else ("tanh", "sin", "silu", "gelu", "softplus")
    return cases + [Case("activation", "laplace", MEDIUM, POINTS, ALONE, activation=name) for name in activations]


def cases(suite: str) -> list[Case]:
    """Of "quick" or "cpu"."""
    quick = suite == "quick"
    return [*_peers(quick), *_growth(quick), *_relations(quick), *_variants(quick)]
