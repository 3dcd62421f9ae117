"""Random vectors that follow from a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from thalweg.errors import HyperparameterError

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.curvature.operator import Symmetric


class Draws:
    """Columns for a matrix, in its dtype and on its device, the same for the same seed."""

    def __init__(self, A: Symmetric, seed: int) -> None:
        refuse_below("seed", seed, 0)
        self._A = A
        self._random = np.random.default_rng(seed)

    def signs(self, count: int) -> Tensor:
        """Columns (n, count) of ±1, each as likely."""
        return self._given(2.0 * self._random.integers(0, 2, (self._A.shape[0], count)) - 1)

    def normal(self, count: int) -> Tensor:
        """Columns (n, count) from N(0, I)."""
        return self._given(self._random.standard_normal((self._A.shape[0], count)))

    def _given(self, drawn: object) -> Tensor:
        return torch.as_tensor(drawn).to(self._A.device, self._A.dtype)


def refuse_below(name: str, value: object, least: int) -> None:
    """Raise `HyperparameterError` for what is no whole number from `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise HyperparameterError(f"`{name}` is {value!r}; it must be a whole number from {least}")
