"""``psinn-fast doctor | solve | compile | discover | run | reproduce | profile``.

Progress goes to stderr, results to stdout.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shlex
import signal
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from ..ahead import compile_for_chip, compile_kernels
from ..building import Network, build_network
from ..console import complain, leave_pipe, open_streams, say
from ..devices import find_device, named_device
from ..discovery.discover import discover
from ..discovery.student import StudentSettings
from ..kernels import checks
from ..kernels.contract.precision import IEEE
from ..kernels.errors import CheckpointWarning, DivergedError, InputError, OutputWarning, PsinnFastError, TrainingError
from ..kernels.language.regularizer import Regularizer
from ..pictures.figures import save_figure
from ..pipeline import compared_by_adam, comparison_table, number_text, run_pipeline
from ..problem.problem import Problem
from ..problems import parse_number
from ..report.output import check_writable, save_discovery
from ..report.replaceable import DISCOVERY, check_no_strangers
from ..reproduction.reproduce import PAGE, reproduce
from ..solving import solve
from ..storage.files import as_path, to_json, writable_file
from ..training.checkpoint import load_network
from ..training.optimisers.adam import Adam
from ..training.optimisers.automatic import Automatic
from ..training.optimisers.gauss_newton import GaussNewton
from ..training.optimisers.lbfgs import LBFGS
from ..training.optimisers.named import AUTO, WARMUP
from ..training.optimisers.ss_broyden import SSBroyden
from ..training.options import Options
from .chosen import chosen_network, chosen_problem, integers
from .doctor import doctor_report
from .options import parser
from .profiling import further, profiled
from .self_test import self_test

EXIT_WRONG, EXIT_BAD_INPUT, EXIT_DIVERGED = 1, 2, 3
# Those of shells: 128 and the signal, of which Windows has neither.
EXIT_SIGNAL, EXIT_PIPE = 128, 128 + 13


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code.

    0; 1: a failed self-test, something that could not be written, or no memory for instance, and stderr says what; 2:
    bad input; 3: diverged;
    128 + n: ended by signal n (Ctrl-C: 130), what was reached is saved; 141: the reader of a pipe has gone.
    """
    open_streams()
    unwritten = list[str]()

    def show(message: Warning | str, category: type[Warning], *others: Any, **named: Any) -> None:
        if issubclass(category, OutputWarning):
            complain(f"psinn-fast: {message}")
            if not issubclass(category, CheckpointWarning):
                unwritten.append(str(message))
        else:
            shown_before(message, category, *others, **named)

    with warnings.catch_warnings():
        shown_before, warnings.showwarning = warnings.showwarning, show
        warnings.simplefilter("always", OutputWarning)
        code = _guarded(arguments)
    return code or (EXIT_WRONG if unwritten else 0)


def _guarded(arguments: Sequence[str] | None) -> int:
    """A command whose errors are one line each."""
    options = argparse.Namespace()
    try:
        _parse(arguments, options)
        if getattr(options, "threads", None) is not None:
            torch.set_num_threads(checks.integer("threads", options.threads, 1, most=_most_threads()))
        if getattr(options, "out", None) is not None:
            check_writable(options.out)
        return int(options.command(options))
    except DivergedError as error:
        complain(f"psinn-fast: {error}")
        return EXIT_DIVERGED
    except TrainingError as error:
        complain(f"psinn-fast: {error}")
        return EXIT_WRONG
    except PsinnFastError as error:
        name, colon, rest = str(error).partition(":")
        option = name.replace("_", "-") if hasattr(options, name) else name  # as it is written here
        complain(f"psinn-fast: {option}{colon}{rest}")
        return EXIT_BAD_INPUT
    except KeyboardInterrupt as stop:
        resumes = getattr(options, "out", None) is not None and hasattr(options, "continued")
        kept = f"; what is done is in {options.out}, {options.continued}" if resumes else ""
        complain(f"psinn-fast: interrupted{kept}")
        return EXIT_SIGNAL + int(getattr(stop, "signal", signal.SIGINT))
    except BrokenPipeError:
        leave_pipe()
        return EXIT_PIPE


def _most_threads() -> int:
    """More help nobody, and a process that asks for thousands is ended by OpenMP."""
    return max(64, 4 * (os.cpu_count() or 1))


def _parse(arguments: Sequence[str] | None, options: argparse.Namespace) -> None:
    """argparse prints help and errors itself, and ends the process."""
    help_text, error_text = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(help_text), contextlib.redirect_stderr(error_text):
            parser(_COMMANDS).parse_args(arguments, options)
    except SystemExit:
        if help_text.getvalue():
            say(help_text.getvalue().rstrip())
        if error_text.getvalue():
            complain(error_text.getvalue().rstrip())
        raise


def _doctor(options: argparse.Namespace) -> int:
    report: dict[str, Any] = dict(doctor_report())
    if not options.json:
        say("\n".join(f"{key:20s} {value}" for key, value in report.items()))
    passed = True
    if options.self_test:
        done = []
        for check in self_test():
            if not options.json:  # at once: a processor that cannot go on is to be seen at the right line
                say(str(check))
            done.append(check)
        passed = all(check.passed for check in done)
        report["self_test"] = {"passed": passed, "checks": [check.to_dict() for check in done]}
        if not options.json:
            wrong = sum(not check.passed for check in done)
            say(f"self-test: {len(done)} checks, " + (f"{wrong} WRONG" if wrong else "all right"))
    if options.json:
        say(to_json(report))
    return 0 if passed else EXIT_WRONG


def _solve(options: argparse.Namespace) -> int:
    problem = chosen_problem(options)
    solution = solve(
        problem,
        chosen_network(problem, options),
        _optimizer(options),
        seconds=options.seconds,
        seed=options.seed or 0,
        out=options.out,
        weighting=options.weighting,
        options=_options(options),
    )
    if options.json:
        say(to_json(solution.to_dict()))
    else:
        say(str(solution.net.structure))
        say(comparison_table(((options.method, solution),)))
        by_part = solution.metrics["part_rmse"]
        for part, error in by_part.items() if isinstance(by_part, dict) else ():
            say(f"RMSE on {part}: {number_text(error)}")
        if solution.allowed:
            say(f"relative errors that the residuals allow: {solution.allowed}")
        if solution.bound_by:
            say(f"most of the steps' time: {solution.bound_by}")
        say(f"status: {solution.status} ({solution.stopped_by})")
    return 0


def _compile(options: argparse.Namespace) -> int:
    problem = chosen_problem(options)
    options.warmup = options.steps if "+" in options.optimizer else None
    numbers = options.precision, None if options.no_scaling else "auto"
    if options.chip is not None and options.device is not None:
        raise InputError("device: has no meaning beside --chip, which says what is compiled for; leave one of them out")
    options.device = options.device or "cuda"
    network, optimizers = chosen_network(problem, options), _optimizer(options)
    assert not isinstance(optimizers, Automatic)  # which the parser of this command does not offer
    if options.chip is None:
        found = compile_kernels(problem, network, optimizers, *numbers)
    else:
        found = compile_for_chip(problem, network, optimizers, options.chip, *numbers)
    if options.json:
        say(to_json({"problem": problem.name, **found._asdict()}))
    else:
        what = f"{found.kernels} kernel{'s' if found.kernels != 1 else ''} ready in {found.seconds:.1f} s"
        say(f"{problem.name}: {what}; later runs find them compiled")
    return 0


def _discover(options: argparse.Namespace) -> int:
    problem = chosen_problem(options)
    if options.out is not None:
        check_no_strangers(as_path("out", options.out), DISCOVERY)
    found = discover(
        problem,
        None if options.teacher is None else load_network(options.teacher).double(),
        tests=tuple(options.tests.split(",")),
        seeds=options.seeds,
        steps=options.discovery_steps,
        settings=_student(problem, options),
        seed=options.seed,
        seconds=options.seconds,
        options=Options(backend=options.backend, progress=not options.quiet),
    )
    if options.out is not None:
        save_discovery(found, options.out)
    say(to_json(found.to_dict()) if options.json else found.report())
    return 0


def _run(options: argparse.Namespace) -> int:
    problem = chosen_problem(options)
    result = run_pipeline(
        problem,
        _compared(problem, options),
        discovery={
            "tests": tuple(options.tests.split(",")),
            "steps": _discovery_steps(options),
            "settings": _student(problem, options),
        },
        teacher_steps=options.teacher_steps,
        network=Network(dtype=options.dtype, device=options.device),
        seconds=options.seconds,
        seed=options.seed or 0,
        out=options.out,
        options=_options(options),
        say=lambda text: None if options.json else say(text + "\n"),
    )
    if options.json:
        say(to_json(result.to_dict()))
    else:
        say(result.table())
        if options.out:
            say(f"files and pictures: {options.out}")
    return 0


def _reproduce(options: argparse.Namespace) -> int:
    steps = dict[str, int]()
    for item in options.steps:
        name, equals, value = item.partition("=")
        if not equals or not value.strip().isdecimal():
            raise InputError(f"steps: expected PROBLEM=N, e.g. cylinder=60000, got {item!r}")
        if name.strip() in steps:
            raise InputError(f"steps: {name.strip()} is given twice")
        steps[name.strip()] = int(value)
    result = reproduce(
        options.out,
        options.problems,
        seeds=options.seeds,
        settings=options.only,
        steps=steps,
        seconds=options.seconds,
        quick=options.quick,
        report_only=options.report_only,
        options=Options(backend=options.backend, progress=not options.quiet),
        say=lambda text: None if options.quiet else complain(text),
    )
    say(result.text)
    for text in result.missing:
        complain(f"not in the report: {text}")
    complain(f"report: {result.folder / PAGE}")
    return 0


def _profile(options: argparse.Namespace) -> int:
    problem, device = chosen_problem(options), named_device(options.device)
    try:
        find_device(device)
    except InputError as error:
        raise InputError(f"{error}; --device cpu times the operations there") from None
    net = build_network(problem, chosen_network(problem, options), seed=options.seed or 0, backend=options.backend)
    steps = checks.integer("steps", options.steps, 1)
    precision = options.precision or IEEE
    if options.picture is not None:
        writable_file("picture", options.picture)
    found = profiled(problem, net, options.backend, precision, steps=steps, trace=options.trace)
    words = [options.problem]
    words += [word for item in options.set for word in ("--set", item)]
    for name in ("method", "structure", "width", "layers", "activation", "dtype", "precision"):
        value = getattr(options, name)
        words += [] if value is None else [f"--{name}", str(value)]
    lines = further(shlex.join(words), device)
    if options.picture is not None:
        save_figure(found.flame(), options.picture)
    say(to_json(found.to_dict() | {"further": lines}) if options.json else "\n".join([found.report(), "", *lines]))
    return 0


def _optimizer(options: argparse.Namespace) -> Automatic | list[Adam | GaussNewton | LBFGS | SSBroyden]:
    """Of `solve`: what the options say of one optimiser, or of Adam and of what comes after it."""
    drops = () if options.milestones is None else integers("milestones", options.milestones)
    name = options.optimizer
    if name == AUTO and (options.lr is not None or drops):
        name = "adam"  # which alone has them
    first, _, second = name.partition("+")
    if options.warmup is not None and not second:
        raise InputError(f"warmup: has no meaning for optimizer {first!r}, only for 'adam+gauss-newton'")
    if first != "adam" and (options.lr is not None or drops):
        raise InputError(f"{'milestones' if options.lr is None else 'lr'}: has no meaning for optimizer {first!r}")
    steps = {} if options.steps is None else {"steps": checks.integer("steps", options.steps, 0)}
    if name == AUTO:
        return Automatic(steps.get("steps"), options.seed or 0)
    last = second or first
    kinds: dict[str, Callable[..., Adam | GaussNewton | LBFGS | SSBroyden]] = {
        "adam": partial(Adam, lr=options.lr, milestones=drops), "lbfgs": LBFGS, "ssbroyden": SSBroyden,
        "gauss-newton": partial(GaussNewton, seed=options.seed or 0),
    }  # fmt: skip
    warmup = WARMUP if options.warmup is None else checks.integer("warmup", options.warmup, 0)
    return [*([kinds[first](steps=warmup)] if second else []), kinds[last](**steps)]


def _compared(problem: Problem, options: argparse.Namespace) -> Adam | GaussNewton | str:
    """Of `run`: one optimiser for all networks."""
    by_adam = options.optimizer == "adam"
    if options.paper:
        if not by_adam:
            raise InputError(f"paper: the paper trains by Adam, not by {options.optimizer!r}")
        for name, value, what in (("steps", options.steps, "how many steps"), ("lr", options.lr, "which rate")):
            if value is not None:
                raise InputError(f"paper: says {what}, and so does {name}; give one of them")
        return "paper"
    if by_adam:
        return compared_by_adam(problem, options.steps, options.lr)
    if options.lr is not None:
        raise InputError(f"lr: has no meaning for optimizer {options.optimizer!r}")
    steps = {} if options.steps is None else {"steps": options.steps}
    return GaussNewton(**steps, seed=options.seed or 0)


def _discovery_steps(options: argparse.Namespace) -> int | None:
    """Of `run`, where ``steps`` are those of the networks compared."""
    steps: int | None = options.discovery_steps
    if steps is not None and options.tests == "problem":
        raise InputError("discovery-steps: has no meaning for the test 'problem', with which nothing is trained")
    return None if steps is None else checks.integer("discovery-steps", steps, 0)


def _options(options: argparse.Namespace) -> Options:
    return Options(
        backend=options.backend,
        scaling=None if options.no_scaling else "auto",
        resume=options.resume,
        progress=not options.quiet,
        precision=options.precision,
    )


def _student(problem: Problem, options: argparse.Namespace) -> StudentSettings | None:
    """What was asked for, with the problem's and the class's defaults; None where nothing was."""
    penalty, given = StudentSettings().regularizer, dict[str, Any]()
    tests = options.tests.split(",")
    for name in ("student", "regularizer", "strength", "starts", "student-steps", "threshold"):
        if getattr(options, name.replace("-", "_")) is not None and "student" not in tests:
            raise InputError(f"{name}: has no meaning for the tests {tests}, only for 'student'")
    if options.student is not None:
        given["hidden"] = checks.integers("student", integers("student", options.student), 1)
    if options.regularizer is not None or options.strength is not None:
        strength = penalty.strength if options.strength is None else options.strength
        given["regularizer"] = Regularizer(options.regularizer or penalty.kind, strength)
    if options.starts is not None:
        given["starts"] = options.starts
    if options.student_steps is not None:
        given["steps"] = checks.integer("student-steps", options.student_steps, 0)
    if options.threshold is not None:
        is_number = options.threshold != "auto"
        given["threshold"] = parse_number("threshold", options.threshold) if is_number else options.threshold
    if not given:
        return None
    return StudentSettings(**{"hidden": problem.recipe.student_layers, "seed": options.seed or 0, **given})


_COMMANDS = {
    "doctor": _doctor, "solve": _solve, "compile": _compile, "discover": _discover, "run": _run,
    "reproduce": _reproduce, "profile": _profile,
}  # fmt: skip
