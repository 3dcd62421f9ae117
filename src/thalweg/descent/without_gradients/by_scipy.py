"""SciPy's local searches: Nelder and Mead's simplex, Powell's directions, L-BFGS-B within bounds."""

# A method's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import scipy.optimize

from thalweg.descent.failures import Status
from thalweg.descent.part import number, whole
from thalweg.descent.stopping import StoppingRule, evaluations, iterations
from thalweg.descent.without_gradients.routine import Routine
from thalweg.formula import Range

if TYPE_CHECKING:
    from thalweg.descent.without_gradients.task import Task

_TOLERANCE = Range(0)
_NO_LIMIT = sys.maxsize


@dataclass(frozen=True, kw_only=True, repr=False)
class nelder_mead(Routine):
    """Nelder and Mead's simplex: n + 1 points, the worst of which is reflected, drawn in or out; for few variables.

    It ends when all points lie within `xatol` of the best and all values within `fatol`. `adaptive=True` suits its
    coefficients to the number of variables. SciPy's, with its counts.

    Nelder and Mead 1965, doi:10.1093/comjnl/7.4.308; Gao and Han 2012, doi:10.1007/s10589-010-9329-3.
    """

    bounds: ClassVar[Literal["refused", "taken", "needed"]] = "taken"
    starts_finite: ClassVar[bool] = True
    tolerances: ClassVar[tuple[str, ...]] = ("xatol", "fatol")

    xatol: float = number(_TOLERANCE, default=1e-4, source="SciPy's")
    fatol: float = number(_TOLERANCE, default=1e-4, source="SciPy's")
    adaptive: bool = False

    def usual_budget(self, size: int) -> StoppingRule:
        """As SciPy's."""
        return iterations(200 * size) | evaluations(200 * size)

    def run(self, task: Task) -> tuple[Status, str]:
        """Minimise, and say how it has ended."""
        options = {"xatol": self.xatol, "fatol": self.fatol, "adaptive": bool(self.adaptive)}
        _minimize(task, "Nelder-Mead", {**options, "maxiter": _NO_LIMIT, "maxfev": _NO_LIMIT})
        reason = f"the simplex has shrunk to {self.xatol:g}, and its values differ by at most {self.fatol:g}"
        return Status.CONVERGED, reason


@dataclass(frozen=True, kw_only=True, repr=False)
class powell(Routine):
    """Powell's method: line searches along n directions, which each round renews by the way it has come.

    It ends when a round lowers the value by at most the share `ftol`, its lines searched to within `xtol`. SciPy's,
    with its counts.

    Powell 1964, doi:10.1093/comjnl/7.2.155.
    """

    bounds: ClassVar[Literal["refused", "taken", "needed"]] = "taken"
    starts_finite: ClassVar[bool] = True
    tolerances: ClassVar[tuple[str, ...]] = ("xtol", "ftol")

    xtol: float = number(_TOLERANCE, default=1e-4, source="SciPy's")
    ftol: float = number(_TOLERANCE, default=1e-4, source="SciPy's")

    def usual_budget(self, size: int) -> StoppingRule:
        """As SciPy's."""
        return iterations(1000 * size) | evaluations(1000 * size)

    def run(self, task: Task) -> tuple[Status, str]:
        """Minimise, and say how it has ended."""
        options = {"xtol": self.xtol, "ftol": self.ftol, "maxiter": _NO_LIMIT, "maxfev": _NO_LIMIT}
        try:
            _minimize(task, "Powell", options)
        except RuntimeError as failure:  # of the bracketing of a line's minimum
            if failure is task.raised:
                raise
            return Status.NO_LOWER_POINT, "along a line there was no point between two higher ones"
        return Status.CONVERGED, f"the last round lowered the value by at most the share {self.ftol:g}"


@dataclass(frozen=True, kw_only=True, repr=False)
class lbfgsb(Routine):
    """L-BFGS within bounds: a quasi-Newton method for many variables, which asks for gradients.

    It ends when the largest element of the projected gradient is at most `gtol`, or a step has lowered the value by at
    most the share `ftol`. SciPy's, with its counts.

    Byrd, Lu, Nocedal and Zhu 1995, doi:10.1137/0916069; Morales and Nocedal 2011, doi:10.1145/2049662.2049669.
    """

    bounds: ClassVar[Literal["refused", "taken", "needed"]] = "taken"
    starts_finite: ClassVar[bool] = True
    tolerances: ClassVar[tuple[str, ...]] = ("ftol", "gtol")

    memory: int = whole(1, default=10, source="SciPy's maxcor")
    ftol: float = number(_TOLERANCE, default=2.220446049250313e-09, source="SciPy's")
    gtol: float = number(_TOLERANCE, default=1e-5, source="SciPy's")

    @property
    def derivatives(self) -> Literal[0, 1, 2]:
        """Gradients."""
        return 1

    def usual_budget(self, size: int) -> StoppingRule:  # noqa: ARG002
        """As SciPy's."""
        return iterations(15_000) | evaluations(15_000)

    def run(self, task: Task) -> tuple[Status, str]:
        """Minimise, and say how it has ended."""
        options = {"maxcor": self.memory, "ftol": self.ftol, "gtol": self.gtol}
        found = _minimize(task, "L-BFGS-B", {**options, "maxiter": _NO_LIMIT, "maxfun": _NO_LIMIT})
        if not np.isfinite(found.x).all():
            return Status.NOT_FINITE, "a step has overflowed; scale the function down"
        if not found.success:
            return Status.NO_LOWER_POINT, "the line search found no lower point"
        if "GRADIENT" in str(found.message):
            return Status.CONVERGED, f"the projected gradient's largest element is at most {self.gtol:g}"
        return Status.CONVERGED, f"the last step lowered the value by at most the share {self.ftol:g}"


def _minimize(task: Task, method: str, options: dict[str, Any]) -> Any:  # noqa: ANN401  # SciPy's result
    """SciPy's method; its stopping at a callback's word is the task's ending."""

    def told(_: object) -> None:
        if task.look():
            raise StopIteration

    function = task.value_and_gradient if method == "L-BFGS-B" else task.value
    return scipy.optimize.minimize(
        function,
        task.x0,
        method=method,
        jac=method == "L-BFGS-B" or None,
        bounds=task.pairs if task.within.any else None,
        callback=told,
        options=options,
    )
