"""How good a model is: its loss and its metrics, averaged over a whole set; and when that is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import nn

    from thalweg.lab.problem import Batch, Problem
    from thalweg.lab.records import Role

# Examples at a time: the memory stays small, and the cores stay busy.
CHUNK = 1000
EVALUATIONS = 20
# What a run's points are told by; the rest is what was measured there.
AXES = frozenset({"step", "spent", "seconds"})


def evaluation_steps(steps: int, role: Role = "final") -> list[int]:
    """After how many steps a run is evaluated, besides at its start: one for tuning only towards its end.

    Its last stretch is that of the others, so that their losses are means of the same steps.
    """
    points = np.rint(np.linspace(0, steps, EVALUATIONS + 1)).astype(int)
    all_points: list[int] = np.unique(points)[1:].tolist()
    return all_points[-2:] if role == "tuning" else all_points


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
