"""What training checks before it starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..kernels import checks
from ..kernels.contract.precision import IEEE
from ..kernels.devices import DEVICE_TYPES
from ..kernels.errors import InputError, short
from ..kernels.language.regularizer import Regularizer
from ..networks.mlp import PsiMLP, check_network
from ..problem.problem import Problem
from ..scaling.known_ends import check_numbers, check_periods
from ..storage.files import from_json, to_json
from .checkpoint import Expectations
from .history import COMMON_COLUMNS
from .protocol import Optimizer, Run, Task
from .weighting import Weighting


def check_trainable(net: PsiMLP) -> None:
    """
    Raises:
        InputError: theta is empty, frozen, has hooks, or holds NaN or infinite numbers, from which no step leads
            anywhere; or it is put together from parameters of each layer, or on a device where no backend computes.
    """
    if not isinstance(net.theta, nn.Parameter):
        raise InputError(
            "net: its parameters are those of its layers, and here theta is trained as one; train it by optimisers of "
            "torch (net.parameter_groups()), or give net.joined()"
        )
    if not net.theta.numel():
        raise InputError("net: it has no parameters, all of its weights are zero: there is nothing to train")
    if not net.theta.requires_grad:
        raise InputError("net: its theta is frozen, and would be trained all the same; net.requires_grad_() frees it")
    if net.theta._backward_hooks:
        raise InputError("net: its theta has hooks on its gradient, which would be ignored: kernels compute that")
    check_device(net)
    bad = int((~torch.isfinite(net.theta.detach())).sum())
    if bad:
        raise InputError(
            f"net: {bad} of the {net.theta.numel()} numbers of its theta are NaN or infinite before training; make the "
            "network anew, or load weights that are finite"
        )


def check_device(net: PsiMLP) -> None:
    """
    Raises:
        InputError: theta is on a device where no backend computes.
    """
    place = net.theta.device
    if place.type not in DEVICE_TYPES:
        advice = ", without numbers; make the network anew" if net.theta.is_meta else "; write net.to('cpu')"
        raise InputError(f"net: expected its theta on the CPU or an NVIDIA GPU, got it on '{place}'{advice}")


def check_fits(problem: Problem, net: object, what: str = "net") -> None:
    """It is one of the library's networks, has the problem's inputs and outputs, and numbers of other names."""
    net = check_network(net, what)
    expected = (len(problem.pde.coords), len(problem.pde.fields))
    if (net.structure.n_inputs, net.structure.n_outputs) != expected:
        raise InputError(
            f"{what}: problem {problem.name!r} has {expected[0]} inputs and {expected[1]} outputs, "
            f"the network {net.structure.n_inputs} and {net.structure.n_outputs}"
        )
    check_numbers(net.structure.ahead, problem)


def check_meets(problem: Problem, net: object, what: str = "net") -> None:
    """`check_fits` of a network for the problem itself, in which it has no other periods.

    Raises:
        InputError: it does not fit, or a period of its embedding is no part of the domain's width.
    """
    check_fits(problem, net, what)
    check_periods(check_network(net, what).structure.embedding, problem)


def check_regularizer(regularizer: Regularizer | None, net: PsiMLP, optimizer: Optimizer) -> None:
    """It has a meaning for the network, and the optimiser takes it."""
    if regularizer is None:
        return
    if not optimizer.takes_penalty:
        raise InputError(
            f"regularizer: {optimizer.name} takes none; a weight penalty is no sum of squared residuals, take "
            "pf.Adam or pf.LBFGS"
        )
    regularizer.check(net.plan)


def training_precision(asked: str | None, net: PsiMLP, optimizers: Sequence[Optimizer]) -> str:
    """Of products in float32: what is ``asked`` for, or what the network has.

    Raises:
        InputError: it was asked for, and all products are in float64.
    """
    own = net.theta.dtype
    if asked is None or asked == IEEE or any(one.product_dtype(own) != torch.float64 for one in optimizers):
        return net.precision if asked is None else asked
    advice = "train by pf.Adam or pf.GaussNewton(tuning=pf.Tuning(precision='float32'))"
    if own == torch.float64:
        is_enough = any(one.product_dtype(torch.float32) != torch.float64 for one in optimizers)
        advice = "take a network of float32, dtype='float32'" + ("" if is_enough else f", and {advice}")
    raise InputError(
        f"precision: {asked!r} is of products in float32, and {'+'.join(one.name for one in optimizers)} multiplies in "
        f"float64 here; leave precision out, or {advice}"
    )


def time_limit(seconds: object) -> float | None:
    """Seconds >= 0, also infinity; None: no limit."""
    return None if seconds is None else checks.number("seconds", seconds, least=0, infinite=True, other="None or ")


def check_optimizer(optimizer: Optimizer, problem: Problem) -> None:
    """What settings, maybe of the user's own, say of themselves is what `Optimizer` asks for.

    Raises:
        InputError: it is not; the message names class and entry.
    """
    what = f"optimizer: {type(optimizer).__name__}"
    if not isinstance(optimizer.name, str) or not optimizer.name:
        raise InputError(f"{what}.name: expected a text, got {short(optimizer.name)}")
    checks.integer(f"{what}.most_steps", optimizer.most_steps, 0)
    taken = (*COMMON_COLUMNS, *problem.term_names, *problem.pde.unknown)
    columns = optimizer.columns
    if not isinstance(columns, (tuple, list)) or any(not isinstance(one, str) or one in taken for one in columns):
        raise InputError(f"{what}.columns: expected names beside {list(taken)}, got {short(columns)}")
    for method in ("identity", "start"):
        if not callable(getattr(optimizer, method)):
            raise InputError(f"{what}.{method}: expected a method, got {short(getattr(optimizer, method))}")
    _check_identity(f"{what}.identity()", optimizer.identity())


def check_weighting(weighting: Weighting) -> None:
    """The same of the settings of a weighting.

    Raises:
        InputError: they are not what `Weighting` asks for; the message names class and entry.
    """
    what = f"weighting: {type(weighting).__name__}"
    name = getattr(weighting, "name", None)
    if not isinstance(name, str) or not name:
        raise InputError(f"{what}.name: expected a text, got {short(name)}")
    if not hasattr(weighting, "every"):
        raise InputError(f"{what}.every: expected None or an integer >= 1, the steps between updates; there is none")
    if weighting.every is not None:
        checks.integer(f"{what}.every", weighting.every, 1, other="None or ")
    _check_identity(f"{what}.identity()", weighting.identity())


def _check_identity(what: str, identity: object) -> None:
    if not isinstance(identity, Mapping):
        raise InputError(
            f"{what}: expected a dict of settings, which must agree in a resumed run, got {short(identity)}"
        )
    for name, value in identity.items():
        try:
            to_json({name: value})
        except (TypeError, ValueError):
            raise InputError(
                f"{what}: expected numbers, texts and lists of them, which a checkpoint can keep, got "
                f"{name!r}: {short(value)}"
            ) from None


def check_run(optimizer: Optimizer, run: object, task: Task) -> None:
    """What an optimiser's `start` gave is a run of this network.

    Raises:
        InputError: it is not.
    """
    if not isinstance(run, Run):
        raise InputError(f"optimizer: {type(optimizer).__name__}.start(task): expected a Run, got {short(run)}")
    what, sizes = (
        f"optimizer: {type(run).__name__}",
        {"theta": task.net.theta.numel(), "free": len(task.problem.pde.unknown)},
    )
    for name, size in sizes.items():
        try:
            found = getattr(run, name)
        except AttributeError as error:
            raise InputError(
                f"{what}.{name}: cannot be read ({error}); an __init__ of its own calls super().__init__(task, steps)"
            ) from error
        if not isinstance(found, Tensor) or found.shape != (size,):
            got = f"one of {tuple(found.shape)}" if isinstance(found, Tensor) else short(found)
            raise InputError(f"{what}.{name}: expected a tensor ({size},), got {got}")
    checks.integer(f"{what}.step", run.step, 0)


def check_saved(run: Run) -> None:
    """What a run saves is what it expects to find, so that it can be resumed.

    Raises:
        InputError: it is not; also of the weigher of its terms' weights, whose names begin with "weighting.".
    """
    what = f"optimizer: {type(run).__name__}"
    try:
        tensors, numbers = run.saved()
        plain = from_json(to_json(dict(numbers)))
        expected_tensors, expected_numbers = Expectations(*run.expected(plain))
        optional = {name for name, expected in expected_tensors.items() if expected.optional}
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{what}.saved(): expected dicts of tensors and of numbers, and from expected(numbers) their Expectations "
            f"({type(error).__name__}: {error})"
        ) from error
    odd = {*tensors} ^ {*expected_tensors} - (optional - {*tensors}) | {*numbers} ^ {*expected_numbers}
    if odd:
        raise InputError(
            f"{what}.saved() and expected(numbers): what the one names the other must name, or the run could not be "
            f"resumed; {sorted(map(str, odd))} is in one of them only"
        )
    for name, expected in expected_tensors.items():
        tensor = tensors.get(name)
        if tensor is None:
            continue
        shape = tuple(tensor.shape) if expected.shape is None else expected.shape
        fits = len(shape) == tensor.ndim and all(a in (None, b) for a, b in zip(shape, tensor.shape, strict=True))
        if not fits or expected.dtype not in (None, tensor.dtype):
            raise InputError(
                f"{what}.saved(): {name} is {tuple(tensor.shape)} of {tensor.dtype}, and expected(numbers) says "
                f"{expected.shape} of {expected.dtype}"
            )
    for name, check in expected_numbers.items():
        check(f"{what}.saved(): {name}", plain[name])
