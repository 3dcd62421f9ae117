"""What an oracle is: a rule by hand, in float64 NumPy, that takes gradients and gives back the parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

Array = NDArray[np.float64]


class Oracle(Protocol):
    """One rule in one dialect. `lr` is a number, or a function of the steps already done (0 at the first)."""

    def __init__(self, p0: ArrayLike, lr: float | Callable[[int], float]) -> None: ...

    def step(self, g: ArrayLike) -> Array:
        """Take one step along the gradient at the current parameter; give back the new parameter."""
        ...


def float64(x: ArrayLike) -> Array:
    """An own float64 copy, so that no oracle can write into its caller's array."""
    return np.array(x, dtype=np.float64)


def at(setting: float | Callable[[int], float], k: int) -> float:
    """A setting's value at the step before which `k` steps were done."""
    return float(setting(k)) if callable(setting) else float(setting)
