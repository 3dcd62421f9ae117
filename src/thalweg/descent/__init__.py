"""Descents: a direction × a step size × a stopping rule, for functions that can be evaluated again and again.

`minimize` is the front; `descent` composes what it runs, `methods` lists what has a name.

- Directions: `steepest`, `normalised_steepest`, `preconditioned`; conjugate gradients by `fletcher_reeves`,
  `polak_ribiere`, `hestenes_stiefel`, `dai_yuan`, `hager_zhang`, and Møller's `moller`; `bfgs`, `lbfgs`; `newton`,
  `damped_newton`, `saddle_free_newton`, `newton_cg`; within a trust region, `dogleg` and `steihaug`; where the function
  returns its outputs, too, `gauss_newton`, `natural_gradient`, `hessian_free`.
- Step sizes: a number, a schedule, `brent`, `armijo`, `strong_wolfe`, `approximate_wolfe`; `scaled`; `trust_region`;
  `levenberg_marquardt`.
- Stopping rules, joined by `|`: `gradient_norm`, `step_length`, `value_change`; `iterations`, `evaluations`, `seconds`.
"""

from __future__ import annotations

from thalweg.descent.descent import Descent, descent
from thalweg.descent.directions import (
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
    normalised_steepest,
    polak_ribiere,
    preconditioned,
    saddle_free_newton,
    steepest,
    steihaug,
)
from thalweg.descent.failures import Status
from thalweg.descent.methods import methods
from thalweg.descent.minimize import minimize
from thalweg.descent.result import Intermediate, Result
from thalweg.descent.steps import (
    approximate_wolfe,
    armijo,
    brent,
    levenberg_marquardt,
    scaled,
    strong_wolfe,
    trust_region,
)
from thalweg.descent.stopping import evaluations, gradient_norm, iterations, seconds, step_length, value_change

__all__ = [
    "Descent",
    "Intermediate",
    "Result",
    "Status",
    "approximate_wolfe",
    "armijo",
    "bfgs",
    "brent",
    "dai_yuan",
    "damped_newton",
    "descent",
    "dogleg",
    "evaluations",
    "fletcher_reeves",
    "gauss_newton",
    "gradient_norm",
    "hager_zhang",
    "hessian_free",
    "hestenes_stiefel",
    "iterations",
    "lbfgs",
    "levenberg_marquardt",
    "methods",
    "minimize",
    "moller",
    "natural_gradient",
    "newton",
    "newton_cg",
    "normalised_steepest",
    "polak_ribiere",
    "preconditioned",
    "saddle_free_newton",
    "scaled",
    "seconds",
    "steepest",
    "steihaug",
    "step_length",
    "strong_wolfe",
    "trust_region",
    "value_change",
]
