"""The front: minimise a function of a tensor, in SciPy's manners."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg.descent import stopping
from thalweg.descent.bounds import Bounds
from thalweg.descent.callback import Callback
from thalweg.descent.descent import Descent
from thalweg.descent.engine import explained, run
from thalweg.descent.failures import Status
from thalweg.descent.methods import chosen_by, fit_bounds
from thalweg.descent.objective import Objective
from thalweg.descent.result import Result
from thalweg.descent.without_gradients.explore import explore
from thalweg.errors import DescentError
from thalweg.surfaces import Surface

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from thalweg.descent.differences import Points
    from thalweg.descent.engine import Ending
    from thalweg.descent.stopping import StoppingRule
    from thalweg.descent.without_gradients.routine import Routine


@torch.inference_mode(mode=False)
def minimize(  # noqa: PLR0913  # SciPy's, by keyword
    f: Callable[[Tensor], Any] | Surface,
    x0: Tensor | NDArray[Any] | Sequence[Any] | float,
    method: str | Descent | Routine = "bfgs",
    *,
    gradient: Callable[[Tensor], Any] | None = None,
    hessian: Callable[[Tensor], Any] | None = None,
    hessian_product: Callable[[Tensor, Tensor], Any] | Points | None = None,
    bounds: object = None,
    callback: Callable[..., object] | None = None,
    tol: float | None = None,
    max_iter: int | None = None,
    max_eval: int | None = None,
    **options: Any,
) -> Result:
    """Find a local minimum of a function that can be evaluated as often as need be.

    `f` takes a tensor of x0's shape, dtype and device and gives one number; it may be a surface. For methods that
    take the curvature through outputs it gives (value, outputs), as ½‖r‖² and the residuals r. Derivatives are
    autograd's, unless you give them: `gradient(x)` in x's shape, `hessian(x)` of shape (n, n), `hessian_product(x, v)`
    in x's shape. With `hessian_product="2-point"` or `"3-point"`, products are differences of gradients, forward or
    central; the forward ones are also taken where the function cannot be differentiated twice, and `message` says so.
    An `x0` that is no floating tensor becomes one in float64, an array of float32 in float32.

    `method` is a name (`"bfgs"`, `"lbfgs"`, `"newton_cg"`, `"nelder_mead"`, `"cma_es"`, …: `thalweg.descent.methods()`
    has them all) or a value, as `descent(direction=…, step_size=…, stop=…)` or `cma_es(spread=0.3)`. A name's settings
    are given by keyword: `memory=20`, `step_size=armijo()`, `stop=value_change(1e-9)`. `tol` is short for
    `stop=gradient_norm(tol)`, or for the tolerances of a method that goes without gradients.

    For such a method `f` may return a number of Python's own, `result.jac` is `None`, and a step is an iteration of its
    own, after which the lowest point so far is looked at. `bounds` are a pair (low, high) for each element of x0, flat,
    `None` where there is no bound, or `scipy.optimize.Bounds`, for the methods that know them.

    The evaluations of the function and the Hessian products together are never more than `max_eval`; a gradient that a
    difference needs where the function was not evaluated counts as one. Without a budget, 200n steps are the most.
    Where a stopping rule is met, that point is returned, unless the descent has left a lower one, which is no success;
    else the lowest point that was seen. What ends a descent too early (a function that is not smooth, not bounded, not
    finite, not deterministic; a direction that does not descend) is named in `message`.

    After each step, `callback(x)` is called, or `callback(intermediate_result=…)` if that is its parameter's name; it
    may raise `StopIteration`.

    Raises:
        UnknownNameError: there is no such method, or it has no such option.
        DescentError: parts or bounds that do not fit, or an x0 that is empty, not finite or out of bounds.
        HyperparameterError: a setting out of its range.
        GradientError: a function whose value is no number or cannot be differentiated, derivatives of a wrong shape.

    >>> import thalweg as tw
    >>> result = tw.minimize(lambda x: ((x - 3) ** 2).sum(), [0.0, 1.0])
    >>> result.x, result.success
    (tensor([3., 3.], dtype=torch.float64), True)
    """
    began = time.monotonic()
    start = _starting_point(x0)
    chosen = chosen_by(method, options, tol)
    within = Bounds.read(bounds, start)
    fit_bounds(chosen, within)
    chosen = _with_budgets(chosen, max_iter, max_eval)
    has_budget = any(rule.is_budget for rule in _rules(chosen))
    if not has_budget:
        chosen = _stopped(chosen, chosen.usual_budget(start.numel()))
    objective = Objective(
        f.function if isinstance(f, Surface) else f,
        start.shape,
        gradient=gradient,
        hessian=hessian,
        product=_product(hessian_product),
        differentiable_twice=chosen.derivatives == 2 and hessian is None and hessian_product is None,
        values_only=not chosen.derivatives,
        keeps_graph=chosen.needs_outputs,
        budget=_least(rule.count for rule in _rules(chosen) if isinstance(rule, stopping.evaluations)),
        deadline=began + _least(rule.limit for rule in _rules(chosen) if isinstance(rule, stopping.seconds)),
    )
    if isinstance(f, Surface):
        f(start)  # checks the shape
    seen = Callback(callback, objective)
    if not isinstance(chosen, Descent):
        return _result(objective, explore(chosen, objective, start.reshape(-1), within, seen=seen, began=began))
    ending = run(chosen, objective, start.reshape(-1), seen=seen, began=began)
    if ending.status is Status.BUDGET_SPENT and not has_budget:  # something may be wrong with the function
        ending = explained(ending, objective)
    return _result(objective, ending)


def _starting_point(x0: object) -> Tensor:
    """A floating tensor that nobody else holds."""
    try:
        found = x0.detach() if isinstance(x0, torch.Tensor) else torch.as_tensor(_own_copy(x0))
    except (TypeError, ValueError, RuntimeError) as failure:
        raise DescentError(f"x0 is {x0!r}, which makes no tensor: {failure}") from None
    if found.is_complex():
        raise DescentError("x0 is complex; minimise over its real and imaginary parts, as with torch.view_as_real")
    if not found.is_floating_point() or not hasattr(x0, "dtype"):
        found = found.to(torch.float64) if hasattr(x0, "dtype") else torch.as_tensor(x0, dtype=torch.float64)
    if found.dtype not in (torch.float32, torch.float64):
        raise DescentError(f"x0 has the dtype {found.dtype}; descents are made in float32 and float64: convert it")
    if not found.numel():
        raise DescentError(f"x0 has the shape {tuple(found.shape)}, and no element; there is nothing to minimise over")
    if not bool(found.isfinite().all()):
        raise DescentError("x0 has a NaN or an infinity in it; start where the function is defined")
    return found.clone().contiguous()


def _product(given: Callable[[Tensor, Tensor], Any] | Points | None) -> Callable[[Tensor, Tensor], Any] | Points | None:
    if given is None or callable(given) or given in {"2-point", "3-point"}:
        return given
    raise DescentError(f"`hessian_product` is {given!r}; give a function of x and v, '2-point' or '3-point'")


def _own_copy(x0: object) -> object:
    return np.array(x0, order="C") if isinstance(x0, np.ndarray) else x0  # also one read backwards, or read-only


def _with_budgets(method: Descent | Routine, max_iter: int | None, max_eval: int | None) -> Descent | Routine:
    """The method with the budgets that were given."""
    if max_eval is not None:
        method = _stopped(method, stopping.evaluations(max_eval))
    if max_iter is not None:
        method = _stopped(method, stopping.iterations(max_iter))
    return method


def _stopped(method: Descent | Routine, rule: StoppingRule) -> Descent | Routine:
    """The method that this rule stops, too."""
    return dataclasses.replace(method, stop=rule if method.stop is None else method.stop | rule)


def _rules(method: Descent | Routine) -> tuple[StoppingRule, ...]:
    return method.stop.parts if method.stop else ()


def _least(numbers: Any) -> float:  # noqa: ANN401  # an iterator of numbers
    return min(numbers, default=math.inf)


def _result(objective: Objective, ending: Ending) -> Result:
    status, message = ending.status, ending.message
    if status is Status.CONVERGED:
        best = ending.lowest
        if best is not ending.here:
            status = Status.NO_LOWER_POINT
            message += ", but at a point higher than an earlier one, which is returned"
    else:
        best = objective.best
    if best is None:
        raise DescentError(f"there is no descent from x0: {message}")
    if objective.remark:
        message += f"; {objective.remark}"
    return Result(
        x=best.x.clone().view(objective.shape),
        fun=best.f,
        jac=None if objective.values_only else best.g.clone().view(objective.shape),
        nit=ending.nit,
        nfev=objective.nfev,
        njev=objective.njev,
        nhvp=objective.nhvp,
        success=status is Status.CONVERGED,
        status=status,
        message=message,
    )
