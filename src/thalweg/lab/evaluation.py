"""How good a model is: its loss and its metrics, averaged over a whole set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import nn

    from thalweg.lab.problem import Batch, Problem

# Examples at a time: the memory stays small, and the cores stay busy.
CHUNK = 1000


def evaluate(problem: Problem, model: nn.Module) -> dict[str, float]:
    """The loss on the test set, as `test_loss`, and each of the problem's metrics there.

    The model is in evaluation mode meanwhile, and left as it was.
    """
    scores = measure(problem, model, problem.test_set)
    return {"test_loss": scores.pop("loss"), **scores}


def measure(problem: Problem, model: nn.Module, arrays: Batch) -> dict[str, float]:
    """The `loss` and each of the problem's metrics, averaged over all examples of `arrays`."""
    functions = {"loss": problem.loss, **problem.metrics}
    sums = dict.fromkeys(functions, 0.0)
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            for chunk in zip(*(array.split(CHUNK) for array in arrays), strict=True):
                for name, function in functions.items():
                    sums[name] += float(function(model, chunk)) * len(chunk[0])
    finally:
        for module, training in modes.items():
            module.training = training
    return {name: total / len(arrays[0]) for name, total in sums.items()}
