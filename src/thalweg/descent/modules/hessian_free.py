"""Martens' Hessian-free optimization as an optimizer of modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from thalweg.descent.descent import descent
from thalweg.descent.directions.hessian_free import Matrix, Preconditioner, hessian_free
from thalweg.descent.modules.optimizer import DescentOptimizer
from thalweg.descent.steps.levenberg_marquardt import levenberg_marquardt

if TYPE_CHECKING:
    from thalweg.descent.output_curvature import Reduction
    from thalweg.optimizer.given import Parameters


class HessianFree(DescentOptimizer):
    """Trains a module by Hessian-free optimization: conjugate gradients on the damped Gauss–Newton quadratic.

    `step(closure)` makes one step (or `max_iter`); the closure returns (loss, outputs) and does not go backward.
    `step(closure, curvature_closure)` takes the curvature from another, as on fewer examples, where it is cheaper. The
    loss is best that of all examples, or of some thousand. For what is not said here see `DescentOptimizer`, which it
    is with `hessian_free(…)` for a direction and `levenberg_marquardt(…)` for a step size; their settings are these.

    `damping` is the λ to begin with; a step multiplies or divides it by `factor`. A quarter of what `max_eval` and
    `max_eval_in_all` leave is kept from conjugate gradients, for evaluations.

    Martens, "Deep learning via Hessian-free optimization", 2010; Martens and Sutskever, "Training deep and recurrent
    networks with Hessian-free optimization", 2012.

    >>> import thalweg as tw, torch
    >>> model = torch.nn.Linear(2, 1, dtype=torch.float64)
    >>> x, y = torch.tensor([[1.0, 2.0], [2.0, -1.0]]).double(), torch.tensor([[3.0], [4.0]]).double()
    >>> optimizer = tw.HessianFree(model, damping=0.1)
    >>> def closure():
    ...     outputs = model(x)
    ...     return (outputs - y).square().mean(), outputs
    >>> losses = [float(optimizer.step(closure)) for _ in range(10)]
    >>> losses[-1] < 1e-6 * losses[0]
    True
    """

    def __init__(  # noqa: PLR0913  # the method's numbers, beside what every descent takes
        self,
        params: Parameters,
        damping: float = 1.0,
        *,
        warm_start: float = 0.95,
        tolerance: float = 5e-4,
        max_products: int = 250,
        preconditioner: Preconditioner = "none",
        exponent: float = 0.75,
        probes: int | None = None,
        reduction: Reduction = "mean",
        curvature: Matrix = "gauss_newton",
        factor: float = 1.5,
        scale: float = 1.0,
        weight_decay: float = 0.0,
        max_iter: int = 1,
        max_eval: int | None = None,
        max_eval_in_all: int | None = None,
        nonfinite: Literal["raise", "skip"] = "raise",
    ) -> None:
        direction = hessian_free(
            damping,
            warm_start=warm_start,
            tolerance=tolerance,
            max_products=max_products,
            preconditioner=preconditioner,
            exponent=exponent,
            probes=probes,
            reduction=reduction,
            curvature=curvature,
        )
        super().__init__(
            params,
            descent(direction=direction, step_size=levenberg_marquardt(factor=factor)),
            scale=scale,
            weight_decay=weight_decay,
            max_iter=max_iter,
            max_eval=max_eval,
            max_eval_in_all=max_eval_in_all,
            nonfinite=nonfinite,
        )
