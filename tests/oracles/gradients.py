"""The gradients that oracles and rules are fed: noisy, of very different sizes, with zeros in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from oracles.protocol import Array

START = np.array([1.0, -2.0, 0.5, 3.0, -0.25, 1e-3, 40.0])


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
