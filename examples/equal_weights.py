"""Study 2: under the L2 norm penalty, equivalent weights become equal and opposite ones equal in magnitude. How fast?

Plain gradient descent on the student's loss, mean square + strength * sum of ||W||_F; the targets' roles are known.

A. Inputs p, q, r on the line (s, s, -s): p and q play one role, r the opposite one, since the network sees only the sum
   w_p + w_q - w_r. The loss has no say about D = w_p - w_q, the penalty shrinks it: dD/dt = -strength D / ||W_1||. So
   D(t) = D(0) exp(-integral of strength / ||W_1||), and the same for w_p + w_r. This can be checked to rounding.
B. u = tanh(x + 0.8 y + 0.3) + tanh(x - 0.8 y + 0.3), even in y, and four neurons: two for each of its two, a pair with
   opposite signs each time. The two of a pair are *copies* (equal magnitudes are expected of them), the pairs are each
   other's *mirror* image (x weights equal, y weights opposite). Without a penalty nothing makes either so.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from psinn_fast import MLP, PDE, Box, Data, Problem, PsiMLP, Regularizer, get_backend
from psinn_fast.kernels.contract import Term

from .common import NONE, new_figure, parser, save

FloatArray = npt.NDArray[np.float64]
STRENGTHS_A = (3e-3, 1e-2, 3e-2)
STRENGTHS_B = (0.0, 3e-3, 1e-2, 3e-2)
# (weight of x, weight of y, bias, outgoing weight) of the target's neurons.
PLUS, MINUS = (1.0, 0.8, 0.3, 1.0), (1.0, -0.8, 0.3, 1.0)
STEP_A, STEP_B = 0.1, 0.5


@dataclass(frozen=True)
class Decay:
    """Part A at one strength. ``time``: of gradient flow; distances at each, and what theory says of the first.

    ``inverse_norm``: mean of 1 / ||W_1|| over time.
    """

    strength: float
    time: FloatArray
    equal: FloatArray
    opposite: FloatArray
    theory: FloatArray
    inverse_norm: float

    @property
    def rate(self) -> float:
        """Measured, of ||w_p - w_q||, over the whole run."""
        return math.log(self.equal[0] / self.equal[-1]) / (self.time[-1] - self.time[0])


@dataclass(frozen=True)
class Roles:
    """Part B at one strength: largest difference between copies, and of the pairs' larger neurons from mirror images.

    ``neurons``: (4, 4), weights of x and y, bias and outgoing weight, with the sign of the bias made positive.
    """

    strength: float
    time: FloatArray
    copies: FloatArray
    mirror: FloatArray
    neurons: FloatArray

    @property
    def rate(self) -> float:
        """Of the mirror images' approach, over the second half of the time as far as rounding lets one see it."""
        seen = self.mirror > 1e-9
        first = min(int(seen.sum()) // 2, len(seen) - 2)
        last = max(int(seen.sum()) - 1, first + 1)
        return math.log(self.mirror[first] / self.mirror[last]) / (self.time[last] - self.time[first])


def descend(
    net: PsiMLP,
    theta: Tensor,
    terms: list[Term],
    strength: float,
    step: float,
    steps: int,
    look: Callable[[Tensor], None],
) -> Tensor:
    """Gradient descent with a fixed step; ``look`` sees theta before each one."""
    engine, penalty, weights = get_backend(), Regularizer("l2", strength), NONE.new_ones(len(terms))
    for _ in range(steps):
        look(theta)
        theta = theta - step * engine.loss_and_gradient(net.plan, theta, NONE, terms, weights, penalty).theta
    return theta


def inputs_in_known_roles(strength: float, seed: int, steps: int) -> Decay:
    """Part A on a 3-8-8-1 network."""
    line = np.linspace(-1, 1, 41)
    box = Box(p=(-1, 1), q=(-1, 1), r=(-1, 1))
    points = np.stack([line, line, -line], 1)
    values = np.sin(math.pi * line) * np.exp(line / 2)
    terms = Problem("roles", PDE("p q r", "u", lambda u: u), box, [Data(points, u=values)]).terms(torch.float64)
    net = MLP((3, 8, 8, 1), seed=seed, dtype=torch.float64)
    norms: list[float] = []
    equal: list[float] = []
    opposite: list[float] = []

    def look(theta: Tensor) -> None:
        first = net.structure.expand(theta)[0][0]
        norms.append(float(first.norm()))
        equal.append(float((first[:, 0] - first[:, 1]).norm()))
        opposite.append(float((first[:, 0] + first[:, 2]).norm()))

    descend(net, net.theta.detach().clone(), terms, strength, STEP_A, steps, look)
    # Of discrete steps: each multiplies the difference by 1 - step * strength / ||W_1||.
    rates = 1 - STEP_A * strength / np.array(norms[:-1], dtype=np.float64)
    factors = np.concatenate([[1.0], np.cumprod(rates)]).astype(np.float64)
    time = STEP_A * np.arange(steps, dtype=np.float64)
    return Decay(
        strength, time, np.array(equal), np.array(opposite), equal[0] * factors, float(np.mean(1 / np.array(norms)))
    )


def neurons_in_known_roles(strength: float, seed: int, steps: int, rows: int = 200) -> Roles:
    """Part B. Starts 30 % off the weights that fit the target, so that it is known which neuron plays which role."""
    box = Box(x=(-1, 1), y=(-1, 1))

    def target(x: FloatArray, y: FloatArray) -> FloatArray:
        return np.asarray(sum(c * np.tanh(a * x + b * y + d) for a, b, d, c in (PLUS, MINUS)))

    terms = Problem("roles", PDE("x y", "u", lambda u: u), box, [Data(box.grid(9), u=target)]).terms(torch.float64)
    net = MLP((2, 4, 1), dtype=torch.float64)
    rng, signs = np.random.default_rng(seed), np.array([1.0, -1.0, 1.0, -1.0])[:, None]
    start = signs * np.array([PLUS, PLUS, MINUS, MINUS]) * [1, 1, 1, 0.5] * (1 + 0.3 * rng.uniform(-1, 1, (4, 4)))
    first = (torch.from_numpy(start[:, :2]), torch.from_numpy(start[:, 2]))
    last = (torch.from_numpy(start[:, 3:].T), torch.zeros(1, dtype=torch.float64))
    times, copies, mirror, every = [], [], [], max(1, steps // rows)
    count = 0
    neurons = start

    def look(theta: Tensor) -> None:
        nonlocal count, neurons
        if count % every == 0:
            (w, b), (c, _) = net.structure.expand(theta)
            neurons = signs * torch.cat([w, b[:, None], c.T], 1).numpy()
            plus, minus = (max(pair, key=lambda n: float(n @ n)) for pair in (neurons[:2], neurons[2:]))
            times.append(STEP_B * count)
            copies.append(max(float(np.linalg.norm(pair[0] - pair[1])) for pair in (neurons[:2], neurons[2:])))
            mirror.append(float(np.linalg.norm(plus - minus * [1, -1, 1, 1])))
        count += 1

    descend(net, net.structure.expand_adjoint([first, last]), terms, strength, STEP_B, steps, look)
    return Roles(strength, np.array(times), np.array(copies), np.array(mirror), neurons)


def study(seed: int, quick: bool) -> tuple[list[Decay], list[Roles]]:
    # Long enough for exp(-strength t / ||W_1||) to fall by some orders; a fixed time without penalty.
    decays = [inputs_in_known_roles(beta, seed, 200 if quick else int(100 / beta)) for beta in STRENGTHS_A]
    roles = [
        neurons_in_known_roles(beta, seed, 200 if quick else int(150 / beta) if beta else 10_000)
        for beta in STRENGTHS_B
    ]
    return decays, roles


def table(decays: Sequence[Decay], roles: Sequence[Roles]) -> str:
    lines = [
        "A. inputs: rate of ||w_p - w_q||, in units of strength * mean(1 / ||W_1||); largest deviation from theory"
    ]
    for decay in decays:
        expected = decay.strength * decay.inverse_norm
        # Relative; where rounding is all that is left, nothing can be said.
        seen = decay.theory > 1e-12
        off = float(np.max(np.abs(decay.equal[seen] / decay.theory[seen] - 1)))
        lines.append(
            f"  strength {decay.strength:6g}: rate {decay.rate:.2e}, in these units {decay.rate / expected:.4f}; "
            f"deviation {off:.0e}; equal {decay.equal[0]:.2f} -> {decay.equal[-1]:.0e}, "
            f"opposite {decay.opposite[0]:.2f} -> {decay.opposite[-1]:.0e}"
        )
    lines.append(
        "B. neurons: distance of copies, of mirror images; size of the larger and the smaller copy; "
        "rate at which mirror images approach"
    )
    for role in roles:
        sizes = np.linalg.norm(role.neurons[:2, [0, 1, 3]], axis=1)
        lines.append(
            f"  strength {role.strength:6g}, t = {role.time[-1]:6.0f}: copies {role.copies[0]:.2f} -> "
            f"{role.copies[-1]:.1e}, mirror {role.mirror[0]:.2f} -> {role.mirror[-1]:.1e}; "
            f"sizes {max(sizes):.2f}, {min(sizes):.2f}; rate {role.rate:.1e}"
            + (f" = {role.rate / role.strength:.2f} strength" if role.strength else "")
        )
    return "\n".join(lines)


def draw(decays: Sequence[Decay], roles: Sequence[Roles], path: Path) -> None:
    figure = new_figure(13, 3.8)
    left, middle, right = figure.subplots(1, 3)
    for colour, decay in zip(("C0", "C1", "C2"), decays, strict=True):
        label = f"strength {decay.strength:g}"
        thin = slice(None, None, max(1, len(decay.time) // 300))
        left.semilogy((decay.strength * decay.time)[thin], decay.equal[thin], color=colour, label=f"equal, {label}")
        left.semilogy((decay.strength * decay.time)[thin], decay.opposite[thin], "--", color=colour)
        left.semilogy((decay.strength * decay.time)[thin], decay.theory[thin], "k:", linewidth=1)
    left.plot([], [], "k:", label="theory")
    left.plot([], [], "k--", label="opposite, |w_p + w_r|")
    left.set(title="A: inputs, |w_p - w_q|", xlabel="strength x time")
    for colour, role in zip(("k", "C0", "C1", "C2"), roles, strict=True):
        label = f"strength {role.strength:g}"
        scale = role.strength or 1e-3
        middle.semilogy(scale * role.time, role.mirror, color=colour, label=label)
        right.semilogy(scale * role.time, role.copies, color=colour, label=label)
    # Below, rounding is all there is.
    middle.set_ylim(bottom=1e-13)
    middle.set(title="B: mirror images", xlabel="strength x time (0.001 x time without)")
    right.set(title="B: copies of a neuron", xlabel="strength x time (0.001 x time without)")
    for axis in (left, middle, right):
        axis.legend(fontsize=7)
        axis.grid(alpha=0.3)
        axis.set_ylabel("distance")
    save(figure, path)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser("equal_weights", __doc__)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    decays, roles = study(chosen.seed, chosen.quick)
    print(table(decays, roles))
    draw(decays, roles, chosen.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
