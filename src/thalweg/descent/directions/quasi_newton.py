"""Quasi-Newton: the inverse Hessian is learned from how the gradient changes, dense or from the last few steps."""

# A direction's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import dot

from thalweg.descent.directions.direction import Direction, Guide
from thalweg.descent.directions.pairs import Pairs
from thalweg.descent.part import number, whole
from thalweg.formula import Range

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.descent.trial import Trial

_SHARE = Range(0, 1)


@dataclass(frozen=True, repr=False)
class bfgs(Direction):
    """Broyden, Fletcher, Goldfarb and Shanno 1970: d = −Hg, with H an estimate of the inverse Hessian, n × n.

    It begins as the identity. A step along which the gradient did not grow leaves it as it is, unless there is a
    `damping`: see `lbfgs`. Nocedal and Wright, Numerical Optimization, 2nd edition, equation (6.17).
    """

    when: ClassVar[str] = "The first choice for smooth functions of up to some thousand variables."
    keeps: ClassVar[str] = "n² numbers: the estimate of the inverse Hessian"
    is_dense: ClassVar[bool] = True
    damping: float = number(_SHARE, default=0.0, source="none; Powell's is 0.2", kw_only=True)

    def start(self) -> Guide:
        """A guide for one descent."""
        return _BFGS(self.damping)


@dataclass(frozen=True, repr=False)
class lbfgs(Direction):
    """BFGS from the last `memory` steps alone, for many variables: nothing of n × n is kept.

    Nocedal 1980; Nocedal and Wright, Algorithm 7.4, with H₀ = (sᵀy/yᵀy) I, equation (7.20).

    With a `damping` of 0.2, it can do without a line search, and go by minibatches: where sᵀy is less than
    0.2·sᵀBs, B the inverse of H, y is moved towards Bs until it is not, so that H stays positive definite and no
    step is for nothing. Powell 1978; Nocedal and Wright, Procedure 18.2.
    """

    when: ClassVar[str] = "The first choice for smooth functions of more variables, and for full-batch training."
    keeps: ClassVar[str] = "2 · memory · n numbers: the last steps, and how the gradient changed along them"
    memory: int = whole(1, default=10, source="as SciPy's L-BFGS-B; Nocedal and Wright: 3 to 20", kw_only=True)
    damping: float = number(_SHARE, default=0.0, source="none; Powell's is 0.2", kw_only=True)

    def start(self) -> Guide:
        """A guide for one descent."""
        return _LBFGS(self.memory, self.damping)


class _QuasiNewton(Guide):
    _learned = False
    _toward: Tensor | None = None

    def __init__(self, damping: float) -> None:
        self._damping = damping

    def toward(self, here: Trial) -> Tensor:
        self._toward = d = -self._times(here.g)
        return d

    def learn(self, here: Trial, there: Trial) -> None:
        s, y = there.x - here.x, there.g - here.g
        if self._damping and self._toward is not None:
            d = self._toward
            y = self._damped(s, y, here.g * (dot(s, d) / -dot(d, d)))  # as s = αd and d = −Hg, Bs = −αg
        curvature = dot(s, y)
        rounding = torch.finfo(s.dtype).eps * torch.linalg.vector_norm(s) * torch.linalg.vector_norm(y)
        if curvature > rounding:
            self._learn(s, y, curvature)
            self._learned = True

    def forget(self) -> bool:
        had, self._learned = self._learned, False
        self._clear()
        return had

    def _damped(self, s: Tensor, y: Tensor, Bs: Tensor) -> Tensor:
        curvature, expected = dot(s, y), dot(s, Bs)
        if curvature >= self._damping * expected:
            return y
        theta = (1 - self._damping) * expected / (expected - curvature)
        return theta * y + (1 - theta) * Bs

    @abstractmethod
    def _learn(self, s: Tensor, y: Tensor, curvature: Tensor) -> None:
        """Take up a step and the change of the gradient along it."""

    @abstractmethod
    def _times(self, g: Tensor) -> Tensor:
        """The inverse Hessian's estimate times the gradient."""

    @abstractmethod
    def _clear(self) -> None:
        """Begin with the identity again."""


class _BFGS(_QuasiNewton):
    remembers = ("_learned", "_inverse")
    _inverse: Tensor | None = None

    def _learn(self, s: Tensor, y: Tensor, curvature: Tensor) -> None:
        H = torch.eye(s.numel(), dtype=s.dtype, device=s.device) if self._inverse is None else self._inverse
        # (I − ρsyᵀ)H(I − ρysᵀ) + ρssᵀ, multiplied out, so that no product of two matrices is taken
        Hy = H @ y
        outer = torch.outer(s, Hy)
        self._inverse = (
            H - (outer + outer.T) / curvature + torch.outer(s, s) * ((1 + dot(y, Hy) / curvature) / curvature)
        )

    def _times(self, g: Tensor) -> Tensor:
        return g if self._inverse is None else self._inverse @ g

    def _clear(self) -> None:
        self._inverse = None


class _LBFGS(_QuasiNewton):
    remembers = ("_learned", "_pairs")

    def __init__(self, memory: int, damping: float) -> None:
        super().__init__(damping)
        self._pairs = Pairs(memory)

    def _learn(self, s: Tensor, y: Tensor, curvature: Tensor) -> None:
        self._pairs.add(s, y, curvature)

    def _times(self, g: Tensor) -> Tensor:
        return self._pairs.times(g)

    def _clear(self) -> None:
        self._pairs.clear()
