"""How the tests of the core make parameters and step them."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch

import thalweg as tw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch import Tensor

    from thalweg.chain import Chain
    from thalweg.formula import Stage

SHAPES = ((3, 4), (), (7,), (2, 1, 3), (0,), (1,))
"""Parameters of a small model: a matrix, a scalar, vectors, a higher tensor, an empty one."""
RULES = tuple(tw.rules.catalogue())
CURVED = ("vsgd", "esgd", "sophia")
"""Rules that step by the curvature, too."""
BY_GRADIENT = tuple(rule for rule in RULES if rule not in CURVED)


def parameters(
    shapes: Iterable[tuple[int, ...]] = SHAPES, dtype: torch.dtype = torch.float64, seed: int = 0
) -> list[Tensor]:
    """Leaf tensors of these shapes, drawn from a normal distribution: the same ones for the same seed."""
    random = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(shape, generator=random, dtype=torch.float64) for shape in shapes]
    return [tensor.to(dtype).requires_grad_() for tensor in drawn]


def give_gradients(to: Sequence[Tensor], step: int, scale: float = 1.0) -> None:
    """Gradients that depend on the step and on nothing else; those of equal shapes in other layouts are the same."""
    for parameter, drawn in zip(to, _draw(tuple(parameter.shape for parameter in to), step), strict=True):
        parameter.grad = (scale * drawn).to(parameter.dtype)


@lru_cache(maxsize=256)
def _draw(shapes: tuple[torch.Size, ...], step: int) -> list[Tensor]:
    random = torch.Generator().manual_seed(1000 + step)
    return [0.2 + torch.randn(shape, generator=random, dtype=torch.float64) for shape in shapes]


def descend(optimizer: torch.optim.Optimizer, steps: int = 10, *, start: int = 0, scale: float = 1.0) -> list[Tensor]:
    """Step all parameters of an optimizer by the gradients of these steps; gives copies of where they arrive."""
    all_of_them = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for step in range(start, start + steps):
        give_gradients(all_of_them, step, scale)
        optimizer.step()
    return [parameter.detach().clone() for parameter in all_of_them]


def usual_chain(rule: str | Stage, learning_rate: float | Callable[[int], float] = 0.05) -> Chain:
    """The chain that steps by a rule: Rprop has its own sizes of step, all others a learning rate."""
    stage = tw.rules.get(rule)() if isinstance(rule, str) else rule
    return tw.chain(stage) if stage.rule.name == "rprop" else tw.chain(stage, tw.step(learning_rate))


def optimizer_of(rule: str | Stage, params: Any, **settings: Any) -> tw.Optimizer:
    """An optimizer that steps by one rule, with its usual rate, and finds an estimate of the curvature if it asks."""
    return with_curvature(tw.Optimizer(params, usual_chain(rule), **settings))


def with_curvature(optimizer: tw.Optimizer) -> tw.Optimizer:
    """The optimizer, given an estimate of the curvature before each step where its chain asks for one.

    It is twice the gradient, so that the function turned over has that of the other sign; 0 where that is not finite.
    """
    traces = [traced for group in optimizer.param_groups for traced in group["chain"].traces()]
    if any(traced.curvature is not None for traced in traces):
        optimizer.register_step_pre_hook(_give_curvature)
    return optimizer


def _give_curvature(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    assert isinstance(optimizer, tw.Optimizer)
    gradients = [parameter.grad for group in optimizer.param_groups for parameter in group["params"]]
    estimates = [None if gradient is None else (2 * gradient).nan_to_num(0, 0, 0) for gradient in gradients]
    optimizer.take_curvature(estimates)


def one_parameter(value: float = 1.0, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """A leaf tensor filled with one value, three elements if no shape is given, and a gradient of ones."""
    parameter = torch.full(shape or (3,), value, dtype=dtype, requires_grad=True)
    parameter.grad = torch.ones_like(parameter, requires_grad=False)
    return parameter
