"""The evaluations of one step: the closure is called, its gradients are looked at, parameters come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch

from thalweg.errors import GradientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor
    from torch.amp import GradScaler

    from thalweg.optimizer.closures.closure_optimizer import ClosureOptimizer


class NotFinite(Exception):  # noqa: N818  # a message to the optimizer, which says it in its own words
    """The gradient of this parameter has a NaN or an infinity."""


class Handle:
    """An optimizer once more, for `GradScaler.unscale_`, which takes each but once between two updates of the scale."""

    param_groups: list[dict[str, Any]]


def unscale(scaler: GradScaler, optimizer: torch.optim.Optimizer, handles: list[Handle], place: int) -> None:
    """Unscale the optimizer's gradients for the evaluation of that place in a step; each has a handle of its own."""
    if place == len(handles):
        handles.append(Handle())
    handles[place].param_groups = optimizer.param_groups
    scaler.unscale_(cast("torch.optim.Optimizer", handles[place]))


class Evaluations:
    """Evaluates the closure wherever the parameters are; `restore` brings them back to where they were, to the bit.

    A call raises `GradientError` for a sparse gradient and, where it `looks`, `NotFinite`.
    """

    def __init__(
        self,
        optimizer: ClosureOptimizer,
        closure: Callable[[], Any],
        scaler: GradScaler | None,
        handles: list[Handle],
        *,
        looks: bool,
    ) -> None:
        self.loss: Any = None
        """What the closure gave first."""
        self._optimizer = optimizer
        self._closure = closure
        self._scaler = scaler if scaler is not None and scaler.is_enabled() else None
        self._handles = handles
        self._looks = looks or self._scaler is not None
        self._count = 0
        self._origins: dict[Tensor, Tensor] = {}

    @property
    def unscales(self) -> bool:
        """Whether a scaler is at work, which expects that steps are left out."""
        return self._scaler is not None

    def __call__(self) -> None:
        """Evaluate the closure where the parameters are now."""
        self._optimizer.evaluation = self._count
        with torch.enable_grad():
            loss = self._closure()
        if self._count == 0:
            self.loss = loss
        if self._scaler is not None:
            unscale(self._scaler, self._optimizer, self._handles, self._count)
        self._count += 1
        self.look()

    def look(self) -> None:
        """Look at the gradients as they are."""
        found = [(name, gradient) for name, _, gradient, _ in self.gradients()]
        sparse = next((name for name, gradient in found if gradient.layout != torch.strided), None)
        if sparse is not None:
            message = (
                f"the gradient of {sparse} is sparse, and this optimizer needs a dense one; "
                "make the layer with sparse=False"
            )
            raise GradientError(message)
        if self._looks:
            largest = [torch.linalg.vector_norm(g, torch.inf).double() for _, g in found if g.numel()]
            together = torch.stack([one.to(largest[0].device) for one in largest]) if largest else torch.zeros(1)
            if not bool(torch.isfinite(together).all()):
                raise NotFinite(next(name for name, g in found if not bool(torch.isfinite(g).all())))

    def gradients(self) -> Iterator[tuple[str, Tensor, Tensor, dict[str, Any]]]:
        """The name, the parameter, its gradient and its group, of each that has a gradient."""
        for at, group in enumerate(self._optimizer.param_groups):
            names = group.get("param_names", ())
            for inside, parameter in enumerate(group["params"]):
                if parameter.grad is not None:
                    name = f"`{names[inside]}`" if names else f"parameter {inside} of group {at}"
                    yield name, parameter, parameter.grad, group

    def origin(self, parameter: Tensor) -> Tensor:
        """Where a parameter was before the step; to be asked for before it is moved."""
        if parameter not in self._origins:
            self._origins[parameter] = parameter.detach().clone()
        return self._origins[parameter]

    @torch.no_grad()
    def restore(self) -> None:
        """Put the parameters back."""
        for parameter, value in self._origins.items():
            parameter.copy_(value)
        self._origins.clear()
