"""How tests are laid out: they import helpers, never other tests, and nothing private of the library."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FILES = sorted(TESTS.rglob("*.py"))
# What follows holds examples of what is not allowed.
CHECKED = [path for path in FILES if path != Path(__file__)]


def faults(source: str) -> Iterator[str]:
    """What is taken from other tests, or from the library though it is private; by scripts in strings, too."""
    tree, own = ast.parse(source), set[str]()
    for node in [*ast.walk(tree), *scripted(tree)]:
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
        for name in node.names:
            path = f"{module}.{name.name}".lstrip(".")
            imported = path if isinstance(node, ast.Import) else module
            if imported.rpartition(".")[2].startswith("test_") or imported == "conftest":
                yield f"another test: {path}"
            if path.startswith("psinn_fast."):
                bound = name.asname or name.name.partition(".")[0]
                own |= {bound} if bound.islower() else set()  # modules: of classes, tests replace methods, too
                if any(is_private(part) for part in path.split(".")):
                    yield f"private: {path}"
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in own and is_private(attribute):
                yield f"private: {name}.{attribute}"


def scripted(tree: ast.AST) -> Iterator[ast.stmt]:
    """Imports in lines of strings; these may be templates, which are no Python as a whole."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for line in node.value.replace(";", "\n").splitlines():
                if line.strip().startswith(("import ", "from ")):
                    try:
                        yield from ast.parse(line.strip()).body
                    except SyntaxError:
                        continue  # prose


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


@pytest.mark.parametrize("path", CHECKED, ids=lambda path: path.relative_to(TESTS).as_posix())
def test_imports(path: Path) -> None:
    assert list(faults(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "from test_a import b",
        "import test_a",
        "from conftest import a",
        "from psinn_fast.a import _b",
        "from psinn_fast._a import b",
        "from psinn_fast.a import b\n\nb._c()",
        "import psinn_fast.a as b\n\nb._c()",
        "CODE = '''\n{setting!r}\nfrom psinn_fast.a import _b\n'''",
        "CODE = 'import sys; import test_a'",
    ],
)
def test_faults_are_seen(source: str) -> None:
    assert len(list(faults(source))) == 1


def test_what_is_allowed() -> None:
    allowed = (
        "from psinn_fast import __version__, a\nfrom helpers import test_a\nfrom torch._a import _b\nself._c, a.b._c"
    )
    assert list(faults(allowed)) == []


def test_names_of_files_are_unique() -> None:
    """Without packages a module is known by its file's name alone."""
    names = [path.name for path in FILES if path.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))
