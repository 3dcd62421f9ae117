"""The function that is minimised: evaluated at flat points, counted, and never more often than the budget allows."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, SupportsFloat

import torch

from thalweg.descent.failures import BudgetSpentError, NoStepError, Status
from thalweg.descent.trial import Trial
from thalweg.errors import GradientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from thalweg.descent.differences import Points
    from thalweg.descent.trial import Evaluated


class Objective:
    """A function with its derivatives, what has been spent on it, and the lowest point that was seen.

    `budget` bounds function evaluations and Hessian products together, a dense Hessian counting as many products as it
    has columns. A gradient is taken where the function was evaluated; one that is taken elsewhere, for a difference,
    counts, too. `deadline` is on the monotonic clock.
    With `values_only`, the function is told of points without a graph, and nobody asks for a gradient.
    """

    def __init__(  # noqa: PLR0913  # all that a function may come with
        self,
        function: Callable[[Tensor], Any],
        shape: torch.Size,
        *,
        gradient: Callable[[Tensor], Any] | None = None,
        hessian: Callable[[Tensor], Any] | None = None,
        product: Callable[[Tensor, Tensor], Any] | Points | None = None,
        differentiable_twice: bool = False,
        values_only: bool = False,
        keeps_graph: bool = False,
        budget: float = math.inf,
        deadline: float = math.inf,
    ) -> None:
        self.function = function
        self.shape = shape
        self.size = shape.numel()
        self.gradient = gradient
        self.hessian = hessian
        self.product = product if callable(product) else None
        self.differences: Points | None = None if callable(product) else product
        self.differentiable_twice = differentiable_twice
        self.remark = ""
        self._elsewhere = 0
        self.values_only = values_only
        self.keeps_graph = keeps_graph
        self.evaluated: Callable[[Tensor], Evaluated] | None = None
        """Where the graphs come from, if not from `function`."""
        self.nfev = self.njev = self.nhvp = 0
        self.best: Trial | None = None
        self._budget = budget
        self._deadline = deadline

    def at(self, x: Tensor) -> Trial:
        """The function at a flat point, which keeps the graph for its derivatives as long as it lives.

        The lowest finite point is remembered. Raises `NoStepError` where the function is −∞, and `BudgetSpentError`
        before an evaluation too many.
        """
        self.spend()
        self.nfev += 1
        has_graph = not self.values_only and (self.gradient is None or self.differentiable_twice)
        point = x.detach().requires_grad_(has_graph)
        with torch.set_grad_enabled(not self.values_only):
            given = point if self.gradient is None else x.detach()
            value, outputs = _apart(self.function(given.clone().view(self.shape)))  # which may be changed in place
            tensor = value.sum() if isinstance(value, torch.Tensor) else None  # of one element, in whatever shape
        trial = Trial(self, x.detach(), point, _number(value), tensor, outputs)
        if trial.f == -math.inf:
            raise NoStepError(Status.UNBOUNDED, "the function is not bounded below: it has become -inf")
        if math.isfinite(trial.f) and (self.best is None or trial.f < self.best.f):
            self.best = trial
        return trial

    def peek(self, x: Tensor) -> float:
        """The function's value at a flat point that nobody goes to. Raises as `at`."""
        best = self.best
        try:
            return self.at(x).f
        finally:
            self.best = best

    def slope(self, x: Tensor) -> Tensor:
        """The gradient at a flat point that nobody goes to. Raises as `at`."""
        best = self.best
        try:
            if self.gradient is None:
                return self.at(x).g
            self.spend()
            self._elsewhere += 1
            return Trial(self, x, x, math.nan, None).g
        finally:
            self.best = best

    def fall_back(self, reason: str) -> None:
        """Take Hessian products by differences of gradients from here on, and remember why."""
        if self.differences is None:
            self.differences = "2-point"
            self.differentiable_twice = False
            self.remark = f"Hessian products are differences of gradients: {reason}"

    @property
    def spent(self) -> int:
        """How many evaluations there were: what the budget bounds."""
        return self.nfev + self.nhvp + self._elsewhere

    @property
    def left(self) -> float:
        """How many evaluations and products are still within the budget."""
        return self._budget - self.spent

    def spend(self, count: int = 1) -> None:
        """See that so many more evaluations are within the budget, or raise `BudgetSpentError`."""
        if count > self.left:
            raise BudgetSpentError(f"the budget of {self._budget} evaluations is spent")
        if time.monotonic() > self._deadline:
            raise BudgetSpentError("the time is spent")


def _apart(returned: Any) -> tuple[Any, Tensor | None]:  # noqa: ANN401  # user code may return anything
    """The value, and the outputs that it was computed from where the function says them, too."""
    match returned:
        case (value, torch.Tensor() as outputs):
            return value, outputs
        case _:
            return returned, None


def _number(value: object) -> float:
    """The function's value as a number of Python's own."""
    if isinstance(value, torch.Tensor):
        if value.numel() != 1:
            raise GradientError(
                f"the function returned a tensor of shape {tuple(value.shape)}; what is minimised is one number, as of "
                "`.sum()` or `.mean()`"
            )
        if value.is_complex():
            raise GradientError("the function returned a complex number; minimise its modulus or its real part")
        return float(value.detach())
    if not isinstance(value, float | int | SupportsFloat):  # asked of a protocol, a float answers in 40 µs
        raise GradientError(f"the function returned {value!r}; what is minimised is one number")
    return float(value)
