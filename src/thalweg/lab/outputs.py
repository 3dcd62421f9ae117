"""A problem's loss together with the outputs of the model that it is computed from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from thalweg.lab.problem import describe

if TYPE_CHECKING:
    from torch import nn

    from thalweg.lab.problem import Batch, Problem


def loss_with_outputs(problem: Problem, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """The loss of a batch, and what the model gave when it was last called for it.

    Raises `ProblemError` where the loss does not call the model, or the model gives something else than a tensor.
    """
    outputs: list[object] = []
    hook = model.register_forward_hook(lambda _model, _inputs, output: outputs.append(output))
    try:
        loss = problem.loss(model, batch)
    finally:
        hook.remove()
    if not outputs:
        raise problem.error("its loss does not call the model itself, so that the outputs are not known; call it whole")
    if not isinstance(outputs[-1], Tensor):
        raise problem.error(f"its model gives {describe(outputs[-1])}, and outputs are to be one tensor")
    return loss, outputs[-1]
