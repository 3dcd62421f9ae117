"""What a direction is: an inert value that makes a guide, which says at each point where to go."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from thalweg.descent.part import Part
from thalweg.descent.remembering import Remembering

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.descent.trial import Trial


class Guide(Remembering):
    """Says at each point of one descent where to go, and may learn from the steps that it is shown."""

    advice: ClassVar[str] = ""
    """What to try where its direction does not descend."""
    is_scaled: ClassVar[bool] = False
    """Whether its own length is the step that it stands for, so that a search tries 1 first."""

    @abstractmethod
    def toward(self, here: Trial) -> Tensor:
        """The direction from here, flat. Raises `NoStepError` where there is none.

        The guide is asked wherever the descent comes to, in order, and once more if it has forgotten something.
        """

    def learn(self, here: Trial, there: Trial) -> None:
        """Take up what a step has shown; of the same function at both ends."""

    def could_go_on(self, here: Trial, there: Trial) -> bool:  # noqa: ARG002
        """Whether its direction from there would descend, after a step from here; a search goes on if it would not."""
        return True

    def forget(self) -> bool:
        """Start anew, as from steepest descent; `False` if there is nothing to forget."""
        return False


class Region(Remembering):
    """Says at each point the step that a quadratic model calls best within a radius."""

    @abstractmethod
    def within(self, here: Trial, radius: float) -> tuple[Tensor, Tensor]:
        """The step, no longer than the radius, and the Hessian times the step."""

    def learn(self, here: Trial, there: Trial) -> None:
        """Take up what a step has shown; of the same function at both ends."""


@dataclass(frozen=True, repr=False)
class Direction(Part):
    """Where to go from a point, as an inert value."""

    needs_curvature: ClassVar[bool] = False
    """Whether it asks for second derivatives."""
    needs_outputs: ClassVar[bool] = False
    """Whether it asks for the outputs that the function's value is computed from, so that it returns both."""
    has_damping: ClassVar[bool] = False
    """Whether its guide is a `DampedGuide`, whose damping a step size may set."""
    is_region: ClassVar[bool] = False
    """Whether it needs to be told how far it may go, so that its step size is a trust region."""
    when: ClassVar[str] = ""
    """When to use it, in a sentence."""
    spends: ClassVar[str] = "the gradient"
    """What it asks of the function at each point, as the rest of a sentence."""
    keeps: ClassVar[str] = "nothing"
    """What it keeps from step to step, of n variables."""
    is_dense: ClassVar[bool] = False
    """Whether it makes a dense matrix of n × n, however it is set."""

    @property
    def has_matrix(self) -> bool:
        """Whether it makes a dense matrix of n × n."""
        return self.is_dense

    @abstractmethod
    def start(self) -> Guide | Region:
        """A guide for one descent."""
