"""The contenders that step torch's tensors: our optimizer, and torch's own."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

import torch

from thalweg.lab.bench.turns import Contender, stopwatch_for
from thalweg.optimizer import Optimizer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.chain import Chain
    from thalweg.lab.bench.model import Model
    from thalweg.lab.bench.twins import Call

OURS, FUSED, DEFAULT = "thalweg", "torch fused", "torch default"


def ours(chain: Chain, model: Model) -> Contender:
    """Our optimizer as a user makes it: it also looks whether gradients are finite."""
    optimizer = begun(chain, model)
    return Contender(OURS, repr(chain), optimizer.step, stopwatch_for(model.device))


def begun(chain: Chain, model: Model) -> Optimizer:
    """The optimizer; of a rule that takes estimates of the curvature now and then, between two of them."""
    optimizer = Optimizer(model.parameters(), chain)
    if any(traced.curvature is not None for traced in chain.traces()):
        optimizer.take_curvature(model.gradients)
        optimizer.step()
    return optimizer


def torchs(call: Call, model: Model) -> list[Contender]:
    """Torch's optimizer, fused where torch fuses it here, and the way torch picks by itself."""
    name, settings = call
    kind = getattr(torch.optim, name, None)
    if kind is None:
        return []  # a torch that is older than it
    found = [_build(DEFAULT, kind, settings, model)]
    if fuses(kind, model.dtype, model.device):
        found.insert(0, _build(FUSED, kind, {**settings, "fused": True}, model))
    return found


@functools.cache
def fuses(kind: type[torch.optim.Optimizer], dtype: torch.dtype, device: str) -> bool:
    """Whether torch has a fused kernel for an optimizer, a dtype and a device; it is asked by a step of one element."""
    if "fused" not in inspect.signature(kind).parameters:
        return False
    parameter = torch.nn.Parameter(torch.ones(1, dtype=dtype, device=device))
    parameter.grad = torch.ones_like(parameter)
    try:
        kind([parameter], lr=0.1, fused=True).step()  # pyright: ignore[reportCallIssue]  # each has them, the base has not
    except RuntimeError:  # as torch answers when it is made, or at the first step
        return False
    return True


def _build(name: str, kind: Any, settings: Mapping[str, Any], model: Model) -> Contender:  # noqa: ANN401  # a class of torch's
    written = ", ".join(f"{key}={value!r}" for key, value in settings.items())
    optimizer = kind(model.parameters(), **settings)
    return Contender(name, f"torch.optim.{kind.__name__}({written})", optimizer.step, stopwatch_for(model.device))
