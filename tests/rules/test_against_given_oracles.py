"""Every chain that is given a loss or the curvature takes the steps of its oracle, as those that are given none do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import thalweg as tw
from given_dialects import GIVEN_DIALECTS, Given, GivenDialect
from tolerances import ORACLE, deviation

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.optimizer.layout import Backend

SHAPES = ((3, 4), (7,), (), (2, 3, 5))
STEPS = 60


def start(dtype: torch.dtype) -> list[Tensor]:
    random = np.random.default_rng(0)
    return [torch.from_numpy(random.normal(size=shape)).to(dtype).requires_grad_() for shape in SHAPES]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("backend", ["numba", "reference"])
@pytest.mark.parametrize("dialect", GIVEN_DIALECTS, ids=str)
def test_a_chain_takes_the_steps_of_its_oracle(dialect: GivenDialect, backend: Backend, dtype: torch.dtype) -> None:
    parameters = start(dtype)
    optimizer = tw.Optimizer(parameters, dialect.chain(dialect.schedule), backend=backend)
    oracle = dialect.oracle([p.detach().double().numpy() for p in parameters], dialect.schedule, **dialect.settings)
    path, expected = [], []
    for step in range(STEPS):
        random = np.random.default_rng([1, step])
        gradients = [torch.from_numpy(np.asarray(random.normal(size=shape))).to(dtype) for shape in SHAPES]
        loss = float(random.normal())
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        curvature = None
        if step % dialect.every == 0:
            drawn = [torch.from_numpy(np.asarray(0.3 + random.normal(size=shape))).to(dtype) for shape in SHAPES]
            drawn = [h.abs() for h in drawn] if dialect.is_positive else drawn
            optimizer.take_curvature(drawn)
            curvature = [h.double().numpy() for h in drawn]
        optimizer.step(loss=loss)
        path += [parameter.detach().clone() for parameter in parameters]
        numbers = [g.double().numpy() for g in gradients]
        expected += [torch.from_numpy(np.asarray(p)) for p in oracle.step(numbers, Given(loss, curvature))]
    assert deviation(path, expected) <= ORACLE[dtype]
