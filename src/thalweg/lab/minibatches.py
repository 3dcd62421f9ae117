"""Which training examples each step sees: a seed's own order, the same for every optimizer."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from thalweg.lab.problem import Batch, Problem


def batches(problem: Problem, seed: int, *, start: int = 0) -> Iterator[Tensor]:
    """The indices of each step's examples, without end, from step `start` on.

    An epoch is cut into as many whole batches as it has; what remains is dropped. An epoch's order depends on
    the seed and its number alone, so that a run can go on from any step, and a longer run begins as a shorter
    one does.

    >>> from thalweg.lab import problems
    >>> next(batches(problems.get("quadratic_deep"), seed=42)).shape
    torch.Size([128])
    """
    examples = len(problem.training_set[0])
    size = problem.batch_size or examples
    in_epoch = examples // size
    for epoch in itertools.count(start // in_epoch):
        drawn = 0 if problem.data_order == "fixed" else epoch
        order = np.random.default_rng((seed, drawn)).permutation(examples)
        first = start % in_epoch if epoch == start // in_epoch else 0
        for batch in range(first, in_epoch):
            yield torch.from_numpy(order[batch * size : (batch + 1) * size])


def drawn(problem: Problem, seed: int) -> Iterator[Batch]:
    """Each step's examples, without end: those of `batches`, or in full batch all of them, as they lie."""
    if problem.is_full_batch:
        return itertools.repeat(problem.training_set)
    return (take(problem.training_set, indices) for indices in batches(problem, seed))


def take(arrays: Batch, indices: Tensor) -> Batch:
    """The examples with these indices, as a batch."""
    return tuple(array[indices] for array in arrays)
