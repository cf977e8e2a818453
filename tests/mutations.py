"""Damaged files: seeded mutations of structures, weights, checkpoints and tables, and what the library says of them.

    python tests/mutations.py 2000        # that many, in a process of limited memory; prints what happened

Mutation number n of a seed is always the same bytes, so that a failure can be looked at.
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save
from torch.optim.lr_scheduler import StepLR

import psinn_fast as pf
from psinn_fast import Adam
from psinn_fast.kernels.errors import PsinnFastError
from psinn_fast.kernels.triton.configuration import SHIPPED, load_table
from psinn_fast.networks.published import burgers_odd
from psinn_fast.storage.tensor_file import metadata

# JSON as text, since some of it is no JSON.
REPLACEMENTS = [
    *['"1"', '""', '"x"', "true", "false", "null", "1.0", "0.5", "-0.0", "-1", "0", "2", "17", "4096", "2147483648"],
    *["9223372036854775808", "1000000000000", "Infinity", "-Infinity", "NaN", "1e400", "-1e400"],
    *["1" + "0" * 400, "-1" + "0" * 400, "9" * 5000, "[]", "{}", "[[]]", "[1]", '[1, "a"]', '{"a": 1}'],
    *["[" * 10_000 + "]" * 10_000, "[" * 10_000, '{"a":' * 10_000 + "1" + "}" * 10_000, json.dumps("long" * 50_000)],
    *[r'"\u0000"', r'"\ud800"', r'"\u001b[2J"', "", "1 2", "undefined", "'1'", "0x10", "01", "+1", "1_000", "[1,]"],
]
_MARK = "@@mutated@@"


@dataclass(frozen=True)
class Subject:
    """A file that the library reads, its bytes as they should be, and how it is read."""

    kind: str
    contents: bytes
    read: Callable[[Path], object]


def subjects(folder: Path) -> list[Subject]:
    """Structures, weights and checkpoints of small networks, and a table of Triton's tile sizes."""
    found = []
    for structure in (burgers_odd(), pf.Structure.dense([2, 4, 1]), _centred()):
        found.append(Subject("structure", (structure.to_json() + "\n").encode(), _read_structure))
    for net in (pf.MLP([2, 4, 1], seed=0), pf.PsiMLP(_centred(), 2, seed=0, dtype=torch.float64)):
        path = folder / "w.safetensors"
        pf.save_network(path, net, {"nu": 0.1})
        found.append(Subject("weights", path.read_bytes(), _read_weights))
    optimizers: tuple[Any, ...] = (
        Adam(4, 1e-3),
        pf.GaussNewton(4, points=20),
        pf.LBFGS(4),
        pf.SSBroyden(4),
        pf.TorchOptimizer(torch.optim.AdamW, 4, scheduler=partial(StepLR, step_size=2), lr=1e-3),
        [Adam(2, 1e-3), pf.GaussNewton(3, points=20)],
    )
    for schedule in optimizers:
        path = folder / "c.safetensors"
        _train(schedule, path, resume=False)
        found.append(Subject("checkpoint", path.read_bytes(), partial(_train, schedule, resume=True)))
        path.unlink()  # the next one is no run after this one
    table = {chip: dict(list(entries.items())[:3]) for chip, entries in json.loads(SHIPPED.read_text()).items()}
    return [*found, Subject("table", json.dumps(table).encode(), _read_table)]


def mutated(subject: Subject, seed: int, number: int) -> tuple[str, bytes]:
    """What was done, and the damaged contents."""
    rng = np.random.default_rng((seed, number))
    ways: list[Callable[[bytes, np.random.Generator], tuple[str, bytes]]] = [_flip, _cut, _insert]
    if subject.kind in ("structure", "table"):
        ways = [*ways, *[lambda contents, rng: _json(contents.decode(), rng)] * 7]
    else:
        ways = [*ways, _length, _outer, *[_inner] * 4, *[_tensors] * 3]
    return ways[rng.integers(len(ways))](subject.contents, rng)


def _flip(contents: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    changed = bytearray(contents)
    for _ in range(int(rng.integers(1, 9))):
        changed[rng.integers(len(changed))] ^= 1 << int(rng.integers(8))
    return "bits flipped", bytes(changed)


def _cut(contents: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    return "cut short", contents[: 0 if rng.random() < 0.2 else int(rng.integers(len(contents)))]


def _insert(contents: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    where = int(rng.integers(len(contents) + 1))
    return "bytes inserted", contents[:where] + rng.bytes(int(rng.integers(1, 40))) + contents[where:]


def _length(contents: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    lies = [0, 1, len(contents), 2**20, 2**31, 2**40, 2**63, 2**64 - 1]
    return "length of the header", int(lies[rng.integers(len(lies))]).to_bytes(8, "little") + contents[8:]


def _outer(contents: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """safetensors' own header: names, types, shapes, offsets."""
    size = int.from_bytes(contents[:8], "little")
    what, header = _json(contents[8 : 8 + size].decode(), rng)
    return f"safetensors header, {what}", len(header).to_bytes(8, "little") + header + contents[8 + size :]


def _inner(contents: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """The library's header, with a checksum that says it is right."""
    header, tensors = _parts(contents)
    what, changed = _json(header, rng)
    return f"header, {what}", _file(changed.decode(errors="replace"), tensors)


def _tensors(contents: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Other tensors, with a checksum that says they are right."""
    header, tensors = _parts(contents)
    name = sorted(tensors)[rng.integers(len(tensors))]
    tensor = tensors[name]
    flat = tensor.flatten()
    spoilt = flat.clone()
    if flat.numel():
        spoilt[int(rng.integers(flat.numel()))] = [math.nan, math.inf, -math.inf, -1.0, 0.5][rng.integers(5)]
    others = {
        "one number": flat[:1], "one number less": flat[:-1], "none": flat[:0], "a scalar": torch.tensor(1.0),
        "a column": flat[:, None], "twice": torch.cat([flat, flat]), "another axis": tensor[None],
        "float16": tensor.half(), "bfloat16": tensor.bfloat16(), "int64": tensor.long(), "bool": tensor.bool(),
        "complex": tensor.to(torch.complex64), "float32": tensor.float(), "float64": tensor.double(),
        "one number spoilt": spoilt.view_as(tensor), "zero": torch.zeros_like(tensor), "missing": None,
    }  # fmt: skip
    what = list(others)[rng.integers(len(others))]
    changed = {**tensors, name: others[what], **({"extra": torch.ones(3)} if rng.random() < 0.1 else {})}
    return f"{name}: {what}", _file(header, {k: v for k, v in changed.items() if v is not None})


def _json(text: str, rng: np.random.Generator) -> tuple[str, bytes]:
    """One entry replaced, removed, doubled or renamed; or the whole replaced."""
    document = json.loads(text)
    places = list(_places(document))
    if rng.random() < 0.05 or not places:
        value = REPLACEMENTS[rng.integers(len(REPLACEMENTS))]
        return f"all of it: {value[:20]}", value.encode()
    # Depth by depth, so that the few entries above thousands of symbols have their turn.
    depths = sorted({depth for depth, _, _ in places})
    depth = depths[rng.integers(len(depths))]
    here = [(parent, key) for at, parent, key in places if at == depth]
    parent, key = here[rng.integers(len(here))]
    what = rng.choice(["replaced", "replaced", "replaced", "removed", "doubled", "renamed"])
    value = parent[key]
    text_of_it = REPLACEMENTS[rng.integers(len(REPLACEMENTS))]
    if what == "replaced":
        parent[key] = _MARK
    elif what == "removed":
        del parent[key]
    elif what == "renamed" and isinstance(parent, dict):
        parent[f"{key}s"] = parent.pop(key)
    elif isinstance(parent, dict):
        what, parent[key] = "doubled", _MARK
        text_of_it = f"{json.dumps(value)}, {json.dumps(key)}: {json.dumps(value)}"
    else:
        what = "doubled"
        parent.insert(key, value)
    changed = json.dumps(document).replace(json.dumps(_MARK), text_of_it)
    return f"{key} {what}: {text_of_it[:20]}", changed.encode()


def _places(node: Any, depth: int = 0) -> Iterator[tuple[int, Any, Any]]:
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        yield depth, node, key
        yield from _places(node[key], depth + 1)


def _parts(contents: bytes) -> tuple[str, dict[str, torch.Tensor]]:
    """The library's header without its checksum, and the tensors."""
    size = int.from_bytes(contents[:8], "little")
    return json.loads(contents[8 : 8 + size])["__metadata__"]["psinn_fast"].partition(" ")[2], load(contents)


def _file(header: str, tensors: dict[str, torch.Tensor]) -> bytes:
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    text = header.encode("utf-8", "replace").decode()
    return save(whole, metadata(text, whole))


def _centred() -> pf.Structure:
    even = pf.Symmetry(pf.SignedPermutation.flip(2, 1), (1,))
    return replace(pf.structure_from_group([even], (1, 1), centre=(0.5, -0.25)), output_scale=(3.0,))


def _read_structure(path: Path) -> object:
    """As ``psinn-fast solve --structure`` does."""
    net = pf.PsiMLP(pf.Structure.load(path), 2)
    return str(net.structure)


def _read_weights(path: Path) -> object:
    net = pf.load_network(path)
    return net(torch.zeros(1, net.structure.n_inputs, dtype=net.theta.dtype))


def _read_table(path: Path) -> object:
    """A broken table is not used, and that is said: no reason to stop."""
    said = list[str]()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_: said.append(str(message))
        found = load_table(path)
    if said:
        raise PsinnFastError(said[0])
    return found


def _train(schedule: Any, path: Path, resume: bool) -> object:
    box = pf.Box(x=(0, 1))
    conditions = [pf.Residual(box.grid(31)), pf.Dirichlet(box.face("x", "low", 2), u=0.0)]
    pde = pf.PDE("x", "u", lambda u, a: u.xx + a * u - 1, unknown={"a": 0.5})
    problem = pf.Problem("rod", pde, box, conditions)
    net = pf.MLP([1, 3, 1], seed=0, dtype=torch.float64)
    return pf.fit(problem, net, schedule, checkpoint=path, options=pf.Options(backend="reference", resume=resume))


@dataclass(frozen=True)
class Outcome:
    """Of one mutation: ``fault`` is what should not have been (a traceback's last line), "" if all is well."""

    number: int
    kind: str
    what: str
    refused: bool
    seconds: float
    fault: str


def outcomes(folder: Path, count: int, seed: int = 0) -> Iterator[Outcome]:
    """Read ``count`` damaged files."""
    originals = subjects(folder)
    path = folder / "damaged"
    for number in range(count):
        subject = originals[number % len(originals)]
        what, contents = mutated(subject, seed, number)
        path.write_bytes(contents)
        began, fault, refused = time.perf_counter(), "", False
        try:
            subject.read(path)
        except PsinnFastError as error:
            refused = True
            if "\n" in str(error) or len(str(error)) > 1000:
                fault = f"a message of {len(str(error))} characters: {str(error)[:200]}"
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"[:300]
        yield Outcome(number, subject.kind, what, refused, time.perf_counter() - began, fault)


def main() -> int:
    count = int(sys.argv[1])
    if "--here" not in sys.argv:
        return subprocess.run([sys.executable, __file__, str(count), "--here"], check=False).returncode
    before = _peak()
    with tempfile.TemporaryDirectory() as folder:
        found = list(outcomes(Path(folder), count))
    refused = Counter(outcome.kind for outcome in found if outcome.refused)
    for kind, n in Counter(outcome.kind for outcome in found).items():
        print(f"{kind}: {n} files, {refused[kind]} refused, the others mean something")
    for outcome in found:
        if outcome.fault:
            print(f"number {outcome.number}, {outcome.kind}, {outcome.what}: {outcome.fault}")
    slowest = max(found, key=lambda outcome: outcome.seconds)
    print(
        f"slowest {slowest.seconds:.2f} s ({slowest.kind}, {slowest.what}), all {sum(o.seconds for o in found):.1f} s"
    )
    print(f"peak memory {_peak():.0f} MB, {before:.0f} MB of it before the first file")
    return int(any(outcome.fault for outcome in found))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
