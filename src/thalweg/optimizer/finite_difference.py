"""An estimate of the curvature from two gradients of one minibatch, without differentiating twice."""

# An estimator's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801, ARG002, D102

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from thalweg.errors import CurvatureError
from thalweg.optimizer.estimators import Estimator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor


@dataclass(frozen=True, kw_only=True, repr=False)
class finite_difference(Estimator):
    """The diagonal: how far ∇f differs between p and p + δ, over δ, with δ the average of gradients that vSGD keeps.

    It costs two evaluations of the loss and its gradient, so `estimate_curvature` is given a function that computes the
    loss, of the same minibatch each time: `optimizer.estimate_curvature(lambda: loss_of(model(x), y))`. Random numbers
    that it draws, as for dropout, are the same both times. All elements are moved at once, so what stands off the
    Hessian's diagonal is seen too. δ is the state of the rule that is called `along`; before there is one, or for a
    rule that has none, it is the gradient. An element that δ does not move is given no curvature.

    Schaul and LeCun 2013, arXiv:1301.3764.

    >>> finite_difference()
    finite_difference()
    """

    every: int = 1
    along: str = "g_bar"
    takes_function: ClassVar[bool] = True

    def estimate(self, of: Tensor, parameters: Sequence[Tensor], step: int) -> list[Tensor | None]:
        raise CurvatureError(
            f"{self!r} evaluates the loss at two places; give `estimate_curvature` a function that computes it"
        )

    def estimate_by(
        self, function: Callable[[], Tensor], parameters: Sequence[Tensor], states: Sequence[Mapping[str, object]]
    ) -> list[Tensor | None]:
        """The same, from a function and the parameters' states; the parameters are left as they were, to the bit."""
        here = _gradients(function, parameters)
        along = [_displacement(g, state.get(self.along)) for g, state in zip(here, states, strict=True)]
        places = [parameter.detach().clone() for parameter in parameters]
        try:
            for parameter, d in zip(parameters, along, strict=True):
                if d is not None:
                    parameter.detach().add_(d)
            moved = [p.detach() - place for p, place in zip(parameters, places, strict=True)]  # as rounding left it
            there = _gradients(function, parameters)
        finally:
            for parameter, place in zip(parameters, places, strict=True):
                parameter.detach().copy_(place)
        return [_slope(*three) for three in zip(here, there, moved, strict=True)]


def _gradients(function: Callable[[], Tensor], parameters: Sequence[Tensor]) -> Sequence[Tensor | None]:
    """The loss's gradients, with random numbers that are drawn as they will be drawn next time."""
    devices = sorted({parameter.device.index for parameter in parameters if parameter.device.type == "cuda"})
    with torch.random.fork_rng(devices=devices), torch.enable_grad():
        loss = function()
        if not isinstance(loss, torch.Tensor) or loss.numel() != 1 or not loss.requires_grad:  # pyright: ignore[reportUnnecessaryIsInstance]  # user code may return anything
            message = (
                "a difference is taken of the gradients of a loss, and the function returned "
                f"{f'a tensor of shape {tuple(loss.shape)}' if isinstance(loss, torch.Tensor) else repr(loss)}; it "  # pyright: ignore[reportUnnecessaryIsInstance]
                "must return one number with its graph"
            )
            raise CurvatureError(message)
        return torch.autograd.grad(loss.sum(), parameters, allow_unused=True)


def _displacement(gradient: Tensor | None, average: object) -> Tensor | None:
    """The average, or the gradient where none has been made yet."""
    if gradient is not None and isinstance(average, torch.Tensor) and bool(average.any()):
        return average.to(gradient)
    return gradient


def _slope(here: Tensor | None, there: Tensor | None, moved: Tensor) -> Tensor | None:
    if here is None or there is None:
        return None
    rise = (there - here).abs()
    return torch.where(moved == 0, torch.zeros_like(rise), rise / torch.where(moved == 0, 1, moved).abs())
