"""Why a descent can end before its stopping rule is met; the engine catches these, and the result names them."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """How a descent ended; 0 to 3 are those of SciPy's `minimize(method="BFGS")`."""

    CONVERGED = 0
    BUDGET_SPENT = 1
    NO_LOWER_POINT = 2
    NOT_FINITE = 3
    UNBOUNDED = 4
    NO_DIRECTION = 5
    """No descent direction: from an indefinite Hessian or preconditioner, or a singular Hessian."""
    UNFIT_FUNCTION = 6
    """The function is not smooth, is not deterministic, or is not the one that the gradient is of."""
    STOPPED = 99
    """The callback raised `StopIteration`."""


class NoStepError(Exception):
    """There is no step from here: why, in a clause, and as a status."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class BudgetSpentError(Exception):
    """Another evaluation would exceed the budget."""
