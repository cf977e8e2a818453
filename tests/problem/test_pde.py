"""PDEs and tracing: programs against direct evaluation, collapsing, hoisting, and every refusal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from helpers import random_points, relative_error
from torch import Tensor

from psinn_fast.domains import Box
from psinn_fast.kernels.contract import Term
from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.language.channels import Channel, ChannelSet, Laplacian
from psinn_fast.kernels.language.program import Coefficient, Column, Coordinate, Instruction, Jet, Program
from psinn_fast.kernels.language.torch_program import torch_program
from psinn_fast.language import steps
from psinn_fast.language.derivative_names import derivative_name, parse_derivative
from psinn_fast.language.fields import SymbolicField
from psinn_fast.language.names import split_names
from psinn_fast.language.tracing import Traced
from psinn_fast.problem.conditions import Residual
from psinn_fast.problem.pde import PDE
from psinn_fast.problem.problem import Problem

N = 12


def traced(pde: PDE, points: np.ndarray | None = None) -> Traced:
    points = random_points(N, len(pde.coords)).numpy() if points is None else points
    return Residual(points).traced(pde)


def evaluate(pde: PDE, plain: Callable[..., Any], low: float = -1.0, high: float = 1.0) -> None:
    """The program's residuals and adjoints at random numbers, against ``plain(jet, x, coefficients)`` and autograd."""
    found = traced(pde)
    program = found.program
    x = random_points(N, len(pde.coords), 1)
    columns = torch.from_numpy(found.columns([x.numpy()]))
    shape = (1, len(program.channels), N, len(pde.fields))
    jets = (low + (high - low) * (random_points(int(np.prod(shape)), 1, 2) + 1) / 2).view(shape).requires_grad_()
    coefficients = torch.tensor([0.7, 1.3], dtype=torch.float64)[: len(pde.unknown)].requires_grad_()

    def jet(name: str) -> Tensor:
        field, _, suffix = name.partition("_")
        channel = parse_derivative(suffix, pde.coords, pde.spatial)
        lap = [c for c in program.channels.channels if isinstance(c, Laplacian)]
        if channel not in program.channels.channels:  # collapsed: any split of the sum serves
            assert isinstance(channel, tuple)
            first = channel.index(2) == lap[0].axes[0]
            channel = lap[0] if first else None
        k = pde.fields.index(field)
        return jets[0, program.channels.position(channel), :, k] if channel else torch.zeros(N, dtype=torch.float64)

    expected = plain(jet, x.unbind(1), coefficients)
    expected = torch.stack([*expected]) if isinstance(expected, (list, tuple)) else expected[None]
    run = torch_program(program)
    arguments = (jets.detach(), x[None], columns, coefficients.detach())
    residuals = torch.stack([torch.as_tensor(r, dtype=x.dtype).expand(N) for r in run.residuals(*arguments)])
    assert relative_error(residuals, expected) < 1e-13

    r_bar = random_points(program.n_residuals, N, 3)
    by_jets, by_coefficients = torch.autograd.grad(
        (r_bar * expected).sum(), (jets, coefficients), allow_unused=True, materialize_grads=True
    )
    ours_jets, ours_coefficients = torch.zeros_like(by_jets), torch.zeros_like(by_coefficients)
    gradients = run.adjoint(*arguments, list(r_bar))
    for (register, _), value in zip(program.gradients, gradients, strict=True):
        match program.inputs[register]:
            case Jet(site, field, channel):
                ours_jets[site, channel, :, field] = value
            case Coefficient(k):
                ours_coefficients[k] += torch.as_tensor(value).expand(N).sum()
    assert relative_error(ours_jets, by_jets) < 1e-12
    assert relative_error(ours_coefficients, by_coefficients) < 1e-12


@pytest.mark.parametrize(
    ("pde", "plain"),
    [
        (PDE("x y", "u", lambda u: u.xx + u.yy), lambda j, x, c: j("u_xx") + j("u_yy")),
        (
            PDE("t x", "u", lambda u, nu: u.t + u * u.x - nu * u.xx, unknown={"nu": 0.0}),
            lambda j, x, c: j("u_t") + j("u") * j("u_x") - c[0] * j("u_xx"),
        ),
        (
            PDE("t x", "u", lambda k, u, x: u.t * k - x * u + sp.sin(x) * u.xxxx, {"k": 2.5}),
            lambda j, x, c: 2.5 * j("u_t") - x[1] * j("u") + x[1].sin() * j("u_xxxx"),
        ),
        (
            PDE("x y", "u v p", lambda u, v, p, a, b: [u.x + v.y, u * u.x + v * u.y + a * p.x - b * u.lap, a * b],
                unknown={"a": 1.0, "b": 2.0}),
            lambda j, x, c: [
                j("u_x") + j("v_y"),
                j("u") * j("u_x") + j("v") * j("u_y") + c[0] * j("p_x") - c[1] * j("u_lap"),
                (c[0] * c[1]).expand(N),
            ],
        ),
        (
            PDE("x y", "u", lambda u, x, y: (sp.exp(x * y) + u) * (u.x - x) / (3 + sp.cos(u.y)) ** 2 - sp.log(2 + x)),
            lambda j, x, c: (torch.exp(x[0] * x[1]) + j("u")) * (j("u_x") - x[0]) / (3 + j("u_y").cos()) ** 2
            - torch.log(2 + x[0]),
        ),
        # Sources as arguments of functions.
        (
            PDE("x y", "u", lambda u, x, y: sp.Max(u, sp.sin(x)) + sp.Abs(u - sp.exp(y)) * (3 + u) ** sp.cos(x)),
            lambda j, x, c: torch.maximum(j("u"), x[0].sin())
            + (j("u") - x[1].exp()).abs() * (3 + j("u")) ** x[0].cos(),
        ),
    ],
)  # fmt: skip
def test_programs(pde: PDE, plain: Callable[..., Any]) -> None:
    evaluate(pde, plain)


FUNCTIONS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Tensor, Tensor], Tensor]]] = {
    **{
        name: (lambda u, v, n=name: getattr(sp, n)(u * v), lambda u, v, n=name: getattr(torch, n)(u * v))
        for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "atan", "sqrt")
    },
    "abs": (lambda u, v: sp.Abs(u - v), lambda u, v: (u - v).abs()),
    "max": (lambda u, v: sp.Max(u, v) ** 2, lambda u, v: torch.maximum(u, v) ** 2),
    "min": (lambda u, v: sp.Min(u * v, 0.7), lambda u, v: (u * v).clamp(max=0.7)),
    "max of three": (lambda u, v: sp.Max(u, v, u * v), lambda u, v: torch.maximum(torch.maximum(u, v), u * v)),
    "relu": (lambda u, v: sp.Max(u - v, 0), lambda u, v: (u - v).relu()),
    "sign": (lambda u, v: u * sp.Abs(v - 0.6) * v, lambda u, v: u * (v - 0.6).abs() * v),
    "quotient": (lambda u, v: u / v, lambda u, v: u / v),
    "reciprocal": (lambda u, v: 1 / (u + v), lambda u, v: 1 / (u + v)),
    "root in the denominator": (lambda u, v: u / sp.sqrt(1 + v**2), lambda u, v: u / torch.sqrt(1 + v**2)),
    "field power": (lambda u, v: u**v, lambda u, v: u**v),
    "constant base": (lambda u, v: 2**u * v, lambda u, v: 2**u * v),
    **{
        f"power {p}": (lambda u, v, p=p: (u + v) ** p, lambda u, v, p=p: (u + v) ** p)
        for p in (-9, -8, -3, -2, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0.5, -0.5, 1.5, 2.0)
    },
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    symbolic, plain = FUNCTIONS[name]
    pde = PDE("x", "u v", lambda u, v: symbolic(u, v))
    evaluate(pde, lambda j, x, c: plain(j("u"), j("v")), low=0.3, high=1.2)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_in_steps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As residuals of thousands of terms are traced."""
    monkeypatch.setattr(steps, "_MANY", 1)
    symbolic, plain = FUNCTIONS[name]
    pde = PDE("x", "u v", lambda u, v, x: [symbolic(u, v) * sp.sin(x) + u.x * v + 2, symbolic(u, v)])

    def expected(j: Callable[[str], Tensor], x: Sequence[Tensor], c: Tensor) -> list[Tensor]:
        value = plain(j("u"), j("v"))
        return [value * x[0].sin() + j("u_x") * j("v") + 2, value]

    evaluate(pde, expected, low=0.3, high=1.2)


@pytest.mark.parametrize(
    ("coords", "function", "channels"),
    [
        ("x y", lambda u: u.xx + u.yy, [(0, 0), (1, 0), (0, 1), Laplacian((0, 1))]),
        ("x y", lambda u: u.x * (u.xx + u.yy) - u**2, [(0, 0), (1, 0), (0, 1), Laplacian((0, 1))]),
        ("t x y", lambda u: u.t - (u.xx + u.yy), [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), Laplacian((1, 2))]),
        ("x y z", lambda u: u.lap, [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), Laplacian((0, 1, 2))]),
        ("x y", lambda u: [u.xx + u.yy, 2 * u.xx + 2 * u.yy], [(0, 0), (1, 0), (0, 1), Laplacian((0, 1))]),
        ("x y", lambda u: u.xx + u.yy + u.xy, [(0, 0), (1, 0), (0, 1), (1, 1), Laplacian((0, 1))]),
        # Not only through the sum, only one of them, or needed anyway.
        ("x y", lambda u: u.xx + 2 * u.yy, [(0, 0), (1, 0), (0, 1), (2, 0), (0, 2)]),
        ("x y", lambda u: u.xx * u.yy, [(0, 0), (1, 0), (0, 1), (2, 0), (0, 2)]),
        ("x y", lambda u: [u.xx + u.yy, u.yy], [(0, 0), (1, 0), (0, 1), (2, 0), (0, 2)]),
        ("x y", lambda u: u.xx, [(0, 0), (1, 0), (2, 0)]),
        ("x y", lambda u: u.xx + u.yy + u.xxx, [(0, 0), (1, 0), (0, 1), (2, 0), (0, 2), (3, 0)]),
    ],
)
def test_collapsing(coords: str, function: Callable[..., Any], channels: list[Channel]) -> None:
    assert list(traced(PDE(coords, "u", function)).program.channels.channels) == channels


def test_collapsing_of_two_fields() -> None:
    both = traced(PDE("x y", "u v", lambda u, v: [u.xx + u.yy, v.xx + v.yy - u]))
    assert Laplacian((0, 1)) in both.program.channels.channels
    one = traced(PDE("x y", "u v", lambda u, v: [u.xx + u.yy, v.xx - v.yy]))
    assert Laplacian((0, 1)) not in one.program.channels.channels


def test_source_terms_become_columns() -> None:
    pde = PDE("x y", "u", lambda u, x, y: u.xx - sp.sin(x) * sp.exp(y) * u - sp.cos(x * y) / (2 + x))
    program = traced(pde).program
    kinds = [type(kind) for kind in program.inputs]
    assert program.n_columns == kinds.count(Column) == 2
    assert Coordinate not in kinds
    assert {instruction.op for instruction in program.instructions} <= {"add", "mul", "neg", "const"}
    evaluate(
        pde,
        lambda j, x, c: j("u_xx") - x[0].sin() * x[1].exp() * j("u") - (x[0] * x[1]).cos() / (2 + x[0]),
    )


def test_a_bare_coordinate_is_no_column() -> None:
    for residual in (lambda u, x: u.x * x, lambda u, x: sp.Max(u, x)):
        program = traced(PDE("x y", "u", residual)).program
        assert program.n_columns == 0
        assert Coordinate(0, 0) in program.inputs


def test_unknown_coefficients_are_inputs_and_known_ones_constants() -> None:
    unknown = traced(PDE("x", "u", lambda u, a, b: a * u.x - b, unknown={"a": 1.0, "b": 3.0})).program
    assert {kind for kind in unknown.inputs if isinstance(kind, Coefficient)} == {Coefficient(0), Coefficient(1)}
    known = traced(PDE("x", "u", lambda u, a: a * u.x, coefficients={"a": 0.1})).program
    assert Instruction("const", value=0.1) in known.instructions
    assert not any(isinstance(kind, Coefficient) for kind in known.inputs)


def test_equal_names_with_other_coordinates_do_not_mix() -> None:
    """u_x of (x, t) and of (t, x) have one name but another place."""
    one = PDE("x t", "u", lambda u: u.x + 2 * u.xx)
    other = PDE("t x", "u", lambda u: u.x + 2 * u.xx)
    assert traced(one).program.channels.channels == ((0, 0), (1, 0), (2, 0))
    assert traced(other).program.channels.channels == ((0, 0), (0, 1), (0, 2))
    assert one.field_symbol("u").x != other.field_symbol("u").x
    assert one.field_symbol("u").x == one.field_symbol("u").x
    assert one.field_symbol("u").x != sp.Symbol("u_x", real=True)
    assert one.field_symbol("u", 0) != one.field_symbol("u", 1)


@pytest.mark.parametrize(
    ("text", "coords", "channel"),
    [
        ("", "xy", (0, 0)), ("xxy", "xy", (2, 1)), ("yxx", "xy", (2, 1)), ("lap", "xyz", Laplacian((0, 1, 2))),
        ("lapzx", "xyz", Laplacian((0, 2))), ("z", "xy", None), ("lapz", "xy", None), ("lapxx", "xy", None),
        ("lapy", "xyz", (0, 2, 0)), ("rrs", ("rr", "s"), (1, 1)), ("rrr", ("rr", "s"), None),
    ],
)  # fmt: skip
def test_parse_derivative(text: str, coords: tuple[str, ...], channel: Channel | None) -> None:
    spatial = range(len(coords))
    assert parse_derivative(text, coords, spatial) == channel
    if channel is not None:
        assert parse_derivative(derivative_name(channel, coords, spatial), coords, spatial) == channel


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda u: u.z, r"u\.z: not a derivative; the coordinates are x, y \(write u\.x, u\.xx, u\.lap\)"),
        (lambda u: u.xxxyy, r"u\.xxxyy: derivative orders go up to 4"),
        (lambda u: u.x + sp.Symbol("w"), r"unknown symbols \['w'\] in the residual"),
        (lambda u: u.x + sp.Symbol("u_x"), "unknown symbols"),
        (lambda u: u.x / 0, "is not a finite real expression"),
        (lambda u: u.x + float("nan"), "is not a finite real expression"),
        (lambda u: u.x * sp.I, "is not a finite real expression"),
        (
            lambda u: sp.gamma(u),
            "gamma is not supported in a residual; supported: Abs, Heaviside, Max, .*sqrt.*powers",
        ),
        (lambda u: np.sin(u), "failed on symbols .* use SymPy's functions, e.g. sympy.sin"),
        (lambda u: abs(u) if u > 0 else u, "failed on symbols"),
        (lambda u: None, "expected expressions of the fields, got NoneType: None"),
        (lambda u: u.x > 0, "expected expressions of the fields, got StrictGreaterThan"),
        (lambda u: [], "the residual function returned nothing"),
    ],
)
def test_bad_residuals(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(InputError, match=f"(term 'residual'|residual): .*{message}"):
        traced(PDE("x y", "u", function))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("x y", "u", lambda u, v: u.x), r"residual: its parameter 'v' is neither a coordinate \['x', 'y'\], a field"),
        (("x y", "u", 3), "residual: expected a function, got int"),
        (("x y z t s a b c d", "u", lambda u: u), "coords: derivatives are available for 1 to 8 coordinates, got 9"),
        (("", "u", lambda u: u), "coords: expected at least one name and no name twice"),
        (("x x", "u", lambda u: u), "coords: expected at least one name and no name twice"),
        (("x", "u u", lambda u: u), "fields: expected at least one name and no name twice"),
        (("x_1", "u", lambda u: u), "coords: expected names of letters and digits, got 'x_1'"),
        (("x", "1u", lambda u: u), "fields: expected names of letters and digits, got '1u'"),
        (("x", "lambda", lambda u: u), "fields: expected names of letters and digits, got 'lambda'"),
        (("n", "u", lambda u: u), r"coords: u\.n means something else to SymPy's symbols; rename n"),
        (("name", "u", lambda u: u), r"coords: u\.name means something else"),
        (("site", "u", lambda u: u), r"coords: u\.site means something else"),
        (("h a s", "u", lambda u: u), r"coords: u\.has means something else to SymPy's symbols; rename a or h or s"),
        (("x", "u", max), "residual: <built-in function max> does not tell its parameters' names"),
        (("x", "x", lambda x: x), r"coords, fields, coefficients, unknown: the names \['x'\] are used twice"),
        (("x", "u", lambda u: u, {"a": 1.0}, {"a": 1.0}), r"the names \['a'\] are used twice"),
        (("x", "u", lambda u: u, {"a": float("inf")}), "coefficients: a: expected a finite number, got inf"),
        (("x", "u", lambda u: u, {}, {"a": "1"}), "unknown: a: expected a finite number, got '1'"),
        (("x", "u", lambda u: u, {}, {"a": True}), "unknown: a: expected a finite number, got True"),
        (("x", "u", lambda u: u, [1]), "coefficients: expected a mapping from name to number, got list"),
        (("x", "u", lambda u: u, {"a_b": 1.0}), "coefficients: expected names of letters and digits, got 'a_b'"),
    ],
)
def test_bad_pdes(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PDE(*arguments)


def test_undeclared_field_and_names() -> None:
    with pytest.raises(InputError, match=r"field 'v' is not declared; the PDE's fields are \['u'\]"):
        PDE("x", "u", lambda u: u).field_symbol("v")
    assert split_names("x, y z", "names") == split_names(["x", "y", "z"], "names") == ("x", "y", "z")
    field = PDE("x", "u", lambda u: u).field_symbol("u")
    assert isinstance(field.x, SymbolicField)
    assert hasattr(field, "xx")
    assert not hasattr(field, "y")


def test_bad_programs() -> None:
    channels = ChannelSet.closure(1, [])
    for instruction, message in [
        (Instruction("erf", 0), "instructions: unknown operation 'erf'"),
        (Instruction("add", 0, 1), r"instructions\[0\]: add reads a register that is not computed yet"),
        (Instruction("neg"), r"instructions\[0\]: neg reads a register that is not computed yet"),
    ]:
        with pytest.raises(InputError, match=message):
            Program(channels, 1, 0, (Jet(0, 0, 0),), (instruction,), 1, (1,), ())
    program = Program(channels, 1, 0, (Jet(0, 0, 0),), (), 0, (0,), ())
    assert Term("a", program, torch.zeros(1, 3, 1), torch.zeros(3, 0)).n_points == 3


def test_sign_of_a_field() -> None:
    pde = PDE("x", "u v", lambda u, v: sp.sign(u - 0.7) * v)
    evaluate(pde, lambda j, x, c: (j("u") - 0.7).sign() * j("v"), low=0.3, high=1.2)


def test_a_coefficient_named_like_a_column() -> None:
    pde = PDE("x", "u", lambda u, x, column0: column0 * u.x - sp.sin(x), unknown={"column0": 1.0})
    evaluate(pde, lambda j, x, c: c[0] * j("u_x") - x[0].sin())


def test_collapsing_the_laplacian_multiplies_nothing_out() -> None:
    """Expanded, (u - 1)^8 has no digit left near u = 1 in float32."""
    pde = PDE("x y", "u", lambda u: u.xx + u.yy + (u - 1) ** 8)
    (residual,) = Residual(np.zeros((1, 2))).traced(pde).residuals
    assert str(residual) == "u_lap + (u - 1)**8"


@pytest.mark.parametrize(
    ("function", "collapses"),
    [
        (lambda u: u * (u.xx + u.yy) ** 2, True),
        (lambda u: u * u.xx + u * u.yy + u.x, True),
        (lambda u: u.xx * u.yy, False),
        (lambda u: u.xx + u.x * u.yy, False),
    ],
)
def test_collapse_of_nonlinear_residuals(function: Callable[..., Any], collapses: bool) -> None:
    channels = Residual(np.zeros((1, 2))).traced(PDE("x y", "u", function)).program.channels
    assert (Laplacian((0, 1)) in channels.channels) is collapses


def test_special_functions_may_be_source_terms() -> None:
    box = Box(x=(0, 1))
    problem = Problem("p", PDE("x", "u", lambda u, x: u.x - sp.erf(x)), box, [Residual(box.grid(3))])
    np.testing.assert_allclose(problem.terms(torch.float64)[0].columns[:, 0], [-math.erf(t) for t in (0, 0.5, 1)])


def test_poles_of_source_terms_are_reported() -> None:
    box = Box(x=(0, 1))
    problem = Problem("p", PDE("x", "u", lambda u, x: u - 1 / x), box, [Residual(box.grid(3))])
    with pytest.raises(
        InputError, match=r"term 'residual': its source term -1/x is NaN or infinite at 1 of 3 points, first at \(0\)"
    ):
        problem.terms()


def test_numbers_too_large_for_a_float_are_refused() -> None:
    with pytest.raises(InputError, match="in a residual is too large"):
        Residual(np.zeros((1, 1))).traced(PDE("x", "u", lambda u: u * sp.exp(1000)))
