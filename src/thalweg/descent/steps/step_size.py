"""What a step size is: an inert value that makes a search, which takes one step after the other."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from thalweg.descent.part import Part
from thalweg.descent.remembering import Remembering

if TYPE_CHECKING:
    from thalweg.descent.directions.direction import Guide, Region
    from thalweg.descent.objective import Objective
    from thalweg.descent.trial import Trial


class Search(Remembering):
    """Takes the steps of one descent, and may learn from each how long the next should be."""

    @abstractmethod
    def step(self, here: Trial, guide: Guide | Region, objective: Objective) -> Trial:
        """The next point. Raises `NoStepError` where there is none."""


@dataclass(frozen=True, repr=False)
class StepSize(Part):
    """How far to go, as an inert value."""

    for_region: ClassVar[bool] = False
    """Whether it is for directions that must be told how far they may go."""
    spends: ClassVar[str] = ""
    """What it asks of the function for one step, as the rest of a sentence."""
    for_damping: ClassVar[bool] = False
    """Whether it is for directions whose damping it sets."""

    @abstractmethod
    def start(self) -> Search:
        """A search for one descent."""
