"""Run by test_compiled_kernels.py in a process of its own, where Triton compiles: prints what was found as JSON."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from bench.emulator.cases import Example, checked, measured
from bench.emulator.chips import emulated
from bench.emulator.faults import Fault
from bench.static.cases import StaticCase
from psinn_fast.kernels.contract import AdamState
from psinn_fast.kernels.language.regularizer import Regularizer
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.kernels.triton.ahead import compiled
from psinn_fast.kernels.triton.backend import TritonBackend
from psinn_fast.kernels.triton.configuration import Entry
from psinn_fast.kernels.triton.naming import PREFIX
from psinn_fast.networks.mlp import PsiMLP
from psinn_fast.networks.published import published_structure
from psinn_fast.networks.structure import Structure

DENSE = StaticCase("dense", lambda: Structure.dense((2, 8, 8, 1)))
TIED = StaticCase("tied", lambda: published_structure("laplace").with_width(4))
SMALL = StaticCase("small", lambda: Structure.dense((2, 8, 8, 1)), dtype=torch.float64)


def gradients() -> dict[str, Any]:
    """Of two warps with FMAs, of tensor cores in float64, of tied blocks."""
    examples = (
        Example(DENSE, 120, Entry(16, 2, 1)),
        Example(SMALL, 90, Entry(16, 1, 1)),
        Example(TIED, 80, Entry(8, 1, 1)),
    )
    found = {f"{own.case.name} sm_{own.chip}": checked(own) for own in examples}
    found["small sm_90"] |= measured(examples[1])
    return found


def most_compilations() -> int:
    """Of one kernel for one chip, after launches on 16, 32 and more points."""
    generated = (module for name, module in sys.modules.items() if name.startswith("psinn_fast_generated"))
    kernels = (kernel for module in generated for name, kernel in vars(module).items() if name.startswith(PREFIX))
    return max(len(own[0]) for kernel in kernels for own in kernel.device_caches.values())


def training() -> dict[str, Any]:
    """How far losses of four steps are from those of the reference, relative; how often kernels wait for memory."""
    found, rounds = [], {}
    net, term = PsiMLP(DENSE.structure(), seed=0), DENSE.term()
    term = replace(term, points=term.points[:, :40].clone(), columns=term.columns[:40].clone())
    for backend in (Example(DENSE, 89, Entry(16, 2, 1)).backend(2), ReferenceBackend()):
        with emulated(89, is_counting=True) as chip:
            state = AdamState(net.theta.detach().clone(), net.theta.new_empty(0), 1e-2, ())
            found.append(backend.train(net.plan, state, [term], torch.ones(1), 4, Regularizer("l2", 1e-4)).losses)
        if isinstance(backend, TritonBackend):
            own = next(made.points.kernel for key, made in backend._prepared.items() if key[0] == "loss")
            launched = {one.hash for one in own.function.device_caches[89][0].values()}
            is_found_ahead = compiled(own, torch.float32, "sm_89").hash in launched
        rounds |= {launch.name: launch.counts.rounds for launch in chip.launches}
    errors = (found[0] / found[1] - 1).abs().flatten().tolist()
    return {"errors": errors, "rounds": rounds, "is_found_ahead": is_found_ahead}


PLANTS: dict[str, Callable[[str], str]] = {
    "no barrier": lambda text: re.sub(r"bar\.sync\s+0;", "", text),
    "off by one": lambda text: re.sub(r"(ld\.global\.b32 [^;]*?)\+ 0 \]", r"\1+ 4 ]", text),
    "no mask": lambda text: re.sub(r"@!?%p\d+ (ld\.global|st\.global)", r"\1", text),
    "unknown": lambda text: text.replace("\tret;", "\tclusterlaunchcontrol.try_cancel.async;\n\tret;"),
}


def faults() -> dict[str, str]:
    """What is said of a kernel that somebody spoilt, "" where nothing is."""
    found = {}
    for name, change in PLANTS.items():
        example = Example(DENSE, 89, Entry(16, 2, 1))
        with emulated(89, change=change) as chip:
            try:
                example.gradient(example.backend(2), 37)
                races = sum(launch.counts.races for launch in chip.launches)
                found[name] = f"{races} races" if races else ""
            except (Fault, NotImplementedError) as error:
                found[name] = f"{type(error).__name__}: {error}"
    return found


if __name__ == "__main__":
    result = {"gradients": gradients(), "compilations": most_compilations()}
    print(json.dumps(result | {"training": training(), "faults": faults()}))
