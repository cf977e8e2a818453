"""Triton's interpreter in less than half of its time, doing the same to the same numbers.

Most of its time goes into objects that describe types and shapes, made anew for each operation, into checks whose
answer is known for two numbers of one floating type, and into the sources of kernels, which it reads twice and token by
token. Here such objects are made once, checks that can say nothing are left out, and a module is parsed once.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Sequence
from functools import cache
from types import CodeType
from typing import Any

import pytest
from triton.language import core
from triton.language.semantic import TritonSemantic
from triton.runtime import interpreter

FLOATS = (core.float32, core.float64)


def make_quick(patch: pytest.MonkeyPatch) -> None:
    """Puts quicker functions in the place of the interpreter's, until ``patch`` is undone."""
    patch_language_once_per_launch(patch)
    keep_types(patch)
    leave_out_checks(patch)
    patch.setattr(interpreter.FunctionRewriter, "rewrite_ast", rewritten)


def patch_language_once_per_launch(patch: pytest.MonkeyPatch) -> None:
    """At each call within a kernel the interpreter puts its functions in Triton's place again.

    Once per launch and module is enough.
    """
    done: set[int] = set()
    launch, put = interpreter.GridExecutor.__call__, interpreter._patch_lang

    def quick_launch(self: Any, *args: Any, **kwargs: Any) -> None:
        done.clear()
        launch(self, *args, **kwargs)

    def put_once(function: Any) -> Any:
        module = id(function.__globals__)
        if module in done:
            return None
        done.add(module)
        return put(function)

    patch.setattr(interpreter.GridExecutor, "__call__", quick_launch)
    patch.setattr(interpreter, "_patch_lang", put_once)


def keep_types(patch: pytest.MonkeyPatch) -> None:
    """Block types, the shapes of tensors, and NumPy's types are made once for each type; nobody changes them."""
    make_block, make_tensor, find_dtype = core.block_type.__init__, core.tensor.__init__, interpreter._get_np_dtype
    are_equal = core.dtype.__eq__
    blocks, shapes, dtypes = dict[Any, dict[str, Any]](), dict[str, Any](), dict[str, Any]()

    def block_type(self: Any, element_ty: Any, shape: Any) -> None:
        sizes = shape.values if type(shape) is core.tuple else shape
        key = (element_ty.name, *(s.value if type(s) is core.constexpr else s for s in sizes))
        known = blocks.get(key)
        if known is None:
            make_block(self, element_ty, shape)
            blocks[key] = dict(self.__dict__)
        else:
            self.__dict__.update(known)

    def tensor(self: Any, handle: Any, type: Any) -> None:
        key = type.name if type.is_block() else ""
        known = shapes.get(key)
        if known is None:
            make_tensor(self, handle, type)
            shapes[key] = self.shape, self.numel
        else:
            self.handle, self.type, self.dtype = handle, type, type.scalar
            self.shape, self.numel = known

    def np_dtype(of: Any) -> Any:
        known = dtypes.get(of.name)
        if known is None:
            known = dtypes[of.name] = find_dtype(of)
        return known

    patch.setattr(core.block_type, "__init__", block_type)
    patch.setattr(core.tensor, "__init__", tensor)
    patch.setattr(core.dtype, "__eq__", lambda self, other: self is other or are_equal(self, other))
    patch.setattr(interpreter, "_get_np_dtype", np_dtype)


def leave_out_checks(patch: pytest.MonkeyPatch) -> None:
    """Where two tensors agree in type, or in shape, nothing is to be found out.

    The interpreter computes which integers overflow, and drops it, as Triton does unless it is debugged.
    """
    check, broadcast = TritonSemantic.binary_op_type_checking_impl, TritonSemantic.broadcast_impl_value
    sanitize = TritonSemantic.binary_op_sanitize_overflow_impl

    def checked(self: Any, lhs: Any, rhs: Any, *flags: bool, **named: bool) -> tuple[Any, Any]:
        first = lhs.dtype if isinstance(lhs, core.tensor) else None
        if any(first is number for number in FLOATS):
            if type(rhs) is float:
                rhs = self.scalar_constant(rhs, dtype=first)
            if isinstance(rhs, core.tensor) and rhs.dtype is first:
                return broadcasted(self, lhs, rhs)
        pair: tuple[Any, Any] = check(self, lhs, rhs, *flags, **named)
        return pair

    def broadcasted(self: Any, lhs: Any, rhs: Any) -> tuple[Any, Any]:
        one, other = lhs.type, rhs.type
        if one.is_block() and other.is_block() and one.shape.values == other.shape.values:
            return lhs, rhs
        pair: tuple[Any, Any] = broadcast(self, lhs, rhs)
        return pair

    def sanitized(self: Any, lhs: Any, rhs: Any, binary_op: Any) -> None:
        if self.builder.options.debug:
            sanitize(self, lhs, rhs, binary_op)

    patch.setattr(TritonSemantic, "binary_op_type_checking_impl", checked)
    patch.setattr(TritonSemantic, "broadcast_impl_value", broadcasted)
    patch.setattr(TritonSemantic, "binary_op_sanitize_overflow_impl", sanitized)


def rewritten(rewriter: Any) -> Any:
    """The function with each assigned value as a tensor, as FunctionRewriter makes it."""
    function = rewriter.fn
    try:
        lines, _ = inspect.findsource(function)
    except OSError:
        return function
    code = compiled("".join(lines), function.__code__.co_filename, function.__code__.co_firstlineno)
    for name, value in vars(interpreter).items():
        function.__globals__.setdefault(name, value)
    scope = dict(rewriter.kwargs)
    exec(code, function.__globals__, scope)
    return scope[function.__name__]


@cache
def compiled(text: str, path: str, line: int) -> CodeType:
    """Of the function that begins in this line, decorators included."""
    node = definitions(text)[line]
    node.decorator_list = []
    for statement in statements(node.body):
        if isinstance(statement, ast.Assign):
            if len(statement.targets) > 1:
                raise ValueError("Multiple assignments are not supported")
            statement.value = as_tensor(statement.value)
    return compile(ast.Module([node], []), path, "exec")


@cache
def definitions(text: str) -> dict[int, ast.FunctionDef]:
    """By the line in which they, or their decorators, begin."""
    found = [node for node in statements(ast.parse(text).body) if isinstance(node, ast.FunctionDef)]
    return {min([node.lineno, *(d.lineno for d in node.decorator_list)]): node for node in found}


def statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        for part in ("body", "orelse", "finalbody"):
            yield from statements(getattr(statement, part, ()))


# Read by the compiler alone, and so the same nodes in all places.
NOWHERE: dict[str, Any] = {"lineno": 1, "col_offset": 0}
TO_TENSOR = ast.Attribute(ast.Name("interpreter_semantic", ast.Load(), **NOWHERE), "to_tensor", ast.Load(), **NOWHERE)
FALSE = ast.Constant(False, **NOWHERE)


def as_tensor(value: ast.expr) -> ast.expr:
    return ast.copy_location(ast.Call(TO_TENSOR, [value, FALSE], []), value)
