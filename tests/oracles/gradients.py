"""The gradients that oracles and rules are fed: noisy, of very different sizes, with zeros in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from oracles.protocol import Array

START = np.array([1.0, -2.0, 0.5, 3.0, -0.25, 1e-3, 40.0])

MODEL = [
    np.array([[1.0, -2.0], [0.5, 3.0], [-0.25, 1e-2]]),
    np.array([[0.3, -0.1, 0.7, 2.0], [-1.5, 0.05, 1.0, -0.4]]),
    np.array([0.1, -4.0, 0.02, 1.0, -0.6]),
]
"""A tall matrix, a wide one and a vector."""


def gradients(steps: int = 100, *, seed: int = 0, zeros: bool = True) -> Array:
    """`steps` gradients for `START`: a drift and noise, element i scaled by 10^(i − 3).

    With `zeros`, about every tenth entry is exactly 0 and the last element's first three are.
    """
    random = np.random.default_rng(seed)
    scales = 10.0 ** (np.arange(START.size) - 3)
    g = (0.3 + random.standard_normal((steps, START.size))) * scales
    if zeros:
        g[random.random(g.shape) < 0.1] = 0.0
        g[:3, -1] = 0.0
    return g


def model_gradients(steps: int = 100, *, seed: int = 0, zeros: bool = True) -> list[list[Array]]:
    """`steps` times a gradient for each tensor of `MODEL`: a drift and noise, the tensors scaled by 1, 10, 1/10.

    With `zeros`, about every tenth entry is exactly 0, and the second tensor's whole gradient at the third step.
    """
    random = np.random.default_rng(seed)
    path: list[list[Array]] = []
    for k in range(steps):
        tensors = [
            (0.3 + random.standard_normal(p.shape)) * scale for p, scale in zip(MODEL, (1.0, 10.0, 0.1), strict=True)
        ]
        if zeros:
            tensors = [np.where(random.random(g.shape) < 0.1, 0.0, g) for g in tensors]
            if k == 2:
                tensors[1] = np.zeros_like(tensors[1])
        path.append(tensors)
    return path
