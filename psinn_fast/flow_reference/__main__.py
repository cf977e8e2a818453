"""``python -m psinn_fast.flow_reference``: the reference flow made anew, and how far it has converged."""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..kernels.errors import PsinnFastError
from ..storage.files import write_atomically
from .channel import PAPER, SCHAEFER_TUREK, Channel
from .data import ReferenceFlow, save_flow
from .mesh import meshes, mirrored
from .quantities import changes, outlet, quantities
from .solver import Flow, solve_flow

_FIELDS = ("u", "v", "p")
# Triangles from the axis to a wall, in the coarsest of three meshes.
_COARSEST, _LEVELS = 8, 3


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m psinn_fast.flow_reference",
        description="Steady flow around a cylinder by finite elements, on three meshes each; needs psinn_fast[cfd].",
    )
    parser.add_argument("--out", type=Path, help="write the paper's flow to this file (.npz)")
    parser.add_argument("--results", type=Path, help="write the figures to this file (.json)")
    parser.add_argument("--coarsest", type=int, default=_COARSEST, help="triangles from the axis to a wall, at least 4")
    options = parser.parse_args(arguments)
    if options.coarsest < 4:
        parser.error("--coarsest: at least 4")
    try:
        flows = _flows(PAPER.half, options.coarsest)
        report = {"cylinder": convergence(flows)}
        if options.out is not None:
            save_flow(reference(flows), options.out)
            print(f"wrote {options.out}: {options.out.stat().st_size} bytes")
        report["schaefer_turek_2d1"] = convergence(_flows(SCHAEFER_TUREK, options.coarsest))
    except (PsinnFastError, OSError) as error:
        print(f"flow_reference: {error}", file=sys.stderr)
        return 2
    for name, case in report.items():
        print(f"\n{name}\n{table(case)}")
    if options.results is not None:
        command = f"python -m psinn_fast.flow_reference --coarsest {options.coarsest}"
        about = {"command": command, "scikit-fem": version("scikit-fem"), "numpy": np.__version__}
        write_atomically(options.results, json.dumps({**about, **report}, indent=1) + "\n")
    return 0


def _flows(channel: Channel, coarsest: int) -> list[Flow]:
    """On each mesh, starting from the one before."""
    flows: list[Flow] = []
    for mesh in meshes(channel, coarsest, _LEVELS):
        flows.append(solve_flow(channel, mesh, flows[-1] if flows else None))
    return flows


def reference(flows: list[Flow]) -> ReferenceFlow:
    """The finest flow of a half at the nodes of the mesh before, which are corners in the finest; and its mirror image.

    So the pressure is known in the middles of edges too, where linear elements have none.
    """
    coarse, fine = flows[-2].mesh, flows[-1]
    nodes, triangles, image = mirrored(coarse.nodes, coarse.triangles)
    velocity = fine.velocity[image]
    velocity[len(coarse.nodes) :, 1] *= -1
    whole = Channel(**{**asdict(fine.channel), "below": fine.channel.above})
    # Zeros without a sign.
    return ReferenceFlow(
        whole, nodes, triangles.astype(np.int32), velocity + 0.0, fine.pressure[image], whole.tags(nodes),
        quantities(fine),
    )  # fmt: skip


def convergence(flows: list[Flow]) -> dict[str, Any]:
    """Of each mesh quantities and changes of u, v, p from the mesh before (relative L2); orders observed from three."""
    found = [quantities(flow) for flow in flows]
    between = [changes(*pair) for pair in pairwise(flows)]
    orders = {name: math.log2(between[-2][name] / between[-1][name]) for name in _FIELDS}
    for name in ("drag", "drag_by_stress", "pressure_difference"):
        a, b, c = (one[name] for one in found[-3:])
        orders[name] = math.log2(abs((a - b) / (b - c)))
    return {
        "channel": asdict(flows[-1].channel),
        "nodes": [len(flow.mesh.nodes) for flow in flows],
        "triangles": [len(flow.mesh.triangles) for flow in flows],
        "newton_steps": [flow.steps for flow in flows],
        "quantities": found,
        "changes": between,
        "orders": orders,
        "outlet": outlet(flows[-1]),
    }


def table(case: dict[str, Any]) -> str:
    """One row a mesh, the last one the observed orders."""
    names = [name for name in case["quantities"][0] if name not in ("lift", "flux_in", "flux_out")]
    lines = [f"{'nodes':>9}" + "".join(f"{name:>21}" for name in names) + f"{'out / in - 1':>14}"]
    lines[0] += "".join(f"{'change of ' + name:>13}" for name in _FIELDS)
    for row, (nodes, found) in enumerate(zip(case["nodes"], case["quantities"], strict=True)):
        flux = found["flux_out"] / found["flux_in"] - 1
        line = f"{nodes:>9}" + "".join(f"{found[name]:>21.8f}" for name in names) + f"{flux:>14.1e}"
        lines.append(
            line + "".join(f"{case['changes'][row - 1][name]:>13.1e}" if row else " " * 13 for name in _FIELDS)
        )
    orders = case["orders"]
    line = f"{'order':>9}" + "".join(f"{orders[name]:>21.2f}" for name in names) + " " * 14
    return "\n".join([*lines, line + "".join(f"{orders[name]:>13.2f}" for name in _FIELDS)])


if __name__ == "__main__":
    sys.exit(main())
