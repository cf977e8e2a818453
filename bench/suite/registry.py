"""Which cases there are. `quick` takes minutes, `cpu` hours; every one of quick is in cpu, with the same name.

Cases with peers say how fast we are; those with the yardstick alone how our time grows and what relations save.
"""

from __future__ import annotations

from dataclasses import replace

from .case import Case
from .channel_sets import CHANNEL_SETS
from .posed import IN_DEEPXDE, IN_PINA

# Ours comes first: the others are divided by it.
EVERYONE = (
    "ours", "yardstick", "nested", "taylor", "compiled", "make_fx", "func", "jet",
    "jax", "jax nested", "folx", "deepxde", "pina", "physicsnemo", "jinns",
)  # fmt: skip
FASTEST = ("ours", "yardstick", "nested", "taylor", "compiled", "jax")
ALONE = ("ours", "yardstick")
LOOPS = ("ours", "yardstick", "layer", "derivatives", "fuse", "fuse and fit")
WAYS = ("ours", "gathered", "products", "linear")

SMALL, LARGE, DEEP = (2, 8, 8, 16, 1), (2, 32, 32, 32, 1), (2, 20, 20, 20, 20, 1)
MEDIUM = (2, 16, 16, 16, 1)
WIDE, THREE_BLOCKS = (2, 64, 64, 64, 64, 1), (2, 32, 48, 32, 1)
POINTS = 10_000

EVEN, EVEN_AND_ODD = "even in y", "even in y, odd in x"
PUBLISHED = ("laplace (published)", "poisson (published)", "burgers, 12 + 12 + 8", "burgers, 11 + 11 + 10")
ACTIVATIONS, FLOATS = ("tanh", "sin", "silu", "gelu", "softplus"), ("float32", "float64")

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
    """What R saves, beside dense networks of the same widths; last on one point of each orbit, where `fit` trains."""

    def case(layers: tuple[int, ...], structure: str | None, equation: str = "laplace", orbit: int = 1) -> Case:
        return Case("relations", equation, layers, POINTS // orbit, ALONE, edge=Case.edge // orbit, structure=structure)

    networks = (LARGE,) if quick else (MEDIUM, LARGE, (2, 64, 64, 64, 1))
    found = [case(layers, name) for layers in networks for name in (None, EVEN, EVEN_AND_ODD)]
    if quick:
        return found
    found += [case(LARGE, name) for name in (f"{EVEN_AND_ODD}, signed", *PUBLISHED)]
    found += [case(THREE_BLOCKS, name) for name in (None, "burgers (published)")]
    found += [case(LARGE, name, "burgers") for name in (None, "burgers, 12 + 12 + 8")]
    found += [case(THREE_BLOCKS, name, "burgers") for name in (None, "burgers (published)")]
    return [*found, case(LARGE, EVEN, orbit=2), case(LARGE, EVEN_AND_ODD, orbit=4)]


def _variants(quick: bool) -> list[Case]:
    found = [Case("precision", "laplace", MEDIUM, POINTS, ALONE, dtype=dtype) for dtype in ("float32", "float64")]
    if quick:
        return found + [Case("activation", "laplace", MEDIUM, POINTS, ALONE, activation=own) for own in ("tanh", "sin")]
    sizes = [(MEDIUM, "float32"), *((layers, dtype) for layers in (SMALL, LARGE, WIDE) for dtype in FLOATS)]
    return found + [
        Case("activation", "laplace", layers, POINTS, ALONE, dtype=dtype, activation=own)
        for layers, dtype in sizes
        for own in ACTIVATIONS
    ]


def _overhead(quick: bool) -> list[Case]:
    """What a step costs whatever the points: of one point in each term, and of few points called for one by one."""
    found = [Case("overhead", "laplace", SMALL, 256, ("ours", "yardstick", "step by step"))]
    return found + [Case("overhead", "laplace", layers, 1, ALONE, edge=1) for layers in (SMALL, LARGE)]


def _loops(quick: bool) -> list[Case]:
    """Training loops of torch, and what they take with our layers, derivatives, fused losses in them."""
    with_torch = (*LOOPS, "accelerate", "nested")
    found = [Case("loops", "laplace", LARGE, POINTS, with_torch)]
    if quick:
        return found
    found += [Case("loops", "laplace", layers, POINTS, with_torch) for layers in (SMALL, WIDE)]
    found += [Case("loops", "laplace", layers, 100, with_torch) for layers in (SMALL, LARGE, WIDE)]
    found += [Case("loops", "laplace", LARGE, points, LOOPS, structure=EVEN) for points in (POINTS, 100)]
    return [*found, Case("loops", "biharmonic", LARGE, POINTS, with_torch)]


def _iterations() -> list[Case]:
    """One iteration of Gauss-Newton: Jacobian, normal equations, solved step; dense and tied."""
    return [
        Case(
            "iteration",
            "laplace",
            SMALL,
            POINTS,
            others,
            dtype="float64",
            structure=structure,
            optimiser="gauss-newton",
        )
        for structure, others in ((None, (*ALONE, "func")), (EVEN, ALONE))
    ]


def _threads() -> list[Case]:
    """Which share of the machine's multiply-adds a step reaches, and what the second thread brings."""
    return [
        Case("threads", "laplace", (2, w, w, w, 1), POINTS, ALONE, threads=threads)
        for w in (8, 16, 32, 64)
        for threads in (1, 2)
    ]


def _sets() -> list[Case]:
    return [
        Case("sets", name, (len(equation.coordinates), w, w, w, 1), POINTS, ALONE, edge=1)
        for w in (8, 32, 64)
        for name, equation in CHANNEL_SETS.items()
    ]


def _layers() -> list[Case]:
    """Tied linear layers by both ways that ours has, and by its rule, beside nn.Linear of the same weights."""
    return [
        Case("layers", "linear layer", (w, w), points, WAYS, edge=0, structure=structure)
        for structure in ("one symmetry", "two symmetries")
        for w in (32, 64, 128, 256)
        for points in (100, 1_000, 10_000)
    ]


def _flow() -> list[Case]:
    """The flow past a cylinder at the paper's number of points: its PINN, its Psi-NN, the layers of that untied."""
    narrow, wide = (2, 40, 40, 40, 3), (2, 80, 100, 40, 3)
    dense = [Case("flow", "cylinder", layers, 20_486, ("ours", "nested")) for layers in (narrow, wide)]
    return [*dense, replace(dense[1], contestants=(*ALONE, "one point per orbit"), structure="flow (published)")]


def _integrations() -> list[Case]:
    """Training by other libraries with their network and with ours."""
    return [
        Case("integrations", name, layers, points, ("ours", "without kernels", library), edge=0)
        for library, problems in (("deepxde", IN_DEEPXDE), ("pina", IN_PINA))
        for name, (layers, points) in problems.items()
    ]


def cases(suite: str) -> list[Case]:
    """Of "quick" or "cpu"."""
    quick = suite == "quick"
    found = [*_peers(quick), *_growth(quick), *_relations(quick), *_variants(quick), *_overhead(quick), *_loops(quick)]
    return found if quick else [*found, *_iterations(), *_threads(), *_sets(), *_layers(), *_flow(), *_integrations()]
