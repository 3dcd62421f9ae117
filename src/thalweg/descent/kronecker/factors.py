"""The two factors of each layer's Fisher block, A of what it is given and G of slopes, and their running averages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, cast

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.descent.kronecker.layers import Layer

Sharing: TypeAlias = Literal["expand", "reduce"]


class Sums:
    """Sums of one minibatch or several: `A` and `G`, (blocks, n, n) and (blocks, m, m), are their factors.

    The block of the Fisher matrix is A ⊗ G: the weights' columns are stacked, Martens and Grosse 2015, section 3.
    """

    def __init__(self) -> None:
        self._inputs: Tensor | None = None
        self._slopes: Tensor | None = None
        self._examples = 0
        self._passes = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been added that makes factors."""
        return self._examples == 0 or self._slopes is None

    def add_inputs(self, layer: Layer, given: Tensor, sharing: Sharing) -> None:
        """Take what the layer was given in a pass of its own."""
        a = _shared_inputs(layer.inputs(given), sharing)
        examples = a.shape[1]
        flat = a.flatten(1, 2)
        places = flat.shape[1] / max(examples, 1)
        self._inputs = _plus(self._inputs, flat.mT @ (flat if places == 1 else flat / places))
        self._examples += examples
        self._passes += 1

    def add_slopes(self, layer: Layer, slopes: Tensor, sharing: Sharing, *, weight: float = 1.0) -> None:
        """Take derivatives by what the layer gave: a vector's with which the Hessian was drawn, or one of its roots."""
        s = layer.slopes(slopes)
        flat = (s.sum(2, keepdim=True) if sharing == "reduce" else s).flatten(1, 2)
        self._slopes = _plus(self._slopes, flat.mT @ (flat if weight == 1 else flat * weight))

    @property
    def A(self) -> Tensor:
        """The mean over examples, and places."""
        return cast("Tensor", self._inputs) / self._examples

    @property
    def G(self) -> Tensor:
        """The sum over examples, whose weights are in the loss; the mean over passes."""
        total = cast("Tensor", self._slopes)
        return total if self._passes == 1 else total / self._passes


def terms_of(layer: Layer, slopes: Tensor, sharing: Sharing) -> int:
    """How many terms a loss is the mean of, as far as its slopes can tell: for the empirical Fisher matrix.

    Examples; and where a Linear's places are examples of their own (`expand`), all of them.
    """
    s = layer.slopes(slopes)
    is_expanded = sharing == "expand" and isinstance(layer.module, torch.nn.Linear)
    return s.shape[1] * s.shape[2] if is_expanded else s.shape[1]


def averaged(before: Tensor | None, now: Tensor, count: int, decay: float) -> Tensor:
    """The running average after `count` estimates, with weight min(1 − 1/k, decay) for the past: section 5."""
    if before is None:
        return now
    return torch.lerp(before, now, 1 - min(1 - 1 / count, decay))


def _plus(total: Tensor | None, own: Tensor) -> Tensor:
    return own if total is None else total + own


def _shared_inputs(a: Tensor, sharing: Sharing) -> Tensor:
    """Each place for itself, or their mean: Eschenhagen et al. 2023, arXiv:2311.00636."""
    return a.mean(2, keepdim=True) if sharing == "reduce" else a
