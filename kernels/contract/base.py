"""What every backend is: operations of one signature, whose arguments are checked in one place.

Conventions. ``theta`` is the vector of independent parameters, float32 or float64; every other tensor has its dtype
and device. N points, d inputs, F outputs (fields), C channels, m residuals, P parameters, K unknown coefficients, T
terms. Results are new tensors without autograd history. A wrong shape, dtype or device raises `InputError`, which names
the argument, before any work is done; a network beyond a backend's limits raises `BackendLimit`. Non-finite numbers are
not an error but flow through to the result; `train` stops on them. On one machine, with one thread count, the same call
gives the same bits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from ..errors import BackendLimit, InputError
from ..labels import labelled
from ..language.channels import ChannelSet
from ..language.regularizer import Regularizer
from ..network.plan import Plan
from ..network.wiring import PLAIN
from ..reference.differentiable import differentiable_jets, point_gradient
from ..reference.gram import add_gram
from ..reference.jacobian import residual_jacobian
from . import adam
from .adam import AdamState
from .ansatzes import with_ansatz, without_ansatz
from .by_weights import by_weights
from .checks import check_gram, check_jets, check_like, check_loss, check_size, check_terms
from .evaluation import Evaluation
from .integrals import (
    has_integrals,
    integral_backward,
    integral_gradients,
    integral_jacobian,
    integral_loss,
    integral_residuals,
)
from .operations import LossAndGradient, PulledBack, Term, TrainReport
from .precision import torch_products
from .returned import reason, with_checked_results
from .sums import ByOperations, Network, batches, losses_and_gradient
from .watching import Watched

# Public names of the operations.
OPERATIONS = (
    "jets", "jets_backward", "differentiable_jets", "loss_and_gradient", "term_gradients", "train", "residuals",
    "residuals_backward", "residual_jacobian", "add_gram",
)  # fmt: skip

_PLACES = {"cpu": "the CPU", "cuda": "a GPU"}


class Backend(ABC):
    """A way to carry out the operations.

    A subclass gives itself a ``name`` and writes `_jets` and `_jets_backward`. Everything else is inherited: losses and
    training are built on these two, the Jacobian is the reference's. It overrides what it can do faster, always the
    method with the underscore: the public one has checked the arguments before. What these methods return is checked
    as well (shape, dtype, device), but for classes that are made with ``is_checked=False``, as those of the library.
    No method with an underscore is given terms with a quadrature rule: what is asked of these is put together from
    residuals and their adjoints at their points (integrals.py).

    Attributes:
        name: what ``get_backend(name)`` and ``backend=name`` call it.
        device_types: types of the devices whose tensors it takes ("cpu", "cuda"), or None for any.
        widest: the most neurons that a layer may have; None for any number.
        best_width: wider layers "auto" leaves to the next backend, which is faster with them; None for none.
        deepest: the most layers that a network may have.
        most_channels: the most channels that a residual may read.
        activations: names of those that it computes (language/activations.py).
        most_inputs: the most coordinates that points may have.
        wirings: how layers may be wired (network/wiring.py).
        takes_embeddings: whether the first layer may act on functions of the coordinates (`Plan.embedding`).
        trains_embeddings: whether these may have unknown numbers (`Plan.unknown`).

    No method with an underscore is given plans with an ansatz: terms and jets are those of the network itself then.
    Nor with slopes: theta is that of the weights as they are multiplied then.
    None is asked for gradients of points (``need_x``) that reach the network by an embedding.
    """

    name: str
    device_types: tuple[str, ...] | None = None
    widest: int | None = None
    best_width: int | None = None
    deepest: int | None = None
    most_channels: int | None = None
    activations: tuple[str, ...] = ("tanh",)
    most_inputs: int = 4
    wirings: tuple[str, ...] = (PLAIN,)
    takes_embeddings: bool = False
    trains_embeddings: bool = False

    def __init_subclass__(cls, is_checked: bool = True) -> None:
        if is_checked:
            for name, method in list(vars(cls).items()):
                if callable(method):
                    setattr(cls, name, with_checked_results(name, method))

    def unavailable(self) -> str | None:
        """None, or the reason why this backend cannot run on this machine."""
        return None

    def unavailable_on(self, device: torch.device) -> str | None:
        """None, or the reason why it cannot run there: a machine may have several GPUs, of which not all will do."""
        return self.unavailable()

    def with_precision(self, precision: str) -> Backend:
        """This backend with products of float32 numbers that are at most that coarse, "ieee" or "tf32x3".

        By default itself: for who knows no other products than true float32.
        """
        return self

    def products(self, dtype: torch.dtype, device: torch.device) -> str:
        """How exact products are there: "ieee", "tf32x3", "tf32" or "bf16"; results state it.

        By default as torch's own operations are, which is what is inherited.
        """
        return torch_products(dtype, device)

    @contextmanager
    def watched(self, dtype: torch.dtype) -> Iterator[Watched]:
        """Steps of `train` within this context say where their time goes. By default no backend knows."""
        yield Watched()

    def supports(self, plan: Plan, channels: ChannelSet, dtype: torch.dtype, device: torch.device) -> str | None:
        """None, or which limit is exceeded and what would work, as the text of an error that names the argument.

        By default the limits are those that the attributes state.
        """
        otherwise = "backend 'reference' takes any"
        if self.device_types is not None and device.type not in self.device_types:
            places = " or ".join(_PLACES.get(kind, kind) for kind in self.device_types)
            return f"theta: backend {self.name!r} needs tensors on {places}, got {device}; {otherwise}"
        if plan.activation not in self.activations:
            has = ", ".join(self.activations)
            return f"plan: backend {self.name!r} has the activation {has}, not {plan.activation!r}; {otherwise}"
        if plan.wiring not in self.wirings:
            has = " and ".join(self.wirings)
            return f"plan: backend {self.name!r} takes {has} layers, not {plan.wiring} ones; {otherwise}"
        if plan.embedding is not None and not self.takes_embeddings:
            return f"plan: backend {self.name!r} takes coordinates, not embeddings of them; {otherwise}"
        if plan.unknown is not None and not self.trains_embeddings:
            return f"plan: backend {self.name!r} takes embeddings without unknown numbers; {otherwise}"
        if plan.d_in > self.most_inputs:
            most = self.most_inputs
            return f"plan: backend {self.name!r} takes up to {most} coordinates, got {plan.d_in}; {otherwise}"
        if self.widest is not None and plan.widest > self.widest:
            return f"plan: backend {self.name!r} takes layers up to {self.widest} wide, got {plan.widest}; {otherwise}"
        if self.deepest is not None and len(plan.layers) > self.deepest:
            return f"plan: backend {self.name!r} takes up to {self.deepest} layers, got {len(plan.layers)}; {otherwise}"
        if self.most_channels is not None and len(channels) > self.most_channels:
            most = self.most_channels
            return f"channels: backend {self.name!r} takes up to {most}, got {len(channels)}; {otherwise}"
        return None

    @labelled
    @torch.no_grad()
    @by_weights
    def jets(self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> Tensor:
        """Value and derivatives of all outputs: x (N, d) -> (N, C, F), channels in the set's order."""
        check_request(self, plan, theta, x, channels)
        return with_ansatz(plan, x, channels, self._jets(plan.bare, theta, x, channels))

    @labelled
    @torch.no_grad()
    @by_weights
    def jets_backward(
        self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet, grad: Tensor, need_x: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Adjoint of `jets`: grad (N, C, F) -> gradient for theta (P,) and, if asked, for x (N, d).

        Recomputes the forward pass; nothing is saved between the two.
        """
        check_jets(plan, theta, x, channels)
        check_like("grad", grad, theta, (x.shape[0], len(channels), plan.d_out))
        self._check_limits(plan, (channels,), theta)
        if not plan.has_ends:
            return self._jets_backward(plan, theta, x, channels, grad, need_x)
        inner = grad if plan.ansatz is None else plan.ansatz.pulled_back(x, channels, grad)
        theta_bar, _ = self._jets_backward(plan.bare, theta, x, channels, inner, False)
        return theta_bar, point_gradient(plan, theta, x, channels, grad) if need_x else None

    @labelled
    @by_weights
    def differentiable_jets(self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> Tensor:
        """What `jets` gives, as a function of theta and x whose every derivative torch knows, and slower.

        It keeps its autograd history, if grad mode is on, and may be transformed by torch.func.
        """
        check_jets(plan, theta, x, channels)
        return self._differentiable_jets(plan, theta, x, channels)

    @labelled
    @torch.no_grad()
    @by_weights
    def loss_and_gradient(
        self,
        plan: Plan,
        theta: Tensor,
        coefficients: Tensor,
        terms: Sequence[Term],
        weights: Tensor,
        regularizer: Regularizer | None = None,
    ) -> LossAndGradient:
        """All terms and the gradients of their weighted sum for theta and coefficients (K,), in one pass.

        ``weights`` (T,): one per term. They may change from call to call at no cost.
        """
        check_loss(plan, theta, coefficients, terms, weights, regularizer)
        self._check_limits(plan, (term.program.channels for term in terms), theta)
        plan, terms = without_ansatz(plan, terms)
        if has_integrals(terms):
            return integral_loss(self, plan, theta, coefficients, terms, weights, regularizer)
        return self._loss_and_gradient(plan, theta, coefficients, terms, weights, regularizer)

    @labelled
    @torch.no_grad()
    @by_weights
    def term_gradients(
        self, plan: Plan, theta: Tensor, coefficients: Tensor, terms: Sequence[Term]
    ) -> tuple[Tensor, Tensor]:
        """Each term by itself: losses (T,) and their gradients (T, P + K), theta's part first; unweighted."""
        check_terms(plan, theta, coefficients, terms)
        self._check_limits(plan, (term.program.channels for term in terms), theta)
        plan, terms = without_ansatz(plan, terms)
        if has_integrals(terms):
            return integral_gradients(self, plan, theta, coefficients, terms)
        return self._term_gradients(plan, theta, coefficients, terms)

    @labelled
    @torch.no_grad()
    def train(
        self,
        plan: Plan,
        state: AdamState,
        terms: Sequence[Term],
        weights: Tensor,
        steps: int,
        regularizer: Regularizer | None = None,
    ) -> TrainReport:
        """``steps`` Adam steps on the weighted sum of the terms without returning to the caller.

        Stops early on a non-finite loss or gradient. ``weights`` (T,): as for `loss_and_gradient`.
        """
        check_loss(plan, state.theta, state.coefficients, terms, weights, regularizer)
        if steps < 0:
            raise InputError(f"steps: expected a number >= 0, got {steps}")
        state.check()
        self._check_limits(plan, (term.program.channels for term in terms), state.theta)
        plan, terms = without_ansatz(plan, terms)
        if plan.slopes is not None:
            by_step = partial(self.loss_and_gradient, plan, terms=terms, weights=weights, regularizer=regularizer)
            return adam.train(state, by_step, len(terms), steps)
        if has_integrals(terms):
            loss = partial(integral_loss, self, plan, terms=terms, weights=weights, regularizer=regularizer)
            return adam.train(state, loss, len(terms), steps)
        return self._train(plan, state, terms, weights, steps, regularizer)

    @labelled
    @torch.no_grad()
    @by_weights
    def residuals(self, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term) -> Tensor:
        """r (n_rows, m) of the term: at its N points, or their sum by quadrature; unweighted."""
        check_terms(plan, theta, coefficients, [term])
        self._check_limits(plan, (term.program.channels,), theta)
        plan, (term,) = without_ansatz(plan, [term])
        if term.quadrature is not None:
            return integral_residuals(self, plan, theta, coefficients, term)
        return self._residuals(plan, theta, coefficients, term)

    @labelled
    @torch.no_grad()
    @by_weights
    def residuals_backward(
        self,
        plan: Plan,
        theta: Tensor,
        coefficients: Tensor,
        term: Term,
        s: Tensor,
        need_x: bool = False,
        need_r: bool = False,
    ) -> PulledBack:
        """J^T s for s (n_rows, m), J the Jacobian of `residuals`; with ``need_r`` these, too, from the same pass."""
        check_terms(plan, theta, coefficients, [term])
        check_like("s", s, theta, (term.n_rows, term.program.n_residuals))
        self._check_limits(plan, (term.program.channels,), theta)
        by_points = None
        if need_x and plan.has_ends:
            by_points = self._point_gradient(plan, theta, coefficients, term, s)
        plan, (term,) = without_ansatz(plan, [term])
        need_x = need_x and by_points is None
        if term.quadrature is not None:
            found = integral_backward(self, plan, theta, coefficients, term, s, need_x, need_r)
        else:
            found = self._residuals_backward(plan, theta, coefficients, term, s, need_x, need_r)
        return found if by_points is None else found._replace(points=by_points)

    @labelled
    @torch.no_grad()
    @by_weights
    def residual_jacobian(
        self, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term, rows: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """Residuals r (n, m) and their Jacobian (n, m, P + K) at the term's points ``rows``; unweighted.

        Of a term with a quadrature rule n is 1: the part of the sum that these points have.
        """
        check_terms(plan, theta, coefficients, [term])
        self._check_limits(plan, (term.program.channels,), theta)
        n, shape = len(range(term.n_points)[rows]), (term.program.n_residuals, plan.n_parameters + coefficients.numel())
        check_size(n, n * shape[0] * shape[1], theta)
        if n == 0:
            return theta.new_empty(0, shape[0]), theta.new_empty(0, *shape)
        plan, (term,) = without_ansatz(plan, [term.part(rows)])
        if term.quadrature is not None:
            return integral_jacobian(self, plan, theta, coefficients, term)
        return self._residual_jacobian(plan, theta, coefficients, term)

    @labelled
    @torch.no_grad()
    def add_gram(self, gram: Tensor, jacobian: Tensor, r: Tensor) -> None:
        """gram += [J r]^T [J r], the lower triangle: J^T J, and in the last row J^T r and r^T r.

        Entries above the diagonal are left unspecified. A float64 gram of a float32 J sums in float64 what its
        products, and sums of a few hundred rows of them at most, are in float32.

        Args:
            gram: (n + 1, n + 1), changed in place; of J's dtype, or float64.
            jacobian: (M, n), float32 or float64; the others have its device.
            r: (M,), of J's dtype.
        """
        check_gram(gram, jacobian, r)
        self._add_gram(gram, jacobian, r)

    @abstractmethod
    def _jets(self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> Tensor:
        """`jets`."""

    @abstractmethod
    def _jets_backward(
        self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet, grad: Tensor, need_x: bool
    ) -> tuple[Tensor, Tensor | None]:
        """`jets_backward`."""

    def _differentiable_jets(self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> Tensor:
        """`differentiable_jets`. By default the reference's."""
        return differentiable_jets(plan, theta, x, channels)

    def _loss_and_gradient(
        self,
        plan: Plan,
        theta: Tensor,
        coefficients: Tensor,
        terms: Sequence[Term],
        weights: Tensor,
        regularizer: Regularizer | None,
    ) -> LossAndGradient:
        """`loss_and_gradient`. By default the sum over the terms in torch, on `_at`."""
        network, prepared = self._at(plan, theta), batches(plan, terms, weights)
        return losses_and_gradient(network, plan, theta, coefficients, terms, prepared, regularizer)

    def _term_gradients(
        self, plan: Plan, theta: Tensor, coefficients: Tensor, terms: Sequence[Term]
    ) -> tuple[Tensor, Tensor]:
        """`term_gradients`. By default `_loss_and_gradient` of one term after the other."""
        one = theta.new_ones(1)
        found = [self._loss_and_gradient(plan, theta, coefficients, [term], one, None) for term in terms]
        gradients = [torch.cat([own.theta, own.coefficients]) for own in found]
        return torch.cat([own.losses for own in found]), torch.stack(gradients)

    def _train(
        self,
        plan: Plan,
        state: AdamState,
        terms: Sequence[Term],
        weights: Tensor,
        steps: int,
        regularizer: Regularizer | None,
    ) -> TrainReport:
        """`train`. By default a loop in Python around `_loss`."""
        return adam.train(state, self._loss(plan, terms, weights, regularizer), len(terms), steps)

    def _residuals(self, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term) -> Tensor:
        """`residuals`. By default the program in torch, on `_jets`."""
        return torch.stack(self._evaluation(plan, theta, coefficients, term).residuals(), 1)

    def _residuals_backward(
        self, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term, s: Tensor, need_x: bool, need_r: bool
    ) -> PulledBack:
        """`residuals_backward`. By default the program's adjoint in torch, between `_jets` and `_jets_backward`."""
        at = self._evaluation(plan, theta, coefficients, term)
        jets_bar, coefficients_bar = torch.zeros_like(at.jets), torch.zeros_like(coefficients)
        for k, value in at.pull_back(list(s.unbind(1)), jets_bar):
            coefficients_bar[k] += value.sum()
        grad = jets_bar.transpose(1, 2).flatten(0, 1).contiguous()
        x = term.points.flatten(0, 1)
        theta_bar, x_bar = self._jets_backward(plan, theta, x, term.program.channels, grad, need_x)
        by_points = None if x_bar is None else x_bar.view(term.points.shape)
        return PulledBack(theta_bar, coefficients_bar, by_points, torch.stack(at.residuals(), 1) if need_r else None)

    def _residual_jacobian(self, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term) -> tuple[Tensor, Tensor]:
        """`residual_jacobian` at all points of the term. By default the reference's."""
        return residual_jacobian(plan, theta, coefficients, term)

    def _add_gram(self, gram: Tensor, jacobian: Tensor, r: Tensor) -> None:
        """`add_gram`. By default the reference's, in torch."""
        add_gram(gram, jacobian, r)

    def _point_gradient(self, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term, s: Tensor) -> Tensor:
        """`PulledBack.points` of a plan with an ansatz or an embedding."""
        at = self._evaluation(plan, theta, coefficients, term)
        if term.quadrature is not None:
            s = term.quadrature[:, None] * s
        jets_bar = torch.zeros_like(at.jets)
        at.pull_back(list(s.unbind(1)), jets_bar)
        grad = jets_bar.transpose(1, 2).flatten(0, 1)
        found = point_gradient(plan, theta, term.points.flatten(0, 1), term.program.channels, grad)
        return found.view(term.points.shape)

    def _evaluation(self, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term) -> Evaluation:
        """The term's program at its points, with jets by `_jets`."""
        x, channels = term.points.flatten(0, 1), term.program.channels
        jets = with_ansatz(plan, x, channels, self._jets(plan.bare, theta, x, channels))
        by_site = jets.view(term.points.shape[0], term.n_points, *jets.shape[1:]).transpose(1, 2)
        return Evaluation(term.program, by_site, term.points, term.columns, coefficients)

    def _at(self, plan: Plan, theta: Tensor) -> Network:
        """What the inherited loss sends its points through. By default `_jets` and `_jets_backward`."""
        return ByOperations(self, plan, theta)

    def _loss(
        self, plan: Plan, terms: Sequence[Term], weights: Tensor, regularizer: Regularizer | None
    ) -> Callable[[Tensor, Tensor], LossAndGradient]:
        """`_loss_and_gradient` as a function of theta and coefficients, for the inherited `_train`."""

        def loss(theta: Tensor, coefficients: Tensor) -> LossAndGradient:
            return self._loss_and_gradient(plan, theta, coefficients, terms, weights, regularizer)

        return loss

    def _check_limits(self, plan: Plan, channel_sets: Iterable[ChannelSet], theta: Tensor) -> None:
        """Raises BackendLimit where `supports` gives a reason."""
        dtype, device = theta.dtype, theta.device
        for channels in channel_sets:
            limit = self.supports(plan, channels, dtype, device)
            if limit is not None:
                raise BackendLimit(reason(f"{type(self).__name__}.supports", limit))


def check_request(engine: Backend, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> None:
    """The arguments of `Backend.jets`, for who computes later: raises what it would raise."""
    check_jets(plan, theta, x, channels)
    engine._check_limits(plan, (channels,), theta)
