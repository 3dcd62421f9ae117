"""Every chain that reduces or averages takes the steps of its oracle, on both backends and in both full precisions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import thalweg as tw
from model_dialects import MODEL_DIALECTS, ModelDialect
from oracles import MODEL_ORACLES
from tolerances import ORACLE, deviation

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.optimizer.layout import Backend

SHAPES = ((3, 4), (7,), (), (2, 3, 5), (1, 6), (5, 1))
STEPS = 60


def start(dtype: torch.dtype) -> list[Tensor]:
    random = np.random.default_rng(0)
    return [torch.from_numpy(random.normal(size=shape)).to(dtype).requires_grad_() for shape in SHAPES]


def gradients(step: int) -> list[np.ndarray]:
    random = np.random.default_rng([1, step])
    size = 10.0 ** random.uniform(-1, 1)
    return [np.asarray(size * (0.3 + random.normal(size=shape))) for shape in SHAPES]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("backend", ["numba", "reference"])
@pytest.mark.parametrize("dialect", MODEL_DIALECTS, ids=str)
def test_a_chain_takes_the_steps_of_its_oracle(dialect: ModelDialect, backend: Backend, dtype: torch.dtype) -> None:
    parameters = start(dtype)
    optimizer = tw.Optimizer(parameters, dialect.chain(dialect.schedule), backend=backend)
    oracle = MODEL_ORACLES[dialect.oracle](
        [p.detach().double().numpy() for p in parameters], dialect.schedule, **dialect.settings
    )
    path, expected = [], []
    for step in range(STEPS):
        drawn = [torch.from_numpy(g).to(dtype) for g in gradients(step)]
        for parameter, gradient in zip(parameters, drawn, strict=True):
            parameter.grad = gradient
        optimizer.step()
        path += [parameter.detach().clone() for parameter in parameters]
        expected += [torch.from_numpy(np.asarray(p)) for p in oracle.step([g.double().numpy() for g in drawn])]
        if dialect.evaluates:
            with optimizer.evaluating():
                path += [parameter.detach().clone() for parameter in parameters]
            expected += [torch.from_numpy(np.asarray(x)) for x in oracle.x]
    assert deviation(path, expected) <= dialect.tolerance * ORACLE[dtype]
    assert math.isfinite(sum(float(p.sum()) for p in path))
