"""What an oracle is: a rule by hand, in float64 NumPy, that takes gradients and gives back the parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

Array = NDArray[np.float64]


class Oracle(Protocol):
    """One rule in one dialect. `lr` is a number, or a function of the steps already done (0 at the first)."""

    def __init__(self, p0: ArrayLike, lr: float | Callable[[int], float]) -> None: ...

    def step(self, g: ArrayLike) -> Array:
        """Take one step along the gradient at the current parameter; give back the new parameter."""
        ...


class ModelOracle(Protocol):
    """One rule in one dialect over all tensors of a model, because an element's step needs more than itself.

    What it needs is a row, a tensor or the whole model, or it looks at another point than the parameter. `lr`
    is as for an `Oracle`.
    """

    def __init__(self, p0: Sequence[ArrayLike], lr: float | Callable[[int], float]) -> None: ...

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        """Take one step along the gradients at the current parameters; give back the new parameters."""
        ...


def float64(x: ArrayLike) -> Array:
    """An own float64 copy, so that no oracle can write into its caller's array."""
    return np.array(x, dtype=np.float64)


def float64s(tensors: Sequence[ArrayLike]) -> list[Array]:
    """Own float64 copies of a model's tensors."""
    return [float64(x) for x in tensors]


def zeros_for(tensors: Sequence[Array]) -> list[Array]:
    """A state that starts at zero, for each tensor."""
    return [np.zeros_like(x) for x in tensors]


def norm(tensors: Sequence[Array], order: float = 2.0) -> float:
    """The norm of all the tensors' elements as one vector; `order` may be `inf`."""
    return float(np.linalg.norm(np.concatenate([x.ravel() for x in tensors]), order))


def at(setting: float | Callable[[int], float], k: int) -> float:
    """A setting's value at the step before which `k` steps were done."""
    return float(setting(k)) if callable(setting) else float(setting)
