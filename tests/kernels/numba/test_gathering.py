"""What a pass gathers is its own, whatever passes before it have gathered."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import thalweg as tw
from descents import descend, give_gradients, parameters
from thalweg.formula import Direction, Update, largest, mean, rms, rule
from tolerances import BACKENDS, ORACLE, deviation

SHAPES = ((3, 4), (5,), (2, 3), (70_000,))


def test_a_pass_that_gathers_less_than_the_one_before() -> None:
    @rule(title="Two, then one", source="a test")
    def two_then_one(g: Direction) -> Update:
        shifted = g - mean(g, per="model")
        return shifted / rms(shifted, per="model") + largest(g, per="model")

    tensors = parameters(SHAPES)
    give_gradients(tensors, 0)
    gradients = [p.grad.numpy() for p in tensors if p.grad is not None]
    every = np.concatenate([g.ravel() for g in gradients])
    moves = [(g - every.mean()) / every.std() + every.max() for g in gradients]
    expected = [p.detach() - torch.from_numpy(move) for p, move in zip(tensors, moves, strict=True)]
    tw.Optimizer(tensors, tw.chain(two_then_one(), tw.step(1.0)), backend="numba").step()
    assert deviation(tensors, expected) <= ORACLE[torch.float64]


@pytest.mark.parametrize("rule_name", ["lars", "lamb", "adafactor", "dog", "ldog", "d_adapt_sgd", "prodigy"])
def test_rules_behind_a_clip_gather_as_the_reference_does(rule_name: str) -> None:
    chain = tw.chain(tw.clip(0.5), tw.rules.get(rule_name)(), tw.step(0.1))
    reached = [
        descend(tw.Optimizer(parameters(SHAPES), chain, backend=backend), 4) for backend in ("numba", "reference")
    ]
    assert deviation(*reached) <= BACKENDS[torch.float64]
