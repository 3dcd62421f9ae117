"""The natural gradient as an optimizer of modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from thalweg.descent.descent import descent
from thalweg.descent.directions.natural_gradient import Fisher, Solver, natural_gradient
from thalweg.descent.modules.optimizer import DescentOptimizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from torch.distributions import Distribution

    from thalweg.descent.output_curvature import Reduction
    from thalweg.optimizer.given import Parameters


class NaturalGradient(DescentOptimizer):
    """Trains a module along (F + λI)⁻¹g, with the Fisher matrix F of what the model predicts.

    `step(closure)` makes one step (or `max_iter`); the closure returns (loss, outputs) and does not go backward, the
    loss being the mean negative log-likelihood of the examples, which the outputs' first dimension counts (or the sum:
    `reduction="sum"`). `step(closure, curvature_closure)` takes F from another, as on other examples.

    With `lr` a step has that length, times the direction, and λ is `damping`; torch's schedulers may drive it. Without,
    it is found by `levenberg_marquardt()`, which sets λ, too. For which F, and how it is solved with, see
    `thalweg.descent.natural_gradient`, whose settings are these; for the rest `DescentOptimizer`.

    >>> import thalweg as tw, torch
    >>> model = torch.nn.Linear(3, 2, dtype=torch.float64)
    >>> x, y = torch.eye(3, dtype=torch.float64), torch.tensor([0, 1, 1])
    >>> optimizer = tw.NaturalGradient(model, lr=0.5, damping=1e-2, solver="dense")
    >>> def closure():
    ...     outputs = model(x)
    ...     return torch.nn.functional.cross_entropy(outputs, y), outputs
    >>> losses = [float(optimizer.step(closure)) for _ in range(20)]
    >>> losses[-1] < 0.01
    True
    """

    def __init__(  # noqa: PLR0913  # the method's numbers, beside what every descent takes
        self,
        params: Parameters,
        lr: float | None = None,
        *,
        damping: float = 1e-3,
        fisher: Fisher = "exact",
        distribution: Callable[[Tensor], Distribution] | None = None,
        reduction: Reduction = "mean",
        solver: Solver = "cg",
        tolerance: float = 1e-4,
        max_products: int = 250,
        scale: float = 1.0,
        weight_decay: float = 0.0,
        max_iter: int = 1,
        max_eval: int | None = None,
        max_eval_in_all: int | None = None,
        nonfinite: Literal["raise", "skip"] = "raise",
    ) -> None:
        direction = natural_gradient(
            damping,
            fisher=fisher,
            distribution=distribution,
            reduction=reduction,
            solver=solver,
            tolerance=tolerance,
            max_products=max_products,
        )
        super().__init__(
            params,
            descent(direction=direction, step_size=lr),
            scale=scale,
            weight_decay=weight_decay,
            max_iter=max_iter,
            max_eval=max_eval,
            max_eval_in_all=max_eval_in_all,
            nonfinite=nonfinite,
        )
