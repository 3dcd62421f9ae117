"""What a formula's arguments stand for, said by their annotation.

Positional arguments are slots: the incoming direction, the parameter, state, the step count, the learning rate.
Keyword-only arguments are hyper-parameters; theirs is the range of values they may have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from thalweg.formula.scalar import Level, Scalar


@dataclass(frozen=True)
class DirectionSlot:
    """The gradient, or what the stages before have made of it."""


@dataclass(frozen=True)
class GradientSlot:
    """The gradient as it came into the chain, whatever the stages before have made of it."""


@dataclass(frozen=True)
class ParameterSlot:
    """The parameter's value before the step."""


@dataclass(frozen=True)
class MovedSlot:
    """The parameter's value after the step: the stage stands behind it."""


@dataclass(frozen=True)
class StepSlot:
    """How often this tensor has been stepped, this step included: 1, 2, 3, …."""


@dataclass(frozen=True)
class LearningRateSlot:
    """The learning rate of the chain's `step`, where a rule has it inside its state."""


@dataclass(frozen=True)
class LossSlot:
    """The loss that the gradient is of: one number a step, which `step` is given."""


@dataclass(frozen=True)
class CurvatureSlot:
    """What has been found out of the loss's Hessian H since the step before, an element for each of the parameter's.

    None at a step without a new estimate: each of the two has a formula of its own.
    """

    kind: Literal["diagonal", "product"] = "diagonal"
    """An estimate of H's diagonal; or the product Hv with a v that is drawn from N(0, I)."""
    every: int = 10
    """After how many steps the rule's source takes a new one."""

    @property
    def name(self) -> str:
        """What the array is called."""
        return "curvature" if self.kind == "diagonal" else "hessian_product"


@dataclass(frozen=True)
class IsMatrixSlot:
    """Whether the parameter has two dimensions or more: a plain boolean, so that each kind has its own formula."""


Start: TypeAlias = float | str | ParameterSlot
"""Where a state begins: at a number, at that of the hyper-parameter of this name, or at the parameter."""


@dataclass(frozen=True)
class State:
    """What the rule keeps from one step to the next: a number per element, or for each of something coarser."""

    start: Start = 0.0
    """The value before the first step."""
    level: Level = Level.ELEMENT
    """What has one value of its own."""


Slot: TypeAlias = (
    DirectionSlot
    | GradientSlot
    | ParameterSlot
    | MovedSlot
    | StepSlot
    | LearningRateSlot
    | LossSlot
    | CurvatureSlot
    | IsMatrixSlot
    | State
)

Direction: TypeAlias = Annotated[Scalar, DirectionSlot()]
Gradient: TypeAlias = Annotated[Scalar, GradientSlot()]
Parameter: TypeAlias = Annotated[Scalar, ParameterSlot()]
Moved: TypeAlias = Annotated[Scalar, MovedSlot()]
IsMatrix: TypeAlias = Annotated[bool, IsMatrixSlot()]
Step: TypeAlias = Annotated[Scalar, StepSlot()]
LearningRate: TypeAlias = Annotated[Scalar, LearningRateSlot()]
Loss: TypeAlias = Annotated[Scalar, LossSlot()]
Curvature: TypeAlias = Annotated[Scalar | None, CurvatureSlot("diagonal")]
HessianProduct: TypeAlias = Annotated[Scalar | None, CurvatureSlot("product", every=20)]
Zeros: TypeAlias = Annotated[Scalar, State()]
AtParameter: TypeAlias = Annotated[Scalar, State(start=ParameterSlot())]
"""State that starts at the parameter, as it is when it is first stepped."""
TensorZeros: TypeAlias = Annotated[Scalar, State(level=Level.TENSOR)]
ModelZeros: TypeAlias = Annotated[Scalar, State(level=Level.MODEL)]
RowZeros: TypeAlias = Annotated[Scalar, State(level=Level.ROW)]
ColumnZeros: TypeAlias = Annotated[Scalar, State(level=Level.COLUMN)]


@dataclass(frozen=True)
class Range:
    """The values that a hyper-parameter may have."""

    low: float
    high: float = math.inf
    low_included: bool = True
    high_included: bool = False
    whole: bool = False
    """Whether only whole numbers are among them."""

    def __contains__(self, value: float) -> bool:
        above = value >= self.low if self.low_included else value > self.low
        below = value <= self.high if self.high_included else value < self.high
        return above and below and (not self.whole or value % 1 == 0)

    def __str__(self) -> str:
        left = "[" if self.low_included else "("
        right = "]" if self.high_included else ")"
        low, high = (f"{end:g}".replace("inf", "∞") for end in (self.low, self.high))
        return f"{left}{low}, {high}{right}{', and whole' if self.whole else ''}"


Fraction: TypeAlias = Annotated[float, Range(0, 1)]
"""The weight of an old average: 0 forgets it at once, 1 would never learn."""
NonNegative: TypeAlias = Annotated[float, Range(0)]
Positive: TypeAlias = Annotated[float, Range(0, low_included=False)]
Count: TypeAlias = Annotated[float, Range(1, whole=True)]
"""How often something is to come: 1, 2, 3, …."""

Whole: TypeAlias = Annotated[float, Range(0, 2**48, whole=True)]
"""A number to count or to draw by, such as a seed."""


@dataclass(frozen=True)
class Displacement:
    """A result that is added to the parameter as it is: p ← p + v."""

    value: Scalar


@dataclass(frozen=True)
class Position:
    """A result that is the new parameter: p ← x."""

    value: Scalar


Result: TypeAlias = Scalar | Displacement | Position
Update: TypeAlias = Result | tuple[Result | Scalar, ...]
"""What a formula returns: its result (a bare scalar is a direction, p ← p − αd), then its new states in order."""
