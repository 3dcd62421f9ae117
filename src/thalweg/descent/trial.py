"""The function at one point: its value, and its derivatives when they are asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch

from thalweg.curvature.differentiation import slopes
from thalweg.descent.differences import difference
from thalweg.errors import GradientError, SecondDerivativeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from thalweg.descent.differences import Points
    from thalweg.descent.objective import Objective


@dataclass(frozen=True, eq=False)
class Evaluated:
    """The value with its graph, the outputs that it was computed from, and what autograd differentiates them by."""

    loss: Tensor
    outputs: Tensor
    inputs: tuple[Tensor, ...]
    root: Tensor | None = None
    """What the point is multiplied by to give the inputs, element by element."""
    decay: Tensor | None = None
    """The curvature that the function has by the inputs beside the loss's, element by element."""

    def scaled(self, v: Tensor) -> Tensor:
        """A vector, or rows of them, by the point as one by the inputs; a derivative by these as one by the point."""
        return v if self.root is None else v * self.root

    @property
    def penalty(self) -> Tensor | float:
        """The curvature that the function has by the point beside the loss's, element by element."""
        return 0.0 if self.decay is None else self.scaled(self.scaled(self.decay))


class Trial:
    """A point `x` with the value `f` there; its derivatives are computed when they are first asked for."""

    def __init__(  # what one evaluation has found
        self,
        objective: Objective,
        x: Tensor,
        point: Tensor,
        f: float,
        value: Tensor | None,
        outputs: Tensor | None = None,
    ) -> None:
        self.x = x
        self.f = f
        self._objective = objective
        self._point = point
        self._value = value
        self._outputs = outputs
        self._slope: Tensor | None = None
        self._is_finite: bool | None = None
        self._gradient: Tensor | None = None
        self._dense: Tensor | None = None

    @property
    def g(self) -> Tensor:
        """The gradient, flat.

        Raises `GradientError` where the function's value does not depend on its point by torch's operations.
        """
        if self._gradient is None:
            slope = self._differentiate() if self._objective.gradient is None else self._ask(self._objective.gradient)
            self._objective.njev += 1
            self._gradient = slope.detach()
            if not self._objective.keeps_graph:
                self._value = self._outputs = None
            self._slope = slope if slope.requires_grad and self._objective.differentiable_twice else None
        return self._gradient

    @property
    def is_finite(self) -> bool:
        """Whether value and gradient are finite; the gradient is computed only where the value is."""
        if self._is_finite is None:
            self._is_finite = math.isfinite(self.f) and bool(self.g.isfinite().all())
        return self._is_finite

    @property
    def left(self) -> float:
        """How many evaluations and products are still within the budget."""
        return self._objective.left

    def spend(self, count: int = 1) -> None:
        """Count so many curvature products. Raises `BudgetSpentError` where they are more than the budget allows."""
        self._objective.spend(count)
        self._objective.nhvp += count

    def evaluated(self) -> Evaluated:
        """What was evaluated here, with its graph, where the function returns its outputs beside its value.

        Raises `GradientError` where it does not.
        """
        if self._objective.evaluated is not None:
            return self._objective.evaluated(self.x)
        if self._outputs is None or self._value is None:
            raise GradientError(
                "this method needs the outputs that the function's value is computed from, as a model's; let the "
                "function return (value, outputs)"
            )
        if not self._outputs.requires_grad or not self._value.requires_grad:
            raise GradientError(
                "the function's value or its outputs do not depend on the point by torch's operations; return them "
                "as they are computed, neither detached nor computed under `torch.no_grad()`"
            )
        return Evaluated(self._value, self._outputs, (self._point,))

    def product(self, v: Tensor) -> Tensor:
        """The Hessian here times a vector: as it is given, by differentiating the gradient, or by its differences."""
        objective = self._objective
        if objective.differences is None:
            objective.spend()
            found = self._exact(v)
            if found is not None:
                objective.nhvp += 1
                return found.detach()
        points: Points = objective.differences or "2-point"
        found = difference(objective.slope, self.x, self.g, v, points)
        if bool(found.any()):  # else the gradient does not change, as that of a linear function
            objective.fall_back("the gradient does not depend on the point by torch's operations")
        return found

    def hessian(self) -> Tensor:
        """The dense Hessian here, of shape (n, n), made symmetric."""
        objective = self._objective
        objective.spend(objective.size)
        if objective.hessian is not None:
            dense = self._given_hessian()
            objective.nhvp += objective.size
        else:
            identity = torch.eye(objective.size, dtype=self.x.dtype, device=self.x.device)
            dense = torch.stack([self.product(column) for column in identity])
        return (dense + dense.T) / 2

    def _exact(self, v: Tensor) -> Tensor | None:
        """The product without differences, or `None` where torch does not know it."""
        objective = self._objective
        if objective.product is not None:
            found = objective.product(self.x.clone().view(objective.shape), v.clone().view(objective.shape))
            return self._flat(found, "`hessian_product`")
        if objective.hessian is not None:
            return self._given_hessian() @ v
        _ = self.g
        if self._slope is None:
            return None
        try:
            return _derivative(self._slope, self._point, v, retain_graph=True)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as failure:  # an operation of which torch has no second derivative
            objective.fall_back(str(failure).split("\n", 1)[0].split(". ", 1)[0])
            return None

    def _differentiate(self) -> Tensor:
        if self._value is None or not self._value.requires_grad:
            raise GradientError(
                "the function's value does not depend on its point by torch's operations, so that it cannot be "
                "differentiated; compute it with torch, or give `gradient`"
            )
        if self._objective.differentiable_twice:
            try:
                (found,) = slopes(self._value, [self._point])
            except SecondDerivativeError:
                self._objective.fall_back("a function in it is marked `once_differentiable`")
            else:
                return torch.zeros_like(self._point) if found is None else found
        found = _derivative(self._value, self._point, retain_graph=self._objective.keeps_graph)
        return torch.zeros_like(self._point) if found is None else found

    def _ask(self, gradient: Callable[[Tensor], Any]) -> Tensor:
        objective = self._objective
        if objective.differentiable_twice:
            try:
                with torch.enable_grad():
                    return self._flat(gradient(self._point.clone().view(objective.shape)), "`gradient`")
            except RuntimeError as failure:
                if "requires grad" not in str(failure):
                    raise
                objective.fall_back("`gradient` leaves torch")
                objective.njev += 1
        with torch.no_grad():
            return self._flat(gradient(self.x.clone().view(objective.shape)), "`gradient`")

    def _given_hessian(self) -> Tensor:
        if self._dense is not None:
            return self._dense
        objective = self._objective
        assert objective.hessian is not None  # noqa: S101  # the callers have looked
        found = torch.as_tensor(objective.hessian(self.x.clone().view(objective.shape))).to(self.x)
        if found.numel() != objective.size**2:
            raise GradientError(
                f"`hessian` returned the shape {tuple(found.shape)}; for {objective.size} variables it must be "
                f"({objective.size}, {objective.size})"
            )
        self._dense = found.detach().reshape(objective.size, objective.size)
        return self._dense

    def _flat(self, found: object, name: str) -> Tensor:
        tensor = torch.as_tensor(found).to(self.x)
        if tensor.numel() != self.x.numel():
            raise GradientError(
                f"{name} returned the shape {tuple(tensor.shape)}; it must be that of the point, "
                f"{tuple(self._objective.shape)}"
            )
        return tensor.reshape(-1)


def _derivative(of: Tensor, point: Tensor, v: Tensor | None = None, **graph: bool) -> Tensor | None:
    """The derivative, of a vector in the direction v; `None` where it does not depend on the point."""
    (found,) = cast("tuple[Tensor | None]", torch.autograd.grad(of, point, v, allow_unused=True, **graph))
    return found
