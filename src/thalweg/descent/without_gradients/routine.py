"""What a routine is: a method that is run whole, as an inert value, where a `Descent` is composed of parts."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from thalweg.descent.failures import NoStepError, Status
from thalweg.descent.part import Part
from thalweg.descent.stopping import StoppingRule, gradient_norm, iterations
from thalweg.errors import DescentError

if TYPE_CHECKING:
    from thalweg.descent.without_gradients.task import Task

_ITERATIONS = 200


@dataclass(frozen=True, kw_only=True, repr=False)
class Routine(Part):
    """A method that is run whole: its settings, and when to stop beside what it knows itself.

    A stopping rule looks at the lowest point so far, after each iteration that has found a lower one.
    """

    bounds: ClassVar[Literal["refused", "taken", "needed"]] = "refused"
    """Whether each variable may be bounded, or must be, on both sides."""
    starts_finite: ClassVar[bool] = False
    """Whether it can do nothing from a start where the function is not finite."""
    tolerances: ClassVar[tuple[str, ...]] = ()
    """The settings that `tol` is short for."""

    stop: StoppingRule | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stop is None:
            return
        if not isinstance(self.stop, StoppingRule):  # pyright: ignore[reportUnnecessaryIsInstance]  # user code may pass anything
            raise DescentError(
                f"{type(self).__name__}: {self.stop!r} is no stopping rule; write `stop=iterations(100)`"
            )
        if not self.derivatives and any(isinstance(rule, gradient_norm) for rule in self.stop.parts):
            raise DescentError(
                f"{type(self).__name__}: it goes without gradients, so that {self.stop!r} cannot be looked at; write "
                f"for example `stop=value_below(1e-8)`"
            )

    @property
    def derivatives(self) -> Literal[0, 1, 2]:
        """How often the function must be differentiable."""
        return 0

    def usual_budget(self, size: int) -> StoppingRule:
        """What is spent at most on so many variables where no budget is given."""
        return iterations(_ITERATIONS * size)

    def begin(self, task: Task) -> None:
        """Look at the start; it is not evaluated again if the method asks for it, too."""
        task.begin()
        if self.starts_finite and task.objective.best is None:
            raise NoStepError(Status.NOT_FINITE, "the function is not finite at x0")

    @abstractmethod
    def run(self, task: Task) -> tuple[Status, str]:
        """Minimise, and say how it has ended, the reason in a clause.

        What the task raises ends it as well, with what the task knows.
        """
