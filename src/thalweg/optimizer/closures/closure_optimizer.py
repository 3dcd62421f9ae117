"""What optimizers have in common that evaluate loss and gradient more than once in a step, or at another point."""

from __future__ import annotations

import abc
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, cast

from thalweg.errors import GradientError, NonFiniteGradientError
from thalweg.optimizer.closures.evaluations import Evaluations, NotFinite
from thalweg.optimizer.closures.settings import MethodDialect
from thalweg.optimizer.optimizer import Optimizer
from thalweg.optimizer.uncompiled import uncompiled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor
    from torch.amp import GradScaler

    from thalweg.formula import Hyperparameter, Schedule
    from thalweg.optimizer.closures.evaluations import Handle
    from thalweg.optimizer.dialect import Dialect
    from thalweg.optimizer.optimizer import Parameters


class ClosureOptimizer(Optimizer, abc.ABC):
    """An optimizer whose `step` takes a closure, and evaluates it at points of its own before the chain steps."""

    method: ClassVar[str]
    """What messages and prefixes in the groups call it."""
    evaluation: int
    """Which evaluation of the step the closure is in, from 0."""
    _numbers: Mapping[Hyperparameter, float | Schedule] = MappingProxyType({})
    """What groups hold beside the numbers of their chains."""
    _fields: ClassVar[tuple[str, ...]] = ()
    """What a copy takes with it."""

    def _begin(self, params: Parameters, dialect: Dialect, defaults: dict[str, Any], **others: Any) -> None:
        self.evaluation = 0
        self._handles: list[Handle] = []
        super()._begin(params, MethodDialect(self.method, dialect, self._numbers), defaults, **others)

    @uncompiled
    def step(  # pyright: ignore[reportIncompatibleMethodOverride]  # torch's has two overloads for this one
        self, closure: Callable[[], Any] | None = None, *, scaler: GradScaler | None = None
    ) -> Any:  # noqa: ANN401  # what the closure returns
        """Evaluate the closure where the method says, and step by what it finds; gives what it returned first.

        The closure clears the gradients, computes the loss, goes backward and returns the loss. Where it scales the
        loss by a gradient scaler, give that, too: the gradients are unscaled after each evaluation, and a step with one
        that is not finite is left out and counted in `skipped`. Call `scaler.update()` afterwards as usual, and neither
        `scaler.step` nor `scaler.unscale_`.

        Raises `NonFiniteGradientError` (see `nonfinite`) where a gradient is not finite at any of the evaluations, with
        all parameters as they were to the bit, and `GradientError` without a closure or for a sparse gradient.
        """
        if closure is None:
            message = (
                f"{type(self).__name__} evaluates the loss itself, and not only at the parameters; give `step` a "
                "closure that clears the gradients, computes the loss, goes backward and returns the loss"
            )
            raise GradientError(message)
        evaluations = Evaluations(self, closure, scaler, self._handles, looks=self._nonfinite != "propagate")
        try:
            self._explore(evaluations)
        except NotFinite as found:
            if self._nonfinite == "raise" and not evaluations.unscales:
                message = (
                    f"the gradient of {found} has a NaN or an infinity, at evaluation {self.evaluation} of this step; "
                    "nothing has moved (pass nonfinite='skip' to leave out such steps, 'propagate' to do as torch does)"
                )
                raise NonFiniteGradientError(message) from None
            self.skipped += 1
            return evaluations.loss
        finally:
            evaluations.restore()
            self.evaluation = 0
        self._step(loss=evaluations.loss)
        return evaluations.loss

    def estimate_curvature(self, of: Tensor | Callable[[], Tensor], *, now: bool = False) -> bool:
        """As `Optimizer.estimate_curvature`, for a closure to call: at the step's first evaluation."""
        return self.evaluation == 0 and super().estimate_curvature(of, now=now)

    @abc.abstractmethod
    def _explore(self, evaluate: Evaluations) -> None:
        """Evaluate where the method says, and leave in `grad` what the chain is to take."""

    def _number(self, group: dict[str, Any], name: str) -> float:
        """A number of the method's at this step."""
        return cast("MethodDialect", self._dialect).number(group, name)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {name: getattr(self, name) for name in ("evaluation", *self._fields)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._handles = []
