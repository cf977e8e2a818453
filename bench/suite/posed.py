"""Cases that are no equation on a box: their contestants pose them themselves, from the case alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Posed:
    """``module``: of `bench.contestants`, with CONTESTANTS, what makes each of them by its name from the case.

    ``reference``: the contestant that says what is right; None for whom `measure.reference_of` takes. ``least_steps``:
    of a turn, where those of `contestant.Entry` are about other problems.
    """

    module: str
    reference: str | None = None
    least_steps: int | None = None


# Examples of `deepxde_problems` and `pina_problems`, each with its layers and its points inside.
IN_DEEPXDE: dict[str, tuple[tuple[int, ...], int]] = {
    "DeepXDE: Poisson, Dirichlet and Robin": ((2, 50, 50, 50, 1), 2500),
    "DeepXDE: Burgers": ((2, 20, 20, 20, 1), 2540),
    "DeepXDE: Allen-Cahn, hard conditions": ((2, 20, 20, 20, 1), 8000),
    "DeepXDE: Helmholtz": ((2, 50, 50, 50, 1), 2500),
    "DeepXDE: Navier-Stokes, inverse": ((3, 50, 50, 50, 50, 3), 700),
    "DeepXDE: heat, Neumann": ((2, 20, 20, 20, 1), 2540),
    "DeepXDE: Poisson on a line, 20 points": ((1, 50, 50, 50, 1), 16),
}
IN_PINA: dict[str, tuple[tuple[int, ...], int]] = {
    "PINA: Poisson": ((2, 32, 32, 32, 1), 10_000),
    "PINA: Burgers": ((2, *[20] * 8, 1), 10_000),
    "PINA: heat, inverse": ((2, 32, 32, 32, 1), 10_000),
    "PINA: Poisson, few points": ((2, 32, 32, 32, 1), 400),
}


# By `Case.equation`.
POSED = {
    "linear layer": Posed("linear_layers", "linear"),
    "cylinder": Posed("flow"),
    **dict.fromkeys(IN_DEEPXDE, Posed("in_deepxde", "deepxde", least_steps=10)),
    **dict.fromkeys(IN_PINA, Posed("in_pina", "pina", least_steps=10)),
}
