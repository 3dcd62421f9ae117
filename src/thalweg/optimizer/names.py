"""What an optimizer's parameters are called."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from thalweg.errors import ParameterError

if TYPE_CHECKING:
    from torch.nn import Module

    from thalweg.optimizer.optimizer import Optimizer


def has_names(optimizer: Optimizer) -> bool:
    """Whether the optimizer was made with the parameters' names."""
    return all("param_names" in group for group in optimizer.param_groups)


def names_of(optimizer: Optimizer, model: Module | None) -> list[list[str]]:
    """The parameters' names, group by group: those in the model if one is given, else those it was made with.

    Raises `ParameterError` if a parameter has none, or two have the same.
    """
    if model is not None:
        groups = _names_in(model, optimizer)
    elif has_names(optimizer):
        groups = [list(group["param_names"]) for group in optimizer.param_groups]
    else:
        message = (
            "the optimizer's parameters have no names to keep their state by; make it with the model or with "
            "`model.named_parameters()`, or pass `model=` here"
        )
        raise ParameterError(message)
    twice = [name for name, count in Counter(name for group in groups for name in group).items() if count > 1]
    if twice:
        message = (
            f"several parameters are called {', '.join(f'`{name}`' for name in twice)}; give each its own name, as in "
            '`[(f"encoder.{name}", p) for name, p in encoder.named_parameters()]`'
        )
        raise ParameterError(message)
    return groups


def numbered(optimizer: Optimizer) -> list[list[str]]:
    """What an error calls parameters that have no names."""
    return [
        [f"parameter {inside} of group {at}" for inside in range(len(group["params"]))]
        for at, group in enumerate(optimizer.param_groups)
    ]


def _names_in(model: Module, optimizer: Optimizer) -> list[list[str]]:
    known = {id(parameter): name for name, parameter in model.named_parameters()}
    for at, group in enumerate(optimizer.param_groups):
        for inside, parameter in enumerate(group["params"]):
            if id(parameter) not in known:
                shape = "×".join(map(str, parameter.shape)) or "a scalar"
                message = (
                    f"parameter {inside} of group {at} ({shape}) is not the model's; pass the model whose parameters "
                    "the optimizer steps"
                )
                raise ParameterError(message)
    return [[known[id(parameter)] for parameter in group["params"]] for group in optimizer.param_groups]
