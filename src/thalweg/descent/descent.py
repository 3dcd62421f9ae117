"""What a descent is: a direction, a step size and a stopping rule, each replaceable, as one inert value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from thalweg.descent.directions.direction import Direction
from thalweg.descent.steps.fixed import Fixed
from thalweg.descent.steps.step_size import Search, StepSize
from thalweg.descent.steps.strong_wolfe import strong_wolfe
from thalweg.descent.steps.trust_region import trust_region
from thalweg.descent.stopping import StoppingRule, gradient_norm, iterations
from thalweg.errors import DescentError
from thalweg.formula import Hyperparameter, Range

if TYPE_CHECKING:
    from collections.abc import Callable

_ITERATIONS = 200
_POSITIVE = Hyperparameter("step_size", None, Range(0, low_included=False))


@dataclass(frozen=True)
class Descent:
    """A direction × a step size × a stopping rule. Make one with `descent`."""

    direction: Direction
    step_size: StepSize | float | Callable[[int], float]
    stop: StoppingRule

    @property
    def derivatives(self) -> Literal[1, 2]:
        """How often the function must be differentiable."""
        return 2 if self.direction.needs_curvature else 1

    def usual_budget(self, size: int) -> StoppingRule:
        """How many steps are made at most on so many variables where no budget is given; as SciPy's."""
        return iterations(_ITERATIONS * size)

    def search(self) -> Search:
        """What takes the steps of one descent."""
        if isinstance(self.step_size, StepSize):
            return self.step_size.start()
        alpha = self.step_size
        return Fixed(alpha if callable(alpha) else lambda _: alpha)

    def __repr__(self) -> str:
        return f"descent(direction={self.direction!r}, step_size={self.step_size!r}, stop={self.stop!r})"


def descent(
    *,
    direction: Direction,
    step_size: StepSize | float | Callable[[int], float] | None = None,
    stop: StoppingRule | None = None,
) -> Descent:
    """Compose a descent: where to go, how far, and when to stop.

    The step size may be a number or a schedule. If it is left out, it is `strong_wolfe()`, or `trust_region()` for a
    direction that needs one; the stopping rule is `gradient_norm(1e-5)`.

    Raises `DescentError` for parts that do not fit together, `HyperparameterError` for a step size not above 0.

    >>> from thalweg.descent import descent, gradient_norm, iterations, polak_ribiere, strong_wolfe
    >>> descent(direction=polak_ribiere(), step_size=strong_wolfe(c2=0.1), stop=gradient_norm(1e-8) | iterations(100))
    descent(direction=polak_ribiere(), step_size=strong_wolfe(c2=0.1), stop=gradient_norm(1e-08) | iterations(100))
    """
    if not isinstance(direction, Direction):  # pyright: ignore[reportUnnecessaryIsInstance]  # user code may pass anything
        raise DescentError(f"descent: {direction!r} is no direction; write for example `direction=bfgs()`")
    if step_size is None:
        step_size = trust_region() if direction.is_region else strong_wolfe()
    if isinstance(step_size, type):
        raise DescentError(f"descent: the step size is {step_size.__name__} itself; write `{step_size.__name__}()`")
    if not isinstance(step_size, StepSize):
        step_size = cast("float | Callable[[int], float]", _POSITIVE.check(step_size, "descent"))
    is_for_region = isinstance(step_size, StepSize) and step_size.for_region
    if direction.is_region and not is_for_region:
        raise DescentError(
            f"descent: {direction!r} must be told how far it may go, which {step_size!r} does not say; write "
            "`step_size=trust_region()`"
        )
    if is_for_region and not direction.is_region:
        raise DescentError(
            f"descent: {direction!r} cannot keep to a trust region; take `dogleg()` or `steihaug()`, or another step "
            "size"
        )
    if stop is None:
        stop = gradient_norm(1e-5)
    if not isinstance(stop, StoppingRule):  # pyright: ignore[reportUnnecessaryIsInstance]  # as above
        raise DescentError(f"descent: {stop!r} is no stopping rule; write for example `stop=gradient_norm(1e-5)`")
    return Descent(direction, step_size, stop)
