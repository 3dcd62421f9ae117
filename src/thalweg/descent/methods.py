"""The methods that have a name, and how their settings are changed by keyword."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, cast

from thalweg.descent.descent import Descent, descent
from thalweg.descent.directions import (
    Direction,
    bfgs,
    dai_yuan,
    damped_newton,
    dogleg,
    fletcher_reeves,
    gauss_newton,
    hager_zhang,
    hessian_free,
    hestenes_stiefel,
    lbfgs,
    moller,
    natural_gradient,
    newton,
    newton_cg,
    polak_ribiere,
    saddle_free_newton,
    steepest,
    steihaug,
)
from thalweg.descent.steps import (
    StepSize,
    approximate_wolfe,
    armijo,
    levenberg_marquardt,
    scaled,
    strong_wolfe,
    trust_region,
)
from thalweg.descent.stopping import gradient_norm
from thalweg.descent.without_gradients.catalogue import ROUTINES
from thalweg.descent.without_gradients.routine import Routine
from thalweg.errors import DescentError, UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.descent.bounds import Bounds

_CONJUGATE = strong_wolfe(c2=0.1)
_PARTS: dict[str, tuple[Direction, StepSize]] = {
    "steepest": (steepest(), strong_wolfe()),
    "cg": (polak_ribiere(), strong_wolfe(c2=0.4)),  # c2 as SciPy's CG
    "fletcher_reeves": (fletcher_reeves(), _CONJUGATE),
    "hestenes_stiefel": (hestenes_stiefel(), _CONJUGATE),
    "dai_yuan": (dai_yuan(), _CONJUGATE),
    "hager_zhang": (hager_zhang(), approximate_wolfe()),
    "scaled_cg": (moller(), scaled()),
    "bfgs": (bfgs(), strong_wolfe()),
    "lbfgs": (lbfgs(), strong_wolfe()),
    "newton": (newton(), armijo()),
    "damped_newton": (damped_newton(), armijo()),
    "saddle_free_newton": (saddle_free_newton(), armijo()),
    "newton_cg": (newton_cg(), strong_wolfe()),
    "gauss_newton": (gauss_newton(), levenberg_marquardt()),
    "natural_gradient": (natural_gradient(), levenberg_marquardt()),
    "hessian_free": (hessian_free(), levenberg_marquardt()),
    "dogleg": (dogleg(), trust_region()),
    "steihaug": (steihaug(), trust_region()),
}


_SCIPYS = {
    "jac": "it is `gradient`, and autograd's where it is not given",
    "hess": "it is `hessian`, and autograd's where it is not given",
    "hessp": "it is `hessian_product`, and autograd's where it is not given",
    "options": "the options are given by keyword, as in `max_iter=100`",
    "args": "the function has one argument; write `lambda x: f(x, …)`",
    "maxiter": "it is `max_iter`",
    "maxfun": "it is `max_eval`",
    "maxfev": "it is `max_eval`",
    "gtol": "it is `tol`, or `stop=gradient_norm(…)`",
    "xtol": "it is `stop=step_length(…)`",
    "ftol": "it is `stop=value_change(…)`",
}


def methods() -> dict[str, Descent | Routine]:
    """Every method that has a name, by its name, with its default settings."""
    return {**{name: named(name) for name in _PARTS}, **ROUTINES}


def chosen_by(method: object, options: Mapping[str, Any], tol: float | None = None) -> Descent | Routine:
    """A method given by its name or as a value, with these settings and this tolerance.

    Raises as `composed` and `named`, and `DescentError` for a tolerance that the method cannot have.
    """
    is_routine = isinstance(method, Routine) or (isinstance(method, str) and method in ROUTINES)
    if tol is not None and not is_routine and "stop" in options:
        raise DescentError("`tol` and `stop` both say when to stop; give one of them")
    if not is_routine:
        return composed(method, options if tol is None else {**options, "stop": gradient_norm(tol)})
    settled = _routine(method, options)
    if tol is not None and not settled.tolerances:
        raise DescentError(f"{settled!r} has no tolerance, so that `tol` says nothing to it; give `stop=…` or a budget")
    return settled if tol is None else dataclasses.replace(settled, **dict.fromkeys(settled.tolerances, tol))


def fit_bounds(method: Descent | Routine, bounds: Bounds) -> None:
    """See that the method knows bounds if there are any, and has those that it needs. Raises `DescentError`."""
    kind = method.bounds if isinstance(method, Routine) else "refused"
    if bounds.any and kind == "refused":
        known = ", ".join(f"`{name}`" for name, one in ROUTINES.items() if one.bounds != "refused")
        raise DescentError(f"{method!r} knows no bounds; of the methods, these do: {known}")
    if kind == "needed" and (open_one := bounds.first_open()) is not None:
        raise DescentError(
            f"{method!r} searches between bounds, and variable {open_one} has not two of them; write for example "
            "bounds=[(-5, 5), (-5, 5)]"
        )


def named(name: str, options: Mapping[str, Any] | None = None) -> Descent:
    """The descent of this name: `direction`, `step_size`, `stop` replaced, or settings of the first two changed.

    Raises:
        UnknownNameError: there is no such method, or it has no such option; the message names the nearest ones.
        HyperparameterError: an option is out of its range.

    >>> named("lbfgs", {"memory": 5, "c2": 0.5})
    descent(direction=lbfgs(memory=5), step_size=strong_wolfe(c2=0.5), stop=gradient_norm(1e-05))
    """
    if name in ROUTINES:
        raise DescentError(f"method `{name}` is no descent, of a direction and a step size; `tw.minimize` runs it")
    if name not in _PARTS:
        raise UnknownNameError(f"there is no method `{name}`; {did_you_mean(name, [*_PARTS, *ROUTINES])}")
    left = dict(options or {})
    direction, usual = _PARTS[name]
    direction = left.pop("direction", direction)
    step_size = left.pop("step_size", usual)
    stop = left.pop("stop", None)
    direction, step_size = _changed(direction, left), _changed(step_size, left)
    if left:
        known = [*_settings(direction), *_settings(step_size), "direction", "step_size", "stop"]
        wrong = next(iter(left))
        if wrong in _SCIPYS:
            raise UnknownNameError(f"`{wrong}` is SciPy's; here, {_SCIPYS[wrong]}")
        raise UnknownNameError(f"method `{name}` has no option `{wrong}`; {did_you_mean(wrong, known)}")
    return descent(direction=direction, step_size=step_size, stop=stop)


def composed(method: object, options: Mapping[str, Any]) -> Descent:
    """A method given by its name or as a value. Raises `DescentError` if it is neither, or if a value has options."""
    if isinstance(method, str):
        return named(method, options)
    if not isinstance(method, Descent):
        raise DescentError(f"the method is {method!r}; give the name of one, or `descent(direction=…, step_size=…)`")
    if options:
        name = next(iter(options))
        named_so = "`tol` or `stop`" if name == "stop" else f"`{name}`"
        raise DescentError(f"{named_so} cannot change {method!r}; write it where the method is composed")
    return method


def _routine(method: object, options: Mapping[str, Any]) -> Routine:
    if isinstance(method, Routine):
        if options:
            raise DescentError(f"`{next(iter(options))}` cannot change {method!r}; write it where the method is made")
        return method
    usual = ROUTINES[cast("str", method)]
    known = [field.name for field in dataclasses.fields(usual)]
    for wrong in options.keys() - set(known):
        raise UnknownNameError(f"method `{method}` has no option `{wrong}`; {did_you_mean(wrong, known)}")
    return dataclasses.replace(usual, **options)


def _settings(part: object) -> list[str]:
    return [known.name for known in dataclasses.fields(part)] if isinstance(part, Direction | StepSize) else []


def _changed(part: Any, options: dict[str, Any]) -> Any:  # noqa: ANN401  # a step size may be a number or a function
    """The part with those of the options that are its own, which are taken from them."""
    own = {name: options.pop(name) for name in _settings(part) if name in options}
    return dataclasses.replace(part, **own) if own else part
