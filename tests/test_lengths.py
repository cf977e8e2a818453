"""What is public has few parameters, functions have few lines, and what is longer says why."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import psinn_fast as pf
import psinn_fast.kernels

# Without its docstring.
MOST_LINES = 80
OPTIMISERS = ("Adam", "LBFGS", "GaussNewton", "TorchOptimizer")


def parameters(name: str) -> list[str]:
    try:
        return list(inspect.signature(getattr(pf, name)).parameters)
    except (TypeError, ValueError):  # e.g. an enumeration, or a class with a signature of C
        return []


@pytest.mark.parametrize("name", pf.__all__)
def test_few_parameters(name: str) -> None:
    most = 8 if name in ("solve", "fit", *OPTIMISERS) else 10
    assert len(parameters(name)) <= most, parameters(name)


def long_functions(source: str) -> Iterator[tuple[str, int, str]]:
    """Name, lines without the docstring, and the line above the function (its decorators included)."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            doc = node.body[0] if ast.get_docstring(node) else None
            length = node.end_lineno - node.lineno + 1 - (doc.end_lineno - doc.lineno + 1 if doc else 0)
            if length > MOST_LINES:
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                yield node.name, length, lines[first - 2].strip()


def test_functions_fit_on_a_page() -> None:
    folders = Path(pf.__file__).parent, Path(psinn_fast.kernels.__file__).parent
    sources = {path.resolve() for folder in folders for path in folder.rglob("*.py")}
    assert len(sources) > 200
    for path in sources:
        for name, length, above in long_functions(path.read_text(encoding="utf-8")):
            assert above.startswith("# Long:"), f"{path}: {name} has {length} lines"


def test_a_long_function_is_seen() -> None:
    source = '@decorated\ndef f():\n    """Doc."""\n' + "    x = 1\n" * 80
    assert list(long_functions(f"# Long: why\n{source}")) == [("f", 81, "# Long: why")]
    assert list(long_functions(source.replace("    x = 1\n", "", 1))) == []
