"""Sharpness-aware minimisation: the gradient is taken where, close by, the loss is about worst."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from thalweg.errors import HyperparameterError
from thalweg.formula import Hyperparameter, Range
from thalweg.optimizer.closures.closure_optimizer import ClosureOptimizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from thalweg.chain import Chain, Route
    from thalweg.formula import Schedule
    from thalweg.optimizer.closures.evaluations import Evaluations
    from thalweg.optimizer.layout import Backend, NonFinite
    from thalweg.optimizer.optimizer import Parameters
    from thalweg.optimizer.roles import Role
    from thalweg.optimizer.state_dtypes import Asked

_RHO, _ETA = (Hyperparameter(name, None, Range(0)) for name in ("rho", "eta"))


class SAM(ClosureOptimizer):
    """Steps by a chain, with the gradient at p + ρg/‖g‖: where, within ρ of the parameters, the loss is about worst.

    `step(closure)` evaluates the closure twice, at the parameters and there, and returns the first loss. The norm is
    over all parameters; 0.05 is the paper's ρ. With `adaptive` it is ASAM: the neighbourhood scales with the
    parameters, p + ρT²g/‖Tg‖ with T the size of each element plus η, and its paper's ρ is 0.5, its η 0.01. Both may be
    schedules, and groups may have their own, as `rho`, or as `sam.rho` where the chain has a `rho`, too.

    A batch norm in the model sees both evaluations; `optimizer.evaluation`, 0 and then 1, tells the closure which it is
    in. For what is not said here, see `Optimizer`.

    Foret et al. 2020, arXiv:2010.01412, Algorithm 1; Kwon et al. 2021, arXiv:2102.11600, Algorithm 1.

    >>> import thalweg as tw, torch
    >>> model = torch.nn.Linear(2, 1)
    >>> optimizer = tw.SAM(model, tw.chain(tw.heavy_ball(), tw.step(0.1)), rho=0.05)
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (model(torch.ones(3, 2)) - 1).square().mean()
    ...     loss.backward()
    ...     return loss
    >>> loss = optimizer.step(closure)
    """

    method = "sam"
    _fields: ClassVar[tuple[str, ...]] = ("adaptive",)

    def __init__(  # noqa: PLR0913  # the method's numbers, beside what every optimizer takes
        self,
        params: Parameters,
        chain: Chain | Route,
        *,
        rho: float | Schedule | None = None,
        adaptive: bool = False,
        eta: float | Schedule | None = None,
        roles: Mapping[str, Role] | None = None,
        maximize: bool = False,
        nonfinite: NonFinite = "raise",
        backend: Backend = "auto",
        state_dtype: Asked = None,
    ) -> None:
        if eta is not None and not adaptive:
            message = "sam: `eta` has no effect without `adaptive=True`; leave it out"
            raise HyperparameterError(message)
        self.adaptive = adaptive
        self._numbers = {_RHO: (0.5 if adaptive else 0.05) if rho is None else rho}
        if adaptive:
            self._numbers |= {_ETA: 0.01 if eta is None else eta}
        others: dict[str, Any] = {"nonfinite": nonfinite, "backend": backend, "state_dtype": state_dtype}
        super().__init__(params, chain, roles=roles, maximize=maximize, **others)

    def _explore(self, evaluate: Evaluations) -> None:
        evaluate()
        self._climb(evaluate)
        evaluate()

    @torch.no_grad()
    def _climb(self, evaluate: Evaluations) -> None:
        """Go where, to first order, the loss is worst: up the gradient, or down it where the step goes up."""
        moves = [(p, self._scaled(p, gradient, group), group) for _, p, gradient, group in evaluate.gradients()]
        length = _length([scaled for _, scaled, _ in moves])
        if length == 0:
            return
        for parameter, scaled, group in moves:
            origin = evaluate.origin(parameter)
            rho = self._number(group, "rho")
            move = self._scaled(origin, scaled, group)
            parameter.add_(move, alpha=(-rho if group["maximize"] else rho) / length)

    def _scaled(self, parameter: Tensor, values: Tensor, group: dict[str, Any]) -> Tensor:
        """Times T = abs(p) + η, where it is adaptive."""
        return (parameter.abs() + self._number(group, "eta")) * values if self.adaptive else values


def _length(tensors: Sequence[Tensor]) -> float:
    """The Euclidean norm of all of them together, in float64."""
    length = _norm(tensors, 2.0)
    if 0 < length < math.inf:
        return length
    largest = _norm(tensors, math.inf)  # squares may have overflowed, or vanished
    return (
        largest * _norm([tensor.double() / largest for tensor in tensors], 2.0) if 0 < largest < math.inf else largest
    )


def _norm(tensors: Sequence[Tensor], order: float) -> float:
    parts = [torch.linalg.vector_norm(one, order, dtype=torch.float64).cpu() for one in tensors if one.numel()]
    return float(torch.linalg.vector_norm(torch.stack(parts), order)) if parts else 0.0
