"""Descents: a direction × a step size × a stopping rule, for functions that can be evaluated again and again.

`minimize` is the front; `descent` composes what it runs, `methods` lists what has a name.

- Directions: `steepest`, `normalised_steepest`, `preconditioned`; conjugate gradients by `fletcher_reeves`,
  `polak_ribiere`, `hestenes_stiefel`, `dai_yuan`, `hager_zhang`, and Møller's `moller`; `bfgs`, `lbfgs`; `newton`,
  `damped_newton`, `saddle_free_newton`, `newton_cg`; within a trust region, `dogleg` and `steihaug`; where the function
  returns its outputs, too, `gauss_newton`, `natural_gradient`, `hessian_free`.
- Step sizes: a number, a schedule, `brent`, `armijo`, `strong_wolfe`, `approximate_wolfe`; `scaled`; `trust_region`;
  `levenberg_marquardt`.
- Stopping rules, joined by `|`: `gradient_norm`, `step_length`, `value_change`, `value_below`; `iterations`,
  `evaluations`, `seconds`.
- Methods that are run whole, without gradients: `coordinate_search`, `powell`, `nelder_mead`; `cma_es`, `xnes`, `snes`,
  `openai_es`; `differential_evolution`, `genetic_algorithm`, `dual_annealing`; `metropolis`, `random_search`; around
  any method `multi_start`; and with gradients, within bounds, `lbfgsb`.
- Trainers, which step a model minibatch by minibatch: `kfac`, `prong`, and any descent as `by_minibatch`.
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
from thalweg.descent.stopping import (
    evaluations,
    gradient_norm,
    iterations,
    seconds,
    step_length,
    value_below,
    value_change,
)
from thalweg.descent.trainers import Trainer, by_minibatch, kfac, prong, trainers
from thalweg.descent.without_gradients import (
    Routine,
    cma_es,
    coordinate_search,
    differential_evolution,
    dual_annealing,
    genetic_algorithm,
    lbfgsb,
    metropolis,
    multi_start,
    nelder_mead,
    openai_es,
    powell,
    random_search,
    snes,
    xnes,
)

__all__ = [
    "Descent",
    "Intermediate",
    "Result",
    "Routine",
    "Status",
    "Trainer",
    "approximate_wolfe",
    "armijo",
    "bfgs",
    "brent",
    "by_minibatch",
    "cma_es",
    "coordinate_search",
    "dai_yuan",
    "damped_newton",
    "descent",
    "differential_evolution",
    "dogleg",
    "dual_annealing",
    "evaluations",
    "fletcher_reeves",
    "gauss_newton",
    "genetic_algorithm",
    "gradient_norm",
    "hager_zhang",
    "hessian_free",
    "hestenes_stiefel",
    "iterations",
    "kfac",
    "lbfgs",
    "lbfgsb",
    "levenberg_marquardt",
    "methods",
    "metropolis",
    "minimize",
    "moller",
    "multi_start",
    "natural_gradient",
    "nelder_mead",
    "newton",
    "newton_cg",
    "normalised_steepest",
    "openai_es",
    "polak_ribiere",
    "powell",
    "preconditioned",
    "prong",
    "random_search",
    "saddle_free_newton",
    "scaled",
    "seconds",
    "snes",
    "steepest",
    "steihaug",
    "step_length",
    "strong_wolfe",
    "trainers",
    "trust_region",
    "value_below",
    "value_change",
    "xnes",
]
