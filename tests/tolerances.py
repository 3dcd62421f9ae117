"""How far apart two results may be, in one table: every test of the core takes its tolerance from here.

A difference is measured against the largest value of the expected result, over all parameters of a comparison.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

ORACLE = {torch.float64: 1e-13, torch.float32: 1e-6}
"""A hundred steps against the same rule by hand in float64: rounding of the parameters' dtype, nothing else."""
ORACLE_OF_POSITIONS = {torch.float64: 1e-12, torch.float32: 1e-5}
"""The same where a velocity is the difference of two positions: a momentum near 1 carries their rounding on."""
TORCH = {torch.float64: 1e-12, torch.float32: 1e-6}
"""A hundred steps against `torch.optim`."""
TORCH_DECOUPLED = 5e-6
"""The same where weights decay on their own, in float32: torch rounds 1 - lr·λ to float32, up to 6e-8 a step and always
in the same direction, in its fused kernel too. We are held to `TORCH` against torch in float64 instead."""
BACKENDS = {torch.float64: 1e-14, torch.float32: 1e-6}
"""A hundred steps by one backend against another: they compute the same plan, but libraries differ in a last bit."""
FORMULAS = {torch.float64: 1e-13, torch.float32: 2e-6}
"""Two formulas that are equal on paper and not in every operation."""


def deviation(found: Iterable[Tensor], expected: Iterable[Tensor]) -> float:
    """The largest difference between two lists of tensors, as a fraction of the largest expected value."""
    pairs = [(a.detach().double(), b.detach().double()) for a, b in zip(found, expected, strict=True)]
    assert all(a.shape == b.shape for a, b in pairs)
    assert all(bool(torch.isfinite(a).all()) for a, _ in pairs), "a result is not finite"
    scale = max((float(b.abs().max()) for _, b in pairs if b.numel()), default=0.0)
    difference = max((float((a - b).abs().max()) for a, b in pairs if b.numel()), default=0.0)
    return difference / scale if scale else difference
