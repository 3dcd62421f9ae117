"""A step of descent as a minimum: argmin ⟨θ, g⟩ + D(θ, θ_t)/α, with whatever distance D one measures.

The step goes where the linear model of the loss is low, and stays near. Which method that is depends on what is called
near: this is the proximal, or mirror, view. Nemirovski and Yudin 1983; Beck and Teboulle 2003,
doi:10.1016/S0167-6377(02)00231-6.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from thalweg.errors import HyperparameterError
from thalweg.theory.inputs import POSITIVE, number, positive_definite, vector

if TYPE_CHECKING:
    from torch import Tensor


class Geometry(ABC):
    """A distance, and the step that it leads to."""

    @abstractmethod
    def distance(self, theta: Any, at: Any) -> float:  # noqa: ANN401  # tensors, arrays, lists
        """D(θ, θ_t)."""

    @abstractmethod
    def step(self, at: Any, g: Any, alpha: float) -> Tensor:  # noqa: ANN401  # as above
        """The θ that makes ⟨θ, g⟩ + D(θ, θ_t)/α least."""

    def objective(self, theta: Any, at: Any, g: Any, alpha: float) -> float:  # noqa: ANN401  # as above
        """⟨θ, g⟩ + D(θ, θ_t)/α: what the step makes least."""
        return float(vector(theta) @ vector(g)) + self.distance(theta, at) / number("alpha", alpha, POSITIVE)


@dataclass(frozen=True)
class Euclidean(Geometry):
    """D = ½‖θ − θ_t‖²: the step is gradient descent's, θ_t − αg.

    >>> Euclidean().step([1.0, 2.0], [1.0, -1.0], alpha=0.5)
    tensor([0.5000, 2.5000], dtype=torch.float64)
    """

    def distance(self, theta: Any, at: Any) -> float:  # noqa: ANN401  # as above
        """½‖θ − θ_t‖²."""
        return 0.5 * float((vector(theta) - vector(at)).square().sum())

    def step(self, at: Any, g: Any, alpha: float) -> Tensor:  # noqa: ANN401  # as above
        """θ_t − αg."""
        return vector(at) - number("alpha", alpha, POSITIVE) * vector(g)


@dataclass(frozen=True, eq=False)
class Metric(Geometry):
    """D = ½(θ − θ_t)ᵀM(θ − θ_t), M positive definite: the step is preconditioned, θ_t − αM⁻¹g.

    With the Fisher matrix it is the natural gradient's step, with the Hessian Newton's, with the root of AdaGrad's sums
    on the diagonal AdaGrad's.

    >>> Metric([[2.0, 0.0], [0.0, 4.0]]).step([1.0, 2.0], [1.0, -1.0], alpha=0.5)
    tensor([0.7500, 2.1250], dtype=torch.float64)
    """

    M: Any
    _matrix: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        given = torch.as_tensor(self.M, dtype=torch.float64)
        matrix = torch.diag(given) if given.ndim == 1 else given
        positive_definite(matrix, "M")
        object.__setattr__(self, "_matrix", matrix)

    def distance(self, theta: Any, at: Any) -> float:  # noqa: ANN401  # as above
        """½(θ − θ_t)ᵀM(θ − θ_t)."""
        way = vector(theta) - vector(at)
        return 0.5 * float(way @ self._matrix @ way)

    def step(self, at: Any, g: Any, alpha: float) -> Tensor:  # noqa: ANN401  # as above
        """θ_t − αM⁻¹g."""
        return vector(at) - number("alpha", alpha, POSITIVE) * torch.linalg.solve(self._matrix, vector(g))


@dataclass(frozen=True)
class Entropy(Geometry):
    """D = Σ θ log(θ/θ_t) between weights that are above 0 and sum to 1: the step is exponentiated gradient's.

    Kivinen and Warmuth 1997, doi:10.1006/inco.1996.2612.

    >>> Entropy().step([0.5, 0.5], [0.0, 1.0], alpha=1.0)
    tensor([0.7311, 0.2689], dtype=torch.float64)
    """

    def distance(self, theta: Any, at: Any) -> float:  # noqa: ANN401  # as above
        """Σ θ log(θ/θ_t), the relative entropy."""
        theta, at = _weights(theta), _weights(at)
        return float((torch.special.xlogy(theta, theta) - torch.special.xlogy(theta, at)).sum())

    def step(self, at: Any, g: Any, alpha: float) -> Tensor:  # noqa: ANN401  # as above
        """θ_t e^(−αg), divided by its sum."""
        return torch.softmax(_weights(at).log() - number("alpha", alpha, POSITIVE) * vector(g), dim=0)


def _weights(values: Any) -> Tensor:  # noqa: ANN401  # as above
    weights = vector(values)
    if not bool((weights >= 0).all()) or abs(float(weights.sum()) - 1) > 1e-6:
        raise HyperparameterError(f"the weights are {values!r}; they must be at least 0 and sum to 1")
    return weights
