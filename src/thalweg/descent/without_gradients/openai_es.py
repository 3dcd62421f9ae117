"""OpenAI's evolution strategy: a gradient estimated from values, handed to any chain of Thalweg's."""

# A method's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from scipy.stats import rankdata

from thalweg.chain import Chain, chain, step
from thalweg.descent.failures import NoStepError, Status
from thalweg.descent.part import number, whole
from thalweg.descent.stopping import StoppingRule, iterations
from thalweg.descent.without_gradients.routine import Routine
from thalweg.errors import DescentError, HyperparameterError
from thalweg.formula import Range
from thalweg.rules import adam

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.descent.without_gradients.task import Task

Shaping = Literal["ranks", "none"]


@dataclass(frozen=True, kw_only=True, repr=False)
class openai_es(Routine):
    """The gradient of the values' mean around a point, estimated from `pairs` of opposite draws; a chain steps by it.

    So OpenAI-ES with Adam is `openai_es(chain=chain(adam(), step(0.01)))`, and any rule or schedule goes as well. The
    draws are x ± spread·ε. With `shaping="ranks"` values count by their rank, from −½ to ½, and neither their scale nor
    one that is not finite matters; with `"none"` the estimate is unbiased for the smoothed function. The point itself
    is never evaluated: the result is the lowest of the draws.

    Salimans, Ho, Chen, Sidor and Sutskever 2017, arXiv:1703.03864, algorithm 1 and section 2.1.
    """

    chain: Chain = field(default_factory=lambda: chain(adam(), step(0.01)))
    pairs: int = whole(1, default=16, source="ours")
    spread: float = number(Range(0, low_included=False), default=0.1, source="ours")
    shaping: Shaping = "ranks"
    seed: int = whole(0, default=0, source="ours")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.chain, Chain):  # pyright: ignore[reportUnnecessaryIsInstance]  # user code may pass anything
            raise DescentError(f"openai_es: {self.chain!r} is no chain; write for example `chain(adam(), step(0.01))`")
        if self.shaping not in ("ranks", "none"):
            raise HyperparameterError(f'openai_es: `shaping` is {self.shaping!r}; choose "ranks" or "none"')

    def usual_budget(self, size: int) -> StoppingRule:
        """200 steps for each variable, and 1000 at least."""
        return iterations(max(1000, 200 * size))

    def run(self, task: Task) -> tuple[Status, str]:
        """Step until the task ends it."""
        from thalweg import Optimizer  # noqa: PLC0415  # what lists methods, as a report, runs none

        rng = np.random.default_rng(self.seed)
        theta = task.start.clone().view(task.objective.shape)  # a chain may see rows and columns
        optimizer = Optimizer([theta], self.chain)
        while True:
            at = task.within.free_of(theta.reshape(-1))
            epsilon = rng.standard_normal((self.pairs, task.size))
            plus = [task.value(at + self.spread * one) for one in epsilon]
            minus = [task.value(at - self.spread * one) for one in epsilon]
            g = gradient_estimate(np.array(plus), np.array(minus), epsilon, self.spread, self.shaping)
            if not np.isfinite(g).all():
                reason = 'the function is not finite close by; `shaping="ranks"` does not mind'
                raise NoStepError(Status.NOT_FINITE, reason)
            task.iterated()
            theta.grad = torch.as_tensor(g).to(theta).view(theta.shape)
            optimizer.step()


def gradient_estimate(
    plus: NDArray[np.float64],
    minus: NDArray[np.float64],
    epsilon: NDArray[np.float64],
    spread: float,
    shaping: Shaping,
) -> NDArray[np.float64]:
    """1/(2m·spread) Σ (F(x + spread·ε) − F(x − spread·ε)) ε over m pairs, of the values F or of their ranks."""
    values, m = np.concatenate([plus, minus]), len(epsilon)
    F = (rankdata(values) - 1) / (2 * m - 1) - 0.5 if shaping == "ranks" else values
    return (F[:m] - F[m:]) @ epsilon / (2 * m * spread)
