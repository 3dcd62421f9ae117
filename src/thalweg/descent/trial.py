"""The function at one point: its value, and its derivatives when they are asked for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import torch

from thalweg.errors import GradientError

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.descent.objective import Objective


class Trial:
    """A point `x` with the value `f` there; its derivatives are computed when they are first asked for."""

    def __init__(self, objective: Objective, x: Tensor, point: Tensor, f: float, value: Tensor | None) -> None:
        self.x = x
        self.f = f
        self._objective = objective
        self._point = point
        self._value = value
        self._slope: Tensor | None = None
        self._gradient: Tensor | None = None
        self._dense: Tensor | None = None

    @property
    def g(self) -> Tensor:
        """The gradient, flat.

        Raises `GradientError` where the function's value does not depend on its point by torch's operations.
        """
        if self._gradient is None:
            self._objective.njev += 1
            slope = self._differentiate() if self._objective.gradient is None else self._ask(self._objective.gradient)
            self._gradient = slope.detach()
            self._value = None
            self._slope = slope if slope.requires_grad and self._objective.differentiable_twice else None
        return self._gradient

    @property
    def is_finite(self) -> bool:
        """Whether value and gradient are finite; the gradient is computed only where the value is."""
        return math.isfinite(self.f) and bool(self.g.isfinite().all())

    def product(self, v: Tensor) -> Tensor:
        """The Hessian here times a vector, by differentiating the gradient once more."""
        objective = self._objective
        objective.spend()
        objective.nhvp += 1
        if objective.product is not None:
            found = objective.product(self.x.clone().view(objective.shape), v.clone().view(objective.shape))
            return self._flat(found, "`hessian_product`").detach()
        if objective.hessian is not None:
            return self._given_hessian() @ v
        return self._second(v)

    def hessian(self) -> Tensor:
        """The dense Hessian here, of shape (n, n), made symmetric."""
        objective = self._objective
        objective.spend(objective.size)
        objective.nhvp += objective.size
        if objective.hessian is not None:
            dense = self._given_hessian()
        elif objective.product is not None:
            columns = torch.eye(objective.size, dtype=self.x.dtype, device=self.x.device)
            shape = objective.shape
            products = [objective.product(self.x.clone().view(shape), column.view(shape)) for column in columns]
            dense = torch.stack([self._flat(column, "`hessian_product`").detach() for column in products])
        else:
            dense = torch.stack([self._second(row) for row in torch.eye(objective.size).to(self.x)])
        return (dense + dense.T) / 2

    def _differentiate(self) -> Tensor:
        if self._value is None or not self._value.requires_grad:
            raise GradientError(
                "the function's value does not depend on its point by torch's operations, so that it cannot be "
                "differentiated; compute it with torch, or give `gradient`"
            )
        twice = self._objective.differentiable_twice
        return _derivative(self._value, self._point, create_graph=twice)

    def _ask(self, gradient: object) -> Tensor:
        with torch.set_grad_enabled(self._objective.differentiable_twice):
            found = gradient(self._point.clone().view(self._objective.shape))  # pyright: ignore[reportCallIssue]
        return self._flat(found, "`gradient`")

    def _second(self, v: Tensor) -> Tensor:
        g = self.g
        if self._slope is None:
            if self._objective.gradient is None:
                return torch.zeros_like(g)  # the gradient does not depend on the point: the function is linear
            raise GradientError(
                "this method needs second derivatives, and `gradient` does not say them by torch's operations; give "
                "`hessian_product` or `hessian`, or leave `gradient` to autograd"
            )
        return _derivative(self._slope, self._point, v, retain_graph=True)

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


def _derivative(of: Tensor, point: Tensor, v: Tensor | None = None, **graph: bool) -> Tensor:
    """The derivative, of a vector in the direction v; zero where it does not depend on the point."""
    (found,) = cast("tuple[Tensor | None]", torch.autograd.grad(of, point, v, allow_unused=True, **graph))
    return torch.zeros_like(point) if found is None else found
