"""Any descent as a trainer: one step of it on each minibatch, or on a few of them together."""

# A trainer's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

import dataclasses
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import torch

from thalweg.descent.methods import composed
from thalweg.descent.part import number, whole
from thalweg.descent.trainers.trainer import Made, Trainer, made
from thalweg.errors import DescentError
from thalweg.formula import Range

if TYPE_CHECKING:
    from torch import nn

    from thalweg.descent.descent import Descent
    from thalweg.descent.modules import DescentOptimizer
    from thalweg.descent.trainers.trainer import Batch, Evaluate
    from thalweg.optimizer.layout import Backend


@dataclass(frozen=True, repr=False)
class by_minibatch(Trainer):
    """A descent that makes one step on each minibatch, and goes on with what it has learned on the next.

    `method` is a descent or its name. A search compares losses of the same examples, and pairs of L-BFGS are gradients
    of the same examples; what conjugate gradients remember of the last step is of other ones. A step sees `batches`
    minibatches together; of their examples, a share `curvature`, drawn anew for each step, is what products are made
    over where the curvature is taken through the outputs, as with `hessian_free`.

    In a race, a descent by itself is this where a problem draws minibatches.
    """

    optimizer_name: ClassVar[str] = "DescentOptimizer"
    when: ClassVar[str] = "Large minibatches; a step should be worth what its search and its products cost."
    spends: ClassVar[str] = "what the descent asks for, `batches` times over; products over the share `curvature`"
    method: Descent | str
    _: KW_ONLY
    batches: int = whole(1, default=1, source="ours")
    curvature: float = number(Range(0, 1, low_included=False, high_included=True), default=1.0, source="ours")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "method", composed(self.method, {}))
        if self.curvature < 1 and not self._descent.needs_outputs:
            raise DescentError(
                f"by_minibatch: {self._descent.direction!r} takes no curvature through outputs; leave out `curvature`"
            )

    @property
    def rate(self) -> float | None:
        """Its step size, where that is a number."""
        size = self._descent.step_size
        return size if isinstance(size, float) else None

    def with_rate(self, rate: float) -> Self:
        """The same with another step size."""
        return dataclasses.replace(self, method=dataclasses.replace(self._descent, step_size=rate))

    @property
    def minibatches(self) -> int:
        """How many minibatches a step sees."""
        return self.batches

    @property
    def products(self) -> float:
        """Over which share of a step's examples a curvature product is; 0 where there are none."""
        direction = self._descent.direction
        return self.curvature if direction.needs_curvature or direction.needs_outputs else 0.0

    @property
    def needs_outputs(self) -> bool:
        """Whether it asks for the outputs that the loss is computed from."""
        return self._descent.needs_outputs

    @property
    def has_matrix(self) -> bool:
        """Whether it makes a dense matrix of n × n, of n parameters."""
        return self._descent.direction.has_matrix

    def optimizer(self, model: nn.Module, *, backend: Backend = "auto") -> torch.optim.Optimizer:  # noqa: ARG002  # there are no kernels
        """`tw.DescentOptimizer` of the model."""
        from thalweg.descent.modules import DescentOptimizer  # noqa: PLC0415  # what only prints needs no optimizer

        return DescentOptimizer(model, self._descent, max_iter=1)

    def step(self, optimizer: torch.optim.Optimizer, evaluate: Evaluate, batch: Batch, *, most: int) -> Made:
        """One step of the descent on these examples."""
        cast("DescentOptimizer", optimizer).max_eval = most
        if self.curvature == 1:
            return made(optimizer, lambda: evaluate(batch))
        calls = 0

        def of_few() -> Any:  # noqa: ANN401  # a loss and its outputs
            nonlocal calls
            calls += 1
            examples = len(batch[0])
            some = torch.randperm(examples)[: max(1, round(self.curvature * examples))]
            return evaluate(tuple(array[some] for array in batch))

        step = made(optimizer, lambda: evaluate(batch), of_few)
        return step._replace(nfev=step.nfev - calls * (1 - self.curvature), nhvp=step.nhvp * self.curvature)

    @property
    def _descent(self) -> Descent:
        return cast("Descent", self.method)
