"""What a model predicts: the distribution that a loss is the negative logarithm of, and its Fisher information."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical, Distribution, Normal
from torch.nn import functional

from thalweg.curvature.divisors import kind_of, setting_of
from thalweg.errors import CurvatureError, UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Likelihood = Literal["categorical", "gaussian", "bernoulli"]


@dataclass(frozen=True)
class Family:
    """A distribution by its outputs; `information(outputs, u)` is its Fisher information times u, in their shape."""

    distribution: Callable[..., Distribution]
    information: Callable[[Tensor, Tensor], Tensor] | None = None


def _class_dimension(outputs: Tensor) -> int:
    return min(1, outputs.ndim - 1)  # where torch's cross-entropy has it


def _categorical(outputs: Tensor, u: Tensor) -> Tensor:
    """(diag(p) − ppᵀ) u for each row."""
    dimension = _class_dimension(outputs)
    p = outputs.softmax(dimension)
    return p * (u - (p * u).sum(dimension, keepdim=True))


def _bernoulli(outputs: Tensor, u: Tensor) -> Tensor:
    p = outputs.sigmoid()
    return p * (1 - p) * u


_FAMILIES: dict[Likelihood, Family] = {
    "categorical": Family(
        lambda logits: Categorical(logits=logits.movedim(_class_dimension(logits), -1)), _categorical
    ),
    "gaussian": Family(lambda mean: Normal(mean, 0.5**0.5), lambda _, u: 2 * u),  # (y − f)² is −log p, σ² = ½
    "bernoulli": Family(lambda logits: Bernoulli(logits=logits), _bernoulli),
}
_OF_LOSSES: dict[object, Likelihood] = {
    nn.CrossEntropyLoss: "categorical",
    functional.cross_entropy: "categorical",
    nn.MSELoss: "gaussian",
    functional.mse_loss: "gaussian",
    nn.BCEWithLogitsLoss: "bernoulli",
    functional.binary_cross_entropy_with_logits: "bernoulli",
}


def family_of(loss: object, given: str | Callable[..., Distribution] | None) -> Family:
    """The family that is given by name or as a function of the outputs, or else the loss's own.

    Raises `CurvatureError` where the loss has none, and `UnknownNameError` for a name that is none.
    """
    if callable(given):
        return Family(given)
    if given is not None and given not in _FAMILIES:
        raise UnknownNameError(f"`likelihood` is {given!r}; {did_you_mean(str(given), get_args(Likelihood))}")
    name = given or _OF_LOSSES.get(kind_of(loss))
    if name is None:
        raise CurvatureError(
            "the loss does not say what distribution the model predicts; give `likelihood`, one of "
            f"{', '.join(get_args(Likelihood))}, or a function from the outputs to a torch.distributions.Distribution"
        )
    weighted = [key for key in ("weight", "pos_weight") if setting_of(loss, key) is not None]
    if weighted and given is None:
        raise CurvatureError(
            f"a loss with `{weighted[0]}` is no negative log-likelihood; take `gauss_newton`, or give `likelihood`"
        )
    return _FAMILIES[name]


def scores(family: Family, outputs: Sequence[Tensor], samples: int, seeds: Sequence[int]) -> list[Tensor]:
    """The slopes ∂(−log p)/∂outputs, (samples, *outputs), at targets that are drawn from the prediction.

    What is drawn follows from the seeds; torch's own random numbers are left alone.
    """
    at = [torch.cat([output.detach()] * samples).requires_grad_() for output in outputs]
    devices = sorted({output.device.index or 0 for output in outputs if output.device.type == "cuda"})
    with torch.random.fork_rng(devices), torch.enable_grad():
        mixed = np.random.SeedSequence(list(seeds)).generate_state(1, np.uint64)
        torch.manual_seed(int(mixed[0]) >> 1)
        distribution: Any = family.distribution(*at)
        drawn = -distribution.log_prob(distribution.sample()).sum()
    found = torch.autograd.grad(drawn, at, materialize_grads=True)
    return [slope.view(samples, *output.shape) for slope, output in zip(found, outputs, strict=True)]
