"""`march`: a problem in time, window by window, each from exactly where the one before it ended."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..building import Network, chosen_network, network_of
from ..devices import find_device
from ..kernels import checks
from ..kernels.errors import CheckpointError, DivergedError, InputError, TrainingError
from ..networks.continuation import Continuation, Window
from ..networks.initialisation import drawn
from ..networks.mlp import PsiMLP
from ..networks.structure import Structure
from ..problem.problem import Problem
from ..problems import as_problem
from ..scaling.frames import may_move
from ..training.checks import time_limit
from ..training.exact_terms import terms_that_hold
from ..training.fitting import no_checkpoint, trained
from ..training.foreseen import foreseen
from ..training.interrupt import Interrupted, InterruptFlag
from ..training.optimisers.gauss_newton import GaussNewton
from ..training.optimisers.named import chosen_optimizers
from ..training.options import Options, chosen_options
from ..training.points.windows import obstacle, times_of
from ..training.protocol import Optimizer
from ..training.result import TrainingInterrupted
from .corners import corner_jumps
from .files import MarchFolder
from .initial import initial_state, orders_in_time
from .judge import Judge
from .lengths import AUTO, HOPELESS, Lengths, checked_edges
from .marched import Marched, MarchedWindow
from .windows import Windows

# Weights of a last layer that began as u begin as a change of u.
_CHANGE = 0.1
_STEPS = 200


class MarchInterrupted(Interrupted):
    """Ctrl-C, SIGTERM or SIGHUP during a march, or while it was made ready or written; ``result``: the `Marched` of the
    windows that are done."""

    def __init__(self, result: Marched, number: int) -> None:
        what = "interrupted after the march, which ended" if result.ended == "done" else "march interrupted"
        super().__init__(f"{what} at {result.time} = {result.until:g}", number)
        self.result = result

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.result, self.signal)


def march(
    problem: Problem | str,
    network: Network | Structure | str = "pinn",
    optimizer: Optimizer | str | Sequence[Optimizer | str] = "gauss-newton",
    *,
    windows: int | str | npt.ArrayLike = AUTO,
    tolerance: float | None = 1e-5,
    warm: bool = True,
    seconds: float | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    options: Options | None = None,
) -> Marched:
    """Solve a problem in time window by window, with a network for each.

    In a window from t_0 on, u = u(t_0, x) + (t - t_0) N for an equation of first order in time, u = u(t_0, x) +
    (t - t_0) u_t(t_0, x) + (t - t_0)^2 N for one of second order (divided by the window's length to that power): what
    the window before ended with holds exactly, and so does the initial condition, where it is in closed form. All is in
    float64, since errors of windows add up.

    Args:
        problem: a `Problem` with a time, conditions at its first time, and none at a single later one.
        network: as for `solve`; each window has one of its own. An ``ansatz`` holds in all of them, beside what they
            begin with; an ``embedding`` is kept.
        optimizer: as for `solve`, for each window; ``"gauss-newton"`` takes up to 200 steps.
        windows: ``"auto"``: a window whose residual stays above the tolerance is halved, unless that does not help, and
            the next ones are longer where few steps were needed; a number of equal windows; or the times between them,
            first and last included.
        tolerance: of each window's residual at points that training does not see, beside that of a state that does not
            change; training of a window ends there. None: it goes on as long as the optimizer does.
        warm: start from the weights of the window before. A given window that is not solved so is tried again from
            new ones.
        seconds: stop after this time, with the windows that are done. Given windows share what is left of it equally.
        seed: of the first window's weights, of all others without ``warm``, and of what optimisers given by name draw.
        out: folder; each window is written as it is done, and at the end what the march is as a whole, with a picture
            (docs/marching.md#files). `load_march` reads it.
        options: as for `solve`; a bar for each window with ``progress``. With ``resume=True`` the windows in ``out``
            are not done again.

    Raises:
        InputError: a problem that has no time or cannot be solved window by window (it says why), one without initial
            condition or with contradictory ones, an ansatz whose d has a zero at the first time that cannot be divided
            out, unknown coefficients, windows that do not cover the problem's times, a network in float32, a
            folder that has another march.
        CheckpointError: the folder's files cannot be read, or are of another problem or network.
        TrainingError: the shortest window has not been solved; ``error.result`` is a `Marched` up to it.
        MarchInterrupted: on Ctrl-C, with ``result``, at most a moment later.
    """
    with InterruptFlag() as interrupt:  # while all of it is made ready as well
        problem, seed, seconds = as_problem(problem), checks.seed("seed", seed), time_limit(seconds)
        options, chosen = chosen_options(options), _chosen(network)
        if (reason := obstacle(problem)) is not None:
            raise InputError(f"problem: {problem.name!r} cannot be marched through: {reason}")
        if not isinstance(options.resume, bool) or (options.resume and out is None):
            raise InputError("resume: a march goes on from its folder: out=..., options=pf.Options(resume=True)")
        edges = checked_edges(windows, *times_of(problem)[1:])
        if tolerance is not None:
            tolerance = checks.number("tolerance", tolerance, above=0)
        if edges is None and tolerance is None:
            raise InputError("tolerance: windows='auto' needs one, by which they are longer or shorter")
        optimizers = tuple(_for_windows(one) for one in chosen_optimizers(_default(optimizer, seed), problem, seed))
        folder = None if out is None else MarchFolder(out)
        run = _March(
            problem, chosen, optimizers, tolerance, checks.flag("warm", warm), seed, replace(options, resume=False),
            folder, interrupt,
        )  # fmt: skip
        lengths = Lengths(*times_of(problem)[1:], edges, tolerance)
        if folder is not None and options.resume:
            run.resume(lengths)
        elif folder is not None:
            folder.begin(Marched(problem, (), tolerance, "begun"))
        return run.through(lengths, seconds)


@dataclass
class _March:
    """One under way; ``done``: its windows, and ``before``: the same as the next one knows them."""

    problem: Problem
    network: Network
    optimizers: tuple[Optimizer, ...]
    tolerance: float | None
    warm: bool
    seed: int
    options: Options
    folder: MarchFolder | None
    interrupt: InterruptFlag

    def __post_init__(self) -> None:
        self.network.check(self.problem)
        given = self.network.structure
        if given is not None and given.ansatz is not None and self.network.ansatz is None:
            raise InputError(
                "network: its structure has an ansatz of its own, which windows cannot be made of; give it beside the "
                "structure: pf.Network('psi', structure=..., ansatz=pf.Ansatz(...))"
            )
        find_device(self.network.device)
        self.done: list[MarchedWindow] = []
        self.before: list[Window] = []
        state = initial_state(self.problem, orders_in_time(self.problem))
        embedding = self.network.embedding
        periods = {} if embedding is None else embedding.periods
        self._windows = Windows(self.problem, state, self.network.ansatz, periods)
        self._structure: Structure | None = None
        self._jumps = corner_jumps(self.problem, state)
        self._is_new = False  # whether the weights before it are not what the next window starts from
        self._foreseen: tuple[str, ...] = ()
        self._most = sum(one.most_steps for one in self.optimizers)

    def resume(self, lengths: Lengths) -> None:
        """With the windows in the folder.

        Raises:
            InputError: there is no march in it, or its windows are others than those given.
            CheckpointError: see `MarchFolder.load`; its networks are others.
        """
        assert self.folder is not None
        if not self.folder.exists:
            raise no_checkpoint(self.folder.path)
        for window in self.folder.load(self.problem).windows:
            lengths.check(window.start, window.end)
            expected, _ = self._net(window.start, window.end)
            if window.net.structure.to_entries() != expected.structure.to_entries():
                raise CheckpointError(
                    f"{self.folder.path}: it is a march of other networks: {window.net.structure.name} "
                    f"{window.net.structure.layer_sizes}, and not {expected.structure.layer_sizes}, or of another "
                    "embedding or ansatz"
                )
            self._keep(window)
            lengths.solved(window.start, window.end, window.residual, window.steps / max(self._most, 1))

    def through(self, lengths: Lengths, seconds: float | None) -> Marched:
        """
        Raises:
            TrainingError, MarchInterrupted: see `march`.
        """
        try:
            result = self._all(lengths, seconds)
            if self.folder is not None:
                self.folder.conclude(result, pictures=True, is_over=lambda: self.interrupt.raised)
        except KeyboardInterrupt as stop:  # the first signal, of which a window or the loop knows; or a second one
            number = getattr(stop, "signal", None) or self.interrupt.signal or signal.SIGINT
            raise self._interrupted(number) from stop
        if self.interrupt.signal is not None:
            raise MarchInterrupted(result, self.interrupt.signal)
        return result

    def _all(self, lengths: Lengths, seconds: float | None) -> Marched:
        began = time.perf_counter()
        _, start, high = times_of(self.problem)
        start = self.done[-1].end if self.done else start
        while start < high:
            end = lengths.end(start)
            left = None if seconds is None else seconds - (time.perf_counter() - began)
            if self.interrupt.raised:
                raise KeyboardInterrupt
            if left is not None and left <= 0:
                return self._result("time limit")
            share = None if left is None else left / lengths.left(start)
            window: MarchedWindow | None = None
            try:
                window = self._solved(start, end, share)
            except DivergedError as error:
                why = str(error)
            else:
                why = f"its residual is {window.residual:.1e}"
                if lengths.will_do(window.residual):
                    self._keep(window)
                    if self.folder is not None:
                        self.folder.add(self._result("under way"))
                    lengths.solved(start, end, window.residual, window.steps / max(self._most, 1))
                    start, self._is_new = end, False
                    continue
            if lengths.edges is not None and self.before and self.warm and not self._is_new:
                self._is_new = True
                continue
            if window is not None and window.stopped_by == "seconds":
                return self._result("time limit")
            residual = math.inf if window is None else window.residual
            if self.interrupt.raised:
                raise KeyboardInterrupt
            if not lengths.failed(start, end, residual):
                wanted = self.tolerance if self.tolerance is not None and lengths.edges is None else HOPELESS
                raise self._failed(start, end, f"{why}, and should be {wanted:g}")
        return self._result("done")

    def _interrupted(self, number: int) -> MarchInterrupted:
        _, _, high = times_of(self.problem)
        result = self._result("done" if self.done and self.done[-1].end == high else "interrupted")
        if self.folder is not None:
            with InterruptFlag(raised=number), suppress(KeyboardInterrupt):  # a second one ends what is left of this
                self.folder.conclude(result, pictures=False)
        return MarchInterrupted(result, number)

    def _solved(self, start: float, end: float, seconds: float | None) -> MarchedWindow:
        net, problem = self._net(start, end)
        judge = Judge(net, self.tolerance, self.done[-1].reference if self.done else 0.0)
        own = replace(self.options, callbacks=(*self.options.callbacks, judge))  # type: ignore[misc]  # a tuple
        title = f"{self.problem.name}, {problem.pde.time} = {start:.4g} to {end:.4g}"
        # Errors are measured of all windows together: in each, those before it would be computed for every row.
        posed = problem.altered(exact=None)
        try:
            result = trained(
                posed, net, self.optimizers, None, seconds, None, None, own, title=title, asks_errors=False
            )
        except TrainingInterrupted as stop:
            if stop.result.ended != "done":
                raise
            self.interrupt.signal, result = stop.signal, stop.result  # it came after the last step
        return MarchedWindow(
            start, end, net, judge.residual(result), judge.reference, result.steps, result.seconds, result.stopped_by,
            dict(result.held_out), result.history,
        )  # fmt: skip

    def _keep(self, window: MarchedWindow) -> None:
        self.done.append(window)
        self.before.append(Window.of(window.net, window.start, window.end))

    def _net(self, start: float, end: float) -> tuple[PsiMLP, Problem]:
        ansatz = self._windows.ansatz(self.before, start, end)
        continued = ansatz.offset if ansatz is not None else None
        before = continued if isinstance(continued, Continuation) else None
        problem = self._windows.problem(before, start, end)
        if self._structure is None:
            bare = replace(self.network, ansatz=None, dtype=torch.float64)
            by_newton = any(isinstance(one, GaussNewton) for one in self.optimizers)
            net = network_of(problem, bare, ansatz, by_newton, self.options.scaling, self.seed, self.options.backend)
            self._structure = net.structure
            # Of the problem at all times: in a window all is given that is given at its start.
            own = foreseen(self.problem, net, terms_that_hold(problem, net))
            self._foreseen = (*self._jumps, *own)
            if not self.before:
                return _framed(net, problem, self._structure, net.theta.detach()), problem
        structure = replace(self._structure, ansatz=ansatz)
        if self.before and self.warm and not self._is_new:
            theta = self._carried(end - start)
        else:
            theta = drawn(structure, "default", (), (self.seed + len(self.before)) % 2**31)
        device = find_device(self.network.device)
        return _framed(None, problem, structure, theta.to(device=device, dtype=torch.float64)), problem

    def _carried(self, length: float) -> Tensor:
        """The last window's weights, of an N that is as large as this window is long."""
        last, theta = self.done[-1], self.done[-1].net.theta.detach().clone()
        begins_with_u = len(self.done) == 1 and last.net.structure.ansatz is None
        orders = {order for order in self._windows.orders if order}
        factor = (length / (last.end - last.start)) ** max(orders) if len(orders) == 1 else 1.0
        n = last.net.structure.layers[-1].n_parameters
        theta[len(theta) - n :] *= _CHANGE if begins_with_u else factor
        return theta

    def _failed(self, start: float, end: float, why: str) -> TrainingError:
        # Of a jump a larger network makes nothing smaller.
        more = [] if self._jumps else ["a larger network, more steps or a larger tolerance would help"]
        advice = "; ".join([*self._foreseen, *more])
        error = TrainingError(
            f"march: the window from {self.problem.pde.time} = {start:.6g} to {end:.6g} is not solved: {why}; "
            f"{advice}. error.result is what is solved before"
        )
        error.result = self._result("failed")
        if self.folder is not None:
            self.folder.conclude(error.result, pictures=False)
        return error

    def _result(self, ended: str) -> Marched:
        learned = tuple(
            f"its first window learns the initial condition, since {reason}"
            for reason in self._windows.learned.values()
        )
        return Marched(self.problem, tuple(self.done), self.tolerance, ended, learned, self._foreseen)


def _framed(made: PsiMLP | None, problem: Problem, structure: Structure, theta: Tensor) -> PsiMLP:
    """The network with a time of its own, which runs from -1 to 1 in the window, where the first layer takes time as it
    is and the relations allow it; a network ``made`` for the window is of its kind."""
    axis, low, high = times_of(problem)
    embedding = structure.embedding
    outputs = tuple(range(structure.n_inputs)) if embedding is None else embedding.outputs
    if axis in outputs:
        own = outputs.index(axis)
        centre, scale = list(structure.centre), list(structure.input_scale)
        step = np.zeros(len(centre))
        step[own] = (low + high) / 2 - centre[own]
        is_free = all(own not in group or len(group) == 1 for group in structure.tied_inputs)
        if is_free and may_move(structure, step):
            centre[own], scale[own] = (low + high) / 2, (high - low) / 2
            structure = replace(structure, centre=tuple(centre), input_scale=tuple(scale))
    return PsiMLP.with_theta(structure, theta)


def _chosen(network: object) -> Network:
    if isinstance(network, PsiMLP):
        raise InputError(
            "network: a march makes one for each window; give its structure, net.structure, or pf.Network(...)"
        )
    chosen = chosen_network(network)  # type: ignore[arg-type]  # what else it may be is refused there
    if chosen.dtype == torch.float32:
        raise InputError("network: dtype: a march is in float64, since errors of its windows add up")
    return chosen


def _default(optimizer: Any, seed: int) -> Any:
    return GaussNewton(_STEPS, seed=seed) if optimizer == "gauss-newton" else optimizer


def _for_windows(optimizer: Optimizer) -> Optimizer:
    """Windows of windows are none."""
    return replace(optimizer, march=False) if isinstance(optimizer, GaussNewton) else optimizer
