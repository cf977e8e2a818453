"""Residual programs printed as torch code."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .program import Adjoint, Coefficient, Column, Coordinate, Input, Instruction, Jet, Program

_FORMS = {
    "neg": "-{a}",
    "add": "{a} + {b}",
    "mul": "{a} * {b}",
    "div": "{a} / {b}",
    "pow": "{a} ** {b}",
    # Masks become numbers: the rest of the program is arithmetic.
    "gt": "({a} > {b}).to(x.dtype)",
    "max": "torch.maximum({a}, {b})",
    "min": "torch.minimum({a}, {b})",
}

# How messages write operations; others are functions.
_WORDS = {"add": "{} + {}", "mul": "{} * {}", "div": "{} / {}", "reciprocal": "1 / {}", "pow": "({}) ** {}"}


class TorchProgram(NamedTuple):
    """``residuals(jets, x, columns, coefficients)`` -> tuple of r_i; ``adjoint(..., r_bar)`` -> input adjoints.

    jets: (n_sites, C, N, F); x: (n_sites, N, d); columns: (N, n_columns); r_bar: one (N,) per residual. Values that
    depend on no point come back as numbers or 0-d tensors: the caller broadcasts.
    """

    residuals: Callable[..., tuple[Tensor, ...]]
    adjoint: Callable[..., tuple[Tensor, ...]]
    source: str


@lru_cache(maxsize=256)
def torch_program(program: Program) -> TorchProgram:
    """Print and compile a program (once per program)."""
    forward = _function(program, "residuals", "jets, x, columns, coefficients", program.residuals)
    gradients = tuple(register for _, register in program.gradients)
    adjoint = _function(program, "adjoint", "jets, x, columns, coefficients, r_bar", gradients)
    source = forward + "\n\n" + adjoint
    namespace: dict[str, Any] = {"torch": torch}
    exec(compile(source, "<residual program>", "exec"), namespace)
    return TorchProgram(namespace["residuals"], namespace["adjoint"], source)


def slopes(
    program: Program, residual: int, jets: Tensor, x: Tensor, columns: Tensor, coefficients: Tensor
) -> tuple[Tensor, ...]:
    """Of one residual by everything that is trained, in the order of ``program.gradients``; arguments as above."""
    pick = [columns.new_full((len(columns),), float(i == residual)) for i in range(program.n_residuals)]
    return torch_program(program).adjoint(jets, x, columns, coefficients, pick)


def undefined(program: Program, jets: Tensor, x: Tensor, columns: Tensor, coefficients: Tensor) -> str | None:
    """The first operation that makes NaN or infinity of finite numbers, and how often; None for none.

    As ``log(-0.31) at 40 of 101 points``, or ``..., in its derivative``; arguments as above.
    """
    n, count = len(program.inputs), len(columns)
    registers = tuple(range(n + len(program.instructions)))
    namespace: dict[str, Any] = {"torch": torch}
    exec(_function(program, "registers", "jets, x, columns, coefficients, r_bar", registers), namespace)
    found = namespace["registers"](jets, x, columns, coefficients, [columns.new_ones(count)] * program.n_residuals)
    values = [torch.as_tensor(value, dtype=jets.dtype, device=jets.device).expand(count) for value in found]
    for number, (op, a, b, _) in enumerate(program.instructions):
        operands = [values[register] for register in (a, b) if register >= 0]
        bad = ~torch.isfinite(values[n + number])
        for operand in operands:
            bad &= torch.isfinite(operand)
        if bool(bad.any()):
            first = int(bad.int().argmax())
            numbers = (f"{float(operand[first]):.3g}" for operand in operands)
            where = "" if number < program.n_forward else ", in its derivative"
            return f"{_WORDS.get(op, f'{op}({{}})').format(*numbers)} at {int(bad.sum())} of {count} points{where}"
    return None


def _function(program: Program, name: str, arguments: str, results: tuple[int, ...]) -> str:
    """Only the instructions that ``results`` need."""
    n_inputs = len(program.inputs)
    needed: set[int] = set()
    stack = list(results)
    while stack:
        register = stack.pop()
        if register in needed:
            continue
        needed.add(register)
        if register >= n_inputs:
            instruction = program.instructions[register - n_inputs]
            stack += [r for r in (instruction.a, instruction.b) if r >= 0]
    lines = [f"def {name}({arguments}):"]
    for register in sorted(needed):
        if register < n_inputs:
            value = _input(program.inputs[register])
        else:
            value = _expression(program, program.instructions[register - n_inputs])
        lines.append(f"    v{register} = {value}")
    lines.append(f"    return ({''.join(f'v{register}, ' for register in results)})")
    return "\n".join(lines)


def _input(kind: Input) -> str:
    match kind:
        case Jet(site, field, channel):
            return f"jets[{site}, {channel}, :, {field}]"
        case Coordinate(site, axis):
            return f"x[{site}, :, {axis}]"
        case Column(index):
            return f"columns[:, {index}]"
        case Coefficient(index):
            return f"coefficients[{index}]"
        case Adjoint(residual):
            return f"r_bar[{residual}]"


def _expression(program: Program, instruction: Instruction) -> str:
    op, a, b, value = instruction
    if op == "const":
        return repr(value)
    return _FORMS.get(op, f"torch.{op}({{a}})").format(a=_operand(program, a, op), b=_operand(program, b, op))


def _operand(program: Program, register: int, op: str) -> str:
    """Constants are Python numbers, which torch's functions (not its operators) refuse."""
    n_inputs = len(program.inputs)
    is_constant = register >= n_inputs and program.instructions[register - n_inputs].op == "const"
    if is_constant and op in ("max", "min"):
        return f"x.new_full((), v{register})"  # not from the host: a CUDA graph may be recorded
    return f"v{register}"
