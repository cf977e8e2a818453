"""Faults made on purpose, one at a time, and whether the tests notice (docs/testing.md).

    python tests/mutants.py kernels/network/lowering/lowering.py psinn_fast/training/optimisers/marquardt.py --sample 60

Comparisons, arithmetic, constants, conditions, returns and calls of a module are changed; each mutant runs the module's
own tests in a forked process, which imports the changed module in place of the file: no file is touched. What survives
is written down with the reason that was given for it before, if any.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.machinery
import json
import math
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results" / "mutants.json"
# Where a module's tests have another name than it, or it has tests in several files; quick ones first.
TESTS = {
    "psinn_fast/language/tracing.py": [
        "problem/test_pde.py",
        "problem/test_conditions.py",
        "language/test_refused_residuals.py",
        "language/test_residuals.py",
        "problem/test_description.py",
        "language/test_large_residuals.py",
    ],
    "psinn_fast/problem/conditions.py": [
        "problem/test_conditions.py",
        "problem/test_inputs.py",
        "language/test_names.py",
        "problem/test_bounds.py",
        "problem/test_portable.py",
        "problem/test_unchanging.py",
        "problem/checks/test_assumptions.py",
    ],
    "psinn_fast/problem/checks/settings.py": [
        "problem/test_inputs.py",
        "problem/test_unused.py",
        "language/test_names.py",
        "problem/test_exact.py",
        "problem/test_bounds.py",
        "test_options.py",
    ],
    "psinn_fast/discovery/options.py": ["test_discovery_options.py"],
    "kernels/network/plan.py": [
        "kernels/network/test_plan.py",
        "networks/test_frame.py",
        "kernels/network/test_lowering.py",
    ],
    "kernels/network/lowering/lowering.py": ["kernels/network/test_lowering.py", "kernels/network/test_plan.py"],
    "psinn_fast/discovery/evidence.py": ["discovery/test_evidence.py", "discovery/test_verdict.py"],
    "psinn_fast/training/least_squares.py": ["training/test_least_squares.py", "training/test_abort.py"],
    "psinn_fast/training/optimisers/marquardt.py": [
        "training/optimisers/test_marquardt.py",
        "training/optimisers/test_gauss_newton.py",
        "training/points/test_sampling.py",
        "training/points/test_held_out.py",
    ],
    "psinn_fast/training/optimisers/marching.py": [
        "training/optimisers/test_windows_of_time.py",
        "training/optimisers/test_marching.py",
    ],
    "psinn_fast/training/points/sampling.py": [
        "training/points/test_focused_draws.py",
        "training/points/test_sampling.py",
    ],
    "psinn_fast/training/stability.py": ["training/test_stability.py", "training/test_stability_beside.py"],
    "psinn_fast/training/optimisers/gauss_newton.py": [
        "training/optimisers/test_gauss_newton.py",
        "training/optimisers/test_gauss_newton_progress.py",
        "training/optimisers/test_gauss_newton_files.py",
        "training/optimisers/test_multi_start.py",
        "training/points/test_held_out.py",
        "training/optimisers/test_marching.py",
        "training/test_abort.py",
    ],
}
# Imported before the fork, since that takes two seconds; nothing of the library itself is.
HEAVY = ("torch", "numpy", "scipy.optimize", "scipy.spatial", "sympy", "safetensors.torch")

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
Change = Callable[[Any], ast.AST | None]  # a node to one in its place; None: take the statement away


class Mutant(NamedTuple):
    """``where``: how many nodes `walk` gives before the one that is changed."""

    where: int
    line: int
    before: str
    after: str
    change: Change


def walk(tree: ast.AST) -> Iterator[ast.AST]:
    """Nodes that mean something when the module runs: no annotations, decorators, strings, or texts of exceptions."""
    yield tree
    skipped = {"annotation", "returns", "decorator_list", "type_params"}
    if isinstance(tree, ast.Raise):
        return
    for name, value in ast.iter_fields(tree):
        for child in value if isinstance(value, list) else [value]:
            if name not in skipped and isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):
                yield from walk(child)


def changes(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.Compare(ops=ops):
            for position, op in enumerate(ops):
                for other in COMPARISONS[type(op)]:
                    yield lambda n, p=position, o=other: _with(n, ops=[*n.ops[:p], o(), *n.ops[p + 1 :]])
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in OPERATORS:
            yield lambda n: _with(n, op=OPERATORS[type(n.op)]())
        case ast.BoolOp(op=op):
            yield lambda n: _with(n, op=ast.Or() if isinstance(n.op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield lambda n: n.operand
        case ast.If() | ast.While() | ast.IfExp() if not isinstance(node.test, (ast.Compare, ast.UnaryOp, ast.BoolOp)):
            yield lambda n: _with(n, test=ast.UnaryOp(ast.Not(), n.test))
        case ast.Constant(value=bool()):
            yield lambda n: ast.Constant(not n.value)
        case ast.Constant(value=int()):
            yield lambda n: ast.Constant(n.value + 1 if n.value < 10 else 10 * n.value)
        case ast.Constant(value=float()):
            # Tolerances a thousand times off, limits ten times, other numbers by one.
            size = abs(node.value)
            yield lambda n: ast.Constant(
                n.value + 1 if size == 0 or 1e-2 <= size < 10 else n.value * (1e3 if size < 1 else 10)
            )
        case ast.Return(value=ast.expr()) if not (isinstance(node.value, ast.Constant) and node.value.value is None):
            yield lambda n: ast.Return(ast.Constant(None))
        case ast.Break():
            yield lambda n: ast.Continue()
        case ast.Continue():
            yield lambda n: ast.Break()
        case ast.Raise():
            yield lambda n: ast.Pass()
        case ast.Expr(value=ast.Call()):
            yield lambda n: ast.Pass()


def _with(node: ast.AST, **fields: Any) -> ast.AST:
    for name, value in fields.items():
        setattr(node, name, value)
    return node


def mutants(source: str) -> list[Mutant]:
    tree = ast.parse(source)
    found = []
    for where, node in enumerate(walk(tree)):
        for change in changes(node):
            mutated = copy.deepcopy(node)
            after = change(mutated)
            texts = (" ".join(ast.unparse(ast.fix_missing_locations(n)).split())[:120] for n in (node, after))
            found.append(Mutant(where, node.lineno, *texts, change))  # type: ignore[attr-defined]
    return found


def mutated(source: str, mutant: Mutant) -> ast.Module:
    tree = ast.parse(source)
    target = list(walk(tree))[mutant.where]

    class Exchange(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            return ast.copy_location(mutant.change(node), node) if node is target else self.generic_visit(node)

    return ast.fix_missing_locations(Exchange().visit(tree))


class _AnyCounterexample:
    """A plugin: what hypothesis finds is neither made small nor kept."""

    def pytest_configure(self) -> None:
        from hypothesis import Phase, settings  # pytest wants to see it first

        settings.register_profile("mutants", database=None, phases=[Phase.explicit, Phase.generate])
        settings.load_profile("mutants")


def run(path: Path, code: Any, tests: list[str], seconds: float) -> int | None:
    """pytest's exit code in a fork where the module is ``code``; None if it took too long.

    ``seconds``: of computing, since on a busy machine many others pass; what waits for ever is given ten minutes.
    """
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(seconds), math.ceil(seconds)))
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        null = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(null, stream)
        usual = importlib.machinery.SourceFileLoader.get_code

        def get_code(loader: importlib.machinery.SourceFileLoader, name: str) -> Any:
            return code if code is not None and Path(loader.path).resolve() == path else usual(loader, name)

        importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
        try:
            options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-seed=0"]
            result = pytest.main([*options, *tests], plugins=[_AnyCounterexample()])
        except BaseException:
            result = 1
        os._exit(int(result))
    end = time.monotonic() + 600
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def computed() -> float:
    """Seconds of all children until now."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def examine(name: str, sample: int, seed: int, known: dict[str, Any]) -> dict[str, Any]:
    path = (ROOT / name).resolve()
    source = path.read_text(encoding="utf-8")
    mirrored = Path(name.removeprefix("psinn_fast/"))
    tests = [str(ROOT / "tests" / file) for file in TESTS.get(name, [str(mirrored.with_name(f"test_{mirrored.name}"))])]
    before = computed()
    if run(path, None, tests, 600) != 0:
        sys.exit(f"{name}: its tests fail as it is: {' '.join(tests)}")
    limit = 10 + 5 * (computed() - before)
    every = mutants(source)
    chosen = sorted(random.Random(seed).sample(every, min(sample, len(every))), key=lambda m: (m.line, m.where))
    reasons = {(s["before"], s["after"]): s["reason"] for s in known.get("survivors", [])}
    survivors = []
    for number, mutant in enumerate(chosen, start=1):
        code = compile(mutated(source, mutant), str(path), "exec")
        if run(path, code, tests, limit) == 0:
            reason = reasons.get((mutant.before, mutant.after), "")
            survivors.append({"line": mutant.line, "before": mutant.before, "after": mutant.after, "reason": reason})
            print(f"  {name}:{mutant.line}  {mutant.before}  ->  {mutant.after}", flush=True)
        if sys.stderr.isatty():
            print(f"\r{number} of {len(chosen)}", end="", file=sys.stderr)
    caught = len(chosen) - len(survivors)
    print(f"{name}: {caught} of {len(chosen)} caught ({caught / len(chosen):.0%}), {len(every)} possible", flush=True)
    return {"caught": caught, "of": len(chosen), "possible": len(every), "seed": seed, "survivors": survivors}


def main() -> None:
    parser = argparse.ArgumentParser(description="faults made on purpose, and whether the tests notice")
    parser.add_argument("files", nargs="+", metavar="FILE", help="modules, from the repository's root")
    parser.add_argument("--sample", type=int, default=80, metavar="N", help="mutants of each (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="results, with reasons (default: %(default)s)")
    options = parser.parse_args()
    os.chdir(ROOT)
    for module in HEAVY:
        __import__(module)
    results = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
    for name in options.files:
        results[name] = examine(name, options.sample, options.seed, results.get(name, {}))
        options.out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
