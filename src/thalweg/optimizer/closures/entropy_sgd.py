"""Entropy-SGD: the step goes towards where a noisy walk around the parameters spends its time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import torch

from thalweg.errors import HyperparameterError, did_you_mean
from thalweg.formula import Hyperparameter, Range
from thalweg.optimizer.closures.closure_optimizer import ClosureOptimizer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from thalweg.chain import Chain, Route
    from thalweg.formula import Schedule
    from thalweg.optimizer.closures.evaluations import Evaluations
    from thalweg.optimizer.layout import Backend, NonFinite
    from thalweg.optimizer.optimizer import Parameters
    from thalweg.optimizer.roles import Role
    from thalweg.optimizer.state_dtypes import Asked

Form = Literal["code", "paper"]
_GAMMA, _ETA, _EPS = (Hyperparameter(name, None, Range(0)) for name in ("gamma", "eta_inner", "eps"))
_ALPHA = Hyperparameter("alpha", None, Range(0, 1, low_included=False, high_included=True))


class EntropySGD(ClosureOptimizer):
    """Steps by a chain that is given p − μ for a gradient, with μ the average of a noisy walk around the parameters.

    `step(closure)` evaluates the closure `evaluations` times, at each point x of the walk, and returns the first loss;
    let it take another minibatch each time. From x = μ = p on, x ← x − η'(∇f(x) − γ(p − x)) + √(2η')·ε·N(0, I) and
    μ ← (1 − α)μ + αx, with an α of 0.25: that is the authors' code. With `form="paper"` it is Algorithm 1: the chain is
    given γ(p − μ), the noise is √η'·ε·N(0, I) and α is 0.75, so that rates are of the size of 1/γ. A step of
    `chain(gradient_descent(), step(1.0))` moves all the way to μ.

    `gamma` (the scope), `eta_inner`, `eps` and `alpha` may be schedules, and groups may have their own, as `gamma`, or
    as `entropy_sgd.gamma` where the chain has such a number, too. The paper raises the scope over time, as in
    `gamma=exponential(1e-4, factor=1.001)`. The noise is drawn from `generator`, or from torch's own. A batch norm in
    the model sees every point of the walk; `optimizer.evaluation` counts them from 0. For what is not said here, see
    `Optimizer`.

    Chaudhari et al. 2016, arXiv:1611.01838; the defaults are those of its experiments on MNIST, from the authors' page.

    >>> import thalweg as tw, torch
    >>> model, batches = torch.nn.Linear(2, 1), iter(torch.randn(100, 8, 2))
    >>> optimizer = tw.EntropySGD(model, tw.chain(tw.gradient_descent(), tw.step(1.0)), evaluations=5)
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (model(next(batches)) - 1).square().mean()
    ...     loss.backward()
    ...     return loss
    >>> loss = optimizer.step(closure)
    """

    method = "entropy_sgd"
    _fields: ClassVar[tuple[str, ...]] = ("evaluations", "form", "generator")

    def __init__(  # noqa: PLR0913  # the method's numbers, beside what every optimizer takes
        self,
        params: Parameters,
        chain: Chain | Route,
        *,
        evaluations: int = 20,
        gamma: float | Schedule = 1e-4,
        eta_inner: float | Schedule = 0.1,
        eps: float | Schedule = 1e-4,
        alpha: float | Schedule | None = None,
        form: Form = "code",
        generator: torch.Generator | None = None,
        roles: Mapping[str, Role] | None = None,
        maximize: bool = False,
        nonfinite: NonFinite = "raise",
        backend: Backend = "auto",
        state_dtype: Asked = None,
    ) -> None:
        if form not in get_args(Form):
            raise HyperparameterError(f"entropy_sgd: `form` is {form!r}; {did_you_mean(str(form), get_args(Form))}")
        if not isinstance(evaluations, int) or evaluations < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise HyperparameterError(
                f"entropy_sgd: `evaluations` is {evaluations!r}; it must be a whole number from 1"
            )
        self.evaluations = evaluations
        self.form: Form = form
        self.generator = generator
        usual = 0.75 if form == "paper" else 0.25
        self._numbers = {_GAMMA: gamma, _ETA: eta_inner, _EPS: eps, _ALPHA: usual if alpha is None else alpha}
        others: dict[str, Any] = {"nonfinite": nonfinite, "backend": backend, "state_dtype": state_dtype}
        super().__init__(params, chain, roles=roles, maximize=maximize, **others)

    def _explore(self, evaluate: Evaluations) -> None:
        walks = {id(group): self._walk(group) for group in self.param_groups}
        averages: dict[Tensor, Tensor] = {}
        leads: dict[Tensor, float] = {}
        for _ in range(self.evaluations):
            evaluate()
            for _, parameter, gradient, group in evaluate.gradients():
                walk, origin = walks[id(group)], evaluate.origin(parameter)
                average = averages.setdefault(parameter, origin.clone())
                walk.advance(parameter, gradient, origin, average, self.generator)
                leads[parameter] = walk.lead
        for parameter, average in averages.items():
            direction = (evaluate.origin(parameter) - average).mul_(leads[parameter])
            if parameter.grad is None:
                parameter.grad = direction
            else:
                parameter.grad.copy_(direction)
        evaluate.look()

    def _walk(self, group: dict[str, Any]) -> _Walk:
        gamma, eta, eps, alpha = (self._number(group, name) for name in ("gamma", "eta_inner", "eps", "alpha"))
        sign = -1.0 if group["maximize"] else 1.0  # the chain turns its gradient round once more
        if self.form == "paper":
            return _Walk(gamma, eta, math.sqrt(eta) * eps, alpha, sign, sign * gamma)
        return _Walk(gamma, eta, math.sqrt(2 * eta) * eps, alpha, sign, sign)


@dataclass(frozen=True)
class _Walk:
    """The walk of a group's parameters in one step."""

    gamma: float
    eta: float
    noise: float
    alpha: float
    sign: float
    lead: float
    """What the chain's gradient is, in units of the way from the average."""

    @torch.no_grad()
    def advance(
        self, x: Tensor, gradient: Tensor, origin: Tensor, average: Tensor, generator: torch.Generator | None
    ) -> None:
        """One point further, and the average with it; in place."""
        x.sub_(self.sign * gradient - self.gamma * (origin - x), alpha=self.eta)
        if self.noise:
            x.add_(torch.empty_like(x).normal_(generator=generator), alpha=self.noise)
        average.lerp_(x, self.alpha)
