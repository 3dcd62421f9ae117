"""What theory says of methods on functions simple enough: rates, best settings, limits and bounds, as functions.

- On a quadratic, how fast: `gradient_descent_rate`, `heavy_ball_rate`, `nesterov_rate`; with which settings they are
  fastest: `best_gradient_descent`, `best_heavy_ball`, `best_nesterov`, `standard_nesterov`; up to which learning rate
  they converge: `largest_learning_rate`.
- What small steps tend to: `gradient_flow`, `nesterov_flow`, `heavy_ball_flow` on a quadratic, `flow` on any function.
- What a step is the minimum of: `Euclidean`, `Metric`, `Entropy`; `damped_newton_step`, and what damping makes of it.
- Bounds: `strongly_convex_bound`, `convex_bound`, `accelerated_bound`, `adagrad_regret_bound`.
- `loss_change` of one step, and `momentum_gain`.

Condition numbers, also behind a preconditioner, are `thalweg.curvature`'s. The page on identities in the documentation
has the formulas together, with their sources.
"""

from __future__ import annotations

from thalweg.theory.bounds import accelerated_bound, adagrad_regret_bound, convex_bound, strongly_convex_bound
from thalweg.theory.flows import flow, gradient_flow, heavy_ball_flow, nesterov_flow
from thalweg.theory.proximal import Entropy, Euclidean, Metric
from thalweg.theory.rates import (
    Tuning,
    best_gradient_descent,
    best_heavy_ball,
    best_nesterov,
    gradient_descent_rate,
    heavy_ball_rate,
    largest_learning_rate,
    nesterov_rate,
    standard_nesterov,
)
from thalweg.theory.steps import damped_newton_step, distance_from_gradient_descent, loss_change, momentum_gain

__all__ = [
    "Entropy",
    "Euclidean",
    "Metric",
    "Tuning",
    "accelerated_bound",
    "adagrad_regret_bound",
    "best_gradient_descent",
    "best_heavy_ball",
    "best_nesterov",
    "convex_bound",
    "damped_newton_step",
    "distance_from_gradient_descent",
    "flow",
    "gradient_descent_rate",
    "gradient_flow",
    "heavy_ball_flow",
    "heavy_ball_rate",
    "largest_learning_rate",
    "loss_change",
    "momentum_gain",
    "nesterov_flow",
    "nesterov_rate",
    "standard_nesterov",
    "strongly_convex_bound",
]
